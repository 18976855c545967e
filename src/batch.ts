/** A home's log on the wire: signed batches of changes, and signed heads that say where it stands. */

import {
  badFrame,
  fromHex,
  type Reader,
  reader,
  toHex,
  utf8,
  type Writer,
  writer,
} from './bytes.ts'
import {
  HASH_BYTES,
  hash,
  KEY_BYTES,
  type KeyPair,
  SIGNATURE_BYTES,
  sign,
  verify,
} from './crypto.ts'
import { isStunAt } from './ice.ts'
import type { NodeId, PeerId } from './identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_CONTACT_URLS,
  MAX_HEAD_BYTES,
  MAX_OPS_PER_BATCH,
  MAX_RECORD_BYTES,
  MAX_RUNTIME_BYTES,
  MAX_STUN_AT_BYTES,
  MAX_URL_BYTES,
  MAX_VIAS,
} from './limits.ts'
import {
  decodeAdvert,
  decodePresence,
  type EdgeRecord,
  type Extensions,
  endOfSigned,
  finish,
} from './records.ts'

const FORMAT = 1
/** Where a head's beat stands: behind format, home, epoch and index. */
const BEAT_AT = 1 + KEY_BYTES + 8 + 8

/** One change of the edges at a home. Removals name the highest `seq` that they remove. */
export type Op =
  | { readonly kind: 'put'; readonly record: EdgeRecord }
  | { readonly kind: 'remove-peer'; readonly peer: PeerId; readonly seq: number }
  | {
      readonly kind: 'remove-advert'
      readonly peer: PeerId
      readonly tag: string
      readonly seq: number
    }

/** Where a home's log stands. */
export interface Position {
  /** Grows with each start of the home. */
  readonly epoch: number
  /** Number of the last batch in this epoch; 0 before the first. */
  readonly index: number
}

export interface Batch extends Position {
  readonly kind: 'batch'
  readonly bytes: Uint8Array
  readonly hash: Uint8Array
  readonly home: NodeId
  readonly homeKey: Uint8Array
  /** Hash of the batch before; zeros for the first. */
  readonly previous: Uint8Array
  /** Hash over all records of the home after this batch. */
  readonly stateHash: Uint8Array
  readonly ops: readonly Op[]
}

/** How a node can be reached, and on what it runs. */
export interface Contact {
  /** Its key on the DHT, where it has one. */
  readonly dhtKey: Uint8Array | undefined
  /** Where edges find it. */
  readonly urls: readonly string[]
  /** Neighbours that pass signals on to it for those who cannot dial it. */
  readonly vias: readonly NodeId[]
  /** Host and port of its STUN, where it has one. */
  readonly stunAt?: string
  /** The name of its runtime, if it says so: `node`, `deno`, `bun`, … */
  readonly runtime?: string
}

export interface Head extends Position {
  readonly kind: 'head'
  readonly bytes: Uint8Array
  readonly home: NodeId
  readonly homeKey: Uint8Array
  /** Grows with each head, so that an old one cannot pass for a sign of life. */
  readonly beat: number
  /** Hash of the last batch. */
  readonly headHash: Uint8Array
  readonly stateHash: Uint8Array
  readonly edges: number
  readonly contact: Contact
}

/** Extensions of a head. */
const EXTENSION = { runtime: 1 } as const

const OP = { presence: 1, advert: 2, removePeer: 3, removeAdvert: 4 } as const

