/** Cases of dials to homes without a link, and of what waits for them. */

import { manualClock } from '../../src/clock.ts'
import { randomBytes } from '../../src/crypto.ts'
import type { Directory } from '../../src/directory.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { DIAL_TIMEOUT_MS } from '../../src/limits.ts'
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
    for (let i = 1; i < count; i++) routes.send(signal(200), `home ${i}`, false)
    const outcome = await outcomeOf(() => routes.send(signal(200), `home ${count}`, false))
    routes.linked('home 1')
    routes.send(signal(200), `home ${count + 1}`, false)
    routes.close(new SignalMeshError('GOING_AWAY', 'over'))
    return outcome
  }),
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
  const failed: string[] = []
  const givenUp: Uint8Array[] = []
  const dials = createOnDemand({
    clock,
    dial: () => true,
    giveUp: (dhtKey) => void givenUp.push(dhtKey),
    onFailed: (home) => void failed.push(home),
  })
  return {
    clock,
    dials,
    failed,
    givenUp,
    begin: (home: string) => dials.begin(home, KEY),
    wait: (home: string, bytes: number) =>
      dials.wait(home, { frame: new Uint8Array(bytes), isRetry: false }),
  }
}

/** A frame of so many bytes. */
const signal = (bytes: number): Uint8Array => randomBytes(bytes)
