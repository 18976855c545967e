/** A report on the wire: what a node tells the whole mesh about itself, signed, for people to look at. */

import { badFrame, fromHex, type Reader, reader, toHex, type Writer, writer } from './bytes.ts'
import { KEY_BYTES, type KeyPair, SIGNATURE_BYTES, sign, verify } from './crypto.ts'
import { isTurnUrl } from './ice.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_ICE_TEXT_BYTES,
  MAX_NEIGHBOURS,
  MAX_NODE_NAME_BYTES,
  MAX_REPORT_BYTES,
  MAX_REPORTED_BEHIND,
  MAX_TURN_URLS,
  MAX_VERSION_BYTES,
  MAX_VERSIONS,
} from './limits.ts'
import { endOfSigned, finish } from './records.ts'

const FORMAT = 1
/** A node is named in another's report by the start of its NodeId: nobody makes two keys that share it. */
const SHORT_BYTES = 8
export const SHORT_DIGITS: number = 2 * SHORT_BYTES

const FLAG = { draining: 1, carries: 2, lendsDht: 4, private: 8, inside: 16 } as const
const LINK_FLAG = { initiator: 1, relayed: 2 } as const
/** What a number reads as that is not known. */
const NO_U16 = 0xffff
const OFFSET_ZERO = 0x8000_0000

/** One of its links. */
export interface ReportedLink {
  /** The first 16 digits of the neighbour's NodeId. */
  readonly node: string
  /** Undefined until it was measured. */
  readonly rttMs: number | undefined
  /** Whether the node that reports has dialled it. */
  readonly initiator: boolean
  /** Whether it goes through a DHT relay. */
  readonly relayed: boolean
}

/** A home of which the node knows that it lacks batches. */
export interface ReportedLag {
  /** The first 16 digits of the home's NodeId. */
  readonly node: string
  readonly batches: number
}

/** Signals since the node began. */
export interface ReportedSignals {
  /** Of edges here to edges here. */
  readonly delivered: number
  /** Gone on to other nodes. */
  readonly forwarded: number
  /** From other homes to edges here. */
  readonly received: number
  /** Gone no further, for whatever reason. */
  readonly refused: number
  /** Of these, those for which no way was found. */
  readonly failed: number
}

/** What the node sees of the whole mesh: nodes that agree have converged. */
export interface ReportedSight {
  readonly homes: number
  readonly edges: number
  readonly topics: number
  readonly records: number
}

export interface ReportFields {
  /** Of the life of the node's log; a report of a later one is newer. */
  readonly epoch: number
  /** Grows with each report of one epoch. */
  readonly number: number
  /** The node's own clock. */
  readonly nowMs: number
  readonly draining: boolean
  readonly carries: boolean
  readonly lendsDht: boolean
  /** Whether the mesh is one of listed nodes, as far as this one goes. */
  readonly private: boolean
  /** Whether it is in a page, and home to that alone. */
  readonly inside: boolean
  /** Given by its operator; may be empty. */
  readonly name: string
  readonly version: string
  /** Name and version. */
  readonly runtime: string
  readonly protocolVersions: readonly number[]
  readonly turnUrls: readonly string[]
  readonly uptimeSeconds: number
  /** Share of one processor that the process took lately: 1 is all of it. */
  readonly load: number | undefined
  /** How far its clock is ahead of its neighbours', by the middle one of them. */
  readonly clockOffsetMs: number | undefined
  readonly edges: number
  readonly records: number
  readonly sees: ReportedSight
  readonly signals: ReportedSignals
  readonly carriedBytes: number
  readonly links: readonly ReportedLink[]
  /** How many homes it is behind, and the first of them by how far. */
  readonly homesBehind: number
  readonly behind: readonly ReportedLag[]
}

export interface Report extends ReportFields {
  readonly bytes: Uint8Array
  readonly node: NodeId
  readonly nodeKey: Uint8Array
}

/** Where a report stands among those of its node. */
export type ReportPlace = Pick<Report, 'node' | 'epoch' | 'number'>

export function signReport(networkId: Uint8Array, keys: KeyPair, fields: ReportFields): Report {
  const w = writer(1024).u8(FORMAT).bytes(keys.publicKey).u64(fields.epoch).u32(fields.number)
  w.u64(fields.nowMs).u8(flagsOf(fields))
  w.text(fields.name).text(fields.version).text(fields.runtime)
  w.u8(fields.protocolVersions.length)
  for (const version of fields.protocolVersions) w.u16(version)
  w.u8(fields.turnUrls.length)
  for (const url of fields.turnUrls) w.text(url)
  const { load, clockOffsetMs: offsetMs } = fields
  w.u32(upTo(fields.uptimeSeconds, 0xffff_ffff))
  w.u16(load === undefined ? NO_U16 : upTo(Math.round(load * 1000), NO_U16 - 1))
  w.u32(offsetMs === undefined ? 0 : writtenOffset(offsetMs))
  w.u32(fields.edges).u32(fields.records)
  const { sees, signals } = fields
  w.u32(sees.homes).u32(sees.edges).u32(sees.topics).u32(sees.records)
  w.u64(signals.delivered).u64(signals.forwarded).u64(signals.received)
  w.u64(signals.refused).u64(signals.failed).u64(fields.carriedBytes)
  w.u8(fields.links.length)
  for (const link of fields.links) writeLink(w, link)
  w.u16(upTo(fields.homesBehind, NO_U16)).u8(fields.behind.length)
  for (const { node, batches } of fields.behind) {
    w.bytes(fromHex(node)).u32(upTo(batches, 0xffff_ffff))
  }
  return decodeReport(finish(w, (body) => sign('report', networkId, body, keys)))
}

