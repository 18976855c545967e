/** Cases of the rates at which a node takes gossip and pulls; what is over them is dropped or waits. */

import type { Batch, Head } from '../../src/batch.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import * as limits from '../../src/limits.ts'
import { createPace, type Pace } from '../../src/pace.ts'
import { assert } from '../harness/suite.ts'
import { type Case, type Cases, changesAt, DROPPED, drops, type Run, TAKEN } from './case.ts'

const [A, B, HOME, OTHER] = ['neighbour a', 'neighbour b', 'home', 'another home'] as const

const packet = (pace: Pace, bytes: number, by: string = A): boolean => pace.takesPacket(by, bytes)
const records = (pace: Pace, count: number, by: string = A): boolean =>
  pace.takesNews(by, batchOf(OTHER, count, 0))
const head = (pace: Pace, by: string = A): boolean => pace.takesNews(by, headOf(OTHER))
const newHome = (pace: Pace, by: string = A): boolean => pace.takesHome(by)
const oldWord = (pace: Pace, by: string = A): boolean => pace.takesOld(by)
const homeRecords = (pace: Pace, count: number, of: string = HOME): boolean =>
  pace.takesOfHome(batchOf(of, count, 0))
const homeBytes = (pace: Pace, bytes: number, of: string = HOME): boolean =>
  pace.takesOfHome(batchOf(of, 0, bytes))
const homeHead = (pace: Pace, of: string = HOME): boolean => pace.takesOfHome(headOf(of))

export const pace: Cases = {
  GOSSIP_BYTES_BURST: burst(
    (at, count) => packet(at, count),
    (at) => packet(at, 1, B),
  ),
  GOSSIP_BYTES_PER_SECOND: perSecond(limits.GOSSIP_BYTES_BURST, packet, (at) => packet(at, 1, B)),
  GOSSIP_RECORDS_BURST: burst(
    (at, count) => records(at, count),
    (at) => records(at, 1, B),
  ),
  GOSSIP_RECORDS_PER_SECOND: perSecond(limits.GOSSIP_RECORDS_BURST, records, (at) =>
    records(at, 1, B),
  ),
  GOSSIP_HEADS_BURST: burst(each(head), (at) => head(at, B)),
  GOSSIP_HEADS_PER_SECOND: perSecond(limits.GOSSIP_HEADS_BURST, each(head), (at) => head(at, B)),
  NEW_HOMES_BURST: burst(each(newHome), (at) => newHome(at, B)),
  NEW_HOMES_PER_SECOND: perSecond(limits.NEW_HOMES_BURST, each(newHome), (at) => newHome(at, B)),
  OLD_WORDS_BURST: burst(each(oldWord), (at) => oldWord(at, B)),
  OLD_WORDS_PER_SECOND: perSecond(limits.OLD_WORDS_BURST, each(oldWord), (at) => oldWord(at, B)),
  HOME_RECORDS_BURST: burst(homeRecords, (at) => homeRecords(at, 1, OTHER)),
  HOME_RECORDS_PER_SECOND: perSecond(limits.HOME_RECORDS_BURST, homeRecords, (at) =>
    homeRecords(at, 1, OTHER),
  ),
  HOME_BYTES_BURST: burst(homeBytes, (at) => homeBytes(at, 1, OTHER)),
  HOME_BYTES_PER_SECOND: perSecond(limits.HOME_BYTES_BURST, homeBytes, (at) =>
    homeBytes(at, 1, OTHER),
  ),
  HOME_HEADS_BURST: burst(each(homeHead), (at) => homeHead(at, OTHER)),
  HOME_HEADS_PER_SECOND: perSecond(limits.HOME_HEADS_BURST, each(homeHead), (at) =>
    homeHead(at, OTHER),
  ),
  PULL_BYTES_BURST: pulls((at, bytes) => at.pulled(A, HOME, bytes)),
  PULL_BYTES_PER_SECOND: pulls(async (at, bytes, clock) => {
    at.pulled(A, OTHER, limits.PULL_BYTES_BURST)
    await clock.advance(1000)
    at.pulled(A, OTHER, bytes)
  }),
  HOME_PULL_BYTES_PER_SECOND: pulls(async (at, bytes, clock) => {
    at.pulled(B, HOME, limits.PULL_BYTES_BURST)
    await clock.advance(1000)
    at.pulled(B, HOME, bytes)
  }),
}

type Take = (pace: Pace, count: number) => boolean

/** Takes so many one by one. */
function each(one: (pace: Pace) => boolean): Take {
  return (pace, count) => {
    for (let i = 1; i < count; i++) assert.ok(one(pace), `the ${i}th of ${count}`)
    return one(pace)
  }
}

function burst(take: Take, beside: (pace: Pace) => boolean): Case {
  const run: Run = (count) => {
    const pace = createPace(manualClock())
    const taken = take(pace, count)
    assert.ok(beside(pace), 'who is beside has its own')
    return taken ? TAKEN : DROPPED
  }
  return drops(run)
}

function perSecond(burst: number, take: Take, beside: (pace: Pace) => boolean): Case {
  return drops(async (count) => {
    const clock = manualClock()
    const pace = createPace(clock)
    assert.ok(take(pace, burst))
    await clock.advance(1000)
    const taken = take(pace, count)
    assert.ok(beside(pace), 'who is beside has its own')
    return taken ? TAKEN : DROPPED
  })
}

/** A pull waits when all is spent, and only then. */
function pulls(
  spend: (pace: Pace, bytes: number, clock: ManualClock) => void | Promise<void>,
): Case {
  const run: Run = async (bytes) => {
    const clock = manualClock()
    const pace = createPace(clock)
    await spend(pace, bytes, clock)
    let [gone, besideGone] = [false, false]
    void pace.pullTurn(A, HOME).then(() => (gone = true))
    void pace.pullTurn('neighbour c', 'a third home').then(() => (besideGone = true))
    await clock.advance(0)
    assert.ok(besideGone, 'who is beside has its own')
    const atOnce = gone
    await clock.advance(1000)
    assert.ok(gone, 'and goes on when there is more')
    return atOnce ? 'going on' : 'waiting'
  }
  return changesAt('going on', 'waiting', run, 'bytes')
}

function batchOf(home: string, ops: number, bytes: number): Batch {
  const said = { kind: 'batch', home, ops: { length: ops }, bytes: { length: bytes } }
  return said as unknown as Batch
}

function headOf(home: string): Head {
  return { kind: 'head', home } as unknown as Head
}
