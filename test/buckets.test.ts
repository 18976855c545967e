/** Buckets: who has missed more of a home than is kept pulls what differs, and takes it whole or not at all. */

import { type Admission, createAdmission, NO_MEMBERS } from '../src/admission.ts'
import { decodeBatch, type Op } from '../src/batch.ts'
import { concat, reader, toHex, writer } from '../src/bytes.ts'
import { manualClock } from '../src/clock.ts'
import { HASH_BYTES } from '../src/crypto.ts'
import { BUCKETS } from '../src/digest.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import { MAX_BATCH_BYTES, MAX_FRAME_BYTES, MAX_KEPT_BATCHES, MAX_SPOILED_PULLS } from '../src/limits.ts'
import { silentLog } from '../src/log.ts'
import { createPace } from '../src/pace.ts'
import { applyBatch } from '../src/replica.ts'
import { NODE_METHOD, type Serve } from '../src/rpc.ts'
import { REPLY } from '../src/snapshots.ts'
import { createSync, type Sync } from '../src/sync.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  type TestHome,
  tagOf,
  testHome,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const CHAT = tagOf(1)
const GAMES = tagOf(2)
/** More than are kept. */
const MISSED = MAX_KEPT_BATCHES + 44
const HASHES_BYTES = BUCKETS * HASH_BYTES
const { pull, index, records } = NODE_METHOD

const test = suite('buckets', { timeoutMs: 30_000 })

test('who missed 300 batches that touched 40 edges pulls four percent of a home of 20,000 records at most', async () => {
  const scene = homeOf(10_000)
  const sink = puller(scene.source)
  copy(sink.directory, scene.home)
  touch(scene, 40, MISSED)
  const told: string[] = []
  sink.directory.onChange(({ kind }) => told.push(kind))
  await sink.sync.pull('source', scene.home.id)
  same(sink, scene.home)
  assert.equal(told.sort(), [...Array(10).fill('join'), ...Array(10).fill('leave')])
  const control = puller(scene.source)
  await control.sync.pull('source', scene.home.id)
  same(control, scene.home)
  const share = sink.bytes() / control.bytes()
  assert.ok(share < 0.04, `${sink.bytes()} of ${control.bytes()} bytes`)
  assert.ok(sink.pages.every((page) => page.length <= MAX_FRAME_BYTES - 64))
  assert.not(sink.asked.some((method) => method !== pull && method !== index && method !== records))
  const next = scene.home.change(put(presenceOf(identityOf(1), scene.home.id, { seq: START_MS + 900 })))
  assert.is(applyBatch(sink.directory, next, START_MS), 'applied', 'and batches go on from there')
})

test('a new life with the same records costs no record', async () => {
  const scene = homeOf(4_000)
  const sink = puller(scene.source)
  copy(sink.directory, scene.home)
  const before = scene.home.batches.length
  scene.home.log.rise(START_MS + 1)
  scene.home.log.flush()
  follow(scene.source, scene.home, before)
  await sink.sync.pull('source', scene.home.id)
  same(sink, scene.home)
  assert.equal(sink.asked, [pull, pull])
  assert.ok(sink.bytes() < HASHES_BYTES + MAX_BATCH_BYTES + 200, `${sink.bytes()}`)
})

test('who holds nothing, or other records in most buckets, pulls the whole', async () => {
  const scene = homeOf(1_200)
  touch(scene, 1, MISSED)
  const empty = puller(scene.source)
  await empty.sync.pull('source', scene.home.id)
  same(empty, scene.home)
  assert.not(empty.asked.some((method) => method !== pull))
  const stale = puller(scene.source)
  copy(stale.directory, scene.home)
  touch(scene, 1_200, 1_200)
  await stale.sync.pull('source', scene.home.id)
  same(stale, scene.home)
  assert.not(stale.asked.some((method) => method !== pull))
})

