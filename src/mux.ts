/** A shared socket: several links over one, each with a number, a query and an end of its own. */

import type { Clock } from './clock.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import {
  CLOSE_TIMEOUT_MS,
  LATE_FRAMES_BURST,
  LATE_FRAMES_PER_SECOND,
  MAX_QUERY_BYTES,
  MAX_SESSION_FRAME_BYTES,
  MAX_SESSIONS_PER_SOCKET,
  SESSION_OPENS_BURST,
  SESSION_OPENS_PER_SECOND,
} from './limits.ts'
import { type Link, type LinkSource, makeLink } from './link.ts'
import { decodeMuxFrame, encodeMuxFrame, type MuxFrame } from './muxframes.ts'
import { createMuxTurns } from './muxturns.ts'
import { createBucket, take } from './rate.ts'

export interface MuxOptions {
  readonly socket: Link
  readonly clock: Clock
  /** A socket without a session is closed after so long. */
  readonly idleMs: number
  /** Takes a link that the other side opens; what it throws refuses it. Only with it may that side open any. */
  accept?(link: Link, query: string): void
  /** The frame that says why a link is refused. */
  refusal?(error: SignalMeshError): Uint8Array
}

export interface Mux {
  /** Opens a link; it closes at once if the other side would refuse it. */
  open(query: string): Link
  /** Whether one more link has room. */
  readonly hasRoom: boolean
}

export function createMux(options: MuxOptions): Mux {
  const { socket, clock, accept } = options
  const sessions = new Map<number, LinkSource>()
  const turns = createMuxTurns(socket, clock)
  const opens = createBucket(
    SESSION_OPENS_PER_SECOND,
    // Half for who opens: some may be held up on the way and come at once.
    accept ? SESSION_OPENS_BURST : SESSION_OPENS_BURST / 2,
  )
  const lateFrames = createBucket(LATE_FRAMES_PER_SECOND, LATE_FRAMES_BURST)
  /** Numbers rise by one, so that none is ever given to another session. */
  let last = 0
  let isOver = false
  let cancelIdle = (): void => {}

  const waitIdle = (): void => {
    cancelIdle()
    if (!isOver && sessions.size === 0) cancelIdle = clock.after(options.idleMs, () => end('IDLE'))
  }

  const end = (reason: string): void => {
    if (isOver) return
    isOver = true
    cancelIdle()
    turns.stop()
    socket.close(reason)
    const all = [...sessions.values()]
    sessions.clear()
    for (const source of all) source.end(reason)
  }

  const send = (frame: MuxFrame): void => {
    if (!isOver) turns.push(frame.session, encodeMuxFrame(frame))
  }

  const remove = (session: number, reason: string): void => {
    const source = sessions.get(session)
    sessions.delete(session)
    waitIdle()
    source?.end(reason)
  }

  const add = (session: number): LinkSource => {
    const source = makeLink({
      send: (frame) => {
        if (frame.length <= MAX_SESSION_FRAME_BYTES) send({ kind: 'frame', session, frame })
        else source.link.close('TOO_LARGE')
      },
      bufferedBytes: () => turns.bytesOf(session),
      close: (reason) => {
        send({ kind: 'close', session, reason })
        remove(session, reason)
        if (turns.bytesOf(session) > 0) clock.after(CLOSE_TIMEOUT_MS, () => cut(session, reason))
      },
    })
    cancelIdle()
    sessions.set(session, source)
    return source
  }

  /** What a session leaves behind does not wait for ever for an end that does not read. */
  const cut = (session: number, reason: string): void => {
    if (turns.bytesOf(session) === 0) return
    turns.drop(session)
    send({ kind: 'close', session, reason })
  }

  /** Those that are closed count for as long as something of them waits. */
  const hasRoom = (): boolean =>
    new Set([...sessions.keys(), ...turns.waiting]).size < MAX_SESSIONS_PER_SOCKET

  const refuse = (link: Link, error: SignalMeshError): void => {
    if (options.refusal) link.send(options.refusal(error))
    link.close(error.code)
  }

  const receiveOpen = (session: number, query: string): void => {
    if (!accept || session !== last + 1) throw badNumber(session)
    last = session
    if (take(opens, clock.monotonicMs()) > 0) throw tooMany('sessions opened')
    const isFull = !hasRoom()
    // Who asks for more and does not read would be told so without end.
    if (isFull && turns.isBehind) throw tooMany('sessions')
    const { link } = add(session)
    if (isFull) {
      const text = `A shared socket has at most ${MAX_SESSIONS_PER_SOCKET} sessions`
      refuse(link, new SignalMeshError('TOO_MANY', text))
      return
    }
    try {
      accept(link, query)
    } catch (error) {
      refuse(link, asMeshError(error))
    }
  }

  const receive = (frame: MuxFrame): void => {
    const { session } = frame
    if (frame.kind === 'open') {
      receiveOpen(session, frame.query)
      return
    }
    const source = sessions.get(session)
    if (!source) {
      if (session < 1 || session > last) throw badNumber(session)
      // It was on its way when the session ended.
      if (accept && take(lateFrames, clock.monotonicMs()) > 0) throw tooMany('late frames')
    } else if (frame.kind === 'frame') source.receive(frame.frame)
    else {
      turns.drop(session)
      remove(session, frame.reason)
    }
  }

  socket.subscribe((bytes) => {
    if (isOver) return
    try {
      receive(decodeMuxFrame(bytes))
      turns.pump()
    } catch (error) {
      end(asMeshError(error).code)
    }
  })
  void socket.closed.then(end)
  waitIdle()

  return {
    open: (query) => {
      const isRefused = isOver || !hasRoom() || take(opens, clock.monotonicMs()) > 0
      if (isRefused || query.length > MAX_QUERY_BYTES) {
        const { link, end: endLink } = makeLink({
          send: () => {},
          bufferedBytes: () => 0,
          close: () => {},
        })
        endLink(isOver ? 'CLOSED' : 'RATE_LIMITED')
        return link
      }
      last += 1
      send({ kind: 'open', session: last, query })
      return add(last).link
    },
    get hasRoom() {
      return !isOver && hasRoom()
    },
  }
}

function badNumber(session: number): SignalMeshError {
  return new SignalMeshError('BAD_FRAME', `No session of a shared socket may be ${session} now`)
}

function tooMany(what: string): SignalMeshError {
  return new SignalMeshError('RATE_LIMITED', `Too many ${what} in a shared socket`)
}
