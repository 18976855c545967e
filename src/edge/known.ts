/** Known: the presences that this edge has found authentic, so that it checks none twice and calls without asking. */

import { equal } from '../bytes.ts'
import type { PeerId } from '../identity.ts'
import { MAX_KNOWN_PRESENCES } from '../limits.ts'
import { isAuthentic, type Presence } from '../records.ts'

export interface Known {
  /** Whether the peer signed it. It is remembered then, if it is the newest of the peer. */
  isAuthentic(presence: Presence): boolean
  /** Whether it was found authentic before, to the byte. */
  has(presence: Presence): boolean
  get(peer: PeerId): Presence | undefined
}

export function createKnown(networkId: Uint8Array): Known {
  /** The one last heard of comes last. */
  const newest = new Map<PeerId, Presence>()

  const keep = (presence: Presence): void => {
    newest.delete(presence.peer)
    newest.set(presence.peer, presence)
    const [eldest] = newest.keys()
    if (eldest !== undefined && newest.size > MAX_KNOWN_PRESENCES) newest.delete(eldest)
  }

  const has = ({ peer, bytes }: Presence): boolean => {
    const known = newest.get(peer)
    return known !== undefined && equal(known.bytes, bytes)
  }

  return {
    has,
    isAuthentic: (presence) => {
      const known = newest.get(presence.peer)
      // The same bytes, with the same signature: what was good of them is good still.
      const isGood = has(presence) || isAuthentic(networkId, presence)
      if (isGood && (!known || known.seq <= presence.seq)) keep(presence)
      return isGood
    },
    get: (peer) => newest.get(peer),
  }
}
