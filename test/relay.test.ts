/** DHT relays in their parts: what is loaded where, whose sockets are taken, what comes of an end. */

import { parseConfig } from '../runtimes/config.ts'
import type { Host } from '../runtimes/host.ts'
import { runtime } from '../runtimes/node.ts'
import { joinThroughRelay } from '../runtimes/relayed.ts'
import { lentTo } from '../runtimes/relaylent.ts'
import { createRelayQuotas } from '../runtimes/relayquotas.ts'
import { startNode } from '../runtimes/start.ts'
import { manualClock, settle } from '../src/clock.ts'
import { MAX_BUFFERED_BYTES, MAX_LINKS_PER_GROUP } from '../src/limits.ts'
import { makeLink } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import type { MeshNode } from '../src/node.ts'
import type { Runtime } from '../src/runtime.ts'
import { checkSlot, mayHandshake, type Slot } from '../src/slots.ts'
import { parseSource, readSources } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'
import { fateOf, hostStage, KEYS, openHandedDht } from './support/relays.ts'

const test = suite('relay')
const KEY = new Uint8Array(32)
/** What only a member of the DHT may load, and what may be loaded on top of a relay besides. */
const NATIVE = ['hyperdht', 'udx-native', 'dht-rpc']
/** Commands that start a DHT; elsewhere they say that it takes Node, and load none of it. */
const OF_NODE_ALONE = ['runtimes/testnet.ts', 'runtimes/demo.ts']
const ON_TOP = ['hyperswarm', '@hyperswarm/dht-relay', 'protomux']

// --- what is loaded where ---

test('no runtime but Node loads the DHT, and each loads Hyperswarm only once a relay is named', () => {
  for (const adapter of ['runtimes/deno.ts', 'runtimes/bun.ts']) {
    const roots = [adapter, 'runtimes/main.ts', 'runtimes/host.ts']
    const atOnce = graphOf(roots, { lazily: false })
    assert.ok(atOnce.files.has('src/node.ts'), 'the graph is read at all')
    assert.equal(packagesIn(atOnce, [...NATIVE, ...ON_TOP]), [], adapter)
    const ever = graphOf(roots, { lazily: true, but: OF_NODE_ALONE })
    assert.equal(packagesIn(ever, NATIVE), [], adapter)
    assert.equal(packagesIn(ever, ON_TOP), [...ON_TOP].sort(), adapter)
    const withoutRelay = graphOf(roots, {
      lazily: true,
      but: ['runtimes/relayed.ts', ...OF_NODE_ALONE],
    })
    assert.equal(packagesIn(withoutRelay, [...NATIVE, ...ON_TOP]), [], adapter)
  }
})

test('the browser’s client loads neither, and Node loads the DHT for a node that uses it alone', () => {
  const edge = graphOf(['src/edge/mod.ts'], { lazily: true })
  assert.equal(packagesIn(edge, [...NATIVE, ...ON_TOP]), [])
  const node = graphOf(['runtimes/node.ts', 'runtimes/main.ts'], { lazily: false })
  assert.equal(packagesIn(node, [...NATIVE, ...ON_TOP]), [])
  const ever = graphOf(['runtimes/node.ts'], { lazily: true })
  assert.equal(packagesIn(ever, ['hyperdht']), ['hyperdht'])
})

