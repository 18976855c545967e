/** One node's part in the mesh, against a neighbour that does not play by the rules. */

import { type Batch, decodeHead, type Head, signBatch, signHead } from '../src/batch.ts'
import { concat, fromHex, toHex } from '../src/bytes.ts'
import { settle } from '../src/clock.ts'
import { hash, type KeyPair } from '../src/crypto.ts'
import {
  HEARTBEAT_MS,
  HOME_HEADS_BURST,
  MAX_BATCH_BYTES,
  MAX_HOMES,
  OLD_WORDS_BURST,
  QUARANTINE_MS,
} from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { attacker, packet, world } from './support/attacker.ts'

const CHAT = tagOf(1)
const BATCH = 1
const HEAD = 2

const test = suite('mesh', { timeoutMs: 20_000 })

test('takes what a home signed from any neighbour, and passes it on', async () => {
  const { mesh, node, next, attack } = await world()
  const home = testHome(50)
  const batch = home.change(put(presenceOf(identityOf(1), home.id)))
  attack.gossip(BATCH, batch)
  await mesh.clock.advance(100)
  for (const { mesh: at } of [node, next]) {
    assert.is(at.directory.locate(identityOf(1).id, START_MS)?.home.id, home.id)
  }
  mesh.stop()
})

test('refuses what a home did not sign, and cuts off who passes it on', async () => {
  for (const kind of [BATCH, HEAD]) {
    const { mesh, node, next, attack } = await world()
    const home = testHome(50)
    const keys = { ...identityOf(666).keys, publicKey: home.identity.keys.publicKey }
    const forged = kind === BATCH ? firstBatch(keys) : headOf(keys)
    attack.gossip(kind, forged)
    await mesh.clock.advance(100)
    assert.not(node.mesh.directory.homes.has(home.id))
    assert.not(next.mesh.directory.homes.has(home.id))
    assert.is(attack.bye(), 'BAD_SIGNATURE')
    assert.equal(node.mesh.neighbours.ids, [next.id])
    mesh.stop()
  }
})

test('takes the genuine batch although a forged one of the same place came first', async () => {
  const { mesh, node, next, attack } = await world()
  const home = testHome(50)
  const keys = { ...identityOf(666).keys, publicKey: home.identity.keys.publicKey }
  attack.gossip(BATCH, firstBatch(keys))
  await mesh.clock.advance(100)
  const again = await attacker(mesh, node, 71)
  again.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await mesh.clock.advance(100)
  for (const { mesh: at } of [node, next]) {
    assert.is(at.directory.locate(identityOf(1).id, START_MS)?.home.id, home.id)
  }
  mesh.stop()
})

test('ignores its own words thrown back at it, and any that it has heard before', async () => {
  const { mesh, node, attack } = await world()
  node.join(1, [CHAT])
  await mesh.clock.advance(100)
  const before = node.mesh.directory.records
  const own = node.mesh.log.state
  const lastBatch = own.recent.at(-1) as Uint8Array
  attack.gossip(BATCH, { bytes: lastBatch, homeKey: fromHex(node.id) })
  attack.gossip(HEAD, { bytes: own.lastHead as Uint8Array, homeKey: fromHex(node.id) })
  const home = testHome(50)
  const batch = home.change(put(presenceOf(identityOf(2), home.id)))
  for (let i = 0; i < 5; i++) attack.gossip(BATCH, batch)
  await mesh.clock.advance(100)
  assert.is(node.mesh.directory.records, before + 1)
  assert.is(node.mesh.directory.homes.get(node.id), own)
  assert.ok(node.mesh.neighbours.has(attack.id))
  mesh.stop()
})

test('cuts off who sends multicast data that is none, or too much of it', async () => {
  const frames: readonly ((id: string) => Uint8Array)[] = [
    () => Uint8Array.of(FRAME.gossip),
    () => concat(Uint8Array.of(FRAME.gossip), new Uint8Array(50).fill(255)),
    (id) => packet(id, id, new Uint8Array(0)),
    (id) => packet(id, id, Uint8Array.of(9, 9, 9)),
    (id) => packet(id, id, concat(Uint8Array.of(BATCH), new Uint8Array(MAX_BATCH_BYTES + 1))),
  ]
  for (const [i, frame] of frames.entries()) {
    const { mesh, node, attack } = await world()
    attack.send(frame(attack.id))
    await mesh.clock.advance(100)
    assert.not(node.mesh.neighbours.has(attack.id), `frame ${i}`)
    assert.ok(['BAD_FRAME', 'BAD_SIGNATURE'].includes(attack.bye() ?? ''), `frame ${i}`)
    mesh.stop()
  }
})

