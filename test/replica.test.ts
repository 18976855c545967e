/** The replica: takes a home's batches, heads and snapshots in order and whole, or not at all. */

import {
  type Batch,
  decodeBatch,
  decodeHead,
  type Head,
  type Op,
  signBatch,
  signHead,
} from '../src/batch.ts'
import { toHex } from '../src/bytes.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import type { Identity } from '../src/identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_HOMES,
  MAX_KEPT_BATCHES,
  MAX_KEPT_BATCHES_BYTES,
  MAX_OPS_PER_BATCH,
  MAX_TOPICS_PER_EDGE,
} from '../src/limits.ts'
import type { EdgeRecord } from '../src/records.ts'
import { applyBatch, applyHead, applySnapshot, isNews } from '../src/replica.ts'
import { codeOf } from './fixtures/errors.ts'
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

const NOW = START_MS + 1_000
const NO_HASH = new Uint8Array(32)
const CHAT = tagOf(1)

const test = suite('replica', { timeoutMs: 20_000 })

test('follows a home batch by batch to the same state', () => {
  const home = busyHome(10)
  const directory = createDirectory(NETWORK)
  for (const batch of home.batches) assert.is(applyBatch(directory, batch, NOW), 'applied')
  sameAs(directory, home)
  assert.equal(directory.homes.get(home.id)?.position, { epoch: START_MS, index: 10 })
})

test('ignores a batch that it has, and asks for what is missing before one that it has not', () => {
  const home = busyHome(5)
  const directory = createDirectory(NETWORK)
  const [one, two, three, four] = home.batches as [Batch, Batch, Batch, Batch]
  assert.is(applyBatch(directory, two, NOW), 'gap')
  assert.is(directory.homes.size, 0)
  applyBatch(directory, one, NOW)
  assert.is(applyBatch(directory, four, NOW), 'gap')
  assert.is(applyBatch(directory, one, NOW), 'old')
  applyBatch(directory, two, NOW)
  applyBatch(directory, three, NOW)
  assert.is(applyBatch(directory, two, NOW), 'old')
  assert.is(applyBatch(directory, four, NOW), 'applied')
})

test('forgets a home’s former life when the first batch of a later one comes, and never goes back', () => {
  const before = busyHome(3)
  const after = testHome(50, START_MS + 1)
  after.change(put(presenceOf(identityOf(90), after.id)))
  const directory = createDirectory(NETWORK)
  for (const batch of before.batches) applyBatch(directory, batch, NOW)
  assert.is(applyBatch(directory, after.batches[0] as Batch, NOW), 'applied')
  sameAs(directory, after)
  for (const batch of before.batches) assert.is(applyBatch(directory, batch, NOW), 'old')
  sameAs(directory, after)
})

test('refuses a batch that does not follow from the one before, and drops its home', () => {
  const home = busyHome(3)
  const { position, digest } = home.log.state
  const directory = filled(home)
  const contradiction = signBatch(NETWORK, home.identity.keys, {
    ...position,
    index: 4,
    previous: NO_HASH,
    stateHash: digest.hash(),
    ops: [],
  })
  assert.is(
    codeOf(() => applyBatch(directory, contradiction, NOW)),
    'EQUIVOCATION',
  )
  assert.is(directory.homes.size, 0)
  assert.is(directory.size, 0)
})

test('refuses a batch that does not lead to the state it names, and drops its home', () => {
  const home = busyHome(3)
  const directory = filled(home)
  const { position, headHash, digest } = home.log.state
  const lie = signBatch(NETWORK, home.identity.keys, {
    epoch: position.epoch,
    index: 4,
    previous: headHash,
    stateHash: digest.hash(),
    ops: [put(presenceOf(identityOf(90), home.id))],
  })
  assert.is(
    codeOf(() => applyBatch(directory, lie, NOW)),
    'EQUIVOCATION',
  )
  assert.is(directory.records, 0)
})

test('refuses a first batch that names a batch before it', () => {
  const home = testHome(50)
  const batch = signBatch(NETWORK, home.identity.keys, {
    epoch: START_MS,
    index: 1,
    previous: new Uint8Array(32).fill(1),
    stateHash: home.log.state.digest.hash(),
    ops: [],
  })
  assert.is(
    codeOf(() => applyBatch(createDirectory(NETWORK), batch, NOW)),
    'EQUIVOCATION',
  )
})

