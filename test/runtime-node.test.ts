/** Node as a runtime, over real sockets: HTTP, WebSocket links, the store. */

import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { runtime } from '../runtimes/node.ts'
import type { ErrorCode } from '../src/errors.ts'
import { MAX_FRAME_BYTES } from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import type { ListenOptions, Running } from '../src/runtime.ts'
import { cert, key } from './fixtures/tls.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('runtime node')
const listeners: Running[] = []
test.afterEach(async () => {
  await Promise.all(listeners.splice(0).map((running) => running.close()))
})

// --- HTTP ---

test('answers a request with what fetch returns', async () => {
  const running = await listen({
    fetch: async (request, { remoteAddress }) => {
      const { method, url, headers } = request
      const facts = { method, url, two: headers.get('x-two'), remoteAddress }
      return Response.json(facts, { status: 201, headers: { 'x-answer': 'yes' } })
    },
  })
  const url = `http://127.0.0.1:${running.port}/a/b?c=%20d`
  const response = await fetch(url, { headers: { 'x-two': 'three' } })
  assert.is(response.status, 201)
  assert.is(response.headers.get('x-answer'), 'yes')
  assert.equal(await response.json(), {
    method: 'GET',
    url,
    two: 'three',
    remoteAddress: '127.0.0.1',
  })
})

test('answers HEAD with the length and no body', async () => {
  const { port } = await listen({ fetch: () => new Response('12345') })
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'HEAD' })
  assert.is(response.headers.get('content-length'), '5')
  assert.is(await response.text(), '')
})

test('answers a request with a body, which it throws away', async () => {
  const { port } = await listen({ fetch: ({ method }) => new Response(method) })
  const body = new Uint8Array(1024 * 1024)
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })
  assert.is(await response.text(), 'POST')
})

