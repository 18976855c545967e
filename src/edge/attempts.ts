/** Attempts: this edge's wishes for connections, whichever side's call brings each of them. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { RING_TIMEOUT_MS } from '../limits.ts'
import type { Call } from './calltypes.ts'
import type { Connection } from './connection.ts'
import { explained } from './why.ts'

export interface ConnectRequest {
  readonly peer: PeerId
  readonly tag: Uint8Array
  readonly topicKey: Uint8Array
  readonly topic: string
  readonly metadata: Uint8Array
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly stream?: MediaStream | undefined
}

/** How long somebody wants to wait for a connection, and what it is to carry. */
export type Patience = Pick<ConnectRequest, 'timeoutMs' | 'signal' | 'stream'>

export interface Attempt {
  /**
   * Waits for the outcome. Each who waits has a time limit and a way out of its own; the attempt is
   * given up only when nobody waits any more.
   */
  wait(patience: Patience): Promise<Connection>
  /** The call that is to bring the connection, once there is one. */
  call: Call | undefined
  /** What those who wait want to be sent from the beginning. */
  readonly streams: readonly MediaStream[]
  /**
   * Whether the peer is reached and only has yet to take the call: meanwhile nobody's time runs, but
   * a time of the attempt's own.
   */
  ring(isRinging: boolean): void
  readonly isOver: boolean
  settle(outcome: Connection | SignalMeshError): void
}

export interface Attempts {
  readonly size: number
  get(peer: PeerId, tag: string): Attempt | undefined
  /** The attempt that waits for this very call. */
  of(call: Call): Attempt | undefined
  /** Begins one; who began it has to wait for it. */
  begin(peer: PeerId, tag: string): Attempt
  /** Ends all of them. */
  close(error: SignalMeshError): void
}

type Outcome = Connection | SignalMeshError

export function createAttempts(clock: Clock): Attempts {
  const attempts = new Map<string, Attempt>()
  const keyOf = (peer: PeerId, tag: string): string => `${peer}/${tag}`

  const begin = (peer: PeerId, tag: string): Attempt => {
    const key = keyOf(peer, tag)
    const waiters = new Set<Waiter>()
    let isOver = false
    let cancelRinging: (() => void) | undefined

    const wait = ({ timeoutMs, signal, stream }: Patience): Promise<Connection> => {
      if (stream) attempt.call?.addStream(stream)
      const { promise, resolve, reject } = Promise.withResolvers<Connection>()
      const leave = (outcome: Outcome): void => {
        waiters.delete(waiter)
        timer.stop()
        signal?.removeEventListener('abort', onAbort)
        if (outcome instanceof SignalMeshError) reject(explain(outcome))
        else resolve(outcome)
      }
      const giveUp = (error: SignalMeshError): void => {
        leave(error)
        if (waiters.size === 0) giveUpAll(error)
        else if (stream && !attempt.streams.includes(stream)) attempt.call?.removeStream(stream)
      }
      const onAbort = (): void =>
        giveUp(new SignalMeshError('ABORTED', 'The caller gave up', { cause: signal?.reason }))
      const timer = stoppableTimer(clock, timeoutMs, () =>
        giveUp(timedOut(attempt.call, timeoutMs)),
      )
      const waiter: Waiter = { stream, timer, leave }
      waiters.add(waiter)
      if (!cancelRinging) timer.start()
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
      return promise
    }

    const explain = (error: SignalMeshError): SignalMeshError =>
      attempt.call?.explain(error) ??
      explained(error, { phase: 'lookup', own: undefined, peer: undefined })

    const giveUpAll = (error: SignalMeshError): void => {
      attempt.settle(error)
      attempt.call?.hangUp(error)
    }

    const attempt: Attempt = {
      wait,
      call: undefined,
      get streams() {
        return [...waiters].flatMap(({ stream }) => stream ?? [])
      },
      ring: (isRinging) => {
        if (isRinging === (cancelRinging !== undefined)) return
        for (const { timer } of waiters) isRinging ? timer.stop() : timer.start()
        cancelRinging?.()
        cancelRinging = isRinging
          ? clock.after(RING_TIMEOUT_MS, () => giveUpAll(timedOut(attempt.call, RING_TIMEOUT_MS)))
          : undefined
      },
      get isOver() {
        return isOver
      },
      settle: (outcome) => {
        if (isOver) return
        isOver = true
        attempts.delete(key)
        cancelRinging?.()
        for (const { leave } of [...waiters]) leave(outcome)
      },
    }
    attempts.set(key, attempt)
    return attempt
  }

  return {
    get size() {
      return attempts.size
    },
    get: (peer, tag) => attempts.get(keyOf(peer, tag)),
    of: (call) => {
      const attempt = attempts.get(keyOf(call.peer, call.tag))
      return attempt?.call === call ? attempt : undefined
    },
    begin,
    close: (error) => {
      for (const attempt of [...attempts.values()]) attempt.settle(error)
    },
  }
}

interface Waiter {
  readonly stream: MediaStream | undefined
  readonly timer: { start(): void; stop(): void }
  leave(outcome: Outcome): void
}

/** A timer that goes on where it was stopped. */
function stoppableTimer(clock: Clock, delayMs: number, fn: () => void): Waiter['timer'] {
  let leftMs = delayMs
  let startedAtMs = 0
  let cancel: (() => void) | undefined
  return {
    start: () => {
      startedAtMs = clock.monotonicMs()
      cancel ??= clock.after(leftMs, fn)
    },
    stop: () => {
      if (!cancel) return
      cancel()
      cancel = undefined
      leftMs -= clock.monotonicMs() - startedAtMs
    },
  }
}

/** Says how far a call came in its time. */
export function timedOut(call: Call | undefined, timeoutMs: number): SignalMeshError {
  const phase = !call
    ? 'no home node told of the peer'
    : call.sealed.answered
      ? 'the peer answered, but no path between the two was found'
      : call.sealed.heard
        ? 'the peer was reached, but nobody took the call'
        : 'the peer did not answer'
  return new SignalMeshError('TIMEOUT', `No connection within ${timeoutMs} ms: ${phase}`)
}
