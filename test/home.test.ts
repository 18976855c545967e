/** The home of an edge: how it is chosen, kept, lost and found again, and what a bad one can do. */

import { writer } from '../src/bytes.ts'
import { randomBytes } from '../src/crypto.ts'
import { createDialling, type Loss, socketUrl } from '../src/edge/dialling.ts'
import type { Edge, HomeStatus } from '../src/edge/mod.ts'
import { type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import {
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  HEARTBEAT_MS,
  JOIN_TIMEOUT_MS,
  RECORD_TTL_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import {
  decodeFound,
  encodeBye,
  encodeHello,
  encodeWelcome,
  FRAME,
  type Hello,
  PONG,
} from '../src/messages.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import { signPresence } from '../src/records.ts'
import { EDGE_METHOD } from '../src/rpc.ts'
import { topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, memoryStore, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf, NETWORK, provenEdge, rawEdge } from './support/rawedge.ts'

const test = suite('home')
const HOUR_MS = 3_600_000
const ROOM = { topic: 'room' }

// --- dialling ---

const GIVEN = ['http://one', 'http://two', 'http://three']
const loss = (url: string, code: ErrorCode, changes: Partial<Loss> = {}): Loss => ({
  url,
  error: new SignalMeshError(code, ''),
  openMs: 0,
  ...changes,
})

test('homes are tried in turn, ever more slowly, up to a bound', () => {
  const dialling = createDialling(GIVEN, () => 1)
  const tried: string[] = []
  const waitsMs = Array.from({ length: 9 }, () => {
    tried.push(dialling.url)
    return dialling.lost(loss(dialling.url, 'NO_HOME'))
  })
  assert.equal(tried.slice(0, 4), [...GIVEN, GIVEN[0]])
  assert.equal(
    waitsMs.slice(0, 4),
    [1, 2, 4, 8].map((times) => times * BACKOFF_FIRST_MS),
  )
  assert.is(waitsMs.at(-1), BACKOFF_MAX_MS)
})

test('waits are jittered, by half and in whole milliseconds', () => {
  for (const random of [0, 0.123, 0.5, 1]) {
    const dialling = createDialling(GIVEN, () => random)
    const waitMs = dialling.lost(loss(GIVEN[0]!, 'NO_HOME'))
    assert.is(waitMs, Math.round(BACKOFF_FIRST_MS * (0.5 + random / 2)))
  }
})

test('a home that held is left at once, one that drops edges right away is not', () => {
  const dialling = createDialling(GIVEN, () => 1)
  for (let i = 0; i < 5; i++) dialling.lost(loss(dialling.url, 'NO_HOME'))
  dialling.opened(GIVEN[0]!, [])
  assert.ok(dialling.lost(loss(GIVEN[0]!, 'NO_HOME', { openMs: HOUR_MS })) <= BACKOFF_FIRST_MS)
  const waitsMs = Array.from({ length: 6 }, () => {
    const { url } = dialling
    dialling.opened(url, [])
    return dialling.lost(loss(url, 'NO_HOME', { openMs: 10 }))
  })
  assert.ok(waitsMs.at(-1)! > 5000, `${waitsMs}`)
})

test('a home that names a time to wait is given it, within the bound', () => {
  const after = (retryAfterMs: number) =>
    createDialling(GIVEN, () => 0).lost(
      loss(GIVEN[0]!, 'RATE_LIMITED', {
        error: new SignalMeshError('RATE_LIMITED', '', { retryAfterMs }),
      }),
    )
  assert.is(after(3000), 3000)
  assert.is(after(2 ** 32 - 1), BACKOFF_MAX_MS)
})

test('a home is tried again where that may help, but only once in a row', () => {
  for (const code of ['STALE_RECORD', 'CLOCK_SKEW'] as const) {
    const dialling = createDialling(GIVEN, () => 0)
    dialling.lost(loss(GIVEN[0]!, code))
    assert.is(dialling.url, GIVEN[0])
    dialling.lost(loss(GIVEN[0]!, code))
    assert.is(dialling.url, GIVEN[1])
  }
})

test('homes that a home named are tried after those given, and none nearer than that home', () => {
  const dialling = createDialling(['https://one.example'], () => 0)
  dialling.opened('https://one.example', [
    'https://two.example',
    'http://127.0.0.1:1',
    'http://192.168.0.1',
    'https://one.example',
    'no url',
  ])
  dialling.lost(loss('https://one.example', 'NO_HOME', { openMs: HOUR_MS }))
  assert.is(dialling.url, 'https://two.example')
  dialling.lost(loss('https://two.example', 'NO_HOME'))
  assert.is(dialling.url, 'https://one.example')
})

test('it is hopeless when every home given refuses for good, before any took the edge', () => {
  const dialling = createDialling(GIVEN.slice(0, 2), () => 0)
  dialling.lost(loss(GIVEN[0]!, 'NETWORK_MISMATCH'))
  assert.not(dialling.hopeless)
  dialling.lost(loss(GIVEN[1]!, 'NO_HOME'))
  assert.not(dialling.hopeless)
  dialling.lost(loss(GIVEN[1]!, 'BAD_AUTHORITY'))
  assert.ok(dialling.hopeless)
  dialling.opened(GIVEN[0]!, [])
  assert.not(dialling.hopeless)
})

test('sockets are dialled at the path /edge, in the scheme that suits the URL', () => {
  assert.is(socketUrl('http://127.0.0.1:4680'), 'ws://127.0.0.1:4680/edge')
  assert.is(socketUrl('https://mesh.example/'), 'wss://mesh.example/edge')
  assert.is(socketUrl('wss://mesh.example/a/b/'), 'wss://mesh.example/a/b/edge')
  const tags = [new Uint8Array(32), new Uint8Array(32).fill(255)]
  assert.is(
    socketUrl('http://127.0.0.1:4680', { tags, peer: 'ab'.repeat(32) }),
    `ws://127.0.0.1:4680/edge?t=${'0'.repeat(64)}&t=${'f'.repeat(64)}&p=${'ab'.repeat(32)}`,
  )
})

// --- joining ---

test('an edge that finds no home in time says so, and why', async () => {
  const mesh = await testMesh(1)
  const node = mesh.nodes[0]!
  mesh.kill(node)
  const startMs = mesh.clock.nowMs()
  const error = await mesh.edge(node).catch((cause: unknown) => cause as SignalMeshError)
  assert.is((error as SignalMeshError).code, 'NO_HOME')
  assert.match((error as SignalMeshError).message, mesh.urlOf(node))
  const tookMs = mesh.clock.nowMs() - startMs
  assert.ok(tookMs >= JOIN_TIMEOUT_MS && tookMs < JOIN_TIMEOUT_MS + 200, `${tookMs}`)
  const dialled = mesh.dials.length
  await mesh.clock.advance(60_000)
  assert.is(mesh.dials.length, dialled, 'it does not go on')
  await mesh.close()
})

test('joining another network is refused at once and by name', async () => {
  const mesh = await testMesh(2)
  const startMs = mesh.clock.nowMs()
  const joining = mesh.edge(mesh.nodes, { network: 'other' })
  assert.is(await codeOf(() => joining), 'NETWORK_MISMATCH')
  assert.ok(mesh.clock.nowMs() - startMs < 1000)
  assert.is(mesh.dials.length, 2, 'each URL was asked')
  await mesh.close()
})

test('joining a node that speaks other versions is refused at once and by name', async () => {
  const mesh = await testMesh(1)
  const dial = fakeHome((home) => home.hello({ versions: [7, 8] }))
  const error = await mesh
    .edge(mesh.nodes[0]!, {}, { dial })
    .catch((cause: unknown) => cause as SignalMeshError)
  assert.is((error as SignalMeshError).code, 'VERSION_MISMATCH')
  assert.match((error as SignalMeshError).message, 'speaks version 7, 8, not 1')
  await mesh.close()
})

test('joining under a name that the node does not go by is refused at once', async () => {
  const mesh = await testMesh(0)
  const node = await makeNode(mesh, { publicUrls: ['https://mesh.example'] })
  const error = await mesh.edge(node).catch((cause: unknown) => cause as SignalMeshError)
  assert.is((error as SignalMeshError).code, 'BAD_AUTHORITY')
  assert.match((error as SignalMeshError).message, '--public-url')
  await mesh.close()
})

test('one URL that refuses for good does not keep an edge from another', async () => {
  const mesh = await testMesh(1)
  const other = await makeNode(mesh, { network: 'other' })
  const edge = await mesh.edge([other, mesh.nodes[0]!])
  assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
  await mesh.close()
})

test('a URL that cannot even be dialled is one that does not answer', async () => {
  const mesh = await testMesh(2)
  const dial = (url: string): Link => {
    if (url.includes(':5000')) throw new DOMException('An insecure socket', 'SecurityError')
    return mesh.dial(url)
  }
  const edge = await mesh.edge(mesh.nodes, {}, { dial })
  assert.is(edge.home.nodeId, mesh.nodes[1]!.id)
  await mesh.close()
})

// --- moving ---

test('an edge whose home is killed is back at another with id, topics and connections', async () => {
  const mesh = await testMesh(3)
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const a = await mesh.edge([n0, n1])
  const b = await mesh.edge(n2)
  for (const edge of [a, b]) await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  const connection = await during(a.connect(b.id, ROOM), mesh.clock)
  await mesh.clock.advance(HEARTBEAT_MS)
  const { id } = a
  mesh.kill(n0)
  await mesh.clock.advance(1000)
  assert.equal(a.home, { url: mesh.urlOf(n1), nodeId: n1.id, state: 'open' })
  assert.is(a.id, id)
  assert.is(connection.state, 'open')
  const { peers } = await during(b.discover('room'), mesh.clock)
  assert.equal(peers, [{ id, home: n1.id, info: new Uint8Array(0) }])
  const c = await mesh.edge(n2)
  await during(c.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  const anew = await during(c.connect(a.id, ROOM), mesh.clock)
  assert.is(anew.state, 'open')
  await mesh.close()
})

test('a signal under way when the home dies goes again through the next one', async () => {
  const mesh = await testMesh(3)
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const a = await mesh.edge([n0, n1])
  const b = await mesh.edge(n2)
  for (const edge of [a, b]) await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(HEARTBEAT_MS)
  mesh.tap = (frame, way) => (way === 'up' && frame[0] === FRAME.signal ? [] : [frame])
  const calling = a.connect(b.id, ROOM)
  await mesh.clock.advance(100)
  mesh.tap = undefined
  mesh.kill(n0)
  const startMs = mesh.clock.nowMs()
  const connection = await during(calling, mesh.clock)
  assert.is(connection.state, 'open')
  assert.ok(mesh.clock.nowMs() - startMs < 1000, 'it waits for no time-out')
  await mesh.close()
})

test('a request under way when the home dies is answered by the next one', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const a = await mesh.edge([n0, n1])
  mesh.tap = (frame, way) => (way === 'up' && frame[0] === FRAME.rpc ? [] : [frame])
  const asking = a.discover('room')
  const advertising = a.advertise('room')
  await mesh.clock.advance(20_000 - HEARTBEAT_MS - 1000)
  mesh.tap = undefined
  mesh.kill(n0)
  assert.equal(await during(asking, mesh.clock), { peers: [], total: 0 })
  await during(advertising, mesh.clock)
  assert.is(a.home.nodeId, n1.id)
  await mesh.close()
})

test('a home that stops says so, and its edges move at once', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const a = await mesh.edge([n0, n1])
  const b = await mesh.edge(n1)
  await during(a.advertise('room'), mesh.clock)
  await mesh.clock.advance(HEARTBEAT_MS + 1000)
  const states: HomeStatus[] = []
  a.on('home', (status) => states.push(status))
  await n0.close()
  await mesh.clock.advance(BACKOFF_FIRST_MS)
  assert.equal(
    states.map(({ state, nodeId }) => [state, nodeId]),
    [
      ['connecting', ''],
      ['connecting', ''],
      ['open', n1.id],
    ],
  )
  const { peers } = await during(b.discover('room'), mesh.clock)
  assert.equal(peers, [{ id: a.id, home: n1.id, info: new Uint8Array(0) }])
  await mesh.close()
})

test('edges of a home that stops leave the directory at once', async () => {
  const mesh = await testMesh(2)
  const gone = await provenEdge(mesh, mesh.nodes[0]!)
  await mesh.clock.advance(100)
  assert.is(mesh.nodes[1]!.health().mesh.edges, 1)
  await mesh.nodes[0]!.close()
  await mesh.clock.advance(100)
  assert.is(gone.bye?.code, 'GOING_AWAY')
  assert.is(mesh.nodes[1]!.health().mesh.edges, 0)
  await mesh.close()
})

test('an edge learns of other homes from its home, and goes there though none was given', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  await mesh.clock.advance(HEARTBEAT_MS)
  const a = await mesh.edge(n0)
  mesh.kill(n0)
  await mesh.clock.advance(2000)
  assert.is(a.home.nodeId, n1.id)
  await mesh.close()
})