test('refuses requests that make no sense', async () => {
  const { port } = await listen({ fetch: ({ url }) => new Response(url) })
  const statusOf = async (head: string): Promise<string> =>
    (await exchange(port, head)).slice(9, 12)
  assert.is(await statusOf('GET /ok HTTP/1.1\r\nHost: localhost'), '200')
  assert.is(await statusOf('GET /ok HTTP/1.1\r\nHost: a/b@c'), '400')
  assert.is(await statusOf('GET http://other/ HTTP/1.1\r\nHost: localhost'), '400')
  assert.is(await statusOf('GET /ok HTTP/1.1'), '400')
  assert.is(await statusOf('TRACE /ok HTTP/1.1\r\nHost: localhost'), '400')
  assert.is(await statusOf('nonsense'), '400')
  assert.is(await statusOf(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}`), '431')
})

test('takes a path that starts with two slashes as a path', async () => {
  const { port } = await listen({ fetch: ({ url }) => new Response(url) })
  const answer = await exchange(port, 'GET //elsewhere/x HTTP/1.1\r\nHost: localhost')
  assert.match(answer, 'http://localhost//elsewhere/x')
})

test('speaks TLS when given a certificate', async () => {
  const running = await listen({ tls: { cert, key }, fetch: ({ url }) => new Response(url) })
  const url = `https://127.0.0.1:${running.port}/x`
  const [response] = await once(get(url, { rejectUnauthorized: false }), 'response')
  assert.is(Buffer.concat(await response.toArray()).toString(), url)
  const { ws } = await dial(running.port, { scheme: 'wss' })
  assert.equal(await echoOf(ws, Uint8Array.of(1)), Uint8Array.of(1))
})

test('says that a certificate is unusable', async () => {
  const options = { tls: { cert: 'no', key: 'no' } }
  await rejects(listen(options), 'BAD_CONFIG', /^Cannot use the TLS certificate and key: /)
})

// --- listening ---

test('says that a port is in use, and what to do', async () => {
  const { port } = await listen({})
  const sentence = `Cannot listen on 127.0.0.1:${port}, it is in use: stop what uses it, or choose another with --port (0: any free one)`
  await rejects(listen({ port }), 'PORT_IN_USE', sentence)
})

test('says that an address is not of this machine', async () => {
  await rejects(listen({ host: '192.0.2.77' }), 'BAD_CONFIG', /: this machine has no such address$/)
  await rejects(
    listen({ host: 'no-such-host.invalid' }),
    'BAD_CONFIG',
    /: there is no host of that name$/,
  )
})

test('closes within its bound although sockets stay open', async () => {
  const running = await listen({})
  const silent = connect(running.port, '127.0.0.1').on('error', () => {})
  await once(silent, 'connect')
  const { ws, link } = await dial(running.port)
  // A peer that never reads never answers the closing handshake.
  ws.pause()
  const startMs = performance.now()
  await running.close()
  assert.ok(performance.now() - startMs < 1_000)
  assert.is(await link.closed, 'lost')
  await rejects(fetch(`http://127.0.0.1:${running.port}/`), undefined, /fetch failed/)
  silent.destroy()
  ws.terminate()
})

// --- links ---

test('carries whole binary frames both ways, in order', async () => {
  const { ws } = await dial((await listen({})).port)
  const sizes = [0, 1, 125, 126, 65_535, MAX_FRAME_BYTES]
  const frames = sizes.map((size) => new Uint8Array(size).fill(size % 251))
  const echoes = collect(ws, frames.length)
  for (const frame of frames) ws.send(frame)
  assert.equal(await echoes, frames)
})

test('hands out plain byte arrays, not Buffers', async () => {
  const { ws, link } = await dial((await listen({ echo: false })).port)
  const frame = new Promise<Uint8Array>((resolve) => link.subscribe(resolve))
  ws.send(Uint8Array.of(1, 2))
  assert.is((await frame).constructor, Uint8Array)
})

test('puts the frames of one turn into one write per socket', async () => {
  const { ws, link } = await dial((await listen({ echo: false })).port)
  const writes = countWrites()
  const all = collect(ws, 100)
  for (let i = 0; i < 100; i++) link.send(Uint8Array.of(i))
  assert.equal(
    (await all).map(([first]) => first),
    Array.from({ length: 100 }, (_, i) => i),
  )
  assert.is(writes.stop(), 1)
})

test('closes on a text frame', async () => {
  const { ws, link } = await dial((await listen({})).port)
  ws.send('text')
  ws.send(Uint8Array.of(1))
  const [code, reason] = await once(ws, 'close')
  assert.equal([code, String(reason)], [1003, 'TEXT_FRAME'])
  assert.is(await link.closed, 'TEXT_FRAME')
})

test('closes on a frame over the bound, whole or in fragments', async () => {
  const { port } = await listen({})
  const whole = await dial(port)
  whole.ws.send(new Uint8Array(MAX_FRAME_BYTES + 1))
  assert.is((await once(whole.ws, 'close'))[0], 1009)
  assert.is(await whole.link.closed, 'TOO_LARGE')
  const pieces = await dial(port)
  pieces.ws.send(new Uint8Array(MAX_FRAME_BYTES), { fin: false })
  pieces.ws.send(new Uint8Array(1), { fin: true })
  assert.is((await once(pieces.ws, 'close'))[0], 1009)
  assert.is(await pieces.link.closed, 'TOO_LARGE')
})

test('agrees to no compression', async () => {
  const { ws } = await dial((await listen({})).port)
  assert.is(ws.extensions, '')
})

test('carries the reason of a close, cut to its bound between characters', async () => {
  const { port } = await listen({})
  const here = await dial(port)
  here.link.send(Uint8Array.of(7))
  here.link.close('REPLACED')
  const [[frame], [code, reason]] = await Promise.all([collect(here.ws, 1), once(here.ws, 'close')])
  assert.equal([frame?.[0], code, String(reason)], [7, 1000, 'REPLACED'])
  assert.is(await here.link.closed, 'REPLACED')
  const long = await dial(port)
  long.link.close(`x${'ß'.repeat(100)}`)
  assert.is(String((await once(long.ws, 'close'))[1]), `x${'ß'.repeat(59)}`)
  const there = await dial(port)
  there.ws.close(1000, 'GOING_AWAY')
  assert.is(await there.link.closed, 'GOING_AWAY')
})

test('says that a link was lost when the other end vanishes', async () => {
  const { ws, link } = await dial((await listen({})).port)
  ws.terminate()
  assert.is(await link.closed, 'lost')
  link.send(Uint8Array.of(1))
  assert.is(link.bufferedBytes, 0)
})

test('counts the bytes that a slow reader leaves waiting', async () => {
  const { ws, link } = await dial((await listen({ echo: false })).port)
  ws.pause()
  const frame = new Uint8Array(MAX_FRAME_BYTES)
  for (let i = 0; i < 400; i++) link.send(frame)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(link.bufferedBytes > 1024 * 1024)
  const all = collect(ws, 400)
  ws.resume()
  await all
  assert.is(link.bufferedBytes, 0)
  ws.close()
})

test('cuts a reader that pings without reading', async () => {
  const { ws, link } = await dial((await listen({ echo: false })).port)
  ws.pause()
  for (let i = 0; i < 100; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
  ws.ping()
  assert.is(await link.closed, 'lost')
  ws.terminate()
})

test('refuses an upgrade with the status it was given', async () => {
  const refusal = new Response('no room', { status: 503, headers: { 'retry-after': '5' } })
  const { port } = await listen({ upgrade: () => refusal })
  const ws = new WebSocket(`ws://127.0.0.1:${port}/edge`)
  const [, response] = await once(ws, 'unexpected-response')
  assert.equal([response.statusCode, response.headers['retry-after']], [503, '5'])
  assert.is(Buffer.concat(await response.toArray()).toString(), 'no room')
})

test('refuses an upgrade that makes no sense', async () => {
  const { port } = await listen({})
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13'
  const key16 = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='
  const statusOf = async (head: string): Promise<string> =>
    (await exchange(port, head)).slice(9, 12)
  assert.is(await statusOf(`GET /edge HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n${key16}`), '101')
  assert.is(await statusOf(`GET /edge HTTP/1.1\r\nHost: a\r\n${upgrade}`), '400')
  assert.is(await statusOf(`GET /edge HTTP/1.1\r\nHost: a b\r\n${upgrade}\r\n${key16}`), '400')
  const other = upgrade.replace('websocket', 'h2c')
  assert.is(await statusOf(`GET /edge HTTP/1.1\r\nHost: a\r\n${other}\r\n${key16}`), '400')
})

test('tells the upgrade where it comes from and what it asks for', async () => {
  const asked: unknown[] = []
  const { port } = await listen({
    upgrade: (request, info) => {
      asked.push(new URL(request.url).pathname, request.headers.get('origin'), info.remoteAddress)
      return new Response(null, { status: 403 })
    },
  })
  const ws = new WebSocket(`ws://127.0.0.1:${port}/edge?x`, { origin: 'https://page.example' })
  await once(ws, 'unexpected-response')
  assert.equal(asked, ['/edge', 'https://page.example', '127.0.0.1'])
})

// --- the store ---

test('keeps values in a folder that its owner alone can read', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'mesh-')), 'a', 'data')
  const store = await runtime.openStore(folder)
  assert.is(store.kept, true)
  assert.is(await store.read('identity'), undefined)
  await store.write('identity', Uint8Array.of(1, 2))
  await store.write('identity', Uint8Array.of(3))
  assert.equal(await (await runtime.openStore(folder)).read('identity'), Uint8Array.of(3))
  assert.is(statSync(folder).mode & 0o777, 0o700)
  assert.is(statSync(join(folder, 'identity')).mode & 0o777, 0o600)
  assert.equal(readdirSync(folder), ['identity'])
})

