/** A hostile DHT relay, which runs all that lies beneath the links: nothing but silence comes of it. */

import { dhtThrough, lendDht, type RelaySocket, relayKeyPair } from '../../runtimes/dhtrelay.ts'
import { joinThroughRelay, type Socket } from '../../runtimes/relayed.ts'
import { fromHex, toHex, utf8 } from '../../src/bytes.ts'
import { type ManualClock, manualClock, systemClock } from '../../src/clock.ts'
import { LINK_HANDSHAKE_MS } from '../../src/limits.ts'
import type { Link } from '../../src/link.ts'
import { silentLog } from '../../src/log.ts'
import { createNode, type MeshNode } from '../../src/node.ts'
import type { MeshLinkInfo, Swarm } from '../../src/runtime.ts'
import { LINK_PROTOCOL, meshTopic } from '../../src/topic.ts'
import { seededRandom } from '../fixtures/random.ts'
import { assert, suite } from '../harness/suite.ts'
import { type MadeUpDht, madeUpDht } from '../support/madeup-dht.ts'
import { memoryStore } from '../support/mesh.ts'
import { socketPair } from '../support/relays.ts'

const NETWORK = 'a network of ours'
const test = suite('hostile relay', { timeoutMs: 20_000 })

interface Guest {
  readonly node: MeshNode
  readonly swarm: Swarm
  readonly seed: Uint8Array
  readonly links: { readonly link: Link; readonly info: MeshLinkInfo; ended?: string }[]
  readonly errors: string[]
  readonly sockets: number
  /** What it sends to the relay. */
  readonly sent: Uint8Array[]
}

let guests: Guest[] = []
let clock: ManualClock = manualClock()
let turning: ReturnType<typeof setInterval>
let stepMs = 40

test.beforeEach(() => {
  clock = manualClock()
  stepMs = 40
  turning = setInterval(() => void clock.advance(stepMs), 5)
})
test.afterEach(async () => {
  clearInterval(turning)
  await Promise.all(guests.map(leave))
  guests = []
})

test('one that reads learns neither names, keys nor NodeIds: all that it is told is a throwaway key', async () => {
  const world = madeUpDht()
  const seen: Uint8Array[] = []
  world.tap = (bytes) => {
    seen.push(Uint8Array.from(bytes))
    return [bytes]
  }
  const [a, b] = [await guest(world), await guest(world)]
  await until(() => linked(a, b))
  assert.is(neighboursOf(a), 1)
  const all = Buffer.concat([...seen, ...a.sent, ...b.sent])
  const has = (bytes: Uint8Array): boolean => all.includes(Buffer.from(bytes))
  assert.ok(all.length > 1_000 && has(a.swarm.dhtKey), 'it did see what there is')
  for (const { node, seed } of [a, b]) {
    for (const own of [utf8(node.id), fromHex(node.id), seed]) assert.is(has(own), false)
    assert.is.not(toHex(a.swarm.dhtKey), node.id)
  }
  assert.is(all.includes(NETWORK), false)
  assert.is.not(toHex(a.swarm.dhtKey), toHex(b.swarm.dhtKey))
})

test('one that alters any chunk of a link ends that link, and no wrong node comes of it', async () => {
  const cases = [1, 2, 3].flatMap((at) => [true, false].map((way) => ({ at, way })))
  await Promise.all(
    cases.map(async ({ at, way }) => {
      const world = madeUpDht()
      let altered = false
      world.tap = (bytes, number, isFromDialler) => {
        if (altered || number < at || isFromDialler !== way) return [bytes]
        altered = true
        return [flipped(bytes, (number * 7 + 5) % bytes.length)]
      }
      const [a, b] = [await guest(world), await guest(world)]
      await until(() => altered && [a, b].some(({ links }) => links[0]?.ended !== undefined))
      assert.ok(onlyEachOther(a, b), `chunk ${at}`)
    }),
  )
})

test('one that leaves chunks out, repeats them or turns them round ends the link', async () => {
  // What is missing shows with the frame after it, by the next heartbeat at the latest.
  stepMs = 150
  const held: Uint8Array[] = []
  const tricks: ((bytes: Uint8Array) => readonly Uint8Array[])[] = [
    () => [],
    (bytes) => [bytes, bytes],
    (bytes) => (held.push(bytes) < 2 ? [] : [...held.splice(0).reverse()]),
  ]
  const cases = [1, 3].flatMap((at) => tricks.map((trick) => ({ at, trick })))
  await Promise.all(
    cases.map(async ({ at, trick }) => {
      const world = madeUpDht()
      let tricked = false
      world.tap = (bytes, number, isFromDialler) => {
        if (number < at || !isFromDialler) return [bytes]
        tricked = true
        return trick(Uint8Array.from(bytes))
      }
      const [a, b] = [await guest(world), await guest(world)]
      await until(() => tricked && [a, b].some(({ links }) => links[0]?.ended !== undefined))
      assert.ok(onlyEachOther(a, b))
    }),
  )
})

