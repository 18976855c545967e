/** Networks side by side: one process serves several, and nothing goes from one to another. */

import { fatalWhenLast } from '../runtimes/lastfatal.ts'
import { fromHex, toHex } from '../src/bytes.ts'
import { type ManualClock, manualClock } from '../src/clock.ts'
import { joinOn } from '../src/edge/join.ts'
import type { Edge } from '../src/edge/mod.ts'
import { createSharedSockets } from '../src/edge/sharedsockets.ts'
import { SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import { MAX_EDGES_PER_ADDRESS } from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import { decodeBye, decodeHello, FRAME } from '../src/messages.ts'
import { notSpoken, type Served, serveNetworks } from '../src/networks.ts'
import { storesOf } from '../src/networkstores.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import type { Store } from '../src/runtime.ts'
import { networkId, topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, memoryStore } from './support/mesh.ts'
import { codeOf } from './support/rawedge.ts'
import { rtcWorld } from './support/rtc.ts'

const test = suite('networks')
const NAMES = ['main', 'testnet'] as const
const idOf = (name: string): string => toHex(networkId(name))

interface Process {
  readonly nodes: readonly MeshNode[]
  /** A socket to it, as from this address. */
  open(pathAndQuery: string, remoteAddress?: string): Link | Response
  get(path: string): Promise<Response>
}

interface World {
  readonly clock: ManualClock
  start(host: string, names?: readonly string[], peers?: readonly string[]): Promise<Process>
  edge(process: Process, network: string, identity?: Uint8Array): Promise<Edge>
  close(): Promise<void>
}

function makeWorld(): World {
  const clock = manualClock()
  const at = new Map<string, Process>()
  const all: MeshNode[] = []
  const makeRtc = rtcWorld(clock)
  const dial = async (url: string) => {
    const { host, pathname, search } = new URL(url)
    const link = at.get(host)?.open(pathname + search)
    if (!link || link instanceof Response) throw new SignalMeshError('HOME_UNREACHABLE', 'no')
    return { link, remoteAddress: '192.0.2.9' }
  }
  return {
    clock,
    start: async (host, names = NAMES, peers = []) => {
      const nodes: MeshNode[] = []
      for (const network of names) {
        const about = { runtime: { name: 'node', version: 'test' } as const, log: silentLog, clock }
        const own = { network, spoken: names, store: memoryStore(), dial, peers }
        nodes.push(await createNode({ ...about, ...own }))
      }
      all.push(...nodes)
      for (const node of nodes) node.setUrls([`http://${host}`])
      const served = serveNetworks(nodes as [MeshNode, ...MeshNode[]])
      const process: Process = {
        nodes,
        open: (path, remoteAddress = '192.0.2.1') => {
          const answer = served.upgrade(new Request(`http://${host}${path}`), { remoteAddress })
          if (answer instanceof Response) return answer
          const [near, far] = linkPair()
          answer(far)
          return near
        },
        get: async (path) =>
          served.fetch(new Request(`http://${host}${path}`), { remoteAddress: '192.0.2.1' }),
      }
      at.set(host, process)
      return process
    },
    edge: (process, network, identity) => {
      const host = [...at].find(([, other]) => other === process)?.[0]
      const dialEdge = (url: string): Link => {
        const { pathname, search } = new URL(url)
        return process.open(pathname + search) as Link
      }
      const options = { network, urls: [`http://${host}`], ...(identity && { identity }) }
      return during(joinOn({ clock, makeRtc, dial: dialEdge }, options), clock)
    },
    close: async () => {
      for (const node of all) await node.close()
    },
  }
}

async function frameOf(link: Link, clock: ManualClock): Promise<Uint8Array> {
  const frames: Uint8Array[] = []
  link.subscribe((frame) => void frames.push(frame.slice()))
  await clock.advance(1)
  return frames[0] as Uint8Array
}

const found = async (world: World, edge: Edge): Promise<string[]> => {
  const { peers } = await during(edge.discover('room'), world.clock)
  return peers.map(({ id }) => id)
}

test('two processes serve two networks: edges find and call those of their own alone', async () => {
  const world = makeWorld()
  const a = await world.start('a.example')
  const b = await world.start('b.example', NAMES, ['wss://a.example'])
  await world.clock.advance(15_000)
  const edges: Edge[] = []
  for (const process of [a, b]) {
    for (const name of NAMES) {
      const edge = await world.edge(process, name)
      await during(edge.advertise('room'), world.clock)
      edges.push(edge)
    }
  }
  await world.clock.advance(1_000)
  const [mainA, testA, mainB, testB] = edges as [Edge, Edge, Edge, Edge]
  assert.equal(await found(world, mainA), [mainB.id])
  assert.equal(await found(world, testA), [testB.id])
  for (const [from, to] of [
    [mainA, mainB],
    [testA, testB],
  ] as const) {
    const connection = await during(from.connect(to.id, { topic: 'room' }), world.clock)
    assert.is(connection.state, 'open')
  }
  const crossing = during(mainA.connect(testB.id, { topic: 'room' }), world.clock)
  assert.is(await codeOf(() => crossing), 'PEER_UNKNOWN')
  assert.equal(
    a.nodes.map((node) => [node.health().network, node.health().edges, node.health().mesh.edges]),
    [
      ['main', 1, 2],
      ['testnet', 1, 2],
    ],
  )
  assert.is(new Set([...a.nodes, ...b.nodes].map(({ id }) => id)).size, 4, 'a key for each')
  for (const edge of edges) await edge.close()
  await world.close()
})

test('an edge of another network is refused by name, and told which are spoken here', async () => {
  const world = makeWorld()
  for (const names of [NAMES, ['main']]) {
    const process = await world.start(`${names.length}.example`, names)
    const error = await world.edge(process, 'other').catch((failure) => failure)
    assert.is(error.code, 'NETWORK_MISMATCH')
    for (const name of names) assert.match(error.message, JSON.stringify(name))
    assert.match(error.message, 'Join one of these by its name')
    // The same over a socket that tabs share, whichever network opened it.
    const sockets = createSharedSockets(world.clock, (url) => {
      const { pathname } = new URL(url)
      return process.open(`${pathname}?n=${idOf('main')}`) as Link
    })
    const link = sockets.open(`ws://a/edge?n=${idOf('other')}`)
    assert.is(decodeBye(await frameOf(link, world.clock)).code, 'NETWORK_MISMATCH')
    const mesh = process.open(`/mesh?n=${idOf('other')}`) as Response
    assert.is(mesh.status, 421)
    assert.match(await mesh.text(), '"main"')
  }
  await world.close()
})

test('who names no network comes to the first, and one that names nonsense to none', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const hello = decodeHello(await frameOf(process.open('/edge') as Link, world.clock))
  assert.equal(hello.networks.map(toHex), [idOf('main')])
  for (const query of ['n=', 'n=main', `n=${idOf('main')}&n=${idOf('testnet')}`]) {
    assert.is((process.open(`/edge?${query}`) as Response).status, 400, query)
  }
  await world.close()
})

