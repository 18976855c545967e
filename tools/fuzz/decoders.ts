/** The decoders as targets: any bytes, and nothing but a value or a typed refusal. */

import { decodeAppPart, encodeAppPart } from '../../src/appframes.ts'
import {
  acceptsAuthority,
  addressGroup,
  authorityOf,
  mayDial,
  reachOf,
} from '../../src/authority.ts'
import { decodeBatch, decodeHead, isSignedByHome, peekBatch, peekHead } from '../../src/batch.ts'
import { equal, fromHex, reader, utf8, writer } from '../../src/bytes.ts'
import {
  carriedConnection,
  carriedCounter,
  carriedFrom,
  carriedTo,
  checkCarried,
  decodeCarryEnd,
  decodePlace,
  encodePlace,
} from '../../src/carryframes.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { type Carried, createCarried } from '../../src/edge/carried.ts'
import { readHello } from '../../src/edge/greeting.ts'
import { decodePlain, encodePlain } from '../../src/edge/items.ts'
import { presenceOfOpening } from '../../src/edge/sealing.ts'
import { decodeFacts, encodeFacts, NO_FACTS } from '../../src/edge/whyfacts.ts'
import { decodeProof as decodeCharge, isProved, peekProof } from '../../src/equivocation.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { readPacket } from '../../src/gossip.ts'
import { addressOf } from '../../src/http.ts'
import { decodeIce, encodeIce, NO_ICE } from '../../src/ice.ts'
import { MAX_FACTS_BYTES, MAX_FRAME_BYTES } from '../../src/limits.ts'
import {
  decodeBye,
  decodeFound,
  decodeHello,
  decodeProof,
  decodePush,
  decodeWelcome,
  encodeFound,
  encodeHello,
  encodeProof,
  encodeWelcome,
  proofBody,
  readError,
} from '../../src/messages.ts'
import { decodeMuxFrame, encodeMuxFrame } from '../../src/muxframes.ts'
import { cipherKey, subKey } from '../../src/noise.ts'
import { decodeAdvert, decodePresence, isAuthentic } from '../../src/records.ts'
import { decodeReport, isPlain, isSignedByNode, peekReport } from '../../src/report.ts'
import { answerOnce, createRpc } from '../../src/rpc.ts'
import {
  checkSignal,
  encodeControl,
  fromKeyOf,
  readControl,
  sealedHeader,
} from '../../src/signal.ts'
import { answerStun, stunAnswerId } from '../../src/stun.ts'
import { encodeWord, readWord } from '../../src/tree.ts'
import { NETWORK, sampleParts, samples } from '../../test/fixtures/samples.ts'
import stunVectors from '../../test/vectors/stun.json' with { type: 'json' }
import { type Decoder, targetsOf } from './decoder.ts'
import { checkError, must, type Target } from './target.ts'

/** What was read must be written as it was read, or two readers could take it for two things. */
function sameAgain(again: Uint8Array, bytes: Uint8Array): void {
  must(equal(again, bytes), 'What was decoded is not encoded to the same bytes')
}

const refusal = new SignalMeshError('RATE_LIMITED', 'Too many', { retryAfterMs: 250 })
const { presence, advert } = sampleParts
const TWO_HASHES = ['a1'.repeat(32), '0f'.repeat(32)]

