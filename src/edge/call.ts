/** A call: one attempt to connect, and then the connection, over a sealed channel and an RTC connection. */

import { toHex } from '../bytes.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from '../errors.ts'
import { LINGER_MS, MAX_EARLY_ITEMS, RESEND_AFTER_MS } from '../limits.ts'
import type { Call, CallContext, CallEvents, CallOptions } from './calltypes.ts'
import { createCarrying } from './carrying.ts'
import { createChannel } from './channel.ts'
import { type Connection, type ConnectionSource, makeConnection } from './connection.ts'
import type { Item } from './items.ts'
import { createRestart } from './restart.ts'
import { createRinging } from './ringing.ts'
import type { Rtc } from './rtc.ts'
import { createSealed } from './sealed.ts'
import { createTelling, isRelayed } from './telling.ts'
import {
  explained,
  type Why,
  type WhyEvidence,
  type WhyPhase,
  whyFailed,
  whyPath,
  whyRecovering,
} from './why.ts'
import type { SaidFacts } from './whyfacts.ts'

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
  let said: SaidFacts | undefined
  let word: ErrorCode | undefined
  let metadata = options.metadata ?? new Uint8Array(0)
  let rtc: Rtc | undefined
  let source: ConnectionSource | undefined
  let offered = false
  let refusing = false
  let wasRefused = false
  let began: { topic: string; streams: readonly MediaStream[] } | undefined

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
    onNews: () => restart.heard(),
  })

  const restart = createRestart({
    clock,
    initiator: options.initiator,
    generation: () => rtc?.generation ?? 0,
    restart: () => rtc?.restart(),
    ask: (generation) => trySend([{ kind: 'ice-restart', generation }]),
    isHome: () => context.isHome?.() ?? true,
    onGone: (error) => giveUp(error),
  })

  const carrying = createCarrying({
    clock,
    initiator: options.initiator,
    carrier: context.carrier,
    from: context.identity.keys.publicKey,
    to: options.presence.peerKey,
    connection: options.connection.slice(),
    keys: () => sealed.carryKeys,
    say: (data) => trySend([{ kind: 'relay', data }]),
    onOpen: (carried) => {
      channel.carry(carried)
      opens()
    },
    onPiece: (piece) => channel.fromHomes(piece),
    onFailed: (error) => giveUp(error),
    renew: () => {
      const before = rtc
      rtc = makeRtc()
      before?.close()
    },
  })

  const channel = createChannel({
    rtc: () => rtc as Rtc,
    onPiece: (piece) => source?.receive(piece),
    onMoved: carrying.done,
  })

  const ringing = createRinging({
    clock,
    // Nothing to say is acknowledged too.
    knock: () => trySend([]),
    onGone: (error) => hangUp(error),
  })

  const telling = createTelling({
    clock,
    facts: () => rtc?.facts(),
    path: () => source?.connection.path,
    isHeard: () => !over.signal.aborted && sealed.answered,
    say: (item) => trySend([item]),
  })

  const phase = (): WhyPhase => {
    if (source) return 'open'
    // What refuses takes the place of the answer, but is none.
    if (wasRefused) return 'ring'
    if (sealed.answered) return 'path'
    return sealed.heard || !options.initiator ? 'ring' : 'reach'
  }

  const evidence = (by?: 'peer'): WhyEvidence => ({
    phase: phase(),
    own: rtc?.facts(),
    peer: said?.facts,
    peerGaveUp: said?.gaveUp ?? false,
    word,
    by,
  })

  const end = (error: SignalMeshError, by?: 'peer'): void => {
    if (over.signal.aborted) return
    const told = explained(error, evidence(by))
    drop()
    // Out of the tables first: who hears of the end may connect again at once.
    events.onEnd(call, told)
    source?.end(told.message, told)
    opened.reject(told)
  }

  const drop = (): void => {
    over.abort()
    telling.stop()
    restart.stop()
    ringing.stop()
    sealed.close()
    carrying.stop()
    rtc?.close()
  }

  const take = (item: Item): void => {
    if (item.kind === 'metadata') metadata = item.data
    else if (item.kind === 'bye')
      end(new SignalMeshError('PEER_LEFT', item.reason || 'The peer left'), 'peer')
    else if (item.kind === 'refused') refused(item.code, item.reason)
    else if (item.kind === 'facts') said = item
    else if (item.kind === 'ice-restart') {
      if (source) restart.asked(item.generation)
    } else if (item.kind === 'relay') takeRelay(item.data)
    else if (rtc) {
      if (!carrying.isSkipping) rtc.take(item)
    } else if (early.length < MAX_EARLY_ITEMS) early.push(item)
  }

  const takeRelay = (data: Uint8Array): void => {
    try {
      carrying.take(data)
    } catch (error) {
      giveUp(asMeshError(error))
    }
  }

  const refused = (code: ErrorCode, reason: string): void => {
    if (source) return
    if (code === 'GLARE') events.onGlare(call)
    else {
      wasRefused = true
      end(new SignalMeshError(code, `The peer refused: ${reason || 'it gave no reason'}`), 'peer')
    }
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
    const bye: Item = { kind: 'bye', reason: error.message }
    if (sealed.canSend) trySend(isPathless(error) ? [telling.item(true), bye] : [bye])
    end(error)
  }

  const trySend = (items: readonly Item[]): void => {
    try {
      sealed.send(items)
    } catch {
      // To a peer that acknowledges nothing.
    }
  }

  /** Whether it ends for want of a path, which the other side would not know from a bye. */
  const isPathless = ({ code }: SignalMeshError): boolean =>
    rtc !== undefined && sealed.answered && (code === 'RTC_FAILED' || code === 'TIMEOUT')

  const why = (path: string): Why => {
    const known = evidence()
    if (path === 'closed') return whyFailed(new SignalMeshError('CLOSED', 'closed'), known)
    return restart.isAway ? whyRecovering(known) : whyPath(path, known)
  }

  const opens = (): void => {
    const about = { id: call.peer, topic: began?.topic ?? '', clock, rtc: channel.channel, why }
    source = makeConnection(about, (why) => hangUp(new SignalMeshError('CLOSED', why)))
    const { connection } = source
    connection.on('path', (path) => isRelayed(path) && telling.tell())
    opened.resolve(connection)
    events.onOpen(call, connection)
  }

  /** A path of its own: what homes carry moves there, or it opens with it. */
  const hasPath = (): void => {
    channel.move()
    carrying.moved()
    if (source) source.look()
    else opens()
  }

  const makeRtc = (): Rtc => {
    let made: Rtc | undefined
    /** Of one whose place another has taken nothing counts. */
    const isNow = (): boolean => made === undefined || made === rtc
    made = context.makeRtc({
      initiator: options.initiator,
      config: context.config,
      configNow: () => context.config,
      wrtc: context.wrtc,
      streams: began?.streams ?? [],
      onItem: (item) => isNow() && say(item),
      onOpen: () => isNow() && hasPath(),
      onData: takePiece,
      onStream: (stream) => source?.takeStream(stream),
      onAway: (isAway) => {
        if (!source || channel.isCarried || over.signal.aborted) return
        restart.away(isAway)
        if (!isAway) source.look()
      },
      onPath: () => isNow() && !over.signal.aborted && source?.moved(),
      onClose: (error) => {
        if (refusing || over.signal.aborted || !isNow()) return
        const failure = error ?? new SignalMeshError('PEER_LEFT', 'The peer has left')
        if (carrying.holds(failure)) return
        // The other side may not notice for long.
        if (error) giveUp(error)
        else end(failure)
      },
    })
    return made
  }

  const takePiece = (piece: string | Uint8Array): void => {
    try {
      channel.fromRtc(piece)
    } catch (error) {
      hangUp(asMeshError(error))
    }
  }

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
    noteWord: (code) => {
      word = code
    },
    explain: (error) => explained(error, evidence()),
    resend: () => {
      sealed.resend()
      restart.homeIsBack()
      carrying.homeIsBack()
    },
    woken: carrying.homeIsBack,
    receive: (frame) => {
      sealed.receive(frame)
      if (sealed.answered) carrying.answered()
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
        began = { topic, streams }
        rtc = makeRtc()
        telling.begin()
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
