/** The corpus: inputs worth keeping, as lines of hex digits in `test/corpus/<target>/`. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, toHex } from '../../src/bytes.ts'
import { hash } from '../../src/crypto.ts'

const FOLDER = join(import.meta.dirname, '../../test/corpus')
/** What a run has grown; all other files hold a finding each. */
const KEPT = 'kept.hex'

/** All inputs of a target, those of its findings first. */
export function readCorpus(target: string, folder: string = FOLDER): Uint8Array[] {
  const own = join(folder, target)
  const names = existsSync(own) ? readdirSync(own).filter((name) => name.endsWith('.hex')) : []
  return names.sort().flatMap((name) => readInputs(join(own, name)))
}

/** The inputs of one file: a line each; those that begin with `#` tell about them. */
export function readInputs(file: string): Uint8Array[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => !line.startsWith('#') && line.trim()).map((line) => fromHex(line))
}

export function writeKept(
  target: string,
  inputs: readonly Uint8Array[],
  folder: string = FOLDER,
): string {
  return writeInputs(folder, target, KEPT, `Inputs that reach the code of ${target}`, inputs)
}

/** Writes an input that broke a rule. Returns the file. */
export function writeFinding(
  target: string,
  input: Uint8Array,
  rule: string,
  folder: string = FOLDER,
): string {
  const name = `finding-${toHex(hash([input])).slice(0, 12)}.hex`
  return writeInputs(folder, target, name, rule.split('\n')[0] as string, [input])
}

function writeInputs(
  folder: string,
  target: string,
  name: string,
  about: string,
  inputs: readonly Uint8Array[],
): string {
  mkdirSync(join(folder, target), { recursive: true })
  const file = join(folder, target, name)
  writeFileSync(file, `# ${about}\n${inputs.map((input) => `${toHex(input)}\n`).join('')}`)
  return file
}
