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
      const ms = await meet(one, other)
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

test('homes of each runtime that are killed are left for others, and are homes again when they are back', async () => {
  const staying = await Promise.all(callers.map((node) => page(0, node)))
  const moving = await Promise.all(called.map((node) => page(1, node)))
  for (const [i, one] of staying.entries()) {
    await one.finds(ofNext(moving, i).id, ofNext(called, i).nodeId)
  }
  await Promise.all(called.map((node) => node.kill()))
  await Promise.all(moving.map((one) => one.losesHome()))
  const homes = await Promise.all(moving.map((one) => one.comesHome()))
  const left = called.map(({ nodeId }) => nodeId)
  assert.not(homes.some((home) => left.includes(home)))
  for (const [i, one] of staying.entries()) {
    const other = ofNext(moving, i)
    await one.finds(other.id, ofNext(homes, i))
    await meet(one, other)
  }

  const startMs = performance.now()
  const again = await Promise.all(called.map((node) => node.restart(peers)))
  called.splice(0, called.length, ...again)
  assert.equal(
    again.map(({ nodeId }) => nodeId),
    left,
  )
  const backMs = Math.round(performance.now() - startMs)
  // Nobody waits for links: who is found is called at once.
  const third = await Promise.all(again.map((node) => page(1, node)))
  await Promise.all(
    staying.map(async (one, i) => {
      const [node, other] = [ofNext(again, i), ofNext(third, i)]
      await one.finds(other.id, node.nodeId)
      await meet(one, other)
    }),
  )
  await linked()
  for (const [i, one] of staying.entries()) {
    const node = ofNext(again, i)
    const says = await saidRuntimes(callers[i] as RuntimeNode, node)
    const from = says[await one.home()]
    assert.equal([from, says[node.nodeId]], [callers[i]?.runtime, node.runtime])
    note(
      `${node.runtime}: killed and back within ${backMs} ms, and called from ${from} before all had linked`,
    )
  }
})

test.run()

function page(browser: 0 | 1, node: RuntimeNode): Promise<Visitor> {
  return visit(browsers[browser] as Browser, node.url, { network: NETWORK, topic: 'room' })
}

/** The one of the next runtime. */
function ofNext<T>(all: readonly T[], i: number): T {
  return all[(i + 1) % all.length] as T
}

/** Connects the two, who then chat; gives how long the connecting took, in ms. */
async function meet(one: Visitor, other: Visitor): Promise<number> {
  const startMs = performance.now()
  assert.is(await one.connects(other.id), undefined)
  await other.isConnected(one.id)
  const ms = Math.round(performance.now() - startMs)
  await chat(one, other)
  return ms
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
