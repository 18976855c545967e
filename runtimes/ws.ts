/** WebSockets on Node as links: one binary message is one frame. */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws'
import { MAX_BUFFERED_BYTES, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, makeLink } from '../src/link.ts'
import { CLOSE_TIMEOUT_MS, MAX_CHUNKS, MAX_FRAGMENTS, STOP_MS } from './limits.ts'
import { LOST, plainBytes, reasonBytes, reasonText } from './reason.ts'

export interface WebSockets {
  /** Finishes an upgrade that was granted; a request that is no proper upgrade is refused. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, take: (link: Link) => void): void
  /** Closes every socket, and cuts those that do not answer. */
  close(): Promise<void>
}

const NORMAL = 1000
const GOING_AWAY = 1001
const UNSUPPORTED_DATA = 1003
const ABNORMAL = 1006

/** The last three are missing from the package's types. */
const OPTIONS: ServerOptions &
  Record<'maxFragments' | 'maxBufferedChunks' | 'closeTimeout', number> = {
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: MAX_FRAGMENTS,
  maxBufferedChunks: MAX_CHUNKS,
  closeTimeout: CLOSE_TIMEOUT_MS,
}

export function webSockets(): WebSockets {
  const server = new WebSocketServer(OPTIONS)
  const cork = makeCork()
  return {
    accept: (request, socket, head, take) =>
      server.handleUpgrade(request, socket, head, (ws) => take(linkOf(ws, socket, cork))),
    close: async () => {
      for (const ws of server.clients) ws.close(GOING_AWAY, 'GOING_AWAY')
      const cut = setTimeout(() => {
        for (const ws of server.clients) ws.terminate()
      }, STOP_MS)
      await Promise.all(
        [...server.clients].map((ws) => new Promise((end) => ws.once('close', end))),
      )
      clearTimeout(cut)
    },
  }
}

function linkOf(ws: WebSocket, socket: Duplex, cork: (socket: Duplex) => void): Link {
  let ownReason: string | undefined
  const source = makeLink({
    send: (frame) => {
      cork(socket)
      ws.send(frame)
    },
    bufferedBytes: () => ws.bufferedAmount,
    close: (reason) => {
      ownReason ??= reason
      ws.close(NORMAL, Buffer.from(reasonBytes(reason)))
    },
  })
  ws.on('message', (data, isBinary) => {
    if (ownReason !== undefined) return
    if (isBinary) return source.receive(plainBytes(data as Buffer))
    ownReason = 'TEXT_FRAME'
    ws.close(UNSUPPORTED_DATA, ownReason)
  })
  // Pongs are queued too: whoever pings without reading is cut like any slow reader.
  ws.on('ping', () => {
    if (ws.bufferedAmount > MAX_BUFFERED_BYTES) ws.terminate()
  })
  ws.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') ownReason ??= 'TOO_LARGE'
    else if (error.code?.startsWith('WS_ERR')) ownReason ??= 'BAD_FRAME'
  })
  ws.on('close', (code, reason) =>
    source.end(ownReason ?? (reasonText(reason) || (code === ABNORMAL ? LOST : 'closed'))),
  )
  return source.link
}

/**
 * Holds what is written to a socket until the end of the turn, so that it leaves in one write: a
 * write per message is the larger half of what forwarding costs.
 */
function makeCork(): (socket: Duplex) => void {
  let corked = new Set<Duplex>()
  const uncorkAll = (): void => {
    const sockets = corked
    corked = new Set()
    for (const socket of sockets) socket.uncork()
  }
  return (socket) => {
    if (corked.has(socket)) return
    if (corked.size === 0) setImmediate(uncorkAll)
    corked.add(socket)
    socket.cork()
  }
}
