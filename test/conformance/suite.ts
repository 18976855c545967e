/** Conformance: what a `Runtime` has to do, whatever it is made of. For authors of adapters. */

import { mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAX_BACKLOG_BYTES, MAX_BODY_BYTES } from '../../runtimes/limits.ts'
import { loadIdentity } from '../../src/identity.ts'
import { MAX_BUFFERED_BYTES, MAX_FRAME_BYTES } from '../../src/limits.ts'
import type { Link } from '../../src/link.ts'
import { silentLog } from '../../src/log.ts'
import { createNode, type MeshNode } from '../../src/node.ts'
import type { ListenOptions, Running, Runtime, UdpAddress, UdpPort } from '../../src/runtime.ts'
import { assert, suite } from '../harness/suite.ts'
import { NODE_FAULTS, REQUEST_FAULTS, SOCKET_FAULTS } from './faults.ts'
import { frameOf, OP, openRaw, type RawSocket, statusOf, upgradeHead } from './raw-socket.ts'

/** Adds the suite to a test file, which `node test/harness/run.ts` then runs on the runtime itself. */
export function conformance(runtime: Runtime): void {
  http(runtime)
  sockets(runtime)
  dials(runtime)
  udp(runtime)
  store(runtime)
  node(runtime)
}

const LOOPBACK = '127.0.0.1'

/** Opens listeners that end with their test; each gives the links that come. */
function ground(runtime: Runtime, test: ReturnType<typeof suite>) {
  const running: Running[] = []
  test.afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.close()))
  })
  const listen = async (options: Partial<ListenOptions> = {}): Promise<Running> => {
    const fetch = (): Response => new Response('ok')
    const upgrade = () => (link: Link) => link.subscribe((frame) => link.send(frame))
    const one = await runtime.listen({ host: LOOPBACK, port: 0, fetch, upgrade, ...options })
    running.push(one)
    return one
  }
  /** A socket by hand, and the link that it is to the runtime. */
  const pair = async (isEcho = false): Promise<{ raw: RawSocket; link: Link }> => {
    const came = Promise.withResolvers<Link>()
    const { port } = await listen({
      upgrade: () => (link) => {
        if (isEcho) link.subscribe((frame) => link.send(frame))
        came.resolve(link)
      },
    })
    return { raw: await openRaw(port), link: await came.promise }
  }
  return { listen, pair }
}

function http(runtime: Runtime): void {
  const test = suite('runtime: HTTP', { timeoutMs: 10_000 })
  const { listen } = ground(runtime, test)

  test('answers a request with what fetch returns', async () => {
    const { port } = await listen({
      fetch: async ({ method, url, headers }, { remoteAddress }) => {
        const facts = { method, url, two: headers.get('x-two'), remoteAddress }
        return Response.json(facts, { status: 201, headers: { 'x-answer': 'yes' } })
      },
    })
    const url = `http://${LOOPBACK}:${port}/a/b?c=%20d`
    const response = await fetch(url, { method: 'DELETE', headers: { 'x-two': 'three' } })
    assert.equal([response.status, response.headers.get('x-answer')], [201, 'yes'])
    const facts = { method: 'DELETE', url, two: 'three', remoteAddress: LOOPBACK }
    assert.equal(await response.json(), facts)
  })

  test('answers HEAD with the length and no body', async () => {
    const { port } = await listen({ fetch: () => new Response('12345') })
    const response = await fetch(`http://${LOOPBACK}:${port}/`, { method: 'HEAD' })
    assert.equal([response.headers.get('content-length'), await response.text()], ['5', ''])
  })

  test('throws the body of a request away, and refuses one over its bound', async () => {
    const { port } = await listen({ fetch: ({ method }) => new Response(method) })
    const post = (length: number): Promise<Response> =>
      fetch(`http://${LOOPBACK}:${port}/`, { method: 'POST', body: new Uint8Array(length) })
    assert.is(await (await post(MAX_BODY_BYTES)).text(), 'POST')
    // Who says first how much it will send is told before it sends it.
    const head = ['POST / HTTP/1.1', `Host: ${LOOPBACK}`, `Content-Length: ${MAX_BODY_BYTES + 1}`]
    assert.is(await statusOf(port, head), 413)
    assert.is(await (await post(1)).text(), 'POST')
  })

  for (const { fault, status, head } of REQUEST_FAULTS) {
    test(`refuses ${fault}, and goes on`, async () => {
      const { port } = await listen()
      assert.ok(status.includes(await statusOf(port, head)))
      assert.is(await statusOf(port, ['GET /ok HTTP/1.1', 'Host: localhost']), 200)
    })
  }

  test('says that a port is in use, and that an address is not of this machine', async () => {
    const { port } = await listen()
    assert.is(await codeOf(listen({ port })), 'PORT_IN_USE')
    assert.is(await codeOf(listen({ host: '192.0.2.77' })), 'BAD_CONFIG')
    assert.is(await codeOf(listen({ tls: { cert: 'no', key: 'no' } })), 'BAD_CONFIG')
  })

  test.run()
}