test('a home that fits a page is sent at once, and one with a bucket too full for a page is sent whole', async () => {
  const small = homeOf(100)
  const sink = puller(small.source)
  copy(sink.directory, small.home)
  touch(small, 5, MISSED)
  await sink.sync.pull('source', small.home.id)
  same(sink, small.home)
  assert.is(sink.pages[0]?.[0], REPLY.snapshot)
  const lopsided = homeOf(300)
  const edge = identityOf(1)
  for (let i = 0; i < 1_600; i++) lopsided.home.log.add(put(advertOf(edge, tagOf(100 + i))))
  lopsided.home.log.flush()
  follow(lopsided.source, lopsided.home)
  const next = puller(lopsided.source)
  copy(next.directory, lopsided.home)
  touch(lopsided, 5, MISSED)
  await next.sync.pull('source', lopsided.home.id)
  same(next, lopsided.home)
  assert.is(next.pages[0]?.[0], REPLY.snapshot)
})

test('a home that goes on changing all the while is repaired to its latest state', async () => {
  const scene = homeOf(2_000)
  const sink = puller(scene.source)
  copy(sink.directory, scene.home)
  touch(scene, 150, MISSED)
  let busy = 0
  sink.onAsk = () => {
    busy += 1
    if (busy <= 20) touch(scene, 10, 10)
  }
  await sink.sync.pull('source', scene.home.id)
  assert.ok(busy > 4)
  assert.ok(sink.asked.includes(index) && sink.asked.includes(records))
  same(sink, scene.home)
})

test('a repair whose state the supplier keeps no more changes nothing, and nobody is to blame', async () => {
  for (const method of [index, records]) {
    const { scene, sink } = missing()
    sink.onAsk = (asked) => {
      if (asked === method) scene.source.banish(scene.home.id, START_MS + 1)
    }
    const before = stateOf(sink, scene.home)
    for (let i = 0; i <= MAX_SPOILED_PULLS; i++) await sink.sync.pull('source', scene.home.id)
    assert.equal(stateOf(sink, scene.home), before)
    assert.is(sink.asked.filter((asked) => asked === method).length, 1)
    assert.ok(sink.asked.length > MAX_SPOILED_PULLS + 1, 'it is asked again each time')
  }
})

test('a home that would have more records than it may is refused before one is asked for', async () => {
  const { scene, sink } = missing({ recordsFor: () => 2_000 })
  const before = stateOf(sink, scene.home)
  await sink.sync.pull('source', scene.home.id)
  assert.equal(stateOf(sink, scene.home), before)
  assert.equal(sink.asked, [pull, index])
})

test('an old state, once signed, is no news and changes nothing', async () => {
  const { scene, sink } = missing()
  const later = puller(scene.source)
  await later.sync.pull('source', scene.home.id)
  later.answer = recorded(await answersTo(scene.serve, sink, scene.home))
  touch(scene, 5, 5)
  copy(later.directory, scene.home, later.directory.homes.get(scene.home.id)?.position.index)
  later.asked.length = 0
  await later.sync.pull('source', scene.home.id)
  same(later, scene.home)
  assert.equal(later.asked, [pull], 'nothing is compared for it')
})

/** What hostile suppliers make of an honest page; the last byte of a buckets page is one of a hash. */
const ATTACKS: Readonly<Record<string, (method: number, page: Uint8Array, scene: Scene) => Uint8Array>> = {
  'wrong bucket hashes': (method, page) => (method === pull ? flip(page, page.length - 1) : page),
  'the buckets of another state': (method, page, { former }) =>
    method === pull ? concat(page.subarray(0, page.length - HASHES_BYTES), former) : page,
  'a bucket hash too many': (method, page) =>
    method === pull ? concat(page, new Uint8Array(HASH_BYTES)) : page,
  'buckets under a batch that the home did not sign': (method, page) =>
    method === pull ? flip(page, 3 + reader(page.subarray(2)).u16()) : page,
  'an answer of no kind': (method, page) =>
    method === pull ? page.map((byte, i) => (i === 0 ? 7 : byte)) : page,
  'a bucket’s index that does not hash to the bucket': (method, page) =>
    method === index ? flip(page, 2 + HASH_BYTES - 1) : page,
  'an index without one of its records': (method, page) =>
    method === index ? shorter(page) : page,
  'an index with a record twice': (method, page) => (method === index ? longer(page) : page),
  'an empty bucket for a full one': (method, page) => (method === index ? Uint8Array.of(0, 0) : page),
  'a bucket too many': (method, page) => (method === index ? concat(page, page) : page),
  'a record too many': (method, page) => (method === records ? concat(page, page) : page),
  'records of other buckets': (method, page) => (method === records ? reversed(page) : page),
  'a record that is altered': (method, page) => (method === records ? flip(page, 60) : page),
  'records that no home signed for': (method, page) =>
    method === records ? entry(advertOf(identityOf(5), GAMES).bytes) : page,
}