export function signBatch(
  networkId: Uint8Array,
  keys: KeyPair,
  fields: Position & { previous: Uint8Array; stateHash: Uint8Array; ops: readonly Op[] },
): Batch {
  const w = writer(1024).u8(FORMAT).bytes(keys.publicKey).u64(fields.epoch).u64(fields.index)
  // Byte for a shard of the log; 0 is all of it.
  w.bytes(fields.previous).u8(0).bytes(fields.stateHash).u16(fields.ops.length)
  for (const op of fields.ops) writeOp(w, op)
  return decodeBatch(finish(w, (body) => sign('batch', networkId, body, keys)))
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeBatch(bytes: Uint8Array): Batch {
  const r = start(bytes, MAX_BATCH_BYTES)
  const homeKey = r.bytes(KEY_BYTES)
  const epoch = r.u64()
  const index = r.u64()
  const previous = r.bytes(HASH_BYTES)
  if (r.u8() !== 0) throw badFrame('a shard of a log')
  const stateHash = r.bytes(HASH_BYTES)
  const count = r.u16()
  if (count > MAX_OPS_PER_BATCH) throw badFrame(`${count} changes in a batch`)
  const ops = Array.from({ length: count }, () => readOp(r))
  endOfSigned(r)
  const home = toHex(homeKey)
  return {
    kind: 'batch',
    bytes,
    hash: hash([bytes]),
    home,
    homeKey,
    epoch,
    index,
    previous,
    stateHash,
    ops,
  }
}

export function signHead(
  networkId: Uint8Array,
  keys: KeyPair,
  fields: Omit<Head, 'kind' | 'bytes' | 'home' | 'homeKey'>,
): Head {
  const w = writer().u8(FORMAT).bytes(keys.publicKey).u64(fields.epoch).u64(fields.index)
  w.u64(fields.beat).bytes(fields.headHash).bytes(fields.stateHash).u32(fields.edges)
  const { dhtKey, urls, vias, stunAt = '', runtime } = fields.contact
  w.block(dhtKey ?? new Uint8Array(0)).u8(urls.length)
  for (const url of urls) w.text(url)
  w.u8(vias.length)
  for (const via of vias) w.bytes(fromHex(via))
  w.text(stunAt)
  const said = runtime === undefined ? [] : ([[EXTENSION.runtime, utf8(runtime)]] as const)
  return decodeHead(finish(w, (body) => sign('head', networkId, body, keys), new Map(said)))
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeHead(bytes: Uint8Array): Head {
  const r = start(bytes, MAX_HEAD_BYTES)
  const homeKey = r.bytes(KEY_BYTES)
  const position = { epoch: r.u64(), index: r.u64() }
  const beat = r.u64()
  const headHash = r.bytes(HASH_BYTES)
  const stateHash = r.bytes(HASH_BYTES)
  const edges = r.u32()
  const reached = readContact(r)
  const runtime = readRuntime(endOfSigned(r))
  const contact = runtime === undefined ? reached : { ...reached, runtime }
  const home = toHex(homeKey)
  return {
    kind: 'head',
    bytes,
    home,
    homeKey,
    ...position,
    beat,
    headHash,
    stateHash,
    edges,
    contact,
  }
}

/** Whose a batch is and where it stands, without reading the rest of it. */
export function peekBatch(bytes: Uint8Array): Position & { readonly home: NodeId } {
  const r = reader(bytes)
  r.u8()
  return { home: toHex(r.bytes(KEY_BYTES)), epoch: r.u64(), index: r.u64() }
}

/** The same of a head, with its beat. */
export function peekHead(bytes: Uint8Array): Position & Pick<Head, 'home' | 'beat'> {
  const beat = reader(bytes.subarray(BEAT_AT)).u64()
  return { ...peekBatch(bytes), beat }
}

/** Whether the home itself signed it, for this network. */
export function isSignedByHome(networkId: Uint8Array, signed: Batch | Head): boolean {
  const split = signed.bytes.length - SIGNATURE_BYTES
  const body = signed.bytes.subarray(0, split)
  return verify(signed.kind, networkId, body, signed.bytes.subarray(split), signed.homeKey)
}

/** Bytes that the change takes in a batch. */
export function opBytes(op: Op): number {
  return op.kind === 'put' ? 3 + op.record.bytes.length : 1 + 2 * KEY_BYTES + 8
}

/** Whether `a` stands later in a home's life than `b`. */
export function isAhead(a: Position, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.index > b.index)
}

function start(bytes: Uint8Array, maxBytes: number): Reader {
  if (bytes.length > maxBytes) throw badFrame(`${bytes.length} bytes, ${maxBytes} allowed`)
  const r = reader(bytes)
  if (r.u8() !== FORMAT) throw badFrame('an unknown format')
  return r
}

function readContact(r: Reader): Contact {
  const dhtKey = r.block(KEY_BYTES)
  if (dhtKey.length !== 0 && dhtKey.length !== KEY_BYTES) throw badFrame('a DHT key of odd length')
  const count = r.u8()
  if (count > MAX_CONTACT_URLS) throw badFrame(`${count} URLs of one node`)
  const urls = Array.from({ length: count }, () => r.text(MAX_URL_BYTES))
  for (const url of urls) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw badFrame(`a node's URL ${JSON.stringify(url)}`)
    }
  }
  const viaCount = r.u8()
  if (viaCount > MAX_VIAS) throw badFrame(`${viaCount} ways to one node`)
  const vias = Array.from({ length: viaCount }, () => toHex(r.bytes(KEY_BYTES)))
  const stunAt = r.text(MAX_STUN_AT_BYTES)
  if (stunAt !== '' && !isStunAt(stunAt)) throw badFrame(`a STUN at ${JSON.stringify(stunAt)}`)
  // A copy, for it is kept for longer than the frame that it came in.
  const own = { dhtKey: dhtKey.length ? dhtKey.slice() : undefined, urls, vias }
  return stunAt ? { ...own, stunAt } : own
}

/** What is no such name is skipped as if unknown: nodes that never heard of it take the head, too. */
function readRuntime(extensions: Extensions): string | undefined {
  const value = extensions.get(EXTENSION.runtime)
  if (!value || value.length > MAX_RUNTIME_BYTES) return undefined
  const name = String.fromCharCode(...value)
  return /^[a-z0-9-]+$/.test(name) ? name : undefined
}

function writeOp(w: Writer, op: Op): void {
  if (op.kind === 'put') {
    w.u8(op.record.kind === 'presence' ? OP.presence : OP.advert).block(op.record.bytes)
  } else {
    w.u8(op.kind === 'remove-peer' ? OP.removePeer : OP.removeAdvert).bytes(fromHex(op.peer))
    if (op.kind === 'remove-advert') w.bytes(fromHex(op.tag))
    w.u64(op.seq)
  }
}

function readOp(r: Reader): Op {
  const kind = r.u8()
  if (kind === OP.presence)
    return { kind: 'put', record: decodePresence(r.block(MAX_RECORD_BYTES)) }
  if (kind === OP.advert) return { kind: 'put', record: decodeAdvert(r.block(MAX_RECORD_BYTES)) }
  const peer = toHex(r.bytes(KEY_BYTES))
  if (kind === OP.removePeer) return { kind: 'remove-peer', peer, seq: r.u64() }
  if (kind !== OP.removeAdvert) throw badFrame(`an unknown change ${kind}`)
  const tag = toHex(r.bytes(KEY_BYTES))
  return { kind: 'remove-advert', peer, tag, seq: r.u64() }
}
