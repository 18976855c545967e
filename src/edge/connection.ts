/** A connection: what two edges have with each other once their RTC connection is open. */

import { utf8 } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { CLOSE_TIMEOUT_MS, MAX_MESSAGE_BYTES } from '../limits.ts'
import type { Channel } from './channel.ts'
import { createEvents } from './events.ts'
import { createFlow } from './flow.ts'
import { createInbox } from './inbox.ts'
import { checkReason, checkStream } from './options.ts'
import type { RtcPath } from './rtc.ts'
import type { Why } from './why.ts'
import { whyOf } from './whyof.ts'

export type ConnectionState = 'open' | 'closed'
/** `mesh`: there is no path of its own (yet), and the two homes carry it, sealed. */
export type Path = RtcPath | 'mesh' | 'unknown'

export interface ConnectionEvents {
  readonly message: string | Uint8Array
  readonly path: Path
  readonly close: string
  /** A stream that the peer sends; when it ends, the stream's own `removetrack` tells. */
  readonly stream: MediaStream
}

/** A direct channel to one peer, for messages of text or bytes. */
export interface Connection {
  /** The peer at the other end; its key was proved. */
  readonly id: PeerId
  /** The topic under which the two met, as the caller named it. */
  readonly topic: string
  readonly state: ConnectionState
  readonly path: Path
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal
  /**
   * Sends one message. Resolves when there is room for the next: wait for it, and no more is under way
   * than the other side reads.
   * @throws SignalMeshError `CLOSED`, `BAD_ARGUMENT`, or `TOO_LARGE` above 16 MiB
   */
  send(data: string | Uint8Array): Promise<void>
  /**
   * The messages from the first time that it is asked for one; ends when the connection does. The peer
   * sends no faster than they are read here, by the slowest if several read.
   */
  messages(): AsyncIterable<string | Uint8Array>
  /** The same as a Web stream. Always the one stream. */
  readonly readable: ReadableStream<string | Uint8Array>
  /** `send` as a Web stream; closing it closes the connection once all has arrived. Always the one stream. */
  readonly writable: WritableStream<string | Uint8Array>
  /** Listeners of `message` read it at once. */
  on<Name extends keyof ConnectionEvents>(
    name: Name,
    fn: (value: ConnectionEvents[Name]) => void,
  ): () => void
  /**
   * Sends a stream's tracks, also those that it has gained since. Nothing happens where all are sent.
   * @throws SignalMeshError `CLOSED`, `BAD_ARGUMENT`, or `MEDIA_NEEDS_RTC` while the path is `mesh`
   */
  addStream(stream: MediaStream): void
  /** Sends it no more. */
  removeStream(stream: MediaStream): void
  /** Ends it here at once. Resolves when what was sent has arrived and the peer is told, in 2 s at most. */
  close(reason?: string): Promise<void>
  /** Why it takes the path that it takes, or has ended, with what is known of both networks. */
  why(): Why
  /** While the path is `mesh`, the one that looks for a better path; another one from time to time. */
  readonly rtc: RTCPeerConnection
}

export interface ConnectionSource {
  readonly connection: Connection
  /** Takes what came through the channel. */
  receive(piece: string | Uint8Array): void
  /** Takes a stream of the peer's; the first ones wait for somebody to listen. */
  takeStream(stream: MediaStream): void
  /** The path may be another one now. */
  look(): void
  /** The path is another one now. */
  moved(): void
  /** Says that it is over, and because of what. */
  end(reason: string, cause?: SignalMeshError): void
}

/** When to look again for a better path; the pair selected at first is often not the last. */
const PATH_AFTER_MS = [0, 1_000, 3_000, 6_000, 12_000, 40_000]