test('an edge without any home tries ever more rarely, and is back when one is', async () => {
  const mesh = await testMesh(1)
  const node = mesh.nodes[0]!
  const edge = await mesh.edge(node)
  await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(60_000)
  const before = mesh.dials.length
  mesh.kill(node)
  await mesh.clock.advance(600_000)
  const atMs = mesh.dials.slice(before).map((dial) => dial.atMs)
  const gapsMs = atMs.slice(1).map((at, i) => at - atMs[i]!)
  assert.ok(gapsMs[0]! <= BACKOFF_FIRST_MS, `${gapsMs}`)
  assert.ok(Math.max(...gapsMs) <= BACKOFF_MAX_MS)
  assert.ok(Math.min(...gapsMs.slice(-10)) >= BACKOFF_MAX_MS / 2)
  assert.ok(new Set(gapsMs.slice(-10)).size > 5, 'the waits differ')
  assert.is(await codeOf(() => during(edge.discover('room'), mesh.clock)), 'NO_HOME')
  const back = await makeNode(mesh, {}, mesh.urlOf(node))
  await mesh.clock.advance(BACKOFF_MAX_MS)
  assert.is(edge.home.nodeId, back.id)
  assert.is(back.health().mesh.edges, 1)
  const other = await mesh.edge(back)
  assert.is((await during(other.discover('room'), mesh.clock)).total, 1)
  await mesh.close()
})

