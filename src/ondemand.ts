/** On-demand links: dials to homes that have no link here, each once for all the signals that wait for it. */

import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import {
  BUSY_RETRY_MS,
  DIAL_RETRY_MAX_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  DIAL_URL_AFTER_MS,
  HOME_SETTLES_MS,
  MAX_DIALS,
  MAX_DIALS_PER_ADDRESS,
  MAX_DIALS_PER_EDGE,
  MAX_HOMES,
  MAX_ON_DEMAND_LINKS,
  MAX_SIGNALS_PER_DIAL,
  MAX_WAITING_BYTES,
  WAY_LOOK_MS,
} from './limits.ts'

/** A frame that waits, and whether this node sends it anew by itself. */
export interface Waiting {
  readonly frame: Uint8Array
  readonly isRetry: boolean
}

/** For whom a home is dialled: an edge, and the group of its address. */
export interface Asker {
  readonly edge: PeerId
  readonly group: string
}

export interface OnDemandOptions {
  readonly clock: Clock
  /** Begins to open a link to a node by its DHT key; false if this node cannot dial. */
  dial(dhtKey: Uint8Array): boolean
  /**
   * Dials a node by the URLs that it names; undefined if it names none that may be dialled now, false
   * once none has led to it.
   */
  dialUrl?(home: NodeId): Promise<boolean> | undefined
  /** Ends a dial, and the wish for the link that came of one. */
  giveUp(dhtKey: Uint8Array): void
  onFailed(home: NodeId, waiting: readonly Waiting[], by: Asker): void
  /** When the home came, or came back, by the monotonic clock; undefined if it is not known. */
  cameAtMs?(home: NodeId): number | undefined
  /** It is time to look for a way again, for what waits for a home that has just come. */
  onAgain?(home: NodeId, waiting: readonly Waiting[], by: Asker): void
}

export interface OnDemand {
  /** Whether as many dials run as may, in all or for this edge or its address. */
  isBusyFor(by: Asker): boolean
  /** Whether the last dial to the home failed. */
  hasFailed(home: NodeId): boolean
  /** Sees that the home is being dialled, on the DHT or else by URL; false if it cannot be, or not now. */
  begin(home: NodeId, dhtKey: Uint8Array | undefined, by: Asker): boolean
  /**
   * Sees that there will be another look for a way, where the home has just come and may yet say how it
   * is reached; false if it has had its time. What was sent in vain meanwhile is `isTried`: it goes again ever
   * less often, or a home that names others as its way would have them sent each signal forty times.
   */
  settle(home: NodeId, by: Asker, isTried?: boolean): boolean
  /** Lets a frame wait for a home that is being dialled, or looked for; throws `RATE_LIMITED` if too many do. */
  wait(home: NodeId, waiting: Waiting): void
  /** A link has come up; gives what waited for it. */
  linked(home: NodeId): readonly Waiting[]
  unlinked(home: NodeId): void
  /** Ends all dials; gives what waited. */
  close(): Waiting[]
}

interface Dial {
  readonly waiting: Waiting[]
  /** By which it is dialled on the DHT, if it is. */
  readonly dhtKey: Uint8Array | undefined
  readonly by: Asker
  readonly cancelTimers: () => void
}

/** When a dial failed, and for how long it is not tried again. */
interface Failure {
  readonly atMs: number
  readonly waitMs: number
}

export function createOnDemand(options: OnDemandOptions): OnDemand {
  const { clock } = options
  const dials = new Map<NodeId, Dial>()
  const failures = new Map<NodeId, Failure>()
  /** Links that came of dials, by the key under which the swarm keeps them up. */
  const opened = new Map<NodeId, Uint8Array>()
  let waitingBytes = 0

  /** Ends a dial here; gives what waited for it. */
  const end = (home: NodeId, dial: Dial): Waiting[] => {
    dials.delete(home)
    dial.cancelTimers()
    for (const { frame } of dial.waiting) waitingBytes -= frame.length
    return dial.waiting
  }

  const fail = (home: NodeId): void => {
    const dial = dials.get(home)
    if (!dial) return
    const before = failures.get(home)?.waitMs ?? DIAL_RETRY_MS / 2
    failures.delete(home)
    const waitMs = Math.min(DIAL_RETRY_MAX_MS, 2 * before)
    failures.set(home, { atMs: clock.monotonicMs(), waitMs })
    if (failures.size > MAX_HOMES) failures.delete(failures.keys().next().value as NodeId)
    if (dial.dhtKey) options.giveUp(dial.dhtKey)
    options.onFailed(home, end(home, dial), dial.by)
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

  /** Of homes that were made up each dial takes its whole time, so that one party could take all. */
  const isBusyFor = ({ edge, group }: Asker): boolean => {
    if (dials.size >= MAX_DIALS) return true
    const askers = [...dials.values()].map(({ by }) => by)
    if (askers.filter((by) => by.edge === edge).length >= MAX_DIALS_PER_EDGE) return true
    return askers.filter((by) => by.group === group).length >= MAX_DIALS_PER_ADDRESS
  }

  const failedLately = (home: NodeId): boolean => {
    const failure = failures.get(home)
    if (!failure) return false
    const sinceMs = clock.monotonicMs() - failure.atMs
    // What failed was to reach it in a former life.
    const isBack = (options.cameAtMs?.(home) ?? 0) > failure.atMs
    return sinceMs < (isBack ? DIAL_RETRY_MS : failure.waitMs)
  }

  const settle = (home: NodeId, by: Asker, isTried = false): boolean => {
    const isUnderWay = dials.has(home)
    if (isUnderWay) return true
    const cameAtMs = options.cameAtMs?.(home)
    if (cameAtMs === undefined || clock.monotonicMs() - cameAtMs >= HOME_SETTLES_MS) return false
    const sinceMs = isTried ? clock.monotonicMs() - cameAtMs : 0
    const lookMs = Math.max(WAY_LOOK_MS, Math.min(sinceMs, HOME_SETTLES_MS - sinceMs))
    if (isBusyFor(by)) return false
    const again = (): void => options.onAgain?.(home, end(home, dial), by)
    const cancelTimers = clock.after(lookMs, again)
    const dial: Dial = { waiting: [], dhtKey: undefined, by, cancelTimers }
    dials.set(home, dial)
    return true
  }

  return {
    isBusyFor,
    hasFailed: (home) => failures.has(home),
    begin: (home, dhtKey, by) => {
      if (dials.has(home)) return true
      if (failedLately(home) || isBusyFor(by)) return false
      const isOnDht = dhtKey !== undefined && options.dial(dhtKey)
      const byUrl = isOnDht ? undefined : options.dialUrl?.(home)
      if (!isOnDht && !byUrl) return false
      const timers = [clock.after(DIAL_TIMEOUT_MS, () => fail(home))]
      // Both run from then on, and whichever link comes first will do.
      if (isOnDht) timers.push(clock.after(DIAL_URL_AFTER_MS, () => void options.dialUrl?.(home)))
      const cancelTimers = (): void => {
        for (const cancel of timers) cancel()
      }
      const dial = { waiting: [], dhtKey: isOnDht ? dhtKey : undefined, by, cancelTimers }
      dials.set(home, dial)
      void byUrl?.then((isLinked) => {
        if (!isLinked && dials.get(home) === dial) fail(home)
      })
      return true
    },
    settle,
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
      failures.delete(home)
      const dial = dials.get(home)
      if (!dial) return []
      if (dial.dhtKey) keep(home, dial.dhtKey)
      return end(home, dial)
    },
    unlinked: forget,
    close: () => [...dials].flatMap(([home, dial]) => end(home, dial)),
  }
}
