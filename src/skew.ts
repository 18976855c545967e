/** Skew: what a record's `seq`, its time of signing by an edge's clock, is worth by another clock. */

import type { HomeState } from './claims.ts'
import { SignalMeshError } from './errors.ts'
import { MAX_SEQ_STEP, MAX_SKEW_MS } from './limits.ts'
import type { Log } from './log.ts'
import type { EdgeRecord } from './records.ts'

type Signed = Pick<EdgeRecord, 'kind' | 'seq' | 'ttlMs'>

/** Whether the record is from further in the future than clocks may be apart. */
export function isFromFuture({ seq }: Pick<Signed, 'seq'>, wallMs: number): boolean {
  return seq > wallMs + MAX_SKEW_MS
}

/**
 * How long a record that comes now may live; less than nothing if it may not. Its life counts from its
 * receipt, but however often it is handed in again, it is over when its signer's clock says so.
 */
export function lifeMs({ seq, ttlMs }: Pick<Signed, 'seq' | 'ttlMs'>, wallMs: number): number {
  return Math.min(ttlMs, seq + ttlMs + MAX_SKEW_MS - wallMs)
}

/**
 * Refuses what an edge at home here signed by a clock that is far off. `lastSeq` is the highest known
 * of it: from there an edge may always go on, even if this node's clock was set back meanwhile.
 * @throws SignalMeshError `CLOCK_SKEW`, saying how far off
 */
export function checkSkew(record: Signed, wallMs: number, lastSeq: number | undefined): void {
  const goesOn = lastSeq !== undefined && record.seq <= lastSeq + MAX_SEQ_STEP
  const tooEarly = isFromFuture(record, wallMs) && !goesOn
  if (!tooEarly && lifeMs(record, wallMs) >= 0) return
  const seconds = Math.round(Math.abs(record.seq - wallMs) / 1000)
  const side = tooEarly ? 'ahead of' : 'behind'
  throw new SignalMeshError(
    'CLOCK_SKEW',
    `The ${record.kind} was signed ${seconds} s ${side} this node's clock`,
  )
}

/** Watches for homes whose clock does not go with this node's, and says so once of each life of theirs. */
export function createSkewWatch(log: Log): (home: HomeState) => void {
  const told = new WeakSet<HomeState>()
  return (home) => {
    if (home.skewMs === undefined || told.has(home)) return
    told.add(home)
    log.warn('The clocks of a home and of this node are too far apart to show each other’s edges', {
      node: home.id,
      aheadSeconds: Math.round(home.skewMs / 1000),
    })
  }
}
