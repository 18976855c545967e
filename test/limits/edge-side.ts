/** Cases of what an edge keeps by itself: attempts, calls, signals and messages under way. */

import { manualClock, settle } from '../../src/clock.ts'
import { makeConnection } from '../../src/edge/connection.ts'
import { createEnded } from '../../src/edge/ended.ts'
import { createFlow, PART_COST_BYTES } from '../../src/edge/flow.ts'
import { createKnown } from '../../src/edge/known.ts'
import type { Rtc } from '../../src/edge/rtc.ts'
import { FRAME } from '../../src/messages.ts'
import { identityOf, NETWORK, presenceOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { during, testMesh } from '../support/mesh.ts'
import { noWhy } from '../support/rtc.ts'
import { callPair, sealedPair } from './calls-ground.ts'
import {
  type Cases,
  caps,
  changesAt,
  FORGOT,
  forgets,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

export const edgeSide: Cases = {
  CHANNEL_PART_BYTES: refuses('BAD_FRAME', async (bytes) => {
    const { receive } = createFlow({ write: async () => undefined, onMessage: () => undefined })
    const outcome = await outcomeOf(() => receive(new Uint8Array(1 + bytes)))
    receive(Uint8Array.of(0))
    return outcome
  }),
  CHANNEL_WINDOW_BYTES: changesAt(
    'sending',
    'waiting for a reader',
    async (bytes) => {
      let pieces = 0
      const { send } = createFlow({
        write: async () => void pieces++,
        onMessage: () => undefined,
      })
      const count = Math.floor(bytes / PART_COST_BYTES)
      for (let i = 1; i < count; i++) await send('')
      await send(new Uint8Array(bytes % PART_COST_BYTES))
      void send('one more')
      await settle()
      return pieces > count ? 'sending' : 'waiting for a reader'
    },
    'bytes',
  ),
  CLOSE_TIMEOUT_MS: changesAt('waiting', 'over', async (ms) => {
    const clock = manualClock()
    let isOver = false
    const rtc = { path: async () => undefined, send: async () => undefined } as unknown as Rtc
    const about = { id: 'ab'.repeat(32), topic: 'room', clock, rtc, why: noWhy }
    const { connection } = makeConnection(about, () => (isOver = true))
    await connection.send('last words')
    void connection.close()
    await clock.advance(ms)
    return isOver ? 'over' : 'waiting'
  }),
  MAX_KNOWN_PRESENCES: forgets((count) => {
    const known = createKnown(NETWORK)
    const shown = Array.from({ length: count }, (_, i) =>
      presenceOf(identityOf(i), 'ab'.repeat(32)),
    )
    for (const presence of shown) known.isAuthentic(presence)
    assert.ok(known.get(shown.at(-1)!.peer), 'the newest is known')
    return known.get(shown[0]!.peer) ? KEPT : FORGOT
  }),
  MAX_ATTEMPTS: refuses('TOO_MANY', async (count) => {
    const mesh = await testMesh(1)
    const [node] = mesh.nodes
    if (!node) throw new Error('No node')
    const edge = await mesh.edge(node)
    // No answer comes for a while, so that all attempts are under way at once.
    mesh.tap = (frame) => (frame[0] === FRAME.rpc ? [] : [frame])
    const attempts = Array.from({ length: count }, (_, i) =>
      edge.connect(identityOf(i).id, { topic: 'room', timeoutMs: 1000 }),
    )
    const last = attempts.pop() as Promise<unknown>
    for (const attempt of attempts) attempt.catch(() => undefined)
    const outcome = await outcomeOf(() => during(last, mesh.clock))
    mesh.tap = undefined
    await mesh.clock.advance(1000)
    await during(edge.advertise('room'), mesh.clock)
    await mesh.close()
    // The last one that was taken ran out of time like the others.
    return outcome === 'TIMEOUT' ? TAKEN : outcome
  }),
  MAX_ENDED_CALLS: forgets(async (count) => {
    const ended = createEnded()
    for (let i = 0; i < count; i++) ended.add(`${i}`)
    assert.ok(ended.has(`${count - 1}`))
    return ended.has('0') ? KEPT : FORGOT
  }),
  MAX_WAITING_SIGNALS: caps(async (count) => {
    const pair = sealedPair()
    for (let i = 1; i < count; i++) pair.initiator.send([{ kind: 'bye', reason: `${i}` }])
    // The last first: what is too far ahead is dropped.
    for (const frame of pair.sent.initiator.toReversed()) pair.responder.receive(frame)
    const heard = pair.heard.responder.length
    await pair.resend()
    assert.is(pair.heard.responder.length, count, 'and comes when it is sent again')
    pair.close()
    return `${heard}`
  }),
  MAX_UNACKED_SIGNALS: refuses('TOO_MANY', async (count) => {
    const pair = sealedPair()
    // The opening is one of them.
    for (let i = 2; i < count; i++) pair.initiator.send([{ kind: 'renegotiate' }])
    const outcome = await outcomeOf(() => pair.initiator.send([{ kind: 'renegotiate' }]))
    // Once it acknowledges, there is room again.
    for (const frame of pair.sent.initiator.slice()) pair.responder.receive(frame)
    await pair.clock.advance(100)
    for (const frame of pair.sent.responder.slice()) pair.initiator.receive(frame)
    pair.initiator.send([{ kind: 'renegotiate' }])
    pair.close()
    return outcome
  }),
  MAX_BAD_SIGNALS: refuses('BAD_FRAME', (count) => {
    const pair = sealedPair()
    const answer = pair.answer()
    const forged = answer.slice()
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
    for (let i = 1; i < count; i++) pair.initiator.receive(forged)
    pair.initiator.receive(answer)
    const outcome = pair.initiator.answered ? TAKEN : 'BAD_FRAME'
    pair.close()
    return outcome
  }),
  MAX_RESENDS: caps(async (count) => {
    const pair = sealedPair()
    // Twice as long each time.
    await pair.clock.advance(2_000 * 2 ** count)
    const resent = pair.sent.initiator.length - 1
    pair.close()
    return `${resent}`
  }),
  RESEND_AFTER_MS: changesAt('sent once', 'sent again', async (ms) => {
    const pair = sealedPair()
    await pair.clock.advance(ms)
    const { length } = pair.sent.initiator
    pair.close()
    return length === 1 ? 'sent once' : 'sent again'
  }),
  LINGER_MS: changesAt('answering', 'over', async (ms) => {
    const pair = await callPair()
    await pair.refuse()
    await pair.clock.advance(ms)
    const before = pair.sent()
    await pair.replay()
    await pair.clock.advance(200)
    const after = pair.sent()
    pair.close()
    return after > before ? 'answering' : 'over'
  }),
}
