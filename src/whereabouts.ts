/** Whereabouts: where edges are at home, by the directory and by presences that came before gossip did. */

import { reader } from './bytes.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import type { NodeId, PeerId } from './identity.ts'
import { MAX_CALLERS, MAX_RECORD_BYTES } from './limits.ts'
import { decodePresence, isAuthentic, type Presence } from './records.ts'
import { CLASS, classOf, fromOf, payloadOf } from './signal.ts'
import { isFromFuture, lifeMs } from './skew.ts'

export interface WhereaboutsOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
}

export interface Whereabouts {
  /** The newest presence of an edge that was seen here. */
  presenceOf(peer: PeerId): Presence | undefined
  homeOf(peer: PeerId): NodeId | undefined
  /** Takes the edge's presence as shown by whomever; false if it is forged, too old or no newer. */
  note(presence: Presence, peer: PeerId): boolean
  /** Whether a signal's sender is at home there; an opening signal brings the proof with it. */
  isSentFrom(frame: Uint8Array, home: NodeId): boolean
}

export function createWhereabouts(options: WhereaboutsOptions): Whereabouts {
  const { networkId, directory, clock } = options
  const shown = new Map<PeerId, Presence>()

  const presenceOf = (peer: PeerId): Presence | undefined => {
    const known = directory.locate(peer, clock.monotonicMs())?.presence
    const caller = shown.get(peer)
    if (!caller) return known
    if (!(known && known.seq >= caller.seq) && lifeMs(caller, clock.nowMs()) >= 0) return caller
    // Gossip has caught up: from now on it says too when the edge leaves.
    shown.delete(peer)
    return known
  }

  const note = (presence: Presence, peer: PeerId): boolean => {
    const wallMs = clock.nowMs()
    if (presence.peer !== peer || isFromFuture(presence, wallMs)) return false
    // Long over by its signer's own clock.
    if (lifeMs(presence, wallMs) < 0) return false
    const known = presenceOf(peer)
    if ((known && known.seq >= presence.seq) || !isAuthentic(networkId, presence)) return false
    shown.delete(peer)
    shown.set(peer, presence)
    if (shown.size > MAX_CALLERS) shown.delete(shown.keys().next().value as PeerId)
    return true
  }

  const homeOf = (peer: PeerId): NodeId | undefined => presenceOf(peer)?.home

  return {
    presenceOf,
    homeOf,
    note,
    isSentFrom: (frame, home) => {
      const from = fromOf(frame)
      if (homeOf(from) === home) return true
      if (classOf(frame) !== CLASS.open) return false
      // Gossip may be slower than the signal; so the answer finds back.
      const presence = decodePresence(reader(payloadOf(frame)).block(MAX_RECORD_BYTES))
      return presence.home === home && note(presence, from)
    },
  }
}
