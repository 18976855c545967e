/** Homes that only forward: one forwarding each, joined by hand, so that a test can be any node of them. */

import { fromHex } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { randomBytes } from '../../src/crypto.ts'
import { createDirectory, type Directory } from '../../src/directory.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { createForward, type Forward } from '../../src/forward.ts'
import type { Identity } from '../../src/identity.ts'
import { BUSY_RETRY_MS } from '../../src/limits.ts'
import type { Presence } from '../../src/records.ts'
import {
  CLASS,
  classOf,
  encodeControl,
  encodeSignal,
  fromOf,
  readControl,
  stamp,
} from '../../src/signal.ts'
import { identityOf, NETWORK, presenceOf, put, START_MS } from '../fixtures/samples.ts'

export interface Home {
  readonly id: string
  readonly identity: Identity
  readonly directory: Directory
  readonly forward: Forward
  /** What came for each edge here. */
  readonly inboxes: Map<string, Uint8Array[]>
  /** What came over links, in order, and from whom. */
  readonly heard: { readonly frame: Uint8Array; readonly from: string }[]
  readonly dials: string[]
  readonly givenUp: string[]
  readonly vias: Set<string>
  /** Edges here that read too slowly to be handed anything. */
  readonly slow: Set<string>
  /** Whom it does not let into its mesh. */
  readonly unlisted: Set<string>
  /** Whether it has a swarm. */
  canDial: boolean
  /** Whether its links take nothing at the moment. */
  isFull: boolean
  /** What a hostile node does instead of forwarding. */
  act: ((frame: Uint8Array, from: string) => void) | undefined
}

export interface Homes {
  readonly clock: ManualClock
  readonly all: readonly Home[]
  link(a: Home, b: Home): void
  unlink(a: Home, b: Home): void
  /** Brings frames to where they were sent, until none is left. */
  run(): void
  /** Sends as this node would over its link. */
  post(from: Home, to: Home, frame: Uint8Array): void
  /** Lets nodes know of an edge, as gossip does. */
  tell(presence: Presence, ...homes: readonly Home[]): void
  /** Lets nodes know how another is reached. */
  contact(of: Home, contact: { dhtKey?: Uint8Array; vias?: readonly Home[] }): void
}

export function homesOf(count: number): Homes {
  const clock = manualClock()
  const all: Home[] = []
  const links = new Map<Home, Set<string>>()
  const queue: { from: Home; to: string; frame: Uint8Array }[] = []
  const add = (number: number): Home => {
    const identity = identityOf(500 + number)
    const directory = createDirectory(NETWORK)
    const home: Home = {
      id: identity.id,
      identity,
      directory,
      inboxes: new Map(),
      heard: [],
      dials: [],
      givenUp: [],
      vias: new Set(),
      slow: new Set(),
      unlisted: new Set(),
      canDial: false,
      isFull: false,
      act: undefined,
      forward: createForward({
        identity,
        networkId: NETWORK,
        directory,
        clock,
        deliver: (peer, frame) => {
          if (home.slow.has(peer)) throw tooMuchFor(peer)
          return home.inboxes.get(peer)?.push(frame.slice()) !== undefined
        },
        isVia: (node) => home.vias.has(node),
        admits: (node) => !home.unlisted.has(node),
        isLinked: (node) => links.get(home)?.has(node) ?? false,
        send: (to, frame) => {
          if (home.isFull || !links.get(home)?.has(to)) return false
          queue.push({ from: home, to, frame: frame.slice() })
          return true
        },
        dial: (dhtKey) => {
          if (home.canDial) home.dials.push(nameOf(dhtKey))
          return home.canDial
        },
        giveUp: (dhtKey) => void home.givenUp.push(nameOf(dhtKey)),
      }),
    }
    links.set(home, new Set())
    return home
  }
  for (let i = 0; i < count; i++) all.push(add(i))

  const run = (): void => {
    for (let turns = 0; queue.length > 0; turns++) {
      if (turns > 10_000) throw new Error('Frames go round and round')
      const { from, to, frame } = queue.shift() as (typeof queue)[number]
      const home = all.find(({ id }) => id === to)
      if (!home || !links.get(from)?.has(to)) continue
      home.heard.push({ frame: frame.slice(), from: from.id })
      if (home.act) home.act(frame, from.id)
      else home.forward.fromNode(frame, from.id)
    }
  }

  /** As of a home that has been there for long. */
  const stateOf = (home: Home, of: string) => {
    const isNew = !home.directory.homes.has(of)
    const state = home.directory.open(of, START_MS, clock.monotonicMs())
    if (isNew) state.openedAtMs = Number.NEGATIVE_INFINITY
    return state
  }

  return {
    clock,
    all,
    run,
    link: (a, b) => {
      links.get(a)?.add(b.id)
      links.get(b)?.add(a.id)
      a.forward.linked(b.id)
      b.forward.linked(a.id)
    },
    unlink: (a, b) => {
      links.get(a)?.delete(b.id)
      links.get(b)?.delete(a.id)
      a.forward.unlinked(b.id)
      b.forward.unlinked(a.id)
    },
    post: (from, to, frame) => {
      queue.push({ from, to: to.id, frame })
      run()
    },
    tell: (presence, ...homes) => {
      for (const home of homes) {
        home.directory.apply(stateOf(home, presence.home), put(presence), clock.monotonicMs())
      }
    },
    contact: (of, { dhtKey, vias = [] }) => {
      for (const home of all) {
        const state = stateOf(home, of.id)
        state.contact = { dhtKey, urls: [], vias: vias.map(({ id }) => id) }
      }
    },
  }
}

