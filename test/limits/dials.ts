/** Cases of dials to homes without a link, and of what waits for them. */

import { manualClock } from '../../src/clock.ts'
import { randomBytes } from '../../src/crypto.ts'
import type { Directory } from '../../src/directory.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { DIAL_RETRY_MAX_MS, DIAL_TIMEOUT_MS } from '../../src/limits.ts'
import { createOnDemand } from '../../src/ondemand.ts'
import { createRoutes, type Routes } from '../../src/routes.ts'
import { assert } from '../harness/suite.ts'
import {
  type Cases,
  changesAt,
  FORGOT,
  forgets,
  holds,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

const KEY = new Uint8Array(32)

export const dials: Cases = {
  MAX_DIALS: refuses('RATE_LIMITED', async (count) => {
    const routes = routesTo(count + 1)
    const send = (i: number): void => routes.send(signal(200), `home ${i}`, false, `192.0.2.${i}`)
    for (let i = 1; i < count; i++) send(i)
    const outcome = await outcomeOf(() => send(count))
    routes.linked('home 1')
    send(count + 1)
    routes.close(new SignalMeshError('GOING_AWAY', 'over'))
    return outcome
  }),
  MAX_DIALS_PER_EDGE: refuses('RATE_LIMITED', (count) => dialsOf(count, 'edge')),
  MAX_DIALS_PER_ADDRESS: refuses('RATE_LIMITED', (count) => dialsOf(count, 'address')),
  MAX_SIGNALS_PER_DIAL: refuses('RATE_LIMITED', async (count) => {
    const { dials, begin, wait } = ground()
    begin('home')
    begin('another')
    for (let i = 1; i < count; i++) wait('home', 1)
    const outcome = await outcomeOf(() => wait('home', 1))
    wait('another', 1)
    const waited = dials.linked('home').length
    assert.is(waited, outcome === TAKEN ? count : count - 1, 'what waited is not lost')
    dials.close()
    return outcome
  }),
  MAX_WAITING_BYTES: refuses('RATE_LIMITED', async (bytes) => {
    const { dials, begin, wait } = ground()
    begin('home')
    begin('another')
    wait('home', bytes - 1)
    const outcome = await outcomeOf(() => wait('another', 1))
    dials.linked('home')
    wait('another', bytes - 1)
    dials.close()
    return outcome
  }),
  BUSY_RETRY_MS: holds('is said to who meets a full dial', 'RATE_LIMITED, the same', async (ms) => {
    const { begin, wait, dials } = ground()
    begin('home')
    for (;;) {
      try {
        wait('home', 1)
      } catch (error) {
        const { code, retryAfterMs } = error as SignalMeshError
        dials.close()
        return `${code}, ${retryAfterMs === ms ? 'the same' : retryAfterMs}`
      }
    }
  }),
  MAX_ON_DEMAND_LINKS: forgets((count) => {
    const { dials, begin, givenUp } = ground()
    for (let i = 0; i < count; i++) {
      begin(`home ${i}`)
      dials.linked(`home ${i}`)
    }
    assert.ok(givenUp.length <= 1)
    return givenUp.length === 0 ? KEPT : FORGOT
  }),
  DIAL_TIMEOUT_MS: changesAt('waiting', 'given up', async (ms) => {
    const { dials, begin, wait, failed, clock } = ground()
    begin('home')
    wait('home', 1)
    await clock.advance(ms)
    dials.close()
    return failed.length ? 'given up' : 'waiting'
  }),
  DIAL_RETRY_MS: changesAt('left alone', 'dialled again', async (ms) => {
    const { dials, begin, clock } = ground()
    begin('home')
    await clock.advance(DIAL_TIMEOUT_MS)
    await clock.advance(ms)
    const isAgain = begin('home')
    dials.close()
    return isAgain ? 'dialled again' : 'left alone'
  }),
  HOME_SETTLES_MS: changesAt('waited for', 'as good as gone', async (ms) => {
    const { dials, clock } = ground()
    await clock.advance(ms)
    const isWaiting = dials.settle('home', { edge: 'a', group: '' })
    dials.close()
    return isWaiting ? 'waited for' : 'as good as gone'
  }),
  WAY_LOOK_MS: changesAt('waiting', 'looked for again', async (ms) => {
    const { dials, clock, wait, again } = ground()
    dials.settle('home', { edge: 'a', group: '' })
    wait('home', 1)
    await clock.advance(ms)
    dials.close()
    return again.length ? 'looked for again' : 'waiting'
  }),
  DIAL_RETRY_MAX_MS: changesAt('left alone', 'dialled again', async (ms) => {
    const { dials, begin, clock } = ground()
    for (let i = 0; i < 8; i++) {
      assert.ok(begin('home'))
      await clock.advance(DIAL_TIMEOUT_MS)
      await clock.advance(i < 7 ? DIAL_RETRY_MAX_MS : ms)
    }
    const isAgain = begin('home')
    assert.ok(begin('another'), 'others are dialled at once')
    dials.close()
    return isAgain ? 'dialled again' : 'left alone'
  }),
}

/** So many homes are dialled for one edge, or for edges of one address; another's are dialled beside. */
async function dialsOf(count: number, of: 'edge' | 'address'): Promise<string> {
  const routes = routesTo(count + 1)
  const send = (i: number, address: string): Promise<string> => {
    const frame = signal(200)
    frame.set(new Uint8Array(32).fill(of === 'edge' ? 1 : i), 16)
    return outcomeOf(() => routes.send(frame, `home ${i}`, false, address))
  }
  const addressOf = (i: number): string => (of === 'edge' ? `192.0.2.${i}` : '192.0.2.1')
  for (let i = 1; i < count; i++) assert.is(await send(i, addressOf(i)), TAKEN)
  const outcome = await send(count, addressOf(count))
  routes.linked('home 1')
  assert.is(await send(count + 1, addressOf(count + 1)), TAKEN, 'and one more when one is over')
  routes.close(new SignalMeshError('GOING_AWAY', 'over'))
  return outcome
}

/** Routes to homes that can be dialled and have no link yet. */
function routesTo(count: number): Routes {
  const contact = { dhtKey: KEY, urls: [], vias: [] }
  const homes = new Map(Array.from({ length: count }, (_, i) => [`home ${i + 1}`, { contact }]))
  return createRoutes({
    directory: { homes } as unknown as Directory,
    clock: manualClock(),
    isLinked: () => false,
    send: () => false,
    dial: () => true,
    giveUp: () => undefined,
    onSent: () => undefined,
    onRefused: () => undefined,
  })
}

/** Dials that come to nothing by themselves. */
function ground() {
  const clock = manualClock()
  const cameAtMs = clock.monotonicMs()
  const again: string[] = []
  const failed: string[] = []
  const givenUp: Uint8Array[] = []
  const dials = createOnDemand({
    clock,
    dial: () => true,
    giveUp: (dhtKey) => void givenUp.push(dhtKey),
    onFailed: (home) => void failed.push(home),
    cameAtMs: () => cameAtMs,
    onAgain: (home) => void again.push(home),
  })
  return {
    clock,
    dials,
    failed,
    again,
    givenUp,
    begin: (home: string) => dials.begin(home, KEY, { edge: home, group: home }),
    wait: (home: string, bytes: number) =>
      dials.wait(home, { frame: new Uint8Array(bytes), isRetry: false }),
  }
}

/** A frame of so many bytes. */
const signal = (bytes: number): Uint8Array => randomBytes(bytes)
