/** Snapshots: a home's records after one of its batches, as pages that are whole or of single buckets. */

import type { Position } from './batch.ts'
import { badFrame, compare, type Reader, reader, type Writer, writer } from './bytes.ts'
import { type HomeState, recordsOf } from './claims.ts'
import { HASH_BYTES } from './crypto.ts'
import { BUCKETS } from './digest.ts'
import { MAX_PAGE_BYTES, MAX_RECORD_BYTES } from './limits.ts'
import { decodeAdvert, decodePresence, type EdgeRecord } from './records.ts'

/** The first byte of an answer to a pull. */
export const REPLY = { nothing: 0, batches: 1, snapshot: 2, buckets: 3 } as const

/** All records of a home as they were after one of its batches. */
export interface Snapshot {
  readonly position: Position
  readonly lastBatch: Uint8Array
  readonly records: readonly EdgeRecord[]
  /** Of all records together. */
  readonly bytes: number
  readonly buckets: readonly (readonly EdgeRecord[])[]
  readonly bucketHashes: Uint8Array
  /** Buckets in the order of their records' hashes; sorted when they are first asked for. */
  readonly sorted: Map<number, readonly EdgeRecord[]>
}

export function takeSnapshot(state: HomeState): Snapshot {
  const records = recordsOf(state)
  return {
    position: state.position,
    lastBatch: state.recent.at(-1) as Uint8Array,
    records,
    bytes: state.bytes,
    buckets: byBucket(records),
    bucketHashes: state.digest.buckets(),
    sorted: new Map(),
  }
}

/** Records by the first byte of their edge. */
export function byBucket(records: readonly EdgeRecord[]): EdgeRecord[][] {
  const buckets: EdgeRecord[][] = Array.from({ length: BUCKETS }, () => [])
  for (const record of records) buckets[record.peerKey[0] as number]?.push(record)
  return buckets
}

/** Whether buckets are worth their round trips, and each has a page for its index. */
export function isRepairable({ bytes, buckets }: Snapshot): boolean {
  const fits = ({ length }: readonly EdgeRecord[]) => indexBytes(length) <= MAX_PAGE_BYTES
  return bytes > MAX_PAGE_BYTES && buckets.every(fits)
}

/** What all the rest is checked against: it hashes to the state that the batch names. */
export function bucketsPage({ lastBatch, bucketHashes }: Snapshot): Uint8Array {
  const w = writer(MAX_PAGE_BYTES).u8(REPLY.buckets).u8(0).block(lastBatch)
  return w.bytes(bucketHashes).done()
}

/** The record hashes of the first of these buckets, as many as fit. */
export function indexPage(snapshot: Snapshot, mask: Uint8Array): Uint8Array {
  const w = writer(MAX_PAGE_BYTES)
  let bytes = 0
  for (const bucket of bucketsIn(mask)) {
    const records = sortedBucket(snapshot, bucket)
    bytes += indexBytes(records.length)
    if (bytes > MAX_PAGE_BYTES) break
    w.u16(records.length)
    for (const record of records) w.bytes(record.hash)
  }
  return w.done()
}

/** The first of the records at these places, as many as fit. */
export function placesPage(snapshot: Snapshot, places: Uint8Array): Uint8Array {
  const w = writer(MAX_PAGE_BYTES)
  let bytes = 0
  for (const r = reader(places); r.left > 0; ) {
    const record = sortedBucket(snapshot, r.u8())[r.u16()]
    if (!record) throw badFrame('no record at a place')
    bytes += entryBytes(record)
    if (bytes > MAX_PAGE_BYTES) break
    writeRecord(w, record)
  }
  return w.done()
}

export function snapshotPage({ lastBatch, records }: Snapshot, cursor: number): Uint8Array {
  const w = writer(MAX_PAGE_BYTES + 2)
    .u8(REPLY.snapshot)
    .u8(0)
    .block(lastBatch)
  let bytes = 0
  for (let i = cursor; i < records.length; i++) {
    const record = records[i] as EdgeRecord
    bytes += entryBytes(record)
    if (bytes > MAX_PAGE_BYTES - lastBatch.length) return withMore(w.done(), 1)
    writeRecord(w, record)
  }
  return w.done()
}

export function batchPage(batches: readonly Uint8Array[]): Uint8Array {
  const w = writer(4096).u8(REPLY.batches).u8(0)
  let bytes = 0
  for (const batch of batches) {
    bytes += 2 + batch.length
    if (bytes > MAX_PAGE_BYTES) return withMore(w.done(), 1)
    w.block(batch)
  }
  return w.done()
}

/** Sets the page's flag that says there is more to ask for. */
export function withMore(page: Uint8Array, at = 0): Uint8Array {
  page[at] = 1
  return page
}

export function readRecord(r: Reader): EdgeRecord {
  const decode = r.u8() === 1 ? decodePresence : decodeAdvert
  return decode(r.block(MAX_RECORD_BYTES))
}

function writeRecord(w: Writer, { kind, bytes }: EdgeRecord): void {
  w.u8(kind === 'presence' ? 1 : 2).block(bytes)
}

function entryBytes({ bytes }: EdgeRecord): number {
  return 3 + bytes.length
}

function indexBytes(records: number): number {
  return 2 + records * HASH_BYTES
}

/** Which buckets a mask names: of bucket n, bit n % 8 of byte n / 8. */
function bucketsIn(mask: Uint8Array): number[] {
  const all = Array.from({ length: BUCKETS }, (_, bucket) => bucket)
  return all.filter((bucket) => ((mask[bucket >> 3] as number) >> (bucket & 7)) & 1)
}

export function maskOf(buckets: readonly number[]): Uint8Array {
  const mask = new Uint8Array(BUCKETS / 8)
  for (const bucket of buckets)
    mask[bucket >> 3] = (mask[bucket >> 3] as number) | (1 << (bucket & 7))
  return mask
}

function sortedBucket({ buckets, sorted }: Snapshot, bucket: number): readonly EdgeRecord[] {
  const known = sorted.get(bucket)
  if (known) return known
  const records = [...(buckets[bucket] ?? [])].sort((a, b) => compare(a.hash, b.hash))
  sorted.set(bucket, records)
  return records
}
