/** A call: one attempt to connect, and then the connection, over a sealed channel and an RTC connection. */

import { toHex } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from '../errors.ts'
import type { Identity, PeerId } from '../identity.ts'
import { LINGER_MS, MAX_EARLY_ITEMS, RESEND_AFTER_MS, RTC_AWAY_MS } from '../limits.ts'
import type { Presence } from '../records.ts'
import { type Connection, type ConnectionSource, makeConnection } from './connection.ts'
import type { Item } from './items.ts'
import { createRinging } from './ringing.ts'
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

export function createCall(context: CallContext, options: CallOptions, events: CallEvents): Call {
  const { clock } = context
  const over = new AbortController()
  const early: Item[] = []
  /**
   * What this side has to say once it has offered or answered, which is its first word. Not every
   * implementation of WebRTC names its candidates behind its description.
   */
  const later: Item[] = []
  const opened = Promise.withResolvers<Connection>()
  opened.promise.catch(() => undefined)
  let cancelAway: (() => void) | undefined
  let metadata = options.metadata ?? new Uint8Array(0)
  let rtc: Rtc | undefined
  let source: ConnectionSource | undefined
  let offered = false
  let refusing = false

  const sealed = createSealed({
    networkId: context.networkId,
    clock,
    initiator: options.initiator,
    connection: options.connection.slice(),
    self: { key: context.identity.keys.publicKey, boxKeys: context.boxKeys },
    remote: { key: options.presence.peerKey, boxKey: options.presence.boxKey },
    // Who calls names the topic's key itself, since it need not be in the topic.
    tag: options.tag,
    topicKey: options.initiator ? () => options.topicKey : context.topicKey,
    send: context.send,
    onItems: (items) => {
      for (const item of items) take(item)
      if (offered || options.initiator) return
      offered = true
      events.onOffer(call)
    },
  })

  const ringing = createRinging({
    clock,
    // Nothing to say is acknowledged too.
    knock: () => trySend([]),
    onGone: (error) => hangUp(error),
  })

  const end = (error: SignalMeshError): void => {
    if (over.signal.aborted) return
    drop()
    // Out of the tables first: who hears of the end may connect again at once.
    events.onEnd(call, error)
    source?.end(error.message, error)
    opened.reject(error)
  }

  const drop = (): void => {
    over.abort()
    cancelAway?.()
    ringing.stop()
    sealed.close()
    rtc?.close()
  }

  const take = (item: Item): void => {
    if (item.kind === 'metadata') metadata = item.data
    else if (item.kind === 'bye')
      end(new SignalMeshError('PEER_LEFT', item.reason || 'The peer left'))
    else if (item.kind === 'refused') refused(item.code, item.reason)
    else if (rtc) rtc.take(item)
    else if (early.length < MAX_EARLY_ITEMS) early.push(item)
  }

  const refused = (code: ErrorCode, reason: string): void => {
    if (source) return
    if (code === 'GLARE') events.onGlare(call)
    else end(new SignalMeshError(code, `The peer refused: ${reason || 'it gave no reason'}`))
  }

  /** Tells the other side; the first description opens the attempt or answers it. */
  const say = (item: Item): void => {
    if (over.signal.aborted || refusing) return
    const hasBegun = options.initiator ? sealed.canSend : sealed.answered
    try {
      if (hasBegun) sealed.send([item])
      else if (item.kind !== 'description') later.push(item)
      else {
        if (options.initiator) open(item)
        else sealed.answer([item])
        for (const held of later.splice(0)) say(held)
      }
    } catch (error) {
      giveUp(asMeshError(error))
    }
  }

  /** Something on this side fails: who called is told why where it can still be told. */
  const giveUp = (error: SignalMeshError): void => {
    if (options.initiator || sealed.answered) hangUp(error)
    else sayRefused(error)
  }

  const sayRefused = ({ code, message }: SignalMeshError): void => {
    refusing = true
    opened.reject(new SignalMeshError(code, message))
    rtc?.close()
    sealed.answer([{ kind: 'refused', code, reason: message }])
    // Kept for a while, so that a lost refusal is said again.
    const cancel = clock.after(LINGER_MS, () => end(new SignalMeshError(code, message)))
    over.signal.addEventListener('abort', cancel)
  }

  const open = (offer: Item): void => {
    const presence = context.presence()
    if (!presence) {
      end(new SignalMeshError('NO_HOME', 'Cannot call without a home node'))
      return
    }
    const items: Item[] = [offer]
    if (metadata.length) items.push({ kind: 'metadata', data: metadata })
    sealed.open(presence.bytes, items)
  }

  const hangUp = (error: SignalMeshError): void => {
    if (over.signal.aborted) return
    if (sealed.canSend) trySend([{ kind: 'bye', reason: error.message }])
    end(error)
  }

  const trySend = (items: readonly Item[]): void => {
    try {
      sealed.send(items)
    } catch {
      // To a peer that acknowledges nothing.
    }
  }

  /** An RTC connection notices by itself that its peer is gone, but not in every browser nor in every case. */
  const setAway = (isAway: boolean): void => {
    cancelAway?.()
    cancelAway = undefined
    if (!isAway || over.signal.aborted) return
    const error = new SignalMeshError('RTC_FAILED', `The peer was away for ${RTC_AWAY_MS} ms`)
    cancelAway = clock.after(RTC_AWAY_MS, () => giveUp(error))
  }

  const makeRtc = (topic: string, streams: readonly MediaStream[]): Rtc =>
    context.makeRtc({
      initiator: options.initiator,
      config: context.config,
      wrtc: context.wrtc,
      streams,
      onItem: say,
      onOpen: () => {
        const about = { id: call.peer, topic, clock, rtc: rtc as Rtc }
        source = makeConnection(about, (why) => hangUp(new SignalMeshError('CLOSED', why)))
        opened.resolve(source.connection)
        events.onOpen(call, source.connection)
      },
      onData: (data) => source?.receive(data),
      onStream: (stream) => source?.takeStream(stream),
      onAway: setAway,
      onClose: (error) => {
        if (refusing) return
        // The other side may not notice for long.
        if (error) giveUp(error)
        else end(new SignalMeshError('PEER_LEFT', 'The peer has left'))
      },
    })

  const call: Call = {
    id: toHex(options.connection),
    peer: options.presence.peer,
    initiator: options.initiator,
    sealed,
    get tag() {
      return sealed.tag
    },
    get metadata() {
      return metadata
    },
    get connection() {
      return source?.connection
    },
    opened: opened.promise,
    signal: over.signal,
    get isRinging() {
      return options.initiator && sealed.heard && !sealed.answered
    },
    receive: (frame) => {
      sealed.receive(frame)
      if (!call.isRinging) ringing.stop()
      else if (!over.signal.aborted) ringing.heard(sealed.isAcknowledged)
    },
    missed: (error) => {
      if (!call.isRinging) end(error)
      else if (!sealed.isAcknowledged) {
        ringing.missed(error)
        sealed.resendAfter(RESEND_AFTER_MS)
      }
    },
    get refused() {
      return refusing
    },
    get taken() {
      return rtc !== undefined || refusing
    },
    start: (topic, streams) => {
      if (call.taken || over.signal.aborted) return
      try {
        rtc = makeRtc(topic, streams)
      } catch (cause) {
        const text = `WebRTC does not work here: ${asMeshError(cause).message}`
        giveUp(new SignalMeshError('RTC_FAILED', text, { cause }))
        return
      }
      for (const item of early.splice(0)) rtc.take(item)
    },
    addStream: (stream) => {
      if (!over.signal.aborted) rtc?.addStream(stream)
    },
    removeStream: (stream) => {
      if (!over.signal.aborted) rtc?.removeStream(stream)
    },
    refuse: (error) => {
      if (!call.taken && !over.signal.aborted) sayRefused(error)
    },
    drop,
    hangUp,
  }
  return call
}
