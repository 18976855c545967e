/** Links over WebSocket: nodes keep them to their peers and to who they hear of, and to nobody else. */

import { fromHex } from '../src/bytes.ts'
import { manualClock } from '../src/clock.ts'
import type { Directory } from '../src/directory.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  DIAL_RETRY_MAX_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  DIAL_URL_AFTER_MS,
  MAX_LINKS_PER_GROUP,
  MAX_URL_DIALS,
  PEER_LOOK_MS,
} from '../src/limits.ts'
import { silentLog } from '../src/log.ts'
import { createOnDemand } from '../src/ondemand.ts'
import { keepPeers } from '../src/peers.ts'
import { createUrlDials, meshUrl, type UrlDialsOptions } from '../src/urldials.ts'
import { assert, suite } from './harness/suite.ts'
import { type SocketWorld, socketWorld } from './support/sockets.ts'

const test = suite('mesh links')
const LOCAL = '127.0.0.1:1'
const worlds: SocketWorld[] = []
test.afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

function open(): SocketWorld {
  const world = socketWorld()
  worlds.push(world)
  return world
}

test('takes links at the path /mesh, below whatever path its URL has', () => {
  const id = Uint8Array.of(1, 255)
  assert.is(meshUrl('https://node.example', id), 'wss://node.example/mesh?n=01ff')
  assert.is(meshUrl('ws://node.example:1/below/?x#y', id), 'ws://node.example:1/below/mesh?n=01ff')
})

test('a node links to its peers, and again when a link is lost', async () => {
  const world = open()
  const a = await world.start('a.example')
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  await world.clock.advance(1_000)
  assert.equal([world.neighbours(a), world.neighbours(b)], [1, 1])
  world.cut(b)
  await world.clock.advance(5_000)
  assert.equal([world.neighbours(a), world.neighbours(b)], [1, 1])
})

test('a peer that is away is dialled ever more seldom, but at least once in a minute', async () => {
  const world = open()
  await world.start('b.example', { peers: ['wss://a.example'] })
  await world.clock.advance(20 * 60_000)
  const gaps = world.dials.slice(1).map(({ atMs }, i) => atMs - (world.dials[i]?.atMs ?? 0))
  assert.ok(
    gaps.slice(-5).every((gap) => gap >= 30_000 && gap <= 61_000),
    String(gaps),
  )
  assert.ok((gaps[0] ?? 0) <= 3_000, String(gaps))
  const a = await world.start('a.example')
  await world.clock.advance(DIAL_RETRY_MAX_MS + PEER_LOOK_MS)
  assert.is(world.neighbours(a), 1)
})

test('nodes that know each other by a third alone link too, and outlive it', async () => {
  const world = open()
  const a = await world.start('a.example')
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  const c = await world.start('c.example', { peers: ['wss://a.example'] })
  await world.clock.advance(15_000)
  assert.equal([a, b, c].map(world.neighbours), [2, 2, 2])
  world.move('a.example', undefined)
  await a.close()
  await world.clock.advance(5_000)
  assert.equal([b, c].map(world.neighbours), [1, 1])
})

test('two nodes that dial each other at once have one link in the end', async () => {
  const world = open()
  const a = await world.start('a.example', { peers: ['wss://b.example'] })
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  await world.clock.advance(30_000)
  assert.equal([a, b].map(world.neighbours), [1, 1])
  const before = world.dials.length
  await world.clock.advance(10 * 60_000)
  assert.is(world.dials.length, before, 'neither dials for the other link')
})

test('a peer that is the node itself is dialled seldom', async () => {
  const world = open()
  const a = await world.start('a.example', { peers: ['wss://a.example'] })
  await world.clock.advance(DIAL_RETRY_MAX_MS)
  assert.is(world.neighbours(a), 0)
  assert.is(world.dials.length, 1)
  await world.clock.advance(10 * DIAL_RETRY_MAX_MS)
  assert.ok(world.dials.length <= 10, `${world.dials.length}`)
})

test('who leads a node to itself once keeps it from its peer no longer than that', async () => {
  const world = open()
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  world.move('a.example', b)
  await world.clock.advance(1_000)
  assert.is(world.dials.length, 1)
  const a = await world.start('a.example')
  await world.clock.advance(2 * DIAL_RETRY_MAX_MS)
  assert.equal([a, b].map(world.neighbours), [1, 1])
})

test('a URL at which another node is gives no link to it', async () => {
  const world = open()
  await world.start('a.example')
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  const other = await world.start('other.example')
  // It says of itself that it is reached where another node is.
  b.setUrls(['http://other.example'])
  const d = await world.start('d.example', { peers: ['wss://a.example'] })
  world.move('d.example', undefined)
  await world.clock.advance(20_000)
  assert.ok(
    world.dials.some(({ host }) => host === 'other.example'),
    'it was dialled',
  )
  assert.is(world.neighbours(other), 0)
  assert.is(world.neighbours(d), 1, 'a alone')
})

