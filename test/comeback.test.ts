/** Homes that come back: what is for their edges waits for a way that is about to be there. */

import { manualClock } from '../src/clock.ts'
import type { Directory } from '../src/directory.ts'
import { joinOn } from '../src/edge/join.ts'
import type { Edge } from '../src/edge/mod.ts'
import { SignalMeshError } from '../src/errors.ts'
import { CONNECT_TIMEOUT_MS, DIAL_RETRY_MS, HOME_SETTLES_MS, WAY_LOOK_MS } from '../src/limits.ts'
import { linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import type { MeshNode } from '../src/node.ts'
import type { Store } from '../src/runtime.ts'
import { createUrlDials } from '../src/urldials.ts'
import { ownVias } from '../src/vias.ts'
import { assert, suite } from './harness/suite.ts'
import { edgeAt, homesOf, keyOf, within, word } from './support/homes.ts'
import { during, memoryStore } from './support/mesh.ts'
import { rtcWorld } from './support/rtc.ts'
import { type SocketWorld, socketWorld } from './support/sockets.ts'

const test = suite('comeback')

/** Two homes without a link; of the second, the first has heard just now. */
function justHeardOf() {
  const homes = homesOf(3)
  const [x, y, via] = homes.all as [
    (typeof homes.all)[0],
    (typeof homes.all)[0],
    (typeof homes.all)[0],
  ]
  const a = edgeAt(homes, x, 1)
  const b = edgeAt(homes, y, 2)
  homes.tell(a.presence, y)
  homes.tell(b.presence, x)
  const state = x.directory.homes.get(y.id)!
  state.openedAtMs = homes.clock.monotonicMs()
  return { homes, x, y, via, a, b, state }
}

test('a signal waits for a home that has just come, until it says how it is reached', async () => {
  const { homes, x, y, a, b, state } = justHeardOf()
  a.send(within(a.identity, b.id))
  await homes.clock.advance(HOME_SETTLES_MS / 2)
  assert.equal([a.words, x.dials], [[], []])
  state.contact = { dhtKey: keyOf(7), urls: [], vias: [] }
  x.canDial = true
  await homes.clock.advance(WAY_LOOK_MS)
  assert.equal(x.dials, ['7'])
  homes.link(x, y)
  homes.run()
  assert.is(b.signals.length, 1)
})

test('a link that the home itself has opened meanwhile takes what waits, at once', async () => {
  const { homes, x, y, a, b } = justHeardOf()
  a.send(within(a.identity, b.id))
  homes.link(x, y)
  homes.run()
  assert.is(b.signals.length, 1)
  await homes.clock.advance(HOME_SETTLES_MS)
  assert.is(b.signals.length, 1, 'and no second time')
})

test('a home that names no way in its time is unreachable, and so is one that was there before', async () => {
  const { homes, a, b, state } = justHeardOf()
  a.send(within(a.identity, b.id))
  await homes.clock.advance(HOME_SETTLES_MS + WAY_LOOK_MS)
  assert.equal(a.words, ['HOME_UNREACHABLE'])
  state.openedAtMs = homes.clock.monotonicMs() - HOME_SETTLES_MS
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['HOME_UNREACHABLE', 'HOME_UNREACHABLE'])
})

test('what a via node cannot pass on yet is tried again while the home settles', async () => {
  const { homes, x, y, via, a, b, state } = justHeardOf()
  for (const home of [x, y]) home.vias.add(via.id)
  state.contact = { dhtKey: undefined, urls: [], vias: [via.id] }
  homes.link(x, via)
  via.act = (frame) => {
    const error = new SignalMeshError('HOME_UNREACHABLE', 'not yet')
    homes.post(via, x, word(frame, error, via))
  }
  a.send(within(a.identity, b.id))
  assert.equal(a.words, [])
  via.act = undefined
  homes.tell(a.presence, via)
  homes.tell(b.presence, via)
  homes.link(via, y)
  await homes.clock.advance(WAY_LOOK_MS)
  homes.run()
  assert.is(b.signals.length, 1)
})

