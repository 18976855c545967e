/** Joining: what the first frames of node and edge carry, so that a newcomer waits for as little as can be. */

import { toHex } from '../src/bytes.ts'
import { randomBytes } from '../src/crypto.ts'
import type { Connection, Edge, JoinOptions, Peer } from '../src/edge/mod.ts'
import { SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import {
  HEARTBEAT_MS,
  MAX_HELLO_BYTES,
  MAX_INFO_BYTES,
  MAX_NAMED_TOPICS,
  MAX_SAMPLE,
  SAMPLES_BURST,
  SAMPLES_PER_SECOND,
  STANDBY_AFTER_MS,
} from '../src/limits.ts'
import {
  decodeHello,
  decodeProof,
  encodeBye,
  encodeWelcome,
  FRAME,
  type Hello,
} from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { CLASS, classOf, toOf } from '../src/signal.ts'
import { topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { rawEdge } from './support/rawedge.ts'

const test = suite('joining')
const TAG = topicTag('test', 'room')
const LEG_MS = 25

/** The first frame of a node to a socket whose upgrade has this query. */
async function helloFor(
  mesh: TestMesh,
  node: MeshNode,
  query: string,
  remoteAddress?: string,
): Promise<{ frame: Uint8Array; fields: Hello }> {
  const frames: Uint8Array[] = []
  const link = mesh.dial(`${mesh.urlOf(node)}/edge${query}`, remoteAddress)
  link.subscribe((frame) => void frames.push(frame.slice()))
  await mesh.clock.advance(0)
  link.close()
  return { frame: frames[0] as Uint8Array, fields: decodeHello(frames[0] as Uint8Array) }
}

const named = (...tags: Uint8Array[]): string =>
  `?${tags.map((tag) => `t=${toHex(tag)}`).join('&')}`

// --- the node's first frame ---

test('a node’s first frame tells of the topics that the upgrade names', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const edge = await mesh.edge(n1, { topics: ['room'] })
  await mesh.clock.advance(100)
  const { fields } = await helloFor(mesh, n0, named(TAG, topicTag('test', 'hall')))
  const [room, hall] = fields.topics
  assert.equal([room?.tag, hall?.tag], [TAG, topicTag('test', 'hall')])
  assert.equal([room?.total, hall?.total], [1, 0])
  assert.is(room?.found[0]?.presence.peer, edge.id)
  assert.is(room?.found[0]?.advert.tag, toHex(TAG))
  assert.equal((await helloFor(mesh, n0, '')).fields.topics, [])
  await mesh.close()
})

test('a first frame stays small, however many are in the topics and however much they say', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const tags = Array.from({ length: MAX_NAMED_TOPICS }, (_, i) => topicTag('test', `${i}`))
  for (let i = 0; i < 3 * MAX_SAMPLE; i++) {
    const raw = await rawEdge(mesh, node)
    const adverts = tags.map((tag) => raw.advert(tag, { info: randomBytes(MAX_INFO_BYTES) }))
    await raw.send(raw.proof({ adverts }))
  }
  for (const count of [1, 2, 3, 4]) {
    const { frame, fields } = await helloFor(mesh, node, named(...tags.slice(0, count)))
    const found = fields.topics.flatMap((topic) => topic.found)
    assert.ok(found.length <= MAX_SAMPLE && found.length > MAX_SAMPLE / 2, `${found.length}`)
    assert.ok(frame.length <= MAX_HELLO_BYTES)
    for (const { total } of fields.topics) assert.is(total, 3 * MAX_SAMPLE)
  }
  await mesh.close()
})

test('an upgrade that names too much, or nonsense, is refused with a sentence', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const tag = toHex(TAG)
  const bad = [
    't=',
    't=room',
    `t=${tag}0`,
    `t=${tag.slice(1)}`,
    `t=${tag.toUpperCase()}x`,
    `t=${tag}&t=${'g'.repeat(64)}`,
    Array(MAX_NAMED_TOPICS + 1)
      .fill(`t=${tag}`)
      .join('&'),
    'p=somebody',
    `p=${tag}&p=${tag}`,
    `t=${'0'.repeat(100_000)}`,
  ]
  for (const query of bad) {
    const request = new Request(`http://127.0.0.1:5000/edge?${query}`)
    const answer = node.upgrade(request, { remoteAddress: '127.0.0.1' })
    assert.instance(answer, Response, query.slice(0, 80))
    assert.is((answer as Response).status, 400)
    const text = await (answer as Response).text()
    assert.match(text, /upgrade/)
    assert.ok(text.length < 200)
  }
  assert.is(
    typeof node.upgrade(new Request('http://127.0.0.1:5000/edge?x=1'), { remoteAddress: '' }),
    'function',
  )
  await mesh.close()
})

