/** The packets seen lately, and the newest of them whole, for neighbours that missed one. */

import type { Clock } from './clock.ts'
import type { NodeId } from './identity.ts'
import { MAX_KEPT_PACKETS_BYTES, MAX_SEEN_PACKETS, SEEN_PACKETS_MS } from './limits.ts'

/** A packet without the neighbour that brought it. */
export interface Kept {
  readonly origin: NodeId
  readonly data: Uint8Array
}

export interface Seen {
  has(id: string): boolean
  /** Remembers a packet, whole if it may be asked for. */
  add(id: string, packet?: Kept): void
  /** The packet if it is still here, once for each neighbour: who asks again gets nothing. */
  giveTo(neighbour: NodeId, id: string): Kept | undefined
}

interface Whole extends Kept {
  readonly given: Set<NodeId>
}

export function createSeen(clock: Clock): Seen {
  /** When each was seen, the eldest first. */
  const seen = new Map<string, number>()
  const whole = new Map<string, Whole>()
  let bytes = 0

  const forget = (): void => {
    for (const [id, atMs] of seen) {
      const isOld = clock.monotonicMs() - atMs >= SEEN_PACKETS_MS
      if (!isOld && seen.size <= MAX_SEEN_PACKETS) break
      seen.delete(id)
    }
    for (const [id, { data }] of whole) {
      if (bytes <= MAX_KEPT_PACKETS_BYTES) break
      whole.delete(id)
      bytes -= data.length
    }
  }

  return {
    has: (id) => seen.has(id),
    add: (id, packet) => {
      if (!seen.has(id)) seen.set(id, clock.monotonicMs())
      if (packet && !whole.has(id)) {
        // A copy: what came over a link is part of a larger buffer.
        whole.set(id, { origin: packet.origin, data: packet.data.slice(), given: new Set() })
        bytes += packet.data.length
      }
      forget()
    },
    giveTo: (neighbour, id) => {
      const packet = whole.get(id)
      if (!packet || packet.given.has(neighbour)) return undefined
      packet.given.add(neighbour)
      return packet
    },
  }
}
