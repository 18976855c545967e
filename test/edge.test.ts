/** The edge as an application has it: joining and closing, what is found, and bad arguments. */

import type { Connection, Edge, HomeStatus, JoinOptions } from '../src/edge/mod.ts'
import { joinMesh } from '../src/edge/mod.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_DISCOVER, MAX_TOPICS_PER_EDGE } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('edge')
const ROOM = { topic: 'room' }

// --- joining and closing ---

test('joins, is known by its id, and keeps it with its identity', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  assert.match(edge.id, /^[0-9a-f]{64}$/)
  assert.is(edge.identity.length, 32)
  assert.equal(edge.home, {
    url: mesh.urlOf(mesh.nodes[0]!),
    nodeId: mesh.nodes[0]!.id,
    state: 'open',
  })
  await edge.close()
  const again = await mesh.edge(mesh.nodes[0]!, { identity: edge.identity })
  assert.is(again.id, edge.id)
  const other = await mesh.edge(mesh.nodes[0]!)
  assert.is.not(other.id, edge.id)
  await mesh.close()
})

test('closing says goodbye, and the edge is out of the directory at once', async () => {
  const mesh = await testMesh(2)
  const edge = await mesh.edge(mesh.nodes[0]!)
  await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  const states: HomeStatus[] = []
  edge.on('home', (status) => states.push(status))
  let byes = 0
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.bye) byes += 1
    return [frame]
  }
  await edge.close()
  await edge.close()
  await mesh.clock.advance(0)
  assert.is(byes, 1)
  assert.is(mesh.nodes[0]!.health().edges, 0)
  await mesh.clock.advance(50)
  assert.is(mesh.nodes[1]!.health().mesh.edges, 0)
  assert.equal(
    states.map(({ state }) => state),
    ['closed'],
  )
  const dialled = mesh.dials.length
  await mesh.clock.advance(60_000)
  assert.is(mesh.dials.length, dialled)
  await mesh.close()
})

test('a closed edge leaves no timer behind', async () => {
  const mesh = await testMesh(1)
  const before = mesh.clock.pending
  const a = await mesh.edge(mesh.nodes[0]!)
  const b = await mesh.edge(mesh.nodes[0]!, { onIncoming: (call) => call.refuse('no') })
  for (const edge of [a, b]) await during(edge.advertise('room'), mesh.clock)
  await during(b.connect(a.id, ROOM), mesh.clock)
  const refused = codeOf(() => a.connect(b.id, { ...ROOM, timeoutMs: 9000 }))
  const waiting = codeOf(() => a.connect(b.id, { topic: 'elsewhere' }))
  await mesh.clock.advance(300)
  for (const edge of [a, b]) await edge.close()
  await Promise.all([refused, waiting])
  // Until the last message between the pretend ends has arrived.
  await mesh.clock.advance(100)
  assert.is(mesh.clock.pending, before)
  await mesh.close()
})

test('can be used with `await using`', async () => {
  const mesh = await testMesh(1)
  {
    await using edge = await mesh.edge(mesh.nodes[0]!)
    assert.is(edge.home.state, 'open')
  }
  await mesh.clock.advance(0)
  assert.is(mesh.nodes[0]!.health().edges, 0)
  await mesh.close()
})

test('a signal aborted before joining dials nobody', async () => {
  const mesh = await testMesh(1)
  const signal = AbortSignal.abort(new Error('why'))
  const error = await mesh.edge(mesh.nodes[0]!, { signal }).catch((cause: unknown) => cause)
  assert.is((error as SignalMeshError).code, 'ABORTED')
  assert.is(((error as SignalMeshError).cause as Error).message, 'why')
  assert.is(mesh.dials.length, 0)
  await mesh.close()
})