test('an address that asks for first frames without end is told of no topics for a while', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  await mesh.edge(node, { topics: ['room'] })
  const told = async (from: string): Promise<number> =>
    (await helloFor(mesh, node, named(TAG), from)).fields.topics.length
  for (let i = 0; i < SAMPLES_BURST; i++) await told('192.0.2.1')
  assert.is(await told('192.0.2.1'), 0)
  assert.is(await told('192.0.2.2'), 1, 'others are')
  await mesh.clock.advance(1000 / SAMPLES_PER_SECOND)
  assert.is(await told('192.0.2.1'), 1)
  await mesh.close()
})

test('a first frame tells whether the node holds the records of the edge that is named', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const raw = await rawEdge(mesh, node)
  await raw.send(raw.proof({ adverts: [raw.advert(TAG)] }))
  const { id } = raw.identity
  const other = topicTag('test', 'hall')
  const { fields } = await helloFor(mesh, node, `${named(TAG, other)}&p=${id}`)
  assert.is(fields.held?.peer, id)
  assert.equal(fields.held?.boxKey, raw.boxKeys.publicKey)
  assert.equal(
    fields.topics.map(({ hasPeer }) => hasPeer),
    [true, false],
  )
  const unknown = await helloFor(mesh, node, `${named(TAG)}&p=${makeIdentity().id}`)
  assert.is(unknown.fields.held, undefined)
  assert.not(unknown.fields.topics[0]?.hasPeer)
  await mesh.close()
})

// --- the newcomer ---

/** Joins in a room, and calls whomever the first frame names. */
function newcomer(
  mesh: TestMesh,
  at: readonly MeshNode[],
  options: JoinOptions = {},
): { joining: Promise<Edge>; calls: Promise<Connection>[]; sampled: Peer[] } {
  const calls: Promise<Connection>[] = []
  const sampled: Peer[] = []
  const onSample = (edge: Edge, topic: unknown, peers: readonly Peer[]): void => {
    assert.is(topic, 'room')
    sampled.push(...peers)
    for (const { id } of peers) calls.push(edge.connect(id, { topic: 'room' }))
    for (const call of calls) call.catch(() => undefined)
  }
  const joining = mesh.edge(at, { topics: ['room'], ...options }, { onSample })
  joining.catch(() => undefined)
  return { joining, calls, sampled }
}

for (const where of ['same', 'another'] as const) {
  test(`a newcomer’s first offer follows its proof: it is with a peer at ${where} home after three legs, or one more`, async () => {
    const mesh = await testMesh(2, { linked: false })
    const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
    mesh.link(n0, n1, LEG_MS)
    await mesh.clock.advance(1000)
    mesh.legMs = LEG_MS
    const peer = await mesh.edge(where === 'same' ? n0 : n1, { topics: ['room'] })
    await mesh.clock.advance(1000)
    const startMs = mesh.clock.nowMs()
    const atMs: Record<string, number> = {}
    mesh.tap = (frame, way) => {
      const isOpen = frame[0] === FRAME.signal && classOf(frame) === CLASS.open
      const name = isOpen
        ? 'open'
        : frame[0] === FRAME.proof
          ? 'proof'
          : frame[0] === FRAME.welcome
            ? 'welcome'
            : ''
      if (name) atMs[`${name} ${way}`] ??= mesh.clock.nowMs() - startMs
      return [frame]
    }
    const { joining, calls } = newcomer(mesh, [n0])
    await joining
    assert.is(atMs['proof up'], LEG_MS)
    assert.ok(atMs['open up']! <= LEG_MS + 1, `offered after ${atMs['open up']} ms; RTC takes one`)
    assert.is(atMs['welcome down'], 3 * LEG_MS)
    const legs = where === 'same' ? 3 : 4
    await mesh.clock.advance(2 * LEG_MS)
    assert.ok(atMs['open down']! <= legs * LEG_MS + 1, `${atMs['open down']} ms for ${legs} legs`)
    const connection = await during(calls[0]!, mesh.clock)
    assert.is(connection.id, peer.id)
    await mesh.close()
  })
}

test('the first offer is delivered before the newcomer could have read the welcome', async () => {
  const mesh = await testMesh(1)
  const peer = await rawEdge(mesh, mesh.nodes[0]!)
  await peer.send(peer.proof({ adverts: [peer.advert(TAG)] }))
  const sent: string[] = []
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.welcome) return []
    if (way === 'up') sent.push(frame[0] === FRAME.proof ? 'proof' : `${frame[0]}`)
    return [frame]
  }
  const { joining } = newcomer(mesh, mesh.nodes)
  await mesh.clock.advance(20)
  assert.equal(sent.slice(0, 2), ['proof', `${FRAME.signal}`])
  const offers = peer.ofKind(FRAME.signal).filter((frame) => classOf(frame) === CLASS.open)
  assert.is(offers.length, 1)
  assert.is(toOf(offers[0]!), peer.identity.id)
  mesh.tap = undefined
  await joining
  await mesh.close()
})

