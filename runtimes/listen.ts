/** The listener of Node and Deno: `node:http` and `ws`, with every bound that these offer. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ListenOptions, Running } from '../src/runtime.ts'
import { type Answers, createAnswers } from './answers.ts'
import { answer, infoOf, refuseUpgrade, requestOf } from './http.ts'
import {
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  MAX_HEADER_BYTES,
  MAX_HEADERS,
  REQUEST_TIMEOUT_MS,
  STOP_MS,
  TIMEOUT_CHECK_MS,
  TLS_HANDSHAKE_MS,
} from './limits.ts'
import { checkTls, listenError } from './listen-error.ts'
import { plain } from './pages.ts'
import { type WebSockets, webSockets } from './ws.ts'

/** Time-outs of the HTTP and TLS server. */
export interface Times {
  readonly headersMs: number
  readonly requestMs: number
  readonly keepAliveMs: number
  readonly checkMs: number
  readonly tlsHandshakeMs: number
}

/** Those by which it goes. */
export const TIMES: Times = {
  headersMs: HEADERS_TIMEOUT_MS,
  requestMs: REQUEST_TIMEOUT_MS,
  keepAliveMs: KEEP_ALIVE_MS,
  checkMs: TIMEOUT_CHECK_MS,
  tlsHandshakeMs: TLS_HANDSHAKE_MS,
}

/** Listens; tests make the times shorter. */
export async function listen(options: ListenOptions, times: Times = TIMES): Promise<Running> {
  const server = makeServer(options, times)
  const sockets = webSockets()
  const answers = createAnswers()
  server.on('request', (message, out) => void respond(options, answers, message, out))
  server.on('upgrade', (message, socket, head) => upgrade(options, sockets, message, socket, head))
  await listening(server, options)
  return {
    port: (server.address() as AddressInfo).port,
    ...(options.tls && {
      useTls: (tls) => {
        checkTls(tls)
        ;(server as TlsServer).setSecureContext({ ...tls })
      },
    }),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const cut = setTimeout(() => server.closeAllConnections(), STOP_MS)
      await sockets.close()
      await closed
      clearTimeout(cut)
    },
  }
}

function makeServer(options: ListenOptions, times: Times): Server {
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: times.headersMs,
    requestTimeout: times.requestMs,
    keepAliveTimeout: times.keepAliveMs,
    connectionsCheckingInterval: times.checkMs,
  }
  if (options.tls) checkTls(options.tls)
  const tls = { ...options.tls, handshakeTimeout: times.tlsHandshakeMs }
  const server = options.tls ? createTlsServer({ ...limits, ...tls }) : createServer(limits)
  server.maxHeadersCount = MAX_HEADERS
  return server
}

async function listening(server: Server, { host, port }: ListenOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    throw listenError(`${host}:${port}`, cause)
  }
}

async function respond(
  options: ListenOptions,
  answers: Answers,
  message: IncomingMessage,
  out: ServerResponse,
): Promise<void> {
  // A body is read only to be thrown away, within the time that a request may take.
  message.resume()
  const request = requestOf(message, options.tls ? 'https' : 'http')
  try {
    await answer(out, await responseTo(options, message, request), answers)
    // Nobody waits for the rest of it.
    if (isTooLong(message)) message.socket.destroySoon()
  } catch {
    out.destroy()
  }
}

async function responseTo(
  options: ListenOptions,
  message: IncomingMessage,
  request: Request | undefined,
): Promise<Response> {
  if (!request) return plain(400, 'Bad request')
  if (isTooLong(message)) return plain(413, 'Too large')
  return options.fetch(request, infoOf(message))
}

function isTooLong({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES
}

function upgrade(
  options: ListenOptions,
  sockets: WebSockets,
  message: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  socket.on('error', () => socket.destroy())
  const request = requestOf(message, options.tls ? 'https' : 'http')
  if (!request) return void refuseUpgrade(socket, plain(400, 'Bad request'))
  const decision = options.upgrade(request, infoOf(message))
  if (typeof decision === 'function') sockets.accept(message, socket, head, decision)
  else void refuseUpgrade(socket, decision)
}
