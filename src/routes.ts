/** Routes: how a signal gets to another home, over its link, one dialled on demand, or by a via node. */

import { addressGroup } from './authority.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { createInFlight, type Held } from './inflight.ts'
import { BUSY_RETRY_MS, MAX_HOPS, RESEND_AFTER_MS } from './limits.ts'
import { createOnDemand, type OnDemandOptions, type Waiting } from './ondemand.ts'
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
  /** The signal that a control signal is about, if it went out a short while ago, and where it went. */
  about(control: Uint8Array): Held | undefined
  /** Whether there is another via node to try for what went by one. */
  hasOtherVia(held: Held): boolean
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

  const postOrRefuse = (frame: Uint8Array, home: NodeId, isRetry: boolean): void => {
    if (post(frame, home, home, isRetry) || postByVia(frame, home, isRetry)) return
    options.onRefused(frame, isLinked(home) ? full(home) : unreachable(home))
  }

  const dials = createOnDemand({
    ...options,
    onFailed: (home, waiting) => flush(home, waiting),
  })

  const flush = (home: NodeId, waiting: readonly Waiting[]): void => {
    for (const { frame, isRetry } of waiting) postOrRefuse(frame, home, isRetry)
  }

  return {
    send: (frame, home, isRetry, address) => {
      if (post(frame, home, home, isRetry)) return
      if (isLinked(home)) throw full(home)
      const hasFailed = dials.hasFailed(home)
      const by = { edge: fromOf(frame), group: addressGroup(address) }
      const isDialling = dials.begin(home, directory.homes.get(home)?.contact.dhtKey, by)
      // Where a dial has failed before, nothing waits for the next: it is tried beside.
      if ((hasFailed || !isDialling) && postByVia(frame, home, isRetry)) return
      if (isDialling) dials.wait(home, { frame, isRetry })
      else throw dials.isBusyFor(by) ? full(home) : unreachable(home)
    },
    about: held.about,
    hasOtherVia: ({ home, link }) => {
      if (link === home) return false
      vias.avoid(home, link)
      return vias.choose(home) !== link
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
