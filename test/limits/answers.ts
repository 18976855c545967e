/** Cases of what waits for readers, as answers or as news of the mesh: how much, and how long. */

import { createAnswers } from '../../runtimes/answers.ts'
import { MAX_ANSWERS_BYTES } from '../../runtimes/limits.ts'
import { manualClock } from '../../src/clock.ts'
import { assert } from '../harness/suite.ts'
import { outgoing } from '../support/outgoing.ts'
import { stuckLink, watched } from '../support/watched.ts'
import { type Cases, changesAt, DROPPED, drops, TAKEN } from './case.ts'

const QUARTER_BYTES = MAX_ANSWERS_BYTES / 4

export const answering: Cases = {
  MAX_ANSWERS_BYTES: drops((bytes) => {
    const { admit } = createAnswers(manualClock())
    for (let i = 1; i < 4; i++) assert.ok(admit(outgoing(`192.0.2.${i}`).out, QUARTER_BYTES))
    const isIn = admit(outgoing('192.0.2.9').out, bytes - 3 * QUARTER_BYTES)
    assert.ok(admit(outgoing('192.0.2.10').out, 1000), 'a small one always goes')
    return isIn ? TAKEN : DROPPED
  }),
  MAX_FREE_ANSWER_BYTES: drops((bytes) => {
    const { admit } = createAnswers(manualClock())
    for (let i = 0; i < 4; i++) assert.ok(admit(outgoing(`192.0.2.${i}`).out, QUARTER_BYTES))
    return admit(outgoing('192.0.2.9').out, bytes) ? TAKEN : DROPPED
  }),
  ANSWER_TIMEOUT_MS: changesAt('on its way', 'cut', async (ms) => {
    const clock = manualClock()
    const { admit } = createAnswers(clock)
    const [slow, quick] = [outgoing('192.0.2.1'), outgoing('192.0.2.2')]
    for (const { out } of [slow, quick]) assert.ok(admit(out, 10))
    quick.finish()
    await clock.advance(ms)
    assert.not.ok(quick.isCut)
    return slow.isCut ? 'cut' : 'on its way'
  }),
}

export const newsOfMesh: Cases = {
  WATCH_FLUSH_MS: changesAt('waits', 'told more', async (ms) => {
    const { clock, open } = watched()
    const slow = stuckLink()
    open(slow.link)
    const before = slow.bytes()
    slow.read()
    await clock.advance(ms)
    return slow.bytes() > before ? 'told more' : 'waits'
  }),
  WATCH_BEHIND_MS: changesAt('behind', 'closed', async (ms) => {
    const { clock, watching, open } = watched()
    open(stuckLink().link)
    await clock.advance(ms)
    return watching.count > 0 ? 'behind' : 'closed'
  }),
}