test('who hands Hyperswarm no DHT would let it make one: there is one place, and it always does', () => {
  const makers = readSources('runtimes/**/*.ts', 'mod.ts').filter(({ code }) =>
    /new (Hyperswarm|HyperDHT)\(/.test(code),
  )
  assert.equal(
    makers.map(({ path }) => path),
    ['runtimes/dht.ts', 'runtimes/swarming.ts'],
  )
  assert.match(makers[1]?.code ?? '', /new Hyperswarm\(\{\s*dht,/)
})

// --- a node before its relays ---

test('a URL that is no socket’s is a relay that does not answer, and the node goes on', async () => {
  const clock = manualClock()
  const asked: string[] = []
  const errors: string[] = []
  const open = (url: string): never => {
    asked.push(url)
    throw new SyntaxError('no')
  }
  const swarm = await joinThroughRelay(
    {
      ...{ topic: KEY, protocol: '', bootstrap: [], onLink: () => {} },
      relays: ['https://a.example/x#y', 'wss://b.example/dht'],
      onError: ({ message }) => errors.push(message),
    },
    { clock, random: () => 0, open },
  )
  for (let i = 0; i < 3; i++) await clock.advance(1_000)
  assert.equal(asked.slice(0, 3), [
    'wss://a.example/x/dht',
    'wss://b.example/dht',
    'wss://a.example/x/dht',
  ])
  assert.is(errors.length, 1)
  await swarm.close()
  assert.is(clock.pending, 0)
})

// --- one relay is one group ---

test('links through one DHT relay count as one group, wherever it stands', () => {
  const through = (relay: string, i: number): Slot => ({
    remote: `node ${i}`,
    initiator: true,
    remoteAddress: '',
    relay,
  })
  const rules = { isListed: () => false, reserves: false }
  const taken = Array.from({ length: MAX_LINKS_PER_GROUP }, (_, i) => through('127.0.0.1:1', i))
  assert.throws(
    () => checkSlot(through('127.0.0.1:1', 99), taken, rules),
    /no more links to the DHT relay 127\.0\.0\.1:1/,
  )
  checkSlot(through('127.0.0.1:2', 99), taken, rules)
  const incoming = taken.map((slot) => ({ ...slot, initiator: false }))
  assert.is(
    mayHandshake({ ...through('127.0.0.1:1', 9), initiator: false }, new Set(incoming)),
    false,
  )
  assert.is(
    mayHandshake({ ...through('127.0.0.1:2', 9), initiator: false }, new Set(incoming)),
    true,
  )
})

// --- the relay's node ---

test('hands frames on both ways, and each client’s to that client alone', async () => {
  const { dial, processes } = await hostStage(manualClock())
  const [a, b] = [dial(), dial()]
  const heard: [string, number | undefined][] = []
  a.subscribe(([byte]) => heard.push(['a', byte]))
  b.subscribe(([byte]) => heard.push(['b', byte]))
  b.send(Uint8Array.of(7))
  await settle()
  const [process] = processes
  assert.equal(process?.orders, [
    { do: 'open', id: 1 },
    { do: 'open', id: 2 },
    { do: 'frame', id: 2, bytes: Uint8Array.of(7) },
  ])
  process?.say({ say: 'frame', id: 1, bytes: Uint8Array.of(8) })
  process?.say({ say: 'frame', id: 9, bytes: Uint8Array.of(9) })
  await settle()
  assert.equal(heard, [['a', 8]])
  process?.say({ say: 'close', id: 1, reason: 'TOO_MANY' })
  assert.is(await a.closed, 'TOO_MANY')
})

test('when its process ends, clients are told why, and the next finds their places free', async () => {
  const clock = manualClock()
  const { dial, processes, relay } = await hostStage(clock)
  const links = Array.from({ length: 8 }, () => dial())
  assert.is(await dial().closed, 'TOO_MANY')
  processes[0]?.end()
  assert.equal(await Promise.all(links.map(({ closed }) => closed)), Array(8).fill('GOING_AWAY'))
  const decision = relay.upgrade('192.0.2.1')
  assert.is(decision instanceof Response && decision.status, 503)
  await clock.advance(1_000)
  const again = Array.from({ length: 8 }, () => dial())
  await settle()
  assert.is(processes[1]?.orders.length, 8)
  await relay.close()
  assert.is(await again[0]?.closed, 'GOING_AWAY')
  assert.is(processes[1]?.wasStopped, true)
})

test('whose frame has ended its process is kept out, by address group, and nobody else', async () => {
  const clock = manualClock()
  const { dial, processes } = await hostStage(clock)
  const [bad, good] = [dial('2001:db8::1'), dial('2001:db8:0:1::1')]
  await settle()
  processes[0]?.say({ say: 'blame', id: 1 })
  assert.is(await bad.closed, 'BAD_FRAME')
  processes[0]?.end()
  assert.is(await good.closed, 'GOING_AWAY')
  await clock.advance(1_000)
  assert.is(await dial('2001:db8::2').closed, 'REFUSED')
  dial('2001:db8:0:1::1')
  await settle()
  assert.is(processes[1]?.orders.length, 1)
})

test('a client that reads too slowly is closed, and one that left holds no place', async () => {
  const clock = manualClock()
  const { relay, processes } = await hostStage(clock)
  const decision = relay.upgrade('192.0.2.1')
  let queued = 0
  let ended = ''
  const slow = makeLink({
    send: ({ length }) => {
      queued += length
    },
    bufferedBytes: () => queued,
    close: (reason) => {
      ended = reason
    },
  })
  if (typeof decision === 'function') decision(slow.link)
  for (let i = 0; queued <= MAX_BUFFERED_BYTES && i < 99; i++) {
    processes[0]?.say({ say: 'frame', id: 1, bytes: new Uint8Array(65_536) })
  }
  assert.is(ended, 'TOO_MANY')
  const quotas = createRelayQuotas(clock)
  for (let i = 0; i < 99; i++) {
    const place = quotas.enter('192.0.2.1')
    place.leave()
    place.leave()
  }
})

test('a node lends its DHT at /dht if that was asked for, counts addresses as it is told to, and leaves first', async () => {
  const lending = ['--bootstrap', 'a:1', '--dht-relay']
  const from = { 'x-forwarded-for': '192.0.2.7' }
  const plain = await started(lending, from)
  assert.equal([plain.status, plain.asked], [503, ['127.0.0.1']])
  const proxied = await started([...lending, '--trust-proxy', 'loopback'], from)
  assert.equal([proxied.status, proxied.asked], [503, ['192.0.2.7']])
  assert.equal(proxied.closed.slice(0, 2), ['swarm', 'relay'])
  const without = await started(['--bootstrap', 'a:1'], from)
  assert.equal([without.status, without.asked, without.health], [404, [], false])
  assert.is(proxied.health, true)
})

// --- what it lends ---

test('keys that a client keeps to itself, a second server and a fifth look end the client', async () => {
  const excess: string[] = []
  const { dht, opened } = openHandedDht()
  const lent = lentTo(dht, manualClock(), (code) => excess.push(code))
  const keyPair = { ...KEYS, secretKey: null }
  assert.is(await fateOf(lent.connect(KEY, { keyPair })), 'BAD_FRAME')
  assert.is(await fateOf(lent.announce(KEY, keyPair)), 'BAD_FRAME')
  assert.is(await fateOf(lent.lookupAndUnannounce(KEY, keyPair)), 'BAD_FRAME')
  await lent.createServer({}).listen(keyPair)
  lent.createServer({})
  assert.equal(excess, ['BAD_FRAME', 'BAD_FRAME', 'BAD_FRAME', 'BAD_FRAME', 'TOO_MANY'])
  assert.is(opened.length, 0)
})

test('what cannot listen, such as a key that does so already, ends its client and not the process', async () => {
  const excess: string[] = []
  const { dht } = openHandedDht()
  const createServer: typeof dht.createServer = (options) =>
    Object.assign(dht.createServer(options), { listen: () => Promise.reject(new Error('taken')) })
  const lent = lentTo({ ...dht, createServer }, manualClock(), (code) => excess.push(code))
  await lent.createServer({}).listen(KEYS)
  assert.equal(excess, ['REFUSED'])
})

test.run()

/** What a node with these flags says to a socket at `/dht`, and what it closes in which order. */
async function started(flags: readonly string[], headers: Readonly<Record<string, string>>) {
  const asked: string[] = []
  const closed: string[] = []
  const closing = (name: string) => async () => void closed.push(name)
  let ask = (): unknown => undefined
  const fake: Runtime = {
    ...runtime,
    listen: async ({ upgrade }) => {
      const request = new Request('http://127.0.0.1:1/dht', { headers })
      ask = () => upgrade(request, { remoteAddress: '127.0.0.1' })
      return { port: 1, close: closing('listener') }
    },
    join: async () => {
      const swarm = { dhtKey: KEY, connect: () => {}, forget: () => {} }
      return {
        ...swarm,
        close: () => new Promise((resolve) => setTimeout(resolve, 9)).then(closing('swarm')),
      }
    },
    offerRelay: async () => ({
      upgrade: (address) => {
        asked.push(address)
        return new Response('', { status: 503 })
      },
      close: closing('relay'),
    }),
  }
  const host = {
    readText: async () => '',
    readBuild: async () => new Map(),
    lanAddresses: () => [],
  }
  const about = { name: 'a test', version: '0' }
  let node: MeshNode['health'] | undefined
  const config = parseConfig(flags, {})
  const made = await startNode(
    config,
    {
      ...fake,
      listen: async (options) => {
        const info = { remoteAddress: '127.0.0.1' }
        const answer = await options.fetch(new Request('http://127.0.0.1:1/health'), info)
        const health = await answer.json()
        node = () => health
        return fake.listen(options)
      },
    },
    { ...host, about } as unknown as Host,
    silentLog,
  )
  const answer = ask()
  await made.close()
  const status = answer instanceof Response ? answer.status : undefined
  return { status, asked, closed, health: node?.().dhtRelay }
}

interface Graph {
  readonly files: ReadonlySet<string>
  readonly packages: ReadonlySet<string>
}

/** All modules that running these loads: at once, or at any time. Types load nothing. */
function graphOf(
  roots: readonly string[],
  { lazily, but = [] }: { lazily: boolean; but?: readonly string[] },
): Graph {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (path: string): void => {
    if (files.has(path) || but.includes(path)) return
    files.add(path)
    for (const specifier of loadsOf(path, lazily)) {
      if (specifier.startsWith('.')) visit(new URL(specifier, `file:///${path}`).pathname.slice(1))
      else packages.add(specifier.match(/^(?:@[^/]+\/)?[^/]+/)?.[0] ?? specifier)
    }
  }
  for (const root of roots) visit(root)
  return { files, packages }
}

function loadsOf(path: string, lazily: boolean): readonly string[] {
  const [source] = readSources(path)
  if (!source) throw new Error(`There is no ${path}`)
  const values = source.text.replace(/^(import|export) type [^;]*? from \S+$/gm, '')
  const all = parseSource(path, values).imports
  if (lazily) return all
  const lazy = new Set([...values.matchAll(/\bimport\('([^']+)'\)/g)].map(([, name]) => name))
  return all.filter((specifier) => !lazy.has(specifier))
}

function packagesIn({ packages }: Graph, names: readonly string[]): string[] {
  return names.filter((name) => packages.has(name)).sort()
}
