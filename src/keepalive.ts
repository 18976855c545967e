/** Keep-alive: asks a silent link for a sign of life, and ends it when none comes. */

import type { Clock } from './clock.ts'
import { PING_AFTER_MS, SILENT_AFTER_MS } from './limits.ts'
import type { Link } from './link.ts'
import { FRAME, PING, PONG } from './messages.ts'

export interface KeepAlive {
  /** Notes that a frame came; true if it was a ping or pong and is done with. */
  heard(frame: Uint8Array): boolean
  stop(): void
}

/** A half-open socket tells nobody; only silence does. */
export function keepAlive(link: Pick<Link, 'send' | 'close'>, clock: Clock): KeepAlive {
  let heardAtMs = 0
  let elapsedMs = 0
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
  return {
    heard: (frame) => {
      heardAtMs = elapsedMs
      if (frame.length !== 1) return false
      if (frame[0] === FRAME.ping) link.send(PONG)
      return frame[0] === FRAME.ping || frame[0] === FRAME.pong
    },
    stop: () => cancel(),
  }
}
