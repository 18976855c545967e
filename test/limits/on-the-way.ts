/** Cases of signals on their way between homes: hops, what is held, who is known and counted. */

import { writer } from '../../src/bytes.ts'
import { manualClock } from '../../src/clock.ts'
import { randomBytes } from '../../src/crypto.ts'
import { createDirectory } from '../../src/directory.ts'
import { createInFlight } from '../../src/inflight.ts'
import { MAX_COUNTED } from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { createRates } from '../../src/opens.ts'
import { CLASS, encodeSignal, readControl, setHops, stamp } from '../../src/signal.ts'
import { createWhereabouts } from '../../src/whereabouts.ts'
import { identityOf, NETWORK as MAIN, presenceOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { NETWORK } from '../support/rawedge.ts'
import {
  type Cases,
  changesAfter,
  FORGOT,
  forgets,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'
import { beside, stranger } from './ground.ts'

export const onTheWay: Cases = {
  MAX_HOPS: refuses('REFUSED', (hops) =>
    beside(async ({ mesh, node, honest }) => {
      const neighbour = await stranger(mesh, node)
      const { publicKey } = neighbour.identity.keys
      const edge = identityOf(5)
      const { bytes } = presenceOf(edge, neighbour.identity.id, {
        network: NETWORK,
        seq: mesh.clock.nowMs(),
      })
      const frame = encodeSignal(NETWORK, {
        class: CLASS.open,
        phase: 0,
        from: edge.keys.publicKey,
        to: honest.identity.keys.publicKey,
        connection: randomBytes(16),
        counter: 0,
        payload: writer().block(bytes).done(),
      })
      stamp(frame, publicKey, 1)
      setHops(frame, hops)
      neighbour.link.send(frame)
      await mesh.clock.advance(0)
      const answer = neighbour.frames.find((one) => one[0] === FRAME.signal)
      assert.is(honest.ofKind(FRAME.signal).length, answer ? 0 : 1)
      return answer ? readControl(answer).code : TAKEN
    }),
  ),
  MAX_HELD_SIGNALS: forgets((count) => {
    const { held, frames } = inFlight(Array(count).fill(144))
    assert.ok(held.same(frames.at(-1) as Uint8Array))
    return held.same(frames[0] as Uint8Array) ? KEPT : FORGOT
  }),
  MAX_HELD_BYTES: forgets((bytes) => {
    const { held, frames } = inFlight([Math.floor(bytes / 2), Math.ceil(bytes / 2)])
    assert.ok(held.same(frames[1] as Uint8Array))
    return held.same(frames[0] as Uint8Array) ? KEPT : FORGOT
  }),
  HELD_MS: changesAfter('held', 'let go', async (ms) => {
    const { held, frames, clock } = inFlight([144])
    await clock.advance(ms)
    held.sweep()
    return held.same(frames[0] as Uint8Array) ? 'held' : 'let go'
  }),
  MAX_CALLERS: forgets((count) => {
    for (; shown.count < count; shown.count++) shown.note(shown.count)
    return shown.where.homeOf(identityOf(0).id) ? KEPT : FORGOT
  }),
  MAX_COUNTED: forgets(async (count) => {
    const rates = createRates(manualClock(), 1, 1)
    rates.count('first')
    // Twice as many are remembered, with the one that is asked for.
    for (let i = 2; i < MAX_COUNTED + count; i++) rates.count(`other ${i}`)
    return (await outcomeOf(() => rates.count('first'))) === TAKEN ? FORGOT : KEPT
  }),
}

/** Signals of these sizes, sent in this order and held. */
function inFlight(sizes: readonly number[]) {
  const clock = manualClock()
  const held = createInFlight(clock)
  const frames = sizes.map(signal)
  for (const frame of frames) held.add(frame, { home: 'home', link: 'home', isRetry: false })
  return { held, frames, clock }
}

/** A signal's frame of so many bytes, of a connection of its own. */
function signal(bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes)
  frame.set(randomBytes(144))
  return frame
}

/** Presences that edges have shown so far, over both trials: their signatures take a while. */
const shown = (() => {
  const clock = manualClock()
  const directory = createDirectory(MAIN)
  const where = createWhereabouts({ networkId: MAIN, directory, clock })
  const note = (number: number): void => {
    const edge = identityOf(number)
    assert.ok(where.note(presenceOf(edge, edge.id), edge.id))
  }
  return { where, note, count: 0 }
})()