test('refuses a head that contradicts the batches at the same place', () => {
  const home = busyHome(3)
  const honest = headOf(home)
  const lies: Partial<Head>[] = [{ headHash: NO_HASH }, { stateHash: NO_HASH }]
  for (const lie of lies) {
    const directory = filled(home)
    const head = signHead(NETWORK, home.identity.keys, { ...honest, ...lie })
    assert.is(
      codeOf(() => applyHead(directory, head, NOW)),
      'EQUIVOCATION',
    )
    assert.is(directory.homes.size, 0)
  }
  assert.equal(applyHead(filled(home), honest, NOW), { fresh: true, behind: false })
})

test('takes a head once: as a sign of life, a contact, and news of batches that are missing', () => {
  const home = busyHome(3)
  const directory = createDirectory(NETWORK)
  applyBatch(directory, home.batches[0] as Batch, NOW)
  const urls = ['http://127.0.0.1:9']
  const head = headOf(home, urls)
  assert.equal(applyHead(directory, head, NOW + 5), { fresh: true, behind: true })
  const state = directory.homes.get(home.id)
  assert.equal([state?.heardAtMs, state?.contact.urls], [NOW + 5, urls])
  assert.equal(applyHead(directory, head, NOW + 9), { fresh: false, behind: false })
  assert.is(state?.heardAtMs, NOW + 5, 'a head played again is no sign of life')
  assert.equal(applyHead(directory, headOf(home), NOW + 9), { fresh: true, behind: true })
})

test('learns of a home by its head alone, and of its new life', () => {
  const before = busyHome(2)
  const directory = filled(before)
  const after = testHome(50, START_MS + 1)
  assert.equal(applyHead(directory, headOf(after), NOW), { fresh: true, behind: false })
  sameAs(directory, after)
  assert.is(directory.size, 0)
  assert.equal(applyHead(directory, headOf(before), NOW), { fresh: false, behind: false })
})

test('keeps the newest batches for others, up to a number and to a size', () => {
  const home = testHome(50)
  const directory = createDirectory(NETWORK)
  const change = (i: number): void => {
    applyBatch(directory, home.change(put(presenceOf(identityOf(1), home.id, { seq: i }))), NOW)
  }
  for (let i = 1; i <= MAX_KEPT_BATCHES + 9; i++) change(i)
  const recent = () => directory.homes.get(home.id)?.recent ?? []
  assert.is(recent().length, MAX_KEPT_BATCHES)
  assert.equal(recent().at(-1), home.batches.at(-1)?.bytes)
  // Batches as big as they get, of changes that leave nothing behind.
  const churn = Array.from({ length: 50 }, (_, i): Op[] => {
    const edge = identityOf(100 + i)
    const advert = advertOf(edge, CHAT, { info: new Uint8Array(200) })
    return [put(advert), { kind: 'remove-advert', peer: edge.id, tag: toHex(CHAT), seq: START_MS }]
  })
  for (let i = 0; i < 60; i++) applyBatch(directory, home.change(...churn.flat()), NOW)
  const bytes = recent().reduce((sum, batch) => sum + batch.length, 0)
  assert.ok(bytes <= MAX_KEPT_BATCHES_BYTES, `${bytes}`)
  assert.ok(bytes > MAX_KEPT_BATCHES_BYTES - MAX_BATCH_BYTES)
})

test('signs changes into as many batches as their bounds ask for', () => {
  const home = testHome(50)
  const removals = Array.from({ length: 2 * MAX_OPS_PER_BATCH + 1 }, (_, i): Op => {
    return { kind: 'remove-peer', peer: identityOf(i % 20).id, seq: 1 }
  })
  home.change(...removals)
  assert.equal(
    home.batches.map(({ ops }) => ops.length),
    [MAX_OPS_PER_BATCH, MAX_OPS_PER_BATCH, 1],
  )
  const big = testHome(51)
  const adverts = Array.from({ length: 200 }, (_, i) =>
    put(advertOf(identityOf(i % 20), tagOf(i), { info: new Uint8Array(256) })),
  )
  big.change(...adverts)
  assert.ok(big.batches.length > 2)
  assert.ok(big.batches.every(({ bytes }) => bytes.length <= MAX_BATCH_BYTES))
  const directory = createDirectory(NETWORK)
  for (const batch of big.batches) assert.is(applyBatch(directory, batch, NOW), 'applied')
  sameAs(directory, big)
})

test('gathers changes for a moment before it signs them', async () => {
  const home = testHome(50)
  home.log.add(put(presenceOf(identityOf(1), home.id)))
  home.log.add(put(presenceOf(identityOf(2), home.id)))
  assert.is(home.directory.size, 2, 'here at once')
  assert.is(home.batches.length, 0)
  await home.clock.advance(50)
  assert.equal(
    home.batches.map(({ ops }) => ops.length),
    [2],
  )
  home.log.flush()
  assert.is(home.batches.length, 1, 'nothing to sign, no batch')
})