for (const [what, attack] of Object.entries(ATTACKS)) {
  test(`serves ${what}: nothing is committed, and after three times it is asked no more`, async () => {
    const { scene, sink } = missing()
    sink.alter = (method, page) => attack(method, page, scene)
    const before = stateOf(sink, scene.home)
    for (let i = 0; i < MAX_SPOILED_PULLS; i++) {
      const asked = sink.asked.length
      await sink.sync.pull('liar', scene.home.id)
      assert.equal(stateOf(sink, scene.home), before)
      assert.ok(sink.asked.length - asked <= 3, 'it ends at the first lie')
    }
    const asked = sink.asked.length
    await sink.sync.pull('liar', scene.home.id)
    assert.is(sink.asked.length, asked, 'it is blamed')
    assert.equal(sink.faults, [], 'and the home is not')
    sink.alter = (_, page) => page
    sink.others = ['honest']
    await sink.sync.pull('liar', scene.home.id)
    same(sink, scene.home)
  })
}

test('pages that never end are ended: the same bucket, the same record, or buckets, again and again', async () => {
  const first = new Map<number, Uint8Array>()
  const again = (method: number, page: Uint8Array): Uint8Array => {
    const cut = method === index ? firstBucket(page) : method === records ? firstRecord(page) : page
    if (!first.has(method)) first.set(method, cut)
    return first.get(method) as Uint8Array
  }
  for (const method of [index, records, pull]) {
    first.clear()
    const { scene, sink } = missing({}, method === pull ? 1_200 : 40)
    sink.alter = (asked, page) => (asked === method ? again(asked, page) : page)
    const before = stateOf(sink, scene.home)
    await sink.sync.pull('liar', scene.home.id)
    assert.equal(stateOf(sink, scene.home), before)
    assert.ok(sink.asked.length <= 4, `${sink.asked}`)
  }
})

