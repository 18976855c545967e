/** Sync: two nodes compare what they hold and pull what is missing, whatever the other one answers. */

import { createAdmission, NO_MEMBERS } from '../src/admission.ts'
import { type Batch, decodeBatch } from '../src/batch.ts'
import { concat, fromHex, reader, toHex, writer } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  HOME_EXPIRES_MS,
  MAX_FRAME_BYTES,
  MAX_GATHERED_BYTES,
  MAX_KEPT_BATCHES,
  MAX_LONG_PULLS_PER_NEIGHBOUR,
  MAX_SPOILED_PULLS,
  PULL_TIMEOUT_MS,
  SPOILED_PAUSE_MS,
} from '../src/limits.ts'
import { silentLog } from '../src/log.ts'
import { createPace } from '../src/pace.ts'
import { applyBatch, applyHead } from '../src/replica.ts'
import { NODE_METHOD, type Serve } from '../src/rpc.ts'
import { createSync, type Sync } from '../src/sync.ts'
import { rejection } from './fixtures/errors.ts'
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
import { during } from './support/mesh.ts'

const NOTHING = Uint8Array.of(0)
const CHAT = tagOf(1)
const NOWHERE = { dhtKey: undefined, urls: [], vias: [] }

const test = suite('sync', { timeoutMs: 20_000 })

test('pulls all homes of a neighbour, batch by batch', async () => {
  const homes = [testHome(50), testHome(51), testHome(52)]
  for (const [i, home] of homes.entries()) for (let n = 0; n <= i; n++) change(home, n)
  const source = replica(90)
  for (const home of homes) follow(source, home)
  const sink = replica(91, source)
  await sink.sync.meet('source')
  for (const home of homes) same(sink, home)
  const asked = sink.asked.length
  await sink.sync.meet('source')
  assert.is(sink.asked.length, asked + 1, 'and nothing a second time')
})

test('pulls only what is missing of a home that it has', async () => {
  const home = testHome(50)
  for (let n = 0; n < 20; n++) change(home, n)
  const source = replica(90)
  follow(source, home)
  const sink = replica(91, source)
  for (const batch of home.batches.slice(0, 17)) applyBatch(sink.directory, batch, START_MS)
  await sink.sync.pull('source', home.id)
  same(sink, home)
  assert.is(sink.received.length, 1)
  const three = home.batches.slice(17).reduce((sum, { bytes }) => sum + 2 + bytes.length, 2)
  assert.is(sink.received[0]?.length, three)
})

test('compares with a neighbour once at a time, anew if asked meanwhile, and no longer than its link', async () => {
  const home = testHome(50)
  change(home, 1)
  const sink = replica(91)
  const head = headsPage(home)
  let open: ((page: Uint8Array) => void)[] = []
  sink.answer = (method) =>
    method === NODE_METHOD.heads ? new Promise((resolve) => void open.push(resolve)) : NOTHING
  const meetings = [1, 2, 3, 4].map(() => sink.sync.meet('source'))
  await turnsOf(20)
  assert.is(sink.asked.length, 1)
  open.shift()?.(NOTHING)
  await turnsOf(20)
  assert.is(sink.asked.length, 2, 'once more for all who asked')
  sink.isLinked = false
  open.shift()?.(head)
  await Promise.all(meetings)
  assert.not(sink.directory.homes.has(home.id))
  sink.isLinked = true
  open = []
  void sink.sync.meet('source')
  await turnsOf(20)
  open.shift()?.(head)
  await turnsOf(20)
  assert.ok(sink.directory.homes.has(home.id))
})

