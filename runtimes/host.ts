/** The process around a node: arguments, files, signals. Over `node:*`, which all runtimes have. */

import { realpathSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join, relative, sep } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { SignalMeshError } from '../src/errors.ts'
import type { Env } from './flags.ts'
import { PARENT_CHECK_MS, SIGNAL_ECHO_MS } from './limits.ts'
import type { Package } from './pages.ts'
import { whyOf } from './why.ts'

export interface Host {
  readonly argv: readonly string[]
  readonly env: Env
  readonly about: Package
  out(text: string): void
  err(text: string): void
  exit(code: number): void
  /** Calls `stop` at each signal to end, and when the program that started this one has gone. */
  onStop(stop: (cause: string, exitCode: number) => void): void
  /** Reads a file that a flag names. */
  readText(path: string): Promise<string>
  /** The files of the build by their path in it; empty where nothing was built. */
  readBuild(): Promise<ReadonlyMap<string, Uint8Array>>
  /** The IPv4 addresses under which other machines may reach this one. */
  lanAddresses(): readonly string[]
}

/** The package's folder: as source this file stands in its `runtimes`, as built in `dist/npm/runtimes`. */
const ROOT = new URL(
  /\/dist\/npm\/runtimes\/[^/]+$/.test(import.meta.url) ? '../../..' : '..',
  import.meta.url,
)

/** What a program has of its package within itself, where it has no folder. */
export interface OwnFiles {
  readonly about: Package
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** This process as a host. */
export async function processHost(own?: OwnFiles): Promise<Host> {
  // Whoever read what this process prints may go; that is no reason to end without a goodbye.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  return {
    argv: process.argv.slice(2),
    env: process.env,
    about: own?.about ?? (JSON.parse(await readOwn('package.json')) as Package),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    exit: (code) => process.exit(code),
    onStop,
    readText,
    readBuild: own ? async () => own.files : builtFiles,
    lanAddresses,
  }
}

/** Whether the module with this `import.meta` is the program that was started. */
export function isProgram(meta: ImportMeta): boolean {
  // Node before 24.2 does not know `main`.
  const main = (meta as { main?: boolean }).main
  if (main !== undefined) return main
  const started = process.argv[1]
  return started !== undefined && realpathSync(started) === fileURLToPath(meta.url)
}

function onStop(stop: (cause: string, exitCode: number) => void): void {
  let last = { cause: '', atMs: 0 }
  const stopUnlessEcho = (cause: string, exitCode: number): void => {
    const atMs = performance.now()
    const isEcho = cause === last.cause && atMs - last.atMs < SIGNAL_ECHO_MS
    last = { cause, atMs }
    if (!isEcho) stop(cause, exitCode)
  }
  process.on('SIGINT', () => stopUnlessEcho('SIGINT', 130))
  process.on('SIGTERM', () => stopUnlessEcho('SIGTERM', 143))
  // A program that starts nodes holds a channel to each; it closes even if that program is killed.
  if (process.connected) process.on('disconnect', () => stop('parent gone', 1))
  if (process.env.npm_lifecycle_event) watchParent(() => stop('parent gone', 1))
}

/** npm hands its signals to a shell, which ends without handing them on. */
function watchParent(onGone: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    onGone()
  }, PARENT_CHECK_MS)
  timer.unref()
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new SignalMeshError('BAD_CONFIG', `Cannot read ${path}: ${whyOf(cause)}`, { cause })
  }
}

/** Reads a file of the package, which Deno may run from a registry's URL. */
async function readOwn(path: string): Promise<string> {
  const url = new URL(path, ROOT)
  return url.protocol === 'file:' ? readFile(url, 'utf8') : (await fetch(url)).text()
}

/** The build, but for what it holds for the registries; a URL cannot say what is below it. */
export async function builtFiles(): Promise<Map<string, Uint8Array>> {
  if (ROOT.protocol !== 'file:') return new Map()
  return readFolder(fileURLToPath(new URL('dist', ROOT)), /^npm\//)
}

/** Reads all files but those whose path in the folder is left out. */
async function readFolder(folder: string, leftOut: RegExp): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name)
    const path = relative(folder, file).replaceAll(sep, '/')
    if (entry.isFile() && !leftOut.test(path)) files.set(path, await readFile(file))
  }
  return files
}

function lanAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal, address }) => {
      return family === 'IPv4' && !internal && !address.startsWith('169.254.')
    })
    .map(({ address }) => address)
}
