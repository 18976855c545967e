/** A target: something that is fed with hostile input, and the rule that it must keep. */

import { SignalMeshError } from '../../src/errors.ts'

export interface Target {
  readonly name: string
  /** Its share of the time. */
  readonly weight: number
  /** Inputs run between two looks at the coverage: many where one takes microseconds. */
  readonly batch: number
  /** Valid inputs to begin with. */
  readonly seeds: readonly Uint8Array[]
  mutate(input: Uint8Array, other: Uint8Array, random: () => number): Uint8Array
  /** Takes the input; throws where a rule is broken. */
  run(input: Uint8Array): void | Promise<void>
  /** Puts it back to what it was before its first input. */
  reset?(): Promise<void>
}

/** A rule that was broken. */
export class Finding extends Error {
  override readonly name = 'Finding'
}

export function must(holds: boolean, rule: string): void {
  if (!holds) throw new Finding(rule)
}

/** Anything but a typed error is a finding, and so is one that wraps an exception of ours. */
export function checkError(error: unknown, allowed?: readonly string[]): void {
  if (!(error instanceof SignalMeshError)) {
    throw new Finding(`Not a typed error: ${describe(error)}`, { cause: error })
  }
  if (error.code === 'INTERNAL' && isForeign(error.cause)) {
    throw new Finding(`INTERNAL for ${describe(error.cause)}`, { cause: error.cause })
  }
  if (allowed && !allowed.includes(error.code)) {
    throw new Finding(`The code ${error.code} is not expected here: ${error.message}`, {
      cause: error,
    })
  }
}

function isForeign(cause: unknown): boolean {
  return cause !== undefined && !(cause instanceof SignalMeshError)
}

export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
