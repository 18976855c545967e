/** Quarantine: what becomes of a home that lied, at the node that saw it and at all others. */

import { type Batch, signBatch, signHead } from '../src/batch.ts'
import { concat, fromHex } from '../src/bytes.ts'
import { settle } from '../src/clock.ts'
import { hash } from '../src/crypto.ts'
import { encodeContradiction, encodeForgery } from '../src/equivocation.ts'
import { DOUBT_MS, HEARTBEAT_MS, MAX_QUARANTINED, QUARANTINE_MS } from '../src/limits.ts'
import {
  forgedPresence,
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
import { attacker, world } from './support/attacker.ts'
import type { VirtualNode } from './support/nodes.ts'

const [BATCH, HEAD, PROOF] = [1, 2, 3]
const NOWHERE = { dhtKey: undefined, urls: [], vias: [] }

const test = suite('quarantine', { timeoutMs: 20_000 })

test('a home that shows two nodes two logs is kept out by both, however far they are from each other', async () => {
  const { mesh, node, next, attack } = await world()
  const far = mesh.add()
  mesh.link(next, far)
  const behind = await attacker(mesh, far, 71)
  const home = testHome(50)
  const first = home.change(put(presenceOf(identityOf(1), home.id)))
  attack.gossip(BATCH, first)
  await settle()
  mesh.congested = true
  const last = home.log.head(NOWHERE)
  attack.gossip(HEAD, last)
  await settle()
  mesh.congested = false
  behind.gossip(HEAD, signHead(NETWORK, home.identity.keys, { ...last, edges: 7 }))
  await mesh.clock.advance(100)
  const nodes = [node, next, far]
  assert.equal(
    nodes.map((at) => knows(at, home)),
    [false, false, false],
  )
  assert.equal(
    nodes.map((at) => at.mesh.directory.banned.has(home.id)),
    [true, true, true],
  )
  assert.ok(node.mesh.neighbours.has(attack.id) && far.mesh.neighbours.has(behind.id))
  mesh.stop()
})

test('nothing of a home in quarantine is taken, pulled, served or passed on, until it is over', async () => {
  const { node, next, attack, mesh } = await world()
  const home = testHome(50)
  attack.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await settle()
  attack.gossip(PROOF, { bytes: proofAgainst(home), homeKey: fromHex(attack.id) })
  await settle()
  const later = testHome(50, START_MS + 1)
  const batch = later.change(put(presenceOf(identityOf(1), later.id)))
  attack.gossip(BATCH, batch)
  attack.gossip(HEAD, later.log.head(NOWHERE))
  await mesh.clock.advance(HEARTBEAT_MS)
  const late = mesh.add()
  mesh.link(late, node)
  await mesh.clock.advance(100)
  for (const at of [node, next, late]) {
    assert.not(knows(at, home))
    assert.is(at.mesh.directory.locate(identityOf(1).id, mesh.clock.nowMs()), undefined)
  }
  await mesh.clock.advance(QUARANTINE_MS)
  const again = await attacker(mesh, node, 72)
  again.gossip(HEAD, later.log.head(NOWHERE))
  await mesh.clock.advance(100)
  assert.ok(knows(node, home) && knows(next, home))
  mesh.stop()
})

test('a proof is passed on once, and a second time believed by nobody', async () => {
  const { mesh, node, next, attack } = await world()
  const listener = await attacker(mesh, next, 71)
  const home = testHome(50)
  attack.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await settle()
  const proof = { bytes: proofAgainst(home), homeKey: fromHex(attack.id) }
  for (let i = 0; i < 3; i++) {
    attack.gossip(PROOF, proof)
    listener.gossip(PROOF, { ...proof, homeKey: fromHex(listener.id) })
    await settle()
  }
  assert.equal([knows(node, home), knows(next, home)], [false, false])
  assert.is(attack.heard(PROOF), 1)
  assert.is(listener.heard(PROOF), 1)
  // The home's operator has put it right: the old proof must not keep it out for ever.
  node.mesh.directory.pardon(mesh.clock.monotonicMs() + QUARANTINE_MS)
  const later = testHome(50, START_MS + 9)
  attack.gossip(HEAD, later.log.head(NOWHERE))
  await settle()
  attack.gossip(PROOF, proof)
  await settle()
  assert.ok(knows(node, home))
  mesh.stop()
})

test('a proof that is forged or proves nothing keeps nobody out, and cuts off who brings it', async () => {
  const home = testHome(50)
  const first = home.change(put(presenceOf(identityOf(1), home.id)))
  const forger = {
    publicKey: home.identity.keys.publicKey,
    secretKey: identityOf(666).keys.secretKey,
  }
  const lies: readonly Uint8Array[] = [
    encodeContradiction(first, other(home, forger)),
    encodeContradiction(first, first),
    encodeForgery(first, 0),
    concat(proofAgainst(home), Uint8Array.of(0)),
  ]
  for (const [i, bytes] of lies.entries()) {
    const { mesh, node, next, attack } = await world()
    attack.gossip(BATCH, first)
    await settle()
    attack.gossip(PROOF, { bytes, homeKey: fromHex(attack.id) })
    await mesh.clock.advance(100)
    assert.ok(knows(node, home) && knows(next, home), `lie ${i}`)
    assert.not(node.mesh.neighbours.has(attack.id), `lie ${i}`)
    mesh.stop()
  }
})

test('a contradiction that the home did not sign keeps nobody out', async () => {
  const { mesh, node, attack } = await world()
  const home = testHome(50)
  attack.gossip(BATCH, home.change(put(presenceOf(identityOf(1), home.id))))
  await settle()
  const forger = {
    publicKey: home.identity.keys.publicKey,
    secretKey: identityOf(666).keys.secretKey,
  }
  attack.gossip(BATCH, other(home, forger))
  await mesh.clock.advance(100)
  assert.ok(knows(node, home))
  assert.is(attack.bye(), 'BAD_SIGNATURE')
  mesh.stop()
})

test('proofs about homes that nobody knows go no further, for they can be made up without end', async () => {
  const { mesh, node, next, attack } = await world()
  const listener = await attacker(mesh, next, 71)
  for (let i = 0; i < 20; i++) {
    const stranger = testHome(500 + i)
    stranger.change(put(presenceOf(identityOf(1), stranger.id)))
    attack.gossip(PROOF, { bytes: proofAgainst(stranger), homeKey: fromHex(attack.id) })
  }
  await mesh.clock.advance(100)
  assert.is(node.mesh.directory.banned.size, 0)
  assert.is(listener.heard(PROOF), 0)
  assert.ok(node.mesh.neighbours.has(attack.id))
  mesh.stop()
})

test('a node does not keep itself out for a proof about itself', async () => {
  const { mesh, node, attack } = await world()
  node.join(1, [tagOf(1)])
  await mesh.clock.advance(100)
  const { keys } = identityOf(1_000_000)
  const at = { epoch: START_MS, index: 9, previous: hash([]), ops: [] }
  const [a, b] = [hash([]), hash([Uint8Array.of(1)])].map((stateHash) =>
    signBatch(NETWORK, keys, { ...at, stateHash }),
  ) as [Batch, Batch]
  assert.is(a.home, node.id)
  attack.gossip(PROOF, { bytes: encodeContradiction(a, b), homeKey: fromHex(attack.id) })
  await mesh.clock.advance(HEARTBEAT_MS)
  assert.ok(node.mesh.directory.homes.has(node.id))
  assert.is(node.mesh.directory.banned.size, 0)
  assert.ok(node.mesh.directory.locate(identityOf(1).id, mesh.clock.nowMs()))
  mesh.stop()
})

test('a home that lies without leaving a proof is kept out for a moment by who saw it alone', async () => {
  const { mesh, node, next, attack } = await world()
  const home = testHome(50)
  const first = home.change(put(presenceOf(identityOf(1), home.id)))
  attack.gossip(BATCH, first)
  await settle()
  mesh.congested = true
  const at = { epoch: START_MS, index: 2, previous: first.hash, stateHash: hash([]), ops: [] }
  attack.gossip(BATCH, signBatch(NETWORK, home.identity.keys, at))
  await settle()
  mesh.congested = false
  assert.not(knows(node, home))
  assert.ok(knows(next, home), 'nobody else can check it')
  attack.gossip(HEAD, home.log.head(NOWHERE))
  await settle()
  assert.not(knows(node, home))
  await mesh.clock.advance(DOUBT_MS + HEARTBEAT_MS)
  const again = await attacker(mesh, node, 72)
  again.gossip(HEAD, home.log.head(NOWHERE))
  await settle()
  assert.ok(knows(node, home))
  mesh.stop()
})

test('a home that injects a record of an edge that did not sign it is kept out by the whole mesh', async () => {
  const { mesh, node, next, attack } = await world()
  const home = testHome(50)
  attack.gossip(HEAD, home.log.head(NOWHERE))
  await settle()
  const batch = home.change(put(forgedPresence(identityOf(2), home.id)))
  attack.gossip(PROOF, { bytes: encodeForgery(batch, 0), homeKey: fromHex(attack.id) })
  await mesh.clock.advance(100)
  assert.equal(
    [node, next].map((at) => at.mesh.directory.banned.has(home.id)),
    [true, true],
  )
  mesh.stop()
})

test('a home whose record turns out forged when it is asked for is kept out for a moment', async () => {
  const { mesh, node, attack } = await world()
  const home = testHome(50)
  attack.gossip(BATCH, home.change(put(forgedPresence(identityOf(2), home.id))))
  await settle()
  assert.is(node.mesh.directory.locate(identityOf(2).id, START_MS), undefined)
  node.mesh.sweep()
  assert.not(knows(node, home))
  assert.ok(node.mesh.directory.banned.has(home.id))
  mesh.stop()
})

test('keeps so many homes out and no more, the longest kept out going first', async () => {
  const { mesh, node } = await world()
  const { directory } = node.mesh
  for (let i = 0; i <= MAX_QUARANTINED; i++) directory.banish(`home ${i}`, START_MS)
  assert.is(directory.banned.size, MAX_QUARANTINED)
  assert.not(directory.banned.has('home 0'))
  assert.ok(directory.banned.has('home 1'))
  mesh.stop()
})

test.run()

function knows({ mesh }: VirtualNode, home: { id: string }): boolean {
  return mesh.directory.homes.has(home.id)
}

/** Another first batch than the home's own. */
function other(home: TestHome, keys = home.identity.keys): Batch {
  const stateHash = hash([])
  const first = { epoch: START_MS, index: 1, previous: new Uint8Array(32), stateHash, ops: [] }
  return signBatch(NETWORK, keys, first)
}

function proofAgainst(home: TestHome): Uint8Array {
  return encodeContradiction(home.batches[0] as Batch, other(home))
}
