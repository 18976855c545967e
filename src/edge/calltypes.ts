/** What a call is, what it needs and what it tells. */

import type { Clock } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import type { ErrorCode, SignalMeshError } from '../errors.ts'
import type { Identity, PeerId } from '../identity.ts'
import type { Presence } from '../records.ts'
import type { Carrier } from './carrier.ts'
import type { Connection } from './connection.ts'
import type { MakeRtc } from './rtc.ts'
import type { Sealed } from './sealed.ts'

/** What every call of an edge shares. */
export interface CallContext {
  readonly networkId: Uint8Array
  readonly identity: Identity
  readonly boxKeys: KeyPair
  readonly clock: Clock
  readonly makeRtc: MakeRtc
  readonly config: RTCConfiguration
  readonly wrtc?: object | undefined
  /** This edge's own presence, for opening signals. */
  presence(): Presence | undefined
  send(frame: Uint8Array): void
  /** By which homes carry what finds no path of its own; without one, none is to. */
  readonly carrier?: Carrier | undefined
  /** Whether what is sent goes out at once, and so the peer is heard; without this it does. */
  isHome?(): boolean
  /** The key of a topic, by its tag in hex digits, if this edge is in it. */
  topicKey(tag: string): Uint8Array | undefined
}

export interface CallEvents {
  /** An offer came; the call waits for `accept` or `refuse`. */
  onOffer(call: Call): void
  onOpen(call: Call, connection: Connection): void
  /** It is over, before or after it was open. */
  onEnd(call: Call, error: SignalMeshError): void
  /** The peer's own attempt to connect has won over this one. */
  onGlare(call: Call): void
}

export interface CallOptions {
  readonly connection: Uint8Array
  readonly initiator: boolean
  readonly presence: Presence
  /** Known to the initiator; learnt from the offer by the other. */
  readonly tag?: Uint8Array
  readonly topicKey?: Uint8Array
  readonly topic?: string
  readonly metadata?: Uint8Array
}

export interface Call {
  /** The connection id as hex digits. */
  readonly id: string
  readonly peer: PeerId
  readonly initiator: boolean
  readonly sealed: Sealed
  /** The topic's tag as hex digits; empty while it is not known. */
  readonly tag: string
  readonly metadata: Uint8Array
  readonly connection: Connection | undefined
  /** The connection once it is open; rejects when the call ends without one. Never goes unhandled. */
  readonly opened: Promise<Connection>
  /** Aborted when the call is over. */
  readonly signal: AbortSignal
  /** Whether it has reached the peer, which has yet to take it. */
  readonly isRinging: boolean
  /** What a node said of the attempt, which goes on. */
  noteWord(code: ErrorCode): void
  /** The error with its cause. */
  explain(error: SignalMeshError): SignalMeshError
  /** Sends again what is under way: there is a new home. */
  resend(): void
  /** The network may be another one: a path is worth another look. */
  woken(): void
  /** Takes a signal of the peer's. */
  receive(frame: Uint8Array): void
  /** The mesh cannot reach the peer. */
  missed(error: SignalMeshError): void
  /** Whether it was started or refused. */
  readonly taken: boolean
  readonly refused: boolean
  /** Begins to connect: sends the offer, or takes the one that came. Only once. */
  start(topic: string, streams: readonly MediaStream[]): void
  addStream(stream: MediaStream): void
  removeStream(stream: MediaStream): void
  /** Tells the other side why not, unless it was taken already. */
  refuse(error: SignalMeshError): void
  /** Ends it here, without a word to the other side. */
  drop(): void
  /** Ends it and tells the other side. */
  hangUp(error: SignalMeshError): void
}
