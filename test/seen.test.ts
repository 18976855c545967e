/** The packets seen lately: none is given twice to one neighbour, none is kept longer than it can be of use. */

import { manualClock } from '../src/clock.ts'
import { SEEN_PACKETS_MS } from '../src/limits.ts'
import { createSeen } from '../src/seen.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('seen')
const DATA = new Uint8Array([1, 2, 3])

test('a packet is given once to each neighbour that asks', () => {
  const seen = createSeen(manualClock())
  seen.add('id', 'origin', DATA)
  assert.equal(seen.giveTo('a', 'id')?.data, DATA)
  assert.is(seen.giveTo('a', 'id'), undefined)
  assert.equal(seen.giveTo('b', 'id')?.data, DATA)
})

test('a packet that was forgotten as seen is not kept whole either', async () => {
  const clock = manualClock()
  const seen = createSeen(clock)
  seen.add('old', 'origin', DATA)
  await clock.advance(SEEN_PACKETS_MS)
  seen.add('new', 'origin', DATA)
  assert.is(seen.originOf('old'), undefined)
  assert.is(seen.giveTo('a', 'old'), undefined)
  assert.equal(seen.giveTo('a', 'new')?.data, DATA)
})

test.run()
