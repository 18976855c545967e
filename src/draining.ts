/** Draining: the edges of a node that is to stop are told to move, few at a time, until all are at home elsewhere. */

import type { Clock } from './clock.ts'
import type { PeerId } from './identity.ts'
import { DRAIN_TICK_MS } from './limits.ts'

export interface DrainOptions {
  readonly clock: Clock
  /** The edges that are at home here. */
  readonly peers: readonly PeerId[]
  /** How many may come to other homes in a second. */
  readonly perSecond: number
  /** Tells an edge to move. */
  tell(peer: PeerId): void
  /** Whether the mesh knows it at another home. */
  hasMoved(peer: PeerId): boolean
}

/** What has come of it. */
export interface Drained {
  readonly moved: number
  /** Those not told, or not seen elsewhere in time: they may have gone for good. */
  readonly left: number
}

/** Resolves when all have moved, or the time is up. */
export function drainEdges(options: DrainOptions, withinMs: number): Promise<Drained> {
  const { clock, peers, perSecond, tell, hasMoved } = options
  const endMs = clock.monotonicMs() + withinMs
  const atOnce = Math.max(1, Math.floor((perSecond * DRAIN_TICK_MS) / 1000))
  const waiting = new Set<PeerId>()
  let next = 0
  return new Promise((resolve) => {
    const tick = (): void => {
      for (const peer of waiting) if (hasMoved(peer)) waiting.delete(peer)
      const told = peers.slice(next, next + atOnce)
      next += told.length
      for (const peer of told) {
        waiting.add(peer)
        tell(peer)
      }
      const left = waiting.size + peers.length - next
      if (left === 0 || clock.monotonicMs() >= endMs) {
        resolve({ moved: peers.length - left, left })
      } else clock.after(DRAIN_TICK_MS, tick)
    }
    tick()
  })
}