test('a newcomer whose welcome never comes, or is bad, offers again through the next home, the same bytes', async () => {
  for (const harm of ['none', 'bad', 'refused'] as const) {
    const mesh = await testMesh(2)
    const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
    const peer = await mesh.edge(n1, { topics: ['room'] })
    await mesh.clock.advance(HEARTBEAT_MS)
    const offers: Uint8Array[] = []
    const atMs: Record<string, number> = {}
    mesh.tap = (frame, way, url) => {
      const isOffer = frame[0] === FRAME.signal && classOf(frame) === CLASS.open
      if (way === 'up' && isOffer) offers.push(frame)
      if (url !== mesh.urlOf(n0)) {
        const name = isOffer ? 'offer' : frame[0] === FRAME.proof ? 'proof' : 'other'
        if (way === 'up') atMs[name] ??= mesh.clock.nowMs()
        return [frame]
      }
      // Nothing of the edge gets further than this home, which says little.
      if (way === 'up') return []
      const { far } = mesh.dials.at(-1)!
      const later = (said: Uint8Array): unknown => mesh.clock.after(5, () => far.send(said))
      if (harm === 'bad') later(encodeWelcome({ signature: randomBytes(64), otherHomes: [] }))
      if (harm === 'refused') later(encodeBye(new SignalMeshError('MESH_FULL', '')))
      return [frame]
    }
    const { joining, calls } = newcomer(mesh, [n0, n1])
    const edge = await joining
    assert.is(edge.home.nodeId, n1.id)
    const connection = await during(calls[0]!, mesh.clock)
    assert.is(connection.id, peer.id)
    assert.ok(offers.length >= 2, `${harm}: ${offers.length}`)
    for (const offer of offers) assert.equal(offer, offers[0])
    assert.is(atMs.offer, atMs.proof, 'right behind the proof')
    await mesh.close()
  }
})

test('topics named when joining are advertised in the proof, and peers in them can call', async () => {
  const mesh = await testMesh(1)
  const adverts: number[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.proof) adverts.push(decodeProof(frame).adverts.length)
    return [frame]
  }
  const topics = ['room', { name: 'den', secret: 'hush' }]
  const a = await mesh.edge(mesh.nodes[0]!, { topics })
  const b = await mesh.edge(mesh.nodes[0]!)
  assert.equal(adverts, [2, 0])
  for (const topic of topics) {
    assert.is((await during(b.discover(topic), mesh.clock)).peers[0]?.id, a.id)
    assert.is((await during(b.connect(a.id, { topic }), mesh.clock)).state, 'open')
  }
  await mesh.close()
})

test('a watch over a move of home tells what changed by the new home’s first frame', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const ann = await mesh.edge([n0, n1])
  const bob = await mesh.edge(n1, { topics: ['room'] })
  // Too soon for a standby, whose first frame would tell of no topic.
  await mesh.clock.advance(STANDBY_AFTER_MS / 2 - 500)
  const seen: string[] = []
  const read = async (): Promise<void> => {
    for await (const { kind, id } of ann.watch('room')) seen.push(`${kind} ${id}`)
  }
  void read()
  await mesh.clock.advance(10)
  assert.equal(seen, [`join ${bob.id}`])
  // Of what the next home says, nothing but the greeting gets through.
  mesh.tap = (frame, way) => (way === 'down' && frame[0]! > FRAME.welcome ? [] : [frame])
  const cat = await mesh.edge(n1, { topics: ['room'] })
  await bob.close()
  mesh.kill(n0)
  await mesh.clock.advance(1000)
  assert.is(ann.home.nodeId, n1.id)
  assert.equal(seen.slice(1).sort(), [`join ${cat.id}`, `leave ${bob.id}`])
  await mesh.close()
})

test('what an unproven home tells of topics reaches no watch', async () => {
  const mesh = await testMesh(2)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const ann = await mesh.edge([n0, n1])
  const seen: string[] = []
  const read = async (): Promise<void> => {
    for await (const { kind } of ann.watch('room')) seen.push(kind)
  }
  void read()
  await mesh.clock.advance(10)
  const bob = await mesh.edge(n1, { topics: ['room'] })
  seen.length = 0
  mesh.tap = (frame, way) => (way === 'down' && frame[0] !== FRAME.hello ? [] : [frame])
  assert.equal(mesh.standbys, [], 'so that the next home’s first frame comes now')
  mesh.kill(n0)
  await mesh.clock.advance(1000)
  assert.is(ann.home.state, 'connecting')
  assert.equal(seen, [])
  await bob.close()
  await mesh.close()
})

test.run()
