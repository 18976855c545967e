/** What a node holds of each home: its claims about edges, and where its log stands. */

import type { Contact, Position } from './batch.ts'
import { createDigest, type Digest } from './digest.ts'
import type { NodeId, PeerId } from './identity.ts'
import { MAX_RUNTIMES_SHOWN } from './limits.ts'
import type { Advert, EdgeRecord, Presence } from './records.ts'

/** What one home says of one edge. */
export interface Claim {
  readonly home: HomeState
  readonly peer: PeerId
  presence: Presence | undefined
  readonly adverts: Map<string, Advert>
  /** Until when the presence may be handed out, by this node's monotonic clock. */
  expiresAtMs: number
  /** Whether the presence was no further in the future than clocks may be apart when it came. */
  isTimely: boolean
}

/** What this node holds of one home: the state that its log leads to. */
export interface HomeState {
  readonly id: NodeId
  /** Whether it is this node's own: its records were checked before they came here. */
  isOwn: boolean
  position: Position
  /** Hash of the last batch applied; zeros before the first. */
  headHash: Uint8Array
  readonly digest: Digest
  /** Of all its records. */
  bytes: number
  readonly claims: Map<PeerId, Claim>
  contact: Contact
  /** The newest batches as signed, up to `position`, for those who missed some. */
  recent: Uint8Array[]
  /** The newest head as signed. */
  lastHead: Uint8Array | undefined
  beat: number
  /** By this node's monotonic clock. */
  heardAtMs: number
  /** When it was first heard of in this life of its own, by the same clock. */
  openedAtMs: number
  /** How far its clock must be from this node's, if a record of it came from too far away in time. */
  skewMs: number | undefined
}

/** Where a home's log stood when it was last heard of. */
export interface LastWord {
  readonly position: Position
  readonly beat: number
}

/** What homes say that they run on, by their ids; of so many that an answer stays small. */
export function runtimesOf(homes: Iterable<HomeState>): Record<NodeId, string> {
  const said = [...homes].flatMap(({ id, contact: { runtime } }) =>
    runtime === undefined ? [] : [[id, runtime] as const],
  )
  return Object.fromEntries(said.slice(0, MAX_RUNTIMES_SHOWN))
}

/** A home of which nothing is known but that it began an epoch. */
export function emptyHome(id: NodeId, epoch: number, nowMs: number): HomeState {
  return {
    id,
    isOwn: false,
    position: { epoch, index: 0 },
    headHash: new Uint8Array(32),
    digest: createDigest(),
    bytes: 0,
    claims: new Map(),
    contact: { dhtKey: undefined, urls: [], vias: [] },
    recent: [],
    lastHead: undefined,
    beat: 0,
    heardAtMs: nowMs,
    openedAtMs: nowMs,
    skewMs: undefined,
  }
}

/** All records of a home, each edge's presence before its adverts. */
export function recordsOf(state: HomeState): EdgeRecord[] {
  const records: EdgeRecord[] = []
  for (const { presence, adverts } of state.claims.values()) {
    if (presence) records.push(presence)
    records.push(...adverts.values())
  }
  return records
}