test('one that gives another node’s connection gives that node’s NodeId, never the one wanted', async () => {
  const world = madeUpDht()
  const [a, b, own] = [
    await guest(world, false),
    await guest(world, false),
    await guest(world, false),
  ]
  world.swapped.set(toHex(b.swarm.dhtKey), toHex(own.swarm.dhtKey))
  await until(() => [a, b, own].every(({ sockets }) => sockets > 0))
  await until(() => {
    a.swarm.connect(b.swarm.dhtKey)
    return a.links.length > 0
  })
  await until(() => neighboursOf(own) === 1 && a.node.health().mesh.homes === 2)
  assert.equal([neighboursOf(a), neighboursOf(b)], [1, 0])
  assert.is(b.node.health().mesh.homes, 1)
})

test('one that plays a whole recorded connection to a node again proves nothing by it', async () => {
  const world = madeUpDht()
  const recorded: Uint8Array[] = []
  world.tap = (bytes, _, isFromDialler) => {
    if (!isFromDialler) recorded.push(Uint8Array.from(bytes))
    return [bytes]
  }
  const [a, b] = [await guest(world), await guest(world)]
  await until(() => linked(a, b) && recorded.length > 4)
  await Promise.all([a, b].map(leave))
  // Whoever is dialled now answers with what was said before.
  const script = [...recorded]
  world.tap = (bytes, number, isFromDialler) => {
    if (isFromDialler) return [bytes]
    const old = script[number]
    return old ? [old] : []
  }
  const [c, d] = [await guest(world), await guest(world)]
  await until(() => [c, d].some(({ links }) => links[0]?.ended !== undefined))
  assert.equal([neighboursOf(c), neighboursOf(d)], [0, 0])
})

test('one that makes up a thousand nodes is dialled no more often than a DHT would be', async () => {
  const world = madeUpDht()
  for (let i = 0; i < 1_000; i++)
    world.ghosts.push(new Uint8Array(32).fill(i % 256).fill(i >> 8, 0, 9))
  const a = await guest(world)
  await until(() => world.dials.length > 20)
  assert.ok(world.dials.length <= 1_003, `${world.dials.length}`)
  assert.is(neighboursOf(a), 0)
})

test('one that says what makes no sense is left for the next, and the process goes on', async () => {
  const random = seededRandom(7)
  const thrown: unknown[] = []
  const note = (error: unknown): void => void thrown.push((error as Error).stack)
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  try {
    const meet = async (round: number): Promise<void> => {
      const world = madeUpDht()
      let said = 0
      const alter = (bytes: Uint8Array): readonly Uint8Array[] =>
        said++ < round % 12
          ? [bytes]
          : [bytes, ...Array.from({ length: 9 }, () => spoilt(bytes, random))]
      const [a, b] = [await guest(world, true, alter), await guest(world)]
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      assert.ok(onlyEachOther(a, b))
    }
    await Promise.all(Array.from({ length: 60 }, (_, round) => meet(round)))
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(thrown, [])
  } finally {
    process.off('uncaughtException', note)
    process.off('unhandledRejection', note)
  }
})

// Each of these lets the package throw where nobody could catch it.
test('one that tells of a connection of another mode is left, and the process goes on', async () => {
  assert.is(await withRelayThat([1, 14, 0, ...u32(9), 'alias', ...u32(5)]), true)
})

test('one that tells of a stranger without sense is left, and the process goes on', async () => {
  assert.is(await withRelayThat([1, 6, ...u32(3), ...u32(8), ...zeros(32), 1, 1]), true)
})

test('a link through a relay that never comes to its handshake ends in time', async () => {
  const world = madeUpDht()
  world.tap = (bytes, number) => (number < 1 ? [bytes] : [])
  const [a, b] = [await guest(world), await guest(world)]
  await until(() => a.links.length > 0 && b.links.length > 0)
  const startMs = clock.monotonicMs()
  await until(() => a.links[0]?.ended !== undefined)
  assert.ok(clock.monotonicMs() - startMs <= LINK_HANDSHAKE_MS + 1_000)
})

test.run()

function u32(number: number): number[] {
  return [number, 0, 0, 0]
}

function zeros(count: number): number[] {
  return Array(count).fill(0)
}

/**
 * A client that listens and dials at a relay that answers properly, and then says this (`alias`: as the
 * client calls its dial). Gives whether the client ended it; throws what nobody caught.
 */
