/** Reconnecting: the standby, the probe, the move from a node that stops, and waking up. */

import { createDialling } from '../src/edge/dialling.ts'
import type { Ground } from '../src/edge/join.ts'
import type { Edge, HomeStatus, JoinOptions } from '../src/edge/mod.ts'
import { runtimeWakes } from '../src/edge/waking.ts'
import { CODE_NUMBERS, type ErrorCode, SignalMeshError } from '../src/errors.ts'
import {
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  EDGE_PROOF_MS,
  HEARTBEAT_MS,
  MAX_EDGES_PER_ADDRESS,
  MOVE_WITHIN_MS,
  MOVES_PER_SECOND,
  PING_AFTER_MS,
  PROBE_AFTER_MS,
  PROBE_TIMEOUT_MS,
  STANDBY_AFTER_MS,
  STANDBY_MAX_MS,
  STANDBY_MS,
  WAKE_AGAIN_MS,
  WAKE_CHECK_MS,
} from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import { decodeProof, encodeBye, FRAME, PING, PONG } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { provenEdge, type RawEdge, rawEdge } from './support/rawedge.ts'

const test = suite('standby')
const LEG_MS = 25
const MINUTE_MS = 60_000

/** What a test does to an edge's network and machine. */
interface Line {
  /** Cuts all sockets that are open, so that neither side is told. */
  cut(): void
  /** While set, what is dialled cannot be reached. */
  isOffline: boolean
  /** While set, the edge's signals are lost. */
  losesSignals: boolean
  /** The runtime tells of an awakening. */
  wake(): void
  /** What the edge sent, by kind. */
  readonly sent: number[]
}

interface Stage {
  readonly mesh: TestMesh
  readonly edge: Edge
  readonly line: Line
  readonly states: HomeStatus[]
  readonly errors: SignalMeshError[]
}

/** An edge at home at the first of some nodes that know of each other. */
async function stage(nodes: number, options: JoinOptions = {}, legMs = 0): Promise<Stage> {
  const mesh = await testMesh(nodes)
  await mesh.clock.advance(HEARTBEAT_MS)
  mesh.legMs = legMs
  const cuts: (() => void)[] = []
  const line: Line = {
    cut: () => {
      for (const cut of cuts.splice(0)) cut()
    },
    isOffline: false,
    losesSignals: false,
    wake: () => undefined,
    sent: [],
  }
  const ground: Partial<Ground> = {
    dial: (url) => {
      const link = mesh.dial(url)
      if (line.isOffline) link.close('offline')
      return lined(link, line, (cut) => cuts.push(cut))
    },
    wakes: (onWake) => {
      line.wake = onWake
      return () => {
        line.wake = () => undefined
      }
    },
  }
  const edge = await mesh.edge(mesh.nodes[0] as MeshNode, options, ground)
  const states: HomeStatus[] = []
  const errors: SignalMeshError[] = []
  edge.on('home', (status) => states.push(status))
  edge.on('error', (error) => errors.push(error))
  return { mesh, edge, line, states, errors }
}

function lined(link: Link, line: Line, onCut: (cut: () => void) => void): Link {
  let isCut = false
  onCut(() => {
    isCut = true
  })
  return {
    ...link,
    closed: link.closed,
    send: (frame) => {
      line.sent.push(frame[0] as number)
      const isLost = isCut || (line.losesSignals && frame[0] === FRAME.signal)
      if (!isLost) link.send(frame)
    },
    subscribe: (onFrame) => link.subscribe((frame) => isCut || onFrame(frame)),
  }
}

/** The same, once it has a standby. */
async function ready(nodes: number, options: JoinOptions = {}, legMs = 0): Promise<Stage> {
  const all = await stage(nodes, options, legMs)
  await all.mesh.clock.advance(STANDBY_AFTER_MS + 8 * LEG_MS)
  assert.is(all.mesh.standbys.length, 1, 'it has a standby')
  all.states.length = 0
  return all
}

const hostOf = ({ url }: { url: string }): string => `http://${new URL(url).host}`

// --- the standby ---

