/** Buckets: who has missed more of a home than is kept pulls what differs, and takes it whole or not at all. */

import fc from 'fast-check'
import { type Admission, createAdmission, NO_MEMBERS } from '../src/admission.ts'
import { type Batch, decodeBatch, type Op } from '../src/batch.ts'
import { concat, reader, toHex, writer } from '../src/bytes.ts'
import { manualClock } from '../src/clock.ts'
import { HASH_BYTES } from '../src/crypto.ts'
import { BUCKETS } from '../src/digest.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { Identity } from '../src/identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_FRAME_BYTES,
  MAX_KEPT_BATCHES,
  MAX_SPOILED_PULLS,
  MAX_TOPICS_PER_EDGE,
} from '../src/limits.ts'
import { silentLog } from '../src/log.ts'
import { createPace } from '../src/pace.ts'
import type { EdgeRecord } from '../src/records.ts'
import { applyBatch } from '../src/replica.ts'
import { NODE_METHOD, type Serve } from '../src/rpc.ts'
import { REPLY, readRecord } from '../src/snapshots.ts'
import { createSupply } from '../src/supply.ts'
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

/** By how many edges the neighbour has missed something of; nobody changes these any more. */
const scenes = new Map<number, Scene>()

const test = suite('buckets', { timeoutMs: 30_000 })

test('who missed 300 batches that touched 40 edges pulls four percent of a home of 20,000 records at most', async () => {
  const scene = homeOf(10_000)
  const sink = puller(scene.serve)
  follow(sink.directory, scene.home)
  touch(scene, 40, MISSED)
  const told: string[] = []
  sink.directory.onChange(({ kind }) => told.push(kind))
  await sink.sync.pull('source', scene.home.id)
  same(sink, scene.home)
  assert.equal(told.sort(), [...Array(10).fill('join'), ...Array(10).fill('leave')])
  const control = puller(scene.serve)
  await control.sync.pull('source', scene.home.id)
  same(control, scene.home)
  const share = sink.bytes() / control.bytes()
  assert.ok(share < 0.04, `${sink.bytes()} of ${control.bytes()} bytes`)
  assert.ok(sink.pages.every((page) => page.length <= MAX_FRAME_BYTES - 64))
  assert.not(sink.asked.some((method) => method !== pull && method !== index && method !== records))
  const next = scene.home.change(
    put(presenceOf(identityOf(1), scene.home.id, { seq: START_MS + 900 })),
  )
  assert.is(applyBatch(sink.directory, next, START_MS), 'applied', 'and batches go on from there')
})

test('a new life with the same records costs no record', async () => {
  const scene = homeOf(2_000)
  const sink = puller(scene.serve)
  follow(sink.directory, scene.home)
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
  const scene = homeOf(600)
  touch(scene, 1, MISSED)
  const empty = puller(scene.serve)
  await empty.sync.pull('source', scene.home.id)
  same(empty, scene.home)
  assert.not(empty.asked.some((method) => method !== pull))
  const stale = puller(scene.serve)
  follow(stale.directory, scene.home)
  touch(scene, 600, 600)
  await stale.sync.pull('source', scene.home.id)
  same(stale, scene.home)
  assert.not(stale.asked.some((method) => method !== pull))
})

test('a home that fits a page is sent at once, and one with a bucket too full for a page is sent whole', async () => {
  const small = homeOf(100)
  const sink = puller(small.serve)
  follow(sink.directory, small.home)
  touch(small, 5, MISSED)
  await sink.sync.pull('source', small.home.id)
  same(sink, small.home)
  assert.is(sink.pages[0]?.[0], REPLY.snapshot)
  const lopsided = homeOf(300)
  const before = lopsided.home.batches.length
  const edges = inOneBucket(1_600 / MAX_TOPICS_PER_EDGE)
  for (let i = 0; i < 1_600; i++) {
    const edge = edges[i % edges.length] as Identity
    lopsided.home.log.add(put(advertOf(edge, tagOf(100 + i))))
  }
  lopsided.home.log.flush()
  follow(lopsided.source, lopsided.home, before)
  const next = puller(lopsided.serve)
  follow(next.directory, lopsided.home)
  touch(lopsided, 5, MISSED)
  await next.sync.pull('source', lopsided.home.id)
  same(next, lopsided.home)
  assert.is(next.pages[0]?.[0], REPLY.snapshot)
})