test('answers to requests for buckets that are none are refused by name, or are nothing', async () => {
  const { scene } = missing()
  const ask = async (method: number, body: Uint8Array): Promise<string> => {
    try {
      return `${(await scene.serve(method, body)).length} bytes`
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  await scene.serve(pull, askedOf(scene.home, 1).u32(0).done())
  const last = scene.home.log.state.position.index
  assert.is(await ask(index, new Uint8Array(48 + 31)), 'BAD_FRAME')
  assert.is(await ask(index, new Uint8Array(48 + 33)), 'BAD_FRAME')
  assert.is(await ask(index, new Uint8Array(48 + 32)), '0 bytes', 'of a home that is unknown')
  assert.is(await ask(index, askedOf(scene.home, 1).bytes(new Uint8Array(32)).done()), '0 bytes')
  const places = (...bytes: number[]) => askedOf(scene.home, last).bytes(Uint8Array.from(bytes)).done()
  assert.is(await ask(records, places(0, 0)), 'BAD_FRAME')
  assert.is(await ask(records, places(0, 255, 255)), 'BAD_FRAME', 'no such place')
  assert.is(await ask(records, places()), '0 bytes')
  const everything = Array.from({ length: 20_000 }, (_, i) => [i % 256, 0, 0]).flat()
  const page = await scene.serve(records, places(...everything))
  assert.ok(page.length <= MAX_FRAME_BYTES - 64, 'a page, however much is asked for')
  const all = askedOf(scene.home, last).bytes(new Uint8Array(32).fill(255)).done()
  const indexes = await scene.serve(index, all)
  assert.ok(indexes.length > 10_000 && indexes.length <= MAX_FRAME_BYTES - 64)
})

test.run()

interface Scene {
  readonly home: TestHome
  /** What a neighbour holds of it, and serves. */
  readonly source: Directory
  readonly serve: Serve
  /** Bucket hashes of an earlier state. */
  former: Uint8Array
  /** Counts the changes, each with a higher `seq`. */
  changes: number
}

interface Puller {
  readonly directory: Directory
  readonly sync: Sync
  readonly asked: number[]
  readonly pages: Uint8Array[]
  readonly faults: string[]
  others: readonly string[]
  /** Of all requests and answers. */
  bytes(): number
  answer: Serve
  alter: (method: number, page: Uint8Array) => Uint8Array
  onAsk: (method: number) => void
}

/** A home of so many edges with one advert each, and a neighbour that holds it all. */
function homeOf(edges: number): Scene {
  const home = testHome(50)
  for (let i = 0; i < edges; i++) {
    home.log.add(put(presenceOf(identityOf(i), home.id)))
    home.log.add(put(advertOf(identityOf(i), CHAT)))
  }
  home.log.flush()
  const source = createDirectory(NETWORK)
  copy(source, home)
  const { serve } = puller(source).sync
  return { home, source, serve, former: home.log.state.digest.buckets(), changes: 0 }
}

/** Batches of one change each to so many edges: some sign again, some come, some go. */
function touch(scene: Scene, edges: number, batches: number): void {
  const before = scene.home.batches.length
  for (let i = 0; i < batches; i++) {
    scene.changes += 1
    scene.home.change(changeOf(scene, i % edges))
  }
  follow(scene.source, scene.home, before)
}

function changeOf({ home, changes }: Scene, edge: number): Op {
  const seq = START_MS + changes
  if (edge % 4 === 0) return put(presenceOf(identityOf(edge), home.id, { seq }))
  if (edge % 4 === 1) return put(advertOf(identityOf(edge), CHAT, { seq }))
  if (edge % 4 === 2) return { kind: 'remove-peer', peer: identityOf(edge).id, seq }
  return put(
    changes % 2
      ? presenceOf(identityOf(20_000 + edge), home.id, { seq })
      : advertOf(identityOf(20_000 + edge), CHAT, { seq }),
  )
}

/** A home of which a neighbour has missed more than is kept, and that neighbour. */
function missing(room: Partial<Admission> = {}, edges = 40): { scene: Scene; sink: Puller } {
  const scene = homeOf(1_200)
  const sink = puller(scene.source, room)
  copy(sink.directory, scene.home)
  touch(scene, edges, Math.max(edges, MISSED))
  return { scene, sink }
}

function puller(source: Directory, room: Partial<Admission> = {}): Puller {
  const clock = manualClock()
  const directory = createDirectory(NETWORK)
  const admission = createAdmission({
    self: identityOf(91).id,
    members: NO_MEMBERS,
    clock,
    log: silentLog,
  })
  const common = { networkId: NETWORK, clock, log: silentLog, self: identityOf(91).id }
  const idle = { onOwnHead: () => {}, onFault: () => {}, flush: () => {}, neighbours: () => [] }
  const { serve } = createSync({
    ...common,
    ...idle,
    directory: source,
    admission,
    pace: createPace(clock),
    request: () => Promise.reject(new Error('asks nobody')),
  })
  let bytes = 0
  const self: Puller = {
    directory,
    asked: [],
    pages: [],
    faults: [],
    others: [],
    bytes: () => bytes,
    answer: serve,
    alter: (_, page) => page,
    onAsk: () => {},
    sync: createSync({
      ...common,
      ...idle,
      directory,
      admission: { ...admission, ...room },
      pace: createPace(clock),
      neighbours: () => self.others,
      onFault: (id, { code }) => void self.faults.push(`${code} ${id}`),
      request: async (_, method, body) => {
        self.asked.push(method)
        self.onAsk(method)
        const page = self.alter(method, await self.answer(method, body))
        bytes += body.length + page.length
        self.pages.push(page)
        return page
      },
    }),
  }
  // What it serves is of the source until it holds something itself.
  return { ...self, sync: { ...self.sync, serve } }
}
