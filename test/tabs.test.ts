/** One socket for all tabs of an origin: a shared worker holds it, and whatever ends, the tabs stay edges. */

import { settle } from '../src/clock.ts'
import { checkJoin } from '../src/edge/options.ts'
import { sharedDial } from '../src/edge/shared.ts'
import { listen, type Port, type PortMessage } from '../src/edge/sharedmessages.ts'
import { createSharedTabs } from '../src/edge/sharedtabs.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  MAX_BUFFERED_BYTES,
  MAX_SESSIONS_PER_SOCKET,
  PING_AFTER_MS,
  PROBE_TIMEOUT_MS,
  SHARED_AHEAD_BYTES,
  SILENT_AFTER_MS,
  STANDBY_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { createMux } from '../src/mux.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { heard, makeOrigin, type Origin } from './support/tabs.ts'

const test = suite('tabs')

interface Stage {
  readonly mesh: TestMesh
  readonly node: MeshNode
  readonly origin: Origin
}

async function stage(nodes = 1): Promise<Stage> {
  const mesh = await testMesh(nodes)
  const origin = makeOrigin(mesh.clock, (url) => mesh.dial(url))
  return { mesh, node: mesh.nodes[0] as MeshNode, origin }
}

const sharedDials = ({ dials }: TestMesh): number =>
  dials.filter(({ url }) => new URL(url).pathname === '/edges').length

test('tabs of one origin share one socket, and each is an edge of its own', async () => {
  const { mesh, node, origin } = await stage()
  const tabs = [origin.tab(), origin.tab(), origin.tab()]
  const edges = []
  for (const { dial } of tabs) edges.push(await mesh.edge(node, { topics: ['room'] }, { dial }))
  assert.is(origin.workers, 1)
  assert.equal(
    mesh.dials.map(({ url }) => new URL(url).pathname),
    ['/edges'],
  )
  assert.is(node.health().edges, 3)
  assert.is(new Set(edges.map(({ id }) => id)).size, 3)
  const [first, second] = edges
  const { total } = await during((first as (typeof edges)[0]).discover('room'), mesh.clock)
  assert.is(total, 2)
  const connecting = first?.connect(second?.id ?? '', { topic: 'room' })
  assert.is((await during(connecting as NonNullable<typeof connecting>, mesh.clock)).state, 'open')
  assert.equal(
    tabs.flatMap(({ ownDials }) => ownDials),
    [],
  )
  await mesh.close()
})

test('an edge that closes takes its session along, and the last one the socket', async () => {
  const { mesh, node, origin } = await stage()
  const [a, b] = [origin.tab(), origin.tab()] as const
  const [edgeA, edgeB] = [
    await mesh.edge(node, {}, { dial: a.dial }),
    await mesh.edge(node, {}, { dial: b.dial }),
  ]
  let isClosed = false
  void mesh.dials[0]?.far.closed.then(() => (isClosed = true))
  await edgeA.close()
  await mesh.clock.advance(5_000)
  assert.is(node.health().edges, 1)
  assert.not(isClosed)
  await edgeB.close()
  await mesh.clock.advance(5_000)
  assert.ok(isClosed)
  await mesh.close()
})

test('a tab that ends without a word is noticed at once by its lock', async () => {
  const { mesh, node, origin } = await stage()
  const [a, b] = [origin.tab(), origin.tab()] as const
  await mesh.edge(node, {}, { dial: a.dial })
  const kept = await mesh.edge(node, {}, { dial: b.dial })
  a.crash()
  await heard()
  await mesh.clock.advance(0)
  assert.is(node.health().edges, 1)
  assert.is(kept.home.state, 'open')
  await mesh.close()
})

test('a tab that ends without a word and without locks is noticed by its silence', async () => {
  const { mesh, node, origin } = await stage()
  const [a, b] = [origin.tab({ isSecure: false }), origin.tab({ isSecure: false })] as const
  await mesh.edge(node, {}, { dial: a.dial })
  const kept = await mesh.edge(node, {}, { dial: b.dial })
  a.crash()
  await mesh.clock.advance(SILENT_AFTER_MS + PING_AFTER_MS)
  assert.is(node.health().edges, 1)
  assert.is(kept.home.state, 'open')
  await mesh.close()
})