test('a home that goes on changing all the while is repaired to its latest state', async () => {
  const scene = homeOf(1_200)
  const sink = puller(scene.serve)
  follow(sink.directory, scene.home)
  touch(scene, 150, MISSED)
  let busy = 0
  sink.onAsk = () => {
    busy += 1
    if (busy <= 20) touch(scene, 10, 10)
  }
  await sink.sync.pull('source', scene.home.id)
  assert.ok(busy >= 4)
  assert.ok(sink.asked.includes(index) && sink.asked.includes(records))
  same(sink, scene.home)
})

test('a repair whose state the supplier keeps no more changes nothing, and nobody is to blame', async () => {
  for (const method of [index, records]) {
    const { scene, sink } = missing()
    sink.alter = (asked, page) => (asked === method ? new Uint8Array(0) : page)
    const before = stateOf(sink, scene.home)
    for (let i = 0; i <= MAX_SPOILED_PULLS; i++) await sink.sync.pull('source', scene.home.id)
    assert.equal(stateOf(sink, scene.home), before)
    assert.is(sink.asked.filter((asked) => asked === method).length, MAX_SPOILED_PULLS + 1)
  }
})

test('a home that would have more records than it may is refused before one is asked for', async () => {
  const { scene, sink } = missing({ recordsFor: () => 2_000 })
  const before = stateOf(sink, scene.home)
  await sink.sync.pull('source', scene.home.id)
  assert.equal(stateOf(sink, scene.home), before)
  assert.equal(sink.asked, [pull, index])
})

test('an old state, once signed, is no news: nothing is compared with it', async () => {
  const scene = homeOf(600)
  const sink = puller(scene.serve)
  follow(sink.directory, scene.home)
  touch(scene, 20, MISSED)
  await sink.sync.pull('source', scene.home.id)
  const old = sink.pages[0] as Uint8Array
  assert.is(old[0], REPLY.buckets)
  const before = scene.home.batches.length
  touch(scene, 5, 5)
  follow(sink.directory, scene.home, before)
  sink.asked.length = 0
  sink.alter = () => old
  await sink.sync.pull('source', scene.home.id)
  same(sink, scene.home)
  assert.equal(sink.asked, [pull])
})

/** What hostile suppliers make of an honest page, in answer to the first, second or third request. */
const ATTACKS: readonly Readonly<Record<string, (page: Uint8Array, scene: Scene) => Uint8Array>>[] =
  [
    {
      'wrong bucket hashes': (page) => flip(page, page.length - 1),
      'the buckets of another state': (page, { former }) =>
        concat(page.subarray(0, page.length - HASHES_BYTES), former),
      'a bucket hash too many': (page) => concat(page, new Uint8Array(HASH_BYTES)),
      'buckets under a batch that the home did not sign': (page) =>
        flip(page, 3 + reader(page.subarray(2)).u16()),
      'an answer of no kind': (page) => page.map((byte, i) => (i === 0 ? 7 : byte)),
    },
    {
      'an index that does not hash to its bucket': (page) => flip(page, 2 + HASH_BYTES - 1),
      'an index without one of its records': shorter,
      'an index with a record twice': longer,
      'an empty bucket for a full one': () => Uint8Array.of(0, 0),
      'a bucket too many': (page) => concat(page, page),
    },
    {
      'a record too many': (page) => concat(page, page),
      'records of other buckets': reversed,
      'a record that is altered': (page) => flip(firstRecord(page), 60),
      'a record that no home signed for': () =>
        writer()
          .u8(2)
          .block(advertOf(identityOf(5), GAMES).bytes)
          .done(),
    },
  ]

