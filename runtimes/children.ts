/** Programs of this package as child processes that end with the process that started them. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SignalMeshError } from '../src/errors.ts'
import { START_TIMEOUT_MS, STOP_TIMEOUT_MS } from './limits.ts'

export interface Child {
  readonly process: ChildProcess
  /** The line of JSON by which the program said that it is ready. */
  readonly ready: Readonly<Record<string, unknown>>
  readonly exited: Promise<void>
  /** Asks it to end, and kills it if it does not. */
  stop(): Promise<void>
}

/** By what a program is run, where that is not the Node of this process. */
export interface RunBy {
  readonly command: string
  /** What stands before the program. */
  readonly args: readonly string[]
  /** Its own folder: what it may do there is named by paths from it. */
  readonly cwd: string
}

export interface ChildOptions {
  /** The program, as a path from this folder. */
  readonly program: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly runBy?: RunBy
  /** Most memory that its objects may take. */
  readonly heapMiB?: number
  /** Whether its messages hold bytes. */
  readonly binary?: boolean
  /** Takes what it writes to standard error, as it comes. */
  onErrorText?(text: string): void
}

/** What a failing child said last: enough for its last line. */
const KEPT_ERROR_CHARS = 2_000

/** Starts a program and waits for its first line, which must be JSON. */
export async function startChild(options: ChildOptions): Promise<Child> {
  // In the published package this file and its neighbours are `.js`.
  const program = options.program.replace(/\.ts$/, import.meta.url.slice(-3))
  const child = fork(fileURLToPath(new URL(program, import.meta.url)), options.args ?? [], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: options.heapMiB ? [`--max-old-space-size=${options.heapMiB}`] : [],
    ...(options.runBy && {
      execPath: options.runBy.command,
      execArgv: [...options.runBy.args],
      cwd: options.runBy.cwd,
    }),
    serialization: options.binary ? 'advanced' : 'json',
    // A group of its own: Ctrl-C reaches the parent alone, which then stops its children in order.
    detached: true,
  })
  let errorText = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errorText = (errorText + text).slice(-KEPT_ERROR_CHARS)
    options.onErrorText?.(text)
  })
  // Such as a command that this machine does not have.
  child.on('error', ({ message }) => {
    errorText += `${message}\n`
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = (): Promise<void> => stopChild(child, exited)
  try {
    const line = await firstLine(child, exited)
    return { process: child, ready: JSON.parse(line), exited, stop }
  } catch (cause) {
    await stop()
    // Our programs fail with one line; a crash of the runtime names its error on a line of its own.
    const lines = errorText.trim().split('\n')
    const said = lines.find((line) => /^\w*Error\b/.test(line)) ?? (lines.at(-1) || String(cause))
    throw new SignalMeshError('INTERNAL', `Cannot start ${options.program}: ${said}`, { cause })
  }
}

function firstLine(child: ChildProcess, exited: Promise<void>): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, START_TIMEOUT_MS, new Error('it did not get ready in time'))
    void exited.then(() => {
      clearTimeout(timer)
      reject(new Error('it ended'))
    })
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.includes('\n')) return
      text += chunk
      const end = text.indexOf('\n')
      if (end < 0) return
      clearTimeout(timer)
      resolve(text.slice(0, end))
    })
  })
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return exited
  child.kill('SIGTERM')
  const cut = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(cut)
}