test('an edge at home gets a standby at another node, which costs the mesh no record', async () => {
  const { mesh, edge } = await stage(3, { topics: ['room'] })
  await mesh.clock.advance(STANDBY_AFTER_MS / 2 - 100)
  assert.is(mesh.standbys.length, 0, 'not for a short visit')
  await mesh.clock.advance(STANDBY_AFTER_MS / 2 + 100)
  assert.is(mesh.standbys.length, 1)
  const { url } = mesh.standbys[0]!
  assert.match(new URL(url).search, /^\?n=[0-9a-f]{64}&s=1$/, 'it names nothing but the network')
  assert.not(url.includes(new URL(edge.home.url).host))
  for (let minute = 0; minute < 50; minute++) await mesh.clock.advance(MINUTE_MS)
  assert.is(mesh.standbys.length, 1, 'one lasts')
  assert.equal(
    mesh.nodes.map((node) => node.health().edges),
    [1, 0, 0],
  )
  await mesh.close()
})

test('the standbys of one home’s edges are spread over the other nodes', async () => {
  const mesh = await testMesh(4)
  await mesh.clock.advance(HEARTBEAT_MS)
  for (let i = 0; i < 32; i++) await mesh.edge(mesh.nodes)
  await mesh.clock.advance(STANDBY_AFTER_MS)
  const hosts = mesh.standbys.map(({ url }) => new URL(url).host)
  assert.is(hosts.length, 32)
  assert.is(new Set(hosts).size, 3, `${hosts}`)
  await mesh.close()
})

test('a standby is at a node that the application named, while one of them will do', async () => {
  const mesh = await testMesh(6)
  await mesh.clock.advance(HEARTBEAT_MS)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const given = [mesh.urlOf(n0), mesh.urlOf(n1)]
  for (let i = 0; i < 8; i++) await mesh.edge([n0, n1])
  await mesh.clock.advance(STANDBY_AFTER_MS)
  assert.equal(mesh.standbys.map(hostOf), Array(8).fill(given[1]))
  mesh.kill(n1)
  for (let i = 0; i < 60; i++) await mesh.clock.advance(1_000)
  const later = mesh.standbys.slice(8).map(hostOf)
  assert.ok(later.filter((host) => !given.includes(host)).length >= 8, `${later}`)
  await mesh.close()
})

test('a killed home is replaced by the standby in one round trip, and nothing is dialled', async () => {
  const { mesh, edge, states } = await ready(3, { topics: ['room'] }, LEG_MS)
  const atMs: number[] = []
  edge.on('home', () => atMs.push(mesh.clock.nowMs()))
  const dialled = mesh.dials.length
  mesh.kill(mesh.nodes[0]!)
  for (let ms = 0; ms < 200; ms++) await mesh.clock.advance(1)
  assert.equal(
    states.map(({ state }) => state),
    ['connecting', 'connecting', 'open'],
  )
  assert.is(atMs.at(-1)! - atMs[0]!, 2 * LEG_MS)
  assert.is(mesh.dials.length, dialled)
  assert.is(new URL(edge.home.url).host, new URL(mesh.standbys[0]!.url).host)
  await mesh.clock.advance(STANDBY_AFTER_MS)
  assert.is(mesh.standbys.length, 2, 'and it has another one')
  await mesh.close()
})

test('what is signed for a standby is as new as its clock, however old its hello', async () => {
  const { mesh, edge } = await ready(2)
  const seqs: number[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.proof) seqs.push(decodeProof(frame).presence.seq)
    return [frame]
  }
  for (let minute = 0; minute < 50; minute++) await mesh.clock.advance(MINUTE_MS)
  mesh.kill(mesh.nodes[0]!)
  await mesh.clock.advance(10)
  assert.is(edge.home.state, 'open')
  assert.is(seqs.length, 1)
  assert.ok(Math.abs(seqs[0]! - mesh.clock.nowMs()) < 1_000, `${seqs[0]! - mesh.clock.nowMs()}`)
  await mesh.close()
})

test('a standby that refuses costs one try, and the edge comes home elsewhere', async () => {
  const { mesh, edge } = await ready(3)
  const standby = hostOf(mesh.standbys[0]!)
  mesh.tap = (frame, way, url) => {
    if (way !== 'down' || url !== standby || frame[0] !== FRAME.welcome) return [frame]
    return [encodeBye(new SignalMeshError('MESH_FULL', 'no place'))]
  }
  mesh.kill(mesh.nodes[0]!)
  await mesh.clock.advance(2_000)
  assert.is(edge.home.state, 'open')
  assert.is.not(edge.home.url, standby)
  await mesh.close()
})

