/** Caps of carrying: bytes per second, bytes and minutes in a day, of a pair, of an address and of the node. */

import { SignalMeshError } from './errors.ts'
import type { PeerId } from './identity.ts'
import {
  CARRY_ADDRESS_BYTES_PER_SECOND,
  CARRY_ADDRESS_DAY_BYTES,
  CARRY_ADDRESS_DAY_MINUTES,
  CARRY_DAY_BYTES,
  CARRY_DAY_MINUTES,
  CARRY_PAIR_BYTES_PER_SECOND,
  CARRY_PAIR_DAY_BYTES,
  CARRY_PAIR_DAY_MINUTES,
  MAX_COUNTED,
} from './limits.ts'
import { type Bucket, bucketsByKey, createBucket, fill, spend } from './rate.ts'

/** What one of the three may have. A day's buckets fill up again in a day. */
export interface Allowance {
  readonly of: string
  readonly rate: Bucket
  readonly bytes: Bucket
  readonly minutes: Bucket
}

export interface CarryCaps {
  readonly node: Allowance
  address(group: string): Allowance
  pair(a: PeerId, b: PeerId): Allowance
  /** Whether one more frame may go now. */
  mayNow(all: readonly Allowance[], nowMs: number): boolean
  count(all: readonly Allowance[], nowMs: number, bytes: number): void
  countMinutes(all: readonly Allowance[], nowMs: number, minutes: number): void
  /** Why no more is carried, if less than this share of a day's bytes or minutes is left. */
  over(all: readonly Allowance[], nowMs: number, share?: number): SignalMeshError | undefined
}

const DAY_SECONDS = 24 * 60 * 60

export function createCarryCaps(bytesPerSecond: number): CarryCaps {
  const day = (burst: number): Bucket => createBucket(burst / DAY_SECONDS, burst)
  const dayByKey = (burst: number): ((key: string) => Bucket) =>
    bucketsByKey(burst / DAY_SECONDS, burst, MAX_COUNTED)
  const rateByKey = (perSecond: number): ((key: string) => Bucket) =>
    bucketsByKey(perSecond, perSecond, MAX_COUNTED)
  const addressRates = rateByKey(CARRY_ADDRESS_BYTES_PER_SECOND)
  const addressBytes = dayByKey(CARRY_ADDRESS_DAY_BYTES)
  const addressMinutes = dayByKey(CARRY_ADDRESS_DAY_MINUTES)
  const pairRates = rateByKey(CARRY_PAIR_BYTES_PER_SECOND)
  const pairBytes = dayByKey(CARRY_PAIR_DAY_BYTES)
  const pairMinutes = dayByKey(CARRY_PAIR_DAY_MINUTES)
  return {
    node: {
      of: 'in all',
      rate: createBucket(bytesPerSecond, bytesPerSecond),
      bytes: day(CARRY_DAY_BYTES),
      minutes: day(CARRY_DAY_MINUTES),
    },
    address: (group) => ({
      of: 'for one address',
      rate: addressRates(group),
      bytes: addressBytes(group),
      minutes: addressMinutes(group),
    }),
    pair: (a, b) => {
      const key = a < b ? `${a}/${b}` : `${b}/${a}`
      return {
        of: 'for one pair',
        rate: pairRates(key),
        bytes: pairBytes(key),
        minutes: pairMinutes(key),
      }
    },
    // What is left may be less than a frame: it is paid back before the next.
    mayNow: (all, nowMs) => all.every(({ rate }) => fill(rate, nowMs) === 0),
    count: (all, nowMs, bytes) => {
      for (const one of all) {
        spend(one.rate, nowMs, bytes)
        spend(one.bytes, nowMs, bytes)
      }
    },
    countMinutes: (all, nowMs, minutes) => {
      for (const one of all) spend(one.minutes, nowMs, minutes)
    },
    over: (all, nowMs, share = 0) => {
      const isOver = (bucket: Bucket): boolean => fill(bucket, nowMs, share * bucket.burst) > 0
      for (const { of, bytes, minutes } of all) {
        const what = isOver(bytes) ? 'bytes' : isOver(minutes) ? 'minutes' : undefined
        if (!what) continue
        const text = `This node has carried the day's ${what} ${of}`
        return new SignalMeshError('RATE_LIMITED', text)
      }
      return undefined
    },
  }
}

/** All that a pair is counted by, of an edge here at an address of this group. */
export function allowances(
  caps: CarryCaps,
  self: PeerId,
  peer: PeerId,
  group: string,
): readonly Allowance[] {
  return [caps.pair(self, peer), caps.address(group), caps.node]
}
