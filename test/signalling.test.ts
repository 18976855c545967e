/** Signalling: the way of offers, answers and candidates between edges, and what comes of a dead end. */

import { fromHex } from '../src/bytes.ts'
import { randomBytes } from '../src/crypto.ts'
import type { Edge } from '../src/edge/mod.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  BATCH_AFTER_MS,
  CONNECT_TIMEOUT_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  HEARTBEAT_MS,
  HOME_SETTLES_MS,
  MAX_SIGNAL_BYTES,
  OPENS_BURST,
} from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import type { Swarm } from '../src/runtime.ts'
import { CLASS, classOf, encodeControl, encodeSignal, readControl, toOf } from '../src/signal.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf, NETWORK, provenEdge, type RawEdge } from './support/rawedge.ts'

const test = suite('signalling')

/** Two edges in one room: the first node's, and the last node's (or as told). */
async function pair(mesh: TestMesh, at = mesh.nodes.length - 1): Promise<[Edge, Edge]> {
  const edges: Edge[] = []
  for (const node of [mesh.nodes[0]!, mesh.nodes[at]!]) {
    const edge = await mesh.edge(node)
    await during(edge.advertise('room'), mesh.clock)
    edges.push(edge)
  }
  await mesh.clock.advance(100)
  return edges as [Edge, Edge]
}

/** Connects, and lets the last acknowledgements pass. */
async function connect(mesh: TestMesh, from: Edge, to: Edge): Promise<void> {
  const connection = await during(from.connect(to.id, { topic: 'room' }), mesh.clock)
  assert.is(connection.id, to.id)
  await mesh.clock.advance(500)
}

const countersOf = (node: MeshNode) => ({ ...node.health().signals })
const NONE = { delivered: 0, forwarded: 0, received: 0, refused: 0 }

/** The classes of the signals that edges sent, gathered from now on. */
function listen(mesh: TestMesh): Uint8Array[] {
  const sent: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal) sent.push(frame)
    return [frame]
  }
  return sent
}

test('an offer to an edge on the same node is delivered there, forwarded 0', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await pair(mesh, 0)
  const crossed = mesh.crossedAt(mesh.nodes[0]!)
  const sent = listen(mesh)
  await connect(mesh, a, b)
  const { delivered, ...rest } = countersOf(mesh.nodes[0]!)
  assert.equal(rest, { forwarded: 0, received: 0, refused: 0 })
  assert.is(delivered, sent.length)
  assert.equal(countersOf(mesh.nodes[1]!), NONE)
  assert.is(mesh.crossedAt(mesh.nodes[0]!), crossed, 'nothing crossed between nodes')
  await mesh.close()
})

test('an offer to an edge on another node is unicast to its home, third node sees nothing', async () => {
  const mesh = await testMesh(3)
  const [a, b] = await pair(mesh, 1)
  const [atFirst, atThird] = [mesh.nodes[0]!, mesh.nodes[2]!].map(mesh.crossedAt)
  const sent = listen(mesh)
  await connect(mesh, a, b)
  const [toB, toA] = [b, a].map(({ id }) => sent.filter((frame) => toOf(frame) === id).length)
  assert.equal(countersOf(mesh.nodes[0]!), { ...NONE, forwarded: toB, received: toA })
  assert.equal(countersOf(mesh.nodes[1]!), { ...NONE, forwarded: toA, received: toB })
  assert.equal(countersOf(mesh.nodes[2]!), NONE)
  assert.is(mesh.crossedAt(mesh.nodes[2]!), atThird)
  assert.is(mesh.crossedAt(mesh.nodes[0]!), atFirst! + sent.length, 'each signal crossed once')
  await mesh.close()
})

test('trickled candidates take the same path', async () => {
  const mesh = await testMesh(3)
  const [a, b] = await pair(mesh, 1)
  const sent = listen(mesh)
  await connect(mesh, a, b)
  // An offer or answer and three candidates each way; the rest are acknowledgements.
  const fromA = sent.filter((frame) => toOf(frame) === b.id)
  assert.equal(fromA.slice(0, 4).map(classOf), [CLASS.open, ...Array(3).fill(CLASS.within)])
  assert.is(countersOf(mesh.nodes[0]!).forwarded, fromA.length)
  assert.is(countersOf(mesh.nodes[1]!).received, fromA.length)
  assert.equal(countersOf(mesh.nodes[2]!), NONE)
  await mesh.close()
})

test('signals are never flooded, whatever the number of nodes', async () => {
  const mesh = await testMesh(8)
  const [a, b] = await pair(mesh, 4)
  const others = mesh.nodes.filter((_, i) => i !== 0 && i !== 4)
  const before = others.map(mesh.crossedAt)
  await connect(mesh, a, b)
  assert.equal(others.map(mesh.crossedAt), before)
  for (const node of others) assert.equal(countersOf(node), NONE)
  await mesh.close()
})

