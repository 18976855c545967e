/** An attacker: a neighbour that proved its NodeId and then sends what it likes. */

import { concat, fromHex, toHex } from '../../src/bytes.ts'
import { settle } from '../../src/clock.ts'
import { boxKeyPair, hash } from '../../src/crypto.ts'
import { readPacket } from '../../src/gossip.ts'
import { secureLink } from '../../src/handshake.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { decodeBye, FRAME } from '../../src/messages.ts'
import { identityOf, NETWORK } from '../fixtures/samples.ts'
import { type VirtualMesh, type VirtualNode, virtualMesh } from './nodes.ts'

export interface Attacker {
  readonly id: string
  /** Sends a frame of its own making over the sealed link. */
  send(frame: Uint8Array): void
  /** Multicasts what a home signed, or did not sign. */
  gossip(kind: number, signed: { bytes: Uint8Array; homeKey: Uint8Array }): void
  /** The code with which the node said goodbye, if it did. */
  bye(): string | undefined
  /** How many multicasts of that kind came from the node. */
  heard(kind: number): number
}

export interface World {
  readonly mesh: VirtualMesh
  /** The node that is attacked, and one behind it. */
  readonly node: VirtualNode
  readonly next: VirtualNode
  readonly attack: Attacker
}

export async function world(): Promise<World> {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  await settle()
  return { mesh, node, next, attack: await attacker(mesh, node, 70) }
}

/** A neighbour that proved its NodeId, and then sends what it likes. */
export async function attacker(
  mesh: VirtualMesh,
  node: VirtualNode,
  number: number,
): Promise<Attacker> {
  const identity = identityOf(number)
  const [near, far] = linkPair()
  void node.mesh.neighbours.add(far, { initiator: false, remoteAddress: '192.0.2.66' })
  const options = { initiator: true, identity, boxKeys: boxKeyPair(), networkId: NETWORK }
  const { link } = await secureLink(near, { ...options, clock: mesh.clock })
  let bye: string | undefined
  const kinds: (number | undefined)[] = []
  link.subscribe((frame) => {
    if (frame[0] === FRAME.bye) bye = decodeBye(frame).code
    if (frame[0] === FRAME.gossip) kinds.push(readPacket(frame.subarray(1)).data[0])
  })
  await settle()
  return {
    id: identity.id,
    ...sender(link, identity.id),
    bye: () => bye,
    heard: (kind) => kinds.filter((one) => one === kind).length,
  }
}

function sender(link: Link, id: string): Pick<Attacker, 'send' | 'gossip'> {
  return {
    send: (frame) => link.send(frame),
    gossip: (kind, { bytes, homeKey }) =>
      link.send(packet(id, toHex(homeKey), concat(Uint8Array.of(kind), bytes))),
  }
}

/** A multicast packet, numbered by its hash as it must be. */
export function packet(senderId: string, origin: string, data: Uint8Array): Uint8Array {
  const fields = [hash([data]), fromHex(origin), fromHex(senderId), data]
  return concat(
    Uint8Array.of(FRAME.gossip),
    ...fields.flatMap((value, i) => [fieldHead(i + 1, value.length), value]),
  )
}

/** Number and length before a field of bytes, as Protocol Buffers has it. */
function fieldHead(field: number, length: number): Uint8Array {
  const low = (length & 127) | 128
  return Uint8Array.of(field * 8 + 2, low, ((length >> 7) & 127) | 128, length >> 14)
}
