/** Moleculer over the mesh: brokers beside linked nodes call, tell and lose each other, and none speaks for another. */

import { Readable } from 'node:stream'
import { ServiceBroker, type ServiceSchema } from 'moleculer'
import {
  encodePacket,
  MeshTransporter,
  type MeshTransporterOptions,
  meshService,
  onMesh,
} from '../runtimes/moleculer.ts'
import type { AppPort } from '../src/apps.ts'
import { utf8 } from '../src/bytes.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'
import { socketWorld } from './support/sockets.ts'

const test = suite('moleculer', { timeoutMs: 20_000 })

type Three<T> = readonly [T, T, T]

interface Brokers {
  readonly nodes: Three<MeshNode>
  readonly brokers: Three<ServiceBroker>
  readonly transporters: Three<MeshTransporter>
  /** Takes a node off as SIGKILL would. */
  kill(node: MeshNode): void
  /** A place of the same application at a node without a broker, as an attacker would have it. */
  readonly port: AppPort
  readonly attacker: MeshNode
  close(): Promise<void>
}

/** A broker beside each of three nodes, linked each to each and to a fourth. */
async function start(
  services: (nodes: readonly MeshNode[]) => Three<readonly ServiceSchema[]>,
  taken: (nodes: readonly MeshNode[], i: number) => MeshTransporterOptions['nodes'] = () => 'all',
): Promise<Brokers> {
  const mesh = await testMesh(4, { apps: true })
  const nodes = mesh.nodes as unknown as readonly [MeshNode, MeshNode, MeshNode, MeshNode]
  const all = services(nodes)
  const transporters: MeshTransporter[] = []
  const brokers = all.map((ofOne, i) => {
    const node = nodes[i] as MeshNode
    const { nodeID, transporter } = onMesh(node, { nodes: taken(nodes, i) })
    const broker = new ServiceBroker({ nodeID, transporter, logger: false })
    for (const service of ofOne) broker.createService(service)
    transporters.push(transporter)
    return broker
  })
  await Promise.all(brokers.map((broker) => broker.start()))
  for (const broker of brokers) announce(broker)
  return {
    nodes: nodes.slice(0, 3) as unknown as Three<MeshNode>,
    brokers: brokers as unknown as Three<ServiceBroker>,
    transporters: transporters as unknown as Three<MeshTransporter>,
    kill: mesh.kill,
    port: nodes[3].openApp('MOL', {
      takes: () => true,
      onMessage: () => {},
      onUp: () => {},
      onDown: () => {},
    }),
    attacker: nodes[3],
    close: async () => {
      await Promise.all(brokers.map((broker) => broker.stop()))
      await mesh.close()
    },
  }
}

/** Says which services it has; by itself it does so a second later. */
function announce(broker: ServiceBroker): void {
  void broker.registry.discoverer.sendLocalNodeInfo()
}

/** A service that says which node answered. */
function where(am: (ctx: { id: string }) => unknown = () => undefined): ServiceSchema {
  return {
    name: 'where',
    actions: {
      am: async (ctx) => (await am(ctx)) ?? { at: ctx.broker.nodeID, asked: ctx.nodeID },
    },
  }
}

async function whereIs(broker: ServiceBroker): Promise<string> {
  return ((await broker.call('where.am')) as { at: string }).at
}

async function until(is: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (is()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`Never: ${what}`)
}

function packet(kind: string, payload: object): Uint8Array {
  return encodePacket(kind, Buffer.from(JSON.stringify({ ver: '5', ...payload })))
}

const heard: string[] = []
const listener: ServiceSchema = {
  name: 'listener',
  events: {
    all: ({ broker }: { broker: ServiceBroker }) => void heard.push(`all ${broker.nodeID}`),
    one: ({ broker }: { broker: ServiceBroker }) => void heard.push(`one ${broker.nodeID}`),
  },
}

const streamOf = (ctx: object): Readable => (ctx as { stream: Readable }).stream
const ids: { slow?: string; sink?: string } = {}
const others: ServiceSchema = {
  name: 'others',
  actions: {
    echo: (ctx) => streamOf(ctx),
    slow: async ({ id }) => {
      ids.slow = id
      await new Promise((resolve) => setTimeout(resolve, 60))
      return 'truth'
    },
    sink: async (ctx) => {
      ids.sink = ctx.id
      const got: Buffer[] = []
      for await (const chunk of streamOf(ctx)) got.push(chunk as Buffer)
      return Buffer.concat(got).toString()
    },
  },
}

