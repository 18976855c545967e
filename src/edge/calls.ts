/** Calls: the table of an edge's calls, its own attempts and those of others, and which wins of two. */

import { compare, equal, fromHex, toHex } from '../bytes.ts'
import { randomBytes } from '../crypto.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import {
  BUSY_RETRY_MS,
  CONNECT_TIMEOUT_MS,
  MAX_ATTEMPTS,
  MAX_CALLS,
  RESEND_AFTER_MS,
  RING_TIMEOUT_MS,
} from '../limits.ts'
import type { Presence } from '../records.ts'
import {
  CLASS,
  CONNECTION_BYTES,
  checkSignal,
  classOf,
  connectionOf,
  fromKeyOf,
  fromOf,
  readControl,
} from '../signal.ts'
import { type Attempt, type ConnectRequest, createAttempts, timedOut } from './attempts.ts'
import { createCall } from './call.ts'
import type { Call, CallContext, CallEvents } from './calltypes.ts'
import type { Connection } from './connection.ts'
import { createEnded } from './ended.ts'
import { report } from './events.ts'
import { presenceOfOpening } from './sealing.ts'

export interface CallsOptions extends CallContext {
  /** Whether this edge can have connections at all; without this one it can. */
  hasRtc?(): boolean
  /** The signed presence of a peer, as the mesh knows it. */
  lookup(peer: PeerId): Promise<Presence>
  /** The same as this edge has heard of it; it may be old. */
  known(peer: PeerId): Presence | undefined
  /** Whether a presence is its peer's own. */
  isAuthentic(presence: Presence): boolean
  /** The name of a topic that this edge is in, by its tag in hex digits. */
  topicOf(tag: string): string
  /** Asks the application whether to take a call, and what to send in it; what it throws is the refusal. */
  ask(call: Call, topic: string): Promise<MediaStream | undefined>
  /** `tag` is the topic's, in hex digits. */
  onConnection(connection: Connection, tag: string): void
}

export interface Calls {
  /** @throws SignalMeshError `RTC_FAILED` where there can be no connection */
  checkRtc(): void
  connect(request: ConnectRequest): Promise<Connection>
  receive(frame: Uint8Array): void
  /** Sends again what is under way: there is a new home. */
  resend(): void
  /** The machine or the network was away. */
  woken(): void
  close(): void
}

