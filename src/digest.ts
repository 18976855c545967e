/** A digest of a home's records: one hash for all, from 256 buckets of which only the changed are redone. */

import { compare, concat, fromHex } from './bytes.ts'
import { HASH_BYTES, hash } from './crypto.ts'

/** In how many parts the records of a home are hashed. */
export const BUCKETS = 256

export interface Digest {
  /** Sets (or with `undefined` removes) the record hash kept under `key`, which begins with a PeerId. */
  set(key: string, recordHash: Uint8Array | undefined): void
  /** The hash over all records. */
  hash(): Uint8Array
  /** The hashes of all buckets, one behind the other: what `hash` is the hash of. */
  buckets(): Uint8Array
  readonly size: number
  /** How many records are in the bucket of this key. */
  sizeBeside(key: string): number
}

interface Bucket {
  readonly byKey: Map<string, Uint8Array>
  /** The record hashes in byte order, from when they were first asked for. */
  sorted: Uint8Array[] | undefined
}

export function createDigest(): Digest {
  const buckets = new Map<number, Bucket>()
  const hashes = new Uint8Array(BUCKETS * HASH_BYTES)
  const changed = new Set<number>()
  let size = 0

  const redone = (): Uint8Array => {
    for (const number of changed) {
      const bucket = buckets.get(number)
      const sorted = bucket ? sortedOf(bucket) : []
      hashes.set(hashOfSorted(sorted), number * HASH_BYTES)
    }
    changed.clear()
    return hashes
  }

  return {
    set: (key, recordHash) => {
      const number = bucketOf(key)
      const bucket = buckets.get(number) ?? { byKey: new Map(), sorted: undefined }
      const { byKey } = bucket
      const before = byKey.get(key)
      size -= byKey.size
      if (recordHash) byKey.set(key, recordHash)
      else byKey.delete(key)
      size += byKey.size
      if (byKey.size) buckets.set(number, bucket)
      else buckets.delete(number)
      exchange(bucket, before, recordHash)
      changed.add(number)
    },
    hash: () => hash([redone()]),
    buckets: () => redone().slice(),
    get size() {
      return size
    },
    sizeBeside: (key) => buckets.get(bucketOf(key))?.byKey.size ?? 0,
  }
}

function bucketOf(key: string): number {
  return fromHex(key.slice(0, 2))[0] as number
}

/** Keeps the order, for one change must not cost as much as all. */
function exchange({ sorted }: Bucket, before?: Uint8Array, after?: Uint8Array): void {
  if (!sorted) return
  if (before) sorted.splice(placeOf(before, sorted), 1)
  if (after) sorted.splice(placeOf(after, sorted), 0, after)
}

/** Where the hash is, or would be. */
function placeOf(recordHash: Uint8Array, sorted: readonly Uint8Array[]): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (compare(sorted[middle] as Uint8Array, recordHash) < 0) from = middle + 1
    else to = middle
  }
  return from
}

function sortedOf(bucket: Bucket): readonly Uint8Array[] {
  bucket.sorted ??= inOrder([...bucket.byKey.values()])
  return bucket.sorted
}

/** Zeros for an empty bucket, else the hash of its record hashes in byte order. */
export function bucketHash(recordHashes: readonly Uint8Array[]): Uint8Array {
  return hashOfSorted(inOrder(recordHashes))
}

function inOrder(recordHashes: readonly Uint8Array[]): Uint8Array[] {
  return [...recordHashes].sort(compare)
}

function hashOfSorted(sorted: readonly Uint8Array[]): Uint8Array {
  return sorted.length === 0 ? new Uint8Array(HASH_BYTES) : hash([concat(...sorted)])
}

/** One bucket's hash among those of all. */
export function bucketAt(hashes: Uint8Array, bucket: number): Uint8Array {
  return hashes.subarray(bucket * HASH_BYTES, (bucket + 1) * HASH_BYTES)
}
