/** The overlay of a room: which of its peers each one connects to where there are too many for all. */

import type { PeerId } from '../identity.ts'

/**
 * The peers that `self` should be connected to: all, or where that is more than `maxPeers`, its nearest
 * on the ring of ids, half of them on each side. Whoever sees the same peers chooses the same pairs, the
 * graph is connected from `maxPeers` 2 on, and from 4 on stays so without any one peer.
 */
export function wantedPeers(
  self: PeerId,
  others: Iterable<PeerId>,
  maxPeers: number,
): ReadonlySet<PeerId> {
  const ring = [...new Set(others).add(self)].sort()
  const at = ring.indexOf(self)
  const peerAt = (step: number): PeerId => ring.at((at + step) % ring.length) as PeerId
  const wanted = new Set<PeerId>()
  if (ring.length - 1 <= maxPeers) {
    for (const peer of ring) wanted.add(peer)
  } else if (maxPeers === 1) {
    // One each makes pairs: the first with the second, the third with the fourth.
    const partner = ring[at ^ 1]
    if (partner !== undefined) wanted.add(partner)
  } else {
    for (let step = 1; step <= Math.floor(maxPeers / 2); step++) {
      wanted.add(peerAt(step)).add(peerAt(-step))
    }
  }
  wanted.delete(self)
  return wanted
}