test('signs in their order what those who hear of a change change in turn, and no batch too large', () => {
  const home = testHome(50)
  const edges = Array.from({ length: MAX_OPS_PER_BATCH + 50 }, (_, i) => identityOf(i))
  home.change(...edges.map((edge) => put(presenceOf(edge, home.id))))
  home.directory.onChange(({ kind }) => {
    if (kind !== 'join') return
    for (const { id } of edges) home.log.add({ kind: 'remove-peer', peer: id, seq: START_MS })
  })
  const late = identityOf(900)
  home.change(put(presenceOf(late, home.id)), put(advertOf(late, CHAT)))
  const directory = createDirectory(NETWORK)
  for (const batch of home.batches) assert.is(applyBatch(directory, batch, NOW), 'applied')
  sameAs(directory, home)
  assert.is(directory.size, 1)
  assert.ok(home.batches.every(({ ops }) => ops.length <= MAX_OPS_PER_BATCH))
})

test('signs a change with the state that it led to, also when who hears of it has the log signed', () => {
  const home = testHome(50)
  home.directory.onChange(() => home.log.flush())
  home.change(put(presenceOf(identityOf(1), home.id)), put(advertOf(identityOf(1), CHAT)))
  home.change(put(presenceOf(identityOf(2), home.id)))
  const directory = createDirectory(NETWORK)
  for (const batch of home.batches) assert.is(applyBatch(directory, batch, NOW), 'applied')
  sameAs(directory, home)
})

test('begins a new epoch with all edges, less those who leave because of it', () => {
  const home = testHome(50)
  for (const edge of [1, 2, 3]) {
    home.change(put(presenceOf(identityOf(edge), home.id)), put(advertOf(identityOf(edge), CHAT)))
  }
  home.directory.onChange(({ kind }) => {
    if (kind !== 'leave') return
    home.log.add({ kind: 'remove-peer', peer: identityOf(2).id, seq: START_MS })
  })
  home.log.rise(START_MS + 1)
  home.log.flush()
  const directory = createDirectory(NETWORK)
  const risen = home.batches.filter(({ epoch }) => epoch > START_MS)
  for (const batch of risen) assert.is(applyBatch(directory, batch, NOW), 'applied')
  sameAs(directory, home)
  assert.is(home.directory.records, 4)
  assert.equal([...(directory.homes.get(home.id)?.claims.keys() ?? [])].sort(), [
    ...[identityOf(1).id, identityOf(3).id].sort(),
  ])
})

test('keeps copies of batches and of the last head, not the pages that they came in', () => {
  const home = busyHome(3)
  const directory = createDirectory(NETWORK)
  const inPage = (bytes: Uint8Array): Uint8Array => {
    const page = new Uint8Array(60_000)
    page.set(bytes, 9)
    return page.subarray(9, 9 + bytes.length)
  }
  for (const { bytes } of home.batches) applyBatch(directory, decodeBatch(inPage(bytes)), NOW)
  const contact = { dhtKey: tagOf(3), urls: [], vias: [] }
  applyHead(directory, decodeHead(inPage(home.log.head(contact).bytes)), NOW)
  const state = directory.homes.get(home.id)
  const kept = [...(state?.recent ?? []), state?.lastHead, state?.contact.dhtKey]
  assert.is(kept.length, 5)
  for (const one of kept) assert.is(one?.buffer.byteLength, one?.length)
})

test('refuses a batch or a snapshot with an edge in more topics than it may be, and stays as it was', () => {
  const topics = (count: number): Op[] =>
    Array.from({ length: count }, (_, i) => put(advertOf(identityOf(1), tagOf(i))))
  const home = testHome(50)
  const remove = (i: number): Op => {
    return { kind: 'remove-advert', peer: identityOf(1).id, tag: toHex(tagOf(i)), seq: START_MS }
  }
  const most = MAX_TOPICS_PER_EDGE
  const first = home.change(put(presenceOf(identityOf(1), home.id)), ...topics(most))
  // As many as may be, one put for one that was removed, all anew, and one too many at last.
  const swap = home.change(remove(0), put(advertOf(identityOf(1), tagOf(most))))
  const anew: Op[] = [
    { kind: 'remove-peer', peer: identityOf(1).id, seq: START_MS },
    put(presenceOf(identityOf(1), home.id)),
    ...topics(most),
  ]
  const again = home.change(...anew)
  const swapLate = home.change(put(advertOf(identityOf(1), tagOf(most))), remove(0))
  const directory = createDirectory(NETWORK)
  for (const batch of [first, swap, again]) assert.is(applyBatch(directory, batch, NOW), 'applied')
  const before = toHex(directory.homes.get(home.id)!.digest.hash())
  assert.is(
    codeOf(() => applyBatch(directory, swapLate, NOW)),
    'TOO_MANY',
  )
  assert.is(toHex(directory.homes.get(home.id)!.digest.hash()), before)
  assert.is(snapshot(directory, home), 'applied', 'where it ends with as many as may be')
  home.change(put(advertOf(identityOf(1), tagOf(most + 1))))
  assert.is(
    codeOf(() => snapshot(directory, home)),
    'TOO_MANY',
  )
  assert.is(directory.records, 1 + most)
})