test('another address of the home itself is no standby', async () => {
  const mesh = await testMesh(2)
  await mesh.clock.advance(HEARTBEAT_MS)
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const alias = 'http://127.0.0.1:7000'
  const dial = (url: string): Link => mesh.dial(url.replace(':7000', ':5000'))
  const urls = [mesh.urlOf(n0), alias]
  const edges: Edge[] = []
  // Each draws one of two at first.
  while (edges.length < 12) edges.push(await mesh.edge(n0, { urls }, { dial }))
  for (let i = 0; i < 60; i++) await mesh.clock.advance(10_000)
  mesh.kill(n0)
  await mesh.clock.advance(10)
  const homes = edges.map((edge) => edge.home.nodeId)
  assert.equal(homes, Array(12).fill(n1.id), 'at once, so it was the standby')
  await mesh.close()
})

test('an edge that finds no standby looks ever more rarely, and goes on to be at home', async () => {
  const { mesh, edge, line, states } = await stage(2)
  line.isOffline = true
  for (let minute = 0; minute < 60; minute++) await mesh.clock.advance(MINUTE_MS)
  const atMs = mesh.standbys.map((dial) => dial.atMs)
  const gapsMs = atMs.slice(1).map((at, i) => at - atMs[i]!)
  assert.ok(gapsMs[0]! <= 2 * STANDBY_AFTER_MS, `${gapsMs}`)
  assert.ok(Math.min(...gapsMs.slice(-5)) >= STANDBY_MAX_MS / 2, `${gapsMs}`)
  assert.equal(states, [])
  assert.is(edge.home.state, 'open')
  await mesh.close()
})

test('an edge that closes leaves its standby too, and dials no more', async () => {
  const { mesh, edge } = await ready(2)
  let isClosed = false
  void mesh.standbys[0]!.far.closed.then(() => (isClosed = true))
  await edge.close()
  await mesh.clock.advance(10)
  assert.ok(isClosed)
  const dialled = mesh.dials.length + mesh.standbys.length
  for (let i = 0; i < 60; i++) await mesh.clock.advance(10_000)
  assert.is(mesh.dials.length + mesh.standbys.length, dialled)
  await mesh.close()
})

// --- the node's side of it ---

/** A raw socket that asks to be a standby. */
function rawStandby(mesh: TestMesh, node: MeshNode, remoteAddress?: string): Promise<RawEdge> {
  const dial: TestMesh['dial'] = (url, address) => mesh.dial(`${url}?s=1`, address)
  return rawEdge({ ...mesh, dial }, node, { ...(remoteAddress && { remoteAddress }) })
}

test('a node keeps a standby long beyond the time for a proof, but not for ever', async () => {
  const mesh = await testMesh(1)
  const raw = await rawStandby(mesh, mesh.nodes[0]!)
  raw.link.subscribe((frame) => frame[0] === FRAME.ping && raw.link.send(PONG))
  await mesh.clock.advance(2 * EDGE_PROOF_MS)
  assert.not(raw.isClosed)
  for (let ms = 2 * EDGE_PROOF_MS; ms < STANDBY_MS; ms += 20_000) await mesh.clock.advance(20_000)
  assert.ok(raw.isClosed)
  await mesh.close()
})

test('a standby may say nothing but its proof, and is an edge after it', async () => {
  const mesh = await testMesh(1)
  for (const kind of [FRAME.rpc, FRAME.signal, FRAME.push]) {
    const raw = await rawStandby(mesh, mesh.nodes[0]!)
    await raw.send(Uint8Array.of(kind, ...new Uint8Array(200)))
    assert.is(raw.bye?.code, 'BAD_FRAME')
  }
  const raw = await rawStandby(mesh, mesh.nodes[0]!)
  await mesh.clock.advance(MINUTE_MS / 2)
  await raw.send(PING)
  await raw.send(raw.proof())
  assert.is(raw.ofKind(FRAME.welcome).length, 1)
  assert.is(mesh.nodes[0]!.health().edges, 1)
  await mesh.close()
})

test('standbys of an address take no place of its edges, and are as many at most', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const first = await rawStandby(mesh, node, '192.0.2.1')
  for (let i = 1; i < MAX_EDGES_PER_ADDRESS; i++) {
    mesh.dial(`${mesh.urlOf(node)}/edge?s=1`, '192.0.2.1')
  }
  assert.is((await rawStandby(mesh, node, '192.0.2.1')).bye?.code, 'TOO_MANY')
  const edge = await rawEdge(mesh, node, { remoteAddress: '192.0.2.1' })
  assert.is(edge.bye, undefined)
  for (let i = 1; i < MAX_EDGES_PER_ADDRESS; i++) {
    mesh.dial(`${mesh.urlOf(node)}/edge`, '192.0.2.1')
  }
  await first.send(first.proof())
  assert.is(first.bye?.code, 'TOO_MANY', 'it would be one edge too many')
  const fresh = await rawStandby(mesh, node, '192.0.2.1')
  assert.is(fresh.bye, undefined, 'and its place is free again')
  await mesh.close()
})

