/** Node's HTTP messages as `Request` and `Response`. */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { UpgradeInfo } from '../src/runtime.ts'
import type { Answers } from './answers.ts'
import { plain } from './pages.ts'

/** The request without its body, which nothing here reads; undefined if it makes no sense. */
export function requestOf(message: IncomingMessage, scheme: 'http' | 'https'): Request | undefined {
  const host = message.headers.host ?? ''
  const path = message.url ?? ''
  // The request's URL is put together, so neither part may reach into the other.
  if (!/^[\w.:[\]-]+$/.test(host) || !path.startsWith('/')) return undefined
  try {
    const headers = new Headers()
    for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
      headers.append(message.rawHeaders[i] as string, message.rawHeaders[i + 1] as string)
    }
    const method = message.method ?? 'GET'
    return new Request(`${scheme}://${host}${path}`, { method, headers })
  } catch {
    return undefined
  }
}

export function infoOf(message: IncomingMessage): UpgradeInfo {
  const address = message.socket.remoteAddress ?? ''
  // A socket that listens on both families names IPv4 peers in IPv6 notation.
  return { remoteAddress: address.replace(/^::ffff:(?=\d+\.)/i, '') }
}

/** Writes the answer; to HEAD without its body. */
export async function answer(
  out: ServerResponse,
  response: Response,
  answers: Answers,
): Promise<void> {
  const body = await answers.read(response)
  if (!answers.admit(out, body.byteLength)) {
    const busy = plain(503, 'Too much is read here at once')
    out.writeHead(busy.status, { ...Object.fromEntries(busy.headers), 'retry-after': '10' })
    out.end(await busy.text())
    return
  }
  const headers = Object.fromEntries(response.headers)
  if (response.status !== 304) headers['content-length'] = String(body.byteLength)
  out.writeHead(response.status, headers)
  out.end(response.status === 304 ? undefined : body)
}

/** Answers an upgrade with a plain HTTP status and ends the socket. */
export async function refuseUpgrade(socket: Duplex, response: Response): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer())
  const lines = [
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}`,
    ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
    `content-length: ${body.byteLength}`,
    'connection: close',
  ]
  socket.once('finish', () => socket.destroy())
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  socket.end(body)
}