const decoders: Readonly<Record<string, Decoder>> = {
  shared: {
    seeds: [samples.sharedOpen, samples.sharedFrame, samples.sharedClose],
    decode: (bytes) => {
      const frame = decodeMuxFrame(bytes)
      // A reason is cut as it is written.
      if (frame.kind !== 'close') sameAgain(encodeMuxFrame(frame), bytes)
    },
  },
  stun: {
    seeds: [
      fromHex(stunVectors.request),
      fromHex('000100042112a442000102030405060708090a0b00030000'),
    ],
    decode: (bytes) => {
      const answer = answerStun(bytes, { address: '203.0.113.7', port: 9 })
      must(
        !answer || answer.length <= bytes.length + 24,
        'The answer is far larger than the request',
      )
    },
  },
  presence: {
    seeds: [samples.presence],
    decode: (bytes) => void isAuthentic(NETWORK, decodePresence(bytes)),
  },
  advert: {
    seeds: [samples.advert],
    decode: (bytes) => void isAuthentic(NETWORK, decodeAdvert(bytes)),
  },
  batch: {
    seeds: [samples.batch],
    decode: (bytes) => {
      const { home, epoch, index } = peekBatch(bytes)
      const batch = decodeBatch(bytes)
      const isSame = batch.home === home && batch.epoch === epoch && batch.index === index
      must(isSame, 'A look at the batch tells something else')
      isSignedByHome(NETWORK, batch)
    },
  },
  head: {
    seeds: [samples.head],
    decode: (bytes) => {
      const { epoch, index, beat } = peekHead(bytes)
      const head = decodeHead(bytes)
      const isSame = head.epoch === epoch && head.index === index && head.beat === beat
      must(isSame, 'A look at the head tells something else')
      isSignedByHome(NETWORK, head)
    },
  },
  report: {
    seeds: [samples.report],
    decode: (bytes) => {
      const { node, epoch, number } = peekReport(bytes)
      const report = decodeReport(bytes)
      const isSame = report.node === node && report.epoch === epoch && report.number === number
      must(isSame, 'A look at the report tells something else')
      must(isPlain(report.name + report.version + report.runtime), 'A text that cannot be shown')
      isSignedByNode(NETWORK, report)
    },
  },
  charge: {
    seeds: [samples.contradiction, samples.forgery],
    decode: (bytes) => {
      peekProof(bytes)
      isProved(NETWORK, decodeCharge(bytes))
    },
  },
  tree: {
    seeds: [encodeWord('have', TWO_HASHES), encodeWord('graft', TWO_HASHES), encodeWord('prune')],
    decode: (bytes) => {
      const { word, ids } = readWord(bytes)
      sameAgain(encodeWord(word, ids).subarray(1), bytes.subarray(1))
    },
  },
  hello: {
    seeds: [samples.hello],
    codes: ['BAD_FRAME', 'VERSION_MISMATCH', 'NETWORK_MISMATCH', 'CLOCK_SKEW'],
    decode: (bytes) => {
      const again = encodeHello(decodeHello(bytes))
      readHello(NETWORK, bytes, 0)
      sameAgain(again, bytes.subarray(0, again.length))
    },
  },
  proof: {
    seeds: [samples.proof],
    decode: (bytes) => {
      const proof = decodeProof(bytes)
      sameAgain(encodeProof(proof), bytes)
      proofBody(samples.hello, proof)
    },
  },
  welcome: {
    seeds: [samples.welcome],
    decode: (bytes) => sameAgain(encodeWelcome(decodeWelcome(bytes)), bytes),
  },
  carryPlace: {
    seeds: [samples.carryPlace],
    decode: (bytes) => sameAgain(encodePlace(decodePlace(bytes)), bytes),
  },
  carryEnd: {
    seeds: [samples.carryEnd],
    decode: (bytes) => checkError(decodeCarryEnd(bytes).error),
  },
  appPart: {
    seeds: [samples.appPart],
    decode: (bytes) => sameAgain(encodeAppPart(decodeAppPart(bytes)), bytes),
  },
  carried: {
    seeds: [samples.carried],
    decode: (bytes) => {
      checkCarried(bytes)
      carriedCounter(bytes)
      must(carriedFrom(bytes).length === 64 && carriedTo(bytes).length === 64, 'No two edges')
      must(carriedConnection(bytes).length === 32, 'No connection')
      lane().receive(bytes)
    },
  },
  ice: {
    seeds: [samples.ice, encodeIce(NO_ICE)],
    decode: (bytes) => sameAgain(encodeIce(decodeIce(bytes)), bytes),
  },
  stunAnswer: {
    seeds: [fromHex(stunVectors.responseIpv4), fromHex(stunVectors.responseIpv6)],
    decode: (bytes) => {
      const id = stunAnswerId(bytes)
      must(!id || equal(id, bytes.subarray(8, 20)), 'It answers another request')
    },
  },
  bye: { seeds: [samples.bye], decode: (bytes) => void decodeBye(bytes) },
  error: { seeds: [samples.error], decode: (bytes) => void readError(reader(bytes)) },
  found: {
    seeds: [
      samples.found,
      encodeFound({ total: 3, found: Array.from({ length: 3 }, () => ({ presence, advert })) }),
    ],
    decode: (bytes) => sameAgain(encodeFound(decodeFound(bytes)), bytes),
  },
  push: {
    seeds: [samples.pushedJoin, samples.pushedLeave],
    decode: (bytes) => void decodePush(bytes),
  },
  signal: {
    seeds: [samples.signal, samples.control],
    codes: ['BAD_FRAME', 'NETWORK_MISMATCH', 'TOO_LARGE'],
    decode: (bytes) => {
      checkSignal(NETWORK, bytes)
      must(sealedHeader(bytes).length === 144, 'A header of another length')
      checkSignal(NETWORK, encodeControl(NETWORK, bytes, refusal, fromKeyOf(bytes)))
    },
  },
  control: { seeds: [samples.control], decode: (bytes) => void readControl(bytes) },
  opening: {
    seeds: [
      writer().bytes(samples.signalHeader).block(samples.presence).bytes(samples.head).done(),
    ],
    codes: ['BAD_FRAME', 'BAD_SIGNATURE'],
    decode: (bytes) => void presenceOfOpening(bytes, presence.peerKey),
  },
  packet: {
    seeds: [packet(samples.batch, 1), packet(samples.head, 2)],
    decode: (bytes) => {
      const read = readPacket(bytes)
      const parts = [read.seqno, read.origin, read.sender, read.data]
      must(
        parts.every((part) => part.length <= bytes.length),
        'A field longer than its packet',
      )
    },
  },
  plain: {
    seeds: [plainOfAll(), encodePlain({ ack: 0, items: [] })],
    decode: (bytes) => {
      const plain = decodePlain(bytes)
      // Unknown items are left out, and long texts cut; what is written then has to stay.
      const again = encodePlain(plain)
      sameAgain(encodePlain(decodePlain(again)), again)
    },
  },
  facts: {
    seeds: [encodeFacts({ facts: NO_FACTS, gaveUp: true })],
    decode: (bytes) => {
      const said = decodeFacts(bytes)
      must(encodeFacts(said).length <= MAX_FACTS_BYTES, 'Facts beyond their bound')
      sameAgain(encodeFacts(decodeFacts(encodeFacts(said))), encodeFacts(said))
    },
  },
  request: { seeds: [rpcFrame(2, samples.hello)], decode: request },
  answer: { seeds: [rpcFrame(3, Uint8Array.of(0)), rpcFrame(3, samples.error)], decode: answer },
  address: { seeds: addresses().map(utf8), decode: address },
}

