/** Links on demand: dials together, few, and not again at once; and what is held meanwhile is bounded. */

import { manualClock } from '../src/clock.ts'
import { createInFlight } from '../src/inflight.ts'
import {
  DIAL_RETRY_MAX_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  HELD_MS,
  MAX_DIALS,
  MAX_DIALS_PER_ADDRESS,
  MAX_DIALS_PER_EDGE,
  MAX_HELD_BYTES,
  MAX_HELD_SIGNALS,
  MAX_ON_DEMAND_LINKS,
  MAX_SIGNAL_BYTES,
  MAX_WAITING_BYTES,
} from '../src/limits.ts'
import { createOnDemand } from '../src/ondemand.ts'
import { identityOf, presenceOf } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { edgeAt, type Home, homesOf, keyOf, within } from './support/homes.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('ondemand')

/** A home with a swarm, and edges said to be at `count` homes that can be dialled but have no link. */
function farAway(count: number) {
  const homes = homesOf(1 + count)
  const [x, ...others] = homes.all as [Home, ...Home[]]
  x.canDial = true
  const a = edgeAt(homes, x, 1)
  const peers = others.map((home, i) => {
    homes.contact(home, { dhtKey: keyOf(i + 1) })
    const peer = identityOf(10_000 + i)
    homes.tell(presenceOf(peer, home.id), x)
    return peer.id
  })
  return { homes, x, a, others, peers }
}

test('dials are coalesced: all signals that wait for one home make one', async () => {
  const { homes, x, a, others, peers } = farAway(1)
  const b = edgeAt(homes, others[0]!, 10_000)
  homes.tell(a.presence, others[0]!)
  for (let i = 0; i < 20; i++) a.send(within(a.identity, peers[0]!))
  assert.equal(x.dials, ['1'])
  homes.link(x, others[0]!)
  homes.run()
  assert.is(b.signals.length, 20)
})

test('dials are capped: the next home has to wait, and its signal is told so', async () => {
  const { homes, x, a, peers } = farAway(MAX_DIALS + 1)
  const others = peers.map((_, i) => edgeAt(homes, x, 100 + i, { address: `192.0.2.${i}` }))
  for (const [i, edge] of others.entries()) edge.send(within(edge.identity, peers[i]!))
  assert.is(x.dials.length, MAX_DIALS)
  assert.equal(others.at(-1)!.words, ['RATE_LIMITED'])
  await homes.clock.advance(DIAL_TIMEOUT_MS)
  assert.is(x.givenUp.length, MAX_DIALS)
  a.send(within(a.identity, peers.at(-1)!))
  assert.is(x.dials.length, MAX_DIALS + 1)
})

test('one edge, or one address, that names homes which nobody reaches leaves dials for the others', async () => {
  const { homes, x, a, peers } = farAway(MAX_DIALS + 1)
  const before = () => x.dials.length
  for (const peer of peers.slice(1)) a.send(within(a.identity, peer))
  assert.is(before(), MAX_DIALS_PER_EDGE)
  assert.equal(a.words, Array(MAX_DIALS - MAX_DIALS_PER_EDGE).fill('RATE_LIMITED'))
  const swarm = peers.slice(1).map((_, i) => edgeAt(homes, x, 100 + i))
  for (const [i, edge] of swarm.entries()) edge.send(within(edge.identity, peers[i + 1]!))
  assert.is(before(), MAX_DIALS_PER_ADDRESS)
  const b = edgeAt(homes, x, 2, { address: '198.51.100.1' })
  b.send(within(b.identity, peers[0]!))
  assert.is(before(), MAX_DIALS_PER_ADDRESS + 1)
  assert.equal(b.words, [])
  await homes.clock.advance(DIAL_TIMEOUT_MS)
  a.send(within(a.identity, peers.at(-1)!))
  assert.is(before(), MAX_DIALS_PER_ADDRESS + 2, 'when they are over it has its own again')
})

test('each dial in a row that fails makes the next wait twice as long, up to a bound', async () => {
  const { homes, x, a, others, peers } = farAway(1)
  const send = (): void => a.send(within(a.identity, peers[0]!))
  send()
  const waits = [1, 2, 4, 8].map((times) => times * DIAL_RETRY_MS)
  for (const ms of [...waits, DIAL_RETRY_MAX_MS, DIAL_RETRY_MAX_MS]) {
    const { length } = x.dials
    await homes.clock.advance(DIAL_TIMEOUT_MS + ms - 1)
    send()
    assert.is(x.dials.length, length)
    await homes.clock.advance(1)
    send()
    assert.is(x.dials.length, length + 1)
  }
  homes.link(x, others[0]!)
  homes.unlink(x, others[0]!)
  send()
  await homes.clock.advance(DIAL_TIMEOUT_MS + DIAL_RETRY_MS)
  const { length } = x.dials
  send()
  assert.is(x.dials.length, length + 1, 'a link makes all good')
})

