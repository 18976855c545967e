/** Carrying: passes sealed frames between two edges that have no path of their own, within caps, behind all signals. */

import { addressGroup } from './authority.ts'
import { type Allowance, allowances, createCarryCaps } from './carrycaps.ts'
import {
  type CarryPlace,
  carriedConnection,
  carriedFrom,
  carriedFromKey,
  carriedNumber,
  carriedTo,
  checkCarried,
  encodeCarryEnd,
} from './carryframes.ts'
import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import {
  BUSY_RETRY_MS,
  CARRY_AHEAD_BYTES,
  CARRY_BYTES_PER_SECOND,
  CARRY_TURN_MS,
  CARRY_UNHEARD_MS,
  CARRY_WINDOW_BYTES,
  MAX_CARRIES,
  MAX_CARRIES_PER_ADDRESS,
  MAX_CARRIES_PER_EDGE,
} from './limits.ts'
import type { Session } from './session.ts'

export interface CarrySettings {
  /** Default: true. */
  readonly on?: boolean
  /** Of all that it carries. */
  readonly bytesPerSecond?: number
}

export interface CarryOptions extends CarrySettings {
  readonly self: NodeId
  readonly clock: Clock
  /** Where the edge is at home, as far as is known. */
  homeOf(peer: PeerId): NodeId | undefined
  /** Sees that there will be a link to the node, if there can be one. */
  reach(home: NodeId, session: Session): void
  /** What waits on the link to a node that carries; undefined where there is none. */
  waitingBytes(node: NodeId): number | undefined
  send(node: NodeId, frame: Uint8Array): boolean
}

export interface CarryCounters {
  /** Pairs for which it carries now. */
  readonly pairs: number
  /** Bytes that it has carried since its start. */
  readonly bytes: number
  /** Frames that it has not carried: of nobody who asked, or over a bound. */
  readonly refused: number
}

export interface Carry {
  readonly isOn: boolean
  readonly counters: CarryCounters
  /** An edge here agrees to be carried with a peer. @throws SignalMeshError why not */
  begin(session: Session, place: CarryPlace): void
  end(session: Session, place: CarryPlace): void
  /** False for a frame that it has no use for. @throws SignalMeshError `BAD_FRAME` */
  fromEdge(session: Session, frame: Uint8Array): boolean
  fromNode(frame: Uint8Array, node: NodeId): void
  /** The session is over. */
  left(session: Session): void
  /** Counts the minutes. */
  sweep(): void
  close(): void
}

/** Of a node that carries nothing. */
export const NO_CARRY: Carry = {
  isOn: false,
  counters: { pairs: 0, bytes: 0, refused: 0 },
  begin: () => {
    throw carriesNot()
  },
  end: () => undefined,
  fromEdge: () => false,
  fromNode: () => undefined,
  left: () => undefined,
  sweep: () => undefined,
  close: () => undefined,
}

/** A queue of frames that cost more than their bytes, so that empty ones are bounded too. */
interface Queue {
  readonly frames: Map<string, Uint8Array>
  bytes: number
}

interface Slot {
  readonly session: Session
  readonly place: CarryPlace
  readonly allowances: readonly Allowance[]
  /** Towards the peer, and from it. */
  readonly out: Queue
  readonly in: Queue
  reachedAtMs: number
  /** When the last frame of the peer's came: an honest edge says a word each 10 s. */
  heardAtMs: number
}

/** What a frame counts beside its bytes. */
export const CARRY_COST_BYTES = 256
/** What has to be left of a day's bytes and minutes to begin, so that it is not for seconds. */
const BEGIN_SHARE = 1 / 64
/** An honest edge sends a window ahead, and some words beside. */
const MAX_QUEUE_BYTES = 2 * CARRY_WINDOW_BYTES

