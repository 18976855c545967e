/** What a hostile edge says: proofs, requests and signals, signed as they should be or not. */

import { concat, fromHex, utf8, writer } from '../../src/bytes.ts'
import {
  type boxKeyPair,
  randomBytes,
  SIGNATURE_BYTES,
  type SignedType,
  sign,
} from '../../src/crypto.ts'
import type { Identity } from '../../src/identity.ts'
import type { Link } from '../../src/link.ts'
import { decodeHello, FRAME } from '../../src/messages.ts'
import { signAdvert, signPresence } from '../../src/records.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS, encodeSignal, PHASE } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { NETWORK, tagOf } from '../../test/fixtures/samples.ts'
import { editIf, type Step } from './program.ts'
import { TOPIC, type World } from './world.ts'

export interface Socket {
  readonly link: Link
  readonly identity: Identity
  readonly frames: Uint8Array[]
  closed: boolean
  last: Uint8Array | undefined
  requests: number
}

export interface Play {
  readonly world: World
  readonly sockets: Socket[]
  readonly boxKeys: ReturnType<typeof boxKeyPair>
  signed: number
}

export type Do = (play: Play, socket: Socket, step: Step) => void | Promise<void>
export const TTL_MS = 7_200_000
export function signedAnew(
  type: SignedType,
  bytes: Uint8Array,
  step: Step,
  by: Identity,
): Uint8Array {
  const body = editIf(step, true, bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
  return concat(body, sign(type, NETWORK, body, by.keys))
}

export function presenceBytes(play: Play, socket: Socket): Uint8Array {
  const { nodeKey } = decodeHello(socket.frames[0] as Uint8Array)
  const seq = play.world.mesh.clock.nowMs() + play.signed++
  const fields = { homeKey: nodeKey, boxKey: play.boxKeys.publicKey, seq, ttlMs: TTL_MS }
  return signPresence(NETWORK, socket.identity.keys, fields).bytes
}

export function advertBytes(play: Play, socket: Socket, number: number): Uint8Array {
  const seq = play.world.mesh.clock.nowMs() + play.signed++
  const tag = number % 4 === 0 ? topicTag('main', `${TOPIC} of others`) : tagOf(number)
  return signAdvert(NETWORK, socket.identity.keys, {
    tag,
    info: new Uint8Array(number % 64),
    seq,
    ttlMs: TTL_MS,
  }).bytes
}

/** A proof whose signature is good; what `arg` names was edited before it was signed. */
export function proof(play: Play, socket: Socket, step: Step): Uint8Array {
  const hello = socket.frames[0]
  if (!hello) return new Uint8Array(0)
  const { identity } = socket
  const part = step.arg % 4
  const none = { ...step, edits: [] }
  const presence = presenceBytes(play, socket)
  const adverts = Array.from({ length: step.arg >> 6 }, (_, i) => advertBytes(play, socket, i))
  const authority = editIf(part === 0 ? step : none, true, utf8('127.0.0.1:5000'))
  const chosen = editIf(
    part === 3 ? step : none,
    true,
    writer()
      .u16(1)
      .bytes(new Uint8Array(8))
      .bytes(NETWORK)
      .bytes(identity.keys.publicKey)
      .bytes(randomBytes(32))
      .done(),
  )
  const said = writer().bytes(chosen).block(authority.subarray(0, 0xffff)).done()
  const body = writer().block(hello).bytes(said).done()
  const w = writer().u8(FRAME.proof).bytes(said)
  w.bytes(sign('edge-proof', NETWORK, body, identity.keys))
  w.block(blockOf(signedAnew('presence', presence, part === 1 ? step : none, identity)))
  w.u8(adverts.length)
  for (const advert of adverts) {
    w.block(blockOf(signedAnew('advert', advert, part === 2 ? step : none, identity)))
  }
  return w.done()
}

export function request(play: Play, socket: Socket, step: Step): Uint8Array {
  const method = step.arg % 9
  const number = step.arg >> 3
  return writer()
    .u8(FRAME.rpc)
    .u32(2 * ++socket.requests)
    .u8(method)
    .bytes(requestBody(play, socket, step, method, number))
    .done()
}

export function requestBody(
  play: Play,
  socket: Socket,
  step: Step,
  method: number,
  number: number,
): Uint8Array {
  const { identity } = socket
  const w = writer()
  if (method === EDGE_METHOD.advertise) {
    const advert = advertBytes(play, socket, number)
    return w.block(blockOf(signedAnew('advert', advert, step, identity))).done()
  }
  if (method === EDGE_METHOD.renew && socket.frames.length) {
    const presence = presenceBytes(play, socket)
    return w.block(blockOf(signedAnew('presence', presence, step, identity))).done()
  }
  // A topic that nobody asked for before.
  const tag = number % 2 ? randomBytes(32) : tagOf(number)
  const key = method === EDGE_METHOD.lookup ? fromHex(play.world.there.id) : tag
  return editIf(step, true, w.bytes(key).u8(number).done())
}

export function signal(play: Play, socket: Socket, step: Step): Uint8Array {
  const { here, there } = play.world
  const to = [fromHex(here.id), fromHex(there.id), tagOf(1), socket.identity.keys.publicKey]
  const cls = [CLASS.open, CLASS.within, CLASS.control, step.arg][(step.arg >> 2) % 4] as number
  const presence = socket.frames.length ? presenceBytes(play, socket) : new Uint8Array(0)
  const payload = writer().block(presence).bytes(tagOf(2)).bytes(tagOf(3)).bytes(tagOf(4)).done()
  return encodeSignal(NETWORK, {
    class: cls,
    phase: cls === CLASS.open ? PHASE.handshake : PHASE.split,
    from: socket.identity.keys.publicKey,
    to: to[step.arg % 4] as Uint8Array,
    connection: tagOf(step.arg % 5).subarray(0, 16),
    counter: step.arg >> 4,
    payload: editIf(step, true, payload).subarray(0, 32_768),
  })
}

export const blockOf = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, 0xffff)