test('a signal aborted while joining ends it', async () => {
  const mesh = await testMesh(1)
  mesh.tap = (frame, way) => (way === 'up' ? [] : [frame])
  const stop = new AbortController()
  mesh.clock.after(10, () => stop.abort())
  const startMs = mesh.clock.nowMs()
  const joining = mesh.edge(mesh.nodes[0]!, { signal: stop.signal })
  assert.is(await codeOf(() => joining), 'ABORTED')
  assert.ok(mesh.clock.nowMs() - startMs < 100)
  await mesh.clock.advance(60_000)
  assert.is(mesh.dials.length, 1)
  await mesh.close()
})

test('a signal aborted after joining closes the edge', async () => {
  const mesh = await testMesh(1)
  const stop = new AbortController()
  const edge = await mesh.edge(mesh.nodes[0]!, { signal: stop.signal })
  stop.abort()
  assert.is(edge.home.state, 'closed')
  await mesh.clock.advance(0)
  assert.is(mesh.nodes[0]!.health().edges, 0)
  await mesh.close()
})

test('a signal that outlives its edges keeps none of them', async () => {
  const mesh = await testMesh(1)
  let listening = 0
  const signal = {
    aborted: false,
    reason: undefined,
    addEventListener: () => {
      listening += 1
    },
    removeEventListener: () => {
      listening -= 1
    },
  } as unknown as AbortSignal
  const edge = await mesh.edge(mesh.nodes[0]!, { signal })
  assert.is(listening, 1)
  await edge.close()
  assert.is(listening, 0)
  await mesh.close()
})

// --- finding ---

test('finds the others in a topic, with their homes, and not itself', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await roomOf(mesh, [0, 1])
  const found = await during(a!.discover('room'), mesh.clock)
  assert.equal(found, {
    peers: [{ id: b!.id, home: mesh.nodes[1]!.id, info: new Uint8Array(0) }],
    total: 1,
  })
  assert.equal(await during(a!.discover('elsewhere'), mesh.clock), { peers: [], total: 0 })
  await during(b!.unadvertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  assert.equal(await during(a!.discover('room'), mesh.clock), { peers: [], total: 0 })
  await mesh.close()
})

test('finds as many as are asked for, and counts all', async () => {
  const mesh = await testMesh(2)
  const edges = await roomOf(mesh, Array(8).fill(0))
  for (const limit of [1, 3, 7, 50, 1000]) {
    const { peers, total } = await during(edges[0]!.discover('room', { limit }), mesh.clock)
    assert.is(peers.length, Math.min(limit, 7))
    assert.is(total, 7)
    assert.is(new Set(peers.map(({ id }) => id)).size, peers.length)
  }
  await mesh.close()
})

test('topics with a secret are met only by those who know it', async () => {
  const mesh = await testMesh(1)
  const [a, b, c] = await roomOf(mesh, [0, 0, 0], { name: 'room', secret: 'hush' })
  await during(c!.unadvertise({ name: 'room', secret: 'hush' }), mesh.clock)
  await during(c!.advertise({ name: 'room', secret: 'other' }), mesh.clock)
  await during(c!.advertise('room'), mesh.clock)
  const topic = { name: 'room', secret: 'hush' }
  assert.is((await during(a!.discover(topic), mesh.clock)).total, 1)
  assert.is((await during(c!.discover('room'), mesh.clock)).total, 0)
  const connection = await during(a!.connect(b!.id, { topic }), mesh.clock)
  assert.is(connection.topic, 'room')
  await mesh.close()
})

test('takes at most so many topics, and has room again once one is given up', async () => {
  const mesh = await testMesh(1)
  const [edge] = await roomOf(mesh, [0])
  const all = Array.from({ length: MAX_TOPICS_PER_EDGE - 1 }, (_, i) => edge!.advertise(`t${i}`))
  await during(Promise.all(all), mesh.clock)
  assert.is(await codeOf(() => edge!.advertise('one more')), 'TOO_MANY')
  await during(edge!.advertise('room'), mesh.clock)
  await during(edge!.unadvertise('t0'), mesh.clock)
  await during(edge!.advertise('one more'), mesh.clock)
  await mesh.close()
})

