/** Sources together: what is taken, kept and asked again, and what nodes make of it. */

import { parseConfig } from '../runtimes/config.ts'
import { bootstrapOf, useBootstrap } from '../runtimes/dht.ts'
import { openLan } from '../runtimes/lan.ts'
import { lanAnswer, lanPeers } from '../runtimes/lananswer.ts'
import { MAX_SOURCES, SOURCE_RETRY_MS } from '../runtimes/limits.ts'
import { type Found, type Source, takeFew } from '../runtimes/source.ts'
import { openSources, type SourcesOptions } from '../runtimes/sources.ts'
import { openFinding, seeksOthers } from '../runtimes/sourceuse.ts'
import { utf8 } from '../src/bytes.ts'
import { manualClock } from '../src/clock.ts'
import { MAX_TAKEN } from '../src/limits.ts'
import { type Log, silentLog } from '../src/log.ts'
import type { MeshRecord } from '../src/registryrecord.ts'
import type { FoundPeer } from '../src/urldials.ts'
import { assert, suite } from './harness/suite.ts'
import { memoryStore } from './support/mesh.ts'

const test = suite('sources')
const NODES = ['a1', 'b2', 'c3'].map((byte) => byte.repeat(32))
const REFRESH_MS = 100_000
const at = (name: string): MeshRecord => ({ url: `https://${name}.example` })

/** A source that says what it is told to, or nothing. */
function madeUp(key: string, records: readonly MeshRecord[] | undefined, listsMembers = false) {
  const source = {
    key,
    listsMembers,
    records,
    asked: 0,
    ask: async () => {
      source.asked += 1
      if (!source.records) throw new Error('away')
      return { records: source.records, dropped: 0 }
    },
  }
  return source satisfies Source
}

async function opened(sources: readonly Source[], more: Partial<SourcesOptions> = {}) {
  const clock = manualClock()
  const told: Found[] = []
  const running = await openSources({
    sources,
    store: memoryStore(),
    log: silentLog,
    allowPrivate: false,
    refreshMs: REFRESH_MS,
    near: () => [],
    onFound: (found) => told.push(found),
    clock,
    random: () => 0.5,
    ...more,
  })
  return { clock, told, running }
}

const urlsOf = (found: Found | undefined) => found?.peers.map(({ url }) => url.slice(8, 9)).join('')

test('all sources are merged, and none is waited for', async () => {
  const slow: Source = { key: 'slow', ask: () => new Promise(() => undefined) }
  const [a, b] = [madeUp('a', [at('a'), { bootstrap: 'x:1' }]), madeUp('b', [at('a'), at('b')])]
  const { clock, told } = await opened([slow, a, b])
  await clock.advance(0)
  assert.is(urlsOf(told.at(-1)), 'ab')
  assert.equal(told.at(-1)?.bootstrap, ['x:1'])
})

test('at most five are taken of one source, drawn, and those taken stay', async () => {
  const all = 'abcdefghijkl'.split('').map(at)
  const source = madeUp('a', all)
  const { clock, told } = await opened([source], { random: Math.random })
  await clock.advance(0)
  const first = told.at(-1)?.peers ?? []
  assert.is(first.length, MAX_TAKEN)
  source.records = [...all.toReversed(), at('m')]
  await clock.advance(2 * REFRESH_MS)
  assert.is(told.length, 2, 'once for what was kept, nothing, and once for the list')
  const gone = first[0] as FoundPeer
  source.records = all.filter(({ url }) => url !== gone.url)
  await clock.advance(2 * REFRESH_MS)
  const next = (told.at(-1)?.peers ?? []).map(({ url }) => url)
  assert.is(next.length, MAX_TAKEN)
  assert.not.ok(next.includes(gone.url))
  assert.ok(first.slice(1).every(({ url }) => next.includes(url)))
  const drawn = new Set(Array.from({ length: 100 }, () => takeFew(all, [], Math.random)[0]?.url))
  assert.ok(drawn.size > MAX_TAKEN, 'not the first ones alone')
})

test('the last good list stays while a source is away, empty, or gone over a restart', async () => {
  const store = memoryStore()
  const source = madeUp('a', [at('a')])
  const { clock, told, running } = await opened([source], { store })
  await clock.advance(0)
  source.records = undefined
  await clock.advance(2 * REFRESH_MS)
  source.records = []
  await clock.advance(2 * REFRESH_MS)
  assert.is(urlsOf(told.at(-1)), 'a')
  await running.close()
  source.records = undefined
  const again = await opened([source], { store })
  assert.is(urlsOf(again.told.at(-1)), 'a', 'at once')
  const unnamed = await opened([madeUp('b', undefined)], { store })
  assert.is(urlsOf(unnamed.told.at(-1)), '', 'a source that is not named any more is not gone by')
})

test('a damaged list is as good as none', async () => {
  const store = memoryStore()
  await store.write('sources', utf8('{"format":1,"sources":{"a":7}}'))
  const { clock, told } = await opened([madeUp('a', [at('a')])], { store })
  await clock.advance(0)
  assert.is(urlsOf(told.at(-1)), 'a')
})

test('what is away is asked again soon, then ever more seldom, and said once', async () => {
  const lines: string[] = []
  const log: Log = { ...silentLog, warn: (text) => void lines.push(text) }
  const source = madeUp('a', undefined)
  const { clock, told, running } = await opened([source], { log })
  await clock.advance(SOURCE_RETRY_MS)
  assert.is(source.asked, 2)
  await clock.advance(10 * REFRESH_MS)
  assert.ok(source.asked < 20, `${source.asked}`)
  assert.equal(lines, ['A source of nodes gave no list, will ask again'])
  source.records = [at('a')]
  await clock.advance(2 * REFRESH_MS)
  assert.is(urlsOf(told.at(-1)), 'a')
  const { asked } = source
  await running.close()
  await clock.advance(10 * REFRESH_MS)
  assert.is(source.asked, asked, 'nothing goes on after the end')
  assert.is(clock.pending, 0)
})