test('an upgrade that asks for a standby in another way than s=1 is refused', async () => {
  const mesh = await testMesh(1)
  for (const query of ['s=', 's=0', 's=2', 's=1&s=1', 's=true']) {
    const request = new Request(`http://127.0.0.1:5000/edge?${query}`)
    const answer = mesh.nodes[0]!.upgrade(request, { remoteAddress: '127.0.0.1' })
    assert.is((answer as Response).status, 400, query)
  }
  await mesh.close()
})

// --- a node that stops ---

test('a node that stops names the time that its edges need, and lets its standbys go', async () => {
  for (const others of [1, 2, 4]) {
    const mesh = await testMesh(others + 1)
    const [node] = mesh.nodes as [MeshNode]
    const edges: RawEdge[] = []
    for (let i = 0; i < 21; i++) edges.push(await provenEdge(mesh, node))
    const standby = await rawStandby(mesh, node)
    await node.close()
    await mesh.clock.advance(0)
    for (const { bye } of edges) {
      assert.is(bye?.code, 'GOING_AWAY')
      assert.is(bye?.retryAfterMs, (20 * 1000) / (MOVES_PER_SECOND * others))
    }
    assert.is(standby.bye?.code, 'GOING_AWAY')
    await mesh.close()
  }
})

test('edges of a node that stops spread over that time, but no longer than the bound', () => {
  const goingAway = (retryAfterMs: number) => ({
    url: 'http://one',
    error: new SignalMeshError('GOING_AWAY', '', { retryAfterMs }),
    openMs: MINUTE_MS,
  })
  for (const hasStandby of [true, false]) {
    const waitMs = (retryAfterMs: number, random: number): number =>
      createDialling(['http://one', 'http://two'], () => random).lost(
        goingAway(retryAfterMs),
        hasStandby,
      )
    assert.is(waitMs(4_000, 1), 4_000)
    assert.is(waitMs(4_000, 0.25), 1_000)
    assert.is(waitMs(4_000, 0), 0)
    assert.is(waitMs(2 ** 32 - 1, 1), MOVE_WITHIN_MS)
  }
})

// --- half-open homes ---

test('a home that says nothing more is noticed soon after something is asked of it', async () => {
  for (const act of ['request', 'signal'] as const) {
    const { mesh, edge, line } = await ready(2)
    const peer = await mesh.edge(mesh.nodes[1]!, { topics: ['room'] })
    await mesh.clock.advance(100)
    // Known by a look-up before, so that it is the signal that goes nowhere.
    if (act === 'signal') line.losesSignals = true
    const calling = act === 'signal' ? edge.connect(peer.id, { topic: 'room' }) : undefined
    await mesh.clock.advance(10)
    const old = edge.home.nodeId
    const cutMs = mesh.clock.nowMs()
    line.cut()
    line.losesSignals = false
    const asking = act === 'request' ? edge.discover('room') : undefined
    while (edge.home.nodeId === old) await mesh.clock.advance(100)
    const tookMs = mesh.clock.nowMs() - cutMs
    assert.ok(tookMs <= 2 * PROBE_AFTER_MS + PROBE_TIMEOUT_MS + 200, `${act}: ${tookMs}`)
    if (asking) assert.is((await during(asking, mesh.clock)).total, 1)
    if (calling) assert.is((await during(calling, mesh.clock)).id, peer.id)
    await mesh.close()
  }
})

test('an idle edge notices a half-open home within two keep-alives, and is back', async () => {
  const { mesh, edge, line, states } = await ready(2)
  line.cut()
  await mesh.clock.advance(2 * PING_AFTER_MS + 2 * PROBE_TIMEOUT_MS + BACKOFF_MAX_MS)
  assert.ok(states.length > 0)
  assert.is(edge.home.state, 'open')
  await mesh.close()
})

test('a home that answers is asked for no sign of life', async () => {
  const { mesh, edge, line } = await ready(2)
  line.sent.length = 0
  for (let i = 0; i < 6; i++) {
    await during(edge.discover('room'), mesh.clock)
    await mesh.clock.advance(900)
  }
  assert.not(line.sent.includes(FRAME.ping))
  await mesh.close()
})

// --- waking ---

