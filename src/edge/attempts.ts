/** Attempts: this edge's wishes for connections, whichever side's call brings each of them. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import type { Call } from './call.ts'
import type { Connection } from './connection.ts'

export interface ConnectRequest {
  readonly peer: PeerId
  readonly tag: Uint8Array
  readonly topic: string
  readonly metadata: Uint8Array
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

export interface Attempt {
  readonly promise: Promise<Connection>
  /** The call that is to bring the connection, once there is one. */
  call: Call | undefined
  readonly isOver: boolean
  settle(outcome: Connection | SignalMeshError): void
}

export interface Attempts {
  readonly size: number
  get(peer: PeerId, tag: string): Attempt | undefined
  /** The attempt that waits for this very call. */
  of(call: Call): Attempt | undefined
  /** Begins one, with its time limit and its way out. */
  begin(request: ConnectRequest, tag: string): Attempt
  /** Ends all of them. */
  close(error: SignalMeshError): void
}

export function createAttempts(clock: Clock): Attempts {
  const attempts = new Map<string, Attempt>()
  const keyOf = (peer: PeerId, tag: string): string => `${peer}/${tag}`

  const begin = (request: ConnectRequest, tag: string): Attempt => {
    const key = keyOf(request.peer, tag)
    const { signal, timeoutMs } = request
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const stop = (error: SignalMeshError): void => {
      attempt.settle(error)
      attempt.call?.hangUp(error)
    }
    const cancelTimer = clock.after(timeoutMs, () => stop(timedOut(attempt.call, timeoutMs)))
    const onAbort = (): void =>
      stop(new SignalMeshError('ABORTED', 'The caller gave up', { cause: signal?.reason }))
    let isOver = false
    const attempt: Attempt = {
      promise,
      call: undefined,
      get isOver() {
        return isOver
      },
      settle: (outcome) => {
        if (isOver) return
        isOver = true
        attempts.delete(key)
        cancelTimer()
        signal?.removeEventListener('abort', onAbort)
        if (outcome instanceof SignalMeshError) reject(outcome)
        else resolve(outcome)
      },
    }
    attempts.set(key, attempt)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
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

/** Says how far a call came in its time. */
export function timedOut(call: Call | undefined, timeoutMs: number): SignalMeshError {
  const phase = !call
    ? 'no home node told of the peer'
    : call.sealed.answered
      ? 'the peer answered, but no path between the two was found'
      : 'the peer did not answer'
  return new SignalMeshError('TIMEOUT', `No connection within ${timeoutMs} ms: ${phase}`)
}
