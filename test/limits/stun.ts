/** Cases of what a STUN responder reads, and how often it answers. */

import { type ManualClock, manualClock } from '../../src/clock.ts'
import * as limits from '../../src/limits.ts'
import { answerStun, createStunResponder, type StunResponder } from '../../src/stun.ts'
import { assert } from '../harness/suite.ts'
import { type Case, type Cases, caps, DROPPED, drops, TAKEN } from './case.ts'

const FROM = { address: '203.0.113.7', port: 4000 }

export const stun: Cases = {
  // Lengths of STUN are multiples of four, so the next one above is four more.
  MAX_STUN_BYTES: {
    run: (bytes) => (answerStun(requestOf(bytes), FROM) ? TAKEN : DROPPED),
    trials: (limit) => [
      { title: `reads ${limit} bytes`, amount: limit, outcome: TAKEN },
      { title: `drops ${limit + 4} bytes`, amount: limit + 4, outcome: DROPPED },
    ],
  },
  MAX_STUN_UNKNOWN: caps((count) => {
    const answer = answerStun(requestOf(20, count), FROM) as Uint8Array
    // Behind the header and ERROR-CODE of 8 bytes: the attribute's length, two bytes for each name.
    return `${(((answer[30] ?? 0) << 8) | (answer[31] ?? 0)) / 2}`
  }),
  STUN_BURST: burst(() => FROM.address, 'another address has its own'),
  STUN_PER_SECOND: perSecond(limits.STUN_BURST, () => FROM.address),
  STUN_TOTAL_BURST: burst(addressOf),
  STUN_TOTAL_PER_SECOND: perSecond(limits.STUN_TOTAL_BURST, addressOf),
}

function burst(address: (index: number) => string, beside?: string): Case {
  return drops((count) => {
    const answer = createStunResponder(manualClock())
    const taken = ask(answer, count, address)
    if (beside)
      assert.ok(
        ask(answer, 1, () => '198.51.100.1'),
        beside,
      )
    return taken ? TAKEN : DROPPED
  })
}

function perSecond(spent: number, address: (index: number) => string): Case {
  return drops(async (count) => {
    const clock: ManualClock = manualClock()
    const answer = createStunResponder(clock)
    assert.ok(ask(answer, spent, address))
    await clock.advance(1000)
    return ask(answer, count, (index) => address(index + spent)) ? TAKEN : DROPPED
  })
}

/** Whether the last of so many is answered, as all before it must be. */
function ask(answer: StunResponder, count: number, address: (index: number) => string): boolean {
  const request = requestOf(20)
  let answered = true
  for (let i = 1; i <= count; i++) {
    assert.ok(answered, `the ${i - 1}th of ${count}`)
    answered = answer(request, { address: address(i), port: 4000 }) !== undefined
  }
  return answered
}

/** Each another group. */
function addressOf(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
}

/** A binding request of this size, filled up with an attribute that may be ignored, then so many unknown ones. */
function requestOf(size: number, unknown = 0): Uint8Array {
  const bytes = size + 4 * unknown
  const request = new Uint8Array(bytes)
  const view = new DataView(request.buffer)
  view.setUint16(0, 1)
  view.setUint16(2, bytes - 20)
  view.setUint32(4, 0x2112a442)
  if (size > 20) {
    view.setUint16(20, 0x8022)
    view.setUint16(22, size - 24)
  }
  for (let i = 0; i < unknown; i++) view.setUint16(size + 4 * i, 0x0100 + i)
  return request
}