test('takes a snapshot that hashes to what the home signed', () => {
  const home = busyHome(8)
  const directory = createDirectory(NETWORK)
  assert.is(snapshot(directory, home), 'applied')
  sameAs(directory, home)
  assert.is(snapshot(directory, home), 'old')
  const next = home.change(put(presenceOf(identityOf(95), home.id)))
  assert.is(applyBatch(directory, next, NOW), 'applied', 'and batches go on from there')
  sameAs(directory, home)
})

test('takes a snapshot over what it held, and tells of nothing but the difference', () => {
  const home = testHome(50)
  for (let i = 0; i < 6; i++) {
    home.change(put(presenceOf(identityOf(i), home.id)), put(advertOf(identityOf(i), CHAT)))
  }
  const directory = filled(home)
  const told: string[] = []
  directory.onChange(({ peer, kind }) => told.push(`${kind} ${peer}`))
  const newer = { seq: START_MS + 1 }
  const remove = (edge: number): Op => {
    return { kind: 'remove-peer', peer: identityOf(edge).id, seq: START_MS }
  }
  const tagless = { peer: identityOf(1).id, tag: toHex(CHAT), seq: START_MS }
  home.change(remove(0), { kind: 'remove-advert', ...tagless })
  home.change(put(presenceOf(identityOf(2), home.id, newer)))
  home.change(put(advertOf(identityOf(3), CHAT, newer)))
  // Gone and back with an older seq than before.
  home.change(remove(4), put(presenceOf(identityOf(4), home.id, { seq: START_MS - 1 })))
  home.change(put(presenceOf(identityOf(7), home.id)), put(advertOf(identityOf(7), CHAT)))
  assert.is(snapshot(directory, home), 'applied')
  sameAs(directory, home)
  const [zero, one, four, seven] = [0, 1, 4, 7].map((edge) => identityOf(edge).id)
  const expected = [`leave ${zero}`, `leave ${one}`, `leave ${four}`, `join ${seven}`]
  assert.equal(told.sort(), expected.sort())
  const next = home.change(put(presenceOf(identityOf(8), home.id)))
  assert.is(applyBatch(directory, next, NOW), 'applied')
  assert.is(directory.homes.get(home.id)?.recent.length, 2, 'and keeps what leads on from it')
})

test('refuses a snapshot with a record more, less, other or twice, and stays as it was', () => {
  const home = busyHome(8)
  const records = recordsOf(home)
  const [first] = records as [EdgeRecord]
  const stranger = presenceOf(identityOf(99), home.id)
  const older = presenceOf(identityOf(0), home.id, { seq: START_MS - 5 })
  const lies: readonly EdgeRecord[][] = [
    records.slice(1),
    [...records, stranger],
    [...records.slice(1), stranger],
    [...records, first],
    [older, ...records],
    [],
  ]
  for (const [i, lie] of lies.entries()) {
    const directory = createDirectory(NETWORK)
    applyBatch(directory, home.batches[0] as Batch, NOW)
    const before = toHex(directory.homes.get(home.id)!.digest.hash())
    assert.is(
      codeOf(() => snapshot(directory, home, lie)),
      'BAD_SIGNATURE',
      `lie ${i}`,
    )
    assert.is(toHex(directory.homes.get(home.id)!.digest.hash()), before)
    assert.equal(directory.homes.get(home.id)?.position, { epoch: START_MS, index: 1 })
  }
})

test('refuses a snapshot under a batch that its home did not sign', () => {
  const home = busyHome(3)
  const forger: Identity = identityOf(666)
  const last = home.batches.at(-1) as Batch
  const keys = { publicKey: home.identity.keys.publicKey, secretKey: forger.keys.secretKey }
  const forged = signBatch(NETWORK, keys, last)
  const directory = createDirectory(NETWORK)
  const take = () => applySnapshot(directory, NETWORK, forged.bytes, recordsOf(home), NOW)
  assert.is(codeOf(take), 'BAD_SIGNATURE')
  assert.is(directory.homes.size, 0)
})

