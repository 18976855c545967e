/** What attacks ask of a mesh: a request of a raw edge, a raw signal, who is found in a topic. */

import { writer } from '../../../src/bytes.ts'
import { randomBytes } from '../../../src/crypto.ts'
import { encodePlain, type Item } from '../../../src/edge/items.ts'
import type { Edge } from '../../../src/edge/mod.ts'
import { createSealing, type Sealing } from '../../../src/edge/sealing.ts'
import { FRAME } from '../../../src/messages.ts'
import type { MeshNode } from '../../../src/node.ts'
import { decodePresence, type Presence } from '../../../src/records.ts'
import { EDGE_METHOD } from '../../../src/rpc.ts'
import {
  CLASS,
  classOf,
  encodeSignal,
  readControl,
  type SignalFields,
} from '../../../src/signal.ts'
import { topicKey, topicTag } from '../../../src/topic.ts'
import { during, type TestMesh } from '../../support/mesh.ts'
import { codeOf, NETWORK, provenEdge, type RawEdge } from '../../support/rawedge.ts'

/** What a request of a raw edge comes to: nothing thrown, or the code of its refusal. */
export async function asked(
  mesh: TestMesh,
  raw: RawEdge,
  method: number,
  body: Uint8Array,
): Promise<string> {
  const answer = raw.request(method, body)
  await mesh.clock.advance(0)
  return codeOf(answer)
}

/** Whom an honest edge finds in a topic. */
export async function foundBy(mesh: TestMesh, edge: Edge, topic: string): Promise<string[]> {
  const { peers } = await during(edge.discover(topic), mesh.clock)
  return peers.map(({ id }) => id).sort()
}

/** The presence of a peer, as any edge may ask for it. */
export async function presenceAt(
  mesh: TestMesh,
  node: MeshNode,
  peer: Uint8Array,
): Promise<Presence> {
  const raw = await provenEdge(mesh, node)
  const answer = raw.request(EDGE_METHOD.lookup, peer)
  await mesh.clock.advance(0)
  raw.link.close()
  await mesh.clock.advance(0)
  return decodePresence(answer())
}

export function rawSignal(
  from: RawEdge,
  to: Uint8Array,
  fields: Partial<SignalFields> = {},
): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: 1,
    from: from.identity.keys.publicKey,
    to,
    connection: randomBytes(16),
    counter: 0,
    payload: randomBytes(48),
    ...fields,
  })
}

/** The codes of nodes’ words that came to a raw edge. */
export function wordsTo(raw: RawEdge): string[] {
  const words = raw.ofKind(FRAME.signal).filter((frame) => classOf(frame) === CLASS.control)
  return words.map((frame) => readControl(frame).code)
}

/** A genuine opening of a raw edge to a peer, and its side of the sealing. */
export function opening(
  from: RawEdge,
  to: Presence,
  topic: string,
  connection: Uint8Array = randomBytes(16),
): { frame: Uint8Array; sealing: Sealing } {
  const sealing = createSealing({
    networkId: NETWORK,
    initiator: true,
    connection,
    self: { key: from.identity.keys.publicKey, boxKeys: from.boxKeys },
    remote: { key: to.peerKey, boxKey: to.boxKey },
    tag: topicTag('test', topic),
    topicKey: () => topicKey('test', topic),
  })
  const offer: Item = { kind: 'description', generation: 0, type: 'offer', sdp: 'v=0 nowhere' }
  const plain = encodePlain({ ack: 0, items: [offer] })
  return { frame: sealing.sealOpening(from.presence().bytes, plain), sealing }
}

export const block = (bytes: Uint8Array): Uint8Array => writer().block(bytes).done()
