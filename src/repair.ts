/** Repair: of a home's records only those are fetched that differ from what is held, each checked as it comes. */

import type { Batch } from './batch.ts'
import { badFrame, equal, fromHex, type Reader, toHex, writer } from './bytes.ts'
import { type HomeState, recordsOf } from './claims.ts'
import { HASH_BYTES, hash } from './crypto.ts'
import { BUCKETS, bucketAt, bucketHash } from './digest.ts'
import { SignalMeshError } from './errors.ts'
import type { EdgeRecord } from './records.ts'
import { NODE_METHOD } from './rpc.ts'
import { byBucket, maskOf, readRecord } from './snapshots.ts'

export interface RepairOptions {
  /** What is held of the home, of this life of it or of one before. */
  readonly held: HomeState
  /** Signed by the home. */
  readonly batch: Batch
  /** What the supplier says that the buckets hash to after that batch. */
  readonly bucketHashes: Uint8Array
  ask(method: number, body: Uint8Array): Promise<Reader>
  /** Throws if the home may not have so many records here. */
  checkCount(records: number): void
}

/** `most`: the whole is cheaper than its differences. `gone`: the supplier keeps this state no more. */
export type Repaired = readonly EdgeRecord[] | 'most' | 'gone'

/** Above so many buckets that differ, probably all records do, and their index would be a fifth more. */
const MOST_BUCKETS = (3 / 4) * BUCKETS
/** Records asked for at once: about as many as a page holds. */
const RECORDS_PER_PAGE = 256

/** A record that is not held: where the supplier has it, and what it must hash to. */
interface Missing {
  readonly bucket: number
  readonly place: number
  readonly hash: Uint8Array
}

/**
 * Puts together what the home's records were after `batch`. Nothing is changed here.
 * @throws SignalMeshError `BAD_SIGNATURE` or `BAD_FRAME` as soon as the supplier says what the home did not sign
 */
export async function repair(options: RepairOptions): Promise<Repaired> {
  const { held, batch, bucketHashes } = options
  if (!equal(hash([bucketHashes]), batch.stateHash)) throw notSigned(batch, 'The buckets')
  const own = byBucket(recordsOf(held))
  const ownHashes = held.digest.buckets()
  const records: EdgeRecord[] = []
  const wanted: number[] = []
  for (const [bucket, kept] of own.entries()) {
    const due = bucketAt(bucketHashes, bucket)
    if (equal(due, bucketAt(ownHashes, bucket))) for (const record of kept) records.push(record)
    else if (due.some((byte) => byte !== 0)) wanted.push(bucket)
  }
  if (wanted.length > MOST_BUCKETS) return 'most'
  const missing = await compareBuckets(options, own, wanted, records)
  if (missing === 'gone' || !(await fetchMissing(options, missing, records))) return 'gone'
  return records
}

/** Asks which records are in the buckets; those held are put to `records`, the others returned. */
async function compareBuckets(
  options: RepairOptions,
  own: readonly (readonly EdgeRecord[])[],
  wanted: number[],
  records: EdgeRecord[],
): Promise<Missing[] | 'gone'> {
  const { batch, bucketHashes } = options
  const missing: Missing[] = []
  while (wanted.length > 0) {
    const body = bodyFor(batch).bytes(maskOf(wanted)).done()
    const r = await options.ask(NODE_METHOD.index, body)
    if (r.left === 0) return 'gone'
    while (r.left > 0) {
      const bucket = wanted.shift()
      if (bucket === undefined) throw badFrame('a bucket too many')
      const index = Array.from({ length: r.u16() }, () => r.bytes(HASH_BYTES))
      if (!equal(bucketHash(index), bucketAt(bucketHashes, bucket))) {
        throw notSigned(batch, `Bucket ${bucket}`)
      }
      const held = new Map(own[bucket]?.map((record) => [toHex(record.hash), record]))
      for (const [place, recordHash] of index.entries()) {
        const record = held.get(toHex(recordHash))
        if (record) records.push(record)
        else missing.push({ bucket, place, hash: recordHash })
      }
      options.checkCount(records.length + missing.length)
    }
  }
  return missing
}

/** @returns false if the supplier keeps this state no more. */
async function fetchMissing(
  options: RepairOptions,
  missing: readonly Missing[],
  records: EdgeRecord[],
): Promise<boolean> {
  let at = 0
  while (at < missing.length) {
    const w = bodyFor(options.batch)
    const asked = missing.slice(at, at + RECORDS_PER_PAGE)
    for (const { bucket, place } of asked) w.u8(bucket).u16(place)
    const r = await options.ask(NODE_METHOD.records, w.done())
    if (r.left === 0) return false
    while (r.left > 0) {
      const due = asked.shift()
      if (!due) throw badFrame('a record too many')
      const record = readRecord(r)
      if (!equal(record.hash, due.hash)) {
        throw notSigned(options.batch, `A record of bucket ${due.bucket}`)
      }
      records.push(record)
      at += 1
    }
  }
  return true
}

function bodyFor({ home, epoch, index }: Batch) {
  return writer().bytes(fromHex(home)).u64(epoch).u64(index)
}

function notSigned({ home }: Batch, what: string): SignalMeshError {
  return new SignalMeshError('BAD_SIGNATURE', `${what} of home ${home} is not what it signed`)
}