test('an edge that is woken probes its home at once, and leaves it if it is dead', async () => {
  const { mesh, edge, line, states } = await ready(2)
  line.sent.length = 0
  line.wake()
  assert.equal(line.sent, [FRAME.ping, FRAME.ping], 'home and standby')
  await mesh.clock.advance(PROBE_TIMEOUT_MS + 100)
  assert.equal(states, [], 'both live')
  line.cut()
  line.wake()
  await mesh.clock.advance(PROBE_TIMEOUT_MS + 1_000)
  assert.is(states[0]?.state, 'connecting')
  assert.is(edge.home.state, 'open')
  await mesh.close()
})

test('an edge that is woken without a home dials at once, but not with each event', async () => {
  const { mesh, edge, line } = await stage(1)
  line.isOffline = true
  line.cut()
  for (let minute = 0; minute < 10; minute++) await mesh.clock.advance(MINUTE_MS)
  assert.is(edge.home.state, 'connecting')
  const before = mesh.dials.length
  for (let i = 0; i < 20; i++) {
    line.wake()
    await mesh.clock.advance(100)
  }
  const more = mesh.dials.length - before
  await mesh.clock.advance(600_000)
  const long = mesh.dials.length
  line.wake()
  await mesh.clock.advance(WAKE_AGAIN_MS + BACKOFF_FIRST_MS)
  assert.ok(mesh.dials.length >= long + 2, 'and its waits begin anew')
  assert.ok(more >= 1 && more <= 2_000 / WAKE_AGAIN_MS + 2, `${more} dials`)
  line.isOffline = false
  line.wake()
  await mesh.clock.advance(WAKE_AGAIN_MS)
  assert.is(edge.home.state, 'open', 'without waiting for the back-off')
  await mesh.close()
})

test('a clock that jumps is an awakening, and its late timers are no dead home', async () => {
  const { mesh, line, states } = await ready(2)
  line.sent.length = 0
  mesh.clock.skew(60 * MINUTE_MS)
  await mesh.clock.advance(WAKE_CHECK_MS)
  assert.ok(line.sent.includes(FRAME.ping))
  await mesh.clock.advance(PROBE_TIMEOUT_MS)
  assert.equal(states, [])
  // Asleep between a probe and its answer: the timer comes first.
  let answers: (() => void)[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up') return [frame]
    answers.push(() => mesh.dials[0]!.far.send(frame))
    return []
  }
  line.wake()
  await mesh.clock.advance(PROBE_TIMEOUT_MS - 1)
  mesh.clock.skew(60 * MINUTE_MS)
  await mesh.clock.advance(1)
  mesh.tap = undefined
  for (const answer of answers) answer()
  answers = []
  await mesh.clock.advance(PROBE_TIMEOUT_MS)
  assert.equal(states, [])
  await mesh.close()
})

test('a runtime’s events of network and sleep are heard, where it has them', () => {
  const globals = globalThis as { addEventListener?: unknown; document?: unknown }
  let woken = 0
  runtimeWakes(() => woken++)()
  const page = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globals, {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    document,
  })
  try {
    const stop = runtimeWakes(() => woken++)
    for (const name of ['online', 'offline', 'pageshow']) page.dispatchEvent(new Event(name))
    for (const name of ['resume', 'visibilitychange']) document.dispatchEvent(new Event(name))
    assert.is(woken, 5)
    document.visibilityState = 'hidden'
    document.dispatchEvent(new Event('visibilitychange'))
    assert.is(woken, 5, 'a page that is hidden does not wake')
    document.visibilityState = 'visible'
    stop()
    page.dispatchEvent(new Event('online'))
    document.dispatchEvent(new Event('resume'))
    assert.is(woken, 5)
  } finally {
    for (const name of ['addEventListener', 'removeEventListener', 'document'] as const) {
      Reflect.deleteProperty(globals, name)
    }
  }
})

// --- all that can happen to a home ---

interface Cause {
  readonly name: string
  happen(all: Stage): void | Promise<void>
  /** The edge is at home again so long after it. */
  readonly withinMs: number
}

const home = ({ mesh }: Stage): MeshNode => mesh.nodes[0] as MeshNode
const bye =
  (code: ErrorCode) =>
  ({ mesh }: Stage): void =>
    mesh.dials[0]!.far.send(encodeBye(new SignalMeshError(code, '')))

