/** Homes that say two things: what proves it, what does not, and what becomes of them. */

import { type Batch, type Head, type Op, type Position, signBatch, signHead } from '../src/batch.ts'
import { concat, toHex } from '../src/bytes.ts'
import { hash } from '../src/crypto.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import {
  contradict,
  decodeProof,
  encodeContradiction,
  encodeForgery,
  isProved,
  type Said,
} from '../src/equivocation.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_BATCH_BYTES, MAX_FRAME_BYTES, MAX_PROOF_BYTES } from '../src/limits.ts'
import { applyBatch, applyHead } from '../src/replica.ts'
import { codeOf } from './fixtures/errors.ts'
import {
  advertOf,
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

const NOW = START_MS + 1_000
const LIAR = identityOf(50)
const [ONE, TWO] = [hash([Uint8Array.of(1)]), hash([Uint8Array.of(2)])]

const test = suite('equivocation', { timeoutMs: 20_000 })

test('finds two batches, heads, or a batch and a head of one place that differ', () => {
  const batch = batchOf()
  const pairs: readonly (readonly [Said, Said])[] = [
    [batch, batchOf({ previous: TWO })],
    [batch, batchOf({ stateHash: TWO })],
    [batch, batchOf({ ops: [put(presenceOf(identityOf(1), LIAR.id))] })],
    [headOf(), headOf({ headHash: TWO, beat: 9 })],
    [headOf(), headOf({ stateHash: TWO, beat: 9 })],
    [headOf(), headOf({ edges: 7 })],
    [headOf(), headOf({ index: 8 })],
    [batch, headOf({ stateHash: batch.stateHash })],
    [batch, headOf({ headHash: batch.hash, stateHash: TWO })],
  ]
  for (const [i, [a, b]] of pairs.entries()) {
    assert.ok(contradict(a, b) && contradict(b, a), `pair ${i}`)
  }
})

test('finds a batch that does not follow from what the home said of the one before', () => {
  const batch = batchOf()
  for (const before of [batch, headOf({ headHash: batch.hash })]) {
    assert.ok(contradict(before, batchOf({ index: 6, previous: TWO })))
    assert.not(contradict(before, batchOf({ index: 6, previous: batch.hash })))
    assert.not(contradict(before, batchOf({ index: 7, previous: TWO })))
  }
})

test('takes no restart, no other home and no repetition for equivocation', () => {
  const batch = batchOf()
  const later = { epoch: START_MS + 1 }
  const others: readonly Said[] = [
    batch,
    batchOf(later),
    headOf(later),
    batchOf({}, identityOf(51)),
    headOf({ headHash: batch.hash, stateHash: batch.stateHash, beat: 1 }),
    headOf({ headHash: batch.hash, stateHash: batch.stateHash, beat: 2, edges: 9 }),
  ]
  for (const [i, other] of others.entries()) assert.not(contradict(batch, other), `other ${i}`)
  assert.not(contradict(headOf(), headOf({ ...later, headHash: TWO })))
})

test('makes a proof of what it kept and what came, whichever came first', () => {
  const home = busy()
  const [one, two, three] = home.batches as [Batch, Batch, Batch]
  const truth = home.log.head(NOWHERE)
  const otherOne = signed(home, { index: 1, previous: one.previous })
  const cases: readonly (readonly [readonly Said[], Said])[] = [
    [home.batches, otherOne],
    [home.batches, signed(home, { index: 3, previous: two.hash })],
    [home.batches, signed(home, { index: 4, previous: two.hash })],
    [home.batches, headAt(home, { index: 3, headHash: TWO, beat: 5 })],
    [home.batches, headAt(home, { index: 3, headHash: three.hash, stateHash: TWO, beat: 5 })],
    [home.batches, headAt(home, { index: 2, headHash: TWO, beat: 5 })],
    [[...home.batches, truth], headAt(home, { ...truth, edges: 99 })],
    [[headAt(home, { index: 1, headHash: TWO, beat: 5 })], one],
    [[headAt(home, { index: 3, headHash: TWO, beat: 5 })], headAt(home, { index: 3, beat: 6 })],
  ]
  for (const [i, [before, last]] of cases.entries()) {
    const directory = createDirectory(NETWORK)
    for (const said of before) take(directory, said)
    const error = failure(() => take(directory, last))
    assert.is(error?.code, 'EQUIVOCATION', `case ${i}`)
    assert.ok(error?.evidence, `case ${i} has a proof`)
    const proof = decodeProof(error?.evidence as Uint8Array)
    assert.is(proof.home, home.id)
    assert.ok(isProved(NETWORK, proof), `case ${i} is proved`)
    assert.not(directory.homes.has(home.id))
  }
})

test('has no proof where only the home’s state contradicts it', () => {
  const home = busy()
  const last = home.batches.at(-1) as Batch
  const directory = follow(home)
  const lie = signed(home, { index: 4, previous: last.hash, stateHash: TWO })
  const error = failure(() => take(directory, lie))
  assert.is(error?.code, 'EQUIVOCATION')
  assert.is(error?.evidence, undefined)
})

test('believes no proof that its home did not sign, nor one that proves nothing', () => {
  const [a, b] = [batchOf(), batchOf({ stateHash: TWO })]
  assert.ok(isProved(NETWORK, decodeProof(encodeContradiction(a, b))))
  const forger = { ...LIAR, keys: { ...identityOf(666).keys, publicKey: LIAR.keys.publicKey } }
  for (const forged of [batchOf({ stateHash: TWO }, forger), headOf({}, forger)]) {
    for (const pair of [encodeContradiction(a, forged), encodeContradiction(forged, a)]) {
      assert.not(isProved(NETWORK, decodeProof(pair)))
    }
  }
  const nothing: readonly Uint8Array[] = [
    encodeContradiction(a, a),
    encodeContradiction(a, batchOf({}, identityOf(51))),
    encodeContradiction(a, batchOf({ epoch: START_MS + 1 })),
    encodeForgery(a, 0),
    encodeForgery(a, 65_535),
  ]
  for (const [i, proof] of nothing.entries()) {
    assert.is(
      codeOf(() => decodeProof(proof)),
      'BAD_FRAME',
      `nothing ${i}`,
    )
  }
})

test('reads a proof of either kind, but no part of one and nothing behind one', () => {
  const forged = batchOf({ ops: [put(forgedPresence(identityOf(1), LIAR.id))] })
  for (const proof of [encodeContradiction(batchOf(), headOf()), encodeForgery(forged, 0)]) {
    assert.is(decodeProof(proof).home, LIAR.id)
    for (let length = 0; length < proof.length; length++) {
      assert.is(
        codeOf(() => decodeProof(proof.subarray(0, length))),
        'BAD_FRAME',
        `${length}`,
      )
    }
    assert.is(
      codeOf(() => decodeProof(concat(proof, Uint8Array.of(0)))),
      'BAD_FRAME',
    )
    assert.is(
      codeOf(() => decodeProof(concat(Uint8Array.of(9), proof.subarray(1)))),
      'BAD_FRAME',
    )
  }
})

test('has room in a frame for a proof of the two largest batches', () => {
  const big = (seq: number): Batch => {
    const adverts = Array.from({ length: 77 }, (_, i) =>
      put(advertOf(identityOf(1), tagOf(i), { seq, info: new Uint8Array(256) })),
    )
    return batchOf({ ops: adverts })
  }
  const [a, b] = [big(1), big(2)]
  assert.ok(a.bytes.length > MAX_BATCH_BYTES - 512, `${a.bytes.length}`)
  const proof = encodeContradiction(a, b)
  assert.ok(isProved(NETWORK, decodeProof(proof)))
  // Beside it a packet has three hashes with their heads, a byte of kind, and the frame a tag.
  assert.ok(MAX_PROOF_BYTES + 3 * 34 + 4 + 2 + 16 <= MAX_FRAME_BYTES)
})

test('proves a record that the edge did not sign by the batch that brought it, and no other', () => {
  const ops = [put(presenceOf(identityOf(1), LIAR.id)), put(forgedPresence(identityOf(2), LIAR.id))]
  const batch = batchOf({ ops })
  assert.ok(isProved(NETWORK, decodeProof(encodeForgery(batch, 1))))
  assert.not(isProved(NETWORK, decodeProof(encodeForgery(batch, 0))), 'it is genuine')
  const forger = { ...LIAR, keys: { ...identityOf(666).keys, publicKey: LIAR.keys.publicKey } }
  assert.not(isProved(NETWORK, decodeProof(encodeForgery(batchOf({ ops }, forger), 1))))
})

test('audits one edge’s signature in 64 at once, and has a proof of what it finds forged', () => {
  const draws: number[] = []
  const directory = createDirectory(NETWORK, { random: () => draws.shift() ?? 0.5 })
  const home = testHome(50)
  const forged = home.change(
    put(presenceOf(identityOf(1), home.id)),
    put(forgedPresence(identityOf(2), home.id)),
  )
  draws.push(0, 1 / 64)
  assert.is(applyBatch(directory, forged, NOW), 'applied', 'not drawn')
  directory.expire(home.id)
  directory.revive(home.id)
  draws.push(1 / 64, 1 / 64 - 0.0001)
  const error = failure(() => applyBatch(directory, forged, NOW))
  assert.is(error?.code, 'FORGED_RECORD')
  const proof = decodeProof(error?.evidence as Uint8Array)
  assert.equal([proof.home, proof.op], [home.id, 1])
  assert.ok(isProved(NETWORK, proof))
  assert.is(directory.records, 0)
})

test('takes a home that was killed and started with its clock set back for no liar', () => {
  const before = busy()
  const directory = follow(before)
  take(directory, before.log.head(NOWHERE))
  // Its clock says long ago, but its epoch was kept: one more than the last.
  const after = testHome(50, START_MS + 1)
  for (let i = 10; i < 14; i++) after.change(put(presenceOf(identityOf(i), after.id)))
  for (const said of [...after.batches, after.log.head(NOWHERE)]) take(directory, said)
  assert.equal(toHex(directory.homes.get(after.id)!.digest.hash()), toHex(digestOf(after)))
})

test.run()

const NOWHERE = { dhtKey: undefined, urls: [], vias: [] }

function batchOf(
  fields: Partial<Position & Pick<Batch, 'previous' | 'stateHash' | 'ops'>> = {},
  by = LIAR,
): Batch {
  const all = { epoch: START_MS, index: 5, previous: ONE, stateHash: ONE, ops: [] as Op[] }
  return signBatch(NETWORK, by.keys, { ...all, ...fields })
}

function headOf(fields: Partial<Head> = {}, by = LIAR): Head {
  const hashes = { headHash: ONE, stateHash: ONE }
  const all = { epoch: START_MS, index: 5, beat: 3, ...hashes, edges: 0, contact: NOWHERE }
  return signHead(NETWORK, by.keys, { ...all, ...fields })
}

/** A home after three batches. */
function busy(): TestHome {
  const home = testHome(50)
  for (let i = 1; i <= 3; i++) home.change(put(presenceOf(identityOf(i), home.id)))
  return home
}

function signed(
  home: TestHome,
  fields: { index: number; previous: Uint8Array; stateHash?: Uint8Array },
) {
  return batchOf({ stateHash: digestOf(home), ...fields }, home.identity)
}

function headAt(home: TestHome, fields: Partial<Head>): Head {
  return headOf({ stateHash: digestOf(home), ...fields }, home.identity)
}

function digestOf(home: TestHome): Uint8Array {
  return home.log.state.digest.hash()
}

function follow(home: TestHome): Directory {
  const directory = createDirectory(NETWORK)
  for (const batch of home.batches) take(directory, batch)
  return directory
}

function take(directory: Directory, said: Said): void {
  if (said.kind === 'batch') applyBatch(directory, said, NOW)
  else applyHead(directory, said, NOW)
}

function failure(fn: () => unknown): SignalMeshError | undefined {
  try {
    fn()
  } catch (error) {
    if (error instanceof SignalMeshError) return error
    throw error
  }
  return undefined
}
