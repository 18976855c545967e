/** A hostile edge at a node: any frames in any order, before and after a good proof. */

import { concat, fromHex, utf8, writer } from '../../src/bytes.ts'
import {
  boxKeyPair,
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
import { identityOf, NETWORK, tagOf } from '../../test/fixtures/samples.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { must, type Target } from './target.ts'
import { checkSent, inWorld, TOPIC, type World } from './world.ts'

interface Socket {
  readonly link: Link
  readonly identity: Identity
  readonly frames: Uint8Array[]
  closed: boolean
  last: Uint8Array | undefined
  requests: number
}

interface Play {
  readonly world: World
  readonly sockets: Socket[]
  readonly boxKeys: ReturnType<typeof boxKeyPair>
  signed: number
}

type Do = (play: Play, socket: Socket, step: Step) => void | Promise<void>

const TTL_MS = 7_200_000
/** After this, time-outs of proofs, dials and requests have all run out. */
const QUIET_MS = 25_000
const MAX_SOCKETS = 4

const STEPS: readonly Do[] = [
  (play, socket, step) => sendFrame(socket, proof(play, socket, step), step),
  (play, socket, step) => sendFrame(socket, request(play, socket, step), step),
  (play, socket, step) => sendFrame(socket, signal(play, socket, step), step),
  (_play, socket, step) => sendFrame(socket, Uint8Array.of(step.arg), step),
  (_play, socket, step) => sendFrame(socket, socket.last ?? utf8(TOPIC), step),
  (_play, socket, step) => {
    for (let i = 0; i < step.arg * 3; i++) if (socket.last) socket.link.send(socket.last)
  },
  ({ world }, _socket, step) => world.mesh.clock.advance(step.arg * 60),
  (play, _socket, step) => {
    if (play.sockets.length < MAX_SOCKETS) open(play, step.arg)
  },
  (_play, socket) => socket.link.close('left'),
]

const KIND = {
  proof: 0,
  request: 1,
  signal: 2,
  byte: 3,
  again: 4,
  flood: 5,
  wait: 6,
  open: 7,
  close: 8,
}

async function play(world: World, input: Uint8Array): Promise<void> {
  const play: Play = { world, sockets: [], boxKeys: boxKeyPair(), signed: 0 }
  open(play, 0)
  await world.mesh.clock.advance(0)
  for (const step of readProgram(input)) {
    const socket = play.sockets.at(-1) as Socket
    await (STEPS[step.kind % STEPS.length] as Do)(play, socket, step)
    await world.mesh.clock.advance(0)
  }
  for (const { link } of play.sockets) link.close('over')
  await world.check(QUIET_MS)
  for (const socket of play.sockets) checkSocket(socket)
}

function open(play: Play, arg: number): void {
  const link = play.world.dial()
  const socket: Socket = {
    link,
    identity: identityOf(700 + (arg % 3)),
    frames: [],
    closed: false,
    last: undefined,
    requests: 0,
  }
  link.subscribe((frame) => void socket.frames.push(frame))
  void link.closed.then(() => {
    socket.closed = true
  })
  play.sockets.push(socket)
}

function checkSocket(socket: Socket): void {
  must(socket.closed, 'A socket is open after it was closed')
  must(socket.frames[0]?.[0] === FRAME.hello, 'A node does not begin with its hello')
  for (const frame of socket.frames) checkSent(frame)
  const byes = socket.frames.findIndex((frame) => frame[0] === FRAME.bye)
  must(byes < 0 || byes === socket.frames.length - 1, 'A frame comes after the goodbye')
}

function sendFrame(socket: Socket, frame: Uint8Array, step: Step): void {
  socket.last = editIf(step, false, frame)
  socket.link.send(socket.last)
}

/** Signs a body anew, after it was edited. */
function signedAnew(type: SignedType, bytes: Uint8Array, step: Step, by: Identity): Uint8Array {
  const body = editIf(step, true, bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
  return concat(body, sign(type, NETWORK, body, by.keys))
}

function presenceBytes(play: Play, socket: Socket): Uint8Array {
  const { nodeKey } = decodeHello(socket.frames[0] as Uint8Array)
  const seq = play.world.mesh.clock.nowMs() + play.signed++
  const fields = { homeKey: nodeKey, boxKey: play.boxKeys.publicKey, seq, ttlMs: TTL_MS }
  return signPresence(NETWORK, socket.identity.keys, fields).bytes
}

function advertBytes(play: Play, socket: Socket, number: number): Uint8Array {
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
function proof(play: Play, socket: Socket, step: Step): Uint8Array {
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

function request(play: Play, socket: Socket, step: Step): Uint8Array {
  const method = step.arg % 9
  const number = step.arg >> 3
  return writer()
    .u8(FRAME.rpc)
    .u32(2 * ++socket.requests)
    .u8(method)
    .bytes(requestBody(play, socket, step, method, number))
    .done()
}

function requestBody(
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

function signal(play: Play, socket: Socket, step: Step): Uint8Array {
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

const blockOf = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, 0xffff)

function seeds(): Uint8Array[] {
  const { proof, request, signal, flood, wait, open, close, again } = KIND
  const all = Array.from({ length: 8 }, (_, method) => plainStep(request, method + 8))
  const signals = Array.from({ length: 16 }, (_, i) => plainStep(signal, i))
  return [
    [plainStep(proof), ...all, ...signals],
    [plainStep(proof, 0xc0), plainStep(request, 3), plainStep(flood, 0xff), plainStep(wait, 0xff)],
    [plainStep(proof), plainStep(open), plainStep(proof), plainStep(close), plainStep(request, 7)],
    [plainStep(wait, 0xff), plainStep(proof)],
    [plainStep(request, 3), plainStep(proof)],
    [plainStep(proof), plainStep(signal, 1), plainStep(flood, 0xff), plainStep(again)],
    [plainStep(proof), plainStep(request, 13), plainStep(close), plainStep(open), plainStep(proof)],
  ].map(writeProgram)
}

export const sessionTarget: Target = {
  name: 'session',
  weight: 14,
  batch: 1,
  seeds: seeds(),
  mutate: mutateProgram(STEPS.length),
  ...inWorld(400, play),
}
