/** STUN: tells whoever asks from which public address its datagram came (RFC 8489, binding over UDP). */

import crc32 from 'crc-32'
import { addressBytes, addressGroup } from './authority.ts'
import { concat, equal, reader, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import {
  MAX_REMEMBERED,
  MAX_STUN_BYTES,
  MAX_STUN_UNKNOWN,
  STUN_BURST,
  STUN_PER_SECOND,
  STUN_TOTAL_BURST,
  STUN_TOTAL_PER_SECOND,
} from './limits.ts'
import { bucketsByKey, createBucket, take } from './rate.ts'

export interface StunSource {
  /** A literal IPv4 or IPv6 address; IPv4 wrapped in IPv6 counts as IPv4. */
  readonly address: string
  readonly port: number
}

/** RFC 8489, section 5. */
const MAGIC_COOKIE = 0x2112a442
const HEADER_BYTES = 20
const BINDING_REQUEST = 0x0001
const BINDING_SUCCESS = 0x0101
const BINDING_ERROR = 0x0111

const ATTRIBUTE = {
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  xorMappedAddress: 0x0020,
  fingerprint: 0x8028,
} as const

/**
 * Attributes that must be understood, and are: those of RFC 8489 itself. The ones of credentials mean
 * nothing to a server that asks for none (section 9.1.3). CHANGE-REQUEST (3) is left out on purpose:
 * who answers through another address can be made to send to a third party.
 */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  ...[0x0001, 0x0006, 0x0008, 0x0009, 0x000a, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0020],
])
const FIRST_OPTIONAL = 0x8000

/** Section 14.7: so that STUN is told from what else comes to a port. */
const FINGERPRINT_XOR = 0x5354554e
const FINGERPRINT_BYTES = 8

const UNKNOWN_ATTRIBUTE = 420

export type StunResponder = (datagram: Uint8Array, from: StunSource) => Uint8Array | undefined

/** Answers at most so many datagrams of one address group, and so many in all; the others get silence. */
export function createStunResponder(clock: Clock): StunResponder {
  const ofGroup = bucketsByKey(STUN_PER_SECOND, STUN_BURST, MAX_REMEMBERED)
  const total = createBucket(STUN_TOTAL_PER_SECOND, STUN_TOTAL_BURST)
  return (datagram, from) => {
    const answer = answerStun(datagram, from)
    if (!answer) return undefined
    const nowMs = clock.monotonicMs()
    if (take(ofGroup(addressGroup(from.address)), nowMs) > 0) return undefined
    return take(total, nowMs) > 0 ? undefined : answer
  }
}

/** The answer to a binding request; `undefined` for whatever else: it is met with silence. */
export function answerStun(datagram: Uint8Array, from: StunSource): Uint8Array | undefined {
  // Nobody can be answered at port 0 (RFC 768), and a socket throws when told to.
  const address = from.port === 0 ? undefined : addressBytes(from.address)
  const request = address && decodeRequest(datagram)
  if (!request) return undefined
  const { transaction, unknown, hasFingerprint } = request
  const body = unknown.length > 0 ? refusal(unknown) : mapped(address, from.port, transaction)
  const type = unknown.length > 0 ? BINDING_ERROR : BINDING_SUCCESS
  return message(type, transaction, body, hasFingerprint)
}

/** A binding request with this transaction id of 12 bytes. */
export function stunRequest(id: Uint8Array): Uint8Array {
  return writer(HEADER_BYTES).u16(BINDING_REQUEST).u16(0).u32(MAGIC_COOKIE).bytes(id).done()
}

/** The transaction id of a good answer to a binding request, or `undefined`. */
export function stunAnswerId(datagram: Uint8Array): Uint8Array | undefined {
  if (datagram.length < HEADER_BYTES || datagram.length > MAX_STUN_BYTES) return undefined
  const r = reader(datagram)
  const isAnswer = r.u16() === BINDING_SUCCESS && r.u16() === datagram.length - HEADER_BYTES
  return isAnswer && r.u32() === MAGIC_COOKIE ? r.bytes(12) : undefined
}