test('edges of two linked nodes connect though no gossip of the caller has arrived', async () => {
  const mesh = await testMesh(2)
  const b = await mesh.edge(mesh.nodes[1]!)
  await during(b.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  const startMs = mesh.clock.nowMs()
  const a = await mesh.edge(mesh.nodes[0]!)
  const connection = await during(a.connect(b.id, { topic: 'room' }), mesh.clock)
  assert.is(connection.state, 'open')
  assert.ok(mesh.clock.nowMs() - startMs < BATCH_AFTER_MS, 'before the first batch')
  assert.is(mesh.nodes[1]!.health().mesh.edges, 1, 'the home of the called knows it alone')
  assert.is(countersOf(mesh.nodes[1]!).refused, 0)
  await mesh.close()
})

test('a home with no link is dialled on demand, once for all that waits', async () => {
  const { mesh } = await line()
  const [a, b] = await pair(mesh, 1)
  const dials = swarms(mesh, true)
  await mesh.clock.advance(100)
  await connect(mesh, a, b)
  assert.equal(dials, ['0 connects to 1'])
  const { refused, forwarded } = countersOf(mesh.nodes[0]!)
  assert.is(refused, 0)
  assert.ok(forwarded > 0)
  assert.equal(countersOf(mesh.nodes[2]!), NONE, 'the node between the two is no relay')
  await mesh.close()
})

test('a home that cannot be dialled ends the attempt with HOME_UNREACHABLE', async () => {
  const { mesh, cut } = await line()
  const [a, b] = await pair(mesh, 1)
  const dials = swarms(mesh, false)
  await mesh.clock.advance(HOME_SETTLES_MS)
  cut()
  const startMs = mesh.clock.nowMs()
  assert.is(await failure(mesh, a, b), 'HOME_UNREACHABLE')
  const tookMs = mesh.clock.nowMs() - startMs
  assert.ok(tookMs >= DIAL_TIMEOUT_MS && tookMs < DIAL_TIMEOUT_MS + 200, `took ${tookMs} ms`)
  assert.equal(dials, ['0 connects to 1', '0 forgets 1'])
  assert.is(await failure(mesh, a, b), 'HOME_UNREACHABLE')
  assert.is(dials.length, 2, 'it is not dialled again at once')
  assert.ok(mesh.clock.nowMs() - startMs - tookMs < 200)
  await mesh.clock.advance(DIAL_RETRY_MS)
  assert.is(await failure(mesh, a, b), 'HOME_UNREACHABLE')
  assert.equal(dials.slice(2), ['0 connects to 1', '0 forgets 1'])
  await mesh.close()
})

test('a home that names no way to dial it is unreachable at once', async () => {
  const { mesh, cut } = await line()
  const [a, b] = await pair(mesh, 1)
  await mesh.clock.advance(HOME_SETTLES_MS)
  cut()
  const startMs = mesh.clock.nowMs()
  assert.is(await failure(mesh, a, b), 'HOME_UNREACHABLE')
  assert.ok(mesh.clock.nowMs() - startMs < 200)
  await mesh.close()
})

test('nodes that cannot dial each other connect their edges by way of a neighbour of both', async () => {
  const { mesh } = await line()
  const [a, b] = await pair(mesh, 1)
  // By the next heads each names the node between the two as a way to it.
  await mesh.clock.advance(HEARTBEAT_MS)
  const sent = listen(mesh)
  await connect(mesh, a, b)
  const toB = sent.filter((frame) => toOf(frame) === b.id).length
  assert.equal(countersOf(mesh.nodes[0]!), {
    ...NONE,
    forwarded: toB,
    received: sent.length - toB,
  })
  assert.equal(countersOf(mesh.nodes[2]!), { ...NONE, forwarded: sent.length })
  assert.is(countersOf(mesh.nodes[1]!).received, toB)
  await mesh.close()
})

test('a target whose socket is half open ends the attempt with TIMEOUT in its time', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await pair(mesh)
  mesh.tap = (frame, way, url) =>
    url === mesh.urlOf(mesh.nodes[1]!) && way === 'down' && frame[0] === FRAME.signal ? [] : [frame]
  const startMs = mesh.clock.nowMs()
  assert.is(await failure(mesh, a, b), 'TIMEOUT')
  const tookMs = mesh.clock.nowMs() - startMs
  assert.ok(tookMs <= CONNECT_TIMEOUT_MS + 100, `took ${tookMs} ms`)
  await mesh.close()
})