const CAUSES: readonly Cause[] = [
  { name: 'its home is killed', happen: (all) => all.mesh.kill(home(all)), withinMs: 20 },
  { name: 'its home stops', happen: (all) => home(all).close(), withinMs: 20 },
  {
    name: 'its home hangs',
    happen: ({ mesh, edge }) => {
      const { url } = edge.home
      mesh.tap = (frame, _way, at) => (at === url ? [] : [frame])
    },
    withinMs: 2 * PROBE_AFTER_MS + PROBE_TIMEOUT_MS,
  },
  { name: 'its home lies that another took over', happen: bye('REPLACED'), withinMs: 20 },
  { name: 'its home fails', happen: bye('INTERNAL'), withinMs: 20 },
  {
    name: 'its home and its standby are killed',
    happen: (all) => {
      const standby = hostOf(all.mesh.standbys[0]!)
      for (const node of all.mesh.nodes.slice(0, 3)) {
        const isGone = node === home(all) || all.mesh.urlOf(node) === standby
        if (isGone) all.mesh.kill(node)
      }
    },
    withinMs: 3_000,
  },
  {
    name: 'its network is gone for a while',
    happen: async ({ mesh, line }) => {
      line.cut()
      line.isOffline = true
      line.wake()
      await mesh.clock.advance(20_000)
      line.isOffline = false
      line.wake()
    },
    withinMs: WAKE_AGAIN_MS,
  },
  {
    name: 'its network comes back before it was missed',
    happen: ({ line }) => {
      line.cut()
      line.wake()
    },
    withinMs: 2 * PROBE_TIMEOUT_MS + WAKE_AGAIN_MS,
  },
  {
    name: 'its machine sleeps, and all sockets die',
    happen: ({ mesh, line }) => {
      line.cut()
      mesh.clock.skew(5 * MINUTE_MS)
    },
    withinMs: WAKE_CHECK_MS + 2 * PROBE_TIMEOUT_MS,
  },
]

for (const cause of CAUSES) {
  test(`${cause.name}: same id, topics, watches, connections, and a call under way arrives`, async () => {
    const all = await ready(4, { topics: ['room'] })
    const { mesh, edge, line, errors } = all
    const { id } = edge
    const last = mesh.nodes[3] as MeshNode
    // The last node is never its home or standby, so that the others are there throughout.
    const bob = await mesh.edge(last, { topics: ['room'] })
    const cat = await mesh.edge(last, { topics: ['room'] })
    await mesh.clock.advance(100)
    const connection = await during(edge.connect(bob.id, { topic: 'room' }), mesh.clock)
    const seen: string[] = []
    const follow = async (): Promise<void> => {
      for await (const change of edge.watch('room')) seen.push(`${change.kind} ${change.id}`)
    }
    void follow()
    await mesh.clock.advance(10)
    line.losesSignals = true
    const calling = edge.connect(cat.id, { topic: 'room' })
    await mesh.clock.advance(10)
    const asking = cause.name.includes('hangs') ? edge.discover('room') : undefined
    await cause.happen(all)
    line.losesSignals = false
    const sinceMs = mesh.clock.nowMs()
    const isHome = (): boolean =>
      edge.home.state === 'open' &&
      mesh.nodes.some((node) => node.health().edges > 0 && node.id === edge.home.nodeId)
    await mesh.clock.advance(cause.withinMs)
    assert.ok(isHome(), `${edge.home.state} after ${mesh.clock.nowMs() - sinceMs} ms`)
    assert.is(edge.id, id)
    assert.is(connection.state, 'open')
    assert.is((await during(calling, mesh.clock)).id, cat.id)
    if (asking) assert.ok((await during(asking, mesh.clock)).total >= 2)
    const dan = await mesh.edge(last, { topics: ['room'] })
    await mesh.clock.advance(1_000)
    assert.ok(seen.includes(`join ${dan.id}`), 'it watches')
    const { peers } = await during(dan.discover('room'), mesh.clock)
    const own = peers.find((peer) => peer.id === id)
    assert.is(own?.home, edge.home.nodeId, 'it is found at its home')
    assert.is((await during(dan.connect(id, { topic: 'room' }), mesh.clock)).id, id)
    assert.equal(errors, [])
    await mesh.close()
  })
}

test('no word of an open home but a proof ends an edge for good', async () => {
  for (const code of Object.keys(CODE_NUMBERS) as ErrorCode[]) {
    const { mesh, edge, errors } = await stage(2)
    bye(code)({ mesh } as Stage)
    await mesh.clock.advance(2_000)
    assert.is(edge.home.state, 'open', code)
    assert.equal(errors, [], code)
    await mesh.close()
  }
})

test.run()
