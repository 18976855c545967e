/** Runs one test file in a process of its own, watched, and cleans up after it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { type Ending, type Outcome, readOutcome } from './outcome.ts'

export type RuntimeName = 'node' | 'deno' | 'bun'

/** How each runtime runs a TypeScript program with every permission. */
const COMMANDS: Readonly<Record<RuntimeName, readonly string[]>> = {
  node: ['node'],
  deno: ['deno', 'run', '--allow-all', '--no-check', '--quiet'],
  bun: ['bun', 'run'],
}

/** The runtimes that `npm ci` brought come first, also for what a test starts by name. */
const PATH = `${import.meta.dirname}/../../node_modules/.bin:${process.env.PATH}`

/** Where Node keeps what it has compiled, or each of some hundred processes would strip all types anew. */
const COMPILED = `${import.meta.dirname}/../../node_modules/.cache/compiled`

/** How long a killed or leaving child of a test may take to go. */
const GRACE_MS = 2_000
const POLL_MS = 50

const running = new Set<ChildProcess>()

/** Runs the file to its end, or to the watchdog's. */
export async function runFile(
  file: string,
  runtime: RuntimeName,
  watchdogMs: number,
): Promise<Outcome> {
  const startMs = performance.now()
  const [command = '', ...args] = COMMANDS[runtime]
  const child = spawn(command, [...args, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that whatever it starts can be ended with it.
    detached: true,
    env: {
      ...process.env,
      PATH,
      NODE_COMPILE_CACHE: COMPILED,
      SIGNAL_MESH_RUNNER: '1',
      NO_COLOR: '1',
      FORCE_COLOR: undefined,
    },
  })
  running.add(child)
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      printed += text
    })
  }
  const ending = await watch(child, watchdogMs)
  running.delete(child)
  return readOutcome(file, printed, ending, Math.round(performance.now() - startMs))
}

/** Ends every child that still runs, with all that it started. */
export function killAll(): void {
  for (const child of running) killGroup(child)
}

async function watch(child: ChildProcess, watchdogMs: number): Promise<Ending> {
  let killed = false
  const timer = setTimeout(() => {
    killed = true
    killGroup(child)
  }, watchdogMs)
  const [code, signal] = await ended(child)
  clearTimeout(timer)
  const leftProcesses = !killed && !(await groupIsGone(child))
  killGroup(child)
  return { code, signal, leftProcesses, ...(killed ? { killedAfterMs: watchdogMs } : {}) }
}

/** Resolves on exit, not on the end of output: a leftover process may hold the pipes for ever. */
function ended(child: ChildProcess): Promise<[number | null, string | null]> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      child.stderr?.emit('data', `${error.message}\n`)
      resolve([null, null])
    })
    child.once('exit', (code, signal) => {
      const done = (): void => resolve([code, signal])
      const timer = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      }, GRACE_MS)
      child.once('close', () => {
        clearTimeout(timer)
        done()
      })
    })
  })
}

async function groupIsGone(child: ChildProcess): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= GRACE_MS; waitedMs += POLL_MS) {
    if (!signalGroup(child, 0) || onlyZombies(child)) return true
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  return false
}

/** Whether all that is left has ended and just waits for its new parent to notice. */
function onlyZombies(child: ChildProcess): boolean {
  if (!existsSync('/proc/self/stat')) return false
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => statOf(pid))
    .every(({ group, state }) => group !== String(child.pid) || state === 'Z')
}

/** Reads "pid (name) state parent group …"; the name may hold spaces and brackets. */
function statOf(pid: string): { state?: string | undefined; group?: string | undefined } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state, group }
  } catch {
    return {}
  }
}

function killGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGKILL')
}

/** Whether any process of the child's group was there to take the signal. */
function signalGroup(child: ChildProcess, signal: 'SIGKILL' | 0): boolean {
  if (child.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return false
  }
}
