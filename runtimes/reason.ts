/** Why a link ended, as the bytes that cross the wire. */

import { MAX_REASON_BYTES } from '../src/limits.ts'

/** What a link that ended without a word says. */
export const LOST = 'lost'

/** The reason cut to its bound, between characters. */
export function reasonBytes(reason: string): Uint8Array {
  const bytes = new Uint8Array(MAX_REASON_BYTES)
  return bytes.subarray(0, new TextEncoder().encodeInto(reason, bytes).written)
}

/** The reason that the other end gave. */
export function reasonText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES))
}

/** A plain view of a runtime's own kind of buffer: on a Node Buffer, `slice` does not copy. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
