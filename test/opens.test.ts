/** Openings: whose attempts count together, and that remembering them stays bounded. */

import { manualClock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  ADDRESS_OPENS_BURST,
  MAX_COUNTED,
  NODE_OPENS_BURST,
  OPENS_BURST,
  TARGET_OPENS_BURST,
  VIA_OPENS_BURST,
} from '../src/limits.ts'
import { createOpens, createRates } from '../src/opens.ts'
import { assert, suite } from './harness/suite.ts'
import { edgeAt, type Home, homesOf, open } from './support/homes.ts'

const test = suite('opens')

/** How often it may be called before it throws `RATE_LIMITED`. */
function callsUntilRefused(fn: (i: number) => void): number {
  for (let i = 0; i < 100_000; i++) {
    try {
      fn(i)
    } catch (error) {
      const { code, retryAfterMs } = error as SignalMeshError
      assert.is(code, 'RATE_LIMITED')
      assert.ok(retryAfterMs !== undefined && retryAfterMs > 0)
      return i
    }
  }
  return Number.POSITIVE_INFINITY
}

test('openings are counted by address at the sender’s home, IPv6 by network', () => {
  const opens = createOpens(manualClock())
  const calls = callsUntilRefused((i) => opens.fromAddress(`2001:db8:1:2::${i.toString(16)}`))
  assert.is(calls, ADDRESS_OPENS_BURST)
  opens.fromAddress('2001:db8:1:3::1')
})

test('openings are counted by target, whoever sends them', () => {
  const opens = createOpens(manualClock())
  const calls = callsUntilRefused((i) => opens.toEdge(`sender ${i}`, 'target', undefined))
  assert.is(calls, TARGET_OPENS_BURST)
  opens.toEdge('sender', 'another', undefined)
})

test('openings refused for their sender take nothing from the target’s other callers', () => {
  const opens = createOpens(manualClock())
  for (let i = 0; i < TARGET_OPENS_BURST * 2; i++) {
    try {
      opens.toEdge('greedy', 'target', undefined)
    } catch (error) {
      assert.instance(error, SignalMeshError)
    }
  }
  const calls = callsUntilRefused((i) => opens.toEdge(`sender ${i}`, 'target', undefined))
  assert.is(calls, TARGET_OPENS_BURST - OPENS_BURST)
})

test('openings are counted by the node that brings them, those for other homes apart and fewer', () => {
  const opens = createOpens(manualClock())
  assert.is(
    callsUntilRefused(() => opens.fromNode('node', true)),
    VIA_OPENS_BURST,
  )
  assert.is(
    callsUntilRefused(() => opens.fromNode('node', false)),
    NODE_OPENS_BURST,
  )
  opens.fromNode('another', true)
})

test('a rate fills up again with time', async () => {
  const clock = manualClock()
  const rates = createRates(clock, 10, 5)
  assert.is(
    callsUntilRefused(() => rates.count('a')),
    5,
  )
  await clock.advance(100)
  assert.is(
    callsUntilRefused(() => rates.count('a')),
    1,
  )
})

test('rates remember who comes again, and forget whom a whole generation has followed', () => {
  const rates = createRates(manualClock(), 1, 1)
  rates.count('first')
  for (let i = 0; i < MAX_COUNTED; i++) rates.count(`${i}`)
  assert.is(
    callsUntilRefused(() => rates.count('first')),
    0,
    'in the elder generation',
  )
  for (let i = 0; i < 2 * MAX_COUNTED; i++) rates.count(`more ${i}`)
  rates.count('first')
})

test('a node counts an opening by its edge’s address before it looks where it goes', () => {
  const homes = homesOf(2)
  const [x, y] = homes.all as [Home, Home]
  homes.link(x, y)
  const b = edgeAt(homes, y, 2)
  homes.tell(b.presence, x)
  const swarm = Array.from({ length: ADDRESS_OPENS_BURST / 40 + 1 }, (_, i) =>
    edgeAt(homes, x, 1000 + i, { address: '198.51.100.7' }),
  )
  for (const edge of swarm) {
    for (let i = 0; i < 40; i++) edge.send(open(edge.identity, edge.id, edge.presence))
  }
  assert.equal(swarm.at(-1)?.words, Array(40).fill('RATE_LIMITED'))
  const other = edgeAt(homes, x, 3, { address: '198.51.100.8' })
  other.send(open(other.identity, b.id, other.presence))
  assert.is(b.signals.length, 1)
})

test('a node counts openings of a neighbour before it checks a signature', () => {
  const homes = homesOf(2)
  const [x, y] = homes.all as [Home, Home]
  homes.link(x, y)
  const b = edgeAt(homes, y, 2)
  homes.tell(b.presence, x)
  const stranger = edgeAt(homes, x, 3)
  const bad = open(stranger.identity, b.id, b.presence)
  bad.set(x.identity.keys.publicKey, 80)
  bad[4] = 1
  for (let i = 0; i < NODE_OPENS_BURST; i++) y.forward.fromNode(bad.slice(), x.id)
  const good = open(stranger.identity, b.id, stranger.presence)
  stranger.send(good)
  assert.is(b.inbox.length, 0)
  assert.is(stranger.words.at(-1), 'RATE_LIMITED')
})

test.run()
