/** A hostile node: any frames before, during and after the handshake, then any under its keys. */

import { signBatch, signHead } from '../../src/batch.ts'
import { concat, fromHex, reader, utf8, writer } from '../../src/bytes.ts'
import { settle } from '../../src/clock.ts'
import {
  boxKeyPair,
  hash,
  type KeyPair,
  SIGNATURE_BYTES,
  type SignedType,
  sign,
} from '../../src/crypto.ts'
import { SignalMeshError } from '../../src/errors.ts'
import type { Identity } from '../../src/identity.ts'
import type { Link } from '../../src/link.ts'
import { encodeBye, encodeError, FRAME } from '../../src/messages.ts'
import { type Handshake, openNext, prologue, sealNext, startHandshake } from '../../src/noise.ts'
import { NODE_METHOD } from '../../src/rpc.ts'
import { CLASS, encodeSignal, PHASE, stamp } from '../../src/signal.ts'
import {
  advertOf,
  forgedPresence,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  type TestHome,
  tagOf,
  testHome,
} from '../../test/fixtures/samples.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { must, type Target } from './target.ts'
import { checkSent, codeOfArg, inWorld, type World } from './world.ts'

interface Play {
  readonly world: World
  readonly identity: Identity
  /** The hostile node's own log, which it keeps well so that its lies are good ones. */
  readonly home: TestHome
  /** Another home, of which it tells. */
  readonly other: TestHome
  line: Line
  edges: number
  requests: number
  beats: number
}

/** One raw link with its handshake. */
interface Line {
  readonly raw: Link
  readonly initiator: boolean
  readonly handshake: Handshake
  readonly boxKeys: KeyPair
  /** Frames of the handshake that came and were not read yet. */
  readonly inbox: Uint8Array[]
  /** Requests of the node that wait for an answer. */
  readonly asked: Uint8Array[]
  written: boolean
  last: Uint8Array | undefined
  closed: boolean
}

type Do = (play: Play, step: Step) => void | Promise<void>

/** Homes are forgotten after 35 s of silence, at the next heartbeat. */
const QUIET_MS = 62_000
const EPOCH = 1_900_000_000_000

function open(play: Play, initiator: boolean): void {
  const boxKeys = boxKeyPair()
  const raw = play.world.link(!initiator)
  const line: Line = {
    raw,
    initiator,
    boxKeys,
    handshake: startHandshake({
      pattern: 'XX',
      initiator,
      prologue: prologue('link', [writer(2).u16(1).done(), NETWORK]),
      keys: boxKeys,
    }),
    inbox: [],
    asked: [],
    written: false,
    last: undefined,
    closed: false,
  }
  raw.subscribe((frame) => take(line, frame))
  void raw.closed.then(() => {
    line.closed = true
  })
  play.line = line
}

function take(line: Line, frame: Uint8Array): void {
  const { split } = line.handshake
  if (!split) {
    line.inbox.push(frame)
    return
  }
  const plain = openNext(split.rx, frame)
  checkSent(plain)
  if (plain[0] === FRAME.rpc && reader(plain.subarray(1)).u32() % 2 === 0) line.asked.push(plain)
}

// --- the handshake ---

/** The next message that is due of this side, or, where none is, what came is read. */
function advance(play: Play, step: Step): void {
  const { line } = play
  const { handshake, initiator } = line
  if (handshake.split) return
  const message = line.inbox.shift()
  // A node that was shown a bad message may answer with what cannot be read.
  if (message) {
    try {
      handshake.read(message)
    } catch {
      line.raw.close('unreadable')
      return
    }
  } else if (!initiator || line.written) return
  const payload = message || !initiator ? card(play, step) : new Uint8Array(0)
  line.written = true
  if (!handshake.split) sendRaw(line, handshake.write(payload), step)
  // The node's first sealed frames may have come right behind its last message.
  if (handshake.split) for (const frame of line.inbox.splice(0)) take(line, frame)
}

