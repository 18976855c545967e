/** Nodes and pages end without a goodbye; what is left of the mesh copes and says so. */

import { CONNECT_TIMEOUT_MS, RESEND_AFTER_MS } from '../src/limits.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { chat, type Visitor } from './support/visitors.ts'

/** Which node is killed; set SIGNAL_MESH_SEED to the printed number to see the same again. */
const seed = Number(process.env.SIGNAL_MESH_SEED ?? Math.floor(Math.random() * 2 ** 31))
if (!Number.isSafeInteger(seed)) throw new Error('SIGNAL_MESH_SEED is not a whole number')

/** An offer that crossed the page's leaving is answered when it comes again, after two seconds. */
const KNOWN_GONE_MS = 2 * RESEND_AFTER_MS
/** A caller hears of it by then, whatever has ended; the half second is for a busy machine. */
const CALL_ENDS_MS = CONNECT_TIMEOUT_MS + 500

const test = suite(`outage (seed ${seed})`, { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

test('brings the page of a killed node home elsewhere, as the same peer with its connections', async () => {
  const stage = await openStage(3)
  const drawn = seed % 3
  const survivors = [0, 1, 2].filter((node) => node !== drawn)
  const visitors = await Promise.all([0, 1, 2].map((node) => stage.visit(node, 'room')))
  const left = visitors[drawn] as Visitor
  // Cut off from the other nodes, before it has a standby there, the page will be without a home.
  await left.cutOff(true)
  const friends = survivors.map((node) => visitors[node] as Visitor)
  for (const [at, friend] of friends.entries()) {
    await left.finds(friend.id, stage.nodeId(survivors[at] as number))
    assert.is(await left.connects(friend.id), undefined)
    await friend.isConnected(left.id)
    await chat(left, friend)
  }

  await stage.kill(drawn)
  await left.losesHome()
  for (const friend of friends) await chat(left, friend)
  assert.is(await left.home(), '')

  await left.cutOff(false)
  const sinceMs = performance.now()
  const home = await left.comesHome()
  const afterMs = Math.round(performance.now() - sinceMs)
  note(`seed ${seed}: node ${drawn} killed, its page is home again after ${afterMs} ms`)
  assert.ok(survivors.some((node) => stage.nodeId(node) === home))
  for (const friend of friends) {
    await chat(left, friend)
    assert.equal(await left.connectionTo(friend.id), { state: 'open', count: 1 })
  }

  const fresh = await stage.visit(survivors[(seed >> 8) % 2] as number, 'room')
  await fresh.finds(left.id, home)
  assert.is((await fresh.discovers())[left.id], home)
  assert.is(await fresh.connects(left.id), undefined)
  await left.isConnected(fresh.id)
  await chat(fresh, left)
})

test('ends an offer to a page that has closed with PEER_UNKNOWN, soon', async () => {
  const stage = await openStage(2)
  const [caller, gone] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await caller.finds(gone.id, stage.nodeId(1))
  await gone.close()
  const failure = await caller.connects(gone.id)
  console.log(`page closed: ${failure?.code} after ${failure?.afterMs} ms`)
  assert.is(failure?.code, 'PEER_UNKNOWN')
  assert.ok(Number(failure?.afterMs) < KNOWN_GONE_MS, `after ${failure?.afterMs} ms`)
})

test('ends an offer to a page that went down with its node with a typed error', async () => {
  const stage = await openStage(2)
  const [caller, gone] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await gone.cutOff(true)
  await caller.finds(gone.id, stage.nodeId(1))
  await stage.kill(1)
  await gone.close()
  const failure = await caller.connects(gone.id)
  console.log(`page and node killed: ${failure?.code} after ${failure?.afterMs} ms`)
  // Nobody has said goodbye, so it depends on when the link's silence is noticed.
  assert.ok(['HOME_UNREACHABLE', 'TIMEOUT'].includes(String(failure?.code)), failure?.code)
  assert.ok(Number(failure?.afterMs) < CALL_ENDS_MS, `after ${failure?.afterMs} ms`)
})

test.run()
