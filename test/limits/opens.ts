/** Cases of the rates of what edges and nodes may begin: signals, openings, requests, first frames. */

import { fromHex } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import * as limits from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { createOpens, type Opens } from '../../src/opens.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { createSamples } from '../../src/samples.ts'
import { readControl } from '../../src/signal.ts'
import { identityOf, tagOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { codeOf, provenEdge } from '../support/rawedge.ts'
import { type Case, type Cases, DROPPED, drops, outcomeOf, refuses, TAKEN } from './case.ts'
import { beside, signalTo } from './ground.ts'

/** One opening, by what it is counted; the number makes all else different. */
type Begin = (opens: Opens, number: number, who: string) => void

const bySender: Begin = (opens, i, who) => opens.toEdge(who, `target ${i}`, undefined)
const toTarget: Begin = (opens, i, who) => opens.toEdge(`sender ${i}`, who, undefined)
const fromAddress: Begin = (opens, _, who) => opens.fromAddress(who)
const fromNode: Begin = (opens, _, who) => opens.fromNode(who, false)
const byVia: Begin = (opens, _, who) => opens.fromNode(who, true)

export const rates: Cases = {
  SIGNALS_BURST: refuses('RATE_LIMITED', (count) => signals(count, false)),
  SIGNALS_PER_SECOND: refuses('RATE_LIMITED', (count) => signals(count, true)),
  REQUESTS_BURST: refuses('RATE_LIMITED', (count) => requests(count, false)),
  REQUESTS_PER_SECOND: refuses('RATE_LIMITED', (count) => requests(count, true)),
  OPENS_BURST: burst(bySender),
  OPENS_PER_SECOND: perSecond(limits.OPENS_BURST, bySender),
  TARGET_OPENS_BURST: burst(toTarget),
  TARGET_OPENS_PER_SECOND: perSecond(limits.TARGET_OPENS_BURST, toTarget),
  ADDRESS_OPENS_BURST: burst(fromAddress),
  ADDRESS_OPENS_PER_SECOND: perSecond(limits.ADDRESS_OPENS_BURST, fromAddress),
  NODE_OPENS_BURST: burst(fromNode),
  NODE_OPENS_PER_SECOND: perSecond(limits.NODE_OPENS_BURST, fromNode),
  VIA_OPENS_BURST: burst(byVia),
  VIA_OPENS_PER_SECOND: perSecond(limits.VIA_OPENS_BURST, byVia),
  SAMPLES_BURST: drops((count) => samples(count, 0)),
  SAMPLES_PER_SECOND: drops((count) => samples(limits.SAMPLES_BURST, count)),
}

function burst(begin: Begin): Case {
  return refuses('RATE_LIMITED', (count) => {
    const opens = createOpens(manualClock())
    return several(opens, begin, count)
  })
}

function perSecond(burst: number, begin: Begin): Case {
  return refuses('RATE_LIMITED', async (count) => {
    const clock = manualClock()
    const opens = createOpens(clock)
    assert.is(await several(opens, begin, burst), TAKEN)
    await clock.advance(1000)
    return several(opens, begin, count)
  })
}

/** So many of one, then one of another, which is always taken. */
async function several(opens: Opens, begin: Begin, count: number): Promise<string> {
  for (let i = 1; i < count; i++) begin(opens, i, '192.0.2.1')
  const outcome = await outcomeOf(() => begin(opens, count, '192.0.2.1'))
  begin(opens, count + 1, '192.0.2.2')
  return outcome
}

/** So many signals of one edge at once, after a burst and a second of rest or from the first. */
function signals(count: number, rested: boolean): Promise<string> {
  return beside(async ({ mesh, node, honest }) => {
    const raw = await provenEdge(mesh, node)
    const send = (times: number): void => {
      for (let i = 0; i < times; i++) raw.link.send(signalTo(raw, honest))
    }
    if (rested) {
      send(limits.SIGNALS_BURST)
      await mesh.clock.advance(1000)
    }
    const before = honest.ofKind(FRAME.signal).length
    send(count)
    await mesh.clock.advance(0)
    assert.not(raw.isClosed)
    const [word] = raw.ofKind(FRAME.signal)
    assert.is(honest.ofKind(FRAME.signal).length - before, word ? count - 1 : count)
    return word ? readControl(word).code : TAKEN
  })
}

function requests(count: number, rested: boolean): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const raw = await provenEdge(mesh, node)
    const body = fromHex(raw.identity.id)
    const ask = (times: number) =>
      Array.from({ length: times }, () => raw.request(EDGE_METHOD.lookup, body))
    if (rested) {
      ask(limits.REQUESTS_BURST)
      await mesh.clock.advance(1000)
    }
    const answers = ask(count)
    await mesh.clock.advance(0)
    for (const answer of answers.slice(0, -1)) answer()
    assert.not(raw.isClosed)
    const code = await codeOf(answers.at(-1) as () => Uint8Array)
    return code === 'nothing was thrown' ? TAKEN : code
  })
}

/** First frames to one address: so many at once, and so many more a second later. */
async function samples(atOnce: number, later: number): Promise<string> {
  const clock: ManualClock = manualClock()
  const { id } = identityOf(1)
  const directory = {
    discover: () => ({ total: 1, claims: [] }),
    locate: () => undefined,
  }
  const sample = createSamples({ clock, directory })
  const named = { tags: [tagOf(1)], peer: id }
  const isTold = (address: string): boolean => sample(address, named).topics.length === 1
  const told: boolean[] = []
  for (let i = 0; i < atOnce; i++) told.push(isTold('192.0.2.1'))
  await clock.advance(1000)
  for (let i = 0; i < later; i++) told.push(isTold('192.0.2.1'))
  assert.ok(isTold('192.0.2.2'), 'another address has its own')
  assert.ok(told.slice(0, -1).every(Boolean))
  return told.at(-1) ? TAKEN : DROPPED
}
