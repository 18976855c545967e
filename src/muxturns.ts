/** Turns of sessions in a shared socket: what it cannot take yet waits by session, and each sends one frame in turn. */

import type { Clock } from './clock.ts'
import { ANSWER_AGAIN_MS, SHARED_AHEAD_BYTES } from './limits.ts'
import type { Link } from './link.ts'

export interface MuxTurns {
  /** Sends it behind what waits of this session. */
  push(session: number, frame: Uint8Array): void
  /** Bytes of the session that wait here. */
  bytesOf(session: number): number
  /** Forgets what waits of the session. */
  drop(session: number): void
  /** Sends what the socket takes. */
  pump(): void
  /** The sessions of which something waits. */
  readonly waiting: Iterable<number>
  readonly isBehind: boolean
  stop(): void
}

interface Queue {
  readonly frames: Uint8Array[]
  bytes: number
}

export function createMuxTurns(
  socket: Pick<Link, 'send' | 'bufferedBytes'>,
  clock: Clock,
): MuxTurns {
  /** In the order of their turns. */
  const queues = new Map<number, Queue>()
  let cancelTimer: (() => void) | undefined

  const pump = (): void => {
    while (queues.size > 0 && socket.bufferedBytes <= SHARED_AHEAD_BYTES) {
      const [session, queue] = queues.entries().next().value as [number, Queue]
      const frame = queue.frames.shift() as Uint8Array
      queue.bytes -= frame.length
      queues.delete(session)
      if (queue.frames.length > 0) queues.set(session, queue)
      socket.send(frame)
    }
    // A socket does not say when it has room again.
    if (queues.size > 0) cancelTimer ??= clock.after(ANSWER_AGAIN_MS, onTimer)
  }
  const onTimer = (): void => {
    cancelTimer = undefined
    pump()
  }

  return {
    push: (session, frame) => {
      const queue = queues.get(session) ?? { frames: [], bytes: 0 }
      queue.frames.push(frame)
      queue.bytes += frame.length
      queues.set(session, queue)
      pump()
    },
    bytesOf: (session) => queues.get(session)?.bytes ?? 0,
    drop: (session) => void queues.delete(session),
    pump,
    get waiting() {
      return queues.keys()
    },
    get isBehind() {
      return queues.size > 0
    },
    stop: () => {
      cancelTimer?.()
      queues.clear()
    },
  }
}
