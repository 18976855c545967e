/** Pages of real browsers find each other and connect through a mesh of node processes. */

import { assert, suite } from '../test/harness/suite.ts'
import { untilHealth } from './support/health.ts'
import { poll } from './support/poll.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { chat, DONE_WITHIN_MS, type Visitor } from './support/visitors.ts'

const test = suite('mesh', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

test('connects two pages at home with two nodes, and no other node carries their signals', async () => {
  const stage = await openStage(4)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await Promise.all([a.finds(b.id, stage.nodeId(1)), b.finds(a.id, stage.nodeId(0))])
  assert.equal(await a.discovers(), { [b.id]: stage.nodeId(1) })

  assert.is(await a.connects(b.id), undefined)
  await b.isConnected(a.id)
  await chat(a, b)

  const signals = (await stage.health()).map((health) => health.signals)
  console.log(`two nodes: ${JSON.stringify(signals)}`)
  for (const home of [0, 1]) {
    assert.ok((signals[home]?.forwarded ?? 0) > 0, `home ${home} forwarded its edge's signals`)
    assert.is(signals[home]?.delivered, 0)
  }
  const untouched = { delivered: 0, forwarded: 0, received: 0, refused: 0 }
  assert.equal(signals.slice(2), [untouched, untouched])
})

test('connects two pages at home with the same node, which forwards nothing', async () => {
  const stage = await openStage(2)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(0, 'room')])
  await Promise.all([a.finds(b.id, stage.nodeId(0)), b.finds(a.id, stage.nodeId(0))])

  // Both call at once: there is to be one connection all the same.
  assert.equal(await Promise.all([a.connects(b.id), b.connects(a.id)]), [undefined, undefined])
  await chat(a, b)
  assert.is((await a.connectionTo(b.id)).count, 1)
  assert.is((await b.connectionTo(a.id)).count, 1)

  const [home, other] = (await stage.health()).map((health) => health.signals)
  console.log(`one node: ${JSON.stringify([home, other])}`)
  assert.is(home?.forwarded, 0)
  assert.ok((home?.delivered ?? 0) > 0, 'the home delivered')
  assert.equal(other, { delivered: 0, forwarded: 0, received: 0, refused: 0 })
})

test('lets a third page at a third node join, connected to both', async () => {
  const stage = await openStage(3)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await a.finds(b.id, stage.nodeId(1))
  assert.is(await a.connects(b.id), undefined)

  const c = await stage.visit(2, 'room')
  await Promise.all([c.finds(a.id, stage.nodeId(0)), c.finds(b.id, stage.nodeId(1))])
  assert.equal(await Promise.all([c.connects(a.id), c.connects(b.id)]), [undefined, undefined])
  await Promise.all([a.isConnected(c.id), b.isConnected(c.id), b.isConnected(a.id)])
  for (const [one, other] of pairsOf([a, b, c])) await chat(one, other)
  console.log('third page: all three pairs have talked')
})

test('keeps what a peer says before this page knows that they are connected', async () => {
  const stage = await openStage(1)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(0, 'room')])
  await a.finds(b.id, stage.nodeId(0))
  await b.page.evaluate(() => {
    globalThis.isHeld = true
  })
  assert.is(await a.connects(b.id), undefined)
  await a.says(b.id, 'first')
  await poll('the message is there', DONE_WITHIN_MS, () => b.page.evaluate(() => rtcMessages === 1))
  assert.is((await b.connectionTo(a.id)).state, 'none')
  await b.page.evaluate(() => release())
  await b.hears(a.id, 'first')
  await chat(a, b)
  console.log('first message: kept')
})

test('keeps nodes of another network apart on the same DHT bootstrap', async () => {
  const stage = await openStage(2, { network: 'ours' })
  const theirs = [await stage.addNode('theirs'), await stage.addNode('theirs')]
  // They link with each other, so they were able to meet; and so is one more node of ours.
  const linkedTo = (count: number) => (all: readonly { neighbours: number }[]) =>
    all.every(({ neighbours }) => neighbours === count)
  await untilHealth('their nodes link', theirs, DONE_WITHIN_MS, linkedTo(1))
  const ours = [...stage.urls, await stage.addNode('ours')]
  await untilHealth('our nodes link', ours, DONE_WITHIN_MS, linkedTo(2))

  const after = await untilHealth('links stay', [...ours, ...theirs], 0, () => true)
  const neighbours = after.map((health) => health.neighbours)
  const homes = after.map(({ mesh }) => mesh.homes)
  console.log(`two networks: neighbours ${neighbours}, homes ${homes}`)
  assert.equal(neighbours, [2, 2, 2, 1, 1])
  assert.equal(homes, [3, 3, 3, 2, 2])
})

test('refuses an edge of another network by name, and at once', async () => {
  const stage = await openStage(1, { network: 'ours' })
  const failure = await stage.visitInVain(0, 'theirs')
  console.log(`another network: ${failure.code} after ${failure.afterMs} ms: ${failure.message}`)
  assert.is(failure.code, 'NETWORK_MISMATCH')
  assert.match(failure.message, stage.urls[0] as string)
  assert.ok(failure.afterMs < DONE_WITHIN_MS, 'waiting would not have helped')
})

test('gives RTC the STUN of its nodes alone, and asks no server but the nodes', async () => {
  const stage = await openStage(2)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await a.finds(b.id, stage.nodeId(1))
  assert.is(await a.connects(b.id), undefined)
  await b.isConnected(a.id)
  await chat(a, b)

  for (const { page } of [a, b]) {
    const configs = await page.evaluate(() => rtcConfigs)
    assert.ok(configs.length > 0)
    // Left out is not enough: what makes the connections has servers of its own then.
    for (const { given, used } of configs) {
      const wanted = given?.iceServers?.flatMap(({ urls }) => urls)
      assert.equal(
        wanted,
        (used.iceServers ?? []).flatMap(({ urls }) => urls),
      )
    }
    const urls = configs.flatMap(({ used }) => used.iceServers ?? []).flatMap(({ urls }) => urls)
    assert.ok(
      urls.length > 0 && urls.every((url) => /^stun:127\.0\.0\.1:\d+$/.test(url)),
      `${urls}`,
    )
  }
  const asked = [a, b].map(({ reached }) => [...reached].sort())
  console.log(`ICE servers of the nodes; asked: ${JSON.stringify(asked)}`)
  // Its home, and perhaps the other node, as a standby or a witness.
  const nodes = stage.urls.flatMap((url) => [url, url.replace('http', 'ws')])
  assert.ok(asked.flat().every((origin) => nodes.includes(origin)))
})

test.run()

function pairsOf(visitors: readonly Visitor[]): [Visitor, Visitor][] {
  return visitors.flatMap((one, at) =>
    visitors.slice(at + 1).map((other): [Visitor, Visitor] => [one, other]),
  )
}
