/** Keep-alive: asks a silent link for a sign of life, and ends it when none comes. */

import type { Clock } from './clock.ts'
import {
  MAX_BUFFERED_BYTES,
  PING_AFTER_MS,
  PONGS_BURST,
  PONGS_PER_SECOND,
  SILENT_AFTER_MS,
} from './limits.ts'
import type { Link } from './link.ts'
import { FRAME, PING, PONG } from './messages.ts'
import { createBucket, take } from './rate.ts'

export interface KeepAlive {
  /** Notes that a frame came; true if it was a ping or pong and is done with. */
  heard(frame: Uint8Array): boolean
  /** Asks for a sign of life now, to see how long it takes. */
  probe(): void
  /** How long the last one took there and back. */
  readonly rttMs: number | undefined
  stop(): void
}

/** A half-open socket tells nobody; only silence does. */
export function keepAlive(
  link: Pick<Link, 'send' | 'close' | 'bufferedBytes'>,
  clock: Clock,
): KeepAlive {
  const pongs = createBucket(PONGS_PER_SECOND, PONGS_BURST)
  let heardAtMs = 0
  let elapsedMs = 0
  let probedAtMs: number | undefined
  let rttMs: number | undefined
  const tick = (): void => {
    elapsedMs += PING_AFTER_MS
    const silentMs = elapsedMs - heardAtMs
    if (silentMs >= SILENT_AFTER_MS) {
      link.close('SILENT')
      return
    }
    if (silentMs >= PING_AFTER_MS) link.send(PING)
    cancel = clock.after(PING_AFTER_MS, tick)
  }
  let cancel = clock.after(PING_AFTER_MS, tick)

  /** Who asks without reading costs no more than any slow reader; one pong answers many pings. */
  const answer = (): void => {
    if (link.bufferedBytes > MAX_BUFFERED_BYTES) link.close('RATE_LIMITED')
    else if (take(pongs, clock.monotonicMs()) === 0) link.send(PONG)
  }

  return {
    heard: (frame) => {
      heardAtMs = elapsedMs
      if (frame.length !== 1) return false
      if (frame[0] === FRAME.ping) answer()
      if (frame[0] === FRAME.pong && probedAtMs !== undefined) {
        rttMs = Math.round(clock.monotonicMs() - probedAtMs)
        probedAtMs = undefined
      }
      return frame[0] === FRAME.ping || frame[0] === FRAME.pong
    },
    probe: () => {
      // What waits in the queue would be measured with it; and one under way is answered for both.
      if (probedAtMs !== undefined || link.bufferedBytes > MAX_BUFFERED_BYTES) return
      probedAtMs = clock.monotonicMs()
      link.send(PING)
    },
    get rttMs() {
      return rttMs
    },
    stop: () => cancel(),
  }
}