test('pulls several homes over many pages, so many at once and all in the end', async () => {
  const scenes = [...Array(MAX_LONG_PULLS_PER_NEIGHBOUR + 2)].map((_, i) => bigHome(600, 50 + i))
  const sink = replica(91)
  let [open, most] = [0, 0]
  const seen = new Set<string>()
  sink.answer = async (method, body) => {
    const home = toHex(body.subarray(0, 32))
    const isNext = reader(body.subarray(48)).u32() > 0
    if (isNext && !seen.has(home)) most = Math.max(most, ++open)
    if (isNext) seen.add(home)
    await settle(50)
    const source = scenes.find((scene) => scene.home.id === home)?.source as Replica
    const page = await source.sync.serve(method, body)
    if (isNext && page[1] === 0) open -= 1
    return page
  }
  await Promise.all(scenes.map(({ home }) => sink.sync.pull('source', home.id)))
  for (const { home } of scenes) same(sink, home)
  assert.is(most, MAX_LONG_PULLS_PER_NEIGHBOUR)
})

test('gives up a pull for which there is no more room, and has it all the next time', async () => {
  const [first, second] = [bigHome(600, 50), bigHome(600, 51)]
  const sink = replica(91)
  let isHuge = true
  sink.answer = async (method, body) => {
    const isFirst = toHex(body.subarray(0, 32)) === first.home.id
    const page = await (isFirst ? first : second).source.sync.serve(method, body)
    const isNext = reader(body.subarray(48)).u32() > 0
    return isHuge && isFirst && isNext ? concat(page, new Uint8Array(MAX_GATHERED_BYTES)) : page
  }
  const pull = ({ home }: typeof first): Promise<void> => sink.sync.pull('source', home.id)
  await during(Promise.all([pull(first), pull(second)]), sink.clock)
  assert.not.ok(sink.directory.homes.has(second.home.id), 'which began later than the huge one')
  isHuge = false
  for (const scene of [first, second]) {
    await during(pull(scene), sink.clock)
    same(sink, scene.home)
  }
})

test('pulls thousands of records page by page when the batches are no longer kept', async () => {
  const { home, source } = bigHome(2_400)
  const sink = replica(91, source)
  await sink.sync.meet('source')
  same(sink, home)
  assert.is(sink.directory.records, 2_400)
  assert.ok(sink.received.length > 8)
  // A frame has a byte of kind, four of the request's number and one of status before the page.
  assert.ok(sink.received.every((page) => page.length <= MAX_FRAME_BYTES - 64))
})

test('completes a snapshot although its home goes on changing all the while', async () => {
  const { home, source } = bigHome(2_400)
  const sink = replica(91, source)
  let busy = 0
  sink.onAsk = () => {
    if (busy++ < 60) follow(source, home, change(home, 50_000 + busy))
  }
  await sink.sync.pull('source', home.id)
  assert.ok(busy > 8)
  same(sink, home)
})

test('lets several pull one home at once, from one snapshot', async () => {
  const { home, source } = bigHome(1_200)
  const sinks = [91, 92, 93, 94, 95, 96].map((number) => replica(number, source))
  const pulls = sinks.map(async (sink, i) => {
    // Each page takes its time, and each begins when the others are half-way and the home has moved on.
    sink.answer = async (method, body) => {
      await settle(40)
      return source.sync.serve(method, body)
    }
    await settle(25 * i)
    follow(source, home, change(home, 60_000 + i))
    await sink.sync.pull('source', home.id)
  })
  await Promise.all(pulls)
  for (const sink of sinks) {
    assert.ok(sink.directory.records >= 1_200, 'nobody’s snapshot was taken away half-way')
    await sink.sync.pull('source', home.id)
    same(sink, home)
  }
})

test('pulls anew from the start when the home has begun a new life', async () => {
  const before = testHome(50)
  for (let n = 0; n < 9; n++) change(before, n)
  const after = testHome(50, START_MS + 1)
  for (let n = 3; n < 5; n++) change(after, n)
  const source = replica(90)
  follow(source, after)
  const sink = replica(91, source)
  follow(sink, before)
  await sink.sync.meet('source')
  same(sink, after)
})

test('learns of a home that has no edges yet, and how to reach it', async () => {
  const home = testHome(50)
  const source = replica(90)
  const urls = ['http://127.0.0.1:7']
  applyHead(source.directory, home.log.head({ dhtKey: undefined, urls, vias: [] }), START_MS)
  const sink = replica(91, source)
  await sink.sync.meet('source')
  assert.equal(sink.directory.homes.get(home.id)?.contact.urls, urls)
})

