/** Forwarding: takes a signal to its target, here or at its home node, or tells the sender why not. */

import { reader } from './bytes.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { Identity, NodeId, PeerId } from './identity.ts'
import {
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  MAX_CALLERS,
  MAX_DIALS,
  MAX_HOPS,
  MAX_RECORD_BYTES,
  MAX_SIGNALS_PER_DIAL,
} from './limits.ts'
import { createOpens } from './opens.ts'
import { decodePresence, isAuthentic, type Presence } from './records.ts'
import {
  CLASS,
  checkSignal,
  classOf,
  encodeControl,
  fromHomeOf,
  fromKeyOf,
  fromOf,
  hopsLeftOf,
  payloadOf,
  stamp,
  toOf,
} from './signal.ts'

export interface ForwardOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  /** Hands a frame to an edge here; false if it is not here. */
  deliver(peer: PeerId, frame: Uint8Array): boolean
  /** Whether there is a link to the node. */
  isLinked(node: NodeId): boolean
  /** Sends a frame to a neighbour; false if there is no link, or it is full. */
  send(node: NodeId, frame: Uint8Array): boolean
  /** Begins to open a link to a node by its DHT key; false if this node cannot dial. */
  dial(dhtKey: Uint8Array): boolean
  giveUp(dhtKey: Uint8Array): void
}

export interface Counters {
  /** Signals of edges here to edges here. */
  delivered: number
  /** Signals of edges here to edges at other homes. */
  forwarded: number
  /** Signals from other homes to edges here. */
  received: number
  /** Signals that went no further. */
  refused: number
}

export interface Forward {
  readonly counters: Readonly<Counters>
  fromEdge(frame: Uint8Array, peerKey: Uint8Array): void
  fromNode(frame: Uint8Array, node: NodeId): void
  /** A link has come up: what waited for it goes out. */
  linked(node: NodeId): void
  close(): void
}

interface Dial {
  readonly waiting: Uint8Array[]
  readonly dhtKey: Uint8Array
  readonly cancelTimer: () => void
}

