/** What an edge and its home say to each other, from bytes to typed messages and back. */

import { badFrame, type Reader, reader, toHex, type Writer, writer } from './bytes.ts'
import { HASH_BYTES, KEY_BYTES, SIGNATURE_BYTES } from './crypto.ts'
import { CODE_NUMBERS, codeOfNumber, type ErrorCode, SignalMeshError } from './errors.ts'
import { type IceOffer, iceFrom, NO_ICE, writeIce } from './ice.ts'
import {
  MAX_DISCOVER,
  MAX_ERROR_TEXT_BYTES,
  MAX_HELLO_BYTES,
  MAX_NAMED_TOPICS,
  MAX_NETWORKS,
  MAX_OTHER_HOMES,
  MAX_RECORD_BYTES,
  MAX_SAMPLE,
  MAX_TOPICS_PER_EDGE,
  MAX_URL_BYTES,
  MAX_VERSIONS,
} from './limits.ts'
import { type Advert, decodeAdvert, decodePresence, type Presence } from './records.ts'

/** The first byte of each frame, on an edge's socket and on a link between nodes. */
export const FRAME = {
  hello: 1,
  proof: 2,
  welcome: 3,
  rpc: 4,
  signal: 5,
  push: 6,
  ping: 7,
  pong: 8,
  bye: 9,
  gossip: 10,
  tree: 11,
  carry: 12,
  carryEnd: 13,
  report: 14,
  app: 15,
} as const

export const PING: Uint8Array = Uint8Array.of(FRAME.ping)
export const PONG: Uint8Array = Uint8Array.of(FRAME.pong)

/** Features are bits of this many bytes. */
const FEATURE_BYTES = 8

/** The node's first frame. */
export interface Hello {
  readonly versions: readonly number[]
  readonly features: Uint8Array
  readonly nodeKey: Uint8Array
  readonly networks: readonly Uint8Array[]
  readonly challenge: Uint8Array
  readonly nowMs: number
  /** The topics that the upgrade named, each with a few of its edges. */
  readonly topics: readonly HelloTopic[]
  /** What the node holds of the edge that the upgrade named. */
  readonly held: Presence | undefined
  /** STUN servers, so that an edge has them before its first offer. */
  readonly ice?: IceOffer
}

/** What a node's first frame tells of a topic. */
export interface HelloTopic extends FoundList {
  readonly tag: Uint8Array
  /** Whether the edge that the upgrade named is in it. */
  readonly hasPeer: boolean
}

export function encodeHello(hello: Hello): Uint8Array {
  const w = writer().u8(FRAME.hello).u8(hello.versions.length)
  for (const version of hello.versions) w.u16(version)
  w.bytes(hello.features).bytes(hello.nodeKey).u8(hello.networks.length)
  for (const network of hello.networks) w.bytes(network)
  w.bytes(hello.challenge).u64(hello.nowMs).u8(hello.topics.length)
  for (const topic of hello.topics) {
    writeFound(w.bytes(topic.tag).u8(topic.hasPeer ? 1 : 0), topic)
  }
  return writeIce(w.block(hello.held?.bytes ?? new Uint8Array(0)), hello.ice ?? NO_ICE).done()
}

export function decodeHello(frame: Uint8Array): Hello {
  if (frame.length > MAX_HELLO_BYTES) throw badFrame(`a first frame of ${frame.length} bytes`)
  const r = opened(frame, FRAME.hello)
  const versions = list(r, MAX_VERSIONS, () => r.u16())
  const features = r.bytes(FEATURE_BYTES)
  const nodeKey = r.bytes(KEY_BYTES)
  const networks = list(r, MAX_NETWORKS, () => r.bytes(HASH_BYTES))
  const challenge = r.bytes(HASH_BYTES)
  const nowMs = r.u64()
  const topics = list(r, MAX_NAMED_TOPICS, () => readTopic(r))
  const bytes = r.block(MAX_RECORD_BYTES)
  const held = bytes.length ? decodePresence(bytes) : undefined
  const ice = iceFrom(r)
  // Later versions may add to the first frame of all, so what follows is skipped.
  return { versions, features, nodeKey, networks, challenge, nowMs, topics, held, ice }
}

function readTopic(r: Reader): HelloTopic {
  const tag = r.bytes(HASH_BYTES)
  const hasPeer = r.u8()
  if (hasPeer > 1) throw badFrame(`a yes or no of ${hasPeer}`)
  return { tag, hasPeer: hasPeer === 1, ...readFoundList(r, MAX_SAMPLE) }
}

/** The edge's one reply: who it is, where it dialled, where it can be found. */
export interface Proof {
  readonly version: number
  readonly features: Uint8Array
  readonly networkId: Uint8Array
  readonly peerKey: Uint8Array
  readonly nonce: Uint8Array
  /** The host and port that the edge dialled. */
  readonly authority: string
  readonly presence: Presence
  readonly adverts: readonly Advert[]
  /** Over `proofBody`. */
  readonly signature: Uint8Array
}

/** What the edge signs: the node's whole hello, so that a downgrade shows, and its own choices. */
export function proofBody(
  hello: Uint8Array,
  proof: Omit<Proof, 'signature' | 'presence' | 'adverts'>,
): Uint8Array {
  return writer()
    .block(hello)
    .u16(proof.version)
    .bytes(proof.features)
    .bytes(proof.networkId)
    .bytes(proof.peerKey)
    .bytes(proof.nonce)
    .text(proof.authority)
    .done()
}

export function encodeProof(proof: Proof): Uint8Array {
  const w = writer(1024).u8(FRAME.proof).u16(proof.version).bytes(proof.features)
  w.bytes(proof.networkId).bytes(proof.peerKey).bytes(proof.nonce).text(proof.authority)
  w.bytes(proof.signature).block(proof.presence.bytes).u8(proof.adverts.length)
  for (const advert of proof.adverts) w.block(advert.bytes)
  return w.done()
}

