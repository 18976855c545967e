/** The configuration file: settings in JSON, each key a flag's name without `--`. */

import { SignalMeshError } from '../src/errors.ts'
import { type Config, FLAGS } from './config.ts'
import { type Env, type FileSettings, fileKeys, keyName, twinName } from './flags.ts'
import type { Host } from './host.ts'

const FLAG = '--config'

/**
 * Reads the file that a flag or its twin names, if one does.
 * @throws SignalMeshError `BAD_CONFIG`
 */
export async function readConfigFile({
  argv,
  env,
  readText,
}: Pick<Host, 'argv' | 'env' | 'readText'>): Promise<FileSettings | undefined> {
  const path = pathIn(argv, env)
  return path ? { path, texts: textsOf(await readText(path), path) } : undefined
}

/** The last one that is named, as with any flag. What is wrong with the flags is said by who reads them. */
function pathIn(argv: readonly string[], env: Env): string | undefined {
  const given = argv.flatMap((arg, i) => {
    if (arg.startsWith(`${FLAG}=`)) return arg.slice(FLAG.length + 1)
    const next = argv[i + 1]
    return arg === FLAG && next !== undefined && !next.startsWith('--') ? next : []
  })
  return given.at(-1) ?? env[twinName('config')]
}

function textsOf(json: string, path: string): Map<string, readonly string[]> {
  let parsed: unknown
  try {
    parsed = JSON.parse(json.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw bad(`${path} is no JSON: ${(cause as Error).message}`, cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw bad(`${path} is to hold one object of settings, such as {"port": 4680}`)
  }
  return new Map(Object.entries(parsed).map(([key, value]) => [key, textOf(value, key, path)]))
}

function textOf(value: unknown, key: string, path: string): readonly string[] {
  if (Array.isArray(value)) return value.map((item) => plain(item, key, path))
  return [plain(value, key, path)]
}

function plain(value: unknown, key: string, path: string): string {
  if (['string', 'number', 'boolean'].includes(typeof value)) return String(value)
  throw bad(`Key ${JSON.stringify(key)} of ${path} takes a text, number, true, false, or a list`)
}

/** What `--print-config` prints: a file that says the same, but for secrets in URLs. */
export function printedConfig(config: Config): string {
  const entries = fileKeys(FLAGS).flatMap((key) => {
    const value = config[key]
    return value === undefined ? [] : [[keyName(key), withoutSecrets(value)]]
  })
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`
}

/** Secrets are in files, of which the name alone is printed; but a URL may hold a password or a token. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'string' || !/^\w+:\/\//.test(value)) return value
  return value
    .replace(/^(\w+:\/\/)[^/?#]*@/, '$1***@')
    .replace(/\?[^#]*/, '?***')
    .replace(/#.*/, '#***')
}

function bad(sentence: string, cause?: unknown): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence, { cause })
}
