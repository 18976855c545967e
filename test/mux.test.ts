/** Shared sockets: sessions side by side in one, each with its own proof, bounds, turn and end. */

import { toHex, utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { createSharedSockets } from '../src/edge/sharedsockets.ts'
import { makeIdentity } from '../src/identity.ts'
import {
  ANSWER_AGAIN_MS,
  CLOSE_TIMEOUT_MS,
  EDGE_PROOF_MS,
  LATE_FRAMES_BURST,
  MAX_BUFFERED_BYTES,
  MAX_EDGES_PER_ADDRESS,
  MAX_FRAME_BYTES,
  MAX_SESSION_FRAME_BYTES,
  MAX_SESSIONS_PER_SOCKET,
  SESSION_OPENS_BURST,
  SHARED_AHEAD_BYTES,
  SILENT_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { decodeBye, FRAME } from '../src/messages.ts'
import { createMux, type Mux } from '../src/mux.ts'
import { decodeMuxFrame, encodeMuxFrame, type MuxFrame } from '../src/muxframes.ts'
import type { MeshNode } from '../src/node.ts'
import { networkId } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { provenEdge, type RawEdge, rawEdge } from './support/rawedge.ts'

const test = suite('mux')

interface Stage {
  readonly mesh: TestMesh
  readonly node: MeshNode
  /** The same mesh for raw edges, whose sockets are sessions of a shared one. */
  readonly shared: TestMesh
}

async function stage(nodes = 1, remoteAddress?: string): Promise<Stage> {
  const mesh = await testMesh(nodes)
  const sockets = createSharedSockets(mesh.clock, (url) => mesh.dial(url, remoteAddress))
  return { mesh, node: mesh.nodes[0] as MeshNode, shared: { ...mesh, dial: sockets.open } }
}

/** A shared socket of which the test says every frame. */
interface RawShared {
  readonly link: Link
  readonly frames: MuxFrame[]
  readonly ended: string
  say(...frames: readonly MuxFrame[]): Promise<void>
  /** What came for the session. */
  of(session: number): Uint8Array[]
}

function rawShared({ mesh, node }: Stage, remoteAddress?: string): RawShared {
  const link = mesh.dial(`${mesh.urlOf(node)}/edges`, remoteAddress)
  const frames: MuxFrame[] = []
  let ended = ''
  link.subscribe((bytes) => frames.push(decodeMuxFrame(bytes.slice())))
  void link.closed.then((reason) => (ended = reason))
  return {
    link,
    frames,
    get ended() {
      return ended
    },
    say: async (...all) => {
      for (const frame of all) link.send(encodeMuxFrame(frame))
      await mesh.clock.advance(0)
    },
    of: (session) =>
      frames.flatMap((one) => (one.kind === 'frame' && one.session === session ? one.frame : [])),
  }
}

const opening = (session: number, query = ''): MuxFrame => ({ kind: 'open', session, query })
const framed = (session: number, frame = Uint8Array.of(FRAME.pong)): MuxFrame => ({
  kind: 'frame',
  session,
  frame,
})

/** An honest edge in a socket of its own is still served at the end. */
function beside(name: string, body: (stage: Stage) => Promise<void>): void {
  test(name, async () => {
    const all = await stage()
    const honest = await provenEdge(all.mesh, all.node, { remoteAddress: '192.0.2.77' })
    await body(all)
    assert.not(honest.isClosed)
    await all.mesh.close()
  })
}

test('three edges share one socket to each node, and connect with one elsewhere', async () => {
  const { mesh, node, shared } = await stage(2)
  const [, other] = mesh.nodes as [MeshNode, MeshNode]
  const far = await mesh.edge(other)
  await far.advertise('room')
  await mesh.clock.advance(100)
  const before = mesh.dials.length
  const tabs = []
  for (let i = 0; i < 3; i++) tabs.push(await mesh.edge(node, {}, { dial: shared.dial }))
  // Long enough for their standbys, at the other node.
  await mesh.clock.advance(10_000)
  const urls = mesh.dials.slice(before).map(({ url }) => url)
  assert.equal(
    urls,
    [node, other].map(
      (one) => `${mesh.urlOf(one).replace('http', 'ws')}/edges?n=${toHex(networkId('test'))}`,
    ),
  )
  assert.is(mesh.standbys.length, 1, 'that of the edge with a socket of its own')
  assert.is(node.health().edges, 3)
  for (const tab of tabs) {
    const { peers } = await during(tab.discover('room'), mesh.clock)
    assert.equal(
      peers.map(({ id }) => id),
      [far.id],
    )
    const connection = await during(tab.connect(far.id, { topic: 'room' }), mesh.clock)
    assert.is(connection.state, 'open')
  }
  await tabs[0]?.close()
  await mesh.clock.advance(100)
  assert.is(node.health().edges, 2)
  await mesh.close()
})

test('closes a shared socket with its last session, and not before', async () => {
  const { mesh, node, shared } = await stage()
  const [a, b] = [await provenEdge(shared, node), await provenEdge(shared, node)] as const
  const socket = mesh.dials.at(-1)?.link as Link
  let isClosed = false
  void socket.closed.then(() => (isClosed = true))
  a.link.close()
  await mesh.clock.advance(CLOSE_TIMEOUT_MS)
  assert.not(isClosed)
  assert.is(node.health().edges, 1)
  b.link.close()
  await mesh.clock.advance(CLOSE_TIMEOUT_MS)
  assert.ok(isClosed)
  assert.is(node.health().edges, 0)
  await mesh.close()
})

test('gives each session a challenge of its own, and takes no proof that answered another’s', async () => {
  const { mesh, node, shared } = await stage()
  const [a, b] = [await rawEdge(shared, node), await rawEdge(shared, node)] as const
  assert.not.equal(a.hello.fields.challenge, b.hello.fields.challenge)
  const overheard = a.proof()
  await b.send(overheard)
  assert.is(b.bye?.code, 'BAD_SIGNATURE')
  await a.send(overheard)
  assert.is(a.bye, undefined)
  assert.is(node.health().edges, 1)
  await mesh.close()
})

test('checks the authority in each session', async () => {
  const { mesh, node, shared } = await stage()
  const good = await provenEdge(shared, node)
  const bad = await rawEdge(shared, node)
  await bad.send(bad.proof({ authority: 'mesh.example:443' }))
  assert.is(bad.bye?.code, 'BAD_AUTHORITY')
  assert.ok(bad.isClosed)
  assert.not(good.isClosed)
  await mesh.close()
})

test('ends a session without a proof in time, and one that is silent, and leaves the others', async () => {
  const { mesh, node, shared } = await stage()
  const silent = await rawEdge(shared, node)
  const proven = await provenEdge(shared, node)
  await mesh.clock.advance(EDGE_PROOF_MS)
  assert.is(silent.bye?.code, 'TIMEOUT')
  assert.is(proven.bye, undefined)
  const tab = await mesh.edge(node, {}, { dial: shared.dial })
  await mesh.clock.advance(SILENT_AFTER_MS)
  assert.ok(proven.isClosed, 'it answered no ping')
  assert.is(tab.home.state, 'open')
  assert.is(node.health().edges, 1)
  await mesh.close()
})

test('counts the sessions of shared sockets among the edges of their address', async () => {
  const { mesh, node, shared } = await stage(1, '192.0.2.1')
  const edges: RawEdge[] = []
  for (let i = 0; i < MAX_EDGES_PER_ADDRESS; i++) edges.push(await rawEdge(shared, node))
  assert.is(mesh.dials.length, MAX_EDGES_PER_ADDRESS / MAX_SESSIONS_PER_SOCKET)
  const inSocket = shared.dial(`${mesh.urlOf(node)}/edge`)
  const bye = firstFrame(inSocket)
  await mesh.clock.advance(0)
  assert.is(decodeBye(await bye).code, 'TOO_MANY')
  const alone = firstFrame(mesh.dial(`${mesh.urlOf(node)}/edge`, '192.0.2.1'))
  assert.is(decodeBye(await alone).code, 'TOO_MANY')
  edges[0]?.link.close()
  await mesh.clock.advance(0)
  const again = firstFrame(shared.dial(`${mesh.urlOf(node)}/edge`))
  assert.is((await again)[0], FRAME.hello)
  await mesh.close()
})

const firstFrame = (link: Link): Promise<Uint8Array> =>
  new Promise((resolve) => link.subscribe((frame) => resolve(frame.slice())))

test('bounds the shared sockets of one address, and closes those without a session', async () => {
  const all = await stage()
  const sockets = Array.from({ length: MAX_EDGES_PER_ADDRESS }, () => rawShared(all, '192.0.2.1'))
  const over = rawShared(all, '192.0.2.1')
  const beside = rawShared(all, '192.0.2.2')
  await all.mesh.clock.advance(0)
  assert.is(over.ended, 'TOO_MANY')
  assert.is(beside.ended, '')
  assert.is(sockets[0]?.ended, '')
  await all.mesh.clock.advance(EDGE_PROOF_MS)
  assert.is(sockets[0]?.ended, 'IDLE')
  const later = rawShared(all, '192.0.2.1')
  await all.mesh.clock.advance(0)
  assert.is(later.ended, '')
  await all.mesh.close()
})

beside('refuses a query that names what it may not by a bye, and goes on', async (all) => {
  const raw = rawShared(all)
  await raw.say(opening(1, 't=zz'), opening(2))
  const [bye] = raw.of(1)
  assert.is(decodeBye(bye as Uint8Array).code, 'BAD_FRAME')
  assert.equal(raw.frames[1], { kind: 'close', session: 1, reason: 'BAD_FRAME' })
  assert.is(raw.of(2)[0]?.[0], FRAME.hello)
  assert.is(raw.ended, '')
})

for (const [what, frames] of [
  ['a frame for a session that was never opened', [opening(1), framed(2)]],
  ['a close of a session that was never opened', [{ kind: 'close', session: 1, reason: '' }]],
  ['a frame for session 0', [opening(1), framed(0)]],
  ['the number of a session that is open', [opening(1), opening(1)]],
  [
    'the number of a session that is over',
    [opening(1), { kind: 'close', session: 1, reason: '' }, opening(1)],
  ],
  ['a number that is not the next', [opening(2)]],
] as const) {
  beside(`ends a shared socket for ${what}`, async (all) => {
    const raw = rawShared(all)
    await raw.say(...(frames as readonly MuxFrame[]))
    assert.is(raw.ended, 'BAD_FRAME')
    assert.is(all.node.health().edges, 1, 'its sessions are over')
  })
}

beside('ends a shared socket for a frame that cannot be read, or is too large', async (all) => {
  for (const bytes of [
    Uint8Array.of(),
    Uint8Array.of(9, 0, 0, 0, 1),
    encodeMuxFrame(framed(1, new Uint8Array(MAX_SESSION_FRAME_BYTES + 1))),
  ]) {
    const raw = rawShared(all)
    await raw.say(opening(1))
    raw.link.send(bytes)
    await all.mesh.clock.advance(0)
    assert.is(raw.ended, 'BAD_FRAME', `${bytes.length} bytes`)
  }
})

beside('drops what comes late for a session that is over', async (all) => {
  const raw = rawShared(all)
  await raw.say(opening(1), opening(2))
  await raw.say({ kind: 'close', session: 1, reason: 'done' })
  await raw.say(framed(1), framed(1), { kind: 'close', session: 1, reason: 'again' })
  assert.is(raw.ended, '')
  assert.is(raw.of(1).length, 1, 'its hello')
})

beside('ends a shared socket that goes on for sessions that are over', async (all) => {
  const raw = rawShared(all)
  await raw.say(opening(1), { kind: 'close', session: 1, reason: 'done' })
  await raw.say(...Array.from({ length: LATE_FRAMES_BURST }, () => framed(1)))
  assert.is(raw.ended, '')
  await raw.say({ kind: 'close', session: 1, reason: 'again' })
  assert.is(raw.ended, 'RATE_LIMITED')
})

beside('ends a session whose frame makes no sense, and no other', async (all) => {
  const raw = rawShared(all)
  await raw.say(opening(1), opening(2))
  await raw.say(framed(1, Uint8Array.of(FRAME.rpc)))
  assert.ok(decodeBye(raw.of(1)[1] as Uint8Array).code)
  assert.ok(raw.frames.some(({ kind, session }) => kind === 'close' && session === 1))
  assert.is(raw.ended, '')
  assert.is(raw.of(2).length, 1)
})

beside('ends a shared socket that opens and closes sessions without end', async (all) => {
  const raw = rawShared(all)
  for (let i = 1; i <= SESSION_OPENS_BURST; i++) {
    await raw.say(opening(i), { kind: 'close', session: i, reason: '' })
  }
  assert.is(raw.ended, '')
  await raw.say(opening(SESSION_OPENS_BURST + 1))
  assert.is(raw.ended, 'RATE_LIMITED')
})

test('lets nobody open sessions at the end that does not take any', async () => {
  const clock = manualClock()
  const [near, far] = linkPair()
  createMux({ socket: near, clock, idleMs: 1_000 })
  let ended = ''
  void far.closed.then((reason) => (ended = reason))
  far.send(encodeMuxFrame(opening(1)))
  await settle()
  assert.is(ended, 'BAD_FRAME')
})

test('opens no more sessions than the other end takes, and says so at once', async () => {
  const clock = manualClock()
  const [near, far] = linkPair()
  far.subscribe(() => {})
  const mux = createMux({ socket: near, clock, idleMs: 1_000 })
  for (let i = 0; i < MAX_SESSIONS_PER_SOCKET; i++) mux.open('')
  assert.not(mux.hasRoom)
  assert.is(await mux.open('').closed, 'RATE_LIMITED')
  near.close()
  await settle()
  assert.is(await mux.open('').closed, 'CLOSED')
})

test('ends every session with its socket', async () => {
  const { mesh, node, shared } = await stage()
  const [a, b] = [await provenEdge(shared, node), await provenEdge(shared, node)] as const
  mesh.dials.at(-1)?.far.close('cut')
  await mesh.clock.advance(0)
  assert.ok(a.isClosed && b.isClosed)
  assert.is(node.health().edges, 0)
  await mesh.close()
})

test('says goodbye to every session when the node stops, and takes no more', async () => {
  const { mesh, node, shared } = await stage()
  const [a, b] = [await provenEdge(shared, node), await rawEdge(shared, node)] as const
  const closing = node.close()
  await mesh.clock.advance(0)
  assert.is(a.bye?.code, 'GOING_AWAY')
  assert.not(b.isClosed, 'it has proved nothing')
  const late = firstFrame(shared.dial(`${mesh.urlOf(node)}/edge`))
  assert.is(decodeBye(await late).code, 'GOING_AWAY')
  await closing
  await mesh.close()
})

test('opens another socket beside one that seems dead', async () => {
  const clock = manualClock()
  const dialled: string[] = []
  const sockets = createSharedSockets(clock, (url) => {
    dialled.push(url)
    return linkPair()[0]
  })
  const first = sockets.open('ws://a/edge?t=1')
  const second = sockets.open('ws://a/edge?s=1')
  assert.equal(dialled, ['ws://a/edges'])
  sockets.close(second, 'CLOSED')
  sockets.open('ws://a/edge')
  assert.is(dialled.length, 1)
  sockets.close(first, 'TIMEOUT')
  sockets.open('ws://a/edge')
  assert.equal(dialled, ['ws://a/edges', 'ws://a/edges'])
  sockets.open('ws://a/edge?n=01&t=1')
  assert.is(dialled.at(-1), 'ws://a/edges?n=01', 'and one for each network')
})

/** Two sessions at a socket that takes nothing for the moment. */
interface Slow {
  readonly clock: ManualClock
  readonly queue: { bytes: number }
  readonly sent: MuxFrame[]
  readonly mux: Mux
  readonly a: Link
  readonly b: Link
}

function slowSocket(): Slow {
  const clock = manualClock()
  const queue = { bytes: 0 }
  const sent: MuxFrame[] = []
  const [near] = linkPair()
  const socket: Link = {
    ...near,
    closed: near.closed,
    send: (bytes) => {
      sent.push(decodeMuxFrame(bytes))
      queue.bytes += bytes.length
    },
    get bufferedBytes() {
      return queue.bytes
    },
  }
  const mux = createMux({ socket, clock, idleMs: 1_000 })
  const [a, b] = [mux.open('a'), mux.open('b')]
  sent.length = 0
  queue.bytes = SHARED_AHEAD_BYTES + 1
  return { clock, queue, sent, mux, a, b }
}

test('lets sessions take turns at a socket that is behind, whatever one of them sends', async () => {
  const { clock, queue, sent, a, b } = slowSocket()
  for (let i = 0; i < 100; i++) a.send(new Uint8Array(1_000).fill(i))
  b.send(utf8('b1'))
  b.send(utf8('b2'))
  assert.equal(sent, [])
  assert.is(a.bufferedBytes, 100 * 1_005)
  assert.is(b.bufferedBytes, 14, 'what others have waiting is not its own')
  queue.bytes = SHARED_AHEAD_BYTES - 4_000
  await clock.advance(ANSWER_AGAIN_MS)
  assert.equal(
    sent.map(({ session }) => session),
    [1, 2, 1, 2, 1, 1],
  )
  assert.is(b.bufferedBytes, 0)
  assert.is(a.bufferedBytes, 96 * 1_005)
  queue.bytes = -1_000_000
  await clock.advance(ANSWER_AGAIN_MS)
  const texts = sent.filter(({ session }) => session === 1)
  assert.equal(
    texts.map((one) => one.kind === 'frame' && one.frame[0]),
    Array.from({ length: 100 }, (_, i) => i),
  )
})

test('gives up what a closed session leaves when the socket does not take it', async () => {
  const { clock, queue, sent, mux, a } = slowSocket()
  for (let i = 0; i < 20; i++) a.send(new Uint8Array(60_000))
  assert.ok(a.bufferedBytes > MAX_BUFFERED_BYTES)
  a.close('done')
  for (let i = 2; i < MAX_SESSIONS_PER_SOCKET; i++) mux.open('')
  assert.not(mux.hasRoom, 'what waits still counts')
  await clock.advance(CLOSE_TIMEOUT_MS)
  queue.bytes = -10_000_000
  await clock.advance(ANSWER_AGAIN_MS)
  assert.equal(
    sent.filter(({ session }) => session === 1),
    [{ kind: 'close', session: 1, reason: 'done' }],
  )
  assert.ok(mux.hasRoom)
})

test('delivers what was sent before a close', async () => {
  const { clock, queue, sent, a } = slowSocket()
  a.send(utf8('last'))
  a.close('done')
  queue.bytes = 0
  await clock.advance(ANSWER_AGAIN_MS)
  assert.equal(
    sent.map(({ kind }) => kind),
    ['frame', 'close'],
  )
})

test('ends a session that sends a frame too large for a shared socket', async () => {
  const { queue, a, b } = slowSocket()
  queue.bytes = 0
  b.send(new Uint8Array(MAX_FRAME_BYTES))
  assert.is(await b.closed, 'TOO_LARGE')
  a.send(new Uint8Array(MAX_SESSION_FRAME_BYTES))
  assert.is(a.bufferedBytes, 0)
})

test('a second session of one edge ends the first, and leaves what shares its socket', async () => {
  const { mesh, node, shared } = await stage()
  const identity = makeIdentity()
  const a = await provenEdge(shared, node, { identity })
  const b = await provenEdge(shared, node)
  await mesh.clock.advance(1)
  const again = await provenEdge(shared, node, { identity })
  assert.is(a.bye?.code, 'REPLACED')
  assert.not(b.isClosed)
  assert.not(again.isClosed)
  await mesh.close()
})

test.run()