test('the nodes of registries are a list of members, all of them, and those of others are not', async () => {
  const many = Array.from({ length: 20 }, (_, i) => ({ node: `${i}`.padStart(64, '0') }))
  const dns = madeUp('dns', [{ ...at('a'), node: NODES[0] as string }])
  const local = { url: 'http://10.0.0.1', node: NODES[1] as string }
  const { clock, told } = await opened([madeUp('r', [...many, local], true), dns])
  await clock.advance(0)
  assert.equal(told.at(-1)?.members, [...many.map(({ node }) => node), NODES[1]])
  assert.is(urlsOf(told.at(-1)), 'a', 'but nobody is dialled at a local address')
})

test('neighbours are remembered for the next start, those of now first', async () => {
  const store = memoryStore()
  let near: readonly FoundPeer[] = [{ url: 'https://a.example', node: NODES[0] as string }]
  const first = await opened([], { store, near: () => near })
  await first.running.close()
  near = [{ url: 'https://b.example', node: NODES[1] as string }]
  const second = await opened([], { store, near: () => near })
  assert.is(urlsOf(second.told.at(-1)), 'a')
  await second.running.close()
  const third = await opened([], { store })
  assert.is([...(urlsOf(third.told.at(-1)) ?? '')].sort().join(''), 'ab')
})

test('a node that was told of no way to others seeks none', () => {
  assert.is(seeksOthers(parseConfig(['--data', 'x', '--members', 'y'], {})), false)
  for (const way of [
    '--peer=https://a',
    '--bootstrap=a:1',
    '--registry=https://a',
    '--dns=a',
    '--lan',
    '--public-dht',
    '--relay=https://a',
    '--dht-bootstrap=127.0.0.1:9',
  ]) {
    assert.is(seeksOthers(parseConfig([way], {})), true, way)
  }
  assert.is(MAX_SOURCES, 8)
})

test('whose servers the public DHT is, is said by who was told to use it, and by nobody else', async () => {
  const said = async (argv: readonly string[]): Promise<string> => {
    const lines: string[] = []
    const log: Log = { ...silentLog, info: (text) => void lines.push(text) }
    const config = parseConfig(argv, {})
    const finding = await openFinding({
      config,
      nodes: [],
      store: memoryStore(),
      log,
      listed: undefined,
    })
    await finding.close()
    return lines.join()
  }
  assert.match(await said(['--public-dht']), /^Uses the public DHT of Hyperswarm: .*Holepunch/)
  assert.is(await said(['--bootstrap', 'a.example:1']), '')
})

test('a machine without multicast DNS goes on without, and ends well', async () => {
  const lines: string[] = []
  const log: Log = { ...silentLog, warn: (text) => void lines.push(text) }
  const takers = new Map<string, (error: Error) => void>()
  const mdns = {
    on: (event: string, take: (...args: never[]) => void) => takers.set(event, take as never),
    respond: () => undefined,
    query: () => undefined,
    destroy: () => {
      throw new Error('Not running')
    },
  }
  const lan = openLan(
    { selves: [], log, onFound: () => undefined, clock: manualClock() },
    () => mdns,
  )
  takers.get('error')?.(new Error('EADDRINUSE'))
  takers.get('error')?.(new Error('EADDRINUSE'))
  assert.is(lines.length, 1)
  assert.match(lines[0] ?? '', /local network .*5353/)
  await lan.close()
})

test('the public DHT is begun at only where it was asked for', () => {
  const bootstrap = ['192.0.2.1:49737']
  assert.equal(bootstrapOf({ bootstrap }), [{ host: '192.0.2.1', port: 49_737 }])
  const hosts = bootstrapOf({ bootstrap, isPublic: true }).map(({ host }) => host)
  assert.is(hosts.length, 4)
  assert.ok(
    hosts.slice(1).every((host) => host.endsWith('.hyperdht.org')),
    `${hosts}`,
  )
  const dht = { bootstrapNodes: [{ host: '192.0.2.9', port: 1 }] }
  useBootstrap(dht, { bootstrap })
  assert.equal(dht.bootstrapNodes, [{ host: '192.0.2.1', port: 49_737 }])
})

test('who answers in the local network is dialled where its answer came from, whatever it says', () => {
  const service = '_signal-mesh._tcp.local'
  const self = { node: NODES[0] as string, network: NODES[1] as string }
  // As the package gives texts.
  const answers = lanAnswer(service, 4680, [self]).map((answer) =>
    answer.type === 'TXT' ? { ...answer, data: (answer.data as string[]).map(utf8) } : answer,
  )
  const found = { ...self, url: 'http://192.0.2.7:4680', isNear: true }
  assert.equal(lanPeers(service, answers, '192.0.2.7'), [found])
  const [ptr, srv, txt] = answers
  const wrong: object[][] = [
    [],
    [ptr as object],
    [srv as object],
    [{ ...srv, data: { port: 0, target: 'a' } }, txt as object],
    [{ ...srv, data: { port: '80' } }, txt as object],
    [{ ...srv, data: null }, txt as object],
    [srv as object, { ...txt, data: [utf8('id=1'), utf8(`network=${self.network}`)] }],
    [srv as object, { ...txt, data: 'id' }],
    [
      { ...srv, name: 'x._http._tcp.local' },
      { ...txt, name: 'x._http._tcp.local' },
    ],
  ]
  for (const list of wrong) assert.equal(lanPeers(service, list as never, '192.0.2.7'), [])
})

test.run()
