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

/** Takes one token. Returns 0, or how many milliseconds to wait for the next. */
export function take(bucket: Bucket, nowMs: number): number {
  // A clock set back must not take tokens away.
  const passedMs = Math.max(0, nowMs - (Number.isNaN(bucket.atMs) ? nowMs : bucket.atMs))
  bucket.atMs = nowMs
  const filled = bucket.thousandths + passedMs * bucket.perSecond
  bucket.thousandths = Math.min(bucket.burst * 1000, filled)
  if (bucket.thousandths < 1000) {
    return Math.ceil((1000 - bucket.thousandths) / bucket.perSecond)
  }
  bucket.thousandths -= 1000
  return 0
}