// --- one session for each edge ---

test('an edge that another session takes over ends for good and says so', async () => {
  for (const home of [0, 1]) {
    const mesh = await testMesh(2)
    const first = await mesh.edge(mesh.nodes[0]!)
    const errors: SignalMeshError[] = []
    first.on('error', (error) => errors.push(error))
    await mesh.clock.advance(1000)
    const second = await mesh.edge(mesh.nodes[home]!, { identity: first.identity })
    await mesh.clock.advance(HEARTBEAT_MS + 100)
    assert.equal(
      errors.map(({ code }) => code),
      ['REPLACED'],
    )
    assert.is(first.home.state, 'closed')
    const dialled = mesh.dials.length
    await mesh.clock.advance(300_000)
    assert.is(mesh.dials.length, dialled, 'neither of them fights')
    assert.is(second.home.state, 'open')
    assert.is(await codeOf(() => first.discover('room')), 'CLOSED')
    await mesh.close()
  }
})

test('a home that only says that another session took over is left, not believed', async () => {
  const mesh = await testMesh(2)
  const edge = await mesh.edge(mesh.nodes)
  const errors: SignalMeshError[] = []
  edge.on('error', (error) => errors.push(error))
  const forged = [undefined, randomBytes(200), presenceOf(makeIdentity().seed)]
  for (const evidence of forged) {
    const error = new SignalMeshError('REPLACED', '', evidence ? { evidence } : {})
    for (const { far } of [...mesh.dials, ...mesh.standbys]) far.send(encodeBye(error))
    await mesh.clock.advance(60_000)
    assert.is(edge.home.state, 'open')
  }
  assert.equal(errors, [])
  await mesh.close()
})

