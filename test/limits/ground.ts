/** The ground of the cases: a mesh with honest edges, strangers beside them, and whether all goes on. */

import { concat, fromHex, writer } from '../../src/bytes.ts'
import { boxKeyPair, hash, randomBytes } from '../../src/crypto.ts'
import { secureLink } from '../../src/handshake.ts'
import { type Identity, makeIdentity } from '../../src/identity.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { decodeBye, decodeFound, FRAME } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS, encodeSignal, type SignalFields } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { assert } from '../harness/suite.ts'
import { during, type TestMesh, testMesh } from '../support/mesh.ts'
import { NETWORK, provenEdge, type RawEdge } from '../support/rawedge.ts'
import { TAKEN } from './case.ts'

const ROOM = topicTag('test', 'room')

export interface Ground {
  readonly mesh: TestMesh
  /** The node that is tried, home of `honest`. */
  readonly node: MeshNode
  readonly honest: RawEdge
}

/** Tries something on a node of two, and sees that an edge here and one beside still find each other. */
export async function beside(body: (ground: Ground) => Promise<string>): Promise<string> {
  const mesh = await testMesh(2)
  const [node, other] = mesh.nodes as [MeshNode, MeshNode]
  const honest = await provenEdge(mesh, node, { remoteAddress: '192.0.2.77' })
  const friend = await provenEdge(mesh, other, { remoteAddress: '192.0.2.78' })
  const outcome = await body({ mesh, node, honest })
  await goesOn(mesh, honest, friend)
  await mesh.close()
  return outcome
}

/** One edge comes into a room, the other finds it there and sends it a signal. */
async function goesOn(mesh: TestMesh, honest: RawEdge, friend: RawEdge): Promise<void> {
  const { bytes } = friend.advert(ROOM)
  const put = friend.request(EDGE_METHOD.advertise, writer().block(bytes).done())
  await mesh.clock.advance(100)
  put()
  const find = honest.request(EDGE_METHOD.discover, writer().bytes(ROOM).u8(8).done())
  await mesh.clock.advance(0)
  assert.equal(
    decodeFound(find()).found.map(({ presence }) => presence.peer),
    [friend.identity.id],
    'an edge beside is still found',
  )
  const before = friend.ofKind(FRAME.signal).length
  await honest.send(signalTo(honest, friend))
  assert.is(friend.ofKind(FRAME.signal).length, before + 1, 'a signal still gets there')
}

export function signalTo(
  from: RawEdge,
  to: RawEdge,
  fields: Partial<SignalFields> = {},
): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: 1,
    from: from.identity.keys.publicKey,
    to: to.identity.keys.publicKey,
    connection: randomBytes(16),
    counter: 0,
    payload: randomBytes(32),
    ...fields,
  })
}

/** What a request of a raw edge comes to: `taken`, or the code of its refusal. */
export async function asked(
  mesh: TestMesh,
  raw: RawEdge,
  method: number,
  body: Uint8Array,
): Promise<string> {
  const answer = raw.request(method, body)
  await mesh.clock.advance(0)
  try {
    answer()
    return TAKEN
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** A node that links like any other and then says what it likes. */
export interface Stranger {
  readonly identity: Identity
  readonly link: Link
  readonly frames: readonly Uint8Array[]
  /** The code with which the other node ended the link; empty while it has not. */
  readonly refusal: string
}

export async function stranger(
  mesh: TestMesh,
  node: MeshNode,
  from: { identity?: Identity; address?: string } = {},
): Promise<Stranger> {
  const { identity = makeIdentity(), address = '203.0.113.9' } = from
  const [near, far] = linkPair()
  node.addLink(far, { initiator: false, remoteAddress: address })
  const { clock } = mesh
  const about = { initiator: true, identity, boxKeys: boxKeyPair(), networkId: NETWORK, clock }
  const { link } = await during(secureLink(near, about), clock)
  const frames: Uint8Array[] = []
  let ended = ''
  link.subscribe((frame) => void frames.push(frame.slice()))
  void link.closed.then((reason) => (ended = reason))
  await clock.advance(0)
  return {
    identity,
    link,
    frames,
    get refusal() {
      const bye = frames.find((frame) => frame[0] === FRAME.bye)
      return bye ? decodeBye(bye).code : ended
    },
  }
}

/** Multicast data as a frame of the node that brings it, who is also its origin. */
export function gossipOf(from: Identity, kind: number, signed: Uint8Array): Uint8Array {
  const data = concat(Uint8Array.of(kind), signed)
  return concat(Uint8Array.of(FRAME.gossip), packetOf(from.id, from.id, data))
}

/** A packet of @dxos/broadcast. */
export function packetOf(origin: string, sender: string, data: Uint8Array): Uint8Array {
  return concat(
    field(1, hash([data])),
    field(2, fromHex(origin)),
    field(3, fromHex(sender)),
    field(4, data),
  )
}

/** A field of bytes as Protocol Buffers has it. */
function field(number: number, value: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let left = value.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  return concat(Uint8Array.of(number * 8 + 2), Uint8Array.from(length), value)
}
