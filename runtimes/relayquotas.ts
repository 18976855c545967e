/** Quotas of a DHT relay: whose sockets it takes, and how fast and how long each may talk. */

import { addressGroup } from '../src/authority.ts'
import type { Clock } from '../src/clock.ts'
import { type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { createBucket, take } from '../src/rate.ts'
import {
  MAX_RELAY_BANS,
  MAX_RELAY_CONNECTIONS,
  MAX_RELAY_CONNECTIONS_PER_ADDRESS,
  MAX_RELAY_FRAME_BYTES,
  MAX_RELAY_WAITING_BYTES,
  RELAY_BAN_MS,
  RELAY_BYTES_BURST,
  RELAY_BYTES_PER_SECOND,
  RELAY_IDLE_MS,
} from './limits.ts'

export interface RelayQuotas {
  /** Gives a socket from the address its place. @throws SignalMeshError `TOO_MANY` or `REFUSED` */
  enter(address: string): Place
  /** Keeps the address out for a while. */
  ban(address: string): void
}

export interface Place {
  readonly address: string
  leave(): void
}

export function createRelayQuotas(clock: Clock): RelayQuotas {
  const places = new Map<string, number>()
  const bannedAtMs = new Map<string, number>()
  let all = 0

  const isBanned = (group: string): boolean => {
    const atMs = bannedAtMs.get(group)
    return atMs !== undefined && clock.monotonicMs() - atMs < RELAY_BAN_MS
  }

  return {
    enter: (address) => {
      const group = addressGroup(address)
      const near = places.get(group) ?? 0
      if (isBanned(group)) {
        throw new SignalMeshError(
          'REFUSED',
          'This address has broken the DHT relay; come back later',
        )
      }
      if (all >= MAX_RELAY_CONNECTIONS) {
        throw new SignalMeshError('TOO_MANY', 'This DHT relay takes no more clients')
      }
      if (near >= MAX_RELAY_CONNECTIONS_PER_ADDRESS) {
        throw new SignalMeshError('TOO_MANY', 'This DHT relay takes no more clients of one address')
      }
      all += 1
      places.set(group, near + 1)
      let isIn = true
      return {
        address,
        leave: () => {
          if (!isIn) return
          isIn = false
          all -= 1
          const left = (places.get(group) ?? 1) - 1
          if (left > 0) places.set(group, left)
          else places.delete(group)
        },
      }
    },
    ban: (address) => {
      const group = addressGroup(address)
      bannedAtMs.delete(group)
      bannedAtMs.set(group, clock.monotonicMs())
      if (bannedAtMs.size > MAX_RELAY_BANS) {
        bannedAtMs.delete(bannedAtMs.keys().next().value as string)
      }
    },
  }
}

export interface Paced {
  push(frame: Uint8Array): void
  stop(): void
}

/**
 * Hands frames on in their order, no faster than the rate: of what is above it some waits, and
 * `onExcess` hears of more than that, and of a frame over the bound.
 */
export function paced(
  clock: Clock,
  handOn: (frame: Uint8Array) => void,
  onExcess: (code: ErrorCode) => void,
): Paced {
  const bucket = createBucket(RELAY_BYTES_PER_SECOND, RELAY_BYTES_BURST)
  const waiting: Uint8Array[] = []
  let waitingBytes = 0
  let cancel: (() => void) | undefined
  let stopped = false

  const drain = (): void => {
    cancel = undefined
    while (waiting[0] && !stopped) {
      const waitMs = take(bucket, clock.monotonicMs(), waiting[0].length)
      if (waitMs > 0) {
        cancel = clock.after(waitMs, drain)
        return
      }
      const frame = waiting.shift() as Uint8Array
      waitingBytes -= frame.length
      handOn(frame)
    }
  }
  const stop = (): void => {
    stopped = true
    cancel?.()
    waiting.length = 0
  }
  return {
    push: (frame) => {
      if (stopped) return
      if (frame.length > MAX_RELAY_FRAME_BYTES) return onExcess('TOO_LARGE')
      waiting.push(frame)
      waitingBytes += frame.length
      if (!cancel) drain()
      if (waitingBytes > MAX_RELAY_WAITING_BYTES) onExcess('RATE_LIMITED')
    },
    stop,
  }
}

/** Calls `onIdle` once nothing was heard for the bound; `heard` is called with each frame. */
export function idleWatch(clock: Clock, onIdle: () => void): { heard(): void; stop(): void } {
  let heardAtMs = clock.monotonicMs()
  let cancel = clock.after(RELAY_IDLE_MS, look)
  function look(): void {
    const leftMs = heardAtMs + RELAY_IDLE_MS - clock.monotonicMs()
    if (leftMs <= 0) onIdle()
    else cancel = clock.after(leftMs, look)
  }
  return {
    heard: () => {
      heardAtMs = clock.monotonicMs()
    },
    stop: () => cancel(),
  }
}