// --- clocks and records ---

test('a record outdone by a newer one is signed above it, at the same home', async () => {
  const mesh = await testMesh(2)
  const identity = makeIdentity()
  const ahead = await rawEdge(mesh, mesh.nodes[0]!, { identity })
  const seq = mesh.clock.nowMs() + 300_000
  await ahead.send(ahead.proof({ presence: ahead.presence({ seq }) }))
  await mesh.clock.advance(100)
  const edge = await mesh.edge(mesh.nodes, { identity: identity.seed })
  assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
  assert.is(mesh.dials.length, 3)
  await mesh.clock.advance(100)
  assert.is(ahead.bye?.code, 'REPLACED')
  await mesh.close()
})

test('clocks a day wrong at an edge or a node keep nobody from anybody', async () => {
  const mesh = await testMesh(1)
  const { clock } = mesh
  const wrong = (byMs: number) => ({
    ...clock,
    nowMs: () => clock.nowMs() + byMs,
    monotonicMs: () => clock.monotonicMs() + byMs,
  })
  const node = await makeNode(mesh, { clock: wrong(-24 * HOUR_MS) }, 'http://127.0.0.1:6000')
  const edges: Edge[] = []
  for (const byMs of [-24 * HOUR_MS, 24 * HOUR_MS, 0]) {
    edges.push(await mesh.edge(mesh.nodes[0]!, {}, { clock: wrong(byMs) }))
    edges.push(await mesh.edge(node, {}, { clock: wrong(byMs) }))
  }
  for (const edge of edges) await during(edge.advertise('room'), clock)
  for (const at of [0, 1]) {
    const asker = edges[at] as Edge
    assert.is((await during(asker.discover('room'), clock)).total, 2)
  }
  for (const from of [0, 1]) {
    const to = edges[from + 2] as Edge
    assert.is((await during((edges[from] as Edge).connect(to.id, ROOM), clock)).state, 'open')
  }
  await mesh.close()
})