export function createForward(options: ForwardOptions): Forward {
  const { identity, networkId, directory, clock } = options
  const counters: Counters = { delivered: 0, forwarded: 0, received: 0, refused: 0 }
  const dials = new Map<NodeId, Dial>()
  const failedAtMs = new Map<NodeId, number>()
  const countOpen = createOpens(clock)
  const callers = new Map<PeerId, Presence>()

  /** Tells the sender, who is an edge here or at `via`. */
  const refuse = (frame: Uint8Array, error: SignalMeshError, via?: NodeId): void => {
    counters.refused += 1
    // A word about a word would never end.
    if (classOf(frame) === CLASS.control) return
    const control = encodeControl(networkId, frame, error, identity.keys.publicKey)
    if (via === undefined) options.deliver(fromOf(frame), control)
    else options.send(via, control)
  }

  /** Hands a frame to its target, if that is here. */
  const deliver = (frame: Uint8Array): boolean => {
    const to = toOf(frame)
    if (classOf(frame) === CLASS.open && homeOf(to) === identity.id) countOpen(fromOf(frame))
    return options.deliver(to, frame)
  }

  const route = (frame: Uint8Array): void => {
    const to = toOf(frame)
    if (deliver(frame)) {
      counters.delivered += 1
      return
    }
    const home = homeOf(to)
    if (!home || home === identity.id) {
      throw new SignalMeshError('PEER_UNKNOWN', `No node knows of ${to}`)
    }
    if (options.send(home, frame)) counters.forwarded += 1
    else if (options.isLinked(home)) throw new SignalMeshError('RATE_LIMITED', 'The link is full')
    else queue(frame, home, directory.homes.get(home)?.contact.dhtKey)
  }

  /** Where an edge is at home, by the newest presence that was seen here. */
  const homeOf = (peer: PeerId): NodeId | undefined => {
    const known = directory.locate(peer, clock.nowMs())
    const caller = callers.get(peer)
    if (caller && !(known?.presence && known.presence.seq >= caller.seq)) return caller.home
    return known?.home.id
  }

  /** A signal is believed only if its sender's presence names the node that it came from. */
  const checkSender = (frame: Uint8Array, node: NodeId): void => {
    const from = fromOf(frame)
    if (homeOf(from) === node) return
    if (classOf(frame) === CLASS.open) {
      // It carries the presence, for gossip may be slower than the signal; so the answer finds back.
      const presence = decodePresence(reader(payloadOf(frame)).block(MAX_RECORD_BYTES))
      if (presence.peer === from && presence.home === node && isAuthentic(networkId, presence)) {
        callers.delete(from)
        callers.set(from, presence)
        if (callers.size > MAX_CALLERS) callers.delete(callers.keys().next().value as PeerId)
        return
      }
    }
    // Perhaps it has just moved there: the same bytes are believed once gossip has told of it.
    throw new SignalMeshError('MOVED', `Edge ${from} is not known to be at home with node ${node}`)
  }

  const queue = (frame: Uint8Array, node: NodeId, dhtKey: Uint8Array | undefined): void => {
    const dial = dials.get(node) ?? startDial(node, dhtKey)
    if (dial.waiting.length >= MAX_SIGNALS_PER_DIAL) {
      throw new SignalMeshError('RATE_LIMITED', `Too many signals wait for node ${node}`)
    }
    dial.waiting.push(frame)
  }

  const startDial = (node: NodeId, dhtKey: Uint8Array | undefined): Dial => {
    const triedMs = clock.nowMs() - (failedAtMs.get(node) ?? Number.NEGATIVE_INFINITY)
    if (!dhtKey || dials.size >= MAX_DIALS || triedMs < DIAL_RETRY_MS || !options.dial(dhtKey)) {
      throw unreachable(node)
    }
    const cancelTimer = clock.after(DIAL_TIMEOUT_MS, () => {
      dials.delete(node)
      noteFailure(node)
      options.giveUp(dhtKey)
      for (const frame of dial.waiting) refuse(frame, unreachable(node))
    })
    const dial = { waiting: [], dhtKey, cancelTimer }
    dials.set(node, dial)
    return dial
  }

  const noteFailure = (node: NodeId): void => {
    const nowMs = clock.nowMs()
    for (const [other, atMs] of failedAtMs) {
      if (nowMs - atMs >= DIAL_RETRY_MS) failedAtMs.delete(other)
    }
    failedAtMs.set(node, nowMs)
  }

  return {
    counters,
    fromEdge: (frame, peerKey) => {
      try {
        checkSignal(networkId, frame)
        // Written over, not compared: an edge can speak for nobody else.
        fromKeyOf(frame).set(peerKey)
        stamp(frame, identity.keys.publicKey, MAX_HOPS)
        if (classOf(frame) === CLASS.control) {
          throw new SignalMeshError('BAD_FRAME', 'Edges send no control signals')
        }
      } catch (error) {
        counters.refused += 1
        throw error
      }
      try {
        route(frame)
      } catch (error) {
        refuse(frame, asMeshError(error))
      }
    },
    fromNode: (frame, node) => {
      checkSignal(networkId, frame)
      try {
        if (hopsLeftOf(frame) === 0 || fromHomeOf(frame) !== node) {
          throw new SignalMeshError('REFUSED', `Node ${node} does not speak for that home`)
        }
        if (classOf(frame) !== CLASS.control) checkSender(frame, node)
        if (!deliver(frame)) throw notHere(directory, frame, clock.nowMs())
        counters.received += 1
      } catch (error) {
        refuse(frame, asMeshError(error), node)
      }
    },
    linked: (node) => {
      const dial = dials.get(node)
      failedAtMs.delete(node)
      if (!dial) return
      dials.delete(node)
      dial.cancelTimer()
      for (const frame of dial.waiting) {
        if (options.send(node, frame)) counters.forwarded += 1
        else refuse(frame, unreachable(node))
      }
    },
    close: () => {
      for (const dial of dials.values()) dial.cancelTimer()
      dials.clear()
    },
  }
}

function notHere(directory: Directory, frame: Uint8Array, nowMs: number): SignalMeshError {
  const to = toOf(frame)
  const elsewhere = directory.locate(to, nowMs)
  if (elsewhere) return new SignalMeshError('MOVED', `${to} is at home elsewhere`)
  return new SignalMeshError('PEER_UNKNOWN', `${to} is not here`)
}

function unreachable(node: NodeId): SignalMeshError {
  return new SignalMeshError('HOME_UNREACHABLE', `The target's home ${node} cannot be reached`)
}