function card({ identity, line }: Play, step: Step): Uint8Array {
  const body = concat(identity.keys.publicKey, line.boxKeys.publicKey)
  const signature = sign('link', NETWORK, body, identity.keys)
  return editIf(step, true, concat(identity.keys.publicKey, signature, new Uint8Array(8))).slice(
    0,
    60_000,
  )
}

function sendRaw(line: Line, frame: Uint8Array, step: Step): void {
  line.last = editIf(step, false, frame)
  line.raw.send(line.last)
}

async function link(play: Play): Promise<void> {
  for (let i = 0; i < 3 && !play.line.handshake.split; i++) {
    advance(play, plainStep(0))
    await settle()
  }
}

// --- after it ---

function say(play: Play, frame: Uint8Array, step: Step): void {
  const { split } = play.line.handshake
  const plain = editIf(step, false, frame)
  if (!split) {
    sendRaw(play.line, plain, plainStep(0))
    return
  }
  play.line.last = plain
  // More than a frame holds is the sender's own business; nobody could seal it here either.
  play.line.raw.send(sealNext(split.tx, plain))
}

/** A structure signed anew after it was edited. */
function signedAnew(type: SignedType, bytes: Uint8Array, step: Step, by: Identity): Uint8Array {
  const body = editIf(step, true, bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
  return concat(body, sign(type, NETWORK, body, by.keys))
}

const homeOf = (play: Play, arg: number): TestHome => (arg % 4 === 3 ? play.other : play.home)

/** Makes a change in a home's log; now and then one that its edges never made. */
function change(play: Play, arg: number): Uint8Array {
  const home = homeOf(play, arg)
  const edge = identityOf(900 + (arg >> 4))
  const seq = play.world.mesh.clock.nowMs() + ++play.edges
  const victim = { ...identityOf(1), id: play.world.here.id }
  const victimKeys = { publicKey: fromHex(victim.id), secretKey: edge.keys.secretKey }
  const ops = [
    [put(presenceOf(edge, home.id, { seq })), put(advertOf(edge, tagOf(arg), { seq }))],
    [put(presenceOf({ ...victim, keys: victimKeys }, home.id, { seq }))],
    [put(forgedPresence(edge, home.id, { seq }))],
    [{ kind: 'remove-peer', peer: arg & 1 ? edge.id : victim.id, seq } as const],
    [put(presenceOf(edge, play.world.node.id, { seq }))],
  ]
  return home.change(...(ops[(arg >> 2) % ops.length] as (typeof ops)[0])).bytes
}

function gossip(play: Play, home: TestHome, kind: number, data: Uint8Array, step: Step): void {
  const whole = concat(Uint8Array.of(kind), data)
  const fields = [hash([whole]), home.identity.keys.publicKey, play.identity.keys.publicKey, whole]
  const w = writer().u8(FRAME.gossip)
  for (const [i, field] of fields.entries()) {
    w.u8((i + 1) * 8 + 2)
    let length = field.length
    for (; length >= 0x80; length >>>= 7) w.u8((length & 0x7f) | 0x80)
    w.u8(length).bytes(field)
  }
  say(play, w.done(), step)
}

function gossipBatch(play: Play, step: Step): void {
  const home = homeOf(play, step.arg)
  const bytes = signedAnew('batch', change(play, step.arg), step, home.identity)
  // One left out now and then, so that the node has to pull.
  if (step.arg % 8 !== 7) gossip(play, home, 1, bytes, step)
}

function gossipHead(play: Play, step: Step): void {
  const home = homeOf(play, step.arg)
  const bytes = signedAnew('head', headOf(play, home), step, home.identity)
  gossip(play, home, 2, bytes, step)
}

function headOf(play: Play, home: TestHome): Uint8Array {
  const { state } = home.log
  return signHead(NETWORK, home.identity.keys, {
    ...state.position,
    beat: ++play.beats,
    headHash: state.headHash,
    stateHash: state.digest.hash(),
    edges: state.claims.size,
    contact: { dhtKey: undefined, urls: ['http://127.0.0.1:4999'] },
  }).bytes
}

/** Signs two different batches for one place in its log. */
function equivocate(play: Play, step: Step): void {
  const { state } = play.home.log
  const batch = signBatch(NETWORK, play.home.identity.keys, {
    epoch: state.position.epoch + (step.arg >> 7),
    index: state.position.index + (step.arg % 3),
    previous: state.headHash,
    stateHash: hash([Uint8Array.of(step.arg)]),
    ops: [],
  })
  gossip(play, play.home, 1, signedAnew('batch', batch.bytes, step, play.identity), step)
}

function request(play: Play, step: Step): void {
  const method = (step.arg % 4) + 1
  const key = step.arg & 4 ? fromHex(play.world.node.id) : play.identity.keys.publicKey
  const body =
    method === NODE_METHOD.heads
      ? new Uint8Array(step.arg >> 3).subarray(0, 32)
      : writer()
          .bytes(key)
          .u64(0)
          .u64(0)
          .u32(step.arg >> 5)
          .done()
  const frame = writer()
    .u8(FRAME.rpc)
    .u32(2 * ++play.requests)
    .u8(method)
  say(play, frame.bytes(editIf(step, true, body)).done(), step)
}

/** Answers what the node has asked: as it should, or with something that only looks so. */
function answer(play: Play, step: Step): void {
  const asked = play.line.asked.shift()
  if (!asked) return
  const id = reader(asked.subarray(1)).u32()
  const isHeads = asked[5] === NODE_METHOD.heads
  const body = step.arg % 8 === 7 ? failure(step) : isHeads ? heads(play, step) : pulled(play, step)
  const frame = writer()
    .u8(FRAME.rpc)
    .u32(id + 1)
  say(play, frame.bytes(editIf(step, true, body)).done(), step)
}

function failure({ arg }: Step): Uint8Array {
  const error = new SignalMeshError(codeOfArg(arg), 'Not from me', { retryAfterMs: arg * 1000 })
  return concat(Uint8Array.of(1), encodeError(error))
}

function heads(play: Play, { arg }: Step): Uint8Array {
  const w = writer()
    .u8(0)
    .u8(arg >> 7)
  const all = [play.home, play.other].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const home of all) {
    const { epoch, index } = home.log.state.position
    w.bytes(fromHex(home.id)).u64(epoch).u64(index)
    w.block(arg & 1 ? headOf(play, home) : new Uint8Array(0))
  }
  return w.done()
}

