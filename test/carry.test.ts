/** Carrying at a node: for whom it carries, behind what, and how much. */

import {
  CARRY_AHEAD_BYTES,
  CARRY_PAIR_BYTES_PER_SECOND,
  CARRY_PAIR_DAY_BYTES,
  CARRY_PAIR_DAY_MINUTES,
  CARRY_WINDOW_BYTES,
  HEARTBEAT_MS,
  MAX_CARRIED_BYTES,
  SIGNALS_BURST,
} from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import {
  type CarryEdge,
  type CarryGround,
  carryGround,
  codeOfBegin,
  farPeer,
  THERE,
} from './support/carryground.ts'
import { testMesh } from './support/mesh.ts'
import { provenEdge } from './support/rawedge.ts'

const test = suite('carry')

const FAR = farPeer(1)

function begun(ground: CarryGround = carryGround()): { ground: CarryGround; edge: CarryEdge } {
  const edge = ground.edge(1)
  assert.is(codeOfBegin(ground, edge, FAR), '')
  return { ground, edge }
}

test('carries to the peer’s home, and from there, for an edge that has asked', () => {
  const { ground, edge } = begun()
  ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, 0))
  ground.carry.fromNode(ground.frame(FAR, edge.peer, 0), THERE)
  assert.is(ground.sent.length, 1)
  assert.is(edge.got.length, 1)
})

test('carries nothing to an edge that has not agreed, however much comes', () => {
  const ground = carryGround()
  const [edge, other] = [ground.edge(1), ground.edge(2)]
  assert.is(codeOfBegin(ground, edge, other.peer), '')
  for (let i = 0; i < 100; i++) {
    ground.carry.fromEdge(edge.session, ground.frame(edge.peer, other.peer, i))
    ground.carry.fromNode(ground.frame(FAR, other.peer, i), THERE)
  }
  assert.is(other.got.length, 0)
  assert.ok(ground.carry.counters.refused >= 200)
  assert.is(codeOfBegin(ground, other, edge.peer), '')
  ground.carry.fromEdge(edge.session, ground.frame(edge.peer, other.peer, 100))
  assert.is(other.got.length, 1)
})

test('carries nothing of a peer that another node brings than its home', () => {
  const { ground, edge } = begun()
  ground.carry.fromNode(ground.frame(FAR, edge.peer, 0), '0c'.repeat(32))
  assert.is(edge.got.length, 0)
})

test('carries nothing under another’s name', () => {
  const ground = carryGround()
  const [edge, mallory] = [ground.edge(1), ground.edge(3)]
  assert.is(codeOfBegin(ground, edge, FAR), '')
  ground.carry.fromEdge(mallory.session, ground.frame(edge.peer, FAR, 0))
  assert.is(ground.sent.length, 0)
})

test('a signal never stands behind more than a few carried frames', async () => {
  const { ground, edge } = begun()
  edge.isStuck = true
  const bytes = 16_000
  for (let i = 0; i < 8; i++) ground.carry.fromNode(ground.frame(FAR, edge.peer, i, bytes), THERE)
  assert.ok(edge.waitingBytes < CARRY_AHEAD_BYTES + MAX_CARRIED_BYTES, `${edge.waitingBytes}`)
  ground.linkBytes = CARRY_AHEAD_BYTES
  ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, 0))
  await ground.clock.advance(1000)
  assert.is(ground.sent.length, 0, 'a link that is busy')
  edge.waitingBytes = 0
  edge.isStuck = false
  ground.linkBytes = 0
  await ground.clock.advance(1000)
  assert.is(edge.got.length, 8)
  assert.is(ground.sent.length, 1)
})

test('a home without a link is dialled, and what is for it waits', async () => {
  const { ground, edge } = begun()
  ground.linkBytes = undefined
  ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, 0))
  await ground.clock.advance(1200)
  assert.ok(ground.reached.length >= 2 && ground.reached.length <= 4)
  ground.linkBytes = 0
  await ground.clock.advance(50)
  assert.is(ground.sent.length, 1)
})

test('an edge that goes on sending what is not carried loses its session', async () => {
  const mesh = await testMesh(1)
  const edge = await provenEdge(mesh, mesh.nodes[0]!)
  for (let i = 0; i < SIGNALS_BURST; i++) {
    edge.link.send(carryGround().frame(edge.identity.id, FAR, i))
  }
  await mesh.clock.advance(0)
  assert.is(edge.isClosed, false)
  edge.link.send(carryGround().frame(edge.identity.id, FAR, 1))
  await mesh.clock.advance(10)
  assert.is(edge.bye?.code, 'RATE_LIMITED')
  await mesh.close()
})