export function createCarry(options: CarryOptions): Carry {
  const { clock, self, on = true, bytesPerSecond = CARRY_BYTES_PER_SECOND } = options
  const caps = createCarryCaps(bytesPerSecond)
  const slots = new Map<string, Slot>()
  const waiting = new Map<string, { slot: Slot; way: 'out' | 'in' }>()
  let cancelTimer: (() => void) | undefined
  let sweptAtMs = clock.monotonicMs()
  let bytes = 0
  let refused = 0

  const refuse = (slot: Slot, error: SignalMeshError): void => {
    drop(slot)
    slot.session.send(encodeCarryEnd({ ...slot.place, error }))
  }

  const drop = (slot: Slot): void => {
    const key = keyOf(slot.session.peer, slot.place)
    if (slots.get(key) !== slot) return
    slots.delete(key)
    for (const way of ['out', 'in'] as const) waiting.delete(`${way} ${key}`)
  }

  const checkRoom = (session: Session, { peer }: CarryPlace): void => {
    if (!on) throw carriesNot()
    if (!options.homeOf(peer)) {
      throw new SignalMeshError('PEER_UNKNOWN', `No node knows of ${peer}`)
    }
    const all = [...slots.values()]
    const group = addressGroup(session.remoteAddress)
    const ofGroup = all.filter((slot) => addressGroup(slot.session.remoteAddress) === group)
    const ofEdge = ofGroup.filter((slot) => slot.session.peer === session.peer)
    if (all.length >= MAX_CARRIES) throw tooMany(`${MAX_CARRIES} pairs`)
    if (ofGroup.length >= MAX_CARRIES_PER_ADDRESS) {
      throw tooMany(`${MAX_CARRIES_PER_ADDRESS} pairs of one address`)
    }
    if (ofEdge.length >= MAX_CARRIES_PER_EDGE) {
      throw tooMany(`${MAX_CARRIES_PER_EDGE} pairs of one edge`)
    }
  }

  const push = (slot: Slot, way: 'out' | 'in', frame: Uint8Array): boolean => {
    const queue = slot[way]
    if (way === 'in') slot.heardAtMs = clock.monotonicMs()
    const number = carriedNumber(frame)
    // It waits already; an edge that hears nothing for long sends again.
    if (queue.frames.has(number)) return false
    queue.frames.set(number, frame)
    queue.bytes += costOf(frame)
    if (queue.bytes > MAX_QUEUE_BYTES) {
      refused += queue.frames.size
      refuse(slot, new SignalMeshError('TOO_MANY', 'More was sent than the peer has taken'))
      return true
    }
    waiting.set(`${way} ${keyOf(slot.session.peer, slot.place)}`, { slot, way })
    // Where others wait for their turn already, it comes with theirs: many small frames cost no more looks.
    if (!cancelTimer) pump()
    return true
  }

  /** Who takes the slot's next frame; undefined where nobody can for now. */
  const takerOf = (slot: Slot, way: 'out' | 'in'): ((frame: Uint8Array) => void) | undefined => {
    if (way === 'in') return takerAt(slot)
    const { peer, connection } = slot.place
    const other = slots.get(keyOf(peer, { peer: slot.session.peer, connection }))
    if (other) {
      other.heardAtMs = clock.monotonicMs()
      return takerAt(other)
    }
    const home = options.homeOf(peer)
    // Its edge here has not agreed, or has gone: nobody will take it, and its sender sends again.
    if (home === undefined || home === self) return ignore
    const waitingBytes = options.waitingBytes(home)
    if (waitingBytes === undefined) reach(slot, home)
    else if (waitingBytes < CARRY_AHEAD_BYTES) return (frame) => void options.send(home, frame)
    return undefined
  }

  const ignore = (): void => {
    refused += 1
  }

  const takerAt = ({ session }: Slot): ((frame: Uint8Array) => void) | undefined =>
    session.link.bufferedBytes < CARRY_AHEAD_BYTES ? (frame) => void session.send(frame) : undefined

  const reach = (slot: Slot, home: NodeId): void => {
    const nowMs = clock.monotonicMs()
    if (nowMs - slot.reachedAtMs < BUSY_RETRY_MS) return
    slot.reachedAtMs = nowMs
    options.reach(home, slot.session)
  }

  /** Sends one frame of a queue; false if it has to wait. */
  const sendOne = (slot: Slot, way: 'out' | 'in'): boolean => {
    const queue = slot[way]
    const over = caps.over(slot.allowances, clock.monotonicMs())
    if (over) {
      refuse(slot, over)
      return true
    }
    if (!caps.mayNow(slot.allowances, clock.monotonicMs())) return false
    const take = takerOf(slot, way)
    if (!take) return false
    const [number, frame] = queue.frames.entries().next().value as [string, Uint8Array]
    queue.frames.delete(number)
    const cost = costOf(frame)
    queue.bytes -= cost
    bytes += frame.length
    caps.count(slot.allowances, clock.monotonicMs(), cost)
    take(frame)
    return true
  }

  /** One frame of each in turn, for as long as one of them can go. */
  const pump = (): void => {
    let moving = [...waiting]
    // Who cannot now is not looked at again in this turn: many that wait would cost all others their time.
    while (moving.length > 0) {
      moving = moving.filter(([key, one]) => {
        if (waiting.get(key) !== one) return false
        if (one.slot[one.way].frames.size > 0) return sendOne(one.slot, one.way)
        waiting.delete(key)
        return false
      })
    }
    if (waiting.size > 0) cancelTimer ??= clock.after(CARRY_TURN_MS, onTimer)
  }
  const onTimer = (): void => {
    cancelTimer = undefined
    pump()
  }

  return {
    isOn: on,
    get counters() {
      return { pairs: slots.size, bytes, refused }
    },
    begin: (session, place) => {
      const key = keyOf(session.peer, place)
      const before = slots.get(key)
      // The same edge in a newer session, or asking again.
      if (before?.session === session) return
      if (before) drop(before)
      checkRoom(session, place)
      const group = addressGroup(session.remoteAddress)
      const mine = allowances(caps, session.peer, place.peer, group)
      const over = caps.over(mine, clock.monotonicMs(), BEGIN_SHARE)
      if (over) throw over
      slots.set(key, {
        session,
        place,
        allowances: mine,
        out: { frames: new Map(), bytes: 0 },
        in: { frames: new Map(), bytes: 0 },
        reachedAtMs: Number.NEGATIVE_INFINITY,
        heardAtMs: clock.monotonicMs(),
      })
    },
    end: (session, place) => {
      const slot = slots.get(keyOf(session.peer, place))
      if (slot?.session === session) drop(slot)
    },
    fromEdge: (session, frame) => {
      checkCarried(frame)
      // Written over, not compared: an edge can speak for nobody else.
      carriedFromKey(frame).set(session.peerKey)
      const place = { peer: carriedTo(frame), connection: carriedConnection(frame) }
      const slot = slots.get(keyOf(session.peer, place))
      if (slot?.session === session) return push(slot, 'out', frame.slice())
      refused += 1
      return false
    },
    fromNode: (frame, node) => {
      checkCarried(frame)
      const from = carriedFrom(frame)
      const place = { peer: from, connection: carriedConnection(frame) }
      const slot = slots.get(keyOf(carriedTo(frame), place))
      // Only what its edge here has agreed to, and only of the peer's own home.
      if (slot && options.homeOf(from) === node) push(slot, 'in', frame.slice())
      else refused += 1
    },
    left: (session) => {
      for (const slot of [...slots.values()]) if (slot.session === session) drop(slot)
    },
    sweep: () => {
      const nowMs = clock.monotonicMs()
      const minutes = (nowMs - sweptAtMs) / 60_000
      sweptAtMs = nowMs
      for (const slot of [...slots.values()]) {
        caps.countMinutes(slot.allowances, nowMs, minutes)
        // One with a peer that never agreed, or has gone, would take a place for nothing.
        const isIdle = nowMs - slot.heardAtMs >= CARRY_UNHEARD_MS
        const over = caps.over(slot.allowances, nowMs) ?? (isIdle ? unheard() : undefined)
        if (over) refuse(slot, over)
      }
    },
    close: () => {
      cancelTimer?.()
      slots.clear()
      waiting.clear()
    },
  }
}

function keyOf(self: PeerId, { peer, connection }: CarryPlace): string {
  return `${self}/${peer}/${connection}`
}

function costOf(frame: Uint8Array): number {
  return frame.length + CARRY_COST_BYTES
}

function carriesNot(): SignalMeshError {
  return new SignalMeshError('REFUSED', 'This node carries nothing between edges')
}

function unheard(): SignalMeshError {
  return new SignalMeshError('TIMEOUT', 'Nothing has come of the peer to be carried')
}

function tooMany(what: string): SignalMeshError {
  return new SignalMeshError('TOO_MANY', `This node carries for ${what} at most`)
}
