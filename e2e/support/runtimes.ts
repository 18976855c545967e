/** Nodes as processes of any of the three runtimes, each started as the README says. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type RuntimeName = 'node' | 'deno' | 'bun'

export interface RuntimeNode {
  readonly runtime: RuntimeName
  readonly process: ChildProcess
  readonly url: string
  readonly nodeId: string
  /** Kills it without a goodbye. */
  kill(): Promise<void>
  /** Starts one anew in its place, with the same identity and URL. */
  restart(args?: readonly string[]): Promise<RuntimeNode>
  /** Asks it to end; gives the exit code. */
  stop(): Promise<number | null>
}

const ROOT = join(import.meta.dirname, '../..')
const PATH = `${ROOT}/node_modules/.bin:${process.env.PATH}`

/** What a node may do on Deno: nothing that it does not need. The README names the same. */
export const DENO_PERMISSIONS: readonly string[] = [
  '--allow-net',
  '--allow-read=package.json,dist,node_modules,data',
  '--ignore-read=/etc/alpine-release',
  '--allow-write=data',
  '--allow-ffi=node_modules',
  '--allow-sys=networkInterfaces',
  '--allow-env=SIGNAL_MESH_*',
  '--ignore-env',
]

/** The command that starts a node of this runtime with its data there. */
export function commandOf(runtime: RuntimeName, data: string): string[] {
  if (runtime === 'node') return ['node', 'mod.ts']
  if (runtime === 'bun') return ['bun', 'mod.ts']
  const allowed = DENO_PERMISSIONS.map((each) => each.replace(/\bdata$/, data))
  return ['deno', 'run', '--no-prompt', '--quiet', ...allowed, 'mod.ts']
}

/** Starts a node on a free port and waits until it can be reached. */
export function startOn(
  runtime: RuntimeName,
  args: readonly string[] = [],
  data: string = mkdtempSync(join(tmpdir(), 'mesh-')),
): Promise<RuntimeNode> {
  return startBy(commandOf(runtime, data), runtime, args, data)
}

/** The same by a command of the test's own. */
export async function startBy(
  [command = '', ...rest]: readonly string[],
  runtime: RuntimeName,
  args: readonly string[],
  data: string,
  cwd: string = ROOT,
): Promise<RuntimeNode> {
  const own = ['--log-format', 'json', '--log-level', 'warn', '--data', data, '--allow-private']
  const more = args.includes('--port') ? args : ['--port', '0', ...args]
  const child = spawn(command, [...rest, ...own, ...more], {
    cwd,
    env: { PATH, HOME: process.env.HOME },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const ready = JSON.parse(await firstLine(child))
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return ended
  }
  return {
    runtime,
    process: child,
    url: ready.url,
    nodeId: ready.nodeId,
    kill: async () => void (await end('SIGKILL')),
    restart: (again = []) => {
      const at = ['--port', new URL(ready.url).port, ...again]
      return startBy([command, ...rest], runtime, at, data, cwd)
    },
    stop: async () => {
      const code = await end('SIGTERM')
      rmSync(data, { recursive: true, force: true })
      return code
    },
  }
}

/** Runs a node that cannot run, to its end. */
export async function endOn(
  runtime: RuntimeName,
  args: readonly string[],
  data = 'data',
): Promise<{ readonly code: number | null; readonly err: string }> {
  const [command = '', ...rest] = commandOf(runtime, data)
  const child = spawn(command, [...rest, ...args], {
    cwd: ROOT,
    env: { PATH, HOME: process.env.HOME, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let err = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, err }
}

function firstLine(child: ChildProcess): Promise<string> {
  let said = ''
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('\n')) resolve(said.slice(0, said.indexOf('\n')))
    })
    child.once('close', (code) => reject(new Error(`It ended with ${code}: ${errors}`)))
  })
}
