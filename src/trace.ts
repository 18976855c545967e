/** Trace: lines of the log that follow one signal across nodes, by an id that tells nothing of it or its ends. */

import { toHex } from './bytes.ts'
import { hashNames } from './crypto.ts'
import type { Fields, Log } from './log.ts'
import {
  CLASS,
  classOf,
  connectionOf,
  counterOf,
  fromKeyOf,
  isAckOf,
  phaseOf,
  toKeyOf,
} from './signal.ts'

export type Trace = (message: string, frame: Uint8Array, fields?: Fields) => void

export const noTrace: Trace = () => {}

const ID_DIGITS = 16

/** Writes a line of the lowest level for each signal, where that is asked for. */
export function createTrace(log: Log): Trace {
  if (!log.isDebug) return noTrace
  return (message, frame, fields = {}) => log.debug(message, { signal: traceId(frame), ...fields })
}

/**
 * The same on every node: a hash of what stays of the header on the way. A word about a signal has that one's. Who
 * has the line has neither PeerId, and only who saw the signal itself can tell that it is of that one.
 */
export function traceId(frame: Uint8Array): string {
  const ends = [fromKeyOf(frame), toKeyOf(frame)]
  if (classOf(frame) === CLASS.control) ends.reverse()
  const counter = counterOf(frame)
  const numbers = Uint8Array.of(phaseOf(frame), isAckOf(frame) ? 1 : 0, ...fourBytes(counter))
  return toHex(hashNames('trace', [...ends, connectionOf(frame), numbers])).slice(0, ID_DIGITS)
}

function fourBytes(value: number): number[] {
  return [24, 16, 8, 0].map((bits) => (value >>> bits) & 0xff)
}
