/** Openings: how many attempts to connect one edge may begin with the edges of one home. */

import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { PeerId } from './identity.ts'
import { OPENS_BURST, OPENS_PER_SECOND } from './limits.ts'
import { type Bucket, createBucket, take } from './rate.ts'

/** Senders remembered before those are forgotten who have their whole burst again. */
const MAX_REMEMBERED = 10_000
const FULL_AFTER_MS = (OPENS_BURST / OPENS_PER_SECOND) * 1000

/**
 * Makes the count of one home. An opening makes its target work and perhaps asks a person, so it is
 * limited where the target is at home: there no choice of another home gets a sender around it.
 */
export function createOpens(clock: Clock): (sender: PeerId) => void {
  const buckets = new Map<PeerId, Bucket>()
  return (sender) => {
    const nowMs = clock.nowMs()
    const bucket = buckets.get(sender) ?? createBucket(OPENS_PER_SECOND, OPENS_BURST)
    buckets.set(sender, bucket)
    if (buckets.size > MAX_REMEMBERED) {
      for (const [key, { atMs }] of buckets) if (nowMs - atMs > FULL_AFTER_MS) buckets.delete(key)
    }
    const retryAfterMs = take(bucket, nowMs)
    if (retryAfterMs === 0) return
    throw new SignalMeshError('RATE_LIMITED', `${sender} begins too many attempts`, {
      retryAfterMs,
    })
  }
}