test('refuses a value that others can read, and leaves it alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-'))
  const file = join(folder, 'identity')
  writeFileSync(file, 'secret', { mode: 0o644 })
  const store = await runtime.openStore(folder)
  const sentence = `Cannot read ${file}: others can read it; if nobody did, run: chmod 600 ${file}`
  await rejects(store.read('identity'), 'DATA_UNREADABLE', sentence)
  assert.is(readFileSync(file, 'utf8'), 'secret')
})

test('says why a folder or a value is unusable', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-'))
  writeFileSync(join(folder, 'file'), '')
  mkdirSync(join(folder, 'identity'), { mode: 0o700 })
  for (const path of ['file', 'file/below']) {
    const opening = runtime.openStore(join(folder, path))
    await rejects(opening, 'DATA_UNREADABLE', /^Cannot use the data folder .*: it is not a folder$/)
  }
  const store = await runtime.openStore(folder)
  await rejects(store.read('identity'), 'DATA_UNREADABLE', /: it is a folder$/)
  await rejects(store.write('identity', Uint8Array.of(1)), 'DATA_UNREADABLE', /^Cannot write /)
  assert.equal(readdirSync(folder).sort(), ['file', 'identity'])
})

test('without a folder, keeps values for the process', async () => {
  const store = await runtime.openStore()
  assert.is(store.kept, false)
  const value = Uint8Array.of(1)
  await store.write('identity', value)
  value[0] = 9
  assert.equal(await store.read('identity'), Uint8Array.of(1))
  assert.is(await (await runtime.openStore()).read('identity'), undefined)
})

