/** On-demand links: dials to homes that have no link here, each once for all the signals that wait for it. */

import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  BUSY_RETRY_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  MAX_DIALS,
  MAX_HOMES,
  MAX_ON_DEMAND_LINKS,
  MAX_SIGNALS_PER_DIAL,
  MAX_WAITING_BYTES,
} from './limits.ts'

/** A frame that waits, and whether this node sends it anew by itself. */
export interface Waiting {
  readonly frame: Uint8Array
  readonly isRetry: boolean
}

export interface OnDemandOptions {
  readonly clock: Clock
  /** Begins to open a link to a node by its DHT key; false if this node cannot dial. */
  dial(dhtKey: Uint8Array): boolean
  /** Ends a dial, and the wish for the link that came of one. */
  giveUp(dhtKey: Uint8Array): void
  onFailed(home: NodeId, waiting: readonly Waiting[]): void
}

export interface OnDemand {
  /** Whether as many dials run as may. */
  readonly isBusy: boolean
  /** Whether the last dial to the home failed. */
  hasFailed(home: NodeId): boolean
  /** Sees that the home is being dialled; false if it cannot be, or not now. */
  begin(home: NodeId, dhtKey: Uint8Array | undefined): boolean
  /** Lets a frame wait for a home that is being dialled; throws `RATE_LIMITED` if too many do. */
  wait(home: NodeId, waiting: Waiting): void
  /** A link has come up; gives what waited for it. */
  linked(home: NodeId): readonly Waiting[]
  unlinked(home: NodeId): void
  /** Ends all dials; gives what waited. */
  close(): Waiting[]
}

interface Dial {
  readonly waiting: Waiting[]
  readonly dhtKey: Uint8Array
  readonly cancelTimer: () => void
}

export function createOnDemand(options: OnDemandOptions): OnDemand {
  const { clock } = options
  const dials = new Map<NodeId, Dial>()
  const failedAtMs = new Map<NodeId, number>()
  /** Links that came of dials, by the key under which the swarm keeps them up. */
  const opened = new Map<NodeId, Uint8Array>()
  let waitingBytes = 0

  /** Ends a dial here; gives what waited for it. */
  const end = (home: NodeId, dial: Dial): Waiting[] => {
    dials.delete(home)
    dial.cancelTimer()
    for (const { frame } of dial.waiting) waitingBytes -= frame.length
    return dial.waiting
  }

  const fail = (home: NodeId): void => {
    const dial = dials.get(home)
    if (!dial) return
    failedAtMs.delete(home)
    failedAtMs.set(home, clock.monotonicMs())
    if (failedAtMs.size > MAX_HOMES) failedAtMs.delete(failedAtMs.keys().next().value as NodeId)
    options.giveUp(dial.dhtKey)
    options.onFailed(home, end(home, dial))
  }

  const keep = (home: NodeId, dhtKey: Uint8Array): void => {
    opened.set(home, dhtKey)
    if (opened.size <= MAX_ON_DEMAND_LINKS) return
    // The eldest is a neighbour like any other from now on: it is not dialled anew when it ends.
    forget(opened.keys().next().value as NodeId)
  }

  const forget = (home: NodeId): void => {
    const dhtKey = opened.get(home)
    if (!opened.delete(home)) return
    options.giveUp(dhtKey as Uint8Array)
  }

  return {
    get isBusy() {
      return dials.size >= MAX_DIALS
    },
    hasFailed: (home) => failedAtMs.has(home),
    begin: (home, dhtKey) => {
      if (dials.has(home)) return true
      const triedMs = clock.monotonicMs() - (failedAtMs.get(home) ?? Number.NEGATIVE_INFINITY)
      if (!dhtKey || dials.size >= MAX_DIALS || triedMs < DIAL_RETRY_MS) return false
      if (!options.dial(dhtKey)) return false
      const cancelTimer = clock.after(DIAL_TIMEOUT_MS, () => fail(home))
      dials.set(home, { waiting: [], dhtKey, cancelTimer })
      return true
    },
    wait: (home, { frame, isRetry }) => {
      const waiting = dials.get(home)?.waiting as Waiting[]
      const isFull = waitingBytes + frame.length > MAX_WAITING_BYTES
      if (isFull || waiting.length >= MAX_SIGNALS_PER_DIAL) {
        throw new SignalMeshError('RATE_LIMITED', `Too many signals wait for node ${home}`, {
          retryAfterMs: BUSY_RETRY_MS,
        })
      }
      waitingBytes += frame.length
      waiting.push({ frame: frame.slice(), isRetry })
    },
    linked: (home) => {
      failedAtMs.delete(home)
      const dial = dials.get(home)
      if (!dial) return []
      keep(home, dial.dhtKey)
      return end(home, dial)
    },
    unlinked: forget,
    close: () => [...dials].flatMap(([home, dial]) => end(home, dial)),
  }
}