export const decoderTargets: readonly Target[] = targetsOf(decoders)

/** A node answers each request once, with a frame that the edge can read. */
async function request(bytes: Uint8Array): Promise<void> {
  const sent: Uint8Array[] = []
  const serve = (method: number, body: Uint8Array): Uint8Array => {
    if (method % 2) throw refusal
    return body
  }
  await answerOnce(bytes, serve, (frame) => void sent.push(frame))
  must(sent.length <= 1, 'A request was answered more than once')
}

/** Whatever is said to be an answer: the request ends with it, or with its time-out. */
async function answer(bytes: Uint8Array): Promise<void> {
  const clock = manualClock()
  const rpc = createRpc({ clock, send: () => undefined, serve: (_method, body) => body })
  const done = rpc.request(1, new Uint8Array(0)).catch((error: unknown) => checkError(error))
  await settle(8)
  try {
    rpc.receive(bytes)
    await settle(8)
  } finally {
    await clock.advance(60_000)
    await done
    rpc.close()
    await settle(8)
    must(clock.pending === 0, 'A request left its timer behind')
  }
}

/** Addresses in texts: none may throw, since they come from requests and proofs. */
function address(bytes: Uint8Array): void {
  const text = new TextDecoder().decode(bytes.subarray(0, 4096))
  const reach = reachOf(text)
  acceptsAuthority(['https://node.example'], text)
  must(addressGroup(text).length <= text.length + 64, 'The group of an address outgrows it')
  mayDial('https://node.example', text)
  // What a node asks for an edge whose proof named this authority.
  if (acceptsAuthority([], text)) mayDial(`ws://${text}`, 'http://127.0.0.1:4680')
  if (URL.canParse(text)) reachOf(authorityOf(text))
  const headers = new Headers()
  try {
    headers.set('x-forwarded-for', text)
  } catch {
    return
  }
  addressOf(new Request('http://node.example/', { headers }), '127.0.0.1', ['loopback', text])
  must(['loopback', 'private', 'public'].includes(reach), 'An address without a reach')
}

/** One that has the key of the sample, so that what is changed behind the header is met too. */
function lane(): Carried {
  const key = subKey(cipherKey(new Uint8Array(32)), 'carry')
  return createCarried({
    clock: manualClock(),
    keys: { tx: key, rx: key },
    from: presence.peerKey,
    to: presence.peerKey,
    connection: new Uint8Array(16),
    wake: () => undefined,
    onHeard: () => undefined,
    onPiece: () => undefined,
    onFailed: (error) => checkError(error),
  })
}

function addresses(): string[] {
  return [
    '127.0.0.1:4680',
    '[::1]:80',
    'node.example:443',
    '10.0.0.1, 192.168.0.1, ::ffff:127.0.0.1',
    'https://node.example:4680/edge',
  ]
}

function plainOfAll(): Uint8Array {
  return encodePlain({
    ack: 3,
    items: [
      { kind: 'description', generation: 0, type: 'offer', sdp: 'v=0' },
      {
        kind: 'candidate',
        generation: 0,
        candidate: 'candidate:1',
        sdpMid: '0',
        sdpMLineIndex: null,
      },
      { kind: 'end-of-candidates', generation: 0 },
      { kind: 'renegotiate' },
      { kind: 'transceiver', media: 'audio' },
      { kind: 'ice-restart', generation: 1 },
      { kind: 'refused', code: 'GLARE', reason: 'both' },
      { kind: 'relay', data: utf8('by way of a node') },
      { kind: 'metadata', data: utf8('about me') },
      { kind: 'bye', reason: 'gone' },
      { kind: 'facts', facts: NO_FACTS, gaveUp: true },
    ],
  })
}

function rpcFrame(header: number, body: Uint8Array): Uint8Array {
  return writer().u8(4).u32(header).bytes(body.subarray(0, MAX_FRAME_BYTES)).done()
}

/** A Protocol Buffers message of four fields, as @dxos/broadcast writes it. */
function packet(data: Uint8Array, kind: number): Uint8Array {
  const whole = writer().u8(kind).bytes(data).done()
  const w = writer()
  for (const [i, field] of [presence.hash, presence.peerKey, presence.peerKey, whole].entries()) {
    w.u8((i + 1) * 8 + 2)
    if (field.length < 0x80) w.u8(field.length)
    else w.u8((field.length & 0x7f) | 0x80).u8(field.length >> 7)
    w.bytes(field)
  }
  return w.done()
}