function sockets(runtime: Runtime): void {
  const test = suite('runtime: sockets', { timeoutMs: 15_000 })
  const { listen, pair } = ground(runtime, test)

  test('carries whole binary frames both ways, in order, up to the bound', async () => {
    const { raw } = await pair(true)
    const sizes = [0, 1, 125, 126, 65_535, MAX_FRAME_BYTES]
    for (const size of sizes) raw.send(OP.binary, new Uint8Array(size).fill(size % 251))
    for (const size of sizes) {
      assert.equal(await raw.next(), new Uint8Array(size).fill(size % 251))
    }
  })

  test('puts a frame together that comes in fragments, with a ping between', async () => {
    const { raw } = await pair(true)
    raw.send(OP.binary, Uint8Array.of(1), { fin: false })
    raw.send(OP.ping)
    raw.send(OP.more, Uint8Array.of(2), { fin: false })
    raw.send(OP.more, Uint8Array.of(3))
    assert.equal(await raw.next(), Uint8Array.of(1, 2, 3))
  })

  test('hands out plain byte arrays, which stay as they are', async () => {
    const { raw, link } = await pair()
    const frames: Uint8Array[] = []
    const two = new Promise<void>((resolve) =>
      link.subscribe((frame) => frames.push(frame) === 2 && resolve()),
    )
    raw.send(OP.binary, Uint8Array.of(1))
    raw.send(OP.binary, Uint8Array.of(2))
    await two
    assert.equal(frames, [Uint8Array.of(1), Uint8Array.of(2)])
    assert.is(frames[0]?.constructor, Uint8Array)
  })

  for (const { fault, code, commit } of SOCKET_FAULTS) {
    test(`ends a link with ${code} for ${fault}, delivers nothing after it, and goes on`, async () => {
      const { raw, link } = await pair()
      let delivered = 0
      link.subscribe(() => delivered++)
      commit(raw)
      if (!raw.socket.writableEnded) raw.send(OP.binary, Uint8Array.of(1))
      assert.is(await link.closed, code)
      assert.is(delivered, 0)
      link.send(Uint8Array.of(1))
      assert.is(link.bufferedBytes, 0)
      const other = await pair(true)
      other.raw.send(OP.binary, Uint8Array.of(7))
      assert.equal(await other.raw.next(), Uint8Array.of(7))
    })
  }

  test('says why it closes, in words cut to their bound, behind what it sent', async () => {
    const { raw, link } = await pair()
    link.send(Uint8Array.of(9))
    link.close(`x${'ß'.repeat(100)}`)
    assert.equal(await raw.next(), Uint8Array.of(9))
    raw.send(OP.close, Uint8Array.of(3, 232))
    assert.equal(await raw.ended, { number: 1000, reason: `x${'ß'.repeat(59)}` })
  })

  test('knows what a slow reader leaves waiting, and that it left', async () => {
    const { raw, link } = await pair()
    raw.socket.pause()
    const frame = new Uint8Array(MAX_FRAME_BYTES)
    for (let i = 0; i < 200; i++) link.send(frame)
    await pause(100)
    assert.ok(link.bufferedBytes > MAX_BUFFERED_BYTES, `${link.bufferedBytes}`)
    raw.socket.resume()
    for (let i = 0; i < 200; i++) assert.is((await raw.next()).length, MAX_FRAME_BYTES)
    assert.is(link.bufferedBytes, 0)
  })

  test('lets go of one that is closed and never reads, with all that waited', async () => {
    const { raw, link } = await pair()
    raw.socket.pause()
    for (let i = 0; i < 200; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
    link.close('RATE_LIMITED')
    assert.is(await link.closed, 'RATE_LIMITED')
    assert.is(link.bufferedBytes, 0)
    raw.socket.destroy()
  })

  test('lets go of one that is sent more than may ever wait, without leaving a frame out', async () => {
    const { raw, link } = await pair()
    raw.socket.pause()
    // Nothing of ours sends on so long; what is taken all the same has to come in order.
    const count = Math.ceil(MAX_BACKLOG_BYTES / MAX_FRAME_BYTES) + 100
    for (let i = 0; i < count; i++) link.send(new Uint8Array(MAX_FRAME_BYTES).fill(i % 251))
    raw.socket.resume()
    let came = 0
    const all = (async () => {
      while (came < count && (await raw.next())[0] === came % 251) came += 1
    })()
    const isCut = await Promise.race([all.then(() => false), link.closed.then(() => true)])
    assert.ok(isCut || came === count, `${came} of ${count} came`)
    raw.socket.destroy()
  })

  test('lets go of one that pings without reading', async () => {
    const { raw, link } = await pair()
    raw.socket.pause()
    for (let i = 0; i < 200; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
    raw.send(OP.ping)
    assert.is(await link.closed, 'lost')
    raw.socket.destroy()
  })

  test('survives who goes while it is sent to', async () => {
    const { raw, link } = await pair()
    for (let i = 0; i < 50; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
    raw.socket.resetAndDestroy()
    for (let i = 0; i < 50; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
    assert.is(await link.closed, 'lost')
  })

  test('takes a thousand at once, and hears that each has gone', async () => {
    let open = 0
    const { port } = await listen({
      upgrade: () => (link) => {
        open += 1
        void link.closed.then(() => open--)
      },
    })
    const all = await Promise.all(Array.from({ length: 1_000 }, () => openRaw(port)))
    await until(() => open === 1_000)
    for (const raw of all) raw.socket.destroy()
    await until(() => open === 0)
  })

  test('refuses an upgrade with the answer that it was given', async () => {
    const asked: unknown[] = []
    const { port } = await listen({
      upgrade: ({ url, headers }, { remoteAddress }) => {
        asked.push(new URL(url).pathname, headers.get('origin'), remoteAddress)
        return new Response('no room', { status: 503 })
      },
    })
    assert.is(await statusOf(port, [...upgradeHead('/edge?x'), 'Origin: https://a.example']), 503)
    assert.equal(asked, ['/edge', 'https://a.example', LOOPBACK])
  })

  test('agrees to no compression', async () => {
    const { port } = await listen()
    const raw = await openRaw(port)
    raw.send(OP.binary, new Uint8Array(1_000))
    assert.is((await raw.next()).length, 1_000)
    raw.socket.destroy()
  })

  test('ends all when it is told to stop, within its bound', async () => {
    const running = await listen()
    const raw = await openRaw(running.port)
    const deaf = await openRaw(running.port)
    deaf.socket.pause()
    const startMs = performance.now()
    const [, ended] = await Promise.all([running.close(), answered(raw)])
    assert.ok(performance.now() - startMs < 1_500)
    assert.equal(ended, { number: 1001, reason: 'GOING_AWAY' })
    assert.is(await statusOf(running.port, ['GET / HTTP/1.1', 'Host: a']), 0)
    deaf.socket.destroy()
  })

  test.run()
}

function dials(runtime: Runtime): void {
  const test = suite('runtime: dials', { timeoutMs: 10_000 })
  const { listen } = ground(runtime, test)
  const local = { allowPrivate: true }

  test('opens a link to a URL, and says where that led', async () => {
    const { port } = await listen()
    const { link, remoteAddress } = await runtime.dial(`ws://localhost:${port}/mesh`, local)
    assert.ok([LOOPBACK, '::1'].includes(remoteAddress), remoteAddress)
    const frame = new Promise<Uint8Array>((resolve) => link.subscribe(resolve))
    link.send(Uint8Array.of(1, 2))
    assert.equal([...(await frame)], [1, 2])
    assert.is((await frame).constructor, Uint8Array)
    link.close('over')
    assert.is(await link.closed, 'over')
  })

  test('gives frames that come right behind the upgrade, and the reason of a close', async () => {
    const { port } = await listen({
      upgrade: () => (link) => {
        link.send(Uint8Array.of(7))
        link.close('GOING_AWAY')
      },
    })
    const { link } = await runtime.dial(`ws://${LOOPBACK}:${port}/mesh`, local)
    const frame = new Promise<Uint8Array>((resolve) => link.subscribe(resolve))
    assert.equal(await frame, Uint8Array.of(7))
    assert.is(await link.closed, 'GOING_AWAY')
  })

  test('refuses local addresses, and names of them, unless they are allowed', async () => {
    const { port } = await listen()
    for (const host of [LOOPBACK, 'localhost', '[::1]', '10.1.2.3', '169.254.169.254']) {
      const dialled = runtime.dial(`ws://${host}:${port}/mesh`, { allowPrivate: false })
      assert.is(await codeOf(dialled), 'REFUSED', host)
    }
  })

  test('says that nobody is there, or that there is no upgrade', async () => {
    const { port } = await listen({ upgrade: () => new Response('no', { status: 404 }) })
    const urls = ['ws://127.0.0.1:9/mesh', `ws://${LOOPBACK}:${port}/mesh`, 'ws://no.invalid/mesh']
    for (const url of urls)
      assert.is(await codeOf(runtime.dial(url, local)), 'HOME_UNREACHABLE', url)
  })

  test('follows no redirect', async () => {
    let came = 0
    const { port } = await listen({
      upgrade: () => (link) => {
        came += 1
        link.close()
      },
    })
    const answer = `HTTP/1.1 302 Found\r\nLocation: ws://${LOOPBACK}:${port}/mesh\r\n\r\n`
    const { url, close } = await badServer(answer)
    assert.is(await codeOf(runtime.dial(url, local)), 'HOME_UNREACHABLE')
    assert.is(came, 0)
    close()
  })

  const faults = [
    ['TEXT_FRAME', OP.text, 1],
    ['TOO_LARGE', OP.binary, MAX_FRAME_BYTES + 1],
  ] as const
  for (const [code, op, length] of faults) {
    test(`ends with ${code} a link whose other end sends what it must not`, async () => {
      const bytes = frameOf(op, new Uint8Array(length), { mask: false })
      const { url, close } = await badServer(undefined, bytes)
      const { link } = await runtime.dial(url, local)
      let delivered = 0
      link.subscribe(() => delivered++)
      assert.is(await link.closed, code)
      assert.is(delivered, 0)
      close()
    })
  }

  test('knows what the other end leaves waiting', async () => {
    const { url, close } = await badServer(undefined, undefined)
    const { link } = await runtime.dial(url, local)
    for (let i = 0; i < 200; i++) link.send(new Uint8Array(MAX_FRAME_BYTES))
    await pause(100)
    assert.ok(link.bufferedBytes > MAX_BUFFERED_BYTES, `${link.bufferedBytes}`)
    close()
    await link.closed
    assert.is(link.bufferedBytes, 0)
  })

  test.run()
}

function udp(runtime: Runtime): void {
  const { openUdp } = runtime
  // Not every runtime has it.
  if (!openUdp) return
  const test = suite('runtime: UDP')
  const open: UdpPort[] = []
  test.afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()))
  })
  /** A port that echoes, or keeps, what comes. */
  const port = async (host: string, isEcho = false) => {
    const came: { bytes: number[]; from: UdpAddress }[] = []
    const one: UdpPort = await openUdp({
      host,
      port: 0,
      onDatagram: (datagram, from) => {
        came.push({ bytes: [...datagram], from })
        if (isEcho) one.send(datagram, from)
      },
    })
    open.push(one)
    return { one, came }
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  test('sends datagrams and says whence they come, each family in its own notation', async () => {
    const all = await port('0.0.0.0', true)
    for (const host of ['127.0.0.1', '::1']) {
      const client = await port(host)
      client.one.send(Uint8Array.of(1, 2, 3), { address: host, port: all.one.port })
      await until(() => client.came.length > 0)
      const from = { address: host, port: all.one.port }
      assert.equal(client.came, [{ bytes: [1, 2, 3], from }])
      assert.equal(all.came.at(-1)?.from, { address: host, port: client.one.port })
    }
  })

  test('says that a port is in use, or that there is no such address', async () => {
    const { one } = await port(LOOPBACK)
    const failure = async (host: string, at: number): Promise<string> =>
      openUdp({ host, port: at, onDatagram: () => undefined }).then(
        () => 'open',
        ({ code }) => code,
      )
    assert.is(await failure(LOOPBACK, one.port), 'PORT_IN_USE')
    assert.is(await failure('203.0.113.1', 0), 'BAD_CONFIG')
  })

  test('loses what nobody takes or nothing can carry, and goes on', async () => {
    const { one, came } = await port(LOOPBACK)
    const other = await port(LOOPBACK, true)
    one.send(Uint8Array.of(1), { address: LOOPBACK, port: 1 })
    one.send(Uint8Array.of(1), { address: '::1', port: other.one.port })
    one.send(new Uint8Array(70_000), { address: LOOPBACK, port: other.one.port })
    // On Bun the next one may be lost along with what was refused.
    await until(() => {
      one.send(Uint8Array.of(2), { address: LOOPBACK, port: other.one.port })
      return came.length > 0
    })
    assert.equal(came[0]?.bytes, [2])
    await one.close()
    one.send(Uint8Array.of(3), { address: LOOPBACK, port: other.one.port })
    await one.close()
  })

  test.run()
}

function store(runtime: Runtime): void {
  const test = suite('runtime: store')
  const folder = (): string => mkdtempSync(join(tmpdir(), 'mesh-'))

  test('keeps an identity in a folder that its owner alone can read', async () => {
    const at = join(folder(), 'a', 'data')
    const { id } = await loadIdentity(await runtime.openStore(at))
    assert.is((await loadIdentity(await runtime.openStore(at))).id, id)
    assert.is(statSync(at).mode & 0o777, 0o700)
    assert.is(statSync(join(at, 'identity')).mode & 0o777, 0o600)
    assert.equal(readdirSync(at), ['identity'])
  })

  test('refuses an identity that is damaged, or that others can read', async () => {
    const at = folder()
    writeFileSync(join(at, 'identity'), 'half', { mode: 0o600 })
    const store = await runtime.openStore(at)
    assert.is(await codeOf(loadIdentity(store)), 'IDENTITY_CORRUPT')
    writeFileSync(join(at, 'epoch'), 'x', { mode: 0o644 })
    assert.is(await codeOf(store.read('epoch')), 'DATA_UNREADABLE')
  })

  test('says that a folder cannot be used or written to', async () => {
    const at = folder()
    writeFileSync(join(at, 'file'), '')
    assert.is(await codeOf(runtime.openStore(join(at, 'file'))), 'DATA_UNREADABLE')
    mkdirSync(join(at, 'identity'), { mode: 0o700 })
    const store = await runtime.openStore(at)
    assert.is(await codeOf(store.write('identity', Uint8Array.of(1))), 'DATA_UNREADABLE')
    assert.equal(readdirSync(at).sort(), ['file', 'identity'])
    // Read-only for whoever runs this, root too.
    if (process.platform !== 'linux') return
    const fixed = await runtime.openStore('/proc/self/fdinfo')
    assert.is(await codeOf(fixed.write('identity', Uint8Array.of(1))), 'DATA_UNREADABLE')
  })

  test('without a folder, keeps values for the process', async () => {
    const store = await runtime.openStore()
    await store.write('identity', Uint8Array.of(1))
    assert.equal([store.kept, await store.read('identity')], [false, Uint8Array.of(1)])
    assert.is(await (await runtime.openStore()).read('identity'), undefined)
  })

  test.run()
}

function node(runtime: Runtime): void {
  const test = suite('runtime: a node on it')
  const { listen } = ground(runtime, test)

  const start = async (): Promise<{ node: MeshNode; port: number }> => {
    const node = await createNode({
      network: 'test',
      runtime,
      store: await runtime.openStore(),
      log: silentLog,
    })
    const { port } = await listen({ fetch: node.fetch, upgrade: node.upgrade })
    node.setUrls([`http://${LOOPBACK}:${port}`])
    return { node, port }
  }

  for (const { fault, path, outcome, first } of NODE_FAULTS) {
    test(`says ${outcome} to who comes with ${fault}`, async () => {
      const { node, port } = await start()
      if (!first) assert.is(await statusOf(port, upgradeHead(path)), outcome)
      else {
        const raw = await openRaw(port, path)
        raw.send(OP.binary, first)
        assert.is(((await answered(raw)) as { reason: string }).reason, outcome)
      }
      await node.close()
    })
  }

  test('names the runtime in its health', async () => {
    const { node, port } = await start()
    const health = await (await fetch(`http://${LOOPBACK}:${port}/health`)).json()
    assert.is(health.runtime, `${runtime.name} ${runtime.version}`)
    await node.close()
  })

  test.run()
}

/** A server that is no node: it answers as told, then sends these bytes, or reads nothing at all. */
async function badServer(
  answer?: string,
  bytes?: Uint8Array,
): Promise<{ url: string; close(): void }> {
  const server = createServer()
  server.on('upgrade', async ({ headers }, socket) => {
    socket.on('error', () => {})
    if (answer !== undefined) {
      socket.end(answer)
      return
    }
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const hash = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(key))
    const accept = Buffer.from(hash).toString('base64')
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    socket.write(`${head.join('\r\n')}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    closing.push(() => socket.destroy())
    if (bytes) socket.write(bytes)
    // Else nothing of what comes is read.
    else socket.pause()
  })
  const closing: (() => unknown)[] = [() => server.close()]
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve))
  const url = `ws://${LOOPBACK}:${(server.address() as AddressInfo).port}/mesh`
  return { url, close: () => void closing.map((end) => end()) }
}

/** Answers a close as a client should. */
async function answered(raw: RawSocket): Promise<unknown> {
  raw.socket.on('data', (data: Buffer) => {
    if (((data[0] ?? 0) & 0x0f) === OP.close) raw.send(OP.close, Uint8Array.of(3, 233))
  })
  return raw.ended
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'it did not fail',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  )
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(20)
}
