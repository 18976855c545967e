/** What the program does besides starting a node: each command by the first word after its name. */

import type { Runtime } from '../src/runtime.ts'
import type { Host } from './host.ts'

/** Does its work with the words that follow, and gives the exit code; what it throws is said and ends with 1 or 2. */
export type Command = (runtime: Runtime, host: Host) => Promise<number>

interface Entry {
  readonly about: string
  /** Loaded by who asks for it alone. */
  load(): Promise<Command>
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  record: {
    about:
      'Prints the record to publish for this node, or checks a published one; see record --help',
    load: async () => (await import('./record.ts')).record,
  },
}

/** The command that was asked for; `undefined` if a node is to be started. */
export function commandOf([name = '']: readonly string[]): Command | undefined {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  return entry && (async (runtime, host) => (await entry.load())(runtime, host))
}

/** What `--help` says of them. */
export function commandLines(): string {
  const lines = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name}  ${about}`)
  return `Commands:\n${lines.join('\n')}\n`
}
