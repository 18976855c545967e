/** Nodes meet on a DHT: each peer and the DHT's bootstrap is a process of its own. */

import { type ChildProcess, fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import Hypercore from 'hypercore'
import HyperDHT from 'hyperdht'
import Hyperswarm from 'hyperswarm'
import type { Stream } from 'protomux'
import RandomAccessMemory from 'random-access-memory'
import { openChannel } from '../runtimes/channel.ts'
import { type Child, startChild } from '../runtimes/children.ts'
import { makeDials } from '../runtimes/dials.ts'
import { runtime } from '../runtimes/node.ts'
import type { SignalMeshError } from '../src/errors.ts'
import { MAX_FRAME_BYTES } from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import { LINK_PROTOCOL, meshTopic } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import type { Fact, Order } from './support/swarm-peer.ts'

const test = suite('swarm', { timeoutMs: 20_000 })
let bootstrap: Child
let address = ''
const peers: Peer[] = []

// Announcements of peers that are gone linger, so each test has a DHT of its own.
test.beforeEach(async () => {
  bootstrap = await startChild({ program: './bootstrap.ts', args: ['--json'] })
  address = String(bootstrap.ready.address)
})
test.afterEach(async () => {
  for (const { process } of peers.splice(0)) process.kill('SIGKILL')
  await bootstrap.stop()
})

test('two processes on one topic get one link, dialled by one of them', async () => {
  const [a, b] = [startPeer('main'), startPeer('main')]
  await Promise.all([a.until(({ links }) => links === 1), b.until(({ links }) => links === 1)])
  const dialled = [a, b].map(({ facts }) => facts.find(({ links }) => links === 1)?.initiator)
  assert.equal(dialled.sort(), [false, true])
})

test('carries frames up to the bound, in order', async () => {
  const [a, b] = await linkedPair()
  a.order({ do: 'send', bytes: MAX_FRAME_BYTES, count: 300 })
  const got = await b.until(({ frames }) => frames === 300)
  assert.equal([got.bytes, got.inOrder], [300 * MAX_FRAME_BYTES, true])
})

test('closes a link that carries a frame over the bound', async () => {
  const [a, b] = await linkedPair()
  a.order({ do: 'send', bytes: MAX_FRAME_BYTES + 1, count: 1 })
  const facts = await Promise.all([a, b].map((peer) => peer.until(({ ended }) => ended)))
  assert.equal(
    facts.map(({ ended }) => ended),
    ['TOO_LARGE', 'TOO_LARGE'],
  )
})

test('a close takes its reason across, after what was sent before', async () => {
  const [a, b] = await linkedPair()
  a.order({ do: 'send', bytes: 1000, count: 50 })
  a.order({ do: 'close', reason: 'GOING_AWAY' })
  const { ended } = await b.until(({ ended }) => ended)
  assert.is(ended, 'GOING_AWAY')
  assert.ok(b.facts.some(({ frames }) => frames === 50))
})

test('leaving ends the links at the other end', async () => {
  const [a, b] = await linkedPair()
  const startMs = performance.now()
  a.order({ do: 'leave' })
  await Promise.all([a.until(({ left }) => left), b.until(({ ended }) => ended)])
  assert.ok(performance.now() - startMs < 1_500)
})

test('peers of another network never link', async () => {
  const other = startPeer('other')
  await other.until(({ key }) => key)
  await linkedPair()
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  assert.equal(
    other.facts.filter(({ links }) => links !== undefined),
    [],
  )
})

test('dials a peer by its key although they share no topic', async () => {
  const [a, b] = [startPeer('one'), startPeer('two')]
  const { key = '' } = await b.until(({ key }) => key)
  await a.until(({ key }) => key)
  a.order({ do: 'connect', key })
  await Promise.all([a.until(({ links }) => links === 1), b.until(({ links }) => links === 1)])
  a.order({ do: 'forget', key })
  b.order({ do: 'close', reason: 'done' })
  await a.until(({ ended }) => ended === 'done')
})

test('peers that start at once all meet, with one link for each pair', async () => {
  const all = Array.from({ length: 6 }, () => startPeer('main'))
  const linked = all.map((peer) => peer.until(() => peer.links === 5))
  await Promise.all(linked)
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(
    all.map(({ links }) => links),
    Array(6).fill(5),
  )
})

test('peers meet when the bootstrap comes up after them', async () => {
  const port = address.split(':')[1] as string
  await bootstrap.stop()
  const [a, b] = [startPeer('main'), startPeer('main')]
  await Promise.all([a.until(({ key }) => key), b.until(({ key }) => key)])
  bootstrap = await startChild({ program: './bootstrap.ts', args: ['--json', '--port', port] })
  await Promise.all([a.until(({ links }) => links === 1), b.until(({ links }) => links === 1)])
})

test('shares one connection with Hypercore replication', async () => {
  const core = new Hypercore(RandomAccessMemory)
  await core.append(new TextEncoder().encode('block 0'))
  const copy = new Hypercore(RandomAccessMemory, core.key)
  await copy.ready()
  const [here, there] = await Promise.all([connectionOf(), connectionOf()])
  core.replicate(here.stream)
  const link = openChannel(here.stream, LINK_PROTOCOL) as Link
  const otherLink = openChannel(there.stream, LINK_PROTOCOL) as Link
  copy.replicate(there.stream)
  const got = new Promise<Uint8Array>((resolve) => otherLink.subscribe(resolve))
  link.send(Uint8Array.of(1, 2, 3))
  assert.equal(await got, Uint8Array.of(1, 2, 3))
  assert.is(new TextDecoder().decode(await copy.get(0)), 'block 0')
  // The link ends alone: replication goes on over the same connection.
  link.close('done')
  assert.is(await otherLink.closed, 'done')
  await core.append(new TextEncoder().encode('block 1'))
  assert.is(new TextDecoder().decode(await copy.get(1)), 'block 1')
  assert.equal([here.stream.destroyed, there.stream.destroyed], [false, false])
  await Promise.all([core.close(), copy.close(), here.swarm.destroy(), there.swarm.destroy()])
})

test('without a bootstrap it joins no DHT at all', async () => {
  assert.is((await failureOf([])).code, 'BAD_ARGUMENT')
})

test('says that a UDP port is in use', async () => {
  const taken = createSocket('udp4')
  taken.bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address()
  const { code, message } = await failureOf([address], { port })
  assert.is(code, 'PORT_IN_USE')
  assert.match(message, `Cannot open UDP 127.0.0.1:${port} for the DHT`)
  taken.close()
})

test('says that no bootstrap answers, and still closes quickly', async () => {
  await bootstrap.stop()
  let swarm: { close(): Promise<void> } | undefined
  const error = await new Promise<Error>((resolve) => {
    void runtime
      .join({ ...options([address]), onError: resolve })
      .then((joined) => (swarm = joined))
  })
  assert.is(error.message, `No DHT bootstrap node answers at ${address}`)
  const startMs = performance.now()
  await swarm?.close()
  assert.ok(performance.now() - startMs < 1_000)
})

test('of two dials that cross, the one of the higher key stands', () => {
  const dialling = { isInitiator: true }
  const swarm = (own: number, stream?: object, open = false) => ({
    keyPair: { publicKey: Uint8Array.of(own) },
    connections: { has: () => open },
    _allConnections: { get: () => stream as typeof dialling | undefined },
  })
  const remote = Uint8Array.of(5)
  const refuses = (own: number, stream?: object, open?: boolean): boolean =>
    makeDials(() => swarm(own, stream, open)).refuse(remote, {})
  assert.is(refuses(9, dialling), true)
  assert.is(refuses(1, dialling), false)
  assert.is(refuses(9), false)
  assert.is(refuses(9, { isInitiator: false }), false)
  // An old connection of ours may be dead at the other end, which is why it dials.
  assert.is(refuses(9, dialling, true), false)
  const dials = makeDials(() => swarm(9))
  assert.is(dials.refuse(remote, null), false)
  dials.refuse(remote, {})
  assert.is(dials.refuse(remote, null), true)
})

test.run()

interface Peer {
  readonly process: ChildProcess
  readonly facts: readonly Fact[]
  /** How many links it has by now. */
  readonly links: number
  order(order: Order): void
  /** The first fact, told already or still to come, that passes. */
  until(passes: (fact: Fact) => unknown): Promise<Fact>
}

function startPeer(network: string): Peer {
  const program = join(import.meta.dirname, 'support/swarm-peer.ts')
  const topic = Buffer.from(meshTopic(network)).toString('hex')
  const child = fork(program, [topic, address])
  const facts: Fact[] = []
  const peer: Peer = {
    process: child,
    facts,
    get links() {
      return facts.findLast(({ links }) => links !== undefined)?.links ?? 0
    },
    order: (order) => void child.send(order),
    until: async (passes) => {
      for (let at = 0; ; at++) {
        while (at >= facts.length) await once(child, 'message')
        const fact = facts[at] as Fact
        if (passes(fact)) return fact
      }
    },
  }
  child.on('message', (fact: Fact) => void facts.push(fact))
  peers.push(peer)
  return peer
}

async function linkedPair(): Promise<[Peer, Peer]> {
  const [a, b] = [startPeer('main'), startPeer('main')]
  await Promise.all([a.until(({ links }) => links === 1), b.until(({ links }) => links === 1)])
  return [a, b]
}

/** A hyperswarm as an application has one, and its first connection. */
async function connectionOf(): Promise<{ swarm: Hyperswarm; stream: Stream }> {
  const [host = '', port] = address.split(':')
  const bootstrap = [{ host, port: Number(port) }]
  const dht = new HyperDHT({ bootstrap, host: '127.0.0.1', port: [0, 0], firewalled: false })
  const swarm = new Hyperswarm({ dht })
  const connection = new Promise<Stream>((resolve) => swarm.on('connection', resolve))
  const discovery = swarm.join(Buffer.alloc(32, 1))
  const looking = setInterval(() => void discovery.refresh(), 250)
  const stream = await connection
  clearInterval(looking)
  stream.on('error', () => {})
  return { swarm, stream }
}

function options(bootstrap: readonly string[]) {
  return { topic: meshTopic('main'), protocol: LINK_PROTOCOL, bootstrap, onLink: () => {} }
}

async function failureOf(
  bootstrap: readonly string[],
  more: { port?: number } = {},
): Promise<SignalMeshError> {
  try {
    await runtime.join({ ...options(bootstrap), ...more, onError: () => {} })
  } catch (error) {
    return error as SignalMeshError
  }
  throw new Error('It joined')
}