export function makeConnection(
  about: {
    id: PeerId
    topic: string
    clock: Clock
    rtc: Channel
    why(path: Path | 'closed'): Why
  },
  onClose: (reason: string) => void,
): ConnectionSource {
  const { rtc, clock } = about
  const events = createEvents<ConnectionEvents>(['message', 'path', 'close', 'stream'])
  const ended = new AbortController()
  const inbox = createInbox({
    listeners: () => events.count('message'),
    emit: (data) => events.emit('message', data),
  })
  const flow = createFlow({
    write: rtc.send,
    onMessage: (data, read) => {
      if (!ended.signal.aborted) inbox.take(data, read)
    },
  })
  const streams: MediaStream[] = []
  let path: Path = 'unknown'
  let closing: Promise<void> | undefined
  let readable: ReadableStream<string | Uint8Array> | undefined
  let writable: WritableStream<string | Uint8Array> | undefined

  const look = async (): Promise<void> => {
    const found = await rtc.path().catch(() => undefined)
    if (ended.signal.aborted || !found || found === path) return
    path = found
    events.emit('path', path)
  }
  let cancels: (() => void)[] = []
  const lookOften = (): void => {
    for (const cancel of cancels) cancel()
    cancels = PATH_AFTER_MS.map((afterMs) => clock.after(afterMs, () => void look()))
  }
  lookOften()

  /** It is over for the application; the channel may still have something to bring to the peer. */
  const over = (reason: string, cause?: SignalMeshError): SignalMeshError => {
    for (const cancel of cancels) cancel()
    const text = `The connection ended: ${reason}`
    const error = new SignalMeshError('CLOSED', text, { cause: cause ?? about.why('closed') })
    ended.abort(error)
    inbox.end()
    events.emit('close', reason)
    return error
  }

  const end = (reason: string, cause?: SignalMeshError): void => {
    if (!ended.signal.aborted) over(reason, cause)
    flow.close(ended.signal.reason)
  }

  const close = async (reason: string): Promise<void> => {
    over(reason)
    await new Promise<void>((resolve) => {
      const cancel = clock.after(CLOSE_TIMEOUT_MS, resolve)
      const done = (): void => {
        cancel()
        resolve()
      }
      flow.arrived().then(done, done)
    })
    onClose(reason)
    end(reason)
  }

  const handStreams = (): void => {
    if (events.count('stream') === 0) return
    for (const stream of streams.splice(0)) events.emit('stream', stream)
  }

  const connection: Connection = {
    id: about.id,
    topic: about.topic,
    get state() {
      return ended.signal.aborted ? 'closed' : 'open'
    },
    get path() {
      return path
    },
    signal: ended.signal,
    send: async (data) => {
      checkMessage(data)
      if (ended.signal.aborted) throw ended.signal.reason
      await flow.send(data)
    },
    messages: () => inbox.messages(),
    get readable() {
      readable ??= readableOf((stop) => inbox.messages(stop))
      return readable
    },
    get writable() {
      writable ??= writableOf(connection)
      return writable
    },
    on: (name, fn) => {
      const off = events.on(name, fn)
      if (name === 'message') inbox.listened()
      if (name === 'stream') queueMicrotask(handStreams)
      return off
    },
    addStream: (stream) => {
      checkStream(stream)
      if (ended.signal.aborted) throw ended.signal.reason
      rtc.addStream(stream)
    },
    removeStream: (stream) => {
      checkStream(stream)
      if (!ended.signal.aborted) rtc.removeStream(stream)
    },
    close: async (reason = 'closed') => {
      if (!ended.signal.aborted) closing = close(checkReason(reason))
      await closing
    },
    why: () => whyOf(ended.signal.reason) ?? about.why(path),
    get rtc() {
      return rtc.connection
    },
  }
  return {
    connection,
    receive: (piece) => {
      try {
        flow.receive(piece)
      } catch (error) {
        // Nothing sensible can follow, and nothing more is owed to this peer.
        const { message } = asMeshError(error)
        onClose(message)
        end(message)
      }
    },
    takeStream: (stream) => {
      streams.push(stream)
      handStreams()
    },
    look: () => {
      if (!ended.signal.aborted) lookOften()
    },
    moved: () => {
      if (ended.signal.aborted) return
      lookOften()
      flow.nudge()
    },
    end,
  }
}

function readableOf(
  read: (stop: AbortSignal) => AsyncGenerator<string | Uint8Array>,
): ReadableStream<string | Uint8Array> {
  const stop = new AbortController()
  const messages = read(stop.signal)
  return new ReadableStream(
    {
      pull: async (controller) => {
        const { done, value } = await messages.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: async () => {
        stop.abort()
        await messages.return(undefined)
      },
    },
    // Nothing is taken from the connection before somebody wants it.
    { highWaterMark: 0 },
  )
}

function writableOf(connection: Connection): WritableStream<string | Uint8Array> {
  return new WritableStream({
    start: (controller) => {
      const fail = (): void => controller.error(connection.signal.reason)
      if (connection.signal.aborted) fail()
      else connection.signal.addEventListener('abort', fail, { once: true })
    },
    write: (data) => connection.send(data),
    close: () => connection.close(),
    abort: (reason) => connection.close(reason instanceof Error ? reason.message : 'given up'),
  })
}

/** Refuses what is no message, before anything is done with it. */
export function checkMessage(data: unknown): void {
  if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
    throw new SignalMeshError('BAD_ARGUMENT', 'A message must be a string or a Uint8Array')
  }
  if (isTooLong(data)) {
    throw new SignalMeshError('TOO_LARGE', `A message holds at most ${MAX_MESSAGE_BYTES} bytes`)
  }
  // It would arrive as U+FFFD: another text than was sent.
  if (typeof data === 'string' && /\p{Surrogate}/u.test(data)) {
    throw new SignalMeshError('BAD_ARGUMENT', 'The message holds half of a surrogate pair')
  }
}

function isTooLong(data: string | Uint8Array): boolean {
  if (data.length > MAX_MESSAGE_BYTES) return true
  // A string takes one to three bytes for each of its units; most need not be counted.
  return (
    typeof data === 'string' &&
    data.length * 3 > MAX_MESSAGE_BYTES &&
    utf8(data).length > MAX_MESSAGE_BYTES
  )
}