test('a node’s false word fails an attempt at most, never a connection that is open', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await pair(mesh)
  const sent = listen(mesh)
  const connection = await during(a.connect(b.id, { topic: 'room' }), mesh.clock)
  await mesh.clock.advance(500)
  const about = sent.find((frame) => toOf(frame) === b.id)!
  const key = fromHex(mesh.nodes[0]!.id)
  for (const code of ['HOME_UNREACHABLE', 'PEER_UNKNOWN', 'MOVED', 'GOING_AWAY'] as const) {
    const lie = encodeControl(NETWORK, about, new SignalMeshError(code, 'A lie'), key)
    mesh.dials.find(({ url }) => url.includes(':5000'))!.far.send(lie)
  }
  await mesh.clock.advance(5000)
  assert.is(connection.state, 'open')
  await mesh.close()
})

test('an edge whose home stops while its call waits for a dial calls again from its next', async () => {
  const mesh = await testMesh(3, { linked: false })
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const [end] = mesh.link(n0, n2)
  mesh.link(n1, n2)
  await mesh.clock.advance(100)
  const b = await mesh.edge(n1)
  await during(b.advertise('room'), mesh.clock)
  const a = await mesh.edge([n0, n2])
  await during(a.advertise('room'), mesh.clock)
  swarms(mesh, false)
  await mesh.clock.advance(100)
  end.close('cut')
  await mesh.clock.advance(0)
  const calling = a.connect(b.id, { topic: 'room' })
  await mesh.clock.advance(1000)
  await n0.close()
  const connection = await during(calling, mesh.clock)
  assert.is(connection.state, 'open')
  assert.is(a.home.nodeId, n2.id)
  await mesh.close()
})

test('a peer that nobody knows is told as PEER_UNKNOWN, by lookup and by signal', async () => {
  const mesh = await testMesh(2)
  const [a] = await pair(mesh)
  const nobody = 'ab'.repeat(32)
  const calling = a.connect(nobody, { topic: 'room' })
  assert.is(await codeOf(() => during(calling, mesh.clock)), 'PEER_UNKNOWN')
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  await raw.send(signal(raw, new Uint8Array(32).fill(0xab)))
  assert.equal(words(raw), ['PEER_UNKNOWN'])
  assert.is(countersOf(mesh.nodes[0]!).refused, 1)
  await mesh.close()
})

test('a peer whose home lost it meanwhile is told by that home', async () => {
  const mesh = await testMesh(3, { linked: false })
  const [a, b] = await movable(mesh)
  await b.close()
  await mesh.clock.advance(100)
  assert.is(await failure(mesh, a, b), 'PEER_UNKNOWN')
  assert.is(countersOf(mesh.nodes[1]!).refused > 0, true, 'its old home said so')
  await mesh.close()
})

test('a signal to a home that the peer has left is MOVED, and its own home finds the new one', async () => {
  const mesh = await testMesh(3, { linked: false })
  const [a, b] = await movable(mesh)
  mesh.dials.findLast(({ url }) => url.startsWith('ws://127.0.0.1:5001'))?.link.close()
  await mesh.clock.advance(500)
  assert.is(b.home.nodeId, mesh.nodes[2]!.id)
  const words: string[] = []
  mesh.tap = (frame, way) => {
    const isWord = frame[0] === FRAME.signal && classOf(frame) === CLASS.control
    if (way === 'down' && isWord) words.push(readControl(frame).code)
    return [frame]
  }
  const connection = await during(a.connect(b.id, { topic: 'room' }), mesh.clock)
  assert.is(connection.state, 'open')
  const moved = countersOf(mesh.nodes[1]!).refused
  assert.is(moved, 5, 'the offer, three candidates, and that these were all')
  assert.equal(words, [], 'no edge hears of it')
  await mesh.close()
})

test('openings over the rate are refused with RATE_LIMITED, and no other edge suffers', async () => {
  const mesh = await testMesh(2)
  const [honest, target] = await pair(mesh)
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const { presence } = raw
  const to = fromHex(target.id)
  for (let i = 0; i < OPENS_BURST + 5; i++) {
    raw.link.send(signal(raw, to, { class: CLASS.open, payload: opening(presence().bytes) }))
  }
  await mesh.clock.advance(0)
  assert.equal(words(raw), Array(5).fill('RATE_LIMITED'))
  assert.ok(readControl(raw.ofKind(FRAME.signal)[0]!).retryAfterMs > 0)
  await connect(mesh, honest, target)
  assert.is(target.home.state, 'open')
  await mesh.close()
})