test('local addresses that other nodes name are not dialled unless that is allowed', async () => {
  for (const allowPrivate of [false, true]) {
    const world = open()
    await world.start('a.example')
    // Without dials of its own, it is there to be dialled only.
    await world.start(LOCAL, { peers: ['wss://a.example'] })
    await world.clock.advance(1_000)
    const c = await world.start('c.example', { peers: ['wss://a.example'], allowPrivate })
    world.move('c.example', undefined)
    await world.clock.advance(20_000)
    assert.is(world.neighbours(c), allowPrivate ? 2 : 1)
    const local = world.dials.filter(({ host }) => host === LOCAL)
    assert.is(local.length > 0, allowPrivate)
  }
})

test('a local address that a flag names is dialled, and no name may lead to one', async () => {
  const world = open()
  await world.start(LOCAL)
  const b = await world.start('b.example', { peers: [`ws://${LOCAL}`, 'ws://a.example'] })
  await world.clock.advance(500)
  assert.is(world.neighbours(b), 1)
  assert.equal(
    world.dials.slice(0, 2).map(({ host, allowPrivate }) => [host, allowPrivate]),
    [
      [LOCAL, true],
      ['a.example', false],
    ],
  )
})

test('links that others dial by URL have no more places than any', async () => {
  const world = open()
  const a = await world.start('a.example')
  for (let i = 0; i <= MAX_LINKS_PER_GROUP; i++) {
    const peers = ['wss://a.example']
    await world.start(`n${i}.example`, { peers })
    world.move(`n${i}.example`, undefined)
  }
  await world.clock.advance(3_000)
  assert.is(world.neighbours(a), MAX_LINKS_PER_GROUP)
})

test('a node that stops takes no links, and dials nobody more', async () => {
  const world = open()
  const a = await world.start('a.example')
  const b = await world.start('b.example', { peers: ['wss://a.example'] })
  await world.clock.advance(1_000)
  await b.close()
  const answer = b.upgrade(new Request('http://b.example/mesh'), { remoteAddress: '192.0.2.1' })
  assert.is((answer as Response).status, 503)
  const dialled = world.dials.length
  await world.clock.advance(60_000)
  assert.is(world.dials.length, dialled)
  assert.is(world.neighbours(a), 0)
})

// --- dials on demand ---

test('a home is dialled once, whoever asks, and its URLs one after the other', async () => {
  const { dials, opened, fail } = ground({ home: ['https://one.example', 'https://two.example'] })
  const [first, second] = [dials.dialHome('home'), dials.dialHome('home')]
  assert.is(first, second)
  assert.equal(opened, ['wss://one.example/mesh?n=01'])
  await fail()
  assert.equal(opened, ['wss://one.example/mesh?n=01', 'wss://two.example/mesh?n=01'])
  await fail()
  assert.is(await first, false)
})

test('an address that failed is let alone for a while, whichever home names it', async () => {
  const { clock, dials, opened, fail } = ground({
    home: ['https://victim.example'],
    other: ['https://victim.example/x'],
  })
  void dials.dialHome('home')
  await fail()
  assert.is(dials.dialHome('other'), undefined)
  assert.is(dials.dialHome('home'), undefined)
  await clock.advance(DIAL_RETRY_MS)
  void dials.dialHome('other')
  await fail()
  await clock.advance(DIAL_RETRY_MS)
  assert.is(dials.dialHome('other'), undefined, 'the second time for twice as long')
  assert.is(opened.length, 2)
})

test('a home that names the address of another node keeps nobody from that node, and others of its kind let it alone', async () => {
  const good = '01'.repeat(32)
  const { dials, opened, fail } = ground({
    liar: ['https://good.example'],
    accomplice: ['https://good.example/x'],
    [good]: ['https://good.example'],
  })
  void dials.dialHome('liar')
  const evidence = fromHex(good)
  await fail(new SignalMeshError('REFUSED', 'There is another node', { evidence }))
  assert.is(dials.dialHome('liar'), undefined)
  assert.is(dials.dialHome('accomplice'), undefined)
  void dials.dialHome(good)
  assert.is(opened.length, 2)
})

test('what is no URL of a node is not dialled', () => {
  const { dials, opened } = ground({ home: ['ftp://a.example', 'no URL', 'javascript:1'] })
  assert.is(dials.dialHome('home'), undefined)
  assert.equal(opened, [])
})

