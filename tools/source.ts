/** The source archive: what a node offers to those who use it, packed from the tree that it is built of. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { createTarGzip } from 'nanotar'

/** What belongs to the source. Named one by one: a data folder beside it holds a secret. */
export const SOURCE_PARTS: readonly string[] = [
  '.ci',
  '.gitignore',
  'API.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'LICENSE',
  'NOTICE',
  'PROTOCOL.md',
  'README.md',
  'SECURITY.md',
  'bench',
  'biome.json',
  'build.ts',
  'dashboard',
  'demo',
  'bunfig.toml',
  'deno.json',
  'e2e',
  'examples',
  'mod.ts',
  'ops',
  'package-lock.json',
  'package.json',
  'runtimes',
  'src',
  'test',
  'tools',
  'tsconfig.json',
  'tsconfig.src.json',
]

/** Within the parts, only files of kinds that a source has; `run` is the script of `.ci`. */
const KINDS =
  /\.(tsx?|json|md|html|css|svg|hex|sh|yml|conf|service|dockerignore)$|^ops\/(Dockerfile|Caddyfile)$|^\.ci\/run$/

/** Packs the source below `root`; the same files give the same bytes. Shape: a gzipped tar. */
export async function packSource(root: string, folder: string): Promise<Uint8Array> {
  const files = SOURCE_PARTS.flatMap((part) => filesOf(root, part)).sort()
  const items = files.map((path) => ({
    name: `${folder}/${path}`,
    data: new Uint8Array(readFileSync(join(root, path))),
    attrs: { mode: /^\.ci\/run$|\.sh$/.test(path) ? '755' : '644' },
  }))
  return createTarGzip(items, { attrs: { mtime: 0, uid: 0, gid: 0 } })
}

function filesOf(root: string, part: string): string[] {
  const at = join(root, part)
  if (!existsSync(at)) return []
  if (statSync(at).isFile()) return [part]
  return readdirSync(at, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .filter((path) => KINDS.test(path))
}
