/** Nodes on Deno, Bun and Node that meet by DHT relays alone, and what becomes of them when relays end. */

import { readFileSync } from 'node:fs'
import { type Child, startChild } from '../runtimes/children.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { healthOf, untilHealth } from './support/health.ts'
import { poll } from './support/poll.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'
import { chat, visit } from './support/visitors.ts'

const test = suite('relay', { timeoutMs: 60_000 })
const NETWORK = 'relayed'
/** A DHT takes some seconds to show a newcomer to all. */
const MET_WITHIN_MS = 20_000

let bootstrap: Child
let browser: Browser | undefined
let nodes: RuntimeNode[] = []

test.before(async () => {
  browser = await launchBrowser()
})
test.after(() => browser?.close())
test.beforeEach(async () => {
  bootstrap = await startChild({ program: './bootstrap.ts', args: ['--json'] })
})
test.afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close()
  await Promise.all(nodes.map((node) => node.stop()))
  nodes = []
  await bootstrap.stop()
})

test('nodes on Deno, Bun and Node meet by relays alone, fail over, and go on without', async () => {
  const [first, second] = await Promise.all([startHost(), startHost()])
  const relays = [first.url, second.url].join(',')
  const args = ['--network', NETWORK, '--relay', relays]
  const [deno, bun] = await Promise.all([startOn('deno', args), startOn('bun', args)])
  nodes.push(deno, bun)
  const startMs = performance.now()
  const met = (what: string, all: readonly RuntimeNode[]) =>
    untilHealth(
      what,
      all.map(({ url }) => url),
      MET_WITHIN_MS,
      (healths) =>
        healths.every(({ neighbours, mesh }) => {
          return neighbours === all.length - 1 && mesh.homes >= all.length
        }),
    )
  const healths = await met('all are linked', [first, second, deno, bun])
  assert.equal(
    healths.map(({ dhtRelay }) => dhtRelay),
    [true, true, false, false],
  )
  note(`met by relays after ${Math.round(performance.now() - startMs)} ms`)

  const page = (node: RuntimeNode) =>
    visit(browser as Browser, node.url, { network: NETWORK, topic: 'room' })
  const [a, b] = await Promise.all([page(deno), page(bun)])
  await Promise.all([a.finds(b.id, bun.nodeId), b.finds(a.id, deno.nodeId)])
  assert.is(await a.connects(b.id), undefined)
  await b.isConnected(a.id)
  await chat(a, b)

  // With a goodbye: that a node has gone without one shows to its neighbours only after a while.
  await first.stop()
  const failedMs = performance.now()
  await met('those left are linked by the other relay', [second, deno, bun])
  note(`failed over after ${Math.round(performance.now() - failedMs)} ms`)
  const c = await page(deno)
  await b.finds(c.id, deno.nodeId)
  assert.is(await c.connects(b.id), undefined)

  await second.kill()
  // What they told each other may have made them dial each other's URL meanwhile.
  await untilHealth('no link by a relay is left', [deno.url, bun.url], MET_WITHIN_MS, (all) =>
    all.every(({ neighbours }) => neighbours <= 1),
  )
  const [d, e] = await Promise.all([page(bun), page(bun)])
  await d.finds(e.id, bun.nodeId)
  assert.is(await d.connects(e.id), undefined)
  await chat(d, e)
})

test('what no relay understands leaves the node as it was, and its relay comes back if its process ends', async () => {
  const host = await startHost()
  const deno = await startOn('deno', ['--network', NETWORK, '--relay', host.url])
  nodes.push(deno)
  await linkedAgain(host, deno)
  const page = await visit(browser as Browser, host.url, { network: NETWORK, topic: 'room' })
  const home = await page.home()

  await Promise.all(NONSENSE.map((bytes) => sayTo(host, bytes)))
  const before = childOf(host)
  process.kill(before, 'SIGKILL')
  await poll('another process relays', MET_WITHIN_MS, async () => {
    const now = childOf(host)
    return now !== 0 && now !== before
  })
  await linkedAgain(host, deno)
  assert.is((await healthOf(host.url)).edges, 1)
  assert.is(await page.home(), home)
})

test.run()

/** What a stock client would never say: nothing, noise, cut and made up words of the protocol, 1 MiB. */
const NONSENSE: readonly Uint8Array[] = [
  new Uint8Array(0),
  new Uint8Array(500).fill(0xff),
  Uint8Array.of(0, 1, 1, 22, ...Buffer.from('@hyperswarm/dht-relay')),
  Uint8Array.of(0, 1, 1, 21, ...Buffer.from('@hyperswarm/dht-relay'), 0, 0, 0, 1, 1, 40, 0, 1),
  new Uint8Array(1024 * 1024),
]

/** A node on the DHT that lends it. */
async function startHost(): Promise<RuntimeNode> {
  const host = await startOn('node', [
    ...['--network', NETWORK, '--bootstrap', String(bootstrap.ready.address), '--dht-relay'],
  ])
  nodes.push(host)
  return host
}

function linkedAgain(...all: readonly RuntimeNode[]): Promise<unknown> {
  return untilHealth(
    'linked',
    all.map(({ url }) => url),
    MET_WITHIN_MS,
    (healths) => healths.every(({ neighbours, mesh }) => neighbours === 1 && mesh.homes === 2),
  )
}

/** Says it and waits for the socket's end, if it comes to that. */
function sayTo(host: RuntimeNode, bytes: Uint8Array): Promise<void> {
  const socket = new WebSocket(`${host.url.replace('http', 'ws')}/dht`)
  return new Promise((resolve) => {
    const done = (): void => {
      socket.close()
      resolve()
    }
    socket.onopen = () => {
      socket.send(bytes as Uint8Array<ArrayBuffer>)
      setTimeout(done, 500)
    }
    socket.onclose = done
  })
}

/** The process that relays for the node; 0 if there is none now. */
function childOf({ process: { pid } }: RuntimeNode): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0] ?? 0)
}