/** All at once, for a broker takes half a second to start. */
const usual = start(([, node]) => [
  [],
  [where(), listener, others, meshService(node as MeshNode)],
  [where(), listener],
])
const losing = start(() => [[], [where(() => new Promise(() => {}))], []])
const choosy = start(
  () => [[where()], [], [where()]],
  (nodes, i) => (i === 2 ? 'all' : nodes.slice(0, 2).map(({ id }) => id)),
)

test.after(async () => {
  for (const brokers of await Promise.all([usual, losing, choosy])) await brokers.close()
})

test('three brokers on three nodes know each other', async () => {
  const { nodes, brokers } = await usual
  await until(
    () =>
      brokers.every(({ registry }) => registry.getNodeList({ onlyAvailable: true }).length === 3),
    'each knows all',
  )
  const known = brokers[0].registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id)
  assert.equal(known.sort(), nodes.map(({ id }) => id).sort())
})

test('a broker calls a service at another node, which hears who asked', async () => {
  const { nodes, brokers } = await usual
  const answer = await brokers[0].call('where.am', null, { nodeID: nodes[1].id })
  assert.equal(answer, { at: nodes[1].id, asked: nodes[0].id })
})

test('calls are balanced over the nodes that have the service', async () => {
  const { nodes, brokers } = await usual
  const at: string[] = []
  for (let i = 0; i < 6; i++) at.push(await whereIs(brokers[0]))
  const times = nodes.map(({ id }) => at.filter((one) => one === id).length)
  assert.equal(times, [0, 3, 3])
})

test('a broadcast event comes to all brokers once, an emitted one to one of its group', async () => {
  const { nodes, brokers } = await usual
  await brokers[0].broadcast('all')
  await until(() => heard.length === 2, 'both hear')
  assert.equal([...heard].sort(), [`all ${nodes[1].id}`, `all ${nodes[2].id}`].sort())
  heard.length = 0
  await brokers[0].emit('one')
  await brokers[0].call('where.am', null, { nodeID: nodes[1].id })
  await brokers[0].call('where.am', null, { nodeID: nodes[2].id })
  assert.is(heard.length, 1)
})

test('a stream goes there and comes back, many times larger than a frame', async () => {
  const { brokers } = await usual
  const chunks = Array.from({ length: 8 }, (_, i) => Buffer.alloc(60_000, i))
  const stream = Readable.from(chunks, { objectMode: false })
  const back = (await brokers[0].call('others.echo', null, { stream })) as Readable
  const got: Buffer[] = []
  for await (const chunk of back) got.push(chunk as Buffer)
  assert.ok(Buffer.concat(got).equals(Buffer.concat(chunks)))
})

test('when a node is lost its calls fail at once, and others go to who is left', async () => {
  const { nodes, brokers, kill } = await losing
  await until(() => brokers[0].registry.actions.isAvailable('where.am'), 'the service is known')
  const failed = brokers[0].call('where.am').then(
    () => 'answered',
    (error: Error) => error.name,
  )
  await new Promise((resolve) => setTimeout(resolve, 10))
  kill(nodes[1])
  assert.is(await failed, 'RequestRejectedError')
  brokers[2].createService(where())
  announce(brokers[2])
  await brokers[0].waitForServices('where', 3_000, 10)
  assert.is(await whereIs(brokers[0]), nodes[2].id)
})

test('a broker hears of one whose node is linked later', async () => {
  const world = socketWorld()
  const a = await world.start('a.example', { apps: true })
  const b = await world.start('b.example', { apps: true })
  const brokerOf = (node: MeshNode): ServiceBroker =>
    new ServiceBroker({ ...onMesh(node, { nodes: 'all' }), logger: false })
  const brokers = [brokerOf(a), brokerOf(b)] as const
  brokers[1].createService(where())
  await Promise.all(brokers.map((broker) => broker.start()))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  assert.not.ok(brokers[0].registry.actions.isAvailable('where.am'))
  b.useFound([{ url: 'wss://a.example' }])
  await world.clock.advance(5_000)
  await brokers[0].waitForServices('where', 500, 10)
  await Promise.all(brokers.map((broker) => broker.stop()))
  await world.close()
})

test('a node that is made without applications is sent no frame of them, and keeps its link', async () => {
  const world = socketWorld()
  const a = await world.start('a.example', { apps: true })
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  const port = a.openApp('MOL', {
    takes: () => true,
    onMessage: () => {},
    onUp: () => {},
    onDown: () => {},
  })
  await world.clock.advance(5_000)
  assert.equal([port.nodes, world.neighbours(b)], [[], 1])
  const refused = await port.send(b.id, new Uint8Array(1)).catch(({ code }) => code)
  assert.equal([refused, world.neighbours(a)], ['CLOSED', 1])
  await world.close()
})

