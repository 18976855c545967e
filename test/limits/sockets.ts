/** Cases of the adapters' bounds, over real sockets: what one may take before our protocol is spoken. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { runtime } from '../../runtimes/node.ts'
import type { Link } from '../../src/link.ts'
import type { Running } from '../../src/runtime.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, refuses, TAKEN } from './case.ts'

/** What Node counts of a head: its path, and the names and values of its headers. */
const COUNTED_BYTES = '/Host:aX'.length - 1

export const sockets: Cases = {
  MAX_HEADER_BYTES: refuses('TOO_LARGE', (bytes) =>
    // Node's own bound is the first size that it refuses.
    requested([`X: ${'x'.repeat(bytes - 1 - COUNTED_BYTES)}`]),
  ),
  MAX_HEADERS: refuses('TOO_LARGE', (count) =>
    requested(Array.from({ length: count - 1 }, (_, i) => `X${i}: y`)),
  ),
  MAX_FRAGMENTS: refuses('BAD_FRAME', (count) =>
    listening(async (running, links) => {
      const ws = new WebSocket(`ws://127.0.0.1:${running.port}/edge`)
      ws.on('error', () => undefined)
      await once(ws, 'open')
      const [link] = links
      if (!link) throw new Error('No link')
      const taken = new Promise<string>((resolve) => link.subscribe(() => resolve(TAKEN)))
      for (let i = 1; i < count; i++) ws.send(Uint8Array.of(i), { fin: false })
      ws.send(Uint8Array.of(0), { fin: true })
      const outcome = await Promise.race([taken, link.closed])
      ws.terminate()
      return outcome
    }),
  ),
  MAX_CHUNKS: refuses('BAD_FRAME', (count) => inPieces(count)),
}

/** What a request with these headers and a host comes to; another one after it is answered. */
function requested(headers: readonly string[]): Promise<string> {
  return listening(async ({ port }) => {
    const status = await statusOf(port, headers)
    assert.is(await statusOf(port, []), '200')
    assert.ok(['200', '431'].includes(status), status)
    return status === '200' ? TAKEN : 'TOO_LARGE'
  })
}

async function statusOf(port: number, headers: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.write(['GET / HTTP/1.1', 'Host: a', ...headers, '', ''].join('\r\n'))
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return answer.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)
}

/** A message that arrives in so many pieces, each of which is read before the next is sent. */
function inPieces(count: number): Promise<string> {
  return listening(async ({ port }, links) => {
    const socket = await upgraded(port)
    const [link] = links
    if (!link) throw new Error('No link')
    const taken = new Promise<string>((resolve) => link.subscribe(() => resolve(TAKEN)))
    let outcome = ''
    void Promise.race([taken, link.closed]).then((what) => (outcome = what))
    // One masked frame of two bytes of length; a mask of zeros changes nothing.
    socket.write(Uint8Array.of(0x82, 0x80 | 126, count >> 8, count & 0xff, 0, 0, 0, 0))
    for (let i = 0; i < count && outcome === ''; i++) {
      await turns()
      socket.write(Uint8Array.of(i))
    }
    await Promise.race([taken, link.closed])
    socket.destroy()
    await turns()
    return outcome
  })
}

/** The other end of a loopback socket has read by then. */
async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A socket that was made a WebSocket, and does nothing by itself. */
export async function upgraded(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  socket.on('error', () => undefined)
  const head = [
    'GET /edge HTTP/1.1',
    'Host: a',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  await once(socket, 'data')
  return socket
}

/** Runs it beside a listener. */
export async function listening(
  body: (running: Running, links: readonly Link[]) => Promise<string>,
): Promise<string> {
  const links: Link[] = []
  const running = await runtime.listen({
    host: '127.0.0.1',
    port: 0,
    fetch: () => new Response('ok'),
    upgrade: () => (link) => void links.push(link),
  })
  try {
    return await body(running, links)
  } finally {
    await running.close()
  }
}
