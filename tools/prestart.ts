/** What runs before `start`: the build, where its packages are there; a node starts without it too. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

// Bun fetches what it imports by itself, but esbuild finds packages in this folder alone.
if (existsSync(join(ROOT, 'node_modules'))) {
  const { status } = spawnSync(process.execPath, [join(ROOT, 'build.ts'), '--quiet'], {
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}
