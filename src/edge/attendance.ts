/** The attendance of a room: who is said to be there, and who to have left but may only have moved. */

import type { Clock } from '../clock.ts'
import type { PeerId } from '../identity.ts'

export interface Attendance {
  readonly present: ReadonlySet<PeerId>
  /** How many of them are not said to have left. */
  readonly count: number
  /** Takes a join; gives whether the peer was not there before. */
  joined(peer: PeerId): boolean
  /** Takes a leave. One that is connected still counts as present for a moment. */
  left(peer: PeerId, isConnected: boolean): void
  /** The connection to the peer has ended: what was said of it counts at once. */
  ended(peer: PeerId): void
  /** Whether it is connected, but was said to have left some time ago. */
  isGone(peer: PeerId): boolean
  close(): void
}

/** One that leaves but stays connected may only be on its way to another home. */
const LEAVE_AFTER_MS = 3_000

/** `onGone` is called as each is gone for good. */
export function createAttendance(clock: Clock, onGone: (peer: PeerId) => void): Attendance {
  const present = new Set<PeerId>()
  const leaving = new Map<PeerId, () => void>()
  const gone = new Set<PeerId>()

  /** Whether it was said to have left; that is not held against it any more. */
  const unleave = (peer: PeerId): boolean => {
    leaving.get(peer)?.()
    const wasGone = gone.delete(peer)
    return leaving.delete(peer) || wasGone
  }

  return {
    present,
    get count() {
      return present.size - leaving.size
    },
    joined: (peer) => {
      const isNew = !unleave(peer) && !present.has(peer)
      present.add(peer)
      return isNew
    },
    left: (peer, isConnected) => {
      if (!present.has(peer) || leaving.has(peer)) return
      const depart = (): void => {
        unleave(peer)
        present.delete(peer)
        if (isConnected) gone.add(peer)
        onGone(peer)
      }
      if (isConnected) leaving.set(peer, clock.after(LEAVE_AFTER_MS, depart))
      else depart()
    },
    ended: (peer) => {
      if (unleave(peer)) present.delete(peer)
    },
    isGone: (peer) => gone.has(peer),
    close: () => {
      for (const cancelTimer of leaving.values()) cancelTimer()
    },
  }
}
