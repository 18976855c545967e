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
  /** Of whom a packet was that has been here. */
  originOf(id: string): NodeId | undefined
  /** Remembers a packet, whole where data is given. */
  add(id: string, origin: NodeId, data?: Uint8Array): void
  /** The packet if it is still here, once for each neighbour: who asks again gets nothing. */
  giveTo(neighbour: NodeId, id: string): Kept | undefined
}

export function createSeen(clock: Clock): Seen {
  /** The eldest first. */
  const seen = new Map<string, { readonly origin: NodeId; readonly atMs: number }>()
  const whole = new Map<string, Kept & { given?: Set<NodeId> }>()
  let bytes = 0

  const drop = (id: string): void => {
    bytes -= whole.get(id)?.data.length ?? 0
    whole.delete(id)
  }

  const forget = (): void => {
    for (const [id, { atMs }] of seen) {
      const isOld = clock.monotonicMs() - atMs >= SEEN_PACKETS_MS
      if (!isOld && seen.size <= MAX_SEEN_PACKETS) break
      seen.delete(id)
      drop(id)
    }
    for (const id of whole.keys()) {
      if (bytes <= MAX_KEPT_PACKETS_BYTES) break
      drop(id)
    }
  }

  return {
    originOf: (id) => seen.get(id)?.origin,
    add: (id, origin, data) => {
      if (!seen.has(id)) seen.set(id, { origin, atMs: clock.monotonicMs() })
      if (data && !whole.has(id)) {
        // A copy: what came over a link may be part of a larger buffer.
        whole.set(id, { origin, data: data.slice() })
        bytes += data.length
      }
      forget()
    },
    giveTo: (neighbour, id) => {
      const packet = whole.get(id)
      if (!packet || packet.given?.has(neighbour)) return undefined
      packet.given ??= new Set()
      packet.given.add(neighbour)
      return packet
    },
  }
}
