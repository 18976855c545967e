/** What the program does besides starting a node: each command by the first word after its name. */

import { SignalMeshError } from '../src/errors.ts'
import type { Runtime } from '../src/runtime.ts'
import { hintOf } from './flags.ts'
import type { Host } from './host.ts'

/** Does its work with the words that follow, and gives the exit code; what it throws is said and ends with 1 or 2. */
export type Command = (runtime: Runtime, host: Host) => Promise<number>

interface Entry {
  readonly about: string
  /** Loaded by who asks for it alone; the one that starts a node has none. */
  load?(): Promise<Command>
}

/** All of them, as help and completion list them. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  start: { about: 'Starts a node, as does no command at all' },
  testnet: {
    about: 'Starts a mesh of several nodes on this machine: testnet 5',
    load: async () => (await import('./command-testnet.ts')).testnet,
  },
  demo: {
    about: 'Starts a node on each runtime, and prints links to a chat on them',
    load: async () => (await import('./command-testnet.ts')).demo,
  },
  status: {
    about: 'Shows the mesh as a table: status [URL] [--watch]',
    load: async () => (await import('./status.ts')).status,
  },
  topic: {
    about: 'Follows who comes to a topic and who leaves it: topic NAME [URL]',
    load: async () => (await import('./command-topic.ts')).topic,
  },
  doctor: {
    about: 'Looks at DHT, UDP, STUN, relays, clock and TLS, and says what to do',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  keygen: {
    about: 'Makes the identity of a node, and prints its NodeId',
    load: async () => (await import('./command-keygen.ts')).keygen,
  },
  record: {
    about:
      'Prints the record to publish for this node, or checks a published one; see record --help',
    load: async () => (await import('./record.ts')).record,
  },
  completion: {
    about: 'Prints what completes these words in a shell: completion bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completion,
  },
}

/** The command that was asked for; `undefined` if a node is to be started. */
export function commandOf([name = '']: readonly string[]): Command | undefined {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]?.load : undefined
  return load && (async (runtime, host) => (await load())(runtime, host))
}

/**
 * The flags of the node to be started.
 * @throws SignalMeshError `BAD_CONFIG` if the first word is no command
 */
export function startFlags(argv: readonly string[]): readonly string[] {
  const [name] = argv
  if (name === 'start') return argv.slice(1)
  if (name === undefined || name.startsWith('-')) return argv
  const names = Object.keys(COMMANDS)
  throw new SignalMeshError(
    'BAD_CONFIG',
    `Unknown command ${JSON.stringify(name)}${hintOf(name, names)} (--help lists all)`,
  )
}

/** What `--help` says of them. */
export function commandLines(): string {
  const names = Object.keys(COMMANDS)
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${COMMANDS[name]?.about}`)
  return `Commands, each with --help and --json:\n${lines.join('\n')}\n
Exit codes: 0 done, or stopped as asked; 1 cannot be done, or nobody answered; 2 told something wrong;
3 done, and what was looked at is not as it should be (record --check, status, doctor).
130 and 143 after a second signal.\n`
}
