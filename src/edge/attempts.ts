/** Attempts: this edge's wishes for connections, whichever side's call brings each of them. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import type { Call } from './call.ts'
import type { Connection } from './connection.ts'

export interface ConnectRequest {
  readonly peer: PeerId
  readonly tag: Uint8Array
  readonly topicKey: Uint8Array
  readonly topic: string
  readonly metadata: Uint8Array
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** How long somebody wants to wait for a connection. */
export type Patience = Pick<ConnectRequest, 'timeoutMs' | 'signal'>

export interface Attempt {
  /**
   * Waits for the outcome. Each who waits has a time limit and a way out of its own; the attempt is
   * given up only when nobody waits any more.
   */
  wait(patience: Patience): Promise<Connection>
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
    const waiters = new Set<(outcome: Outcome) => void>()
    let isOver = false

    const wait = ({ timeoutMs, signal }: Patience): Promise<Connection> => {
      const { promise, resolve, reject } = Promise.withResolvers<Connection>()
      const leave = (outcome: Outcome): void => {
        waiters.delete(leave)
        cancelTimer()
        signal?.removeEventListener('abort', onAbort)
        if (outcome instanceof SignalMeshError) reject(outcome)
        else resolve(outcome)
      }
      const giveUp = (error: SignalMeshError): void => {
        leave(error)
        if (waiters.size > 0) return
        attempt.settle(error)
        attempt.call?.hangUp(error)
      }
      const cancelTimer = clock.after(timeoutMs, () => giveUp(timedOut(attempt.call, timeoutMs)))
      const onAbort = (): void =>
        giveUp(new SignalMeshError('ABORTED', 'The caller gave up', { cause: signal?.reason }))
      waiters.add(leave)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
      return promise
    }

    const attempt: Attempt = {
      wait,
      call: undefined,
      get isOver() {
        return isOver
      },
      settle: (outcome) => {
        if (isOver) return
        isOver = true
        attempts.delete(key)
        for (const leave of [...waiters]) leave(outcome)
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

/** Says how far a call came in its time. */
export function timedOut(call: Call | undefined, timeoutMs: number): SignalMeshError {
  const phase = !call
    ? 'no home node told of the peer'
    : call.sealed.answered
      ? 'the peer answered, but no path between the two was found'
      : 'the peer did not answer'
  return new SignalMeshError('TIMEOUT', `No connection within ${timeoutMs} ms: ${phase}`)
}