test('an edge whose clock is set to another day while it is at home goes on as before', async () => {
  for (const stepMs of [-24 * HOUR_MS, 24 * HOUR_MS]) {
    const mesh = await testMesh(2)
    let byMs = 0
    const clock = { ...mesh.clock, nowMs: () => mesh.clock.nowMs() + byMs }
    const edge = await mesh.edge(mesh.nodes[0]!, { topics: ['room'] }, { clock })
    const other = await mesh.edge(mesh.nodes[1]!)
    const dialled = mesh.dials.length
    byMs = stepMs
    await during(edge.advertise('hall'), mesh.clock)
    for (let minute = 0; minute < 130; minute++) await mesh.clock.advance(60_000)
    for (const topic of ['room', 'hall']) {
      assert.is((await during(other.discover(topic), mesh.clock)).total, 1)
    }
    assert.is(mesh.dials.length, dialled, 'with the session that it has')
    await mesh.close()
  }
})

test('an edge whose home was a day ahead or behind is taken at one whose clock is right', async () => {
  for (const aheadMs of [-24 * HOUR_MS, 24 * HOUR_MS]) {
    const mesh = await testMesh(1)
    const { clock } = mesh
    const wrong = await makeNode(mesh, {
      clock: { ...clock, nowMs: () => clock.nowMs() + aheadMs },
    })
    const edge = await mesh.edge([wrong, mesh.nodes[0]!], { topics: ['room'] })
    assert.is(edge.home.nodeId, wrong.id)
    mesh.kill(wrong)
    await clock.advance(2000)
    assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
    const other = await mesh.edge(mesh.nodes[0]!)
    assert.is((await during(other.discover('room'), clock)).peers[0]?.id, edge.id)
    await mesh.close()
  }
})