test('hostile: a socket of one network is told nothing of the other, and reaches nobody in it', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const [main, testnet] = process.nodes as [MeshNode, MeshNode]
  const victim = await world.edge(process, 'testnet')
  await during(victim.advertise('room'), world.clock)
  const tag = toHex(topicTag('testnet', 'room'))
  const ask = async (network: string) => {
    const query = `n=${idOf(network)}&t=${tag}&p=${victim.id}`
    return decodeHello(await frameOf(process.open(`/edge?${query}`) as Link, world.clock))
  }
  const [here, there] = [await ask('testnet'), await ask('main')]
  assert.equal([here.topics[0]?.total, here.held?.peer], [1, victim.id])
  assert.equal([there.topics[0]?.total, there.held], [0, undefined])
  assert.equal([toHex(here.nodeKey), toHex(there.nodeKey)], [testnet.id, main.id])

  // The same key in the other network is another edge: neither ends nor moves the first.
  const identity = makeIdentity()
  const twins = [
    await world.edge(process, 'main', identity.seed),
    await world.edge(process, 'testnet', identity.seed),
  ]
  await world.clock.advance(5_000)
  assert.equal(
    twins.map(({ home }) => [home.state, home.nodeId]),
    [
      ['open', main.id],
      ['open', testnet.id],
    ],
  )
  assert.is(
    await codeOf(() => during(twins[0]!.connect(victim.id, { topic: 'room' }), world.clock)),
    'PEER_UNKNOWN',
  )
  assert.equal([main.health().edges, testnet.health().edges], [1, 2])

  // An edge that dials one and proves for the other.
  const crossed: Link[] = []
  const crossing = joinOn(
    {
      clock: world.clock,
      makeRtc: rtcWorld(world.clock),
      dial: () => {
        crossed.push(process.open(`/edge?n=${idOf('main')}`) as Link)
        return crossed.at(-1) as Link
      },
    },
    { network: 'testnet', urls: ['http://a.example'] },
  )
  assert.is(await codeOf(() => during(crossing, world.clock)), 'NETWORK_MISMATCH')
  for (const edge of [victim, ...twins]) await edge.close()
  await world.close()
})

test('hostile: a node of one network gets no link into the other by dialling it there', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const attacker = await createNode({
    network: 'testnet',
    runtime: { name: 'node', version: 'test' },
    store: memoryStore(),
    log: silentLog,
    clock: world.clock,
    dial: async () => ({
      link: process.open(`/mesh?n=${idOf('main')}`) as Link,
      remoteAddress: '192.0.2.9',
    }),
    peers: ['wss://a.example'],
  })
  await world.clock.advance(20_000)
  assert.equal(
    [...process.nodes, attacker].map((node) => node.health().neighbours),
    [0, 0, 0],
  )
  await attacker.close()
  await world.close()
})