test('compares more homes than a page has room for', async () => {
  const source = replica(90)
  const homes = Array.from({ length: 250 }, (_, i) => testHome(1_000 + i))
  for (const home of homes) {
    applyHead(source.directory, home.log.head({ dhtKey: undefined, urls: [], vias: [] }), START_MS)
    follow(source, home, change(home, 1))
  }
  const sink = replica(91, source)
  await sink.sync.meet('source')
  assert.is(sink.directory.homes.size, 250)
  for (const home of homes) same(sink, home)
})

test('joins a second pull of a home to the first', async () => {
  const home = testHome(50)
  change(home, 1)
  const source = replica(90)
  follow(source, home)
  const sink = replica(91, source)
  await Promise.all([sink.sync.pull('source', home.id), sink.sync.pull('source', home.id)])
  assert.is(sink.asked.length, 1)
})

test('answers a neighbour only when its own pull of that home is over', async () => {
  const home = testHome(50)
  for (let n = 0; n < 5; n++) change(home, n)
  const source = replica(90)
  follow(source, home)
  const between = replica(91, source)
  const far = replica(92, between)
  const first = between.sync.pull('source', home.id)
  await far.sync.pull('between', home.id)
  await first
  same(far, home)
})

test('waits for its own pull no longer than its bound', async () => {
  const home = testHome(50)
  const silent = replica(91)
  silent.answer = () => new Promise(() => {})
  void silent.sync.pull('nobody', home.id)
  const far = replica(92, silent, silent.clock)
  const pull = far.sync.pull('silent', home.id)
  await silent.clock.advance(2_000)
  await pull
})

test('serves what has gathered and was not signed yet', async () => {
  const home = testHome(50)
  home.log.add(put(presenceOf(identityOf(1), home.id)))
  const sink = replica(91)
  const own = createSync({
    onOwnHead: () => undefined,
    onFault: () => undefined,
    neighbours: () => [],
    isLinked: () => true,
    networkId: NETWORK,
    directory: home.directory,
    clock: home.clock,
    log: silentLog,
    ...openTo(home.id, home.clock),
    self: home.id,
    request: () => Promise.reject(new Error('asks nobody')),
    flush: home.log.flush,
  })
  sink.answer = own.serve
  await sink.sync.meet('home')
  same(sink, home)
})

test('takes from a neighbour nothing that a home did not sign', async () => {
  const home = testHome(50)
  for (let n = 0; n < 3; n++) change(home, n)
  const source = replica(90)
  follow(source, home)
  for (const at of [40, 100, 200]) {
    const sink = replica(91, source)
    sink.alter = (page) => page.map((byte, i) => (i === at ? byte ^ 1 : byte))
    await sink.sync.pull('source', home.id)
    assert.is(sink.directory.records, 0, `byte ${at}`)
  }
})

test('takes no snapshot that does not hash to what the home signed, and stays as it was', async () => {
  const { home, source } = bigHome(900)
  const liar = replica(91, source)
  // The last record of the last page is left out.
  liar.alter = (page) => (page[1] === 0 ? page.subarray(0, page.length - recordBytes()) : page)
  await liar.sync.pull('source', home.id)
  assert.ok(liar.received.length > 3)
  assert.is(liar.directory.records, 0)
  assert.is(liar.directory.homes.size, 0)
})

test('takes no batch or snapshot of a home that it did not ask for, least of all its own', async () => {
  const { home, source } = bigHome(300)
  const other = testHome(51)
  change(other, 1)
  follow(source, other)
  const sink = replica(91)
  sink.answer = (method, body) => {
    const asked = concat(fromHex(home.id), body.subarray(32))
    return source.sync.serve(method, asked)
  }
  await sink.sync.pull('source', other.id)
  assert.is(sink.directory.homes.size, 0)
})