test('keeps a home’s contact and sign of life over a snapshot of the same life', () => {
  const home = busyHome(3)
  const directory = createDirectory(NETWORK)
  const urls = ['http://127.0.0.1:9']
  applyHead(directory, headOf(home, urls), NOW)
  snapshot(directory, home)
  assert.equal(directory.homes.get(home.id)?.contact.urls, urls)
  assert.equal(applyHead(directory, headOf(home, urls), NOW), { fresh: true, behind: false })
})

test('takes no old batch, head or snapshot for life of a home that has left', () => {
  const home = busyHome(3)
  const head = headOf(home)
  const directory = filled(home)
  applyHead(directory, head, NOW)
  directory.expire(home.id)
  assert.is(directory.homes.size, 0)
  assert.equal(applyHead(directory, head, NOW), { fresh: false, behind: false })
  for (const batch of home.batches) {
    assert.not(isNews(directory, home.id, batch))
    assert.is(applyBatch(directory, batch, NOW), 'old')
  }
  assert.is(snapshot(directory, home), 'old')
  assert.is(directory.homes.size, 0)
  // It was only cut off: its next head brings it back, and then its batches count again.
  assert.equal(applyHead(directory, headOf(home), NOW), { fresh: true, behind: true })
  assert.is(snapshot(directory, home), 'applied')
  sameAs(directory, home)
})

test('takes the next batch of a home that had left for a sign of life', () => {
  const home = busyHome(1)
  const directory = filled(home)
  directory.expire(home.id)
  const next = home.change(put(presenceOf(identityOf(95), home.id)))
  assert.ok(isNews(directory, home.id, next))
  assert.is(applyBatch(directory, next, NOW), 'gap')
  const again = testHome(50, START_MS + 1)
  const first = again.change(put(presenceOf(identityOf(95), home.id)))
  assert.is(applyBatch(directory, first, NOW), 'applied')
})

test('knows so many homes and refuses the next by name, unharmed', () => {
  const directory = createDirectory(NETWORK)
  for (let i = 0; i < MAX_HOMES; i++) directory.open(`home ${i}`, START_MS, NOW)
  const home = busyHome(1)
  assert.is(
    codeOf(() => applyBatch(directory, home.batches[0] as Batch, NOW)),
    'MESH_FULL',
  )
  assert.is(
    codeOf(() => applyHead(directory, headOf(home), NOW)),
    'MESH_FULL',
  )
  assert.is(
    codeOf(() => snapshot(directory, home)),
    'MESH_FULL',
  )
  assert.is(directory.homes.size, MAX_HOMES)
})

test.run()

/** A home after so many batches: edges came, moved topics and went. */
function busyHome(batches: number): TestHome {
  const home = testHome(50)
  for (let i = 0; i < batches; i++) {
    const edge = identityOf(i)
    const ops: Op[] = [put(presenceOf(edge, home.id)), put(advertOf(edge, CHAT))]
    if (i % 3 === 2) ops.push({ kind: 'remove-peer', peer: identityOf(i - 1).id, seq: START_MS })
    if (i % 4 === 3) {
      const advert = { peer: identityOf(i - 3).id, tag: toHex(CHAT), seq: START_MS }
      ops.push({ kind: 'remove-advert', ...advert })
    }
    home.change(...ops)
  }
  return home
}

function filled(home: TestHome): Directory {
  const directory = createDirectory(NETWORK)
  for (const batch of home.batches) applyBatch(directory, decodeBatch(batch.bytes), NOW)
  return directory
}

function headOf(home: TestHome, urls: readonly string[] = []): Head {
  return home.log.head({ dhtKey: undefined, urls, vias: [] })
}

function recordsOf(home: TestHome): EdgeRecord[] {
  return [...home.log.state.claims.values()].flatMap(({ presence, adverts }) => [
    ...(presence ? [presence] : []),
    ...adverts.values(),
  ])
}

function snapshot(directory: Directory, home: TestHome, records = recordsOf(home)) {
  const last = home.batches.at(-1) as Batch
  return applySnapshot(directory, NETWORK, last.bytes, records, NOW)
}

function sameAs(directory: Directory, home: TestHome): void {
  const state = directory.homes.get(home.id)
  assert.equal(state?.digest.hash(), home.log.state.digest.hash())
  assert.equal(state?.position, home.log.state.position)
  assert.equal([...(state?.claims.keys() ?? [])].sort(), [...home.log.state.claims.keys()].sort())
}
