/** Gossip: multicast to every node by @dxos/broadcast, fed only with what was checked first. */

import { Broadcast } from '@dxos/broadcast'
import b4a from 'b4a'
import { badFrame, equal, fromHex, toHex } from './bytes.ts'
import { hash } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_PROOF_BYTES, MAX_SEEN_PACKETS, SEEN_PACKETS_MS } from './limits.ts'

/** The largest proof, and the byte before it that says what it is. */
const MAX_DATA_BYTES = MAX_PROOF_BYTES + 1

export interface GossipOptions {
  readonly id: NodeId
  send(neighbour: NodeId, packet: Uint8Array): void
  /** Whether to read a packet of so many bytes from a neighbour at all. */
  takes(neighbour: NodeId, bytes: number): boolean
  /**
   * Looks at data before it is marked as seen and passed on.
   * @returns its origin if it is new and there is time for it, else `undefined`
   * @throws SignalMeshError if it is not what it says
   */
  check(data: Uint8Array, from: NodeId): NodeId | undefined
  /** Takes data that is new here, with the neighbour it came from. */
  deliver(data: Uint8Array, from: NodeId): void
}

export interface Gossip {
  /** Multicasts this node's own data. */
  publish(data: Uint8Array): void
  /** Takes a packet from a neighbour. */
  receive(packet: Uint8Array, from: NodeId): void
  /** Says to whom packets go from now on. */
  setNeighbours(ids: Iterable<NodeId>): void
  close(): void
}

interface Packet {
  readonly seqno: Uint8Array
  readonly origin: Uint8Array
  /** Who passed it on last; it goes to all neighbours but this one. */
  readonly sender: Uint8Array
  readonly data: Uint8Array
}

export function createGossip(options: GossipOptions): Gossip {
  let feed: (packet: Uint8Array) => unknown = () => undefined
  const broadcast = new Broadcast<{ id: Uint8Array }>(
    {
      send: async (packet, neighbour) => options.send(toHex(neighbour.id), packet),
      subscribe: (onPacket) => {
        feed = onPacket
      },
    },
    { id: b4a.from(fromHex(options.id)), maxAge: SEEN_PACKETS_MS, maxSize: MAX_SEEN_PACKETS },
  )
  broadcast.open()
  return {
    publish: (data) => void broadcast.publish(b4a.from(data), { seqno: b4a.from(hash([data])) }),
    receive: (bytes, neighbour) => {
      // Before the hash, which costs the most of all that follows for a packet that is no news.
      if (!options.takes(neighbour, bytes.length)) return
      const packet = readPacket(bytes)
      // A forger who copied origin and number would otherwise silence the real packet.
      if (!equal(packet.seqno, hash([packet.data]))) {
        throw new SignalMeshError('BAD_SIGNATURE', 'A packet is not numbered by its hash')
      }
      // Named as sender, another neighbour would be left out.
      if (toHex(packet.sender) !== neighbour) {
        throw new SignalMeshError('BAD_SIGNATURE', 'A packet names another sender than its bringer')
      }
      const origin = options.check(packet.data, neighbour)
      if (origin === undefined) return
      if (origin !== toHex(packet.origin)) {
        throw new SignalMeshError('BAD_SIGNATURE', 'A packet names another origin than its signer')
      }
      // It answers with the packet if it had not seen it, and has passed it on by then.
      if (feed(bytes)) options.deliver(packet.data, neighbour)
    },
    setNeighbours: (ids) =>
      broadcast.updatePeers([...ids].map((id) => ({ id: b4a.from(fromHex(id)) }))),
    close: () => broadcast.close(),
  }
}

/**
 * Reads the packet's fields as @dxos/broadcast encodes them (Protocol Buffers: seqno 1, origin 2,
 * from 3, data 4, each bytes), so that they are checked before it sees them.
 */
export function readPacket(bytes: Uint8Array): Packet {
  const fields = new Map<number, Uint8Array>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw badFrame('a packet with a broken number')
  }
  while (at < bytes.length) {
    const key = varint()
    const length = varint()
    if ((key & 7) !== 2 || fields.has(key >> 3)) throw badFrame('a packet with an odd field')
    if (length > MAX_DATA_BYTES || at + length > bytes.length) throw badFrame('a packet cut short')
    fields.set(key >> 3, bytes.subarray(at, at + length))
    at += length
  }
  const [seqno, origin, sender, data] = [1, 2, 3, 4].map((field) => fields.get(field))
  if (!seqno || !origin || !sender || !data || fields.size !== 4) throw badFrame('half a packet')
  return { seqno, origin, sender, data }
}
