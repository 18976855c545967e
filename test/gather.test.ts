/** Gather: pulls over several pages take turns, and the oldest always comes to its end. */

import { createGather, type Gather, type Place } from '../src/gather.ts'
import { MAX_GATHERED_BYTES, MAX_LONG_PULLS, MAX_LONG_PULLS_PER_NEIGHBOUR } from '../src/limits.ts'
import { codeOf } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('gather')

test('gives the next place to who has the fewest, however many wait before', async () => {
  const gather = createGather()
  const places: Place[] = []
  for (let i = 0; i < MAX_LONG_PULLS; i++) {
    places.push(take(gather, `hostile ${Math.floor(i / MAX_LONG_PULLS_PER_NEIGHBOUR)}`))
  }
  const order: string[] = []
  for (const id of ['hostile 0', 'hostile 1', 'hostile 1', 'honest']) {
    void gather
      .turn(id, () => {})
      .then((place) => {
        order.push(id)
        places.push(place)
      })
  }
  await Promise.resolve()
  assert.equal(order, [])
  // Leaving twice frees one place.
  places[0]?.leave()
  places[0]?.leave()
  await Promise.resolve()
  assert.equal(order, ['honest'])
  places[1]?.leave()
  await Promise.resolve()
  assert.equal(order, ['honest', 'hostile 0'])
})

test('has the youngest give way when all hold too much, and never the oldest', () => {
  const gather = createGather()
  const gone: string[] = []
  const [old, young, last] = ['old', 'young', 'last'].map((id) => take(gather, id, gone)) as [
    Place,
    Place,
    Place,
  ]
  const half = MAX_GATHERED_BYTES / 2
  young.hold(half)
  last.hold(half)
  old.hold(1)
  assert.equal(gone, ['last'])
  assert.is(
    codeOf(() => last.hold(1)),
    'RATE_LIMITED',
  )
  old.hold(half)
  assert.equal(gone, ['last', 'young'])
  // Alone it may have all, for what one home may have is bounded elsewhere.
  old.hold(half)
  old.leave()
  const next = take(gather, 'next', gone)
  next.hold(MAX_GATHERED_BYTES)
  assert.equal(gone, ['last', 'young'])
})

test.run()

function take(gather: Gather, id: string, gone: string[] = []): Place {
  const place = gather.take(id, () => void gone.push(id))
  if (!place) throw new Error('No place is free')
  return place
}
