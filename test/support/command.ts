/** Commands of the program, run within a test: what they print, and how they end. */

import { readFile } from 'node:fs/promises'
import { commandOf } from '../../runtimes/commands.ts'
import type { Host } from '../../runtimes/host.ts'
import { main } from '../../runtimes/main.ts'
import type { Runtime } from '../../src/runtime.ts'

export interface Ran {
  /** Undefined if it has thrown. */
  readonly code: number | undefined
  readonly out: string
  readonly err: string
  readonly error: Error | undefined
}

/** Runs one to its end. */
export async function runCommand(
  runtime: Runtime,
  argv: readonly string[],
  more: Partial<Host> = {},
): Promise<Ran> {
  const said = { out: '', err: '' }
  const host: Host = {
    ...hostOf(argv.slice(1)),
    out: (text) => {
      said.out += text
    },
    err: (text) => {
      said.err += text
    },
    ...more,
  }
  try {
    const code = await commandOf(argv)?.(runtime, host)
    return { ...said, code, error: undefined }
  } catch (error) {
    return { ...said, code: undefined, error: error as Error }
  }
}

/** Runs the whole program until it says with what it ends. */
export async function runProgram(argv: readonly string[]): Promise<Ran> {
  const said = { out: '', err: '' }
  const runtime = await ownRuntime()
  const code = await new Promise<number>((exit, reject) => {
    const host: Host = {
      ...hostOf(argv),
      out: (text) => {
        said.out += text
      },
      err: (text) => {
        said.err += text
      },
      exit,
    }
    main(runtime, host).catch(reject)
  })
  return { ...said, code, error: undefined }
}

/** A host without a process around it. */
export function hostOf(argv: readonly string[]): Host {
  return {
    argv,
    env: {},
    about: { name: 'signal-mesh', version: '0.0.0' },
    out: () => {},
    err: () => {},
    exit: () => {},
    onStop: () => {},
    readText: (path) => readFile(path, 'utf8'),
    readBuild: async () => new Map(),
    lanAddresses: () => [],
  }
}

/** The adapter of the runtime that runs the test. */
export async function ownRuntime(): Promise<Runtime> {
  const { runtime } =
    'Deno' in globalThis
      ? await import('../../runtimes/deno.ts')
      : 'Bun' in globalThis
        ? await import('../../runtimes/bun.ts')
        : await import('../../runtimes/node.ts')
  return runtime
}