test('an edge that is told RATE_LIMITED waits and connects after all', async () => {
  const mesh = await testMesh(2)
  const [a, b] = await pair(mesh)
  const refused = Array.from({ length: OPENS_BURST }, (_, i) =>
    codeOf(() => a.connect(b.id, { topic: `other ${i}` })),
  )
  const codes = await during(Promise.all(refused), mesh.clock, 1)
  assert.equal(new Set(codes), new Set(['NOT_ADVERTISED']))
  const before = countersOf(mesh.nodes[1]!).refused
  await connect(mesh, a, b)
  const after = countersOf(mesh.nodes[1]!).refused
  assert.ok(after > before, 'it was refused at first')
  await mesh.close()
})

test('a signal over the bound is refused as TOO_LARGE', async () => {
  const mesh = await testMesh(1)
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const most = signal(raw, raw.identity.keys.publicKey, { payload: randomBytes(MAX_SIGNAL_BYTES) })
  await raw.send(most)
  assert.is(raw.ofKind(FRAME.signal).length, 1)
  const over = new Uint8Array(most.length + 1)
  over.set(most)
  new DataView(over.buffer).setUint32(132, MAX_SIGNAL_BYTES + 1)
  await raw.send(over)
  assert.is(raw.bye?.code, 'TOO_LARGE')
  await mesh.close()
})

test('a node believes a signal only from the home of its sender', async () => {
  const mesh = await testMesh(3)
  const [a, b] = await pair(mesh, 1)
  // A raw edge at the third node shows the presence of an edge at the first.
  const raw = await provenEdge(mesh, mesh.nodes[2]!)
  const foreign = raw.presence({ homeKey: fromHex(mesh.nodes[0]!.id) })
  await raw.send(signal(raw, fromHex(b.id), { class: CLASS.open, payload: opening(foreign.bytes) }))
  await mesh.clock.advance(100)
  const words = raw.ofKind(FRAME.signal).map((frame) => readControl(frame).code)
  assert.equal(words, ['MOVED'])
  await connect(mesh, a, b)
  assert.is(b.home.state, 'open', 'what a stranger makes up harms nobody')
  await mesh.close()
})

// --- meshes ---

/** Nodes 0 and 1 know each other through node 2 alone, until it is cut off from node 0. */
async function line(): Promise<{ mesh: TestMesh; cut: () => void }> {
  const mesh = await testMesh(3, { linked: false })
  const [a, b, c] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const [end] = mesh.link(a, c)
  mesh.link(b, c)
  await mesh.clock.advance(100)
  return { mesh, cut: () => end.close('cut') }
}

/** Gives nodes 0 and 1 a swarm each; dials lead to a link, or to nothing. */
function swarms(mesh: TestMesh, works: boolean): string[] {
  const dials: string[] = []
  const ends = mesh.nodes.slice(0, 2)
  for (const [i, node] of ends.entries()) {
    const swarm: Swarm = {
      dhtKey: new Uint8Array(32).fill(i + 1),
      connect: (key) => {
        const to = key[0]! - 1
        dials.push(`${i} connects to ${to}`)
        if (works) mesh.link(node, ends[to]!)
      },
      forget: (key) => void dials.push(`${i} forgets ${key[0]! - 1}`),
      close: async () => undefined,
    }
    node.useSwarm(swarm)
  }
  return dials
}

/** An edge at node 0, far from the others; one at node 1, that may move to node 2 beside it. */
async function movable(mesh: TestMesh): Promise<[Edge, Edge]> {
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  mesh.link(n0, n1, 1000)
  mesh.link(n0, n2, 1000)
  mesh.link(n1, n2)
  await mesh.clock.advance(8000)
  const a = await mesh.edge(n0)
  const b = await mesh.edge([n1, n2])
  await during(b.advertise('room'), mesh.clock)
  await mesh.clock.advance(12_000)
  return [a, b]
}

// --- signals by hand ---

function signal(
  from: RawEdge,
  to: Uint8Array,
  changes: { class?: number; payload?: Uint8Array } = {},
): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: changes.class === CLASS.open ? 0 : 1,
    from: from.identity.keys.publicKey,
    to,
    connection: randomBytes(16),
    counter: 0,
    payload: randomBytes(48),
    ...changes,
  })
}

/** The payload of an opening signal whose message is noise of the other kind. */
function opening(presence: Uint8Array): Uint8Array {
  const payload = new Uint8Array(2 + presence.length + 128)
  new DataView(payload.buffer).setUint16(0, presence.length)
  payload.set(presence, 2)
  payload.set(randomBytes(128), 2 + presence.length)
  return payload
}

function words(raw: RawEdge): string[] {
  const controls = raw.ofKind(FRAME.signal).filter((frame) => classOf(frame) === CLASS.control)
  return controls.map((frame) => readControl(frame).code)
}

async function failure(mesh: TestMesh, from: Edge, to: Edge): Promise<string> {
  return codeOf(() => during(from.connect(to.id, { topic: 'room' }), mesh.clock))
}

test.run()