test('a home whose clock is far off does not spoil the edge for the others', async () => {
  const mesh = await testMesh(1)
  const inFiftyYears = mesh.clock.nowMs() + 50 * 365 * 24 * HOUR_MS
  for (const nowMs of [inFiftyYears, Number.MAX_SAFE_INTEGER]) {
    let drops = 0
    const liar = fakeHome((home) => {
      home.hello({ nowMs })
      home.welcomeAfterProof(() => drops++)
    })
    const dial = (url: string): Link => (url.includes('liar') ? liar(url) : mesh.dial(url))
    const edge = await mesh.edge(
      mesh.nodes[0]!,
      { urls: ['http://liar', mesh.urlOf(mesh.nodes[0]!)] },
      { dial },
    )
    await mesh.clock.advance(30_000)
    assert.is(edge.home.nodeId, mesh.nodes[0]!.id, `${nowMs}, ${drops}`)
    await edge.close()
  }
  await mesh.close()
})

test('a home that always finds the records stale does not hold the edge', async () => {
  const mesh = await testMesh(1)
  for (const evidence of [undefined, randomBytes(300), presenceOf(makeIdentity().seed)]) {
    const stale = new SignalMeshError('STALE_RECORD', '', evidence ? { evidence } : {})
    let dials = 0
    const liar = fakeHome((home) => {
      dials += 1
      home.hello()
      home.link.subscribe((frame) => {
        if (frame[0] === FRAME.proof) home.link.send(encodeBye(stale))
      })
    })
    const dial = (url: string): Link => (url.includes('liar') ? liar(url) : mesh.dial(url))
    const urls = ['http://liar', mesh.urlOf(mesh.nodes[0]!)]
    const edge = await mesh.edge(mesh.nodes[0]!, { urls }, { dial })
    assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
    assert.is(dials, 2)
    await edge.close()
  }
  await mesh.close()
})

test('a home that does not prove its NodeId is none', async () => {
  const mesh = await testMesh(1)
  const impostor = fakeHome((home) => {
    home.hello({ nodeKey: makeIdentity().keys.publicKey })
    home.link.subscribe((frame) => {
      if (frame[0] !== FRAME.proof) return
      home.link.send(encodeWelcome({ signature: randomBytes(64), otherHomes: [] }))
    })
  })
  const error = await mesh
    .edge(mesh.nodes[0]!, {}, { dial: impostor })
    .catch((cause: unknown) => cause as SignalMeshError)
  assert.is((error as SignalMeshError).code, 'NO_HOME')
  assert.match((error as SignalMeshError).message, 'did not prove its NodeId')
  await mesh.close()
})

test('what a home says before it has taken the edge is not heard', async () => {
  const mesh = await testMesh(1)
  for (const kind of [FRAME.push, FRAME.signal, FRAME.rpc, FRAME.welcome, 200]) {
    const early = fakeHome((home) => home.link.send(Uint8Array.of(kind, ...randomBytes(80))))
    const dial = (url: string): Link => (url.includes('early') ? early(url) : mesh.dial(url))
    const urls = ['http://early', mesh.urlOf(mesh.nodes[0]!)]
    const edge = await mesh.edge(mesh.nodes[0]!, { urls }, { dial })
    assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
    await edge.close()
  }
  await mesh.close()
})

test('an edge that signs again every hour stays in the directory, whatever it advertises', async () => {
  const mesh = await testMesh(2)
  const a = await mesh.edge(mesh.nodes[0]!)
  for (const topic of ['room', 'hall']) await during(a.advertise(topic), mesh.clock)
  const b = await mesh.edge(mesh.nodes[1]!)
  const dialled = mesh.dials.length
  for (let hour = 0; hour < 5; hour++) {
    for (let minute = 0; minute < 60; minute++) await mesh.clock.advance(60_000)
    for (const topic of ['room', 'hall']) {
      const { peers } = await during(b.discover(topic), mesh.clock)
      assert.equal(peers, [{ id: a.id, home: mesh.nodes[0]!.id, info: new Uint8Array(0) }])
    }
  }
  assert.is(mesh.dials.length, dialled, 'without a new session')
  await mesh.close()
})

