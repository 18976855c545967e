/** Cases of what pulls hold before they end, and of how full one bucket of a home may be. */

import { signBatch } from '../../src/batch.ts'
import { createDigest } from '../../src/digest.ts'
import { createDirectory } from '../../src/directory.ts'
import { createGather } from '../../src/gather.ts'
import { MAX_LONG_PULLS_PER_NEIGHBOUR } from '../../src/limits.ts'
import { applySnapshot } from '../../src/replica.ts'
import { identityOf, NETWORK, presenceOf, START_MS } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, changesAfter, outcomeOf, refuses, TAKEN } from './case.ts'

const none = (): void => {}

export const pulls: Cases = {
  MAX_LONG_PULLS: changesAfter(
    'going on',
    'waiting',
    async (count) => {
      const gather = createGather()
      const take = (i: number) =>
        gather.take(`${Math.floor(i / MAX_LONG_PULLS_PER_NEIGHBOUR)}`, none)
      const places = Array.from({ length: count - 1 }, (_, i) => take(i))
      const last = take(count - 1)
      if (last) return 'going on'
      const turn = gather.turn('late', none)
      places[0]?.leave()
      assert.ok(await turn)
      return 'waiting'
    },
    'pulls',
  ),
  MAX_LONG_PULLS_PER_NEIGHBOUR: changesAfter(
    'going on',
    'waiting',
    (count) => {
      const gather = createGather()
      for (let i = 1; i < count; i++) assert.ok(gather.take('neighbour', none))
      const last = gather.take('neighbour', none)
      assert.ok(gather.take('another', none), 'who is beside has its own')
      return last ? 'going on' : 'waiting'
    },
    'pulls',
  ),
  MAX_GATHERED_BYTES: refuses('RATE_LIMITED', async (bytes) => {
    const gather = createGather()
    let gone = 0
    const [first, second] = ['a', 'b'].map((id) => gather.take(id, () => (gone += 1)))
    first?.hold(bytes - 1)
    const outcome = await outcomeOf(() => second?.hold(1))
    assert.is(gone, outcome === TAKEN ? 0 : 1)
    first?.hold(1)
    return outcome
  }),
  MAX_RECORDS_PER_BUCKET: refuses('TOO_MANY', (count) => {
    const home = identityOf(50)
    const presence = presenceOf(identityOf(1), home.id)
    const digest = createDigest()
    const records = Array.from({ length: count }, (_, i) => {
      const peer = `00${i.toString(16).padStart(62, '0')}`
      digest.set(peer, presence.hash)
      return { ...presence, peer }
    })
    const last = { epoch: START_MS, index: 9, previous: new Uint8Array(32), ops: [] }
    const { bytes } = signBatch(NETWORK, home.keys, { ...last, stateHash: digest.hash() })
    // Of these made-up records none is drawn for an audit.
    const directory = createDirectory(NETWORK, { random: () => 0.5 })
    return outcomeOf(() => applySnapshot(directory, NETWORK, bytes, records, START_MS))
  }),
}
