/** The edge: joins the mesh at a home node, finds peers by topic, connects to them. */

import { systemClock } from '../clock.ts'
import type { SignalMeshError } from '../errors.ts'
import { checkSeed, makeIdentity, type NodeId, type PeerId } from '../identity.ts'
import type { Topic } from '../topic.ts'
import { orAborted } from './abort.ts'
import type { Connection } from './connection.ts'
import { fetchRest } from './fetching.ts'
import type { HomeStatus } from './home.ts'
import { fetchAgain } from './loading.ts'
import { startNative } from './native.ts'
import { openFirst } from './opening.ts'
import {
  type AdvertiseOptions,
  type ConnectOptions,
  checkJoin,
  type DiscoverOptions,
  type JoinOptions,
  type RoomOptions,
} from './options.ts'
import type { Room } from './room.ts'
import type { Change } from './watch.ts'

export type { ErrorCode } from '../errors.ts'
export { SignalMeshError } from '../errors.ts'
export type { NodeId, PeerId } from '../identity.ts'
export type { Topic } from '../topic.ts'
export type { Connection, ConnectionEvents, ConnectionState, Path } from './connection.ts'
export type { HomeState, HomeStatus } from './home.ts'
export type {
  AdvertiseOptions,
  ConnectOptions,
  DiscoverOptions,
  Incoming,
  JoinOptions,
  RoomOptions,
} from './options.ts'
export type { Room, RoomEvents } from './room.ts'
export type { SharedSocket } from './shared.ts'
export type { Change } from './watch.ts'
export type { NetFacts, Why, WhyCode, WhyKind, WhyPhase, WhySide } from './why.ts'
export { whyOf } from './whyof.ts'

export interface Peer {
  readonly id: PeerId
  /** The node at which the peer is at home. */
  readonly home: NodeId
  /** What the peer says of itself in the topic; empty if it says nothing. */
  readonly info: Uint8Array
}

export interface EdgeEvents {
  /** A connection is open, whoever called; once for each. */
  readonly connection: Connection
  /** Another home, or another state of this one. */
  readonly home: HomeStatus
  /** The edge is closed for good by this, such as `REPLACED`. */
  readonly error: SignalMeshError
}

export interface Edge {
  /** Its public key, 64 hex digits. */
  readonly id: PeerId
  /** The seed: keep it to be the same peer next time. */
  readonly identity: Uint8Array
  /** The node at which it is at home, and how that is. */
  readonly home: HomeStatus
  /**
   * Joins the topic's room: all who are in it, connected, each with at most so many others. Resolves
   * when this edge can be found there and knows who is present; the connections come then. The room
   * decides on the topic's calls, not `onIncoming`.
   * @throws SignalMeshError `BAD_ARGUMENT`, also where the edge is in this room already
   */
  join(topic: Topic, options?: RoomOptions): Promise<Room>
  /**
   * Lets peers find this edge under the topic. Again with another `info`, it is for those who look
   * from then on.
   * @throws SignalMeshError `BAD_ARGUMENT`, `TOO_MANY` above 64 topics, `TOO_LARGE`, `ABORTED`
   */
  advertise(topic: Topic, options?: AdvertiseOptions): Promise<void>
  /** Is found under the topic no more; open connections stay. */
  unadvertise(topic: Topic): Promise<void>
  /**
   * A random sample of the topic's edges, this one left out, and how many there are.
   * @throws SignalMeshError `BAD_ARGUMENT`, `ABORTED`, `RATE_LIMITED`
   */
  discover(topic: Topic, options?: DiscoverOptions): Promise<{ peers: Peer[]; total: number }>
  /** First those present as joins, then each join and leave. */
  watch(topic: Topic, options?: { signal?: AbortSignal }): AsyncIterable<Change>
  /**
   * Opens a connection, or gives the one that there is.
   * @throws SignalMeshError with the reason, `RTC_FAILED` also where there is no WebRTC, as in a worker;
   * its `cause` is a `Why`, which `whyOf` gives with its type
   */
  connect(peer: PeerId, options: ConnectOptions): Promise<Connection>
  /**
   * Calls `fn` at each such event; what is returned ends that.
   * @throws SignalMeshError `BAD_ARGUMENT` for an event that there is not
   */
  on<Name extends keyof EdgeEvents>(name: Name, fn: (value: EdgeEvents[Name]) => void): () => void
  /** Leaves the mesh and its rooms, and closes all connections. */
  close(): Promise<void>
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Joins the mesh. Resolves when a home node has taken this edge.
 * @throws SignalMeshError `NO_HOME` when none answers in 30 s, `LOAD_FAILED`, `BAD_ARGUMENT`, or what a node refused with
 * @example
 * const edge = await joinMesh({ urls: ['http://127.0.0.1:4680'] })
 * await edge.advertise('my-room')
 */
export async function joinMesh(options: JoinOptions = {}): Promise<Edge> {
  checkJoin(options)
  const { signal } = options
  const seed = checkSeed(options.identity)
  const native = startNative()
  const opening = openFirst(options)
  try {
    const loading = orAborted('Joining', signal, () => fetchAgain(systemClock, fetchRest))
    await native?.prepare([['public', seed]])
    const identity = makeIdentity(seed)
    const { joinOver } = await loading
    return await joinOver(options, opening, identity)
  } catch (error) {
    opening?.webSocket.close()
    throw error
  }
}
