/** Token buckets: so many at once, so many per second after that. */

export interface Bucket {
  readonly perSecond: number
  readonly burst: number
  /** What is left, in thousandths of a token: whole numbers, so that no part of one is rounded away. */
  thousandths: number
  atMs: number
}

export function createBucket(perSecond: number, burst: number): Bucket {
  return { perSecond, burst, thousandths: burst * 1000, atMs: Number.NaN }
}

/** Takes tokens, if they are there. Returns 0, or how many milliseconds to wait for them. */
export function take(bucket: Bucket, nowMs: number, tokens = 1): number {
  const waitMs = fill(bucket, nowMs, tokens)
  if (waitMs === 0) bucket.thousandths -= tokens * 1000
  return waitMs
}

/** Takes tokens, also those that are not there: for what is known only afterwards. */
export function spend(bucket: Bucket, nowMs: number, tokens: number): void {
  fill(bucket, nowMs, tokens)
  bucket.thousandths -= tokens * 1000
}

/** How many milliseconds to wait until so many tokens are there. */
export function fill(bucket: Bucket, nowMs: number, tokens = 1): number {
  // A clock set back must not take tokens away.
  const passedMs = Math.max(0, nowMs - (Number.isNaN(bucket.atMs) ? nowMs : bucket.atMs))
  bucket.atMs = nowMs
  const filled = bucket.thousandths + passedMs * bucket.perSecond
  bucket.thousandths = Math.min(bucket.burst * 1000, filled)
  const missing = tokens * 1000 - bucket.thousandths
  return missing > 0 ? Math.ceil(missing / bucket.perSecond) : 0
}

/** A bucket for each key; of so many keys those used last are remembered, any other has a full one. */
export function bucketsByKey(
  perSecond: number,
  burst: number,
  maxKeys: number,
): (key: string) => Bucket {
  const buckets = new Map<string, Bucket>()
  return (key) => {
    const bucket = buckets.get(key) ?? createBucket(perSecond, burst)
    buckets.delete(key)
    buckets.set(key, bucket)
    if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value as string)
    return bucket
  }
}
