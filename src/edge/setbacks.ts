/** Setbacks: the peers of a room that are not to be called just now, each for longer the more often it failed. */

import type { Clock } from '../clock.ts'
import type { PeerId } from '../identity.ts'

export interface Setbacks {
  /** Whether the peer is left alone for now. */
  isWaiting(peer: PeerId): boolean
  /** Whether others should be tried in its place. */
  isHopeless(peer: PeerId): boolean
  /** Leaves the peer alone for so long, without a failure. */
  hold(peer: PeerId, waitMs: number): void
  /** Leaves it alone for a while; a failure makes the next while longer. */
  later(peer: PeerId, failed: boolean): void
  forget(peer: PeerId): void
  close(): void
}

interface Setback {
  readonly failures: number
  readonly cancelTimer: () => void
  waiting: boolean
}

/** The first and the longest wait before a peer is called again. */
const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 120_000
/** After so many failures in a row the peer is thought out of reach. */
const HOPELESS_AFTER = 3

/** `random` gives 0 to 1 and spreads the waits by half of each; `onOver` is called as each ends. */
export function createSetbacks(clock: Clock, random: () => number, onOver: () => void): Setbacks {
  const setbacks = new Map<PeerId, Setback>()

  const begin = (peer: PeerId, failures: number, waitMs: number): void => {
    setbacks.get(peer)?.cancelTimer()
    const cancelTimer = clock.after(Math.round(waitMs), () => {
      setback.waiting = false
      onOver()
    })
    const setback: Setback = { failures, cancelTimer, waiting: true }
    setbacks.set(peer, setback)
  }

  return {
    isWaiting: (peer) => setbacks.get(peer)?.waiting ?? false,
    isHopeless: (peer) => {
      const { waiting = false, failures = 0 } = setbacks.get(peer) ?? {}
      return waiting && failures >= HOPELESS_AFTER
    },
    hold: (peer, waitMs) => begin(peer, 0, waitMs),
    later: (peer, failed) => {
      const failures = (setbacks.get(peer)?.failures ?? 0) + (failed ? 1 : 0)
      const stepMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 16), RETRY_MAX_MS)
      begin(peer, failures, stepMs * (0.5 + random()))
    },
    forget: (peer) => {
      setbacks.get(peer)?.cancelTimer()
      setbacks.delete(peer)
    },
    close: () => {
      for (const { cancelTimer } of setbacks.values()) cancelTimer()
    },
  }
}