export function createCalls(options: CallsOptions): Calls {
  const { identity, networkId, clock } = options
  const calls = new Map<string, Call>()
  const attempts = createAttempts(clock)
  const ended = createEnded()

  const remove = (call: Call): void => {
    if (!calls.delete(call.id)) return
    ended.add(call.id)
    call.drop()
  }

  const connectedTo = (peer: PeerId, tag: string): Connection | undefined =>
    [...calls.values()].find(
      ({ peer: other, tag: its, connection }) =>
        other === peer && its === tag && connection?.state === 'open',
    )?.connection

  const events: CallEvents = {
    onOffer: (call) => void answer(call),
    onOpen: (call, connection) => {
      // A peer that connects anew has lost the old connection.
      for (const other of [...calls.values()]) {
        if (other === call || other.peer !== call.peer || other.tag !== call.tag) continue
        if (other.connection)
          other.hangUp(new SignalMeshError('REPLACED', 'The peer connected anew'))
      }
      attempts.of(call)?.settle(connection)
      options.onConnection(connection, call.tag)
    },
    onEnd: (call, error) => {
      remove(call)
      attempts.of(call)?.settle(error)
    },
    onGlare: (call) => {
      const attempt = attempts.of(call)
      if (attempt) {
        attempt.call = undefined
        attempt.ring(false)
      }
      remove(call)
    },
  }

  const add = (fields: Parameters<typeof createCall>[1]): Call => {
    const call = createCall(options, fields, events)
    calls.set(call.id, call)
    return call
  }

  const hasRtc = (): boolean => options.hasRtc?.() ?? true

  const checkRtc = (): void => {
    if (hasRtc()) return
    const text =
      'There is no WebRTC here, as in a worker: connect in a page, or pass { wrtc } to join'
    throw new SignalMeshError('RTC_FAILED', text)
  }

  // --- this edge's own attempts ---

  const connect = (request: ConnectRequest): Promise<Connection> => {
    checkRtc()
    const tag = toHex(request.tag)
    const open = connectedTo(request.peer, tag)
    if (open) {
      if (request.stream) open.addStream(request.stream)
      return Promise.resolve(open)
    }
    const running = attempts.get(request.peer, tag)
    if (running) return running.wait(request)
    if (attempts.size >= MAX_ATTEMPTS) {
      return Promise.reject(
        new SignalMeshError('TOO_MANY', `Over ${MAX_ATTEMPTS} attempts at once`),
      )
    }
    const attempt = attempts.begin(request.peer, tag)
    const connecting = attempt.wait(request)
    if (attempt.isOver) return connecting
    const ringing = [...calls.values()].find(
      (call) => call.peer === request.peer && call.tag === tag && !call.initiator && !call.refused,
    )
    if (ringing) {
      // To call the peer that is calling is to answer it.
      attempt.call = ringing
      ringing.start(request.topic, attempt.streams)
      for (const stream of attempt.streams) ringing.addStream(stream)
      return connecting
    }
    const known = options.presence() && options.known(request.peer)
    if (known) {
      // Asked all the same, but beside: the answer takes as long as half of the call.
      call(attempt, request, known, 0)
      return connecting
    }
    options.lookup(request.peer).then(
      (presence) => {
        // The peer's own call may have come first, or the caller may have given up.
        if (!attempt.isOver && !attempt.call) call(attempt, request, presence)
      },
      (error: unknown) => attempt.settle(asMeshError(error)),
    )
    return connecting
  }

  const call = (
    attempt: Attempt,
    request: ConnectRequest,
    presence: Presence,
    lookAfterMs = RESEND_AFTER_MS,
  ): void => {
    const connection = randomBytes(CONNECTION_BYTES)
    const made = add({ ...request, connection, initiator: true, presence })
    attempt.call = made
    lookAgain(attempt, request, presence, made, lookAfterMs)
    made.start(request.topic, attempt.streams)
  }

  /** A peer that is silent may be another session by now, which cannot open what was sealed for the last. */
  const lookAgain = (
    attempt: Attempt,
    request: ConnectRequest,
    presence: Presence,
    made: Call,
    afterMs: number,
  ): void => {
    const isStale = (): boolean => attempt.call === made && !made.sealed.heard && !attempt.isOver
    const cancelTimer = clock.after(afterMs, async () => {
      if (!isStale()) return
      const newer = await options.lookup(request.peer).catch(() => presence)
      if (!isStale()) return
      if (equal(newer.boxKey, presence.boxKey)) {
        lookAgain(attempt, request, presence, made, 2 * afterMs || RESEND_AFTER_MS)
      } else {
        remove(made)
        call(attempt, request, newer)
      }
    })
    made.signal.addEventListener('abort', cancelTimer)
  }

  // --- calls of others ---

  const receiveOpening = (frame: Uint8Array): void => {
    const connection = connectionOf(frame)
    if (ended.has(toHex(connection))) return
    const presence = presenceOfOpening(frame, fromKeyOf(frame))
    if (!options.isAuthentic(presence)) {
      throw new SignalMeshError('BAD_SIGNATURE', 'The caller shows a forged presence')
    }
    const call = add({ connection, initiator: false, presence })
    call.receive(frame)
    // Without a tag it was not sealed for this edge and a topic of its own; nothing is kept of it.
    if (call.tag) return
    calls.delete(call.id)
    call.drop()
  }

  /** Says so once and keeps nothing: by the rates of openings at its home that is 50 a second at most. */
  const turnAway = (call: Call): void => {
    call.refuse(new SignalMeshError('TOO_MANY', 'too many calls at once'))
    remove(call)
  }

  /**
   * A peer calls once at a time in a topic; one that did not keep to that could ring in all places. The
   * last but one is let be: it may be the newer, and the other have been held up on its way.
   */
  const supersede = (call: Call): void => {
    const [eldest, ...more] = [...calls.values()].filter(
      (other) =>
        !(other === call || other.initiator || other.refused || other.connection) &&
        other.peer === call.peer &&
        other.tag === call.tag &&
        !attempts.of(other),
    )
    if (more.length) eldest?.hangUp(new SignalMeshError('REPLACED', 'The peer calls anew'))
  }

  const answer = async (call: Call): Promise<void> => {
    supersede(call)
    if (calls.size > MAX_CALLS) {
      turnAway(call)
      return
    }
    if (!hasRtc()) {
      call.refuse(new SignalMeshError('RTC_FAILED', 'it runs without WebRTC, as in a worker'))
      return
    }
    const topic = options.topicOf(call.tag)
    const attempt = attempts.get(call.peer, call.tag)
    if (attempt) {
      meet(attempt, call, topic)
      return
    }
    // A little longer than the caller, who may have gone without a word.
    const stopRinging = endAfter(call, RING_TIMEOUT_MS + CONNECT_TIMEOUT_MS)
    try {
      const stream = await options.ask(call, topic)
      stopRinging()
      if (!call.taken) endAfter(call, 2 * CONNECT_TIMEOUT_MS)
      call.start(topic, stream ? [stream] : [])
    } catch (error) {
      call.refuse(asMeshError(error, 'REFUSED'))
    }
  }

  /** Bounds the time of a call that comes in. */
  const endAfter = (call: Call, afterMs: number): (() => void) => {
    const cancelTimer = clock.after(afterMs, () => {
      if (!call.connection) call.hangUp(timedOut(call, afterMs))
    })
    call.signal.addEventListener('abort', cancelTimer)
    return cancelTimer
  }

  /** Both sides call at once: the attempt of the lower PeerId brings the connection to both. */
  const meet = (attempt: Attempt, call: Call, topic: string): void => {
    const own = attempt.call
    const ownWins = own && compare(identity.keys.publicKey, fromHex(call.peer)) < 0
    if (ownWins) {
      call.refuse(new SignalMeshError('GLARE', 'both called at once'))
      return
    }
    attempt.call = call
    if (own) remove(own)
    attempt.ring(false)
    call.start(topic, attempt.streams)
  }

  const receiveControl = (call: Call, frame: Uint8Array): void => {
    const { code, retryAfterMs } = readControl(frame)
    // A node's word may fail an attempt of this edge but never ends what two edges have with each other.
    if (!call.initiator || call.connection || call.sealed.answered) return
    call.noteWord(code)
    if (code === 'MOVED' || code === 'RATE_LIMITED' || code === 'GOING_AWAY') {
      call.sealed.resendAfter(Math.min(retryAfterMs || BUSY_RETRY_MS, RESEND_AFTER_MS))
    } else {
      call.missed(new SignalMeshError(code, controlText(code, call.peer)))
    }
  }

  const receive = (frame: Uint8Array): void => {
    checkSignal(networkId, frame)
    const call = calls.get(toHex(connectionOf(frame)))
    if (!call) {
      if (classOf(frame) === CLASS.open) receiveOpening(frame)
    } else if (fromOf(frame) !== call.peer) {
      throw new SignalMeshError('BAD_SIGNATURE', 'A stranger names the connection of others')
    } else if (classOf(frame) === CLASS.control) receiveControl(call, frame)
    else {
      call.receive(frame)
      attempts.of(call)?.ring(call.isRinging)
    }
  }

  return {
    checkRtc,
    connect,
    receive: (frame) => {
      try {
        receive(frame)
      } catch (error) {
        // Anybody may send anything: it costs the sender's frame and nothing here.
        if (!(error instanceof SignalMeshError)) report(error)
      }
    },
    resend: () => {
      for (const call of calls.values()) call.resend()
    },
    woken: () => {
      for (const call of calls.values()) call.woken()
    },
    close: () => {
      const error = new SignalMeshError('CLOSED', 'The edge was closed')
      for (const call of [...calls.values()]) call.hangUp(error)
      attempts.close(error)
    },
  }
}

function controlText(code: string, peer: PeerId): string {
  if (code === 'PEER_UNKNOWN') return `No node knows of peer ${peer}; it may have left`
  if (code === 'HOME_UNREACHABLE') return `The home node of peer ${peer} cannot be reached`
  return `The mesh refused the call to peer ${peer}: ${code}`
}
