/** Homes that are killed, stop or hang, and networks that go away: a page stays the same peer in a browser. */

import {
  BACKOFF_MAX_MS,
  MOVE_WITHIN_MS,
  PROBE_AFTER_MS,
  PROBE_TIMEOUT_MS,
  STANDBY_AFTER_MS,
} from '../src/limits.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'
import { chat, type Visitor } from './support/visitors.ts'

const test = suite('reconnect', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

/** One round trip on loopback, three signatures in the page, and a busy machine. */
const AT_ONCE_MS = 200
/** The home is asked after the first, given up after the second, and then the standby comes. */
const NOTICED_MS = 2 * PROBE_AFTER_MS + PROBE_TIMEOUT_MS + AT_ONCE_MS

interface Trial {
  readonly stage: Stage
  readonly ann: Visitor
  readonly bob: Visitor
  readonly cat: Visitor
}

/** Ann at node 0 with a standby and a connection to Bob; Bob and Cat at node 2. */
async function openTrial(): Promise<Trial> {
  const stage = await openStage(3)
  const ann = await stage.visit(0, 'room')
  const standby = ann.page.waitForEvent('websocket', (socket) =>
    new URL(socket.url()).searchParams.has('s'),
  )
  const [bob, cat] = await Promise.all([stage.visit(2, 'room'), stage.visit(2, 'room')])
  for (const friend of [bob, cat]) await ann.finds(friend.id, stage.nodeId(2))
  assert.is(await ann.connects(bob.id), undefined)
  await bob.isConnected(ann.id)
  await Promise.race([standby, late(2 * STANDBY_AFTER_MS, 'no standby')])
  await (await standby).waitForEvent('framereceived')
  await ann.page.evaluate(() => {
    globalThis.homeTimes = []
    kit.edge.on('home', ({ state }) => homeTimes.push({ state, atMs: performance.now() }))
  })
  return { stage, ann, bob, cat }
}

declare global {
  var homeTimes: { state: string; atMs: number }[]
}

const late = (ms: number, what: string): Promise<never> =>
  new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`${what} after ${ms} ms`)), ms).unref(),
  )

/** How long the page was without a home, from the first word of it. */
const withoutHomeMs = ({ ann }: Trial): Promise<number> =>
  ann.page.evaluate(async () => {
    await kit.until('it is home', 20_000, () => homeTimes.at(-1)?.state === 'open')
    const [first, last] = [homeTimes[0], homeTimes.at(-1)]
    return Math.round(Number(last?.atMs) - Number(first?.atMs))
  })

/** The same peer, with its connection, its topic and its watch. */
async function isWhole({ stage, ann, bob }: Trial, id: string): Promise<void> {
  assert.is(await ann.page.evaluate(() => kit.edge.id), id)
  await chat(ann, bob)
  assert.equal(await ann.connectionTo(bob.id), { state: 'open', count: 1 })
  const home = await ann.home()
  await bob.finds(id, home)
  const dan = await stage.visit(2, 'room')
  await ann.finds(dan.id, stage.nodeId(2))
  assert.is((await dan.discovers())[id], home)
}

test('a killed home is replaced by the standby at once, and a call under way arrives', async () => {
  const trial = await openTrial()
  const { stage, ann, cat } = trial
  const calling = ann.connects(cat.id)
  await stage.kill(0)
  const afterMs = await withoutHomeMs(trial)
  note(`killed: home again after ${afterMs} ms`)
  assert.ok(afterMs < AT_ONCE_MS, `${afterMs} ms`)
  assert.is(await calling, undefined)
  await isWhole(trial, ann.id)
})

test('a home that stops is left for the standby, and a call under way arrives', async () => {
  const trial = await openTrial()
  const { stage, ann, cat } = trial
  const calling = ann.connects(cat.id)
  stage.process(0).kill('SIGTERM')
  const afterMs = await withoutHomeMs(trial)
  note(`stopped: home again after ${afterMs} ms`)
  assert.ok(afterMs < MOVE_WITHIN_MS)
  assert.is(await calling, undefined)
  await isWhole(trial, ann.id)
})

test('a home that hangs is noticed when something is asked of it, and left for good', async () => {
  const trial = await openTrial()
  const { stage, ann, cat } = trial
  stage.process(0).kill('SIGSTOP')
  try {
    const sinceMs = performance.now()
    const calling = ann.connects(cat.id)
    await withoutHomeMs(trial)
    const afterMs = Math.round(performance.now() - sinceMs)
    note(`hung: home again after ${afterMs} ms`)
    assert.ok(afterMs < NOTICED_MS, `${afterMs} ms`)
    assert.is(await calling, undefined)
  } finally {
    stage.process(0).kill('SIGCONT')
  }
  await isWhole(trial, ann.id)
  assert.is.not(await ann.home(), stage.nodeId(0))
})

test('a page that was offline is home as soon as it is online again', async () => {
  const trial = await openTrial()
  const { ann } = trial
  const context = ann.page.context()
  const offlineMs = performance.now()
  await context.setOffline(true)
  await ann.losesHome()
  note(`offline: noticed after ${Math.round(performance.now() - offlineMs)} ms`)
  // Long enough for the waits between dials to grow beyond what is asked below.
  await ann.page.waitForTimeout(2 * BACKOFF_MAX_MS)
  assert.is(await ann.home(), '')
  const sinceMs = performance.now()
  await context.setOffline(false)
  await ann.comesHome()
  const afterMs = Math.round(performance.now() - sinceMs)
  note(`online: home again after ${afterMs} ms`)
  assert.ok(afterMs < 2_000, `${afterMs} ms`)
  await isWhole(trial, ann.id)
})

test.run()