test('takes no name that leads out of the folder', async () => {
  const store = await runtime.openStore(mkdtempSync(join(tmpdir(), 'mesh-')))
  for (const name of ['../x', '/x', '.x', '']) {
    await rejects(store.read(name), undefined, /^Not a name to keep/)
  }
})

test.run()

type Options = Partial<ListenOptions> & { readonly echo?: boolean }

const links: Link[] = []

/** A listener whose links, unless told otherwise, echo. */
async function listen({ echo = true, ...options }: Options): Promise<Running> {
  const running = await runtime.listen({
    host: '127.0.0.1',
    port: 0,
    fetch: () => new Response('ok'),
    upgrade: () => (link) => {
      links.push(link)
      if (echo) link.subscribe((frame) => link.send(frame))
    },
    ...options,
  })
  listeners.push(running)
  return running
}

/** A WebSocket to the listener, and the link that it is there. */
async function dial(port: number, { scheme = 'ws' } = {}): Promise<{ ws: WebSocket; link: Link }> {
  const ws = new WebSocket(`${scheme}://127.0.0.1:${port}/edge`, { rejectUnauthorized: false })
  ws.on('error', () => {})
  await once(ws, 'open')
  return { ws, link: links.pop() as Link }
}

function collect(ws: WebSocket, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = []
  return new Promise((resolve) =>
    ws.on('message', (data: Buffer) => {
      frames.push(new Uint8Array(data))
      if (frames.length === count) resolve(frames)
    }),
  )
}

async function echoOf(ws: WebSocket, frame: Uint8Array): Promise<Uint8Array | undefined> {
  const echo = collect(ws, 1)
  ws.send(frame)
  const [first] = await echo
  ws.close()
  return first
}

/** Sends a request head as it is and gives what comes back first. */
async function exchange(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  socket.write(`${head}\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return answer
}

/** Counts what all sockets of this process hand to the system to write. */
function countWrites(): { stop(): number } {
  const prototype = Socket.prototype as unknown as Record<'_write' | '_writev', () => void>
  const { _write, _writev } = prototype
  let count = 0
  const counted = (original: (...args: unknown[]) => void) =>
    function (this: Socket, ...args: unknown[]): void {
      count++
      original.apply(this, args)
    }
  Object.assign(prototype, { _write: counted(_write), _writev: counted(_writev) })
  return {
    stop: () => {
      Object.assign(prototype, { _write, _writev })
      return count
    },
  }
}

async function rejects(
  promise: Promise<unknown>,
  code: ErrorCode | undefined,
  message: string | RegExp,
): Promise<void> {
  const error = await promise.then(
    () => assert.unreachable('It did not fail'),
    (reason: Error & { code?: string }) => reason,
  )
  if (code) assert.is(error?.code, code)
  assert.match(String(error?.message), message)
}