function pulled(play: Play, { arg }: Step): Uint8Array {
  const home = homeOf(play, arg)
  const last = home.batches.at(-1)
  if (!last || arg % 3 === 0) return Uint8Array.of(0, 0)
  const w = writer().u8(0)
  if (arg % 3 === 1) {
    w.u8(1).u8(arg >> 7)
    for (const batch of home.batches.slice(arg & 8 ? 1 : 0)) w.block(batch.bytes)
    return w.done()
  }
  w.u8(2)
    .u8(arg >> 7)
    .block(last.bytes)
  for (const { presence, adverts } of home.log.state.claims.values()) {
    if (presence) w.u8(1).block(presence.bytes)
    for (const advert of adverts.values()) w.u8(2).block(advert.bytes)
  }
  return w.done()
}

function signal(play: Play, step: Step): void {
  const { arg } = step
  const edge = identityOf(900 + (arg >> 4))
  const seq = play.world.mesh.clock.nowMs() + ++play.edges
  const presence = presenceOf(edge, play.identity.id, { seq })
  const payload = writer().block(presence.bytes).bytes(tagOf(1)).bytes(tagOf(2)).done()
  const cls = [CLASS.open, CLASS.within, CLASS.control, arg][arg % 4] as number
  const { here, there } = play.world
  const frame = encodeSignal(NETWORK, {
    class: cls,
    phase: PHASE.handshake,
    from: edge.keys.publicKey,
    to: [fromHex(here.id), fromHex(there.id), tagOf(3)][(arg >> 2) % 3] as Uint8Array,
    connection: tagOf(arg % 5).subarray(0, 16),
    counter: arg,
    payload: editIf(step, true, payload).subarray(0, 32_768),
  })
  stamp(frame, play.identity.keys.publicKey, 2)
  say(play, frame, step)
}

