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
  /** A flag that makes no sense as a setting has no twin, and no key in a file. */
  readonly twin?: false
  /** One that makes no sense in a file, though it has a twin. */
  readonly key?: false
}

/** What a file sets: texts by flags' names without `--`. */
export interface FileSettings {
  readonly path: string
  readonly texts: ReadonlyMap<string, readonly string[]>
}

/** A flag for each setting; `dhtPort` is `--dht-port` and `SIGNAL_MESH_DHT_PORT`. */
export type Flags<Settings> = { readonly [Key in keyof Settings]: Flag<Settings[Key]> }

export type Env = Readonly<Record<string, string | undefined>>

export interface Parsed<Settings> {
  readonly settings: Settings
  /** What is no flag, in its order. */
  readonly rest: readonly string[]
}

/** Above this two names are not near each other. */
const MAX_EDITS = 3

/**
 * Reads flags, then the environment for those not given, then the file.
 * @throws SignalMeshError `BAD_CONFIG` with one sentence for the first thing that is wrong.
 */
export function parseFlags<Settings>(
  flags: Flags<Settings>,
  argv: readonly string[],
  env: Env = {},
  file?: FileSettings,
): Parsed<Settings> {
  const keys = Object.keys(flags) as (keyof Settings & string)[]
  if (file) checkKeys(flags, file)
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
  const entries = keys.map((key) => [key, settingOf(flags[key], key, given.get(key), env, file)])
  return { settings: Object.fromEntries(entries) as Settings, rest }
}

function settingOf<Value>(
  flag: Flag<Value>,
  key: string,
  given: readonly string[] | undefined,
  env: Env,
  file: FileSettings | undefined,
): Value {
  const twin = flag.twin === false ? undefined : env[twinName(key)]
  const kept = file?.texts.get(keyName(key))
  const texts = given ?? (twin ? [twin] : kept)
  // An empty list in a file says that there are none, as does a key that is not there.
  if (!texts?.length) return flag.fallback
  const value = flag.read(texts)
  if (value !== undefined) return value
  const isKept = !given && !twin && file
  const what = given
    ? `Flag ${flagName(key)}`
    : isKept
      ? `Key "${keyName(key)}" of ${file.path}`
      : `Variable ${twinName(key)}`
  throw bad(
    `${what} takes ${flag.takes}, not ${texts.map((text) => JSON.stringify(text)).join(' ')}`,
  )
}

/** Refuses a file with a key that is no flag's, or that of one which makes no sense there. */
function checkKeys<Settings>(flags: Flags<Settings>, { path, texts }: FileSettings): void {
  const names = fileKeys(flags).map(keyName)
  for (const name of texts.keys()) {
    if (names.includes(name)) continue
    throw bad(`Unknown key ${JSON.stringify(name)} in ${path}${hintOf(name, names)}`)
  }
}

/** The settings that a file may hold. */
export function fileKeys<Settings>(flags: Flags<Settings>): (keyof Settings & string)[] {
  const keys = Object.keys(flags) as (keyof Settings & string)[]
  return keys.filter((key) => flags[key].twin !== false && flags[key].key !== false)
}

function splitOnce(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** The same without its dashes, as a key of a file. */
export function keyName(key: string): string {
  return flagName(key).slice(2)
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
  return bad(`Unknown flag ${name}${hintOf(name, names)} (--help lists all)`)
}

/** The nearest of the names that are known, if any is near. */
export function hintOf(name: string, names: readonly string[]): string {
  const nearest = names
    .map((each) => ({ each, edits: editsBetween(name, each) }))
    .sort((a, b) => a.edits - b.edits)[0]
  return nearest && nearest.edits <= MAX_EDITS ? `; did you mean ${nearest.each}?` : ''
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
