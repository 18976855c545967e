/** Cases of applications between nodes: what a message, a frame and a name may take, how much waits and goes. */

import { decodeAppPart, encodeAppPart } from '../../src/appframes.ts'
import { APP_COST_BYTES, type AppPort, type Apps, createApps } from '../../src/apps.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import * as limits from '../../src/limits.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, holds, outcomeOf, refuses, TAKEN } from './case.ts'

const NODE = 'a'.repeat(64)

export const apps: Cases = {
  MAX_APP_FRAME_BYTES: refuses('BAD_FRAME', (bytes) =>
    outcomeOf(() => decodeAppPart(frameOf(bytes))),
  ),
  MAX_APP_NAME_BYTES: refuses('BAD_ARGUMENT', (length) =>
    outcomeOf(() => openAt(ground().apps, 'n'.repeat(length))),
  ),
  MAX_APP_MESSAGE_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const { port } = ground()
    const outcome = await outcomeOf(() => port.send(NODE, new Uint8Array(bytes)))
    assert.is(await outcomeOf(() => port.send(NODE, new Uint8Array(1))), TAKEN)
    return outcome
  }),
  MAX_APP_QUEUE_BYTES: refuses('RATE_LIMITED', async (bytes) => {
    const { port, apps } = ground({ busy: true })
    const waiting: Promise<string>[] = []
    let left = bytes
    while (left > 0) {
      const cost = Math.min(left, limits.MAX_APP_MESSAGE_BYTES + APP_COST_BYTES)
      // What is left in the end is enough for an empty message.
      const now = left - cost > 0 && left - cost < APP_COST_BYTES ? cost - APP_COST_BYTES : cost
      waiting.push(outcomeOf(() => port.send(NODE, new Uint8Array(now - APP_COST_BYTES))))
      left -= now
    }
    await Promise.resolve()
    apps.unlinked(NODE)
    const outcomes = await Promise.all(waiting)
    const last = outcomes.pop()
    assert.ok(outcomes.every((one) => one === 'CLOSED'))
    return last === 'CLOSED' ? TAKEN : String(last)
  }),
  APP_BYTES_BURST: holds('goes at once, and no more than a frame above', 'so', async (bytes) => {
    const { port, sentBytes } = ground()
    flood(port, 2 * bytes)
    await Promise.resolve()
    return isAbout(sentBytes(), bytes)
  }),
  APP_BYTES_PER_SECOND: holds('goes in a second behind the burst', 'so', async (bytes) => {
    const { port, clock, sentBytes } = ground()
    flood(port, 3 * bytes)
    await Promise.resolve()
    const before = sentBytes()
    await clock.advance(500)
    // What a queue held is gone by then, so that it is not the queue that bounds.
    flood(port, bytes)
    await clock.advance(500)
    return isAbout(sentBytes() - before, bytes)
  }),
}

interface AppGround {
  readonly apps: Apps
  readonly port: AppPort
  readonly clock: ManualClock
  /** With what each frame counts beside its bytes. */
  sentBytes(): number
}

function ground({ busy = false } = {}): AppGround {
  const clock = manualClock()
  let sentBytes = 0
  const apps = createApps({
    clock,
    nodes: () => [NODE],
    waitingBytes: () => (busy ? limits.CARRY_AHEAD_BYTES : 0),
    send: (_node, frame) => {
      sentBytes += frame.length + APP_COST_BYTES
      return true
    },
  })
  return { apps, port: openAt(apps, 'test'), clock, sentBytes: () => sentBytes }
}

function openAt(apps: Apps, name: string): AppPort {
  const nothing = (): void => undefined
  return apps.open(name, { takes: () => true, onMessage: nothing, onUp: nothing, onDown: nothing })
}

/** As much as there is room for. */
function flood(port: AppPort, bytes: number): void {
  for (let at = 0; at < bytes; at += 1_000_000) {
    port.send(NODE, new Uint8Array(1_000_000)).catch(() => undefined)
  }
}

function isAbout(sent: number, bytes: number): string {
  return Math.abs(sent - bytes) <= 2 * limits.MAX_APP_FRAME_BYTES ? 'so' : `${sent}`
}

function frameOf(bytes: number): Uint8Array {
  const empty = encodeAppPart({
    app: 'a',
    message: 0,
    part: 0,
    isLast: true,
    bytes: new Uint8Array(0),
  })
  const frame = new Uint8Array(bytes)
  frame.set(empty)
  return frame
}