/**
 * Reads a report; its signature is not checked here.
 * @throws SignalMeshError `BAD_FRAME`
 */
export function decodeReport(bytes: Uint8Array): Report {
  if (bytes.length > MAX_REPORT_BYTES) throw badFrame(`a report of ${bytes.length} bytes`)
  const r = reader(bytes)
  if (r.u8() !== FORMAT) throw badFrame('an unknown format')
  const nodeKey = r.bytes(KEY_BYTES)
  const place = { epoch: r.u64(), number: r.u32() }
  const nowMs = r.u64()
  const flags = readFlags(r.u8())
  const name = plainText(r, MAX_NODE_NAME_BYTES)
  const version = plainText(r, MAX_VERSION_BYTES)
  const runtime = plainText(r, MAX_VERSION_BYTES)
  const protocolVersions = listOf(r.u8(), MAX_VERSIONS, () => r.u16())
  const turnUrls = listOf(r.u8(), MAX_TURN_URLS, () => turnUrl(r))
  const uptimeSeconds = r.u32()
  const load = r.u16()
  const offset = r.u32()
  const [edges, records] = [r.u32(), r.u32()]
  const sees = { homes: r.u32(), edges: r.u32(), topics: r.u32(), records: r.u32() }
  const signals = {
    delivered: r.u64(),
    forwarded: r.u64(),
    received: r.u64(),
    refused: r.u64(),
    failed: r.u64(),
  }
  const carriedBytes = r.u64()
  const links = listOf(r.u8(), MAX_NEIGHBOURS, () => readLink(r))
  const homesBehind = r.u16()
  const behind = listOf(r.u8(), MAX_REPORTED_BEHIND, () => ({
    node: toHex(r.bytes(SHORT_BYTES)),
    batches: r.u32(),
  }))
  endOfSigned(r)
  return {
    bytes,
    node: toHex(nodeKey),
    nodeKey,
    ...place,
    nowMs,
    ...flags,
    name,
    version,
    runtime,
    protocolVersions,
    turnUrls,
    uptimeSeconds,
    load: load === NO_U16 ? undefined : load / 1000,
    clockOffsetMs: offset === 0 ? undefined : offset - OFFSET_ZERO,
    edges,
    records,
    sees,
    signals,
    carriedBytes,
    links,
    homesBehind,
    behind,
  }
}

/** Whose a report is and where it stands, without reading the rest of it. */
export function peekReport(bytes: Uint8Array): ReportPlace {
  const r = reader(bytes)
  r.u8()
  return { node: toHex(r.bytes(KEY_BYTES)), epoch: r.u64(), number: r.u32() }
}

/** Whether the node itself signed it, for this network. */
export function isSignedByNode(networkId: Uint8Array, { bytes, nodeKey }: Report): boolean {
  const split = bytes.length - SIGNATURE_BYTES
  return verify('report', networkId, bytes.subarray(0, split), bytes.subarray(split), nodeKey)
}

/** Whether `a` is later than `b`, of the same node. */
export function isNewer(
  a: Pick<Report, 'epoch' | 'number'>,
  b: Pick<Report, 'epoch' | 'number'>,
): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.number > b.number)
}

function flagsOf(fields: ReportFields): number {
  return (Object.keys(FLAG) as (keyof typeof FLAG)[])
    .filter((name) => fields[name])
    .reduce((bits, name) => bits | FLAG[name], 0)
}

/** Bits of later versions are skipped. */
function readFlags(bits: number): Record<keyof typeof FLAG, boolean> {
  const is = (bit: number): boolean => (bits & bit) !== 0
  return {
    draining: is(FLAG.draining),
    carries: is(FLAG.carries),
    lendsDht: is(FLAG.lendsDht),
    private: is(FLAG.private),
    inside: is(FLAG.inside),
  }
}

function writeLink(w: Writer, { node, rttMs, initiator, relayed }: ReportedLink): void {
  w.bytes(fromHex(node)).u16(rttMs === undefined ? NO_U16 : upTo(rttMs, NO_U16 - 1))
  w.u8((initiator ? LINK_FLAG.initiator : 0) | (relayed ? LINK_FLAG.relayed : 0))
}

function readLink(r: Reader): ReportedLink {
  const node = toHex(r.bytes(SHORT_BYTES))
  const rttMs = r.u16()
  const flags = r.u8()
  return {
    node,
    rttMs: rttMs === NO_U16 ? undefined : rttMs,
    initiator: (flags & LINK_FLAG.initiator) !== 0,
    relayed: (flags & LINK_FLAG.relayed) !== 0,
  }
}

function listOf<Item>(count: number, atMost: number, read: () => Item): Item[] {
  if (count > atMost) throw badFrame(`${count} items in a report, ${atMost} allowed`)
  return Array.from({ length: count }, read)
}

/** Text that is shown to people: nothing in it moves a cursor or hides what is beside it. */
function plainText(r: Reader, maxBytes: number): string {
  const text = r.text(maxBytes)
  if (!isPlain(text)) throw badFrame('a report with letters that cannot be shown')
  return text
}

export function isPlain(text: string): boolean {
  return !/[\p{C}\p{Zl}\p{Zp}]/u.test(text)
}

function turnUrl(r: Reader): string {
  const url = r.text(MAX_ICE_TEXT_BYTES)
  if (!isTurnUrl(url)) throw badFrame(`a TURN server ${JSON.stringify(url)}`)
  return url
}

function upTo(value: number, most: number): number {
  return Math.max(0, Math.min(most, Math.round(value)))
}

/** 2^31 stands for 0, and 0 for what is not known. */
function writtenOffset(offsetMs: number): number {
  return Math.max(1, Math.min(0xffff_ffff, OFFSET_ZERO + Math.round(offsetMs)))
}