async function withRelayThat(said: readonly (number | 'alias')[]): Promise<boolean> {
  const thrown: unknown[] = []
  const note = (error: unknown): void => void thrown.push(error)
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  const [far, near] = socketPair()
  let ended = false
  const keyPair = relayKeyPair()
  const dht = dhtThrough(near, keyPair, () => {
    ended = true
  })
  const server = dht.createServer({}, () => {})
  void server.listen(keyPair)
  dht.connect(keyPair.publicKey).on('error', () => {})
  const name = '@hyperswarm/dht-relay'
  far.send(Uint8Array.of(0, 1, 1, name.length, ...utf8(name), 0))
  const heard: Uint8Array[] = []
  far.addEventListener('message', ({ data }) => heard.push(new Uint8Array(data as ArrayBuffer)))
  const [listen, connect] = [10, 3].map(
    (type) => () => heard.find((at) => at[0] === 1 && at[1] === type),
  )
  await until(() => listen?.() !== undefined && connect?.() !== undefined)
  const aliasIn = (message: Uint8Array): number[] => [...message.subarray(3, 7)]
  far.send(
    Uint8Array.of(1, 11, ...u32(8), ...aliasIn(listen?.() as Uint8Array), 127, 0, 0, 1, 1, 0),
  )
  const alias = aliasIn(connect?.() as Uint8Array)
  far.send(Uint8Array.from(said.flatMap((part) => (part === 'alias' ? alias : part))))
  await new Promise((resolve) => setTimeout(resolve, 50))
  far.close()
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  if (thrown.length > 0) throw thrown[0]
  return ended
}

/** A node behind the relay; with `alter`, the relay alters what it says to it. */
async function guest(
  world: MadeUpDht,
  finds = true,
  alter?: (bytes: Uint8Array) => readonly Uint8Array[],
): Promise<Guest> {
  const store = memoryStore()
  const node = await createNode({
    network: NETWORK,
    runtime: { name: 'node', version: 'test' },
    store,
    log: silentLog,
    clock,
  })
  const links: Guest['links'] = []
  const errors: string[] = []
  const sent: Uint8Array[] = []
  let sockets = 0
  const open = (): Socket => {
    sockets += 1
    const [far, near] = socketPair(alter)
    // A server speaks once the client's socket is open.
    const lend = (): void => {
      if (far.readyState === 1) lendDht(world.dht, far)
    }
    setImmediate(() => setImmediate(lend))
    const send = near.send
    near.send = (bytes) => {
      sent.push(Uint8Array.from(bytes))
      send(bytes)
    }
    return near as RelaySocket as Socket
  }
  const swarm = await joinThroughRelay(
    {
      // Nodes that are not to find each other are on topics of their own.
      topic: meshTopic(finds ? NETWORK : node.id),
      protocol: LINK_PROTOCOL,
      bootstrap: [],
      relays: ['ws://relay.example'],
      onLink: (link, info) => {
        const one: Guest['links'][number] = { link, info }
        links.push(one)
        void link.closed.then((ended) => Object.assign(one, { ended }))
        node.addLink(link, info)
      },
      onError: ({ message }) => void errors.push(message),
    },
    { clock: systemClock, random: Math.random, open },
  )
  const seed = ((await store.read('identity')) as Uint8Array).subarray(0, 32)
  const self: Guest = {
    ...{ node, swarm, seed, links, errors, sent },
    get sockets() {
      return sockets
    },
  }
  guests.push(self)
  return self
}

async function leave({ node, swarm }: Guest): Promise<void> {
  await node.close()
  await swarm.close()
}

function neighboursOf({ node }: Guest): number {
  return node.health().neighbours
}

function linked(a: Guest, b: Guest): boolean {
  return neighboursOf(a) === 1 && neighboursOf(b) === 1
}

/** Nobody has more homes than those two nodes, nor more neighbours than the other. */
function onlyEachOther(a: Guest, b: Guest): boolean {
  return [a, b].every((one) => neighboursOf(one) <= 1 && one.node.health().mesh.homes <= 2)
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
}

function spoilt(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const kind = random()
  if (kind < 0.3) return copy.subarray(0, Math.floor(random() * copy.length))
  if (kind < 0.4) return copy.map(() => Math.floor(random() * 256))
  // Well-formed as far as the channel, and then any message at all.
  if (kind < 0.8) {
    const body = Array.from({ length: Math.floor(random() * 120) }, () =>
      Math.floor(random() * 256),
    )
    return Uint8Array.of(1, Math.floor(random() * 28), ...body)
  }
  for (let i = 0; i < 3; i++) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256)
  return copy
}

async function until(passes: () => boolean): Promise<void> {
  while (!passes()) await new Promise((resolve) => setTimeout(resolve, 5))
}