interface Request {
  /** Cookie and transaction id: 16 bytes. */
  readonly transaction: Uint8Array
  /** Attributes that must be understood, and are not. */
  readonly unknown: readonly number[]
  readonly hasFingerprint: boolean
}

function decodeRequest(datagram: Uint8Array): Request | undefined {
  if (datagram.length < HEADER_BYTES || datagram.length > MAX_STUN_BYTES) return undefined
  const input = reader(datagram)
  const type = input.u16()
  const length = input.u16()
  const transaction = input.bytes(16)
  if (type !== BINDING_REQUEST || length % 4 !== 0 || length !== input.left) return undefined
  if (reader(transaction).u32() !== MAGIC_COOKIE) return undefined
  const unknown = new Set<number>()
  while (input.left > 0) {
    const start = input.at
    const name = input.u16()
    const valueBytes = input.u16()
    const paddedBytes = (valueBytes + 3) & ~3
    if (paddedBytes > input.left) return undefined
    const value = input.bytes(paddedBytes).subarray(0, valueBytes)
    if (name === ATTRIBUTE.fingerprint) {
      // The last one, or none: what follows would not be covered.
      const isGood = input.left === 0 && equal(value, fingerprint(datagram.subarray(0, start)))
      return isGood ? { transaction, unknown: [...unknown], hasFingerprint: true } : undefined
    }
    if (name < FIRST_OPTIONAL && !UNDERSTOOD.has(name)) unknown.add(name)
  }
  return { transaction, unknown: [...unknown], hasFingerprint: false }
}

/** XOR-MAPPED-ADDRESS (section 14.2): hidden from middle boxes that rewrite addresses which they know. */
function mapped(address: Uint8Array, port: number, transaction: Uint8Array): Uint8Array {
  const hidden = address.map((byte, index) => byte ^ (transaction[index] as number))
  return writer(24)
    .u16(ATTRIBUTE.xorMappedAddress)
    .u16(4 + address.length)
    .u16(address.length === 4 ? 1 : 2)
    .u16(port ^ (MAGIC_COOKIE >>> 16))
    .bytes(hidden)
    .done()
}

/** ERROR-CODE (section 14.8) and UNKNOWN-ATTRIBUTES (section 14.13). */
function refusal(unknown: readonly number[]): Uint8Array {
  const named = unknown.slice(0, MAX_STUN_UNKNOWN)
  const out = writer(24)
    .u16(ATTRIBUTE.errorCode)
    .u16(4)
    .u16(0)
    .u8(Math.floor(UNKNOWN_ATTRIBUTE / 100))
    .u8(UNKNOWN_ATTRIBUTE % 100)
    .u16(ATTRIBUTE.unknownAttributes)
    .u16(2 * named.length)
  for (const name of named) out.u16(name)
  if (named.length % 2 === 1) out.u16(0)
  return out.done()
}

function message(
  type: number,
  transaction: Uint8Array,
  body: Uint8Array,
  hasFingerprint: boolean,
): Uint8Array {
  const length = body.length + (hasFingerprint ? FINGERPRINT_BYTES : 0)
  const head = writer(HEADER_BYTES).u16(type).u16(length).bytes(transaction).done()
  const covered = concat(head, body)
  if (!hasFingerprint) return covered
  const last = writer(FINGERPRINT_BYTES).u16(ATTRIBUTE.fingerprint).u16(4)
  return concat(covered, last.bytes(fingerprint(covered)).done())
}

/** Of the message up to the attribute, whose length already counts it. */
function fingerprint(covered: Uint8Array): Uint8Array {
  return writer(4)
    .u32((crc32.buf(covered) ^ FINGERPRINT_XOR) >>> 0)
    .done()
}
