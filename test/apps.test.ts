/** Applications beside nodes: whole messages over links, in order, within bounds, and nothing from who has no say. */

import { encodeAppPart } from '../src/appframes.ts'
import { type AppHandlers, type Apps, createApps } from '../src/apps.ts'
import { manualClock } from '../src/clock.ts'
import {
  APP_BYTES_BURST,
  CARRY_AHEAD_BYTES,
  CARRY_TURN_MS,
  MAX_APP_MESSAGE_BYTES,
} from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'

const test = suite('apps')
const A = 'a'.repeat(64)
const B = 'b'.repeat(64)

interface Side {
  readonly apps: Apps
  readonly got: { readonly text: string; readonly from: string }[]
  readonly told: string[]
  waitingBytes: number | undefined
  frames: Uint8Array[]
}

/** One node's side, whose frames go nowhere but into a list. */
function side(
  handlers: Partial<AppHandlers> = {},
): Side & { clock: ReturnType<typeof manualClock> } {
  const clock = manualClock()
  const self: Side = {
    apps: createApps({
      clock,
      nodes: () => (self.waitingBytes === undefined ? [] : [B]),
      waitingBytes: () => self.waitingBytes,
      send: (_node, frame) => self.frames.push(frame) > 0,
    }),
    got: [],
    told: [],
    waitingBytes: 0,
    frames: [],
  }
  self.apps.open('test', {
    takes: () => true,
    onMessage: (bytes, from) => self.got.push({ text: `${bytes.length}`, from }),
    onUp: (node) => self.told.push(`up ${node[0]}`),
    onDown: (node) => self.told.push(`down ${node[0]}`),
    ...handlers,
  })
  return Object.assign(self, { clock })
}

function part(message: number, number: number, isLast: boolean, bytes = 1): Uint8Array {
  return encodeAppPart({ app: 'test', message, part: number, isLast, bytes: new Uint8Array(bytes) })
}

test('a message of many parts comes whole, and names the node at the other end of the link', async () => {
  const { nodes, close } = await testMesh(2, { apps: true })
  const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  const got: { bytes: Uint8Array; from: string }[] = []
  const quiet = { takes: () => true, onUp: () => {}, onDown: () => {} }
  b.openApp('test', { ...quiet, onMessage: (bytes, from) => void got.push({ bytes, from }) })
  const port = a.openApp('test', { ...quiet, onMessage: () => {} })
  assert.equal(port.nodes, [b.id])
  const sent = new Uint8Array(100_000).map((_, i) => i % 251)
  await port.send(b.id, sent)
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(got, [{ bytes: sent, from: a.id }])
  await close()
})

test('a node made without applications is sent none, and opens no place for one', async () => {
  const { nodes, close } = await testMesh(2)
  const [a] = nodes as [(typeof nodes)[0]]
  const nothing = { takes: () => true, onMessage: () => {}, onUp: () => {}, onDown: () => {} }
  assert.throws(() => a.openApp('test', nothing), /apps: true/)
  await close()
})

test('what is not open, or comes from a node that the application does not read, is dropped', () => {
  const closed = side({ takes: (node) => node === A })
  closed.apps.receive(part(0, 0, true), B)
  assert.equal([closed.got.length, closed.apps.counters.dropped], [0, 1])
  closed.apps.receive(part(0, 0, true), A)
  assert.equal(closed.got, [{ text: '1', from: A }])
  const other = encodeAppPart({
    app: 'x',
    message: 0,
    part: 0,
    isLast: true,
    bytes: new Uint8Array(1),
  })
  closed.apps.receive(other, A)
  assert.is(closed.apps.counters.dropped, 2)
})

test('a message of which a part was lost is never put together', () => {
  const { apps, got } = side()
  apps.receive(part(4, 0, false), A)
  apps.receive(part(4, 2, true), A)
  apps.receive(part(5, 0, false), A)
  apps.receive(part(6, 1, true), A)
  assert.equal([got.length, apps.counters.dropped], [0, 2])
  apps.receive(part(7, 0, false), A)
  apps.receive(part(7, 0, false), B)
  apps.receive(part(7, 1, true), A)
  assert.equal(got, [{ text: '2', from: A }])
})

test('a message over the bound ends the link, as do parts that hold nothing', () => {
  const { apps } = side()
  const parts = Math.ceil(MAX_APP_MESSAGE_BYTES / 16_000)
  assert.throws(() => {
    for (let i = 0; i <= parts; i++) apps.receive(part(0, i, false, 16_000), A)
  }, /over/)
  assert.throws(() => apps.receive(part(0, 0, false, 0), B), /empty part/)
})

test('frames wait while the link is busy, so that a signal stands behind no more than a little', async () => {
  const self = side()
  const port = self.apps.open('more', {
    takes: () => true,
    onMessage: () => {},
    onUp: () => {},
    onDown: () => {},
  })
  self.waitingBytes = CARRY_AHEAD_BYTES
  let isGone = false
  const gone = port.send(B, new Uint8Array(40_000)).then(() => (isGone = true))
  await self.clock.advance(CARRY_TURN_MS)
  assert.equal([self.frames.length, isGone], [0, false])
  self.waitingBytes = CARRY_AHEAD_BYTES - 1
  await self.clock.advance(CARRY_TURN_MS)
  await gone
  assert.is(self.frames.length, 3)
  assert.ok(self.frames.every(([kind]) => kind === FRAME.app))
})

test('what waits for a node is refused when its link has gone, and the application hears of both', async () => {
  const self = side()
  const port = self.apps.open('more', {
    takes: () => true,
    onMessage: () => {},
    onUp: () => {},
    onDown: () => {},
  })
  self.apps.linked(B)
  self.waitingBytes = CARRY_AHEAD_BYTES
  const failed = port.send(B, new Uint8Array(1)).catch((error: { code: string }) => error.code)
  self.apps.unlinked(B)
  assert.is(await failed, 'CLOSED')
  assert.equal(self.told, ['up b', 'down b'])
  self.waitingBytes = undefined
  assert.is(await port.send(B, new Uint8Array(1)).catch(({ code }) => code), 'CLOSED')
})

test('who sends at its rate is taken, and who sends more loses the link', async () => {
  const { apps, clock, got } = side()
  const frames = Math.floor((2 * APP_BYTES_BURST) / (part(0, 0, true, 16_000).length + 256))
  for (let i = 0; i < frames; i++) apps.receive(part(i, 0, true, 16_000), A)
  assert.is(got.length, frames)
  assert.throws(() => apps.receive(part(0, 0, true, 16_000), A), /agreed on/)
  apps.receive(part(0, 0, true, 16_000), B)
  await clock.advance(1_000)
  apps.receive(part(0, 0, true, 16_000), A)
})

test.run()
