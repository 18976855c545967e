/** A standby: a socket to another node that has said hello, so that a lost home is replaced in one round trip. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { NodeId } from '../identity.ts'
import { STANDBY_AFTER_MS, STANDBY_MAX_MS } from '../limits.ts'
import type { HomeLink } from './homelink.ts'

export interface StandbyOptions {
  readonly clock: Clock
  /** URLs of nodes that could be it, in groups of which an earlier one is tried as a whole first. */
  others(): readonly (readonly string[])[]
  /** The node that the edge is at home with. */
  home(): NodeId
  /** Dials a node and waits for its hello, without an answer. */
  attend(url: string): HomeLink
  readonly random?: () => number
}

export interface Standby {
  /** There is a home: gets a standby beside it. */
  keep(): void
  /** This link has heard its hello. */
  ready(link: HomeLink): void
  /** This link has ended. */
  lost(link: HomeLink): void
  readonly isReady: boolean
  /** Hands the standby over, if it is ready. */
  take(): HomeLink | undefined
  /** Asks it for a sign of life. */
  probe(): void
  stop(): void
}

export function createStandby(options: StandbyOptions): Standby {
  const { clock, random = Math.random } = options
  let link: HomeLink | undefined
  let readyAtMs: number | undefined
  // From a random one of each group on, or the edges of one home would all have the same standby.
  const start = Math.floor(random() * 256)
  let tries = 0
  let failures = 0
  let cancelDial = (): void => {}

  const dialSoon = (): void => {
    cancelDial()
    const stepMs = Math.min(STANDBY_MAX_MS, STANDBY_AFTER_MS * 2 ** Math.min(failures, 10))
    cancelDial = clock.after(Math.round(stepMs * (0.5 + random() / 2)), dial)
  }

  const rotated = (urls: readonly string[]): string[] =>
    urls.map((_, i) => urls[(start + i) % urls.length] as string)

  const dial = (): void => {
    const others = options.home() ? options.others().flatMap(rotated) : []
    const url = others[tries++ % others.length]
    if (url === undefined) return
    try {
      link = options.attend(url)
    } catch {
      // A page may not dial everything.
      again()
    }
  }

  const again = (): void => {
    const heldMs = readyAtMs === undefined ? 0 : clock.nowMs() - readyAtMs
    failures = heldMs >= STANDBY_MAX_MS ? 0 : failures + 1
    link = undefined
    readyAtMs = undefined
    dialSoon()
  }

  const dropIfHome = (): void => {
    if (link?.nodeId && link.nodeId === options.home()) {
      link.fail(new SignalMeshError('REFUSED', 'It is the home itself'))
    }
  }

  return {
    keep: () => {
      dropIfHome()
      failures = 0
      tries = 0
      if (!link) dialSoon()
    },
    ready: (one) => {
      if (one !== link) return
      readyAtMs = clock.nowMs()
      dropIfHome()
    },
    lost: (one) => {
      if (one === link) again()
    },
    get isReady() {
      return link?.isReady ?? false
    },
    take: () => {
      const taken = link?.isReady ? link : undefined
      if (!taken) return undefined
      link = undefined
      readyAtMs = undefined
      return taken
    },
    probe: () => link?.probe(),
    stop: () => {
      cancelDial()
      const last = link
      link = undefined
      last?.leave()
    },
  }
}
