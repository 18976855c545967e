/** Records that an edge signs: its presence at a home, and an advert for each of its topics. */

import { badFrame, concat, type Reader, reader, toHex, type Writer, writer } from './bytes.ts'
import { hash, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, sign, verify } from './crypto.ts'
import type { NodeId, PeerId } from './identity.ts'
import {
  MAX_EXTENSION_BYTES,
  MAX_HOMES_NAMED,
  MAX_INFO_BYTES,
  MAX_RECORD_BYTES,
  MAX_RECORD_TTL_MS,
} from './limits.ts'
import { TAG_SCHEME } from './topic.ts'

const FORMAT = 1
/** Extension types from here on may not be skipped by who does not know them. */
const CRITICAL = 0x80

/** What every record has. `bytes` is the record as signed and sent. */
export interface Signed {
  readonly bytes: Uint8Array
  readonly hash: Uint8Array
  readonly peer: PeerId
  readonly peerKey: Uint8Array
  /** Orders the records of one edge: the higher wins. About the time of signing, in ms. */
  readonly seq: number
  /** How long the record may live, counted from its receipt. */
  readonly ttlMs: number
}

/** "This edge is at home there, and these are its session's keys." */
export interface Presence extends Signed {
  readonly kind: 'presence'
  readonly home: NodeId
  /** The X25519 key of the edge's session: the static key of its Noise IK handshakes. */
  readonly boxKey: Uint8Array
}

/** "This edge is in this topic." */
export interface Advert extends Signed {
  readonly kind: 'advert'
  /** The topic's tag as hex digits. */
  readonly tag: string
  /** What the application says of itself, sealed. */
  readonly info: Uint8Array
}

export type EdgeRecord = Presence | Advert

/** What a presence says, besides whose it is. */
export interface PresenceFields {
  readonly homeKey: Uint8Array
  readonly boxKey: Uint8Array
  readonly seq: number
  readonly ttlMs: number
}

export interface AdvertFields {
  readonly tag: Uint8Array
  readonly info: Uint8Array
  readonly seq: number
  readonly ttlMs: number
}

/** The bytes of a presence before its signature, which is over them. */
export function presenceBody({ publicKey }: KeyPair, fields: PresenceFields): Uint8Array {
  const body = writer()
    .u8(FORMAT)
    .bytes(publicKey)
    .u8(1)
    .bytes(fields.homeKey)
    .bytes(fields.boxKey)
    .u64(fields.seq)
    .u32(fields.ttlMs)
    .u8(TAG_SCHEME)
  return withExtensions(body, NO_EXTENSIONS)
}

export function advertBody({ publicKey }: KeyPair, fields: AdvertFields): Uint8Array {
  const body = writer()
    .u8(FORMAT)
    .bytes(publicKey)
    .bytes(fields.tag)
    .u64(fields.seq)
    .u32(fields.ttlMs)
    .block(fields.info)
  return withExtensions(body, NO_EXTENSIONS)
}

export function signPresence(
  networkId: Uint8Array,
  keys: KeyPair,
  fields: PresenceFields,
): Presence {
  const body = presenceBody(keys, fields)
  return decodePresence(concat(body, sign('presence', networkId, body, keys)))
}

export function signAdvert(networkId: Uint8Array, keys: KeyPair, fields: AdvertFields): Advert {
  const body = advertBody(keys, fields)
  return decodeAdvert(concat(body, sign('advert', networkId, body, keys)))
}

/**
 * Reads a presence; its signature is not checked here.
 * @throws SignalMeshError `BAD_FRAME`
 */
export function decodePresence(frame: Uint8Array): Presence {
  const bytes = ownCopy(frame)
  const r = start(bytes)
  const peerKey = r.bytes(KEY_BYTES)
  const homes = r.u8()
  if (homes < 1 || homes > MAX_HOMES_NAMED) throw badFrame(`${homes} homes in a presence`)
  const home = toHex(r.bytes(KEY_BYTES))
  r.bytes(KEY_BYTES * (homes - 1))
  const boxKey = r.bytes(KEY_BYTES)
  const seq = r.u64()
  const ttlMs = ttl(r)
  if (r.u8() !== TAG_SCHEME) throw badFrame('an unknown tag scheme')
  endOfSigned(r)
  return { kind: 'presence', ...common(bytes, peerKey, seq, ttlMs), home, boxKey }
}

