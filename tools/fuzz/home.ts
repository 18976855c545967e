/** A hostile home: any frames to an edge that also knows a good home, and whatever its application does meanwhile. */

import { concat, reader, toHex, utf8, writer } from '../../src/bytes.ts'
import { boxKeyPair, type KeyPair, sign } from '../../src/crypto.ts'
import { encodePlain, type Item } from '../../src/edge/items.ts'
import { joinOn } from '../../src/edge/join.ts'
import type { Edge } from '../../src/edge/mod.ts'
import { createSealing, type Sealing } from '../../src/edge/sealing.ts'
import { SignalMeshError } from '../../src/errors.ts'
import type { Identity } from '../../src/identity.ts'
import { type Link, linkPair } from '../../src/link.ts'
import {
  decodeProof,
  encodeBye,
  encodeError,
  encodeFound,
  encodeHello,
  encodePush,
  FRAME,
} from '../../src/messages.ts'
import { type Advert, type Presence, signAdvert, signPresence } from '../../src/records.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS, classOf, connectionOf, encodeControl, toOf } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { identityOf, NETWORK, tagOf } from '../../test/fixtures/samples.ts'
import { rtcWorld } from '../../test/support/rtc.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { checkError, Finding, must, type Target } from './target.ts'
import { codeOfArg, inWorld, TOPIC, type World } from './world.ts'

interface Play {
  readonly world: World
  readonly evil: Identity
  /** The socket of the edge that is open now. */
  link: Link | undefined
  challenge: Uint8Array
  /** What the edge has said, newest last. */
  proof: Uint8Array | undefined
  readonly asked: Uint8Array[]
  readonly signals: Uint8Array[]
  readonly calls: { sealing: Sealing; from: Identity; counter: number; acks: number }[]
  last: Uint8Array | undefined
  edge: Edge | undefined
  readonly doings: Set<Promise<unknown>>
  readonly troubles: unknown[]
  over: boolean
}

type Do = (play: Play, step: Step) => void | Promise<void>

const EVIL_URL = 'http://127.0.0.1:4999'
const TAG = topicTag('main', TOPIC)
const TTL_MS = 7_200_000
/** A back-off of 15 s for each of ten homes, and twice around. */
const SETTLED_WITHIN_MS = 400_000

/** Other edges, with their sessions' keys. */
const PEERS: readonly (Identity & { readonly boxKeys: KeyPair })[] = [951, 952, 953].map((n) => ({
  ...identityOf(n),
  boxKeys: boxKeyPair(),
}))
const peerOf = (arg: number): (typeof PEERS)[0] => PEERS[arg % PEERS.length] as (typeof PEERS)[0]

function presenceOf(play: Play, peer: (typeof PEERS)[0]): Presence {
  return signPresence(NETWORK, peer.keys, {
    homeKey: play.evil.keys.publicKey,
    boxKey: peer.boxKeys.publicKey,
    seq: play.world.mesh.clock.nowMs(),
    ttlMs: TTL_MS,
  })
}

function advertOf(play: Play, peer: (typeof PEERS)[0]): Advert {
  const seq = play.world.mesh.clock.nowMs()
  return signAdvert(NETWORK, peer.keys, { tag: TAG, info: new Uint8Array(4), seq, ttlMs: TTL_MS })
}

function dial(play: Play, url: string): Link {
  const { host } = new URL(url)
  if (host === new URL(play.world.mesh.urlOf(play.world.node)).host) return play.world.dial()
  const [near, far] = linkPair()
  if (play.over || host !== new URL(EVIL_URL).host) {
    far.close('refused')
    return near
  }
  play.link = far
  play.proof = undefined
  far.subscribe((frame) => {
    if (frame[0] === FRAME.proof) play.proof = frame
    if (frame[0] === FRAME.rpc && reader(frame.subarray(1)).u32() % 2 === 0) play.asked.push(frame)
    if (frame[0] === FRAME.signal) play.signals.push(frame)
  })
  return near
}

function say(play: Play, frame: Uint8Array, step: Step): void {
  play.last = editIf(step, false, frame)
  play.link?.send(play.last)
}

const CLOCKS = [0, 1, 2 ** 48, 2 ** 48 + 1, 2 ** 53 - 1, 1e12, 1.9e12]

