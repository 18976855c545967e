/** Forwarding: takes a signal to its target, here or at its home node, or tells the sender why not. */

import { notListed } from './admission.ts'
import { checkClass, createArrivals } from './arrivals.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from './errors.ts'
import type { Identity, NodeId, PeerId } from './identity.ts'
import { MAX_HOPS } from './limits.ts'
import { createOpens } from './opens.ts'
import { createPassing, unknownPeer } from './passing.ts'
import { createRoutes, type RoutesOptions } from './routes.ts'
import {
  CLASS,
  checkSignal,
  classOf,
  encodeControl,
  fromHomeOf,
  fromKeyOf,
  fromOf,
  hopsLeftOf,
  stamp,
  toOf,
} from './signal.ts'
import { noTrace, type Trace } from './trace.ts'
import { createWhereabouts } from './whereabouts.ts'
import { createWords } from './words.ts'

export interface ForwardOptions extends Omit<RoutesOptions, 'onSent' | 'onRefused'> {
  readonly identity: Identity
  readonly networkId: Uint8Array
  /** Hands a frame to an edge here; false if it is not here. Throws `RATE_LIMITED` if too much waits for it. */
  deliver(peer: PeerId, frame: Uint8Array): boolean
  /** Whether this node names the other as a way to it. */
  isVia(node: NodeId): boolean
  /** Whether the node may take part in this mesh: a neighbour that may can speak for one that may not. */
  admits(node: NodeId): boolean
  /** Notes what becomes of a signal, for who looks for one; default: nothing. */
  readonly trace?: Trace
}

export interface Counters {
  /** Signals of edges here to edges here. */
  delivered: number
  /** Signals that went on to other nodes. */
  forwarded: number
  /** Signals from other homes to edges here. */
  received: number
  /** Signals that went no further. */
  refused: number
}

export interface Forward {
  readonly counters: Readonly<Counters>
  /** Why signals went no further, and how many each. */
  readonly refusals: ReadonlyMap<ErrorCode, number>
  /** Where an edge is at home, as far as is known here. */
  homeOf(peer: PeerId): NodeId | undefined
  /** Dials a home for an edge here, if there is no link to it. */
  reach(home: NodeId, edge: PeerId, address: string): void
  fromEdge(frame: Uint8Array, peerKey: Uint8Array, address: string): void
  fromNode(frame: Uint8Array, node: NodeId): void
  /** A link has come up: what waited for it goes out. */
  linked(node: NodeId): void
  /** A link has ended: what may have been lost with it goes another way. */
  unlinked(node: NodeId): void
  sweep(): void
  close(): void
}

export function createForward(options: ForwardOptions): Forward {
  const { identity, networkId, clock } = options
  const counters: Counters = { delivered: 0, forwarded: 0, received: 0, refused: 0 }
  const refusals = new Map<ErrorCode, number>()
  const { trace = noTrace } = options
  const where = createWhereabouts(options)
  const opens = createOpens(clock)

  const tell = (peer: PeerId, control: Uint8Array): void => {
    try {
      options.deliver(peer, control)
    } catch {
      // Who reads too slowly for one word more sends its signal again by itself.
    }
  }

  const countRefused = (code: ErrorCode): void => {
    counters.refused += 1
    refusals.set(code, (refusals.get(code) ?? 0) + 1)
  }

  /** Tells the sender, who is an edge here or somewhere behind `link`. */
  const refuse = (frame: Uint8Array, error: SignalMeshError, link?: NodeId): void => {
    countRefused(error.code)
    trace('Refused a signal', frame, { code: error.code })
    // A word about a word would never end.
    if (classOf(frame) === CLASS.control) return
    const hops = link === undefined || fromHomeOf(frame) === link ? 1 : MAX_HOPS
    const control = encodeControl(networkId, frame, error, identity.keys.publicKey, hops)
    if (link === undefined) tell(fromOf(frame), control)
    else options.send(link, control)
  }

  const onSent = (): void => {
    counters.forwarded += 1
  }
  const routes = createRoutes({ ...options, onSent, onRefused: refuse })

  /** Hands a signal to its target, if that is here. */
  const deliver = (frame: Uint8Array, via?: NodeId): boolean => {
    const to = toOf(frame)
    if (classOf(frame) === CLASS.open && where.homeOf(to) === identity.id) {
      opens.toEdge(fromOf(frame), to, via)
    }
    return options.deliver(to, frame)
  }

  /** Sends a signal of an edge here on its way. */
  const route = (frame: Uint8Array, isRetry: boolean, address = ''): void => {
    try {
      if (deliver(frame)) {
        counters.delivered += 1
        trace('Delivered a signal of an edge here', frame)
        return
      }
      const home = where.homeOf(toOf(frame))
      if (!home || home === identity.id) throw unknownPeer(frame)
      trace('Sending a signal to its home', frame, { home, isRetry })
      routes.send(frame, home, isRetry, address)
    } catch (error) {
      refuse(frame, asMeshError(error))
    }
  }

  const passing = createPassing({ ...options, where, onSent })
  const onReceived = (): void => {
    counters.received += 1
  }
  const tryAgain = (frame: Uint8Array): void => route(frame, true)
  const words = createWords({ ...options, where, routes, passing, onReceived, tryAgain })

  const receive = createArrivals({ ...options, where, opens, passing, deliver, onReceived })

  return {
    counters,
    refusals,
    homeOf: where.homeOf,
    reach: routes.reach,
    fromEdge: (frame, peerKey, address) => {
      try {
        checkSignal(networkId, frame)
        // Written over, not compared: an edge can speak for nobody else.
        fromKeyOf(frame).set(peerKey)
        stamp(frame, identity.keys.publicKey, 1)
        if (classOf(frame) === CLASS.control) {
          throw new SignalMeshError('BAD_FRAME', 'Edges send no control signals')
        }
      } catch (error) {
        countRefused(asMeshError(error).code)
        throw error
      }
      try {
        checkClass(frame)
        if (classOf(frame) === CLASS.open) opens.fromAddress(address)
      } catch (error) {
        refuse(frame, asMeshError(error))
        return
      }
      route(frame, false, address)
    },
    fromNode: (frame, link) => {
      checkSignal(networkId, frame)
      try {
        const hops = hopsLeftOf(frame)
        if (hops === 0 || hops > MAX_HOPS) {
          throw new SignalMeshError('REFUSED', `A signal with ${hops} hops left`)
        }
        // Of edges here a via node has nothing to tell, though it may speak for other homes.
        if (fromHomeOf(frame) === identity.id) {
          throw new SignalMeshError('REFUSED', `Node ${link} brings a signal of an edge here`)
        }
        if (!options.admits(fromHomeOf(frame))) throw notListed(fromHomeOf(frame))
        if (classOf(frame) === CLASS.control) words.receive(frame, link)
        else receive(frame, link)
        trace('Took a signal of another node', frame, { node: link })
      } catch (error) {
        refuse(frame, asMeshError(error), link)
      }
    },
    linked: routes.linked,
    unlinked: (node) => {
      for (const { frame, isRetry } of routes.unlinked(node)) {
        // Whose home has said goodbye will be elsewhere soon; its edge sends again by itself.
        if (!isRetry && where.homeOf(toOf(frame))) tryAgain(frame)
      }
    },
    sweep: routes.sweep,
    close: () => routes.close(new SignalMeshError('GOING_AWAY', 'This node is stopping')),
  }
}