test('tabs come home again when their home is killed, over one socket to the next', async () => {
  const { mesh, node, origin } = await stage(2)
  const [, other] = mesh.nodes as [MeshNode, MeshNode]
  const edges = []
  for (let i = 0; i < 3; i++) {
    edges.push(await mesh.edge([node, other], {}, { dial: origin.tab().dial }))
  }
  const ids = edges.map(({ id }) => id)
  await mesh.clock.advance(STANDBY_AFTER_MS)
  assert.is(sharedDials(mesh), 2, 'one to the home, one to the standby of all')
  mesh.kill(node)
  await mesh.clock.advance(100)
  assert.is(other.health().edges, 3)
  assert.equal(
    edges.map(({ id, home }) => `${id} ${home.state} ${home.nodeId}`),
    ids.map((id) => `${id} open ${other.id}`),
  )
  assert.is(mesh.dials.filter(({ url }) => url.includes(':5001')).length, 1)
  await mesh.close()
})

test('tabs come home again over a new worker when theirs is killed', async () => {
  const { mesh, node, origin } = await stage()
  const tabs = [origin.tab(), origin.tab()]
  const edges = []
  for (const { dial } of tabs) edges.push(await mesh.edge(node, {}, { dial }))
  origin.killWorker()
  await heard()
  await mesh.clock.advance(1_000)
  assert.is(origin.workers, 2)
  assert.equal(
    edges.map(({ home }) => home.state),
    ['open', 'open'],
  )
  assert.is(node.health().edges, 2)
  assert.is(sharedDials(mesh), 2)
  await mesh.close()
})

test('without locks too, though a killed worker is noticed only when it is silent', async () => {
  const { mesh, node, origin } = await stage()
  const { dial } = origin.tab({ isSecure: false })
  const edge = await mesh.edge(node, {}, { dial })
  origin.killWorker()
  await mesh.clock.advance(1_000)
  assert.is(edge.home.state, 'open', 'nothing has told it')
  await mesh.clock.advance(2 * PING_AFTER_MS + 2 * PROBE_TIMEOUT_MS)
  assert.is(origin.workers, 2)
  assert.is(edge.home.state, 'open')
  assert.is(node.health().edges, 1)
  await mesh.close()
})

test('a worker that never answers is left for a socket of the tab’s own', async () => {
  const { mesh, node, origin } = await stage()
  origin.isBroken = true
  const tab = origin.tab()
  const edge = await mesh.edge(node, {}, { dial: tab.dial })
  assert.is(edge.home.state, 'open')
  assert.equal(
    tab.ownDials.map((url) => new URL(url).pathname),
    ['/edge'],
  )
  await mesh.close()
})

test('where there are no shared workers, or the script is refused, a tab has a socket of its own', () => {
  const [link] = linkPair()
  const ground = { clock: undefined as never, dial: () => link }
  assert.is(sharedDial('/edge-worker.js', ground)('ws://a/edge'), link)
  const refused = (): never => {
    throw new Error('The script is of another origin')
  }
  assert.is(sharedDial(refused, ground)('ws://a/edge'), link)
})

test('refuses at the call what is no shared socket', () => {
  for (const sharedWorker of ['/edge-worker.js', {}, null, 7]) {
    assert.throws(
      () => checkJoin({ sharedWorker } as never),
      (error: SignalMeshError) =>
        error.code === 'BAD_ARGUMENT' && /sharedSocket/.test(error.message),
    )
  }
  checkJoin({ sharedWorker: () => () => linkPair()[0] })
})

test('opens a second socket where one is full', async () => {
  const { mesh, node, origin } = await stage()
  const { dial } = origin.tab()
  const links: Link[] = []
  for (let i = 0; i <= MAX_SESSIONS_PER_SOCKET; i++) links.push(dial(`${mesh.urlOf(node)}/edge`))
  let hellos = 0
  for (const link of links) link.subscribe(() => (hellos += 1))
  await heard()
  await mesh.clock.advance(0)
  assert.is(sharedDials(mesh), 2)
  assert.is(hellos, MAX_SESSIONS_PER_SOCKET + 1)
  for (const link of links) link.close()
  await mesh.close()
})

/** A worker whose one tab is the test, and whose one node too. */
function rawTab(): {
  readonly say: (...message: PortMessage) => Promise<void>
  readonly told: PortMessage[]
  readonly port: Port
  /** The node's end of what the tab opens. */
  readonly accepted: Link[]
} {
  const told: PortMessage[] = []
  const accepted: Link[] = []
  const clock = { nowMs: () => 0, monotonicMs: () => 0, after: () => () => {} }
  const connect = createSharedTabs({
    clock,
    dial: () => {
      const [near, far] = linkPair()
      createMux({ socket: far, clock, idleMs: 0, accept: (link) => void accepted.push(link) })
      return near
    },
  })
  const port: Port = {
    onmessage: null,
    close: () => {},
    postMessage: ((message: PortMessage) => void told.push(message)) as Port['postMessage'],
  }
  connect(port)
  const say = async (...message: PortMessage): Promise<void> => {
    port.onmessage?.call(null as never, { data: message } as unknown as MessageEvent)
    await settle()
  }
  return { say, told, port, accepted }
}

