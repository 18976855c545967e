/** Nodes that nobody can dial, with edges of their own: found, called and missed like any others. */

import { acceptsAuthority, authorityOf, insideUrl } from '../src/authority.ts'
import type { Edge } from '../src/edge/mod.ts'
import { type Inside, type InsideJoinOptions, insideOf } from '../src/inside.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS, MAX_VIAS } from '../src/limits.ts'
import { nearStun } from '../src/nearstun.ts'
import type { MeshNode, NodeOptions } from '../src/node.ts'
import { createViaDials } from '../src/viadials.ts'
import { ownVias } from '../src/vias.ts'
import { assert, suite } from './harness/suite.ts'
import { during } from './support/mesh.ts'
import { rtcWorld } from './support/rtc.ts'
import { type SocketWorld, socketWorld } from './support/sockets.ts'

const test = suite('inside')
const TOPIC = 'room'
const worlds: SocketWorld[] = []
test.afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

interface Stage {
  readonly world: SocketWorld
  /** Makes a node as in a tab, which is told of these hosts. */
  tab(hosts: readonly string[], options?: Partial<NodeOptions>): Promise<Tab>
}

interface Tab extends Inside {
  readonly node: MeshNode
  /** An edge of it, in the topic. */
  edge(options?: InsideJoinOptions): Promise<Edge>
}

function open(): Stage {
  const world = socketWorld()
  worlds.push(world)
  const makeRtc = rtcWorld(world.clock)
  return {
    world,
    tab: async (hosts, options = {}) => {
      const peers = hosts.map((host) => `wss://${host}`)
      const node = await world.start('', { isInside: true, peers, ...options })
      const inside = insideOf(node, { network: 'test', clock: world.clock, makeRtc })
      return {
        ...inside,
        node,
        edge: (own = {}) => during(inside.join({ topics: [TOPIC], ...own }), world.clock),
      }
    },
  }
}

const connects = async ({ world }: Stage, from: Edge, to: Edge): Promise<string> => {
  const heard = new Promise<unknown>((resolve) => {
    to.on('connection', (connection) => connection.on('message', resolve))
  })
  const connection = await during(from.connect(to.id, { topic: TOPIC }), world.clock)
  await during(connection.send('hello'), world.clock)
  return String(await during(heard, world.clock))
}

const peersOf = async ({ world }: Stage, edge: Edge): Promise<string[]> => {
  const { peers } = await during(edge.discover(TOPIC), world.clock)
  return peers.map(({ id }) => id)
}

test('an edge is at home with the node of its own process, alone or in a mesh', async () => {
  const stage = open()
  const alone = await stage.tab([])
  const [a, b] = [await alone.edge(), await alone.edge()]
  assert.is(a.home.nodeId, alone.node.id)
  assert.equal(await peersOf(stage, a), [b.id])
  assert.is(await connects(stage, a, b), 'hello')
})

test('two nodes that nobody can dial connect their edges through the one neighbour of both', async () => {
  const stage = open()
  await stage.world.start('n.example')
  const [left, right] = [await stage.tab(['n.example']), await stage.tab(['n.example'])]
  const [a, b] = [await left.edge(), await right.edge()]
  await stage.world.clock.advance(500)
  assert.equal(await peersOf(stage, a), [b.id])
  assert.is(await connects(stage, a, b), 'hello')
  assert.is(stage.world.dials.length, 2, 'nobody dials a node that names no URL')
})

test('and at different neighbours, before either has a second link', async () => {
  const stage = open()
  const { world } = stage
  await world.start('n1.example')
  await world.start('n2.example', { peers: ['wss://n1.example'] })
  await world.clock.advance(1_000)
  const [left, right] = [await stage.tab(['n1.example']), await stage.tab(['n2.example'])]
  const [a, b] = [await left.edge(), await right.edge()]
  await world.clock.advance(200)
  assert.equal([world.neighbours(left.node), world.neighbours(right.node)], [1, 1])
  assert.equal(await peersOf(stage, a), [b.id])
  assert.is(await connects(stage, a, b), 'hello')
})