const STEPS: readonly Do[] = [
  advance,
  (play, step) => sendRaw(play.line, tagOf(step.arg), step),
  ({ line }, step) => {
    if (line.last && !line.handshake.split) sendRaw(line, line.last, step)
  },
  ({ world }, step) => world.mesh.clock.advance(step.arg * 40),
  ({ line }) => line.raw.close('left'),
  (play, step) => open(play, step.arg % 2 === 0),
  (play) => link(play),
  gossipBatch,
  gossipHead,
  equivocate,
  request,
  answer,
  signal,
  (play, step) => say(play, Uint8Array.of(step.arg), step),
  (play, step) => {
    const bye = new SignalMeshError(codeOfArg(step.arg), 'Bye')
    say(play, encodeBye(bye), step)
  },
  (play, step) => {
    const { last } = play.line
    for (let i = 0; last && i < step.arg * 2; i++) say(play, last, plainStep(0))
  },
  (play, step) => say(play, concat(Uint8Array.of(FRAME.gossip), utf8('packet')), step),
]

let plays = 0

async function play(world: World, input: Uint8Array, linked: boolean): Promise<void> {
  const { clock } = world.mesh
  // Homes that the node has never heard of, or their old lies would stand in the way of new ones.
  const home = testHome(500_000 + plays++, EPOCH)
  const other = testHome(500_000 + plays++, EPOCH)
  const fields = { home, other, identity: home.identity, edges: 0, requests: 0, beats: 0 }
  const play = { world, ...fields } as unknown as Play
  const lines: Line[] = []
  open(play, (input.length & 1) === 0)
  if (linked) await link(play)
  for (const step of readProgram(input)) {
    if (lines.at(-1) !== play.line) lines.push(play.line)
    await (STEPS[step.kind % STEPS.length] as Do)(play, step)
    await clock.advance(0)
  }
  if (lines.at(-1) !== play.line) lines.push(play.line)
  for (const line of lines) line.raw.close('over')
  await world.check(QUIET_MS)
  for (const line of lines) {
    must(line.closed, 'A link is open after it was closed')
    line.handshake.destroy()
  }
  for (const one of [home, other]) one.log.close()
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const mutate = mutateProgram(STEPS.length)

export const linkTarget: Target = {
  name: 'link',
  weight: 6,
  batch: 1,
  seeds: [
    steps([0], [0], [0], [13, FRAME.ping]),
    steps([1], [0], [3, 0xff]),
    steps([0], [2], [0], [2]),
    steps([5, 1], [0], [0], [4], [5], [0]),
    steps([3, 0xff], [0]),
  ],
  mutate,
  ...inWorld(300, (world, input) => play(world, input, false)),
}

const all = Array.from({ length: 16 }, (_, i) => [7, i * 4 + (i % 4)] as const)

export const neighbourTarget: Target = {
  name: 'neighbour',
  weight: 14,
  batch: 1,
  seeds: [
    steps([11, 1], [8], ...all, [8], [8, 3]),
    steps([7], [7, 4], [7, 7], [7], [11, 1], [11, 1], [11, 2], [8]),
    steps([7], [9, 1], [8], [9, 0x81]),
    steps([7], [7], [11, 1], [11, 1], [11, 4], [11, 4]),
    steps([7], [7], [11, 1], [11, 2], [11, 5], [11, 2]),
    steps(...Array.from({ length: 12 }, (_, i) => [12, i] as const)),
    steps([10, 0], [10, 1], [10, 5], [10, 2], [13, 7], [14, 68]),
    steps([12], [15, 0xff], [10], [15, 0xff], [4], [5], [6], [8]),
    steps([16], [3, 0xff], [3, 0xff]),
  ],
  mutate,
  ...inWorld(250, (world, input) => play(world, input, true)),
}