test('does not take its own log from others', async () => {
  const own = testHome(91, START_MS + 5)
  change(own, 1)
  const source = replica(90)
  follow(source, own)
  const sink = replica(91, source)
  const state = sink.directory.open(own.id, START_MS, START_MS)
  await sink.sync.meet('source')
  assert.is(sink.directory.homes.get(own.id), state)
  assert.is(sink.directory.records, 0)
})

test('ends with a neighbour that answers for ever without an end', async () => {
  const home = testHome(50)
  const batch = change(home, 1)
  const endless: Readonly<Record<string, Uint8Array>> = {
    'more heads, and none': Uint8Array.of(1),
    'the same head again': headsPage(home),
  }
  for (const [name, page] of Object.entries(endless)) {
    const sink = replica(91)
    sink.answer = async (method) => (method === NODE_METHOD.heads ? page : NOTHING)
    await Promise.race([rejection(sink.sync.meet('hostile')), turnsOf(5_000)])
    assert.ok(sink.asked.length < 10, `${name}: ${sink.asked.length} requests`)
  }
  const pages: Readonly<Record<string, Uint8Array>> = {
    'more batches, and none': Uint8Array.of(1, 1),
    'the same batch again': writer().u8(1).u8(1).block(batch.bytes).done(),
    'more records, and none': writer().u8(2).u8(1).block(batch.bytes).done(),
    'the same whole snapshot again': snapshotPage(home),
  }
  for (const [name, page] of Object.entries(pages)) {
    const sink = replica(91)
    sink.answer = async () => page
    await Promise.race([sink.sync.pull('hostile', home.id), turnsOf(5_000)])
    assert.ok(sink.asked.length < 10, `${name}: ${sink.asked.length} requests`)
  }
})

test('gives up on a neighbour that makes a pull last too long, and asks another', async () => {
  const { home, source } = bigHome(2_400)
  const sink = replica(91)
  sink.answer = async (method, body) => {
    await new Promise<void>((resolve) => sink.clock.after(HOME_EXPIRES_MS, resolve))
    return source.sync.serve(method, body)
  }
  const slow = sink.sync.pull('slow', home.id)
  await sink.clock.advance(PULL_TIMEOUT_MS + 2 * HOME_EXPIRES_MS)
  await slow
  assert.is(sink.directory.records, 0)
  sink.answer = source.sync.serve
  await sink.sync.pull('source', home.id)
  same(sink, home)
})

test('a neighbour that serves snapshots that no home signed is blamed, not the home, and then left alone', async () => {
  const { home, source } = bigHome(900)
  const sink = replica(91, source)
  sink.others = ['honest']
  sink.alter = (page) => (page[1] === 0 ? page.subarray(0, page.length - recordBytes()) : page)
  for (let i = 0; i < MAX_SPOILED_PULLS; i++) await sink.sync.pull('liar', home.id)
  assert.equal(sink.faults, [])
  assert.equal([...new Set(sink.suppliers)], ['liar'])
  sink.alter = (page) => page
  sink.suppliers.length = 0
  await sink.sync.meet('liar')
  assert.equal(sink.suppliers, [], 'it is not asked what it has either')
  await sink.sync.pull('liar', home.id)
  assert.equal([...new Set(sink.suppliers)], ['honest'], 'another is asked in its place')
  same(sink, home)
  change(home, 70_000)
  follow(source, home, home.batches.at(-1) as Batch)
  await sink.clock.advance(SPOILED_PAUSE_MS)
  sink.suppliers.length = 0
  await sink.sync.pull('liar', home.id)
  assert.equal(sink.suppliers, ['liar'], 'but not for ever')
})

test('a neighbour that serves rubbish, or batches that no home signed, is left alone for a while', async () => {
  const home = testHome(50)
  change(home, 1)
  const source = replica(90)
  follow(source, home)
  const spoilt: readonly ((page: Uint8Array) => Uint8Array)[] = [
    () => Uint8Array.of(1, 0, 9),
    (page) => page.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
  ]
  for (const alter of spoilt) {
    const sink = replica(91, source)
    sink.alter = alter
    for (let i = 0; i < MAX_SPOILED_PULLS + 2; i++) await sink.sync.pull('liar', home.id)
    assert.is(sink.asked.length, MAX_SPOILED_PULLS)
    assert.equal(sink.faults, [])
  }
})