test('its neighbour’s death leaves it with others, and its edges as they were', async () => {
  const stage = open()
  const { world } = stage
  const n1 = await world.start('n1.example')
  await world.start('n2.example', { peers: ['wss://n1.example'] })
  await world.clock.advance(1_000)
  const left = await stage.tab(['n1.example'])
  const a = await left.edge()
  await world.clock.advance(500)
  assert.is(world.neighbours(left.node), 1, 'n2 is only heard of so far')
  world.move('n1.example', undefined)
  world.cut(n1)
  await world.clock.advance(3_000)
  assert.is(world.neighbours(left.node), 1)
  const right = await stage.tab(['n2.example'])
  const b = await right.edge()
  await world.clock.advance(500)
  assert.equal(a.home, { ...a.home, nodeId: left.node.id, state: 'open' })
  assert.is(await connects(stage, b, a), 'hello')
})

test('it keeps as many links as it names ways to it, however many nodes there are', async () => {
  const stage = open()
  const { world } = stage
  for (let i = 0; i < 2 * MAX_VIAS; i++) {
    await world.start(`n${i}.example`, { peers: i ? ['wss://n0.example'] : [] })
  }
  const tab = await stage.tab(['n0.example'])
  await world.clock.advance(30_000)
  assert.is(world.neighbours(tab.node), MAX_VIAS)
})

test('it is gone for others the moment it closes, and its edges say that they are closed', async () => {
  const stage = open()
  const n = await stage.world.start('n.example')
  const tab = await stage.tab(['n.example'])
  const edge = await tab.edge()
  await stage.world.clock.advance(500)
  assert.equal(n.health().mesh, { ...n.health().mesh, homes: 2, edges: 1 })
  void tab.close()
  await stage.world.clock.advance(0)
  assert.equal(n.health().mesh, { ...n.health().mesh, homes: 1, edges: 0 })
  assert.is(edge.home.state, 'closed')
  const late = await during(
    tab.join().catch(({ code }: { code: string }) => code),
    stage.world.clock,
  )
  assert.is(late, 'ABORTED')
})

test('one that ends without a word is missed like any other', async () => {
  const stage = open()
  const n = await stage.world.start('n.example')
  const tab = await stage.tab(['n.example'])
  await tab.edge()
  await stage.world.clock.advance(500)
  stage.world.move('n.example', undefined)
  stage.world.cut(tab.node)
  await stage.world.clock.advance(HOME_EXPIRES_MS + 2 * HEARTBEAT_MS)
  assert.equal(n.health().mesh, { ...n.health().mesh, homes: 1, edges: 0 })
})

test('it answers to its own name alone, not to the local addresses that other nodes answer to', async () => {
  const stage = open()
  const tab = await stage.tab([])
  const own = insideOf(tab.node, {
    network: 'test',
    clock: stage.world.clock,
    makeRtc: rtcWorld(stage.world.clock),
  })
  assert.is((await during(own.join(), stage.world.clock)).home.state, 'open')
  const other = await stage.tab([])
  // As a node in the middle would have it: this node's challenge, and another one's name.
  const led = { ...tab.node, id: other.node.id }
  const stray = insideOf(led, {
    network: 'test',
    clock: stage.world.clock,
    makeRtc: rtcWorld(stage.world.clock),
  })
  const failure = await during(
    stray.join().catch((error: { cause?: unknown }) => error),
    stage.world.clock,
  )
  assert.is((failure as { code: string }).code, 'BAD_AUTHORITY')
  const name = authorityOf(insideUrl(tab.node.id))
  assert.not(acceptsAuthority([], name), 'no node that listens answers to it')
})

const NODES = ['self', 'home', 'v1', 'v2', 'v3'] as const