test('an idle edge signs one record an hour, whatever its topics', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  for (const topic of ['room', 'hall', 'yard']) await during(edge.advertise(topic), mesh.clock)
  const methods: number[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.rpc) methods.push(frame[5] as number)
    return [frame]
  }
  for (let minute = 0; minute < 4 * 60; minute++) await mesh.clock.advance(60_000)
  const asked = methods.filter((method) => method === EDGE_METHOD.ice).length
  assert.ok(methods.length - asked >= 3 && methods.length - asked <= 4, String(methods))
  // A node alone knows few servers for ICE.
  assert.ok(asked <= 14, 'and asks for more of them ever more seldom')
  assert.equal([...new Set(methods)].sort(), [EDGE_METHOD.renew, EDGE_METHOD.ice])
  await mesh.close()
})

test('an edge signs its adverts again well before they are over', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  await during(edge.advertise('room'), mesh.clock)
  for (let minute = 0; minute < 15 * 60; minute++) await mesh.clock.advance(60_000)
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const body = writer().bytes(topicTag('test', 'room')).u8(1).done()
  const answer = raw.request(EDGE_METHOD.discover, body)
  await mesh.clock.advance(0)
  const [found] = decodeFound(answer()).found
  assert.ok(found!.presence.seq > mesh.clock.nowMs() - 1.2 * HOUR_MS)
  assert.ok(found!.advert.seq > mesh.clock.nowMs() - 5 * HOUR_MS)
  assert.is(found!.advert.ttlMs, 24 * HOUR_MS)
  await mesh.close()
})

test('an edge that does not sign again leaves the directory, though its socket lives', async () => {
  const mesh = await testMesh(2)
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  await raw.send(raw.proof({ adverts: [raw.advert(topicTag('test', 'room'))] }))
  raw.link.subscribe((frame) => frame[0] === FRAME.ping && raw.link.send(PONG))
  const b = await mesh.edge(mesh.nodes[1]!)
  for (let ms = 0; ms < RECORD_TTL_MS - 60_000; ms += 60_000) await mesh.clock.advance(60_000)
  assert.is((await during(b.discover('room'), mesh.clock)).peers.length, 1)
  await mesh.clock.advance(60_000 + 2 * HEARTBEAT_MS)
  assert.equal((await during(b.discover('room'), mesh.clock)).total, 0)
  assert.ok(raw.isClosed)
  await mesh.close()
})

// --- helpers ---

async function makeNode(
  mesh: TestMesh,
  options: Partial<Parameters<typeof createNode>[0]> = {},
  url = 'http://127.0.0.1:6100',
): Promise<MeshNode> {
  const node = await createNode({
    network: 'test',
    runtime: { name: 'node', version: 'test' },
    store: memoryStore(),
    log: silentLog,
    clock: mesh.clock,
    ...options,
  })
  mesh.adopt(node, url)
  return node
}

interface FakeHome {
  readonly link: Link
  hello(changes?: Partial<Hello>): void
  /** Takes the edge on as a home does, and drops it again after a while. */
  welcomeAfterProof(then: () => void): void
}

/** A home by hand: `act` is called with each socket. */
function fakeHome(act: (home: FakeHome) => void): (url: string) => Link {
  const identity = makeIdentity()
  return () => {
    const [near, far] = linkPair()
    const challenge = randomBytes(32)
    act({
      link: far,
      hello: (changes = {}) =>
        far.send(
          encodeHello({
            versions: [1],
            features: new Uint8Array(8),
            nodeKey: identity.keys.publicKey,
            networks: [NETWORK],
            challenge,
            nowMs: 1_800_000_000_000,
            topics: [],
            held: undefined,
            ...changes,
          }),
        ),
      welcomeAfterProof: (then) => {
        far.subscribe((frame) => {
          if (frame[0] !== FRAME.proof) return
          then()
          far.send(encodeBye(new SignalMeshError('GOING_AWAY', '')))
        })
      },
    })
    return near
  }
}

/** A presence of somebody else. */
function presenceOf(seed: Uint8Array): Uint8Array {
  const { keys } = makeIdentity(seed)
  return signPresence(NETWORK, keys, {
    homeKey: randomBytes(32),
    boxKey: randomBytes(32),
    seq: 2 ** 50,
    ttlMs: 1000,
  }).bytes
}

test.run()
