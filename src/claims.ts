/** What a node holds of each home: its claims about edges, and where its log stands. */

import type { Contact, Position } from './batch.ts'
import { createDigest, type Digest } from './digest.ts'
import type { NodeId, PeerId } from './identity.ts'
import type { Advert, EdgeRecord, Presence } from './records.ts'

/** What one home says of one edge. */
export interface Claim {
  readonly home: HomeState
  readonly peer: PeerId
  presence: Presence | undefined
  readonly adverts: Map<string, Advert>
  /** When the presence came, by this node's clock. */
  receivedAtMs: number
}

/** What this node holds of one home: the state that its log leads to. */
export interface HomeState {
  readonly id: NodeId
  position: Position
  /** Hash of the last batch applied; zeros before the first. */
  headHash: Uint8Array
  readonly digest: Digest
  readonly claims: Map<PeerId, Claim>
  contact: Contact
  /** The newest batches as signed, up to `position`, for those who missed some. */
  recent: Uint8Array[]
  /** The newest head as signed. */
  lastHead: Uint8Array | undefined
  beat: number
  heardAtMs: number
}

/** Where a home's log stood when it was last heard of. */
export interface LastWord {
  readonly position: Position
  readonly beat: number
}

/** A home of which nothing is known but that it began an epoch. */
export function emptyHome(id: NodeId, epoch: number, nowMs: number): HomeState {
  return {
    id,
    position: { epoch, index: 0 },
    headHash: new Uint8Array(32),
    digest: createDigest(),
    claims: new Map(),
    contact: { dhtKey: undefined, urls: [] },
    recent: [],
    lastHead: undefined,
    beat: 0,
    heardAtMs: nowMs,
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
