/** A connection: what two edges have with each other once their RTC connection is open. */

import { utf8 } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { MAX_EARLY_MESSAGES, MAX_MESSAGE_BYTES } from '../limits.ts'
import { createEvents } from './events.ts'
import type { Rtc, RtcPath } from './rtc.ts'

export type ConnectionState = 'open' | 'closed'
/** `mesh` is left for the relay of last resort. */
export type Path = RtcPath | 'mesh' | 'unknown'

export interface ConnectionEvents {
  readonly message: string | Uint8Array
  readonly path: Path
  readonly close: string
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
   * Sends one message. Resolves when there is room for the next.
   * @throws SignalMeshError `CLOSED`, `BAD_ARGUMENT`, or `TOO_LARGE` above 256 KiB
   */
  send(data: string | Uint8Array): Promise<void>
  /** The messages from now on; ends when the connection does. */
  messages(): AsyncIterable<string | Uint8Array>
  on<Name extends keyof ConnectionEvents>(
    name: Name,
    fn: (value: ConnectionEvents[Name]) => void,
  ): () => void
  close(reason?: string): Promise<void>
  readonly rtc: RTCPeerConnection
}

export interface ConnectionSource {
  readonly connection: Connection
  /** Hands a message to those who listen; the first ones wait for somebody to. */
  receive(data: string | Uint8Array): void
  /** Says that it is over. */
  end(reason: string): void
}

/** When to look again for a better path; the pair selected at first is often not the last. */
const PATH_AFTER_MS = [0, 1_000, 3_000, 6_000, 12_000]

export function makeConnection(
  about: { id: PeerId; topic: string; clock: Clock; rtc: Rtc },
  onClose: (reason: string) => void,
): ConnectionSource {
  const { rtc, clock } = about
  const events = createEvents<ConnectionEvents>()
  const ended = new AbortController()
  const early: (string | Uint8Array)[] = []
  let path: Path = 'unknown'

  const look = async (): Promise<void> => {
    const found = await rtc.path().catch(() => undefined)
    if (ended.signal.aborted || !found || found === path) return
    path = found
    events.emit('path', path)
  }
  const cancels = PATH_AFTER_MS.map((afterMs) => clock.after(afterMs, () => void look()))

  const end = (reason: string): void => {
    if (ended.signal.aborted) return
    for (const cancel of cancels) cancel()
    ended.abort(new SignalMeshError('CLOSED', `The connection ended: ${reason}`))
    events.emit('close', reason)
  }

  const flush = (): void => {
    if (events.count('message') === 0) return
    for (const message of early.splice(0)) events.emit('message', message)
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
      await rtc.send(data)
    },
    messages: () => messagesOf(connection),
    on: (name, fn) => {
      const off = events.on(name, fn)
      if (name === 'message' && early.length) queueMicrotask(flush)
      return off
    },
    close: async (reason = 'closed') => {
      if (ended.signal.aborted) return
      onClose(reason)
      end(reason)
    },
    get rtc() {
      return rtc.connection
    },
  }
  return {
    connection,
    receive: (data) => {
      if (events.count('message') > 0 && early.length === 0) events.emit('message', data)
      else if (early.length < MAX_EARLY_MESSAGES) early.push(data)
      else void connection.close('nobody reads its messages')
    },
    end,
  }
}

async function* messagesOf(connection: Connection): AsyncGenerator<string | Uint8Array> {
  const queue: (string | Uint8Array)[] = []
  let wake: () => void = () => {}
  const off = [
    connection.on('message', (data) => {
      queue.push(data)
      wake()
    }),
    connection.on('close', () => wake()),
  ]
  try {
    // What came before the first listener is handed over in a microtask.
    await undefined
    for (;;) {
      while (queue.length) yield queue.shift() as string | Uint8Array
      if (connection.state === 'closed') return
      await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    for (const stop of off) stop()
  }
}

function checkMessage(data: unknown): void {
  if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
    throw new SignalMeshError('BAD_ARGUMENT', 'A message must be a string or a Uint8Array')
  }
  if (isTooLong(data)) {
    throw new SignalMeshError('TOO_LARGE', `A message holds at most ${MAX_MESSAGE_BYTES} bytes`)
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
