/** A user's project: an empty folder into which the packed package is installed, with what npm would bring along. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import about from '../../package.json' with { type: 'json' }
import lock from '../../package-lock.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '../..')

export interface Packed {
  /** The tarball. */
  readonly file: string
  readonly bytes: number
  readonly unpackedBytes: number
  /** Paths in the package. */
  readonly paths: readonly string[]
  remove(): void
}

/** Packs the package as `npm publish` would, its build included. */
export function packPackage(): Packed {
  const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-pack-'))
  const args = ['pack', '--json', '--foreground-scripts=false', '--pack-destination', folder]
  const printed = execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
  const [info] = JSON.parse(printed.slice(printed.indexOf('['))) as [PackInfo]
  return {
    file: join(folder, info.filename),
    bytes: info.size,
    unpackedBytes: info.unpackedSize,
    paths: info.files.map(({ path }) => path),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

interface PackInfo {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

export interface Project {
  readonly folder: string
  write(path: string, text: string): void
  remove(): void
}

/** What the lock file says that `npm install --omit=dev` of the package brings, but for the package itself. */
export function productionPackages(): readonly string[] {
  const entries = Object.entries(lock.packages as Record<string, LockEntry>)
  return entries
    .filter(([path, entry]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && isProduction(entry))
    .map(([path]) => path.slice('node_modules/'.length))
}

interface LockEntry {
  readonly dev?: boolean
  readonly devOptional?: boolean
}

function isProduction({ dev, devOptional }: LockEntry): boolean {
  return !dev && !devOptional
}

/** Installs without a registry: the package from its tarball, the others as links to those here. */
export function makeProject({ file }: Packed, more: readonly string[] = []): Project {
  const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-project-'))
  const modules = join(folder, 'node_modules')
  const own = join(modules, about.name)
  mkdirSync(own, { recursive: true })
  execFileSync('tar', ['xzf', file, '-C', own, '--strip-components', '1'])
  for (const name of [...productionPackages(), ...more]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  mkdirSync(join(modules, '.bin'))
  for (const [name, path] of Object.entries(about.bin)) {
    chmodSync(join(own, path), 0o755)
    symlinkSync(join('..', about.name, path), join(modules, '.bin', name))
  }
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  write('package.json', '{ "private": true, "type": "module" }\n')
  return { folder, write, remove: () => rmSync(folder, { recursive: true }) }
}

/** Text of a file of the installed package. */
export function readInstalled({ folder }: Project, path: string): string {
  return readFileSync(join(folder, 'node_modules', about.name, path), 'utf8')
}
