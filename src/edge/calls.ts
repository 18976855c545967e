/** Calls: the table of an edge's calls, its own attempts and those of others, and which wins of two. */

import { compare, fromHex, toHex } from '../bytes.ts'
import { randomBytes } from '../crypto.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { CONNECT_TIMEOUT_MS, MAX_ATTEMPTS, MAX_ENDED_CALLS, RESEND_AFTER_MS } from '../limits.ts'
import { isAuthentic, type Presence } from '../records.ts'
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
import { type Call, type CallContext, type CallEvents, createCall } from './call.ts'
import type { Connection } from './connection.ts'
import { report } from './events.ts'
import { presenceOfOpening } from './sealing.ts'

export interface CallsOptions extends CallContext {
  /** The signed presence of a peer, as the mesh knows it. */
  lookup(peer: PeerId): Promise<Presence>
  /** The name of a topic that this edge advertises, by its tag in hex digits. */
  topicOf(tag: string): string | undefined
  /** Asks the application whether to take a call; what it throws is the refusal. */
  ask(call: Call, topic: string): Promise<void>
  onConnection(connection: Connection): void
}

export interface ConnectRequest {
  readonly peer: PeerId
  readonly tag: Uint8Array
  readonly topic: string
  readonly metadata: Uint8Array
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

export interface Calls {
  connect(request: ConnectRequest): Promise<Connection>
  receive(frame: Uint8Array): void
  /** Sends again what is under way: there is a new home. */
  resend(): void
  close(): void
}

/** This edge's wish for a connection, whichever side's call brings it. */
interface Attempt {
  readonly promise: Promise<Connection>
  call: Call | undefined
  settle(outcome: Connection | SignalMeshError): void
}

export function createCalls(options: CallsOptions): Calls {
  const { identity, networkId, clock } = options
  const calls = new Map<string, Call>()
  const attempts = new Map<string, Attempt>()
  /** Calls that are over: their opening signals, if they come again, must not ask again. */
  const ended = new Set<string>()

  const keyOf = (peer: PeerId, tag: string): string => `${peer}/${tag}`

  const remove = (call: Call): void => {
    if (!calls.delete(call.id)) return
    ended.add(call.id)
    if (ended.size > MAX_ENDED_CALLS) ended.delete(ended.values().next().value as string)
    call.drop()
  }

  const attemptOf = (call: Call): Attempt | undefined => {
    const attempt = attempts.get(keyOf(call.peer, call.tag))
    return attempt?.call === call ? attempt : undefined
  }

  const connectedTo = (peer: PeerId, tag: string): Connection | undefined =>
    [...calls.values()].find((call) => call.peer === peer && call.tag === tag && call.connection)
      ?.connection

  const events: CallEvents = {
    onOffer: (call) => void answer(call),
    onOpen: (call, connection) => {
      // A peer that connects anew has lost the old connection.
      for (const other of [...calls.values()]) {
        if (other === call || other.peer !== call.peer || other.tag !== call.tag) continue
        if (other.connection)
          other.hangUp(new SignalMeshError('REPLACED', 'The peer connected anew'))
      }
      attemptOf(call)?.settle(connection)
      options.onConnection(connection)
    },
    onEnd: (call, error) => {
      remove(call)
      attemptOf(call)?.settle(error)
    },
    onGlare: (call) => {
      const attempt = attemptOf(call)
      if (attempt) attempt.call = undefined
      remove(call)
    },
  }

  const add = (fields: Parameters<typeof createCall>[1]): Call => {
    const call = createCall(options, fields, events)
    calls.set(call.id, call)
    return call
  }

  // --- this edge's own attempts ---

  const connect = (request: ConnectRequest): Promise<Connection> => {
    const tag = toHex(request.tag)
    const open = connectedTo(request.peer, tag)
    if (open) return Promise.resolve(open)
    const running = attempts.get(keyOf(request.peer, tag))
    if (running) return running.promise
    if (attempts.size >= MAX_ATTEMPTS) {
      return Promise.reject(
        new SignalMeshError('TOO_MANY', `Over ${MAX_ATTEMPTS} attempts at once`),
      )
    }
    const attempt = begin(request, tag)
    const ringing = [...calls.values()].find(
      (call) => call.peer === request.peer && call.tag === tag && !call.initiator && !call.refused,
    )
    if (ringing) {
      // To call the peer that is calling is to answer it.
      attempt.call = ringing
      ringing.start(request.topic)
      return attempt.promise
    }
    options.lookup(request.peer).then(
      (presence) => {
        // The peer's own call may have come first, or the caller may have given up.
        if (attempts.get(keyOf(request.peer, tag)) !== attempt || attempt.call) return
        const connection = randomBytes(CONNECTION_BYTES)
        attempt.call = add({ ...request, connection, initiator: true, presence })
        attempt.call.start(request.topic)
      },
      (error: unknown) => attempt.settle(asMeshError(error)),
    )
    return attempt.promise
  }

  /** Makes an attempt with its time limit and its way out. */
  const begin = (request: ConnectRequest, tag: string): Attempt => {
    const key = keyOf(request.peer, tag)
    let resolve: (connection: Connection) => void
    let reject: (error: SignalMeshError) => void
    const promise = new Promise<Connection>((onResolve, onReject) => {
      resolve = onResolve
      reject = onReject
    })
    const stop = (error: SignalMeshError): void => {
      attempt.settle(error)
      attempt.call?.hangUp(error)
    }
    const cancelTimer = clock.after(request.timeoutMs, () => stop(timedOut(attempt.call, request)))
    const onAbort = (): void =>
      stop(new SignalMeshError('ABORTED', 'The caller gave up', { cause: request.signal?.reason }))
    const attempt: Attempt = {
      promise,
      call: undefined,
      settle: (outcome) => {
        if (attempts.get(key) !== attempt) return
        attempts.delete(key)
        cancelTimer()
        request.signal?.removeEventListener('abort', onAbort)
        if (outcome instanceof SignalMeshError) reject(outcome)
        else resolve(outcome)
      },
    }
    attempts.set(key, attempt)
    request.signal?.addEventListener('abort', onAbort)
    if (request.signal?.aborted) onAbort()
    return attempt
  }

  // --- calls of others ---

  const receiveOpening = (frame: Uint8Array): void => {
    const connection = connectionOf(frame)
    if (ended.has(toHex(connection)) || calls.size >= 2 * MAX_ATTEMPTS) return
    const presence = presenceOfOpening(frame, fromKeyOf(frame))
    if (!isAuthentic(networkId, presence)) {
      throw new SignalMeshError('BAD_SIGNATURE', 'The caller shows a forged presence')
    }
    const call = add({ connection, initiator: false, presence })
    call.sealed.receive(frame)
    // Without a tag the opening was not sealed for this edge; nothing is remembered of it.
    if (call.tag) return
    calls.delete(call.id)
    call.drop()
  }

  const answer = async (call: Call): Promise<void> => {
    const topic = options.topicOf(call.tag)
    if (topic === undefined) {
      call.refuse(new SignalMeshError('NOT_ADVERTISED', 'it is not in this topic'))
      return
    }
    const attempt = attempts.get(keyOf(call.peer, call.tag))
    if (attempt) {
      meet(attempt, call, topic)
      return
    }
    const cancelTimer = clock.after(2 * CONNECT_TIMEOUT_MS, () => {
      if (!call.connection) call.hangUp(timedOut(call, { timeoutMs: 2 * CONNECT_TIMEOUT_MS }))
    })
    call.signal.addEventListener('abort', cancelTimer)
    try {
      await options.ask(call, topic)
      call.start(topic)
    } catch (error) {
      call.refuse(asMeshError(error, 'REFUSED'))
    }
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
    call.start(topic)
  }

  const receiveControl = (call: Call, frame: Uint8Array): void => {
    const { code, retryAfterMs } = readControl(frame)
    // A node's word may fail an attempt but never ends what two edges have with each other.
    if (call.connection || call.sealed.answered) return
    if (code === 'MOVED' || code === 'RATE_LIMITED') {
      call.sealed.resendAfter(Math.min(retryAfterMs || CONTROL_RETRY_MS, RESEND_AFTER_MS))
    } else {
      events.onEnd(call, new SignalMeshError(code, controlText(code, call.peer)))
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
    else call.sealed.receive(frame)
  }

  return {
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
      for (const call of calls.values()) call.sealed.resend()
    },
    close: () => {
      const error = new SignalMeshError('CLOSED', 'The edge was closed')
      for (const call of [...calls.values()]) call.hangUp(error)
      for (const attempt of [...attempts.values()]) attempt.settle(error)
    },
  }
}

/** Wait before the same bytes go again after a node said that the peer has moved. */
const CONTROL_RETRY_MS = 500

function timedOut(call: Call | undefined, { timeoutMs }: { timeoutMs: number }): SignalMeshError {
  const phase = !call
    ? 'no home node told of the peer'
    : call.sealed.answered
      ? 'the peer answered, but no path between the two was found'
      : 'the peer did not answer'
  return new SignalMeshError('TIMEOUT', `No connection within ${timeoutMs} ms: ${phase}`)
}

function controlText(code: string, peer: PeerId): string {
  if (code === 'PEER_UNKNOWN') return `No node knows of peer ${peer}; it may have left`
  if (code === 'HOME_UNREACHABLE') return `The home node of peer ${peer} cannot be reached`
  return `The mesh refused the call to peer ${peer}: ${code}`
}
