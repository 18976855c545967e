/** WebSockets on Node and Deno as links: one binary message is one frame. */

import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { SignalMeshError } from '../src/errors.ts'
import { DIAL_TIMEOUT_MS, MAX_BUFFERED_BYTES, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, makeLink } from '../src/link.ts'
import type { Dialled, DialOptions, TakeLink } from '../src/runtime.ts'
import { CLOSE_TIMEOUT_MS, MAX_CHUNKS, MAX_FRAGMENTS, STOP_MS } from './limits.ts'
import { addressesOf } from './reach.ts'
import { LOST, plainBytes, reasonBytes, reasonText } from './reason.ts'
import { whyOf } from './why.ts'

export interface WebSockets {
  /** Finishes an upgrade that was granted; a request that is no proper upgrade is refused. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, take: TakeLink): void
  /** Closes every socket, and cuts those that do not answer. */
  close(): Promise<void>
}

const NORMAL = 1000
const GOING_AWAY = 1001
const UNSUPPORTED_DATA = 1003
const ABNORMAL = 1006

/** The last three are missing from the package's types. */
const OPTIONS: Pick<ServerOptions, 'perMessageDeflate' | 'maxPayload'> &
  Record<'maxFragments' | 'maxBufferedChunks' | 'closeTimeout', number> = {
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: MAX_FRAGMENTS,
  maxBufferedChunks: MAX_CHUNKS,
  closeTimeout: CLOSE_TIMEOUT_MS,
}

export function webSockets(): WebSockets {
  // The package knows one bound for all sockets of a server.
  const servers = new Map<number, WebSocketServer>()
  const serverOf = (maxPayload: number): WebSocketServer => {
    const server =
      servers.get(maxPayload) ?? new WebSocketServer({ ...OPTIONS, maxPayload, noServer: true })
    servers.set(maxPayload, server)
    return server
  }
  const cork = makeCork()
  return {
    accept: (request, socket, head, take) =>
      serverOf(take.maxFrameBytes ?? MAX_FRAME_BYTES).handleUpgrade(request, socket, head, (ws) =>
        take(linkOf(ws, socket, cork)),
      ),
    close: async () => {
      const clients = [...servers.values()].flatMap((server) => [...server.clients])
      for (const ws of clients) ws.close(GOING_AWAY, 'GOING_AWAY')
      const cut = setTimeout(() => {
        for (const ws of clients) ws.terminate()
      }, STOP_MS)
      await Promise.all(
        clients.map(
          (ws) => ws.readyState === ws.CLOSED || new Promise((end) => ws.once('close', end)),
        ),
      )
      clearTimeout(cut)
    },
  }
}

const corkDialled = makeCork()

/** Opens a link to another node. The name was looked up once, and what was found is what is dialled. */
export async function dialMesh(url: string, options: DialOptions): Promise<Dialled> {
  const addresses = await addressesOf(url, options)
  const lookup: LookupFunction = (_, { all }, done) => {
    if (all) done(null, addresses)
    else done(null, addresses[0].address, addresses[0].family)
  }
  const ws = new WebSocket(url, { ...OPTIONS, lookup, handshakeTimeout: DIAL_TIMEOUT_MS })
  return new Promise((resolve, reject) => {
    ws.once('error', (cause) => {
      reject(
        new SignalMeshError('HOME_UNREACHABLE', `Cannot dial ${url}: ${whyOf(cause)}`, { cause }),
      )
    })
    ws.once('upgrade', ({ socket }) => {
      // Before it is open, or its first frames would find nobody.
      const link = linkOf(ws, socket, corkDialled)
      ws.once('open', () => {
        const remoteAddress = socket.remoteAddress ?? addresses[0].address
        resolve({ link, remoteAddress: remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '') })
      })
    })
  })
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