test('a neighbour that is slow, gone or has nothing is not blamed', async () => {
  const home = testHome(50)
  change(home, 1)
  const sink = replica(91)
  const answers: readonly Serve[] = [
    async () => NOTHING,
    () => Promise.reject(new SignalMeshError('TIMEOUT', '')),
    () => Promise.reject(new SignalMeshError('CLOSED', '')),
  ]
  for (const answer of answers) {
    sink.answer = answer
    for (let i = 0; i < MAX_SPOILED_PULLS; i++) await sink.sync.pull('honest', home.id)
  }
  assert.is(sink.asked.length, answers.length * MAX_SPOILED_PULLS)
})

test('a home that signed two logs is blamed when they are pulled, not who serves them', async () => {
  const home = testHome(50)
  for (let n = 0; n < 3; n++) change(home, n)
  const source = replica(90)
  follow(source, home)
  const other = testHome(50)
  change(other, 9)
  const sink = replica(91, source)
  follow(sink, other)
  await sink.sync.pull('source', home.id)
  assert.equal(sink.faults, [`EQUIVOCATION ${home.id}`])
  const fooled = replica(92, source)
  applyHead(source.directory, home.log.head(NOWHERE), START_MS)
  applyHead(fooled.directory, other.log.head(NOWHERE), START_MS)
  await fooled.sync.meet('source')
  assert.equal(fooled.faults, [`EQUIVOCATION ${home.id}`])
})

test('serves nothing of a home that is kept out, nor the rest of its snapshot, and pulls none', async () => {
  const { home, source } = bigHome(900)
  const sink = replica(91, source)
  sink.onAsk = () => {
    if (sink.asked.length === 2) source.directory.banish(home.id, START_MS)
  }
  await sink.sync.pull('source', home.id)
  assert.is(sink.asked.length, 2)
  assert.is(sink.directory.records, 0)
  const next = replica(92, source)
  next.directory.banish(home.id, START_MS)
  await next.sync.pull('source', home.id)
  assert.is(next.asked.length, 0)
})

test('refuses requests that are none, by name', async () => {
  const source = replica(90)
  const ask = async (method: number, body: Uint8Array): Promise<string | undefined> =>
    rejection((async () => source.sync.serve(method, body))())
  for (const length of [0, 31, 32, 51, 53]) {
    assert.is(await ask(NODE_METHOD.pull, new Uint8Array(length)), 'BAD_FRAME', `${length}`)
  }
  assert.is(await ask(99, NOTHING), 'BAD_FRAME')
  const unknown = writer().bytes(new Uint8Array(32)).u64(0).u64(0).u32(0).done()
  assert.equal(await source.sync.serve(NODE_METHOD.pull, unknown), NOTHING)
  const noSuchPage = writer().bytes(new Uint8Array(32)).u64(0).u64(0).u32(9).done()
  assert.equal(await source.sync.serve(NODE_METHOD.pull, noSuchPage), NOTHING)
})

test('stays as it was when a neighbour answers with rubbish', async () => {
  const home = testHome(50)
  const random = Uint8Array.from({ length: 300 }, (_, i) => (i * 37) % 251)
  for (const page of [new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(9, 0), random]) {
    const sink = replica(91)
    sink.answer = async () => page
    await sink.sync.pull('hostile', home.id)
    const code = await rejection(sink.sync.meet('hostile'))
    assert.ok(code === undefined || code === 'BAD_FRAME', code)
    assert.is(sink.directory.homes.size, 0)
  }
})

test.run()

