/** The flow of messages in a data channel: split into parts, put together again, no faster than they are read. */

import { badFrame, concat, fromUtf8, reader, utf8, writer } from '../bytes.ts'
import { SignalMeshError } from '../errors.ts'
import { CHANNEL_PART_BYTES, CHANNEL_WINDOW_BYTES, MAX_MESSAGE_BYTES } from '../limits.ts'

/** The first byte of a piece. A part that more of its message follow has bit 1 set. */
const PIECE = { bytes: 0, text: 1, more: 2, read: 16, ask: 17, told: 18 } as const
/** What a part counts beside its bytes, so that messages of nothing are bounded too: its place in a queue. */
export const PART_COST_BYTES = 256

export interface FlowOptions {
  /** Writes one piece to the channel; resolves when it has room for another. */
  write(piece: Uint8Array): Promise<void>
  /** A whole message is here. It counts as unread until `read` is called, once. */
  onMessage(data: string | Uint8Array, read: () => void): void
}

export interface Flow {
  /**
   * Sends a message behind those sent before. Resolves when the channel has taken all of it, which is
   * not before the other side has read enough of what came earlier.
   */
  send(data: string | Uint8Array): Promise<void>
  /**
   * Takes a piece from the channel.
   * @throws SignalMeshError `BAD_FRAME`, `TOO_LARGE` or `TOO_MANY`: the other side keeps no bounds
   */
  receive(piece: string | Uint8Array): void
  /**
   * Sends what changes nothing. Of several paths that the initiator has nominated the other side's browser stays
   * with the one by which something came last: over an idle connection, a relay that is no longer needed.
   */
  nudge(): void
  /** Resolves when all that was sent has come to the other side, read or not. */
  arrived(): Promise<void>
  /** Whoever waits hears of the end. */
  close(error: SignalMeshError): void
}

export function createFlow(options: FlowOptions): Flow {
  const incoming = createIncoming(options)
  let closed: SignalMeshError | undefined
  let last: Promise<unknown> = Promise.resolve()
  let wake = (): void => {}
  /** A channel that is closed may never say that it took what it was given. */
  let giveUp = (_error: SignalMeshError): void => {}
  let sentBytes = 0
  let readThereBytes = 0
  let wasAsked = false
  const told = Promise.withResolvers<void>()
  told.promise.catch(() => undefined)

  const mayWrite = async (): Promise<void> => {
    while (!closed && sentBytes - readThereBytes >= CHANNEL_WINDOW_BYTES) {
      await new Promise<void>((resolve) => (wake = resolve))
    }
    if (closed) throw closed
  }

  const write = (piece: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(closed)
      giveUp = reject
      options.write(piece).then(resolve, reject)
    })

  const sendParts = async (kind: number, bytes: Uint8Array): Promise<void> => {
    let from = 0
    do {
      await mayWrite()
      const part = bytes.subarray(from, from + CHANNEL_PART_BYTES)
      from += part.length
      sentBytes += part.length + PART_COST_BYTES
      const more = from < bytes.length ? PIECE.more : 0
      await write(concat(Uint8Array.of(kind | more), part))
    } while (from < bytes.length)
  }

  const takeRead = (toBytes: number): void => {
    if (toBytes > sentBytes) throw badFrame('more read than was sent')
    readThereBytes = Math.max(readThereBytes, toBytes)
    wake()
  }

  /** Once in a connection: answers to any number could pile up here. */
  const answer = (): void => {
    if (wasAsked) throw badFrame('asked twice')
    wasAsked = true
    options.write(Uint8Array.of(PIECE.told)).catch(() => undefined)
  }

  return {
    send: (data) => {
      // The caller may write over its bytes before they are sent.
      const sent = last.then(
        typeof data === 'string'
          ? () => sendParts(PIECE.text, utf8(data))
          : sendParts.bind(undefined, PIECE.bytes, data.slice()),
      )
      last = sent.catch(() => undefined)
      return sent
    },
    receive: (piece) => {
      if (typeof piece === 'string') throw badFrame('a piece of text')
      const r = reader(piece)
      const kind = r.u8()
      if (kind <= (PIECE.text | PIECE.more)) return incoming.take(kind, r.rest())
      if (kind === PIECE.read) takeRead(r.u64())
      else if (kind === PIECE.ask) answer()
      else if (kind === PIECE.told) told.resolve()
      else throw badFrame(`a piece of kind ${kind}`)
      r.end()
    },
    nudge: incoming.sayRead,
    arrived: async () => {
      await last
      if (sentBytes === 0) return
      await write(Uint8Array.of(PIECE.ask))
      await told.promise
    },
    close: (error) => {
      closed ??= error
      giveUp(closed)
      told.reject(closed)
      wake()
    },
  }
}

/** The other direction: puts messages together, and says how much of them was read. */
function createIncoming(options: FlowOptions) {
  let receivedBytes = 0
  let readBytes = 0
  let saidBytes = 0
  let parts: Uint8Array[] = []
  /** Of the message that is not whole yet: its bytes, and what they count and were not given back for. */
  let partsBytes = 0
  let heldBytes = 0
  /** Whole messages that nobody has read. */
  let unread = 0

  /** Lets the other side send so much more; says so once it is worth a piece. */
  const giveBack = (bytes: number): void => {
    readBytes += bytes
    if (readBytes - saidBytes >= CHANNEL_WINDOW_BYTES / 4) sayRead()
  }

  const sayRead = (): void => {
    saidBytes = readBytes
    // A channel that does not take it is about to end, which is told elsewhere.
    options.write(writer(9).u8(PIECE.read).u64(readBytes).done()).catch(() => undefined)
  }

  /** A message larger than the window must not wait for a reader, but only one at a time. */
  const goOn = (): void => {
    if (unread > 0 || parts.length === 0) return
    giveBack(heldBytes)
    heldBytes = 0
  }

  const take = (kind: number, part: Uint8Array): void => {
    const costBytes = part.length + PART_COST_BYTES
    const isLast = !(kind & PIECE.more)
    receivedBytes += costBytes
    heldBytes += costBytes
    partsBytes += part.length
    if (part.length > CHANNEL_PART_BYTES) throw badFrame(`a part of ${part.length} bytes`)
    if (!isLast && part.length < CHANNEL_PART_BYTES) throw badFrame('a short part before the last')
    if (receivedBytes - readBytes >= CHANNEL_WINDOW_BYTES + CHANNEL_PART_BYTES + PART_COST_BYTES) {
      throw new SignalMeshError('TOO_MANY', 'The peer sends more than there is room for')
    }
    if (partsBytes > MAX_MESSAGE_BYTES) {
      throw new SignalMeshError(
        'TOO_LARGE',
        `The peer's message is over ${MAX_MESSAGE_BYTES} bytes`,
      )
    }
    parts.push(part)
    if (isLast) whole(kind)
    else goOn()
  }

  const whole = (kind: number): void => {
    const bytes = concat(...parts)
    const costBytes = heldBytes
    parts = []
    partsBytes = 0
    heldBytes = 0
    unread += 1
    options.onMessage(kind & PIECE.text ? fromUtf8(bytes) : bytes, () => {
      unread -= 1
      giveBack(costBytes)
      goOn()
    })
  }

  return { take, sayRead }
}
