/** Token buckets: so many at once, so many per second after that. */

export interface Bucket {
  readonly perSecond: number
  readonly burst: number
  tokens: number
  atMs: number
}

export function createBucket(perSecond: number, burst: number): Bucket {
  return { perSecond, burst, tokens: burst, atMs: Number.NaN }
}

/** Takes one token. Returns 0, or how many milliseconds to wait for the next. */
export function take(bucket: Bucket, nowMs: number): number {
  // A clock set back must not take tokens away.
  const passedMs = Math.max(0, nowMs - (Number.isNaN(bucket.atMs) ? nowMs : bucket.atMs))
  bucket.atMs = nowMs
  bucket.tokens = Math.min(bucket.burst, bucket.tokens + (passedMs * bucket.perSecond) / 1000)
  if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 1000) / bucket.perSecond)
  bucket.tokens -= 1
  return 0
}
