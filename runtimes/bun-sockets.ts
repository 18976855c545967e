/** WebSockets of `Bun.serve` as links: one binary message is one frame. */

import { MAX_BUFFERED_BYTES, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, type LinkSource, makeLink } from '../src/link.ts'
import { MAX_BACKLOG_BYTES } from './limits.ts'
import { LOST, plainBytes, reasonBytes, reasonText } from './reason.ts'

export interface SocketData {
  /** Takes the link once the socket is open. */
  readonly take: (link: Link) => void
  source?: LinkSource
  /** Why this side ended it. */
  ownReason?: string
}

/** What is used of Bun's `ServerWebSocket`. */
export interface BunSocket {
  readonly data: SocketData
  binaryType: string
  /** 0: the frame was dropped. */
  send(frame: Uint8Array): number
  close(code: number, reason: string): void
  terminate(): void
  getBufferedAmount(): number
}

const NORMAL = 1000
const UNSUPPORTED_DATA = 1003
const ABNORMAL = 1006

/** The handlers and bounds of all sockets of one server; those that are open stand in `open`. */
export function socketHandlers(open: Set<BunSocket>): object {
  return {
    maxPayloadLength: MAX_FRAME_BYTES,
    backpressureLimit: MAX_BACKLOG_BYTES,
    // Who is silent is the node's business.
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    open: (socket: BunSocket) => {
      open.add(socket)
      socket.binaryType = 'uint8array'
      socket.data.source = sourceOf(socket)
      socket.data.take(socket.data.source.link)
    },
    message: (socket: BunSocket, message: string | Uint8Array) => {
      if (socket.data.ownReason !== undefined) return
      if (typeof message !== 'string') return socket.data.source?.receive(plainBytes(message))
      socket.data.ownReason = 'TEXT_FRAME'
      socket.close(UNSUPPORTED_DATA, 'TEXT_FRAME')
    },
    // Pongs are queued too: whoever pings without reading is cut like any slow reader.
    ping: (socket: BunSocket) => {
      if (socket.getBufferedAmount() > MAX_BUFFERED_BYTES) socket.terminate()
    },
    close: (socket: BunSocket, code: number, reason: string) => {
      open.delete(socket)
      const { ownReason } = socket.data
      socket.data.source?.end(ownReason ?? endOf(code, reason))
    },
  }
}

function sourceOf(socket: BunSocket): LinkSource {
  return makeLink({
    send: (frame) => {
      // A frame that was left out would put all after it out of order.
      if (socket.send(frame) === 0 && frame.length > 0) socket.terminate()
    },
    bufferedBytes: () => socket.getBufferedAmount(),
    close: (reason) => {
      socket.data.ownReason ??= reason
      socket.close(NORMAL, new TextDecoder().decode(reasonBytes(reason)))
    },
  })
}

/** Bun says in words what was wrong with a frame, and says nothing where the other end has gone. */
function endOf(code: number, reason: string): string {
  if (code !== ABNORMAL) return reasonText(new TextEncoder().encode(reason)) || 'closed'
  if (reason === '') return LOST
  return /too big/i.test(reason) ? 'TOO_LARGE' : 'BAD_FRAME'
}