/** What dials vias of `home`; `answers` are what becomes of each dial. */
function viaDials(
  contact: { urls?: string[]; dhtKey?: Uint8Array; vias: string[] },
  answers: Readonly<Record<string, boolean>>,
  linked: readonly string[] = [],
): { dial: ReturnType<typeof createViaDials>; dialled: string[] } {
  const dialled: string[] = []
  const homes = new Map([['home', { contact: { dhtKey: undefined, urls: [], ...contact } }]])
  const dial = createViaDials({
    self: NODES[0],
    directory: { homes } as never,
    dialHome: (via) => {
      const answer = answers[via]
      if (answer === undefined) return undefined
      dialled.push(via)
      return Promise.resolve(answer)
    },
    isLinked: (node) => linked.includes(node),
  })
  return { dial, dialled }
}

test('dials the via nodes of a home that cannot be dialled, until one answers', async () => {
  const vias = ['self', 'home', 'v1', 'v2', 'v3']
  const some = viaDials({ vias }, { self: true, home: true, v2: false, v3: true })
  assert.is(await some.dial('home'), false, 'there is no link to the home itself')
  assert.equal(some.dialled, ['v2', 'v3'])
  assert.is(viaDials({ vias }, {}).dial('home'), undefined)
  assert.is(viaDials({ vias }, { v1: true }, ['v3']).dial('home'), undefined, 'v3 will do')
  assert.is(viaDials({ vias }, { v1: true }).dial('unheard of'), undefined)
  for (const contact of [{ urls: ['https://home.example'] }, { dhtKey: new Uint8Array(32) }]) {
    assert.is(viaDials({ vias, ...contact }, { v1: true }).dial('home'), undefined)
  }
})

test('its edges get the STUN of the nodes that it dialled, as they are when a call is made', async () => {
  const stage = open()
  const { world } = stage
  const n = await world.start('n.example')
  n.useStun({ at: '198.51.100.7:3478', send: () => {} })
  const tab = await stage.tab(['n.example'])
  const given: RTCIceServer[][] = []
  const makeRtc = rtcWorld(world.clock)
  const watched = insideOf(tab.node, {
    network: 'test',
    clock: world.clock,
    makeRtc: (options) => {
      given.push([...(options.config.iceServers ?? [])])
      return makeRtc(options)
    },
  })
  const join = (options?: InsideJoinOptions) =>
    during(watched.join({ topics: [TOPIC], ...options }), world.clock)
  const own = [{ urls: 'stun:own.example' }]
  const [a, b, c] = [
    await join(),
    await join({ iceServers: own }),
    await join({ iceServers: (offered) => [...offered, ...own] }),
  ]
  await world.clock.advance(500)
  const near = { urls: 'stun:198.51.100.7:3478' }
  await during(a.connect(b.id, { topic: TOPIC }), world.clock)
  assert.equal(given.splice(0), [[near], own])
  await during(c.connect(b.id, { topic: TOPIC }), world.clock)
  assert.equal(given.splice(0), [[near, ...own], own])
})

test('and no STUN of their user’s own network because a node of the internet says so, nor of who dialled in', () => {
  const at = { near: '192.168.1.1:3478', far: '198.51.100.7:3478', in: '198.51.100.8:3478' }
  const homes = new Map(Object.entries(at).map(([id, stunAt]) => [id, { contact: { stunAt } }]))
  const neighbours = {
    ids: ['in', 'silent', 'near', 'far'],
    linkOf: (id: string) => ({ upMs: 0, initiator: id !== 'in' }),
  }
  const of = (allowPrivate: boolean) => nearStun({ homes } as never, neighbours, allowPrivate)
  assert.equal(of(false), [`stun:${at.far}`])
  assert.equal(of(true), [`stun:${at.near}`, `stun:${at.far}`])
})

test('a node’s first word names the neighbour that it has just dialled as a way to it', () => {
  const neighbours = {
    ids: ['v1', 'v2'],
    linkOf: (id: string) => ({ upMs: 0, initiator: id === 'v1' }),
  }
  assert.equal(ownVias({ homes: new Map() } as never, neighbours), ['v1'])
})

test.run()