test('a tab that hangs loses its session before the worker’s memory fills', async () => {
  const { say, told, accepted } = rawTab()
  await say('open', 1, 'ws://a/edge')
  await say('open', 2, 'ws://a/edge')
  const [hung, reading] = accepted as [Link, Link]
  const frame = new Uint8Array(SHARED_AHEAD_BYTES / 2)
  for (let sent = 0; sent <= MAX_BUFFERED_BYTES; sent += frame.length) {
    hung.send(frame)
    reading.send(frame)
    await say('read', 2, frame.length)
  }
  assert.is(await hung.closed, 'RATE_LIMITED')
  assert.equal(
    told.filter(([kind]) => kind === 'close'),
    [['close', 1, 'RATE_LIMITED']],
  )
  reading.send(frame)
  await settle()
  assert.is(told.at(-1)?.[1], 2)
})

test('a tab says what it has read, so that it may be sent more', async () => {
  const { mesh, node, origin } = await stage()
  const link = origin.tab().dial(`${mesh.urlOf(node)}/edge`)
  let frames = 0
  link.subscribe(() => (frames += 1))
  await heard()
  const mux = mesh.dials[0]?.far as Link
  const frame = new Uint8Array(5 + 50_000)
  frame.set([2, 0, 0, 0, 1])
  for (let i = 0; i < 60; i++) {
    mux.send(frame)
    await heard()
  }
  assert.is(frames, 1 + 60)
  link.close()
  await mesh.close()
})

test('a worker takes whatever is posted to it', async () => {
  const { say, told, port, accepted } = rawTab()
  const rubbish: readonly unknown[] = [
    undefined,
    7,
    {},
    [],
    ['open'],
    ['open', 1, 7],
    ['open', 'x', 'ws://a/edge'],
    ['frame', 1, 'text'],
    ['read', 1, -1],
    ['constructor', 1, 'x'],
    ['close', 9, 'unknown'],
    ['frame', 9, new Uint8Array(1)],
  ]
  for (const data of rubbish) port.onmessage?.call(null as never, { data } as MessageEvent)
  await say('open', 1, 'not a URL')
  assert.equal(
    told.map(([kind]) => kind),
    ['ready', 'opened', 'close'],
  )
  await say('open', 2, 'ws://a/edge')
  await say('open', 2, 'ws://b/edge')
  assert.is(accepted.length, 1)
})

test('an edge without WebRTC can be found, says so when it is called, and what to do when it calls', async () => {
  const { mesh, node } = await stage()
  const asked: string[] = []
  const onIncoming = ({ id }: { id: string }) => void asked.push(id)
  const worker = await mesh.edge(node, { onIncoming }, { hasRtc: () => false })
  const page = await mesh.edge(node)
  for (const edge of [worker, page]) await during(edge.advertise('room'), mesh.clock)
  const { peers } = await during(page.discover('room'), mesh.clock)
  assert.equal(
    peers.map(({ id }) => id),
    [worker.id],
  )
  const failure = async (doing: Promise<unknown>): Promise<SignalMeshError> => {
    try {
      await during(doing, mesh.clock)
    } catch (error) {
      if (error instanceof SignalMeshError) return error
      throw error
    }
    throw new Error('It went well')
  }
  const refused = await failure(page.connect(worker.id, { topic: 'room' }))
  assert.is(refused.code, 'RTC_FAILED')
  assert.match(refused.message, 'The peer refused: it runs without WebRTC')
  assert.equal(asked, [])
  for (const doing of [worker.connect(page.id, { topic: 'room' }), worker.join('other')]) {
    const { code, message } = await failure(doing)
    assert.is(code, 'RTC_FAILED')
    assert.match(message, 'pass { wrtc }')
  }
  const wrtc = { RTCPeerConnection: {}, RTCSessionDescription: {}, RTCIceCandidate: {} }
  const handed = await mesh.edge(node, { wrtc }, { hasRtc: () => false })
  const connection = await during(handed.connect(page.id, { topic: 'room' }), mesh.clock)
  assert.is(connection.state, 'open')
  await mesh.close()
})

test('hears nothing that is no message', () => {
  const port = { onmessage: null, close: () => {}, postMessage: () => {} } as Port
  const kinds: string[] = []
  listen(port, ([kind]) => kinds.push(kind))
  for (const data of [['ready', 0], ['lock', 0, 'a'], ['lock', 0], 'ready', ['toString', 0]]) {
    port.onmessage?.call(null as never, { data } as MessageEvent)
  }
  assert.equal(kinds, ['ready', 'lock'])
})

test.run()
