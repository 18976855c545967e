/** Nodes that records tell of: who is dialled, who is believed, and who is let go when a list changes. */

import { toHex } from '../src/bytes.ts'
import { HEARTBEAT_MS } from '../src/limits.ts'
import { networkId } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { socketWorld } from './support/sockets.ts'

const test = suite('found')

test('a node that a record names is linked to, if it is the one', async () => {
  const world = socketWorld()
  const [a, b] = [await world.start('a.example'), await world.start('b.example')]
  const c = await world.start('c.example')
  c.useFound([
    { url: 'https://a.example', node: a.id },
    { url: 'https://b.example', node: a.id },
  ])
  await world.clock.advance(3_000)
  assert.is(world.neighbours(c), 1)
  assert.is(world.neighbours(b), 0, 'another node is there than the record says')
  assert.equal(c.nearHomes(), [
    { url: 'http://a.example', node: a.id, network: toHex(networkId('test')) },
  ])
  await world.close()
})

test('neither a node’s own record nor one of another network is dialled', async () => {
  const world = socketWorld()
  const a = await world.start('a.example')
  const own = toHex(networkId('test'))
  a.useFound([
    { url: 'https://a.example', node: a.id },
    { url: 'https://b.example', network: toHex(networkId('other')) },
    { url: 'https://c.example', network: own },
  ])
  await world.clock.advance(3_000)
  assert.equal([...new Set(world.dials.map(({ host }) => host))], ['c.example'])
  await world.close()
})

test('what a record names may lead to a local address only where that is allowed, or it is near', async () => {
  const world = socketWorld()
  const [strict, open] = [
    await world.start('a.example'),
    await world.start('b.example', { allowPrivate: true }),
  ]
  strict.useFound([{ url: 'http://10.0.0.1' }, { url: 'http://10.0.0.2', isNear: true }])
  open.useFound([{ url: 'http://10.0.0.3' }])
  await world.clock.advance(500)
  assert.equal(world.dials.map(({ host, allowPrivate }) => `${host} ${allowPrivate}`).sort(), [
    '10.0.0.1 false',
    '10.0.0.2 true',
    '10.0.0.3 true',
  ])
  await world.close()
})

test('a list that changes entirely is followed, and the links that are there stay', async () => {
  const world = socketWorld()
  const [a, b] = [await world.start('a.example'), await world.start('b.example')]
  const c = await world.start('c.example')
  c.useFound([{ url: 'https://a.example' }])
  await world.clock.advance(3_000)
  c.useFound([{ url: 'https://b.example' }])
  await world.clock.advance(3_000)
  assert.is(world.neighbours(c), 2)
  await a.close()
  const dialled = world.dials.length
  await world.clock.advance(3 * 60_000)
  assert.equal([b, c].map(world.neighbours), [1, 1])
  assert.is(world.dials.slice(dialled).filter(({ host }) => host === 'a.example').length, 0)
  await world.close()
})

test('who is taken off a list of members loses link and place, and who is put on it comes', async () => {
  const world = socketWorld()
  const listed = new Set<string>()
  const a = await world.start('a.example', { members: { listed, only: true, reserves: true } })
  const peers = { peers: ['https://a.example'] }
  const [b, c] = [await world.start('b.example', peers), await world.start('c.example', peers)]
  const homes = () => Object.keys(a.health().mesh.runtimes).sort()
  listed.add(b.id)
  await world.clock.advance(2 * 60_000)
  assert.equal(homes(), [a.id, b.id].sort())
  assert.equal([b, c].map(world.neighbours), [1, 0])
  listed.clear()
  listed.add(c.id)
  a.dismiss()
  await world.clock.advance(2 * 60_000 + HEARTBEAT_MS)
  assert.equal(homes(), [a.id, c.id].sort())
  assert.equal([b, c].map(world.neighbours), [0, 1])
  await world.close()
})

test.run()
