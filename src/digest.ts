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

export function createDigest(): Digest {
  const buckets = new Map<number, Map<string, Uint8Array>>()
  const hashes = new Uint8Array(BUCKETS * HASH_BYTES)
  const changed = new Set<number>()
  let size = 0

  const redone = (): Uint8Array => {
    for (const number of changed) {
      hashes.set(bucketHash([...(buckets.get(number)?.values() ?? [])]), number * HASH_BYTES)
    }
    changed.clear()
    return hashes
  }

  return {
    set: (key, recordHash) => {
      const number = fromHex(key.slice(0, 2))[0] as number
      const bucket = buckets.get(number) ?? new Map<string, Uint8Array>()
      size -= bucket.size
      if (recordHash) bucket.set(key, recordHash)
      else bucket.delete(key)
      size += bucket.size
      if (bucket.size) buckets.set(number, bucket)
      else buckets.delete(number)
      changed.add(number)
    },
    hash: () => hash([redone()]),
    buckets: () => redone().slice(),
    get size() {
      return size
    },
    sizeBeside: (key) => buckets.get(fromHex(key.slice(0, 2))[0] as number)?.size ?? 0,
  }
}

/** Zeros for an empty bucket, else the hash of its record hashes in byte order. */
export function bucketHash(recordHashes: readonly Uint8Array[]): Uint8Array {
  if (recordHashes.length === 0) return new Uint8Array(HASH_BYTES)
  return hash([concat(...[...recordHashes].sort(compare))])
}

/** One bucket's hash among those of all. */
export function bucketAt(hashes: Uint8Array, bucket: number): Uint8Array {
  return hashes.subarray(bucket * HASH_BYTES, (bucket + 1) * HASH_BYTES)
}
