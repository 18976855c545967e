/** Routes: how a signal gets to another home, over its link, one dialled on demand, or by a via node. */

import { addressGroup } from './authority.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import { createInFlight, type Held } from './inflight.ts'
import { BUSY_RETRY_MS, MAX_HOPS, RESEND_AFTER_MS } from './limits.ts'
import { type Asker, createOnDemand, type OnDemandOptions, type Waiting } from './ondemand.ts'
import { fromOf, setHops } from './signal.ts'
import { createVias } from './vias.ts'

export interface RoutesOptions extends Pick<OnDemandOptions, 'dial' | 'dialUrl' | 'giveUp'> {
  readonly directory: Directory
  readonly clock: Clock
  isLinked(node: NodeId): boolean
  /** Sends a frame to a neighbour; false if there is no link, or it is full. */
  send(node: NodeId, frame: Uint8Array): boolean
  onSent(): void
  /** What waited goes no further. */
  onRefused(frame: Uint8Array, error: SignalMeshError): void
}

export interface Routes {
  /**
   * Sends a signal of an edge here to its target's home; throws a typed error if there is no way.
   * `address` is the edge's, by which dials are counted; what is sent anew counts as of one unknown.
   */
  send(frame: Uint8Array, home: NodeId, isRetry: boolean, address: string): void
  /** Sees that a home without a link is dialled, for an edge here. */
  reach(home: NodeId, edge: PeerId, address: string): void
  /** The signal that a control signal is about, if it went out a short while ago, and where it went. */
  about(control: Uint8Array): Held | undefined
  /** Whether there is another via node to try for what went by one. */
  hasOtherVia(held: Held): boolean
  /** Lets what a via node could not pass on wait, where its home has just come; false if it has had its time. */
  waitFor(held: Held): boolean
  linked(node: NodeId): void
  /** A link has ended; gives what may have been lost with it. */
  unlinked(node: NodeId): Held[]
  sweep(): void
  close(error: SignalMeshError): void
}

export function createRoutes(options: RoutesOptions): Routes {
  const { directory, clock, isLinked } = options
  const held = createInFlight(clock)
  const vias = createVias(directory, isLinked)

  const post = (frame: Uint8Array, home: NodeId, link: NodeId, isRetry: boolean): boolean => {
    setHops(frame, link === home ? 1 : MAX_HOPS)
    if (!options.send(link, frame)) return false
    held.add(frame, { home, link, isRetry })
    options.onSent()
    return true
  }

  const postByVia = (frame: Uint8Array, home: NodeId, isRetry: boolean): boolean => {
    const before = held.same(frame)
    // Its edge has no answer yet: perhaps that via node drops what it should pass on.
    if (before?.home === home && before.link !== home) vias.avoid(home, before.link)
    const via = vias.choose(home)
    return via !== undefined && post(frame, home, via, isRetry)
  }

  const postOrRefuse = ({ frame, isRetry }: Waiting, home: NodeId): void => {
    if (post(frame, home, home, isRetry) || postByVia(frame, home, isRetry)) return
    options.onRefused(frame, isLinked(home) ? full(home) : unreachable(home))
  }

  const dials = createOnDemand({
    ...options,
    cameAtMs: (home) => directory.homes.get(home)?.openedAtMs,
    onFailed: (home, waiting, by) => {
      for (const one of waiting) sendOrRefuse(one, home, by)
    },
    onAgain: (home, waiting, by) => {
      for (const one of waiting) sendOrRefuse(one, home, by)
    },
  })

  const flush = (home: NodeId, waiting: readonly Waiting[]): void => {
    for (const one of waiting) postOrRefuse(one, home)
  }

  /** Over the link, or one that is dialled, or by a via node; waits where one of these may soon be there. */
  const send = (one: Waiting, home: NodeId, by: Asker): void => {
    const { frame, isRetry } = one
    if (post(frame, home, home, isRetry)) return
    if (isLinked(home)) throw full(home)
    const hasFailed = dials.hasFailed(home)
    const isDialling = dials.begin(home, directory.homes.get(home)?.contact.dhtKey, by)
    // Where a dial has failed before, nothing waits for the next: it is tried beside.
    if ((hasFailed || !isDialling) && postByVia(frame, home, isRetry)) return
    if (isDialling || dials.settle(home, by)) dials.wait(home, one)
    else throw dials.isBusyFor(by) ? full(home) : unreachable(home)
  }

  const sendOrRefuse = (one: Waiting, home: NodeId, by: Asker): void => {
    try {
      send(one, home, by)
    } catch (error) {
      options.onRefused(one.frame, asMeshError(error))
    }
  }

  return {
    send: (frame, home, isRetry, address) => {
      send({ frame, isRetry }, home, { edge: fromOf(frame), group: addressGroup(address) })
    },
    reach: (home, edge, address) => {
      if (isLinked(home)) return
      const by = { edge, group: addressGroup(address) }
      dials.begin(home, directory.homes.get(home)?.contact.dhtKey, by)
    },
    about: held.about,
    hasOtherVia: ({ home, link }) => {
      if (link === home) return false
      vias.avoid(home, link)
      return vias.choose(home) !== link
    },
    waitFor: ({ frame, home, link, isRetry }) => {
      const by = { edge: fromOf(frame), group: '' }
      if (link === home || !dials.settle(home, by, true)) return false
      dials.wait(home, { frame, isRetry })
      return true
    },
    linked: (node) => flush(node, dials.linked(node)),
    unlinked: (node) => {
      dials.unlinked(node)
      // What is older its edge has sent again, if it was not acknowledged.
      return held.lastOver(node, RESEND_AFTER_MS)
    },
    sweep: held.sweep,
    close: (error) => {
      for (const { frame } of dials.close()) options.onRefused(frame, error)
    },
  }
}

function full(node: NodeId): SignalMeshError {
  return new SignalMeshError('RATE_LIMITED', `There is no room on the way to node ${node}`, {
    retryAfterMs: BUSY_RETRY_MS,
  })
}

function unreachable(node: NodeId): SignalMeshError {
  return new SignalMeshError('HOME_UNREACHABLE', `The target's home ${node} cannot be reached`)
}
