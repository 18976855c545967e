/** Carried frames: what homes carry between two edges that have no path of their own, and what edges ask for that. */

import { badFrame, fromHex, reader, toHex, writer } from './bytes.ts'
import { KEY_BYTES } from './crypto.ts'
import type { SignalMeshError } from './errors.ts'
import type { PeerId } from './identity.ts'
import { MAX_CARRIED_BYTES } from './limits.ts'
import { encodeError, FRAME, readError } from './messages.ts'
import { CONNECTION_BYTES } from './signal.ts'

/** Offsets in the frame; the frame's kind is byte 0. */
const AT = { flags: 1, from: 4, to: 36, connection: 68, counter: 84 } as const

export const CARRY_HEADER_BYTES = 92
/** It says what has come, and is numbered apart from frames that hold a piece. */
export const FLAG_WORD = 1

/** In the first byte of a node's features; the second stands in its card alone, for edges are told nothing of it. */
const FEATURE_CARRIES = 1
const FEATURE_REPORTS = 2
const FEATURE_APPS = 4

/** The features of a node, in its hello and its card. */
export function featuresOf(carries: boolean): Uint8Array {
  const features = new Uint8Array(8)
  features[0] = carries ? FEATURE_CARRIES : 0
  return features
}

/** Those in its card: this version takes reports, and frames of applications where that is on. */
export function cardFeatures(carries: boolean, apps: boolean, reports = true): Uint8Array {
  const features = featuresOf(carries)
  const more = (reports ? FEATURE_REPORTS : 0) | (apps ? FEATURE_APPS : 0)
  features[0] = (features[0] as number) | more
  return features
}

export const takesApps = (features: Uint8Array): boolean =>
  ((features[0] as number) & FEATURE_APPS) !== 0

export const takesReports = (features: Uint8Array): boolean =>
  ((features[0] as number) & FEATURE_REPORTS) !== 0

export const doesCarry = (features: Uint8Array): boolean =>
  ((features[0] as number) & FEATURE_CARRIES) !== 0

/** The header, which is the associated data of what is sealed behind it. */
export interface CarryHeader {
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly connection: Uint8Array
  readonly isWord: boolean
  readonly counter: number
}

export function carryHeader(header: CarryHeader): Uint8Array {
  return writer(CARRY_HEADER_BYTES)
    .u8(FRAME.carry)
    .u8(header.isWord ? FLAG_WORD : 0)
    .u16(0)
    .bytes(header.from)
    .bytes(header.to)
    .bytes(header.connection)
    .u64(header.counter)
    .done()
}

/**
 * Checks what has to be known before the offsets are read.
 * @throws SignalMeshError `BAD_FRAME`
 */
export function checkCarried(frame: Uint8Array): void {
  if (frame.length <= CARRY_HEADER_BYTES || frame.length > MAX_CARRIED_BYTES) {
    throw badFrame(`a carried frame of ${frame.length} bytes`)
  }
  if ((frame[AT.flags] as number) > FLAG_WORD || frame[2] !== 0 || frame[3] !== 0) {
    throw badFrame('a carried frame of a later version')
  }
}

export const carriedFromKey = (frame: Uint8Array): Uint8Array =>
  frame.subarray(AT.from, AT.from + KEY_BYTES)
export const carriedFrom = (frame: Uint8Array): PeerId => toHex(carriedFromKey(frame))
export const carriedTo = (frame: Uint8Array): PeerId =>
  toHex(frame.subarray(AT.to, AT.to + KEY_BYTES))
export const carriedConnection = (frame: Uint8Array): string =>
  toHex(frame.subarray(AT.connection, AT.connection + CONNECTION_BYTES))
export const isWord = (frame: Uint8Array): boolean => frame[AT.flags] === FLAG_WORD
/** Flag and number: no two frames of one side share both. */
export const carriedNumber = (frame: Uint8Array): string =>
  `${frame[AT.flags]}/${toHex(frame.subarray(AT.counter, CARRY_HEADER_BYTES))}`
export const carriedSealed = (frame: Uint8Array): Uint8Array => frame.subarray(CARRY_HEADER_BYTES)

/** @throws SignalMeshError `BAD_FRAME` for a number that no honest side comes to */
export function carriedCounter(frame: Uint8Array): number {
  return reader(frame.subarray(AT.counter, CARRY_HEADER_BYTES)).u64()
}

/** What is to be carried, as an edge asks its home for it: with whom, and for which connection. */
export interface CarryPlace {
  readonly peer: PeerId
  /** The connection's id, in hex digits. */
  readonly connection: string
}

export function encodePlace({ peer, connection }: CarryPlace): Uint8Array {
  return writer(KEY_BYTES + CONNECTION_BYTES)
    .bytes(fromHex(peer))
    .bytes(fromHex(connection))
    .done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodePlace(body: Uint8Array): CarryPlace {
  const r = reader(body)
  const peer = toHex(r.bytes(KEY_BYTES))
  const connection = toHex(r.bytes(CONNECTION_BYTES))
  r.end()
  return { peer, connection }
}

/** A home's word to its edge that it carries no more. */
export interface CarryEnd extends CarryPlace {
  readonly error: SignalMeshError
}

export function encodeCarryEnd({ error, ...place }: CarryEnd): Uint8Array {
  const head = writer().u8(FRAME.carryEnd).bytes(encodePlace(place))
  return head.bytes(encodeError(error)).done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeCarryEnd(frame: Uint8Array): CarryEnd {
  const r = reader(frame)
  if (r.u8() !== FRAME.carryEnd) throw badFrame('no end of carrying')
  const place = decodePlace(r.bytes(KEY_BYTES + CONNECTION_BYTES))
  const error = readError(r)
  r.end()
  return { ...place, error }
}