test('hostile: who takes all places of an address in one network takes none in the other', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const open = (name: string) => process.open(`/edge?n=${idOf(name)}`) as Link
  for (let i = 0; i < MAX_EDGES_PER_ADDRESS; i++) open('testnet')
  const over = await frameOf(open('testnet'), world.clock)
  assert.is(over[0], FRAME.bye)
  assert.is(decodeBye(over).code, 'TOO_MANY')
  assert.is((await frameOf(open('main'), world.clock))[0], FRAME.hello)
  const edge = await world.edge(process, 'main')
  assert.is(edge.home.state, 'open')
  await edge.close()
  await world.close()
})

test('health tells of each network apart, and of one by its name', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const edge = await world.edge(process, 'testnet')
  const all = await (await process.get('/health')).json()
  assert.equal([all.network, all.edges, Object.keys(all.networks)], ['main', 0, [...NAMES]])
  assert.equal([all.networks.main.edges, all.networks.testnet.edges], [0, 1])
  const one = await (await process.get('/health?network=testnet')).json()
  assert.equal([one.network, one.edges, one.networks], ['testnet', 1, undefined])
  const none = await process.get('/health?network=other')
  assert.is(none.status, 404)
  assert.match(await none.text(), '"testnet"')
  const single = await world.start('b.example', ['main'])
  assert.is((await (await single.get('/health')).json()).networks, undefined)
  await edge.close()
  await world.close()
})

test('who watches the mesh is told of the network that it names, and of the first without', async () => {
  const world = makeWorld()
  const process = await world.start('a.example')
  const told = async (path: string): Promise<string> => {
    const link = process.open(path) as Link
    const first = new Promise<Uint8Array>((resolve) => link.subscribe(resolve))
    await world.clock.advance(0)
    return JSON.parse(new TextDecoder().decode(await first)).network
  }
  assert.is(await told('/mesh/events'), 'main')
  assert.is(await told('/mesh/events?network=testnet'), 'testnet')
  await world.close()
})

test('what ends the node of one network ends the process only if it is the last', () => {
  const [ended, logged]: string[][] = [[], []]
  const log = {
    ...silentLog,
    error: (_: string, { error }: { error?: unknown } = {}) =>
      void logged?.push(String((error as Error).message)),
  }
  const fatal = fatalWhenLast(2, ({ message }) => void ended?.push(message))
  fatal('testnet', new SignalMeshError('DUPLICATE_NODE', 'one'), log)
  fatal('testnet', new SignalMeshError('DUPLICATE_NODE', 'again'), log)
  assert.equal([ended, logged], [[], ['one', 'again']])
  fatal('main', new SignalMeshError('DUPLICATE_NODE', 'two'), log)
  assert.equal(ended, ['two'])
})

test('each network keeps its key, in whichever order they are named later', async () => {
  const store = memoryStore()
  const keyOf = async (part: Store): Promise<string> => String(await part.read('identity'))
  const write = async (part: Store | undefined, byte: number): Promise<void> =>
    part?.write('identity', Uint8Array.of(byte))
  const [alone] = await storesOf(store, ['main'])
  await write(alone, 1)
  const [main, testnet] = await storesOf(store, NAMES)
  assert.is(await keyOf(main as Store), '1', 'a folder that served one goes on as that')
  await write(testnet, 2)
  const turned = await storesOf(store, ['testnet', 'third', 'main'])
  assert.equal(await Promise.all(turned.map(keyOf)), ['2', 'undefined', '1'])
  const [later] = await storesOf(store, ['testnet'])
  assert.is(await keyOf(later as Store), '2')
  await store.write('network', Uint8Array.of(1))
  assert.is(await codeOf(() => storesOf(store, NAMES)), 'DATA_UNREADABLE')
})

test('a STUN request is answered once, and an answer comes to whichever node asked', () => {
  const got: string[] = []
  const served = NAMES.map((network) => ({
    health: () => ({ network }),
    onDatagram: (datagram: Uint8Array) => void got.push(`${network} ${datagram[0]}`),
  })) as unknown as [Served, Served]
  const { onDatagram } = serveNetworks(served)
  const from = { address: '192.0.2.1', port: 1 }
  for (const hex of ['0001', '0101']) onDatagram(fromHex(hex), from)
  onDatagram(new Uint8Array(0), from)
  assert.equal(got, ['main 0', 'main 1', 'testnet 1', 'main undefined'])
})

test('what is said of the networks here is short, however many there are and long their names', () => {
  const many = Array.from({ length: 16 }, (_, i) => `${i}`.padEnd(1_000, 'x'))
  const { message } = notSpoken(many)
  assert.ok(message.length <= 256, `${message.length}`)
  assert.match(message, 'x…", "1x')
  assert.match(message, /and 1\d more/)
})

test.run()