/**
 * Reads an advert; its signature is not checked here.
 * @throws SignalMeshError `BAD_FRAME`
 */
export function decodeAdvert(frame: Uint8Array): Advert {
  const bytes = ownCopy(frame)
  const r = start(bytes)
  const peerKey = r.bytes(KEY_BYTES)
  const tag = toHex(r.bytes(KEY_BYTES))
  const seq = r.u64()
  const ttlMs = ttl(r)
  const info = r.block(MAX_INFO_BYTES)
  endOfSigned(r)
  return { kind: 'advert', ...common(bytes, peerKey, seq, ttlMs), tag, info }
}

/** Whether the edge named in the record signed it, for this network. */
export function isAuthentic(networkId: Uint8Array, record: EdgeRecord): boolean {
  const { body, signature } = partsOf(record)
  return verify(record.kind, networkId, body, signature, record.peerKey)
}

/** What is signed of a record, and the signature. */
export function partsOf({ bytes }: Signed): { body: Uint8Array; signature: Uint8Array } {
  const split = bytes.length - SIGNATURE_BYTES
  return { body: bytes.subarray(0, split), signature: bytes.subarray(split) }
}

/** What a structure holds besides its fields: values of up to 255 bytes by their type. */
export type Extensions = ReadonlyMap<number, Uint8Array>

const NO_EXTENSIONS: Extensions = new Map()

/** Ends a structure: its extension area, then the signature over all before it. */
export function finish(
  body: Writer,
  signBody: (body: Uint8Array) => Uint8Array,
  extensions: Extensions = NO_EXTENSIONS,
): Uint8Array {
  const bytes = withExtensions(body, extensions)
  return concat(bytes, signBody(bytes))
}

function withExtensions(body: Writer, extensions: Extensions): Uint8Array {
  const area = writer()
  for (const [type, value] of extensions) area.u8(type).u8(value.length).bytes(value)
  return body.block(area.done()).done()
}

/**
 * Reads the extension area (type, length, value; unknown types are kept and ignored, unless they are
 * critical) and the signature, which has to be the last. Gives the extensions, the last of each type.
 */
export function endOfSigned(r: Reader): Extensions {
  const area = r.block(MAX_EXTENSION_BYTES)
  const extensions = area.length > 0 ? readExtensions(reader(area)) : NO_EXTENSIONS
  r.bytes(SIGNATURE_BYTES)
  r.end()
  return extensions
}

function readExtensions(area: Reader): Extensions {
  const extensions = new Map<number, Uint8Array>()
  while (area.left > 0) {
    const type = area.u8()
    const value = area.bytes(area.u8())
    if (type >= CRITICAL) throw badFrame(`an unknown critical extension ${type}`)
    extensions.set(type, value)
  }
  return extensions
}

/** Records outlive the frame they came in, and must not keep all of it in memory. */
function ownCopy(frame: Uint8Array): Uint8Array {
  if (frame.length > MAX_RECORD_BYTES) throw badFrame(`a record of ${frame.length} bytes`)
  return frame.slice()
}

function start(bytes: Uint8Array): Reader {
  const r = reader(bytes)
  const format = r.u8()
  if (format !== FORMAT) throw badFrame(`a record of format ${format}`)
  return r
}

function ttl(r: Reader): number {
  const ttlMs = r.u32()
  if (ttlMs > MAX_RECORD_TTL_MS) throw badFrame(`a record that wants to live ${ttlMs} ms`)
  return ttlMs
}

function common(bytes: Uint8Array, peerKey: Uint8Array, seq: number, ttlMs: number): Signed {
  return { bytes, hash: hash([bytes]), peer: toHex(peerKey), peerKey, seq, ttlMs }
}
