/** Gossip: multicast to every node by @dxos/broadcast over a tree, fed only with what was checked first. */

import { Broadcast } from '@dxos/broadcast'
import b4a from 'b4a'
import { badFrame, concat, equal, fromHex, toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { hash } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_PROOF_BYTES, MAX_SEEN_PACKETS, SEEN_PACKETS_MS } from './limits.ts'
import { createSeen } from './seen.ts'
import { createTree } from './tree.ts'

/** The largest proof, and the byte before it that says what it is. */
const MAX_DATA_BYTES = MAX_PROOF_BYTES + 1

export interface GossipOptions {
  readonly id: NodeId
  readonly clock: Clock
  send(neighbour: NodeId, packet: Uint8Array): void
  /** Sends a frame of the tree. */
  sendWord(neighbour: NodeId, frame: Uint8Array): void
  /** Whether to read a packet of so many bytes from a neighbour at all. */
  takes(neighbour: NodeId, bytes: number): boolean
  /**
   * Looks at data before it is marked as seen and passed on.
   * @throws SignalMeshError if it is not what it says
   */
  check(data: Uint8Array, from: NodeId): Verdict
  /** Takes data that is new here, with the neighbour it came from. */
  deliver(data: Uint8Array, from: NodeId): void
}

/**
 * What becomes of data: news of its origin; `done`, nothing more to be had of it; `later`, there was no
 * time, and another copy is welcome.
 */
export type Verdict = { readonly origin: NodeId } | 'done' | 'later'

export interface Gossip {
  /** Multicasts this node's own data. */
  publish(data: Uint8Array): void
  /** Takes a packet from a neighbour. */
  receive(packet: Uint8Array, from: NodeId): void
  /** Takes a neighbour's word about the tree. */
  receiveWord(frame: Uint8Array, from: NodeId): void
  /** The neighbours to whom all packets go at once: with those of all nodes a tree. */
  readonly eager: readonly NodeId[]
  /** Says which neighbours there are from now on. */
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
  let eager: readonly NodeId[] = []
  const seen = createSeen(options.clock)
  const tree = createTree({
    clock: options.clock,
    send: options.sendWord,
    has: (id) => seen.originOf(id) !== undefined,
    give: (neighbour, id) => {
      const kept = seen.giveTo(neighbour, id)
      if (!kept) return
      const [origin, sender] = [fromHex(kept.origin), fromHex(options.id)]
      const { data } = kept
      options.send(neighbour, writePacket({ seqno: fromHex(id), origin, sender, data }))
    },
    setEager: (ids) => {
      eager = ids
      broadcast.updatePeers(ids.map((id) => ({ id: b4a.from(fromHex(id)) })))
    },
  })

  return {
    publish: (data) => {
      const seqno = b4a.from(hash([data]))
      const id = toHex(seqno)
      seen.add(id, options.id, data)
      tree.news(id, undefined, options.id)
      void broadcast.publish(b4a.from(data), { seqno })
    },
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
      const id = toHex(packet.seqno)
      const origin = toHex(packet.origin)
      // Not a proof that comes back from who believes it as its own: that is no sign of a second way.
      if (seen.originOf(id) === origin) tree.repeated(neighbour, origin)
      const verdict = options.check(packet.data, neighbour)
      if (verdict === 'later') return
      tree.settle(id)
      if (verdict === 'done') {
        seen.add(id, origin)
        return
      }
      if (verdict.origin !== origin) {
        throw new SignalMeshError('BAD_SIGNATURE', 'A packet names another origin than its signer')
      }
      seen.add(id, origin, packet.data)
      tree.news(id, neighbour, origin)
      // It answers with the packet if it had not seen it, and has passed it on by then.
      if (feed(bytes)) options.deliver(packet.data, neighbour)
    },
    receiveWord: tree.receive,
    get eager() {
      return eager
    },
    setNeighbours: tree.setNeighbours,
    close: () => {
      tree.close()
      broadcast.close()
    },
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

/** Writes a packet as @dxos/broadcast would. */
export function writePacket({ seqno, origin, sender, data }: Packet): Uint8Array {
  const fields = [seqno, origin, sender, data].flatMap((value, i) => {
    const head = [((i + 1) << 3) | 2]
    let length = value.length
    for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
    return [Uint8Array.of(...head, length), value]
  })
  return concat(...fields)
}
