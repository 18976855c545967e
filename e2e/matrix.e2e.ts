/** The matrix: pages at home on each runtime connect with pages at home on each, and homes that die come back. */

import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { untilHealth } from './support/health.ts'
import { type RuntimeName, type RuntimeNode, startOn } from './support/runtimes.ts'
import { chat, DONE_WITHIN_MS, type Visitor, visit } from './support/visitors.ts'

const NETWORK = 'matrix'
const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']

const test = suite('matrix', { timeoutMs: 60_000 })
/** Two nodes of each runtime: those at which callers are, then those at which the called are. */
const callers: RuntimeNode[] = []
const called: RuntimeNode[] = []
let browsers: Browser[] = []

const peers: string[] = []

test.before(async () => {
  browsers = await Promise.all([launchBrowser(), launchBrowser()])
  const first = await startOn('node', ['--network', NETWORK])
  callers.push(first)
  peers.push('--network', NETWORK, '--peer', first.url.replace('http', 'ws'))
  const start = (runtime: RuntimeName) => startOn(runtime, peers)
  callers.push(...(await Promise.all(RUNTIMES.slice(1).map(start))))
  called.push(...(await Promise.all(RUNTIMES.map(start))))
  await linked()
})
test.after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()))
  await Promise.all([...callers, ...called].map((node) => node.stop()))
})

test('a page at home on each runtime calls one at home on each, in two browsers', async () => {
  const ones = await Promise.all(callers.map((node) => page(0, node)))
  const others = await Promise.all(called.map((node) => page(1, node)))
  const cells: string[] = []
  for (const [i, one] of ones.entries()) {
    for (const [k, other] of others.entries()) {
      const [from, to] = [callers[i], called[k]] as [RuntimeNode, RuntimeNode]
      await Promise.all([one.finds(other.id, to.nodeId), other.finds(one.id, from.nodeId)])
      const startMs = performance.now()
      assert.is(await one.connects(other.id), undefined)
      await other.isConnected(one.id)
      const ms = Math.round(performance.now() - startMs)
      await chat(one, other)
      // Where the pages say that they are, on what a third node was told, signed, that these run.
      const says = await saidRuntimes(from, to)
      const [here, there] = [says[await one.home()], says[await other.home()]]
      assert.equal([here, there], [from.runtime, to.runtime])
      cells.push(`${here} → ${there} ${ms} ms`)
    }
  }
  note(cells.join(', '))
  await Promise.all([...ones, ...others].map((visitor) => visitor.close()))
})

test('a home of each runtime that is killed is left for another, and is one again when it is back', async () => {
  for (const [i, runtime] of RUNTIMES.entries()) {
    // Of the runtimes whose turn it is not.
    const friend = called[(i + 1) % called.length] as RuntimeNode
    const [moving, staying] = await Promise.all([
      page(0, called[i] as RuntimeNode),
      page(1, friend),
    ])
    await moving.finds(staying.id, friend.nodeId)
    const node = called[i] as RuntimeNode
    await node.kill()
    await moving.losesHome()
    const next = await moving.comesHome()
    assert.is.not(next, node.nodeId)
    await staying.finds(moving.id, next)
    assert.is(await staying.connects(moving.id), undefined)

    const startMs = performance.now()
    const again = await node.restart(peers)
    called[i] = again
    assert.is(again.nodeId, node.nodeId)
    await linked()
    const third = await page(0, again)
    await staying.finds(third.id, again.nodeId)
    assert.is(await staying.connects(third.id), undefined)
    await chat(staying, third)
    const says = await saidRuntimes(again, friend)
    const ms = Math.round(performance.now() - startMs)
    assert.is(says[again.nodeId], runtime)
    note(`${runtime}: back, and called from ${says[friend.nodeId]}, after ${ms} ms`)
    await Promise.all([moving, staying, third].map((visitor) => visitor.close()))
  }
})

test.run()

function page(browser: 0 | 1, node: RuntimeNode): Promise<Visitor> {
  return visit(browsers[browser] as Browser, node.url, { network: NETWORK, topic: 'room' })
}

/** Waits until every node has links to all others, and knows on what each of them runs. */
function linked() {
  const all = [...callers, ...called]
  const urls = all.map(({ url }) => url)
  return untilHealth('all are linked with all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(
      ({ neighbours, mesh }) =>
        neighbours === all.length - 1 &&
        all.every(({ nodeId, runtime }) => mesh.runtimes[nodeId] === runtime),
    ),
  )
}

/** What another node than these two shows of the runtimes. */
async function saidRuntimes(...about: readonly RuntimeNode[]): Promise<Record<string, string>> {
  const third = [...callers, ...called].find((node) => !about.includes(node)) as RuntimeNode
  const [health] = await untilHealth('it answers', [third.url], DONE_WITHIN_MS, () => true)
  return { ...health?.mesh.runtimes }
}