function hello(play: Play, step: Step): void {
  const { arg } = step
  const nowMs = arg < 0x80 ? play.world.mesh.clock.nowMs() : (CLOCKS[arg % CLOCKS.length] as number)
  play.challenge = tagOf(arg)
  const frame = encodeHello({
    versions: [1],
    features: new Uint8Array(8),
    nodeKey: play.evil.keys.publicKey,
    networks: [NETWORK],
    challenge: play.challenge,
    nowMs,
  })
  say(play, editIf(step, true, frame), step)
}

function welcome(play: Play, step: Step): void {
  const nonce = play.proof ? decodeProof(play.proof).nonce : new Uint8Array(32)
  const signature = sign('node-proof', NETWORK, concat(nonce, play.challenge), play.evil.keys)
  const urls = [
    [],
    [play.world.mesh.urlOf(play.world.node)],
    ['http://10.0.0.1:1', 'ws://127.0.0.1:4999/x', 'nonsense', 'http://127.0.0.1:7'],
    Array.from({ length: 8 }, (_, i) => `http://127.0.0.1:${4100 + i}`),
  ][step.arg % 4] as string[]
  const w = writer().u8(urls.length)
  for (const url of urls) w.text(url)
  say(play, concat(Uint8Array.of(FRAME.welcome), signature, editIf(step, true, w.done())), step)
}

function answer(play: Play, step: Step): void {
  const asked = play.asked.shift()
  if (!asked) return
  const id = reader(asked.subarray(1)).u32()
  const body = editIf(step, true, answerBody(play, asked, step.arg))
  say(
    play,
    writer()
      .u8(FRAME.rpc)
      .u32(id + 1)
      .bytes(body)
      .done(),
    step,
  )
}

function answerBody(play: Play, asked: Uint8Array, arg: number): Uint8Array {
  if (arg % 8 === 7) return concat(Uint8Array.of(1), encodeError(refusal(play, arg >> 3)))
  const method = asked[5]
  const ok = Uint8Array.of(0)
  if (method === EDGE_METHOD.lookup) {
    const wanted = asked.subarray(6)
    const peer = PEERS.find(({ id }) => id === toHex(wanted)) ?? peerOf(arg)
    return concat(ok, presenceOf(play, peer).bytes)
  }
  if (method !== EDGE_METHOD.discover && method !== EDGE_METHOD.watch) return ok
  const found = PEERS.slice(arg % 4).map((peer) => ({
    presence: presenceOf(play, peer),
    advert: advertOf(play, arg & 0x40 ? peerOf(arg) : peer),
  }))
  return concat(ok, encodeFound({ total: arg & 0x80 ? 0xffff_ffff : found.length, found }))
}

function refusal(play: Play, arg: number): SignalMeshError {
  const own = play.proof && decodeProof(play.proof).presence.bytes
  const evidence =
    arg % 3 === 0 ? own : arg % 3 === 1 ? presenceOf(play, peerOf(0)).bytes : undefined
  const retryAfterMs = arg % 2 ? 0xffff_ffff : 0
  const extra = evidence ? { evidence } : {}
  return new SignalMeshError(codeOfArg(arg * 3 + 20), 'Not from me', { retryAfterMs, ...extra })
}

function push(play: Play, step: Step): void {
  const peer = peerOf(step.arg)
  const tag = step.arg & 0x40 ? tagOf(1) : TAG
  const frame =
    step.arg & 4
      ? encodePush({ tag, peer: peer.keys.publicKey })
      : encodePush({
          tag,
          found: { presence: presenceOf(play, peer), advert: advertOf(play, peer) },
        })
  say(play, editIf(step, true, frame), step)
}

// --- signals of other edges ---

function itemsOf(arg: number): Item[] {
  const items: Item[] = [
    { kind: 'topic', tag: arg & 1 ? tagOf(3) : TAG },
    { kind: 'description', type: arg & 2 ? 'answer' : 'offer', sdp: `v=0 secret-end-${arg % 4}` },
    { kind: 'candidate', candidate: 'candidate:1', sdpMid: '0', sdpMLineIndex: arg },
    { kind: 'metadata', data: new Uint8Array(arg) },
    { kind: 'renegotiate' },
    { kind: 'transceiver', media: 'audio' },
    { kind: 'refused', code: arg & 4 ? 'GLARE' : codeOfArg(arg), reason: 'no' },
    { kind: 'bye', reason: 'gone' },
  ]
  const from = (arg >> 4) % items.length
  return arg < 16 ? items.slice(0, 2) : items.slice(from, from + 1 + (arg % 3))
}

