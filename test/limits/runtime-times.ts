/** Cases of the adapters' time-outs on real sockets: how soon one that says too little is cut. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { listen, TIMES, type Times } from '../../runtimes/listen.ts'
import { runtime } from '../../runtimes/node.ts'
import type { ListenOptions } from '../../src/runtime.ts'
import { cert, key } from '../fixtures/tls.ts'
import { assert } from '../harness/suite.ts'
import { type Case, type Cases, holds } from './case.ts'
import { hurried } from './hurried.ts'
import { listening, upgraded } from './sockets.ts'

const SHORT_MS = 120
const CHECK_MS = 20
/** What a busy machine may take longer, and the second that Node adds for an idle connection. */
const SLACK_MS = 1_900
const IN_TIME = 'cut in time'
const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n'

export const runtimeTimes: Cases = {
  HEADERS_TIMEOUT_MS: cuts('headersMs', async (socket) => {
    socket.write(HEAD)
  }),
  REQUEST_TIMEOUT_MS: cuts('requestMs', async (socket) => {
    socket.write(`${HEAD}Content-Length: 9\r\n\r\nx`)
  }),
  KEEP_ALIVE_MS: cuts('keepAliveMs', async (socket) => {
    socket.write(`${HEAD}\r\n`)
    await once(socket, 'data')
  }),
  TLS_HANDSHAKE_MS: cuts('tlsHandshakeMs', async () => undefined, { tls: { cert, key } }),
  // Long after its time a socket is still there, until it is looked at.
  TIMEOUT_CHECK_MS: holds('is how often sockets are looked at', IN_TIME, async (ms) => {
    assert.is(TIMES.checkMs, ms)
    const times = { ...TIMES, headersMs: 1, requestMs: 1, checkMs: SHORT_MS }
    return cutAfter(times, {}, async (socket) => void socket.write(HEAD))
  }),
  CLOSE_TIMEOUT_MS: holds('is how long a close may stay unanswered', 'closed', (ms) =>
    listening(async ({ port }, links) => {
      const socket = await upgraded(port)
      // It stays open at this end too, or that would end it.
      socket.pause()
      await hurried(ms, async () => {
        links[0]?.close('enough')
        await links[0]?.closed
      })
      socket.destroy()
      return 'closed'
    }),
  ),
  STOP_MS: holds('is how long sockets may keep a listener from its end', 'stopped', async (ms) => {
    const running = await runtime.listen({ ...ANSWERS, upgrade: () => () => undefined })
    const half = connect(running.port, '127.0.0.1').on('error', () => undefined)
    half.write(HEAD)
    const socket = await upgraded(running.port)
    socket.pause()
    const startMs = performance.now()
    await running.close()
    const tookMs = performance.now() - startMs
    for (const one of [half, socket]) one.destroy()
    return tookMs >= ms - 2 && tookMs < ms + SLACK_MS ? 'stopped' : `${tookMs} ms`
  }),
}

const ANSWERS: ListenOptions = {
  host: '127.0.0.1',
  port: 0,
  fetch: () => new Response('ok'),
  upgrade: () => new Response('no', { status: 404 }),
}

/** The default is the row; a shorter time is tried. */
function cuts(
  name: keyof Times,
  say: (socket: Socket) => Promise<void>,
  more: Partial<ListenOptions> = {},
): Case {
  return holds(`is the server's, and cuts a socket that takes longer`, IN_TIME, (ms) => {
    assert.is(TIMES[name], ms)
    // Of the two for a request, Node goes by the longer one for its head.
    const isOfRequest = name === 'headersMs' || name === 'requestMs'
    const both = isOfRequest ? { headersMs: SHORT_MS, requestMs: SHORT_MS } : {}
    const times = { ...TIMES, checkMs: CHECK_MS, [name]: SHORT_MS, ...both }
    return cutAfter(times, more, say)
  })
}

/** How soon a socket that says this is cut; another one is answered meanwhile. */
async function cutAfter(
  times: Times,
  more: Partial<ListenOptions>,
  say: (socket: Socket) => Promise<void>,
): Promise<string> {
  const running = await listen({ ...ANSWERS, ...more }, times)
  const socket = connect(running.port, '127.0.0.1').on('error', () => undefined)
  await once(socket, 'connect')
  await say(socket)
  const startMs = performance.now()
  socket.resume()
  if (!more.tls) assert.is((await fetch(`http://127.0.0.1:${running.port}/`)).status, 200)
  if (!socket.destroyed) await once(socket, 'close')
  const tookMs = performance.now() - startMs
  await running.close()
  // The server's clock may have started a little before this one.
  return tookMs >= SHORT_MS - 40 && tookMs < SHORT_MS + SLACK_MS ? IN_TIME : `${tookMs} ms`
}