for (const [turn, attacks] of ATTACKS.entries()) {
  for (const [what, attack] of Object.entries(attacks)) {
    test(`serves ${what}: nothing is committed, and after three times it is asked no more`, async () => {
      const { scene, sink } = missing()
      sink.alter = (method, page) =>
        method === [pull, index, records][turn] ? attack(page, scene) : page
      const before = stateOf(sink, scene.home)
      for (let i = 1; i <= MAX_SPOILED_PULLS + 1; i++) {
        await sink.sync.pull('liar', scene.home.id)
        assert.equal(stateOf(sink, scene.home), before)
        const pulls = Math.min(i, MAX_SPOILED_PULLS)
        assert.is(sink.asked.length, pulls * (turn + 1), 'each ends at the first lie')
      }
      assert.equal(sink.faults, [], 'the home is not blamed')
      sink.alter = (_, page) => page
      sink.others = ['honest']
      await sink.sync.pull('liar', scene.home.id)
      same(sink, scene.home)
    })
  }
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

test('any bytes in answer to any of the three requests are refused by name, and change nothing', async () => {
  const { scene, sink: untouched } = missing()
  const before = stateOf(untouched, scene.home)
  const answers = fc.tuple(fc.nat(2), fc.uint8Array({ maxLength: 200 }))
  await fc.assert(
    fc.asyncProperty(answers, async ([turn, bytes]) => {
      const { sink } = missing()
      sink.alter = (method, page) => (method === [pull, index, records][turn] ? bytes : page)
      await sink.sync.pull('liar', scene.home.id)
      assert.equal(stateOf(sink, scene.home), before)
      try {
        assert.ok(readRecord(reader(bytes)).peer)
      } catch (error) {
        assert.is((error as SignalMeshError).code, 'BAD_FRAME')
      }
    }),
    { numRuns: 30 },
  )
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
  assert.is(
    await ask(index, askedOf(scene.home, 1).bytes(new Uint8Array(32).fill(255)).done()),
    '0 bytes',
  )
  const places = (bytes: readonly number[]) =>
    askedOf(scene.home, last).bytes(Uint8Array.from(bytes)).done()
  assert.is(await ask(records, places([0, 0])), 'BAD_FRAME')
  assert.is(await ask(records, places([0, 255, 255])), 'BAD_FRAME', 'no such place')
  assert.is(await ask(records, places([])), '0 bytes')
  const bucket = identityOf(1).keys.publicKey[0] as number
  const everything = Array.from({ length: 20_000 }, () => [bucket, 0, 0]).flat()
  const page = await scene.serve(records, places(everything))
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
  /** Batches until all edges were there, and the bucket hashes then. */
  readonly built: number
  readonly former: Uint8Array
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
  alter: (method: number, page: Uint8Array) => Uint8Array
  onAsk: (method: number) => void
}

/** The records of each edge, which are the same in every home here: signing them takes long. */
const signed: EdgeRecord[][] = []

/** A home of so many edges with one advert each, and a neighbour that holds it all. */
function homeOf(edges: number): Scene {
  const home = testHome(50)
  for (let i = 0; i < edges; i++) {
    signed[i] ??= [presenceOf(identityOf(i), home.id), advertOf(identityOf(i), CHAT)]
    for (const record of signed[i] as EdgeRecord[]) home.log.add(put(record))
  }
  home.log.flush()
  const source = createDirectory(NETWORK)
  follow(source, home)
  const supply = { clock: manualClock(), flush: () => {}, pulling: () => undefined }
  const serve = createSupply({ ...supply, directory: source })
  const former = home.log.state.digest.buckets()
  return { home, source, serve, built: home.batches.length, former, changes: 0 }
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
    changes % 3 === 0
      ? presenceOf(identityOf(20_000 + edge), home.id, { seq })
      : advertOf(identityOf(20_000 + edge), CHAT, { seq }),
  )
}

/** A home of which a neighbour has missed more than is kept, and that neighbour. */
function missing(room: Partial<Admission> = {}, edges = 40): { scene: Scene; sink: Puller } {
  const scene = scenes.get(edges) ?? homeOf(1_200)
  if (!scenes.has(edges)) touch(scene, edges, Math.max(edges, MISSED))
  scenes.set(edges, scene)
  const sink = puller(scene.serve, room)
  for (const batch of scene.home.batches.slice(0, scene.built)) takes(sink.directory, batch)
  return { scene, sink }
}

function puller(serve: Serve, room: Partial<Admission> = {}): Puller {
  const clock = manualClock()
  const directory = createDirectory(NETWORK)
  const self = identityOf(91).id
  const admission = createAdmission({ self, members: NO_MEMBERS, clock, log: silentLog })
  let bytes = 0
  const made: Puller = {
    directory,
    asked: [],
    pages: [],
    faults: [],
    others: [],
    bytes: () => bytes,
    alter: (_, page) => page,
    onAsk: () => {},
    sync: createSync({
      networkId: NETWORK,
      directory,
      clock,
      log: silentLog,
      admission: { ...admission, ...room },
      pace: createPace(clock),
      self,
      neighbours: () => made.others,
      isLinked: () => true,
      onFault: (id, { code }) => void made.faults.push(`${code} ${id}`),
      onOwnHead: () => {},
      flush: () => {},
      request: async (_, method, body) => {
        made.asked.push(method)
        if (made.asked.length > 100) throw new SignalMeshError('TIMEOUT', 'Asked for ever')
        made.onAsk(method)
        const page = made.alter(method, await serve(method, body))
        bytes += body.length + page.length
        made.pages.push(page)
        return page
      },
    }),
  }
  return made
}

/** Edges whose records are all in one bucket. */
function inOneBucket(count: number): Identity[] {
  const found: Identity[] = []
  for (let i = 0; found.length < count; i++) {
    const identity = identityOf(1_000_000 + i)
    if (identity.id.startsWith('00')) found.push(identity)
  }
  return found
}

/** Applies the home's batches, from one of them on. */
function follow(directory: Directory, home: TestHome, from = 0): void {
  for (const batch of home.batches.slice(from)) takes(directory, batch)
}

function takes(directory: Directory, { bytes }: Batch): void {
  assert.is(applyBatch(directory, decodeBatch(bytes), START_MS), 'applied')
}

function stateOf({ directory }: Puller, home: TestHome): unknown {
  const state = directory.homes.get(home.id)
  return [state?.position, state && toHex(state.digest.hash()), directory.size, directory.records]
}

function same({ directory }: Puller, home: TestHome): void {
  const state = directory.homes.get(home.id)
  assert.equal(state?.position, home.log.state.position)
  assert.equal(state?.digest.hash(), home.log.state.digest.hash())
}

function askedOf({ identity }: TestHome, index: number) {
  return writer().bytes(identity.keys.publicKey).u64(START_MS).u64(index)
}

function flip(page: Uint8Array, at: number): Uint8Array {
  return page.map((byte, i) => (i === at ? byte ^ 1 : byte))
}

/** The index of the first bucket without its first record, the others as they were. */
function shorter(page: Uint8Array): Uint8Array {
  const count = reader(page).u16() - 1
  return concat(writer().u16(count).done(), page.subarray(2 + HASH_BYTES))
}

/** The same with its first record twice. */
function longer(page: Uint8Array): Uint8Array {
  const count = reader(page).u16() + 1
  return concat(writer().u16(count).done(), page.subarray(2, 2 + HASH_BYTES), page.subarray(2))
}

function firstBucket(page: Uint8Array): Uint8Array {
  return page.subarray(0, 2 + reader(page).u16() * HASH_BYTES)
}

function entries(page: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const r = reader(page); r.left > 0; ) {
    found.push(writer().u8(r.u8()).block(r.block(MAX_FRAME_BYTES)).done())
  }
  return found
}

function firstRecord(page: Uint8Array): Uint8Array {
  return entries(page)[0] as Uint8Array
}

function reversed(page: Uint8Array): Uint8Array {
  return concat(...entries(page).reverse())
}
