/** A call: one attempt to connect, and then the connection, over a sealed channel and an RTC connection. */

import { toHex } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { type ErrorCode, SignalMeshError } from '../errors.ts'
import type { Identity, PeerId } from '../identity.ts'
import { LINGER_MS } from '../limits.ts'
import type { Presence } from '../records.ts'
import { type Connection, type ConnectionSource, makeConnection } from './connection.ts'
import type { Item } from './items.ts'
import type { MakeRtc, Rtc } from './rtc.ts'
import { createSealed, type Sealed } from './sealed.ts'

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
  /** Aborted when the call is over. */
  readonly signal: AbortSignal
  /** Begins to connect: sends the offer, or takes the one that came. */
  start(topic: string): void
  refuse(code: ErrorCode, reason: string): void
  /** Ends it here, without a word to the other side. */
  drop(): void
  /** Ends it and tells the other side. */
  hangUp(error: SignalMeshError): void
}

export function createCall(context: CallContext, options: CallOptions, events: CallEvents): Call {
  const { clock } = context
  const over = new AbortController()
  const early: Item[] = []
  let tag = options.tag ? toHex(options.tag) : ''
  let metadata = options.metadata ?? new Uint8Array(0)
  let rtc: Rtc | undefined
  let source: ConnectionSource | undefined
  let offered = false

  const sealed = createSealed({
    networkId: context.networkId,
    clock,
    initiator: options.initiator,
    connection: options.connection.slice(),
    self: { key: context.identity.keys.publicKey, boxKeys: context.boxKeys },
    remote: { key: options.presence.peerKey, boxKey: options.presence.boxKey },
    send: context.send,
    onItems: (items) => {
      for (const item of items) take(item)
      if (offered || options.initiator || !tag) return
      offered = true
      events.onOffer(call)
    },
  })

  const end = (error: SignalMeshError): void => {
    if (over.signal.aborted) return
    drop()
    source?.end(error.message)
    events.onEnd(call, error)
  }

  const drop = (): void => {
    over.abort()
    sealed.close()
    rtc?.close()
  }

  const take = (item: Item): void => {
    if (item.kind === 'topic') tag ||= toHex(item.tag)
    else if (item.kind === 'metadata') metadata = item.data
    else if (item.kind === 'bye') end(new SignalMeshError('PEER_LEFT', item.reason || 'The peer left'))
    else if (item.kind === 'refused') refused(item.code, item.reason)
    else if (rtc) rtc.take(item)
    else early.push(item)
  }

  const refused = (code: ErrorCode, reason: string): void => {
    if (source) return
    if (code === 'GLARE') events.onGlare(call)
    else end(new SignalMeshError(code, `The peer refused: ${reason || 'it gave no reason'}`))
  }

  /** Tells the other side; the first description opens the attempt or answers it. */
  const say = (item: Item): void => {
    if (over.signal.aborted) return
    const isFirst = item.kind === 'description' && !sealed.answered
    if (isFirst && options.initiator) open(item)
    else if (isFirst) sealed.answer([item])
    else sealed.send([item])
  }

  const open = (offer: Item): void => {
    const presence = context.presence()
    if (!presence) {
      end(new SignalMeshError('NO_HOME', 'Cannot call without a home node'))
      return
    }
    const items: Item[] = [{ kind: 'topic', tag: options.tag as Uint8Array }, offer]
    if (metadata.length) items.push({ kind: 'metadata', data: metadata })
    sealed.open(presence.bytes, items)
  }

  const hangUp = (error: SignalMeshError): void => {
    if (over.signal.aborted) return
    if (sealed.canSend) sealed.send([{ kind: 'bye', reason: error.message }])
    end(error)
  }

  const call: Call = {
    id: toHex(options.connection),
    peer: options.presence.peer,
    initiator: options.initiator,
    sealed,
    get tag() {
      return tag
    },
    get metadata() {
      return metadata
    },
    get connection() {
      return source?.connection
    },
    signal: over.signal,
    start: (topic) => {
      rtc = context.makeRtc({
        initiator: options.initiator,
        config: context.config,
        wrtc: context.wrtc,
        onItem: say,
        onOpen: () => {
          const about = { id: call.peer, topic, clock, rtc: rtc as Rtc }
          source = makeConnection(about, (why) => hangUp(new SignalMeshError('CLOSED', why)))
          events.onOpen(call, source.connection)
        },
        onData: (data) => source?.receive(data),
        onClose: (error) => end(error ?? new SignalMeshError('PEER_LEFT', 'The peer has left')),
      })
      for (const item of early.splice(0)) rtc.take(item)
    },
    refuse: (code, reason) => {
      sealed.answer([{ kind: 'refused', code, reason }])
      // Kept for a while, so that a lost refusal is said again.
      clock.after(LINGER_MS, () => end(new SignalMeshError(code, reason)))
    },
    drop,
    hangUp,
  }
  return call
}