test('what waits already is not taken twice', () => {
  const { ground, edge } = begun()
  ground.linkBytes = undefined
  for (let i = 0; i < 1000; i++) {
    ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, 7, 10_000))
  }
  assert.equal(edge.ends, [])
})

for (const way of ['out', 'in'] as const) {
  test(`a flood ends the carrying at once: ${way}`, () => {
    const { ground, edge } = begun()
    ground.linkBytes = CARRY_AHEAD_BYTES
    edge.waitingBytes = CARRY_AHEAD_BYTES
    const push = (i: number): void => {
      if (way === 'out') {
        ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, i, 16_000))
      } else ground.carry.fromNode(ground.frame(FAR, edge.peer, i, 16_000), THERE)
    }
    for (let i = 0; i * 16_000 < 1.9 * CARRY_WINDOW_BYTES; i++) push(i)
    assert.equal(edge.ends.length, 0, 'a window and a half is no flood')
    for (let i = 100; i < 120; i++) push(i)
    assert.equal(
      edge.ends.map(({ error }) => error.code),
      ['TOO_MANY'],
    )
    assert.is(ground.carry.counters.pairs, 0)
  })
}

test('a pair has its bytes in a second, and waits for more', async () => {
  const { ground, edge } = begun()
  let counter = 0
  for (let ms = 0; ms < 10_000; ms += 20) {
    while (counter - ground.sent.length < 8) {
      ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, counter++, 16_000))
    }
    await ground.clock.advance(20)
  }
  const { bytes } = ground.carry.counters
  assert.ok(bytes < CARRY_PAIR_BYTES_PER_SECOND * 11.1, `${bytes}`)
  assert.ok(bytes > CARRY_PAIR_BYTES_PER_SECOND * 10.5, `${bytes}`)
  assert.equal(edge.ends, [])
})

test('a pair has its bytes in a day, and is told when they are used up', async () => {
  const { ground, edge } = begun()
  let counter = 0
  while (edge.ends.length === 0 && counter < 100_000) {
    for (let i = 0; i < 30; i++) {
      ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, counter++, 16_000))
    }
    ground.sent.length = 0
    await ground.clock.advance(1000)
  }
  assert.equal(
    edge.ends.map(({ error }) => error.code),
    ['RATE_LIMITED'],
  )
  const { bytes } = ground.carry.counters
  assert.ok(bytes > 0.95 * CARRY_PAIR_DAY_BYTES && bytes < 1.2 * CARRY_PAIR_DAY_BYTES, `${bytes}`)
  assert.is(codeOfBegin(ground, edge, FAR), 'RATE_LIMITED', 'nor begins it anew')
})

test('a pair has its minutes in a day', async () => {
  const { ground, edge } = begun()
  let minutes = 0
  for (let i = 0; edge.ends.length === 0 && minutes < 3 * CARRY_PAIR_DAY_MINUTES; i++) {
    await ground.clock.advance(HEARTBEAT_MS)
    ground.carry.fromNode(ground.frame(FAR, edge.peer, i), THERE)
    ground.carry.sweep()
    minutes += HEARTBEAT_MS / 60_000
  }
  assert.equal(
    edge.ends.map(({ error }) => error.code),
    ['RATE_LIMITED'],
  )
  // Half of what it uses comes back meanwhile.
  assert.ok(minutes >= CARRY_PAIR_DAY_MINUTES && minutes <= 2.1 * CARRY_PAIR_DAY_MINUTES)
})

test('a node that is told to carry less does', async () => {
  const ground = carryGround({ bytesPerSecond: 1000 })
  const { edge } = begun(ground)
  for (let i = 0; i < 10; i++) {
    ground.carry.fromEdge(edge.session, ground.frame(edge.peer, FAR, i, 1000))
  }
  await ground.clock.advance(3000)
  assert.ok(ground.sent.length >= 2 && ground.sent.length <= 4, `${ground.sent.length}`)
})

test('what an edge had goes with its session', () => {
  const { ground, edge } = begun()
  ground.carry.left(edge.session)
  assert.is(ground.carry.counters.pairs, 0)
})

test.run()
