/** Cases of what a link asks: pings, and the requests of a neighbour, which wait for their turn. */

import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import { keepAlive } from '../../src/keepalive.ts'
import {
  ANSWER_AGAIN_MS,
  MAX_BUFFERED_BYTES,
  NODE_REQUESTS_BURST,
  PONGS_BURST,
} from '../../src/limits.ts'
import { PING } from '../../src/messages.ts'
import type { Serve } from '../../src/rpc.ts'
import { createTurns, type Turns } from '../../src/turns.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, caps, changesAfter, changesAt } from './case.ts'

const NOTHING = new Uint8Array(0)

export const asking: Cases = {
  PONGS_BURST: caps((count) => `${pinged(manualClock()).ping(count)}`),
  PONGS_PER_SECOND: caps(async (count) => {
    const clock = manualClock()
    const { ping } = pinged(clock)
    assert.is(ping(PONGS_BURST), PONGS_BURST)
    await clock.advance(1000)
    return `${ping(count)}`
  }),
  NODE_REQUESTS_BURST: changesAfter(
    'answered',
    'waiting',
    async (count) => {
      const { ask } = neighbour()
      const answered = ask(count)
      await settle(1000)
      return answered.count === count ? 'answered' : 'waiting'
    },
    'requests',
  ),
  NODE_REQUESTS_PER_SECOND: changesAfter(
    'answered',
    'waiting',
    async (count) => {
      const { ask, clock } = neighbour()
      const answered = ask(NODE_REQUESTS_BURST + count)
      for (let i = 0; i < 1000; i++) await clock.advance(1)
      return answered.count === NODE_REQUESTS_BURST + count ? 'answered' : 'waiting'
    },
    'requests',
  ),
  ANSWER_AGAIN_MS: changesAt('waiting', 'answered', async (ms) => {
    const { ask, clock, link } = neighbour()
    link.bufferedBytes = MAX_BUFFERED_BYTES + 1
    const answered = ask(1)
    await settle()
    link.bufferedBytes = 0
    await clock.advance(ms)
    const outcome = answered.count === 1 ? 'answered' : 'waiting'
    await clock.advance(ANSWER_AGAIN_MS)
    assert.is(answered.count, 1)
    return outcome
  }),
}

/** A link whose other end pings; gives how many pongs so many pings bring. */
function pinged(clock: ManualClock) {
  let pongs = 0
  const send = (): void => {
    pongs += 1
  }
  const alive = keepAlive({ send, close: () => undefined, bufferedBytes: 0 }, clock)
  alive.stop()
  const ping = (count: number): number => {
    const before = pongs
    for (let i = 0; i < count; i++) assert.ok(alive.heard(PING))
    return pongs - before
  }
  return { ping }
}

/** A neighbour that asks; another beside it is answered at once, whatever it does. */
function neighbour() {
  const clock = manualClock()
  const link = { bufferedBytes: 0, close: () => undefined }
  const turns: Turns = createTurns(clock)
  const serve: Serve = turns('neighbour', link, () => NOTHING)
  const beside: Serve = turns(
    'another',
    { bufferedBytes: 0, close: () => undefined },
    () => NOTHING,
  )
  const ask = (count: number): { count: number } => {
    const answered = { count: 0 }
    const note = (): void => {
      answered.count += 1
    }
    for (let i = 0; i < count; i++) void Promise.resolve(serve(1, NOTHING)).then(note)
    void beside(1, NOTHING)
    return answered
  }
  return { ask, clock, link }
}