test('an advert that its home refused is as if it had not been asked for', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await roomOf(mesh, [0, 1])
  // The node takes no more requests of this edge for a moment.
  const asked = Array.from({ length: 230 }, () => codeOf(() => a!.discover('room')))
  const refused = codeOf(() => a!.advertise('hall'))
  const codes = await during(Promise.all([...asked, refused]), mesh.clock)
  assert.is(codes.at(-1), 'RATE_LIMITED')
  await mesh.clock.advance(5000)
  const calling = b!.connect(a!.id, { topic: 'hall' })
  assert.is(await codeOf(() => during(calling, mesh.clock)), 'NOT_ADVERTISED')
  assert.is((await during(b!.discover('hall'), mesh.clock)).total, 0)
  await mesh.close()
})

test('what is given up while there is no home stays given up', async () => {
  const mesh = await testMesh(2)
  const [a] = await roomOf(mesh, [0])
  const b = await mesh.edge(mesh.nodes[1]!)
  mesh.dials[0]!.link.close()
  await mesh.clock.advance(0)
  const advertising = a!.advertise('hall')
  await a!.unadvertise('hall')
  await a!.unadvertise('room')
  await during(advertising, mesh.clock)
  await mesh.clock.advance(1000)
  assert.is(a!.home.state, 'open')
  for (const topic of ['room', 'hall']) {
    assert.is((await during(b.discover(topic), mesh.clock)).total, 0)
  }
  await mesh.close()
})

test('records that their edge did not sign are not handed to the application', async () => {
  const mesh = await testMesh(1)
  const [b] = await roomOf(mesh, [0])
  const a = await mesh.edge(mesh.nodes[0]!)
  const { id } = b!
  mesh.tap = (frame, way) => {
    const isAnswer = way === 'down' && frame[0] === FRAME.rpc
    if (isAnswer && frame.length > 100) frame[frame.length - 1]! ^= 1
    return [frame]
  }
  const { peers } = await during(a.discover('room'), mesh.clock)
  assert.equal(peers, [])
  // What edge a was shown of the peer itself was good, so one that was shown nothing has to ask.
  const c = await mesh.edge(mesh.nodes[0]!)
  assert.is(await codeOf(() => during(c.connect(id, ROOM), mesh.clock)), 'BAD_SIGNATURE')
  await mesh.close()
})

// --- events ---

test('a listener that throws harms nobody, and its error goes to the page', async () => {
  const mesh = await testMesh(1)
  const [a, b] = await roomOf(mesh, [0, 0])
  const reported: unknown[] = []
  const scope = globalThis as { reportError?: unknown }
  const before = scope.reportError
  scope.reportError = (error: unknown) => reported.push(error)
  try {
    const throws = (): never => {
      throw new Error('a bug of the application')
    }
    const told: Connection[] = []
    a!.on('connection', throws)
    a!.on('connection', (connection) => told.push(connection))
    a!.on('home', throws)
    const connection = await during(b!.connect(a!.id, ROOM), mesh.clock)
    assert.is(told.length, 1)
    told[0]!.on('message', throws)
    const heard: unknown[] = []
    told[0]!.on('message', (data) => heard.push(data))
    await connection.send('hello')
    await mesh.clock.advance(10)
    assert.equal(heard, ['hello'])
    assert.is(reported.length, 2)
    await a!.close()
    assert.is(reported.length, 3)
    assert.is(a!.home.state, 'closed')
  } finally {
    scope.reportError = before
  }
  await mesh.close()
})

test('a listener is not called any more once it is taken off', async () => {
  const mesh = await testMesh(1)
  const [edge] = await roomOf(mesh, [0])
  let calls = 0
  const off = edge!.on('home', () => (calls += 1))
  off()
  off()
  await edge!.close()
  assert.is(calls, 0)
  await mesh.close()
})

// --- bad arguments ---

