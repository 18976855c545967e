/** A hostile node: links with a real one under a key of its own, then says and answers what it likes. */

import { concat, toHex, writer } from '../../../src/bytes.ts'
import { boxKeyPair } from '../../../src/crypto.ts'
import { secureLink } from '../../../src/handshake.ts'
import type { Identity } from '../../../src/identity.ts'
import { type Link, linkPair } from '../../../src/link.ts'
import { decodeBye, FRAME } from '../../../src/messages.ts'
import type { MeshNode } from '../../../src/node.ts'
import { NETWORK } from '../../fixtures/samples.ts'
import { packet } from '../../support/attacker.ts'
import { during, type TestMesh } from '../../support/mesh.ts'

export const DATA = { batch: 1, head: 2, proof: 3 } as const

export interface HostileNode {
  readonly identity: Identity
  readonly link: Link
  readonly frames: readonly Uint8Array[]
  /** The code with which the node said goodbye, if it did. */
  readonly bye: string | undefined
  readonly isClosed: boolean
  /** Multicasts what a home signed, or did not sign. */
  gossip(kind: number, signed: { bytes: Uint8Array; homeKey: Uint8Array }): void
  /** The data of all multicasts that came from the node. */
  readonly heard: readonly Uint8Array[]
}

export interface HostileOptions {
  readonly identity: Identity
  readonly remoteAddress?: string
  /** Answers a request; `undefined`: with silence. */
  readonly serve?: (method: number, body: Uint8Array) => Uint8Array | undefined
}

/** Links with a node of the network of the fixtures. */
export async function hostileNode(
  mesh: TestMesh,
  node: MeshNode,
  { identity, remoteAddress = '127.0.0.1', serve }: HostileOptions,
): Promise<HostileNode> {
  const [near, far] = linkPair()
  node.addLink(far, { initiator: false, remoteAddress })
  const about = { initiator: true, identity, boxKeys: boxKeyPair(), networkId: NETWORK }
  const { link } = await during(secureLink(near, { ...about, clock: mesh.clock }), mesh.clock)
  const frames: Uint8Array[] = []
  let isClosed = false
  link.subscribe((frame) => {
    frames.push(frame.slice())
    const view = new DataView(frame.buffer, frame.byteOffset)
    if (frame[0] !== FRAME.rpc || view.getUint32(1) % 2 === 1) return
    const answer = serve?.(frame[5] as number, frame.slice(6))
    if (!answer) return
    link.send(
      writer()
        .u8(FRAME.rpc)
        .u32(view.getUint32(1) + 1)
        .u8(0)
        .bytes(answer)
        .done(),
    )
  })
  void link.closed.then(() => (isClosed = true))
  await mesh.clock.advance(0)
  return {
    identity,
    link,
    frames,
    get bye() {
      const bye = frames.find((frame) => frame[0] === FRAME.bye)
      return bye && decodeBye(bye).code
    },
    get isClosed() {
      return isClosed
    },
    gossip: (kind, { bytes, homeKey }) =>
      link.send(packet(identity.id, toHex(homeKey), concat(Uint8Array.of(kind), bytes))),
    get heard() {
      return frames.filter((frame) => frame[0] === FRAME.gossip)
    },
  }
}