function openingSignal(play: Play, step: Step): void {
  if (!play.proof) return
  const { presence } = decodeProof(play.proof)
  const from = peerOf(step.arg)
  const sealing = createSealing({
    networkId: NETWORK,
    initiator: true,
    connection: tagOf(step.arg >> 4).slice(0, 16),
    self: { key: from.keys.publicKey, boxKeys: from.boxKeys },
    remote: { key: presence.peerKey, boxKey: presence.boxKey },
  })
  const plain = editIf(step, true, encodePlain({ ack: 0, items: itemsOf(step.arg & 0x8f) }))
  play.calls.push({ sealing, from, counter: 1, acks: 0 })
  say(play, sealing.sealOpening(presenceOf(play, from).bytes, plain.subarray(0, 30_000)), step)
}

function withinSignal(play: Play, step: Step): void {
  const call = play.calls.at(-1)
  if (!call) return
  const ack = step.arg % 8 === 1
  const plain = editIf(step, true, encodePlain({ ack: step.arg % 4, items: itemsOf(step.arg) }))
  const counter = ack ? call.acks++ : call.counter++
  say(play, call.sealing.seal(plain.subarray(0, 30_000), counter, ack), step)
}

/** Answers the edge's own call, as the peer would. */
function answerCall(play: Play, step: Step): void {
  const opening = play.signals.findLast((frame) => classOf(frame) === CLASS.open)
  const from = opening && PEERS.find(({ id }) => id === toOf(opening))
  if (!opening || !from || !play.proof) return
  const { presence } = decodeProof(play.proof)
  const sealing = createSealing({
    networkId: NETWORK,
    initiator: false,
    connection: connectionOf(opening).slice(),
    self: { key: from.keys.publicKey, boxKeys: from.boxKeys },
    remote: { key: presence.peerKey, boxKey: presence.boxKey },
  })
  try {
    sealing.unseal(opening)
  } catch {
    return
  }
  const plain = editIf(step, true, encodePlain({ ack: 1, items: itemsOf(step.arg) }))
  play.calls.push({ sealing, from, counter: 1, acks: 0 })
  say(play, sealing.sealAnswer(plain.subarray(0, 30_000)), step)
}

function controlSignal(play: Play, step: Step): void {
  const about = play.signals.at(-1)
  if (!about) return
  const error = new SignalMeshError(codeOfArg(step.arg), '', { retryAfterMs: step.arg << 20 })
  say(play, encodeControl(NETWORK, about, error, play.evil.keys.publicKey), step)
}

// --- what the application does ---

function act(play: Play, { arg }: Step): void {
  const { edge } = play
  if (!edge || play.doings.size > 24) return
  const peer = arg & 0x40 ? play.world.there.id : peerOf(arg).id
  const topic = arg & 0x80 ? TOPIC : `room-${arg % 3}`
  const doings: (() => Promise<unknown>)[] = [
    () => edge.advertise(TOPIC),
    () => edge.discover(TOPIC, { limit: 1 + (arg % 50) }),
    () => edge.connect(peer, { topic: TOPIC }),
    () => edge.unadvertise(topic),
    () => edge.advertise(topic),
    () => edge.connect(peer, { topic, timeoutMs: 1 + arg * 20 }),
    () => firstChange(edge, arg),
  ]
  watchOver(play, (doings[arg % doings.length] as () => Promise<unknown>)())
}

/** Follows a topic for some changes and some time. */
async function firstChange(edge: Edge, arg: number): Promise<void> {
  const stop = new AbortController()
  edge.on('home', ({ state }) => state === 'closed' && stop.abort())
  let left = arg % 5
  for await (const _change of edge.watch(TOPIC, { signal: stop.signal })) if (left-- <= 0) return
}

function watchOver(play: Play, doing: Promise<unknown>): void {
  play.doings.add(doing)
  doing.then(
    () => play.doings.delete(doing),
    (error: unknown) => {
      play.doings.delete(doing)
      play.troubles.push(error)
    },
  )
}