test('joining with bad options is a typed error at the call, and dials nobody', async () => {
  const bad: unknown[] = [
    null,
    5,
    {},
    { urls: [] },
    { urls: 'http://127.0.0.1' },
    { urls: 7 },
    { urls: [null] },
    { urls: ['ftp://somewhere'] },
    { urls: ['not a url'] },
    { urls: ['x'.repeat(1e6)] },
    { urls: ['http://127.0.0.1'], network: '' },
    { urls: ['http://127.0.0.1'], network: 5 },
    { urls: ['http://127.0.0.1'], network: '\ud800' },
    { urls: ['http://127.0.0.1'], identity: new Uint8Array(31) },
    { urls: ['http://127.0.0.1'], identity: 'seed' },
    { urls: ['http://127.0.0.1'], iceServers: 'stun:somewhere' },
    { urls: ['http://127.0.0.1'], onIncoming: 'accept' },
    { urls: ['http://127.0.0.1'], signal: {} },
    { urls: ['http://127.0.0.1'], signal: null },
  ]
  for (const options of bad) {
    const error = await joinMesh(options as JoinOptions).catch((cause: unknown) => cause)
    assert.instance(error, SignalMeshError, String(JSON.stringify(options)).slice(0, 80))
    assert.is((error as SignalMeshError).code, 'BAD_ARGUMENT')
    assert.ok((error as SignalMeshError).message.length < 300)
  }
})

test('bad arguments of an edge are typed errors at the call, and nothing else is harmed', async () => {
  const mesh = await testMesh(1)
  const [edge, other] = await roomOf(mesh, [0, 0])
  const a = edge as unknown as Record<string, (...args: unknown[]) => unknown>
  const { id } = other!
  const topics = [
    undefined,
    null,
    '',
    5,
    '\udc00',
    'x'.repeat(5000),
    {},
    { name: 'room', secret: '' },
  ]
  const bad: [string, unknown[]][] = [
    ...topics.flatMap((topic): [string, unknown[]][] => [
      ['advertise', [topic]],
      ['unadvertise', [topic]],
      ['discover', [topic]],
      ['watch', [topic]],
      ['connect', [id, { topic }]],
    ]),
    ...[0, -5, 1.5, Number.NaN, '3', null].map((limit): [string, unknown[]] => [
      'discover',
      ['room', { limit }],
    ]),
    ...[undefined, null, 5, 10n, '', 'zz'.repeat(32), id.slice(1), {}, 'x'.repeat(1e7)].map(
      (peer): [string, unknown[]] => ['connect', [peer, ROOM]],
    ),
    ...[undefined, null, 'room'].map((options): [string, unknown[]] => ['connect', [id, options]]),
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', 2 ** 31].map(
      (timeoutMs): [string, unknown[]] => ['connect', [id, { ...ROOM, timeoutMs }]],
    ),
    ['connect', [id, { ...ROOM, metadata: 'text' }]],
    ['connect', [id, { ...ROOM, signal: 'stop' }]],
    ['watch', ['room', { signal: 'stop' }]],
  ]
  for (const [method, args] of bad) {
    const code = await codeOf(() => a[method]!(...args))
    assert.is(code, 'BAD_ARGUMENT', `${method} ${args.map((arg) => typeof arg)}`)
  }
  const metadata = new Uint8Array(4097)
  assert.is(await codeOf(() => edge!.connect(id, { ...ROOM, metadata })), 'TOO_LARGE')
  assert.is(await codeOf(() => a.on!('home', 'no function')), 'BAD_ARGUMENT')
  assert.is((await during(edge!.discover('room', { limit: MAX_DISCOVER }), mesh.clock)).total, 1)
  assert.is((await during(edge!.connect(id, ROOM), mesh.clock)).state, 'open')
  await mesh.close()
})

/** Edges at the nodes of these numbers, all in one topic. */
async function roomOf(
  mesh: TestMesh,
  at: readonly number[],
  topic: Parameters<Edge['advertise']>[0] = 'room',
): Promise<Edge[]> {
  const edges: Edge[] = []
  for (const node of at) {
    const edge = await mesh.edge(mesh.nodes[node]!)
    await during(edge.advertise(topic), mesh.clock)
    edges.push(edge)
  }
  await mesh.clock.advance(100)
  return edges
}

test.run()