test('no name and password that another node gives go to whom it names', () => {
  const { dials, opened } = ground({
    home: ['https://user:secret@victim.example', 'https://user@victim.example'],
  })
  assert.is(dials.dialHome('home'), undefined)
  assert.equal(opened, [])
})

test('a home whose addresses do not answer holds its place for one dial’s time, not for all of theirs', async () => {
  const urls = ['https://a.example', 'https://b.example', 'https://c.example', 'https://d.example']
  const { clock, dials, opened, fail } = ground({ home: urls })
  const dialling = dials.dialHome('home')
  await clock.advance(DIAL_TIMEOUT_MS)
  await fail()
  assert.is(await dialling, false)
  await clock.advance(DIAL_RETRY_MS - 1)
  assert.is(dials.dialHome('home'), undefined)
  await clock.advance(1)
  void dials.dialHome('home')
  assert.is(opened.length, 2, 'the next time the dead one need not come first')
})

test('homes made up without end, with a name of one victim each, make a node knock ever more seldom', async () => {
  const clock = manualClock()
  let dialled = 0
  const homes = new Map(Array.from({ length: 1_000 }, (_, i) => [`home${i}`, {}]))
  const stop = keepPeers({
    self: 'self',
    clock,
    log: silentLog,
    directory: { homes } as unknown as Directory,
    neighbours: { ids: [], has: () => false, linkOf: () => undefined },
    dials: {
      dialFound: async () => '',
      dial: async () => '',
      dialHome: async () => {
        dialled += 1
        return false
      },
    },
    named: [],
    keepsMore: () => true,
    admits: () => true,
  })
  await clock.advance(10 * 60_000)
  const early = dialled
  assert.ok(early >= 10 && early <= 30, `${early} in ten minutes`)
  await clock.advance(60 * 60_000)
  assert.ok(dialled - early <= 120, `${dialled - early} in the hour after that`)
  stop()
})

test('so many are opened at once, and no more', () => {
  const homes = Array.from({ length: MAX_URL_DIALS + 1 }, (_, i) => `home${i}`)
  const { dials, opened } = ground(
    Object.fromEntries(homes.map((home) => [home, [`https://${home}.example`]])),
  )
  for (const home of homes) void dials.dialHome(home)
  assert.is(opened.length, MAX_URL_DIALS)
})

test('a home that is on no DHT is dialled by URL for a signal, and let go when none leads there', async () => {
  const { clock, onDemand, asked, failed, settle } = demand(() => false)
  assert.is(onDemand.begin('home', undefined, { edge: 'a', group: '' }), true)
  assert.equal(asked, ['home'])
  await settle(false)
  assert.equal(failed, ['home'])
  assert.is(clock.pending, 0)
})

test('a dial on the DHT that takes long is helped by one by URL', async () => {
  const { clock, onDemand, asked, failed, settle } = demand(() => true)
  onDemand.begin('home', new Uint8Array(32), { edge: 'a', group: '' })
  assert.equal(asked, [])
  await clock.advance(DIAL_URL_AFTER_MS)
  assert.equal(asked, ['home'])
  await settle(false)
  assert.equal(failed, [], 'the DHT may yet lead there')
  onDemand.linked('home')
  assert.is(clock.pending, 0)
})

test.run()

function ground(urls: Readonly<Record<string, readonly string[]>>) {
  const clock = manualClock()
  const opened: string[] = []
  const waiting: ((error: Error) => void)[] = []
  const homes = new Map(Object.entries(urls).map(([home, at]) => [home, { contact: { urls: at } }]))
  const options: UrlDialsOptions = {
    clock,
    log: silentLog,
    directory: { homes } as unknown as Directory,
    networkId: Uint8Array.of(1),
    allowPrivate: false,
    open: (url) => {
      opened.push(url)
      return new Promise((_, reject) => waiting.push(reject))
    },
    add: async () => new SignalMeshError('CLOSED', 'no'),
    isLinked: () => false,
  }
  const fail = async (error: Error = new Error('no')): Promise<void> => {
    waiting.shift()?.(error)
    await clock.advance(0)
  }
  return { clock, dials: createUrlDials(options), opened, fail }
}

function demand(dial: () => boolean) {
  const clock = manualClock()
  const asked: string[] = []
  const failed: string[] = []
  let done: (isLinked: boolean) => void = () => undefined
  const onDemand = createOnDemand({
    clock,
    dial,
    dialUrl: (home) => {
      asked.push(home)
      return new Promise((resolve) => (done = resolve))
    },
    giveUp: () => undefined,
    onFailed: (home) => failed.push(home),
  })
  const settle = async (isLinked: boolean): Promise<void> => {
    done(isLinked)
    await clock.advance(0)
  }
  return { clock, onDemand, asked, failed, settle }
}