const tooMuchFor = (peer: string): SignalMeshError =>
  new SignalMeshError('RATE_LIMITED', `Too much waits for ${peer}`, { retryAfterMs: BUSY_RETRY_MS })

const nameOf = (dhtKey: Uint8Array): string => String(dhtKey[0])

/** A key whose dials are noted under this number. */
export const keyOf = (number: number): Uint8Array => new Uint8Array(32).fill(number)

export interface TestEdge {
  readonly identity: Identity
  readonly id: string
  readonly home: Home
  readonly presence: Presence
  readonly inbox: readonly Uint8Array[]
  /** The codes of nodes' words that came. */
  readonly words: string[]
  /** The signals of others that came. */
  readonly signals: Uint8Array[]
  /** Sends a frame through its home. */
  send(frame: Uint8Array): void
}

/** An edge at home there, of whom nobody else knows. */
export function edgeAt(
  homes: Homes,
  home: Home,
  number: number,
  { seq = START_MS, address = '192.0.2.1' }: { seq?: number; address?: string } = {},
): TestEdge {
  const identity = identityOf(number)
  const inbox: Uint8Array[] = []
  home.inboxes.set(identity.id, inbox)
  const presence = presenceOf(identity, home.id, { seq })
  homes.tell(presence, home)
  const isWord = (frame: Uint8Array): boolean => classOf(frame) === CLASS.control
  return {
    identity,
    id: identity.id,
    home,
    presence,
    inbox,
    get words() {
      return inbox.filter(isWord).map((frame) => readControl(frame).code)
    },
    get signals() {
      return inbox.filter((frame) => !isWord(frame))
    },
    send: (frame) => {
      home.forward.fromEdge(frame.slice(), identity.keys.publicKey, address)
      homes.run()
    },
  }
}

export interface SignalChanges {
  readonly class?: number
  readonly connection?: Uint8Array
  readonly counter?: number
  readonly ack?: boolean
  readonly payload?: Uint8Array
}

export function within(from: Identity, to: string, changes: SignalChanges = {}): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: 1,
    from: from.keys.publicKey,
    to: fromHex(to),
    connection: randomBytes(16),
    counter: 0,
    payload: randomBytes(48),
    ...changes,
  })
}

/** An opening signal with this presence in it. */
export function open(
  from: Identity,
  to: string,
  presence: Presence,
  changes: SignalChanges = {},
): Uint8Array {
  const payload = new Uint8Array(2 + presence.bytes.length + 96)
  new DataView(payload.buffer).setUint16(0, presence.bytes.length)
  payload.set(presence.bytes, 2)
  return within(from, to, { class: CLASS.open, payload, ...changes })
}

/** As a home would have written it. */
export function stamped(frame: Uint8Array, home: Home, hops = 1): Uint8Array {
  stamp(frame, home.identity.keys.publicKey, hops)
  return frame
}

/** A word about a signal, as this node would say it. */
export function word(about: Uint8Array, error: SignalMeshError, by: Home, hops = 1): Uint8Array {
  return encodeControl(NETWORK, about, error, by.identity.keys.publicKey, hops)
}

export const sendersOf = (frames: readonly Uint8Array[]): string[] => frames.map(fromOf)