interface Replica {
  readonly directory: Directory
  readonly sync: Sync
  readonly clock: ManualClock
  /** Methods that it asked for, and what it got. */
  readonly asked: number[]
  readonly received: Uint8Array[]
  /** Who was asked each time, and whom it could ask besides. */
  readonly suppliers: string[]
  others: readonly string[]
  isLinked: boolean
  /** Homes that it found to lie, after the code. */
  readonly faults: string[]
  answer: Serve
  alter: (page: Uint8Array) => Uint8Array
  onAsk: () => void
}

/** What lets everybody in, at the rates that every node has. */
function openTo(self: string, clock: ManualClock) {
  const admission = createAdmission({ self, members: NO_MEMBERS, clock, log: silentLog })
  return { admission, pace: createPace(clock) }
}

function replica(number: number, source?: Replica, clock = manualClock()): Replica {
  const directory = createDirectory(NETWORK)
  const self: Replica = {
    directory,
    clock,
    asked: [],
    received: [],
    suppliers: [],
    others: [],
    isLinked: true,
    faults: [],
    answer: (method, body) => (source as Replica).sync.serve(method, body),
    alter: (page) => page,
    onAsk: () => {},
    sync: createSync({
      onOwnHead: () => undefined,
      onFault: (id, error) => void self.faults.push(`${error.code} ${id}`),
      neighbours: () => self.others,
      isLinked: () => self.isLinked,
      networkId: NETWORK,
      directory,
      clock,
      log: silentLog,
      ...openTo(identityOf(number).id, clock),
      self: identityOf(number).id,
      flush: () => {},
      request: async (neighbour, method, body) => {
        self.asked.push(method)
        self.suppliers.push(neighbour)
        self.onAsk()
        const page = self.alter(await self.answer(method, body))
        self.received.push(page)
        return page
      },
    }),
  }
  return self
}

/** One batch more: an edge with one advert. */
function change(home: TestHome, edge: number) {
  const identity = identityOf(edge)
  return home.change(put(presenceOf(identity, home.id)), put(advertOf(identity, CHAT)))
}

function follow({ directory }: Replica, home: TestHome, ...batches: TestHome['batches']): void {
  for (const batch of batches.length ? batches : home.batches) {
    assert.is(applyBatch(directory, decodeBatch(batch.bytes), START_MS), 'applied')
  }
}

function same({ directory }: Replica, home: TestHome): void {
  const state = directory.homes.get(home.id)
  assert.equal(state?.position, home.log.state.position)
  assert.equal(state?.digest.hash(), home.log.state.digest.hash())
}

/** A home with so many records in more batches than are kept, and a node that holds it all. */
function bigHome(records: number, number = 50): { home: TestHome; source: Replica } {
  const home = testHome(number)
  const edges = records / 2
  for (let n = 0; n < edges; n++) {
    home.log.add(put(presenceOf(identityOf(n), home.id)))
    home.log.add(put(advertOf(identityOf(n), CHAT)))
    if (n % 3 === 0) home.log.flush()
  }
  home.log.flush()
  while (home.batches.length <= MAX_KEPT_BATCHES) {
    home.change({ kind: 'remove-peer', peer: identityOf(1_000_000).id, seq: 1 })
  }
  const source = replica(90)
  follow(source, home)
  return { home, source }
}

function recordBytes(): number {
  return 3 + advertOf(identityOf(1), CHAT).bytes.length
}

function headsPage(home: TestHome): Uint8Array {
  const w = writer().u8(1).bytes(fromHex(home.id)).u64(START_MS).u64(1)
  return w.block(home.log.head({ dhtKey: undefined, urls: [], vias: [] }).bytes).done()
}

function snapshotPage(home: TestHome): Uint8Array {
  const w = writer()
    .u8(2)
    .u8(0)
    .block((home.batches.at(-1) as { bytes: Uint8Array }).bytes)
  for (const { presence, adverts } of home.log.state.claims.values()) {
    if (presence) w.u8(1).block(presence.bytes)
    for (const advert of adverts.values()) w.u8(2).block(advert.bytes)
  }
  return w.done()
}

/** Long enough for any number of answers that a test can wait for. */
async function turnsOf(turns: number): Promise<void> {
  await settle(turns)
}