test('drops a home that says two things of one place, and hears it again when its time is up', async () => {
  const { mesh, node, attack } = await world()
  const home = testHome(50)
  attack.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await settle()
  const { digest } = home.log.state
  const lie = signBatch(NETWORK, home.identity.keys, {
    epoch: START_MS,
    index: 2,
    previous: hash([]),
    stateHash: digest.hash(),
    ops: [],
  })
  attack.gossip(BATCH, lie)
  await settle()
  assert.is(node.mesh.directory.locate(identityOf(1).id, START_MS), undefined)
  assert.ok(node.mesh.neighbours.has(attack.id), 'who passes on what was signed is not to blame')
  const again = testHome(50, START_MS + 1)
  attack.gossip(BATCH, again.change(put(presenceOf(identityOf(1), again.id))))
  await settle()
  assert.not(node.mesh.directory.homes.has(again.id), 'a new life is no way out')
  node.mesh.directory.pardon(mesh.clock.monotonicMs() + QUARANTINE_MS)
  attack.gossip(BATCH, again.change(put(presenceOf(identityOf(2), again.id))))
  await settle()
  assert.not(node.mesh.directory.homes.has(again.id), 'nor what it missed')
  const third = testHome(50, START_MS + 2)
  attack.gossip(BATCH, third.change(put(presenceOf(identityOf(1), third.id))))
  await settle()
  assert.ok(node.mesh.directory.locate(identityOf(1).id, START_MS))
  mesh.stop()
})

test('hears a home’s new words however often its old ones are replayed', async () => {
  const { mesh, node, next, attack } = await world()
  next.join(1, [CHAT])
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  const old = decodeHead(node.mesh.directory.homes.get(next.id)?.lastHead as Uint8Array)
  await mesh.clock.advance(HEARTBEAT_MS)
  for (let i = 0; i <= HOME_HEADS_BURST; i++) attack.gossip(HEAD, old)
  await settle()
  next.mesh.beat()
  await settle()
  assert.is(node.mesh.directory.homes.get(next.id)?.beat, next.mesh.log.state.beat)
  const again = await attacker(mesh, node, 71)
  const { batches, change } = testHome(50)
  change(put(presenceOf(identityOf(2), identityOf(50).id)))
  again.gossip(BATCH, batches[0] as Batch)
  await settle()
  again.gossip(
    BATCH,
    signBatch(NETWORK, identityOf(50).keys, { ...(batches[0] as Batch), ops: [] }),
  )
  await settle()
  assert.ok(node.mesh.directory.banned.has(identityOf(50).id), 'and a lie still comes through')
  mesh.stop()
})

test('looks at so many old words of a neighbour, and no more', async () => {
  const { mesh, node, next, attack } = await world()
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  const old = decodeHead(node.mesh.directory.homes.get(next.id)?.lastHead as Uint8Array)
  await mesh.clock.advance(HEARTBEAT_MS)
  for (let i = 0; i < OLD_WORDS_BURST; i++) attack.gossip(HEAD, old)
  const keys = { ...identityOf(666).keys, publicKey: old.homeKey }
  const forged = signHead(NETWORK, keys, old)
  attack.gossip(HEAD, forged)
  await settle()
  assert.is(attack.bye(), undefined, 'nor checks whether they are signed')
  await mesh.clock.advance(1_000)
  attack.gossip(HEAD, forged)
  await settle()
  assert.is(attack.bye(), 'BAD_SIGNATURE')
  mesh.stop()
})

test('passes on no home that it has no room for itself', async () => {
  const { mesh, node, next, attack } = await world()
  for (let i = node.mesh.directory.homes.size; i < MAX_HOMES; i++) {
    node.mesh.directory.open(toHex(tagOf(i)), START_MS, START_MS)
  }
  const home = testHome(50)
  attack.gossip(HEAD, home.log.head({ dhtKey: undefined, urls: [], vias: [] }))
  attack.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await settle()
  assert.not(node.mesh.directory.homes.has(home.id))
  assert.not(next.mesh.directory.homes.has(home.id))
  assert.ok(node.mesh.neighbours.has(attack.id))
  mesh.stop()
})

test('hands out no edge that a hostile home made up, and takes none from its real home', async () => {
  const { mesh, node, next, attack } = await world()
  node.join(1, [CHAT])
  await mesh.clock.advance(100)
  const hostile = testHome(50)
  const forger = identityOf(666).keys
  for (const victim of [1, 2]) {
    const keys = { publicKey: identityOf(victim).keys.publicKey, secretKey: forger.secretKey }
    const made = { ...identityOf(victim), keys }
    const later = { seq: START_MS + 60_000 }
    hostile.log.add(put(presenceOf(made, hostile.id, later)))
    hostile.log.add(put(advertOf(made, CHAT, later)))
  }
  hostile.log.flush()
  for (const batch of hostile.batches) attack.gossip(BATCH, batch)
  await mesh.clock.advance(100)
  for (const { mesh: at } of [node, next]) {
    const { claims } = at.directory.discover(toHex(CHAT), 9, mesh.clock.nowMs())
    assert.equal(
      claims.map(({ peer, home }) => [peer, home.id]),
      [[identityOf(1).id, node.id]],
    )
  }
  mesh.stop()
})

test.run()

function firstBatch(keys: KeyPair): Batch {
  const stateHash = testHome(50).log.state.digest.hash()
  const previous = new Uint8Array(32)
  return signBatch(NETWORK, keys, { epoch: START_MS, index: 1, previous, stateHash, ops: [] })
}

function headOf(keys: KeyPair): Head {
  const { headHash, digest } = testHome(50).log.state
  return signHead(NETWORK, keys, {
    epoch: START_MS,
    index: 0,
    beat: 1,
    headHash,
    stateHash: digest.hash(),
    edges: 0,
    contact: { dhtKey: undefined, urls: [], vias: [] },
  })
}