test('a home that could not be dialled is not dialled again at once', async () => {
  const { homes, x, a, peers } = farAway(1)
  a.send(within(a.identity, peers[0]!))
  await homes.clock.advance(DIAL_TIMEOUT_MS)
  await homes.clock.advance(DIAL_RETRY_MS - 1)
  a.send(within(a.identity, peers[0]!))
  assert.is(x.dials.length, 1)
  assert.equal(a.words, ['HOME_UNREACHABLE', 'HOME_UNREACHABLE'])
  await homes.clock.advance(1)
  a.send(within(a.identity, peers[0]!))
  assert.is(x.dials.length, 2)
})

test('only so many links are kept up because signals asked for them', () => {
  const { homes, x, a, others, peers } = farAway(MAX_ON_DEMAND_LINKS + 1)
  for (const [i, peer] of peers.entries()) {
    a.send(within(a.identity, peer))
    homes.link(x, others[i]!)
  }
  assert.is(x.dials.length, MAX_ON_DEMAND_LINKS + 1)
  assert.equal(x.givenUp, ['1'], 'the eldest')
  homes.unlink(x, others[3]!)
  assert.equal(x.givenUp, ['1', '4'], 'and one that has ended is not dialled for ever')
})

test('what waits for dials is bounded in bytes over all of them', async () => {
  const options = { clock: manualClock(), dial: () => true, giveUp: () => {}, onFailed: () => {} }
  const dials = createOnDemand(options)
  const frame = new Uint8Array(MAX_SIGNAL_BYTES)
  const fits = MAX_WAITING_BYTES / MAX_SIGNAL_BYTES
  const by = { edge: 'edge', group: 'group' }
  dials.begin('x', keyOf(1), by)
  dials.begin('y', keyOf(2), by)
  for (let i = 0; i < fits; i++) dials.wait(i % 2 ? 'x' : 'y', { frame, isRetry: false })
  assert.is(await codeOf(() => dials.wait('x', { frame, isRetry: false })), 'RATE_LIMITED')
  assert.is(dials.linked('y').length, fits / 2)
  dials.wait('x', { frame, isRetry: false })
})

test('what is held in flight is bounded in number, in bytes and in time', async () => {
  const clock = manualClock()
  const held = createInFlight(clock)
  const [a, b] = [identityOf(1), identityOf(2)]
  const sent = { home: b.id, link: b.id, isRetry: false }
  const first = within(a, b.id)
  held.add(first, sent)
  for (let i = 1; i < MAX_HELD_SIGNALS; i++) held.add(within(a, b.id), sent)
  assert.ok(held.same(first))
  held.add(within(a, b.id), sent)
  assert.not(held.same(first), 'the eldest gives way')
  const large = (): Uint8Array => within(a, b.id, { payload: new Uint8Array(MAX_SIGNAL_BYTES) })
  const second = large()
  held.add(second, sent)
  for (let bytes = second.length; bytes <= MAX_HELD_BYTES; bytes += second.length) {
    held.add(large(), sent)
  }
  assert.not(held.same(second))
  const whole = held.lastOver(b.id, HELD_MS)
  assert.ok(whole.length <= MAX_HELD_BYTES / second.length)
  for (const { frame } of whole) assert.is(frame.length, second.length)
  const last = large()
  held.add(last, sent)
  await clock.advance(HELD_MS)
  assert.ok(held.same(last))
  await clock.advance(1)
  assert.not(held.same(last))
  held.sweep()
  assert.equal(held.lastOver(b.id, HELD_MS * 2), [])
})

test('a signal held is a copy, and is found by its header alone', () => {
  const held = createInFlight(manualClock())
  const [a, b] = [identityOf(1), identityOf(2)]
  const connection = new Uint8Array(16)
  const frame = within(a, b.id, { connection, counter: 3 })
  const kept = frame.slice()
  held.add(frame, { home: b.id, link: b.id, isRetry: false })
  frame.fill(0, 144)
  assert.equal(held.same(frame)?.frame, kept)
  assert.not(held.same(within(a, b.id, { connection, counter: 4 })))
  assert.not(held.same(within(identityOf(3), b.id, { connection, counter: 3 })))
  const other = connection.slice().fill(1, 8)
  assert.not(held.same(within(a, b.id, { connection: other, counter: 3 })))
})

test.run()
