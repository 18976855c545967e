/** How the rest of the client comes: fetched again where that fails, over the socket that opens meanwhile. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws'
import { grown } from '../build.ts'
import { manualClock } from '../src/clock.ts'
import { fetchAgain } from '../src/edge/loading.ts'
import { type Opening, openFirst, openSocket, takeOnce } from '../src/edge/opening.ts'
import { linkOver } from '../src/edge/socket.ts'
import { SignalMeshError } from '../src/errors.ts'
import { JOIN_TIMEOUT_MS } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('loading')

test('fetches again what could not be fetched, each time a little later', async () => {
  const clock = manualClock(0)
  const atMs: number[] = []
  const loaded = fetchAgain(clock, async () => {
    atMs.push(clock.nowMs())
    if (atMs.length < 4) throw new TypeError('Failed to fetch')
    return 'the rest'
  })
  await clock.advance(10_000)
  assert.is(await loaded, 'the rest')
  assert.equal(atMs, [0, 500, 1500, 3500])
  assert.is(clock.pending, 0)
})

test('gives up with a typed error that says what to do, and begins anew when asked again', async () => {
  const clock = manualClock(0)
  let isServed = false
  let fetches = 0
  const fetch = async (): Promise<string> => {
    fetches += 1
    if (!isServed) throw new TypeError('Failed to fetch')
    return 'the rest'
  }
  const error = failureOf(fetchAgain(clock, fetch))
  await clock.advance(10_000)
  assert.is((await error)?.code, 'LOAD_FAILED')
  assert.match((await error)?.message ?? '', /load the page anew/)
  assert.match(String((await error)?.cause), /Failed to fetch/)
  assert.is(fetches, 4)
  isServed = true
  assert.is(await fetchAgain(clock, fetch), 'the rest')
})

test('waits for a fetch no longer than joining may take', async () => {
  const clock = manualClock(0)
  let code = 'none yet'
  void failureOf(fetchAgain(clock, () => new Promise(() => {}))).then((error) => {
    code = String(error?.code)
  })
  await clock.advance(JOIN_TIMEOUT_MS - 1)
  assert.is(code, 'none yet')
  await clock.advance(1)
  assert.is(code, 'LOAD_FAILED')
})

test('a socket that opened, brought a frame and closed meanwhile is heard as any other', async () => {
  await withServer(async (url, accepted) => {
    const opening = openSocket(url)
    const server = await accepted()
    server.send(Uint8Array.of(1, 2))
    server.close()
    await once(opening.webSocket, 'close')
    const frames: number[][] = []
    const link = linkOver(opening)
    link.subscribe((frame) => frames.push([...frame]))
    assert.equal(frames, [], 'nothing comes in the turn that makes the link')
    assert.is(await link.closed, 'The socket closed')
    assert.equal(frames, [[1, 2]])
  })
})

test('frames before and after the link is made come in their order, and it sends at once', async () => {
  await withServer(async (url, accepted) => {
    const opening = openSocket(url)
    const server = await accepted()
    server.send(Uint8Array.of(1))
    await until(() => opening.early.length === 1)
    const link = linkOver(opening)
    const frames: number[][] = []
    link.subscribe((frame) => frames.push([...frame]))
    const heard = once(server, 'message')
    link.send(Uint8Array.of(7))
    assert.equal([...(await heard)[0]], [7])
    server.send(Uint8Array.of(2))
    await until(() => frames.length === 2)
    assert.equal(frames, [[1], [2]])
    link.close()
    await link.closed
  })
})

test('more frames than may wait close the socket', async () => {
  await withServer(async (url, accepted) => {
    const opening = openSocket(url)
    const server = await accepted()
    for (let i = 0; i < 100; i++) server.send(Uint8Array.of(i))
    await once(server, 'close')
    assert.ok(opening.early.length < 100)
  })
})

test('a socket whose home is not asked for after all is closed, and not used', async () => {
  await withServer(async (url) => {
    const opening = openSocket(url)
    const other = takeOnce(opening)(`${url}/other`)
    assert.is.not(other.webSocket, opening.webSocket)
    assert.is(opening.webSocket.readyState, WebSocket.CLOSING)
    other.webSocket.close()
  })
})

test('the first socket names what joining names, and none is opened where joining opens none', async () => {
  await withServer(async (url) => {
    const options = { urls: [url.replace('ws', 'http')], topics: ['a', 'b', 'a'] }
    const opening = openFirst(options) as Opening
    assert.is(new URL(opening.url).searchParams.getAll('t').length, 2)
    opening.webSocket.close()
    assert.is(openFirst({ ...options, signal: AbortSignal.abort() }), undefined)
    assert.throws(() => openFirst({ ...options, network: '' }), /network/)
  })
})

test('the build lets a figure grow by 2 % over the committed one and no further', () => {
  const committed = { beforeTheFirstConnection: 1_000, allTold: 2_000, inOneFile: 3_000 }
  assert.equal(grown(committed, committed), [])
  assert.equal(grown({ ...committed, allTold: 2_040, inOneFile: 10 }, committed), [])
  const [text, ...more] = grown({ ...committed, allTold: 2_041 }, committed)
  assert.match(text ?? '', /allTold: 2041 B/)
  assert.equal(more, [])
})

test.run()

async function failureOf(promise: Promise<unknown>): Promise<SignalMeshError | undefined> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  return error instanceof SignalMeshError ? error : undefined
}

async function withServer(
  run: (url: string, accepted: () => Promise<ServerSocket>) => Promise<void>,
): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  try {
    const accepted = async (): Promise<ServerSocket> => (await once(server, 'connection'))[0]
    await run(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, accepted)
  } finally {
    for (const client of server.clients) client.terminate()
    server.close()
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}
