/** Matching: which frames are one signal, and which control signal is about it, by their headers. */

import { equal } from './bytes.ts'
import {
  connectionOf,
  connectionStartOf,
  counterOf,
  fromKeyOf,
  isAckOf,
  toKeyOf,
} from './signal.ts'

/**
 * A number that tells nearly all signals apart: of the connection id, the counter, and whether it only
 * acknowledges.
 */
export function markOf(frame: Uint8Array): number {
  return (connectionStartOf(frame) ^ ((counterOf(frame) << 1) | Number(isAckOf(frame)))) >>> 0
}

/** Whether two frames are one signal, sent again. */
export function isSameSignal(a: Uint8Array, b: Uint8Array): boolean {
  return (
    a.length === b.length &&
    isSameNumber(a, b) &&
    equal(fromKeyOf(a), fromKeyOf(b)) &&
    equal(toKeyOf(a), toKeyOf(b))
  )
}

/** Whether a control signal is about this signal. */
export function isAbout(control: Uint8Array, frame: Uint8Array): boolean {
  return (
    isSameNumber(control, frame) &&
    equal(fromKeyOf(control), toKeyOf(frame)) &&
    equal(toKeyOf(control), fromKeyOf(frame))
  )
}

function isSameNumber(a: Uint8Array, b: Uint8Array): boolean {
  return (
    counterOf(a) === counterOf(b) &&
    isAckOf(a) === isAckOf(b) &&
    equal(connectionOf(a), connectionOf(b))
  )
}
