/** Attacks on what homes carry: by a peer that asks twice, by a home that plays a dead peer, by edges that only hold a node up. */

import { concat, writer } from '../../src/bytes.ts'
import { carryHeader } from '../../src/carryframes.ts'
import { manualClock } from '../../src/clock.ts'
import { createCarried } from '../../src/edge/carried.ts'
import type { Carrier } from '../../src/edge/carrier.ts'
import { createCarrying } from '../../src/edge/carrying.ts'
import { CARRY_AHEAD_BYTES, CARRY_DEAD_MS, MAX_CARRIES_PER_EDGE } from '../../src/limits.ts'
import { cipherKey, sealAt } from '../../src/noise.ts'
import { codeOf } from '../fixtures/errors.ts'
import { assert, suite } from '../harness/suite.ts'
import { CONNECTION, carryGround, farPeer, THERE } from '../support/carryground.ts'

const test = suite('attacks on what is carried')

const IDS = { from: new Uint8Array(32), to: new Uint8Array(32), connection: new Uint8Array(16) }

test('a peer that asks twice to be carried gets a typed error, and ends no process', async () => {
  const key = cipherKey(new Uint8Array(32))
  const carrying = createCarrying({
    ...IDS,
    clock: manualClock(),
    initiator: false,
    carrier: {
      begin: async () => undefined,
      end: () => undefined,
      wake: () => undefined,
    } as Partial<Carrier> as Carrier,
    keys: () => ({ tx: key, rx: key }),
    say: () => undefined,
    onOpen: () => undefined,
    onPiece: () => undefined,
    onFailed: () => undefined,
    renew: () => undefined,
  })
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  carrying.take(Uint8Array.of(1))
  const code = codeOf(() => carrying.take(Uint8Array.of(1)))
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('unhandledRejection', note)
  assert.equal(unhandled, [], 'Node ends a process for one of these')
  assert.is(code, 'BAD_FRAME')
  carrying.stop()
})

test('a home cannot keep up a connection with a peer that is gone by playing its last word again', async () => {
  const clock = manualClock()
  const key = cipherKey(new Uint8Array(32))
  let failure = ''
  const carried = createCarried({
    ...IDS,
    clock,
    keys: { tx: key, rx: key },
    wake: () => undefined,
    onHeard: () => undefined,
    onPiece: () => undefined,
    onFailed: ({ code }) => (failure = code),
  })
  const header = carryHeader({ ...IDS, isWord: true, counter: 0 })
  const plain = writer(9).u64(0).u8(0).done()
  const word = concat(header, sealAt(key, 2 ** 52, header, plain))
  for (let ms = 0; ms < 3 * CARRY_DEAD_MS; ms += 1000) {
    carried.receive(word.slice())
    await clock.advance(1000)
  }
  assert.is(failure, 'TIMEOUT')
})

test('pairs that can send nothing cost no look for each frame of the others', async () => {
  const ground = carryGround()
  let looks = 0
  // Edges whose sockets are full: what is carried for them waits.
  for (let number = 1; number <= 4; number++) {
    const stuck = ground.edge(number)
    Object.defineProperty(stuck.session, 'link', {
      value: {
        get bufferedBytes() {
          looks += 1
          return CARRY_AHEAD_BYTES
        },
      },
    })
    for (let i = 0; i < MAX_CARRIES_PER_EDGE - 1; i++) {
      const peer = farPeer(100 * number + i)
      ground.carry.begin(stuck.session, { peer, connection: CONNECTION })
      ground.carry.fromNode(ground.frame(peer, stuck.peer, 0), THERE)
    }
  }
  const busy = ground.edge(9, '198.51.100.1')
  ground.carry.begin(busy.session, { peer: farPeer(1), connection: CONNECTION })
  looks = 0
  const frames = 300
  for (let counter = 0; counter < frames; counter++) {
    ground.carry.fromEdge(busy.session, ground.frame(busy.peer, farPeer(1), counter, 1))
  }
  await ground.clock.advance(10)
  assert.is(ground.sent.length, frames)
  assert.ok(looks <= 3 * 4 * (MAX_CARRIES_PER_EDGE - 1), `${looks} looks at pairs that wait`)
  ground.carry.close()
})

test('a pair of which nothing comes from the peer takes no place for long, and one that is alive stays', async () => {
  const { clock, carry, edge, frame } = carryGround()
  const [alone, alive, near, other] = [edge(1), edge(2), edge(3), edge(4)]
  carry.begin(alone.session, { peer: farPeer(1), connection: CONNECTION })
  carry.begin(alive.session, { peer: farPeer(2), connection: CONNECTION })
  carry.begin(near.session, { peer: other.peer, connection: CONNECTION })
  carry.begin(other.session, { peer: near.peer, connection: CONNECTION })
  for (let i = 0; i < 20; i++) {
    await clock.advance(10_000)
    carry.fromEdge(alone.session, frame(alone.peer, farPeer(1), i))
    carry.fromNode(frame(farPeer(2), alive.peer, i), THERE)
    carry.fromEdge(near.session, frame(near.peer, other.peer, i))
    carry.fromEdge(other.session, frame(other.peer, near.peer, i))
    carry.sweep()
  }
  assert.equal(
    alone.ends.map(({ error }) => error.code),
    ['TIMEOUT'],
  )
  assert.is(carry.counters.pairs, 3)
  carry.close()
})

test.run()