export function decodeProof(frame: Uint8Array): Proof {
  const r = opened(frame, FRAME.proof)
  const version = r.u16()
  const features = r.bytes(FEATURE_BYTES)
  const networkId = r.bytes(HASH_BYTES)
  const peerKey = r.bytes(KEY_BYTES)
  const nonce = r.bytes(HASH_BYTES)
  const authority = r.text(MAX_URL_BYTES)
  const signature = r.bytes(SIGNATURE_BYTES)
  const presence = decodePresence(r.block(MAX_RECORD_BYTES))
  const adverts = list(r, MAX_TOPICS_PER_EDGE, () => decodeAdvert(r.block(MAX_RECORD_BYTES)))
  r.end()
  return { version, features, networkId, peerKey, nonce, authority, signature, presence, adverts }
}

/** The node's answer to a good proof. */
export interface Welcome {
  /** Over the edge's nonce and the challenge: the node is who its hello said. */
  readonly signature: Uint8Array
  /** Other nodes at which the edge could be at home. */
  readonly otherHomes: readonly string[]
  /** TURN servers, with credentials for this edge. */
  readonly ice?: IceOffer
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  const w = writer().u8(FRAME.welcome).bytes(welcome.signature).u8(welcome.otherHomes.length)
  for (const url of welcome.otherHomes) w.text(url)
  return writeIce(w, welcome.ice ?? NO_ICE).done()
}

export function decodeWelcome(frame: Uint8Array): Welcome {
  const r = opened(frame, FRAME.welcome)
  const signature = r.bytes(SIGNATURE_BYTES)
  const otherHomes = list(r, MAX_OTHER_HOMES, () => r.text(MAX_URL_BYTES))
  const ice = iceFrom(r)
  r.end()
  return { signature, otherHomes, ice }
}

/** Why the other side ends the link; nothing comes after it. */
export function encodeBye(error: SignalMeshError): Uint8Array {
  return writer().u8(FRAME.bye).bytes(encodeError(error)).done()
}

export function decodeBye(frame: Uint8Array): SignalMeshError {
  // It may come before a version is agreed on, so what a later one adds is skipped.
  return readError(opened(frame, FRAME.bye))
}

export function encodeError(error: SignalMeshError): Uint8Array {
  const text = error.message.slice(0, MAX_ERROR_TEXT_BYTES / 4)
  return writer()
    .u16(CODE_NUMBERS[error.code])
    .u32(error.retryAfterMs ?? 0)
    .text(text)
    .block(error.evidence ?? new Uint8Array(0))
    .done()
}

export function readError(r: Reader): SignalMeshError {
  const code: ErrorCode = codeOfNumber(r.u16())
  const retryAfterMs = r.u32()
  const text = r.text(MAX_ERROR_TEXT_BYTES)
  const evidence = r.block(MAX_RECORD_BYTES)
  return new SignalMeshError(code, text, {
    ...(retryAfterMs ? { retryAfterMs } : {}),
    ...(evidence.length ? { evidence } : {}),
  })
}

/** An edge that was found: its presence and, when a topic was asked for, its advert. */
export interface Found {
  readonly presence: Presence
  readonly advert: Advert
}

export interface FoundList {
  readonly total: number
  readonly found: readonly Found[]
}

export function encodeFound(list: FoundList): Uint8Array {
  return writeFound(writer(1024), list).done()
}

function writeFound(w: Writer, { total, found }: FoundList): Writer {
  w.u32(total).u8(found.length)
  for (const { presence, advert } of found) w.block(presence.bytes).block(advert.bytes)
  return w
}

export function decodeFound(body: Uint8Array): FoundList {
  const r = reader(body)
  const found = readFoundList(r, MAX_DISCOVER)
  r.end()
  return found
}

function readFoundList(r: Reader, max: number): FoundList {
  const total = r.u32()
  return { total, found: list(r, max, () => readFound(r)) }
}

/** One join or leave of a topic that the edge watches. */
export type Push =
  | { readonly kind: 'join'; readonly tag: string; readonly found: Found }
  | { readonly kind: 'leave'; readonly tag: string; readonly peer: string }

export function encodePush(
  push: { tag: Uint8Array } & ({ found: Found } | { peer: Uint8Array }),
): Uint8Array {
  const w = writer(512).u8(FRAME.push).bytes(push.tag)
  if ('peer' in push) return w.u8(0).bytes(push.peer).done()
  return w.u8(1).block(push.found.presence.bytes).block(push.found.advert.bytes).done()
}

export function decodePush(frame: Uint8Array): Push {
  const r = opened(frame, FRAME.push)
  const tag = toHex(r.bytes(KEY_BYTES))
  const kind = r.u8()
  if (kind > 1) throw badFrame(`an unknown change ${kind}`)
  const push: Push =
    kind === 0
      ? { kind: 'leave', tag, peer: toHex(r.bytes(KEY_BYTES)) }
      : { kind: 'join', tag, found: readFound(r) }
  r.end()
  return push
}

function readFound(r: Reader): Found {
  const presence = decodePresence(r.block(MAX_RECORD_BYTES))
  return { presence, advert: decodeAdvert(r.block(MAX_RECORD_BYTES)) }
}

function opened(frame: Uint8Array, kind: number): Reader {
  const r = reader(frame)
  if (r.u8() !== kind) throw badFrame(`kind ${frame[0]} where ${kind} was due`)
  return r
}

function list<T>(r: Reader, max: number, read: () => T): T[] {
  const count = r.u8()
  if (count > max) throw badFrame(`a list of ${count}, ${max} allowed`)
  return Array.from({ length: count }, read)
}