const STEPS: readonly Do[] = [
  hello,
  welcome,
  answer,
  push,
  openingSignal,
  withinSignal,
  answerCall,
  controlSignal,
  act,
  (play, step) => say(play, encodeBye(refusal(play, step.arg)), step),
  (play, step) => say(play, Uint8Array.of(step.arg), step),
  (play, step) => say(play, utf8('hello'), step),
  ({ world }, step) => world.mesh.clock.advance(step.arg * 60),
  ({ link }) => link?.close('left'),
  (play, step) => {
    for (let i = 0; play.last && i <= step.arg % 100; i++) play.link?.send(play.last)
  },
]

async function play(world: World, input: Uint8Array): Promise<void> {
  const { clock } = world.mesh
  const play: Play = {
    world,
    evil: identityOf(960),
    link: undefined,
    challenge: tagOf(0),
    proof: undefined,
    asked: [],
    signals: [],
    calls: [],
    last: undefined,
    edge: undefined,
    doings: new Set(),
    troubles: [],
    over: false,
  }
  let refused: unknown
  const ground = { clock, makeRtc: rtcWorld(clock), dial: (url: string) => dial(play, url) }
  const urls = [EVIL_URL, world.mesh.urlOf(world.node)]
  joinOn(ground, { network: 'main', urls }).then(
    (edge) => {
      play.edge = edge
      edge.on('error', (error) => play.troubles.push(new Finding(`It ended: ${error.message}`)))
    },
    (error: unknown) => {
      refused = error
    },
  )
  await clock.advance(0)
  for (const step of readProgram(input)) {
    await (STEPS[step.kind % STEPS.length] as Do)(play, step)
    await clock.advance(1)
  }
  play.over = true
  play.link?.close('over')
  await recover(play, () => refused)
  for (const error of play.troubles) checkError(error)
  for (const { sealing } of play.calls) sealing.destroy()
  await world.check(5_000)
}

/** With a good home left, the edge is there before long, and everything that it was doing is over. */
async function recover(play: Play, refused: () => unknown): Promise<void> {
  const { clock, urlOf } = play.world.mesh
  const isWell = (): boolean =>
    play.edge?.home.state === 'open' && play.edge.home.url === urlOf(play.world.node)
  for (let ms = 0; ms < SETTLED_WITHIN_MS && !(isWell() || refused()); ms += 500) {
    await clock.advance(500)
  }
  if (refused()) {
    checkError(refused(), ['NO_HOME'])
    return
  }
  must(isWell(), `The edge has not found the good home, but is ${play.edge?.home.state}`)
  const { edge } = play as { edge: Edge }
  await clock.advance(62_000)
  const { size } = play.doings
  const found = edge.discover(TOPIC)
  await clock.advance(0)
  const ids = (await found).peers.map(({ id }) => id)
  must(ids.includes(play.world.here.id), 'The edge does not find its peers at the good home')
  await edge.close()
  await clock.advance(0)
  must(size === 0 || play.doings.size === 0, `${play.doings.size} of ${size} doings never end`)
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const JOIN = [[0], [1]] as const
const TAKEN = [...JOIN, [8, 0], [2]] as const

export const homeTarget: Target = {
  name: 'home',
  weight: 14,
  batch: 1,
  seeds: [
    steps(...TAKEN, [8, 1], [2], [8, 6], [2], [3], [3, 1], [3, 4]),
    steps(...TAKEN, [4], [5, 0x20], [5, 0x21], [5, 0x22], [5, 0x70]),
    steps(...TAKEN, [8, 2], [2], [12, 1], [6, 2], [5, 0x20], [5, 0x20]),
    steps(...TAKEN, [8, 2], [2], [12, 1], [7, 61], [7, 42], [7, 60]),
    steps(...TAKEN, [8, 1], [2, 7], [8, 2], [2, 15], [8, 6], [2, 23], [12, 0xff]),
    steps(...JOIN, [9, 0], [0], [1], [9, 1], [0], [1], [9, 2], [0], [1]),
    steps([0, 0x82], [1, 2], [13], [12, 40], [0, 0x84], [12, 0xff]),
    steps([1], [0], [0], [10, 7], [12, 0xff], [12, 0xff]),
    steps([0], [1, 3], [8, 2], [4, 1], [2], [12, 1], [5, 0x64], [14, 80], [13]),
  ],
  mutate: mutateProgram(STEPS.length),
  ...inWorld(250, play),
}
