/** Turns: what a neighbour asks waits until its link has room for an answer, and its rates allow one. */

import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  ANSWER_AGAIN_MS,
  MAX_BUFFERED_BYTES,
  MAX_REMEMBERED,
  NODE_REQUESTS_BURST,
  NODE_REQUESTS_PER_SECOND,
  PULL_BYTES_BURST,
  PULL_BYTES_PER_SECOND,
  REQUEST_TIMEOUT_MS,
} from './limits.ts'
import type { Link } from './link.ts'
import { bucketsByKey, fill, spend, take } from './rate.ts'
import type { Serve } from './rpc.ts'

/** Makes the requests that come over a link take turns; who comes back over another finds its rates. */
export type Turns = (
  from: NodeId,
  link: Pick<Link, 'bufferedBytes' | 'close'>,
  serve: Serve,
) => Serve

/**
 * A request of six bytes asks for 48 KiB. An honest neighbour may have many open at once over a slow
 * link, so they wait rather than being refused; how many can be open is bounded elsewhere.
 */
export function createTurns(clock: Clock): Turns {
  const nowMs = clock.monotonicMs
  const requests = bucketsByKey(NODE_REQUESTS_PER_SECOND, NODE_REQUESTS_BURST, MAX_REMEMBERED)
  const answers = bucketsByKey(PULL_BYTES_PER_SECOND, PULL_BYTES_BURST, MAX_REMEMBERED)
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

  return (from, link, serve) => {
    let last: Promise<void> = Promise.resolve()
    let waiting = 0

    const isFull = (): boolean => link.bufferedBytes > MAX_BUFFERED_BYTES
    /** Takes a turn, if there is one; else gives how long to wait. */
    const takeTurn = (): number => fill(answers(from), nowMs(), 0) || take(requests(from), nowMs())

    /** Answers have left by `dueMs`, or nobody reads. */
    const room = async (dueMs: number): Promise<void> => {
      while (isFull()) {
        if (nowMs() >= dueMs) {
          link.close('RATE_LIMITED')
          throw new SignalMeshError('RATE_LIMITED', `Node ${from} reads too slowly`)
        }
        await sleep(ANSWER_AGAIN_MS)
      }
    }

    const turn = async (): Promise<void> => {
      for (;;) {
        await room(nowMs() + REQUEST_TIMEOUT_MS)
        const waitMs = takeTurn()
        if (waitMs === 0) return
        await sleep(waitMs)
      }
    }

    const counted = (answer: Uint8Array): Uint8Array => {
      spend(answers(from), nowMs(), answer.length)
      return answer
    }

    const queued: Serve = async (method, body) => {
      waiting += 1
      last = last.then(turn)
      try {
        await last
      } finally {
        waiting -= 1
      }
      return counted(await serve(method, body))
    }

    return (method, body) => {
      if (waiting > 0 || isFull() || takeTurn() > 0) return queued(method, body.slice())
      const answer = serve(method, body)
      return answer instanceof Promise ? answer.then(counted) : counted(answer)
    }
  }
}
