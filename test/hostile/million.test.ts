/** A million edges: what so many that nobody signed take of a node's directory, at their luckiest. */

import { signBatch } from '../../src/batch.ts'
import { manualClock } from '../../src/clock.ts'
import { createDigest } from '../../src/digest.ts'
import { createDirectory } from '../../src/directory.ts'
import type { SignalMeshError } from '../../src/errors.ts'
import type { Identity, NodeId } from '../../src/identity.ts'
import { MAX_RECORDS, RESERVED_SHARE, START_GRACE_MS } from '../../src/limits.ts'
import type { Presence } from '../../src/records.ts'
import { applySnapshot } from '../../src/replica.ts'
import { createSpace } from '../../src/space.ts'
import { identityOf, NETWORK, presenceOf, START_MS } from '../fixtures/samples.ts'
import { assert, suite } from '../harness/suite.ts'

const EDGES = 1_000_000
const PER_HOME = 50_000
const HONEST = identityOf(1)
const LISTED = identityOf(2)

const test = suite('hostile million', { timeoutMs: 60_000 })

test('a million forged edges take neither the room of who is there nor that of listed homes', async () => {
  const clock = manualClock(START_MS)
  // No audit hits, where one of the first 64 edges or so would end it for their home.
  const directory = createDirectory(NETWORK, { random: () => 0.99 })
  const isListed = (home: NodeId): boolean => home === LISTED.id
  const room = createSpace({ clock, isListed, reserves: true })
  const bring = (home: Identity, edges: number, from: number): string => {
    const { records, last } = snapshotOf(home, edges, from)
    try {
      return applySnapshot(directory, NETWORK, last, records, clock.nowMs(), room)
    } catch (error) {
      return (error as SignalMeshError).code
    } finally {
      room.sweep(directory)
    }
  }
  assert.is(bring(HONEST, 1_000, 0), 'applied')
  await clock.advance(START_GRACE_MS + 1)
  const outcomes = Array.from({ length: EDGES / PER_HOME }, (_, i) =>
    bring(identityOf(100 + i), PER_HOME, (i + 1) * PER_HOME),
  )
  const taken = outcomes.filter((outcome) => outcome === 'applied').length
  assert.equal(
    outcomes,
    Array.from(outcomes, (_, i) => (i < taken ? 'applied' : 'TOO_MANY')),
  )
  // Half of what strangers may have in all; after that each name counts for little.
  assert.is(taken, Math.ceil(((1 - RESERVED_SHARE) * MAX_RECORDS) / 2 / PER_HOME))
  assert.is(directory.homes.get(HONEST.id)?.digest.size, 1_000)
  assert.is(bring(LISTED, PER_HOME, 2 * EDGES), 'applied', 'who is listed has room')
  assert.is(directory.size, 1_000 + (taken + 1) * PER_HOME)
})

test.run()

/** All that a home says, in presences of edges that never were. */
function snapshotOf(
  home: Identity,
  edges: number,
  from: number,
): { records: Presence[]; last: Uint8Array } {
  const genuine = presenceOf(identityOf(3), home.id)
  const records = Array.from({ length: edges }, (_, i) => madeUp(genuine, from + i))
  const digest = createDigest()
  for (const { peer, hash } of records) digest.set(peer, hash)
  const about = { epoch: START_MS, index: 1, previous: new Uint8Array(32), ops: [] }
  const { bytes } = signBatch(NETWORK, home.keys, { ...about, stateHash: digest.hash() })
  return { records, last: bytes }
}

function madeUp(genuine: Presence, number: number): Presence {
  // Spread over the buckets, as keys are that nobody chose.
  const spread = (Math.imul(number, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')
  const peer = (spread + number.toString(16).padStart(8, '0')).repeat(4)
  const hash = new Uint8Array(32)
  new DataView(hash.buffer).setUint32(0, number)
  return { ...genuine, peer, hash }
}
