/** Flags of a program and their twins in the environment, read by one table. */

import { SignalMeshError } from '../src/errors.ts'

export interface Flag<Value> {
  /** What stands for the value in the help; a flag without one is a switch. */
  readonly value?: string
  readonly about: string
  readonly fallback: Value
  /** What is allowed, as it completes the sentence "Flag --port takes …". */
  readonly takes: string
  /** Reads what was given, each time it was given; undefined if that is not allowed. */
  read(texts: readonly string[]): Value | undefined
  /** A flag that makes no sense as a setting has no twin. */
  readonly twin?: false
}

/** A flag for each setting; `dhtPort` is `--dht-port` and `SIGNAL_MESH_DHT_PORT`. */
export type Flags<Settings> = { readonly [Key in keyof Settings]: Flag<Settings[Key]> }

export type Env = Readonly<Record<string, string | undefined>>

export interface Parsed<Settings> {
  readonly settings: Settings
  /** What is no flag, in its order. */
  readonly rest: readonly string[]
}

/**
 * Reads flags, then the environment for those not given.
 * @throws SignalMeshError `BAD_CONFIG` with one sentence for the first thing that is wrong.
 */
export function parseFlags<Settings>(
  flags: Flags<Settings>,
  argv: readonly string[],
  env: Env = {},
): Parsed<Settings> {
  const keys = Object.keys(flags) as (keyof Settings & string)[]
  const given = new Map<string, string[]>()
  const rest: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string
    if (!arg.startsWith('-')) {
      rest.push(arg)
      continue
    }
    const [name, inline] = splitOnce(arg === '-h' ? '--help' : arg, '=')
    const key = keys.find((each) => flagName(each) === name)
    if (key === undefined) throw unknownFlag(name, keys.map(flagName))
    const next = argv[i + 1]
    const isSwitch = flags[key].value === undefined
    if (!isSwitch && inline === undefined) {
      if (next === undefined || next.startsWith('--')) {
        throw bad(`Flag ${name} takes ${flags[key].takes}; none is given`)
      }
      i++
    }
    const text = inline ?? (isSwitch ? 'true' : (next as string))
    given.set(key, [...(given.get(key) ?? []), text])
  }
  const entries = keys.map((key) => [key, settingOf(flags[key], key, given.get(key), env)])
  return { settings: Object.fromEntries(entries) as Settings, rest }
}

function settingOf<Value>(
  flag: Flag<Value>,
  key: string,
  given: readonly string[] | undefined,
  env: Env,
): Value {
  const twin = flag.twin === false ? undefined : env[twinName(key)]
  const texts = given ?? (twin ? [twin] : undefined)
  if (!texts) return flag.fallback
  const value = flag.read(texts)
  if (value !== undefined) return value
  const what = given ? `Flag ${flagName(key)}` : `Variable ${twinName(key)}`
  throw bad(
    `${what} takes ${flag.takes}, not ${texts.map((text) => JSON.stringify(text)).join(' ')}`,
  )
}

function splitOnce(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export function twinName(key: string): string {
  return `SIGNAL_MESH_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** A line for each flag: name and meaning. */
export function helpLines<Settings>(flags: Flags<Settings>): string {
  const rows = (Object.entries(flags) as [string, Flag<unknown>][]).map(([key, flag]) => ({
    name: flag.value === undefined ? flagName(key) : `${flagName(key)} ${flag.value}`,
    about: flag.about,
  }))
  const width = Math.max(...rows.map(({ name }) => name.length))
  return rows.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join('\n')
}

function unknownFlag(name: string, names: readonly string[]): SignalMeshError {
  const nearest = names
    .map((each) => ({ each, edits: editsBetween(name, each) }))
    .sort((a, b) => a.edits - b.edits)[0]
  const hint = nearest && nearest.edits <= 3 ? `; did you mean ${nearest.each}?` : ''
  return bad(`Unknown flag ${name}${hint} (--help lists all)`)
}

function bad(sentence: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence)
}

/** How many letters have to be changed, added or removed to make `b` of `a`. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
