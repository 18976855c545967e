/** Dialling: which home an edge tries next, how long it waits before, and when no home will do. */

import { mayDial } from '../authority.ts'
import { toHex } from '../bytes.ts'
import type { ErrorCode, SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, MOVE_WITHIN_MS } from '../limits.ts'

/** How an edge came to be without a home. */
export interface Loss {
  readonly url: string
  readonly error: SignalMeshError
  /** How long the edge was at home there; 0 if it never was. */
  readonly openMs: number
}

export interface Dialling {
  /** The URL that is due. */
  readonly url: string
  /** The other URLs: those given first, and those named by the home after them. */
  readonly others: readonly string[]
  /** The same, in those two groups. */
  readonly otherGroups: readonly (readonly string[])[]
  /** A home took the edge and named others. */
  opened(url: string, others: readonly string[]): void
  /** Moves on after a loss, and tells how long to wait before the next dial, or the move to a standby. */
  lost(loss: Loss, hasStandby?: boolean): number
  /** There is hope again, so the next waits are short. */
  hasten(): void
  /** Whether every URL given refused for good before any home took the edge. */
  readonly hopeless: boolean
}

/** Codes that a second try under the same URL would only meet again. */
const FOR_GOOD: readonly ErrorCode[] = ['NETWORK_MISMATCH', 'VERSION_MISMATCH', 'BAD_AUTHORITY']
/** Codes after which the same home may do, once the edge has heeded them. */
const SAME_AGAIN: readonly ErrorCode[] = ['STALE_RECORD', 'CLOCK_SKEW']
/** A home that kept the edge for less than this counts as one that failed. */
const STEADY_MS = 10_000

export function createDialling(
  given: readonly string[],
  random: () => number = Math.random,
): Dialling {
  const refusedForGood = new Set<string>()
  let learned: readonly string[] = []
  let index = 0
  let failures = 0
  let everOpen = false
  let triedAgain = false

  const all = (): readonly string[] => [...given, ...learned]

  const butCurrent = (urls: readonly string[]): string[] =>
    urls.filter((url) => url !== all()[index % all().length])

  /** A home that stops names the time over which its edges are to spread. */
  const spreadMs = ({ code, retryAfterMs = 0 }: SignalMeshError): number =>
    code === 'GOING_AWAY' ? Math.round(random() * Math.min(MOVE_WITHIN_MS, retryAfterMs)) : 0

  const choose = ({ url, error }: Loss): void => {
    // It may have been a standby, out of turn.
    if (all()[index % all().length] !== url) index = Math.max(0, all().indexOf(url))
    if (FOR_GOOD.includes(error.code)) refusedForGood.add(url)
    else refusedForGood.delete(url)
    // Only once in a row, or a home that always says so would hold the edge for ever.
    triedAgain = SAME_AGAIN.includes(error.code) && !triedAgain
    if (!triedAgain) index += 1
  }

  return {
    get url() {
      const urls = all()
      return urls[index % urls.length] as string
    },
    get others() {
      return [given, learned].flatMap(butCurrent)
    },
    get otherGroups() {
      return [given, learned].map(butCurrent)
    },
    opened: (url, others) => {
      everOpen = true
      triedAgain = false
      const fresh = others.filter((other) => !given.includes(other) && mayDial(url, other))
      if (fresh.length) learned = fresh
      index = Math.max(0, all().indexOf(url))
    },
    lost: (loss, hasStandby = false) => {
      choose(loss)
      const movesAfterMs = spreadMs(loss.error)
      if (loss.openMs >= STEADY_MS) failures = 0
      // The standbys of its edges are at many nodes, and their sockets are open.
      if (hasStandby) return movesAfterMs
      if (loss.openMs >= STEADY_MS) {
        // A lost home is left at once, but its edges do not all knock in the same moment.
        return Math.max(movesAfterMs, Math.round(random() * BACKOFF_FIRST_MS))
      }
      const stepMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures, 10))
      failures += 1
      const isAsked = loss.error.code !== 'GOING_AWAY'
      const askedMs = Math.min(BACKOFF_MAX_MS, (isAsked && loss.error.retryAfterMs) || movesAfterMs)
      return Math.max(askedMs, Math.round(stepMs * (0.5 + random() / 2)))
    },
    hasten: () => {
      failures = 0
    },
    get hopeless() {
      return !everOpen && given.every((url) => refusedForGood.has(url))
    },
  }
}

/** What a node is to tell of in its first frame. */
export interface Named {
  /** Of several that it may speak, the edge's. */
  readonly networkId?: Uint8Array
  readonly tags: readonly Uint8Array[]
  readonly peer?: PeerId
  /** It is to be ready for an edge that is at home elsewhere. */
  readonly isStandby?: boolean
}

/**
 * Where edges' sockets end at a node: its URL with the scheme of sockets and the path `/edge`, and in
 * the query the network, and the topics and the edge that the node is to tell of.
 */
export function socketUrl(url: string, named: Named = { tags: [] }): string {
  const at = new URL(url)
  at.protocol = at.protocol.replace(/^http/, 'ws')
  at.pathname = `${at.pathname.replace(/\/$/, '')}/edge`
  at.hash = ''
  if (named.networkId) at.searchParams.append('n', toHex(named.networkId))
  for (const tag of named.tags) at.searchParams.append('t', toHex(tag))
  if (named.isStandby) at.searchParams.append('s', '1')
  if (named.peer) at.searchParams.append('p', named.peer)
  return at.href
}