test('a packet that names another sender than its link is dropped and counted', async () => {
  const { nodes, brokers, transporters, port } = await usual
  const [a, b] = nodes
  await port.send(a.id, packet('DISCONNECT', { sender: b.id }))
  await port.send(a.id, packet('INFO', { sender: b.id, services: [], ipList: [], seq: 99 }))
  await port.send(a.id, packet('DISCONNECT', { sender: [b.id] }))
  await port.send(a.id, packet('DISCONNECT', {}))
  await port.send(a.id, encodePacket('INFO', utf8('null')))
  await until(() => transporters[0].counters.forged === 5, 'all are dropped')
  const answer = await brokers[0].call('where.am', null, { nodeID: b.id })
  assert.equal(answer, { at: b.id, asked: a.id }, 'who was spoken for is still there')
})

test('a packet whose sender was lost on its way through a middleware is dropped', async () => {
  const { nodes, transporters } = await usual
  const before = transporters[2].counters.forged
  const data = Buffer.from(JSON.stringify({ ver: '5', sender: nodes[1].id }))
  await transporters[2].receive('DISCONNECT', data)
  assert.is(transporters[2].counters.forged, before + 1)
})

test('nobody answers a request that was put to another node', async () => {
  const { nodes, brokers, transporters, attacker, port } = await usual
  const answer = brokers[0].call('others.slow')
  await until(() => ids.slow !== undefined, 'the call has come')
  const forged = { id: ids.slow, sender: attacker.id, success: true, data: 'lies', meta: {} }
  await port.send(nodes[0].id, packet('RES', forged))
  assert.is(await answer, 'truth')
  assert.is(transporters[0].counters.strayed, 1)
})

test("nobody puts words into another node's stream", async () => {
  const { nodes, brokers, transporters, attacker, port } = await usual
  const stream = new Readable({ read: () => {} })
  const answer = brokers[0].call('others.sink', null, { stream })
  await until(() => ids.sink !== undefined, 'the stream has begun')
  const forged = { id: ids.sink, sender: attacker.id, stream: true, seq: 1, params: 'lies' }
  await port.send(nodes[1].id, packet('REQ', { ...forged, action: 'others.sink' }))
  await until(() => transporters[1].counters.strayed === 1, 'it is dropped')
  stream.push('truth')
  stream.push(null)
  assert.is(await answer, 'truth')
})

test('what is no packet is dropped, and harms nobody', async () => {
  const { nodes, brokers, transporters, port, attacker } = await usual
  const odd = [
    new Uint8Array(0),
    Uint8Array.of(0, 200, 1),
    packet('GOSSIP_REQ', { sender: attacker.id }),
    encodePacket('INFO', utf8('{')),
  ]
  for (const bytes of odd) await port.send(nodes[0].id, bytes)
  await until(() => transporters[0].counters.unread === odd.length, 'all are dropped')
  assert.ok(await brokers[0].call('where.am'))
})

test('a broker takes nothing from nodes that it does not name, and tells them nothing', async () => {
  const { nodes, brokers, transporters } = await choosy
  await until(() => brokers[1].registry.actions.isAvailable('where.am'), 'the named one is known')
  const known = brokers[2].registry.getNodeList({ onlyAvailable: true }).map(({ id }) => id)
  assert.equal(known, [nodes[2].id])
  for (let i = 0; i < 4; i++) assert.is(await whereIs(brokers[1]), nodes[0].id)
  assert.equal(transporters[0].counters, { forged: 0, strayed: 0, unread: 0 })
  assert.ok(nodes[0].appCounters.dropped > 0)
})

test("a broker with another id than its node's is told which to take", async () => {
  const [node] = (await usual).nodes
  const transporter = new MeshTransporter(node, { nodes: 'all' })
  const init = (): void =>
    transporter.init(
      { nodeID: 'mine' } as never,
      () => {},
      () => {},
    )
  assert.throws(init, new RegExp(`nodeID: '${node.id}'`))
})

test('management data are a service of any node that offers them', async () => {
  const { nodes, brokers, attacker } = await usual
  const all = (await brokers[0].call('mesh.nodes')) as { id: string }[]
  const ids = [...nodes, attacker].map(({ id }) => id)
  assert.equal(all.map(({ id }) => id).sort(), ids.sort())
  const status = (await brokers[0].call('mesh.status')) as Record<string, unknown>
  assert.equal([status.nodeId, status.neighbours], [nodes[1].id, 3])
  assert.is((status.totals as { nodes: number }).nodes, 4)
})

test.run()
