/** Programs of the package as a user starts them: what they print, and how they end. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface Program {
  readonly process: ChildProcess
  readonly out: string
  readonly err: string
  /** Waits until standard output or error matches. */
  until(pattern: RegExp): Promise<RegExpMatchArray>
  /** The exit code, once it has ended and said everything. */
  readonly ended: Promise<number | null>
}

const running = new Set<ChildProcess>()

/** Starts a program with a clean environment. */
export function startProgram(
  file: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Program {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [join(ROOT, file), ...args], {
    cwd: ROOT,
    env: { PATH, HOME, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }), ...env },
  })
  running.add(child)
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      running.delete(child)
      resolve(code)
    }),
  )
  return {
    process: child,
    get out() {
      return said.out
    },
    get err() {
      return said.err
    },
    ended,
    until: async (pattern) => {
      for (;;) {
        const match = said.out.match(pattern) ?? said.err.match(pattern)
        if (match) return match
        if (child.exitCode !== null) throw new Error(`It ended, saying: ${said.out}${said.err}`)
        await Promise.race([
          once(child.stdout, 'data'),
          once(child.stderr, 'data'),
          once(child, 'close'),
        ])
      }
    },
  }
}

/** Kills what a test has left running. */
export function killPrograms(except?: Program): void {
  for (const child of running) if (child !== except?.process) child.kill('SIGKILL')
}