test('however often a home was dialled in vain, when it is back the first wait is enough', async () => {
  const clock = manualClock()
  const state = { contact: { urls: ['https://home.example'] }, openedAtMs: 0 }
  let opened = 0
  const dials = createUrlDials({
    clock,
    log: silentLog,
    directory: { homes: new Map([['home', state]]) } as unknown as Directory,
    networkId: new Uint8Array(32),
    allowPrivate: false,
    open: async () => {
      opened += 1
      throw new Error('no')
    },
    add: async () => 'home',
    isLinked: () => false,
  })
  for (let waitMs = DIAL_RETRY_MS; waitMs < 8 * DIAL_RETRY_MS; waitMs *= 2) {
    await dials.dialHome('home')
    await clock.advance(waitMs)
  }
  await dials.dialHome('home')
  const before = opened
  state.openedAtMs = clock.monotonicMs() + 1
  await clock.advance(DIAL_RETRY_MS - 1)
  assert.is(dials.dialHome('home'), undefined, 'nor can it make others knock more often than that')
  await clock.advance(1)
  await dials.dialHome('home')
  assert.is(opened, before + 1)
})

test('a node stays a way to one that has dialled it, though its first head is yet to come', () => {
  const { x, y } = justHeardOf()
  const neighbours = { ids: [y.id], linkOf: () => ({ upMs: 0, initiator: true }) }
  assert.equal(ownVias(x.directory, neighbours), [y.id])
})

for (const isNamed of [true, false]) {
  const who = isNamed ? 'each dials one that is there' : 'the first comes back with nobody to dial'
  test(`all nodes are killed and back: who is found is called at once, ${who}`, async () => {
    const world = socketWorld()
    const stores = new Map<string, Store>()
    const hosts = ['a.example', 'b.example', 'c.example', 'd.example']
    const start = (host: string): Promise<MeshNode> => {
      const store = stores.get(host) ?? memoryStore()
      stores.set(host, store)
      const peers = host === hosts[0] ? [] : ['wss://a.example']
      return world.start(host, { store, peers })
    }
    const nodes = new Map<string, MeshNode>()
    for (const host of hosts) nodes.set(host, await start(host))
    await world.clock.advance(20_000)
    const killed = isNamed ? hosts.slice(1) : hosts
    for (const host of killed) {
      world.cut(nodes.get(host)!)
      world.move(host, undefined)
    }
    for (const host of killed) await nodes.get(host)!.close()
    // The one that is left, if there is one, dials them in vain.
    await world.clock.advance(25_000)
    for (const host of killed) nodes.set(host, await start(host))
    const rtc = rtcWorld(world.clock)
    const edges: Edge[] = []
    for (const host of hosts) edges.push(await edgeOf(world, nodes.get(host)!, host, rtc))
    for (const edge of edges) await during(edge.advertise('room'), world.clock)
    const startMs = world.clock.nowMs()
    for (const [i, edge] of edges.entries()) {
      for (const other of edges.slice(i + 1)) {
        await found(world, edge, other)
        const connection = await during(edge.connect(other.id, { topic: 'room' }), world.clock)
        assert.is(connection.state, 'open')
      }
    }
    assert.ok(world.clock.nowMs() - startMs < CONNECT_TIMEOUT_MS)
    for (const edge of edges) await edge.close()
    await world.close()
  })
}

test.run()

function edgeOf(
  world: SocketWorld,
  node: MeshNode,
  host: string,
  makeRtc: ReturnType<typeof rtcWorld>,
): Promise<Edge> {
  const { clock } = world
  const dial = (url: string) => {
    const [near, far] = linkPair()
    const take = node.upgrade(new Request(url.replace(/^ws/, 'http')), {
      remoteAddress: '192.0.2.7',
    })
    if (typeof take === 'function') take(far)
    else near.close('refused')
    return near
  }
  const joining = joinOn({ clock, makeRtc, dial }, { network: 'test', urls: [`http://${host}`] })
  return during(joining, clock)
}

async function found(world: SocketWorld, edge: Edge, other: Edge): Promise<void> {
  for (let i = 0; i < 400; i++) {
    const { peers } = await during(edge.discover('room', { limit: 100 }), world.clock)
    if (peers.some(({ id }) => id === other.id)) return
    await world.clock.advance(50)
  }
  throw new Error('It was not found')
}
