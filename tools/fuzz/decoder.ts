/** A decoder as a target: any bytes, and nothing but a value or a typed refusal. */

import { equal } from '../../src/bytes.ts'
import { mutateBytes } from './edits.ts'
import { checkError, must, type Target } from './target.ts'

export interface Decoder {
  readonly seeds: readonly Uint8Array[]
  /** The codes with which it may refuse; default: the frame cannot be read. */
  readonly codes?: readonly string[]
  decode(bytes: Uint8Array): void | Promise<void>
}

const CODES = ['BAD_FRAME']

export function decoderTarget(name: string, { seeds, codes = CODES, decode }: Decoder): Target {
  return {
    name,
    weight: 1,
    batch: 256,
    seeds,
    mutate: mutateBytes,
    run: async (input) => {
      const before = input.slice()
      try {
        const done = decode(input)
        if (done) await done
      } catch (error) {
        if (error instanceof Error && error.name === 'Finding') throw error
        checkError(error, codes)
      }
      must(equal(before, input), 'The decoder wrote over its input')
    },
  }
}

export const targetsOf = (decoders: Readonly<Record<string, Decoder>>): readonly Target[] =>
  Object.entries(decoders).map(([name, decoder]) => decoderTarget(name, decoder))
