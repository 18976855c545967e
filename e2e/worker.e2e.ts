/** Workers and https: tabs that share one socket, edges in workers that can be found, pages of secure origins. */

import { type Child, startChild } from '../runtimes/children.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, type BrowserContext, launchBrowser } from './browser.ts'
import { type Front, type FrontOptions, openFront } from './support/front.ts'
import { untilHealth } from './support/health.ts'
import type { Failure } from './support/page-kit.ts'
import { poll } from './support/poll.ts'
import { chat, DONE_WITHIN_MS, openPage, type Visitor, visit } from './support/visitors.ts'

const NETWORK = 'workers'
/** A name that makes no page secure, unlike an address of this machine. */
const PLAIN_HOST = 'plain.example'
const test = suite('worker', { timeoutMs: 60_000 })

interface Homes {
  readonly fronts: readonly Front[]
  readonly nodes: readonly Child[]
  readonly nodeIds: readonly string[]
}

interface Started {
  stop(): Promise<unknown>
}

/** What ends with a test, and what with the suite. */
const [ofTest, ofSuite]: [Started[], Started[]] = [[], []]
let front: Promise<Front> | undefined
const pageErrors: string[] = []
let browser: Browser

test.before(async () => {
  browser = await launchBrowser([
    // The certificate is our own; a worker asks nobody whether to believe it.
    '--ignore-certificate-errors',
    `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`,
  ])
})
test.after(async () => {
  await browser.close()
  await Promise.all(ofSuite.map((one) => one.stop()))
})
test.afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
  await Promise.all(ofTest.splice(0).map((one) => one.stop()))
  assert.equal(pageErrors.splice(0), [], 'errors in pages that nobody caught')
})

/** Nodes that find each other, each behind a front whose URL is its public one. */
async function openHomes(
  count: number,
  options: FrontOptions = {},
  started = ofTest,
): Promise<Homes> {
  const dht: string[] = []
  if (count > 1) {
    const bootstrap = await startChild({ program: './bootstrap.ts', args: ['--json'] })
    started.push(bootstrap)
    dht.push('--bootstrap', String(bootstrap.ready.address))
  }
  const each = Array.from({ length: count }, async () => {
    const front = await openFront(options)
    started.push(front)
    const node = await startChild({
      program: '../mod.ts',
      args: [
        ...['--network', NETWORK, '--port', '0', '--public-url', front.url],
        ...['--log-level', 'warn', '--log-format', 'json', ...dht],
      ],
    })
    started.push(node)
    front.to(String(node.ready.url))
    return { front, node }
  })
  const all = await Promise.all(each)
  const nodes = all.map(({ node }) => node)
  const urls = nodes.map(({ ready }) => String(ready.url))
  await untilHealth('every node knows all homes', urls, DONE_WITHIN_MS, (of) =>
    of.every(({ mesh }) => mesh.homes === count),
  )
  return {
    fronts: all.map(({ front }) => front),
    nodes,
    nodeIds: nodes.map(({ ready }) => String(ready.nodeId)),
  }
}

/** The front of a node that several tests share. */
async function sharedFront(): Promise<Front> {
  front ??= openHomes(1, {}, ofSuite).then(({ fronts }) => fronts[0] as Front)
  return front
}

/** One more tab of what is open in the context. */
function openTab(context: BrowserContext, front: Front, shared: boolean): Promise<Visitor> {
  const sameContext = { newContext: async () => context } as unknown as Browser
  return visit(sameContext, front.url, { network: NETWORK, topic: 'room', shared }, pageErrors)
}

const untilSockets = (what: string, front: Front, paths: readonly string[]): Promise<true> =>
  poll(
    what,
    DONE_WITHIN_MS,
    async () => front.sockets.join() === paths.join(),
    () => front.sockets,
  )

/** How often the home of this page has changed its state. */
const countHomes = (): number => kit.homes.length

/** Waits until the tab is at home with the node, or any, after so many changes of its home. */
const comesHome = (tab: Visitor, home: string, after = 0): Promise<unknown> =>
  tab.page.evaluate(
    ([home, after, boundMs]) =>
      kit.until(
        'at home',
        boundMs,
        () =>
          kit.homes.slice(after).some((state) => state.startsWith(`open ${home}`)) &&
          kit.edge.home.state === 'open' &&
          kit.edge.home.nodeId.startsWith(home),
      ),
    [home, after, DONE_WITHIN_MS] as const,
  )

/** Ends the one shared worker as a crash would. */
async function killWorker(): Promise<void> {
  const cdp = await browser.newBrowserCDPSession()
  const { targetInfos } = await cdp.send('Target.getTargets')
  const workers = targetInfos.filter(({ type }) => type === 'shared_worker')
  assert.is(workers.length, 1)
  const targetId = workers[0]?.targetId as string
  const { sessionId } = await cdp.send('Target.attachToTarget', { targetId, flatten: false })
  const closing = { id: 1, method: 'Runtime.evaluate', params: { expression: 'close()' } }
  await cdp.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify(closing) })
  await cdp.detach()
}

test('three tabs of one origin share one socket to each node, through all that may end', async () => {
  const { fronts, nodes, nodeIds } = await openHomes(2)
  const [front, other] = fronts as [Front, Front]
  const far = await openTab(await browser.newContext(), other, false)
  const context = await browser.newContext()
  const tabs: Visitor[] = []
  for (let i = 0; i < 3; i++) tabs.push(await openTab(context, front, true))
  const [first, second, third] = tabs as [Visitor, Visitor, Visitor]
  assert.is(new Set(tabs.map(({ id }) => id)).size, 3)
  assert.equal(
    front.sockets.filter((path) => path !== '/edge'),
    ['/edges'],
  )
  for (const tab of tabs) {
    await tab.finds(far.id, nodeIds[1] as string)
    assert.is((await tab.discovers())[far.id], nodeIds[1])
    assert.is(await tab.connects(far.id), undefined)
    await far.isConnected(tab.id)
    await chat(tab, far)
  }
  // Tabs of one origin are peers of each other like any others.
  assert.is(await first.connects(second.id), undefined)

  const edgesAtHome = async (count: number): Promise<void> => {
    const urls = [String(nodes[0]?.ready.url)]
    await untilHealth(
      `${count} edges at home`,
      urls,
      DONE_WITHIN_MS,
      ([one]) => one?.edges === count,
    )
  }
  await edgesAtHome(3)
  await third.page.close()
  const closedMs = performance.now()
  await edgesAtHome(2)
  note(`a closed tab has left after ${Math.round(performance.now() - closedMs)} ms`)

  await untilSockets('a standby of all tabs', other, ['/edge', '/edges'])
  const isWhole = async (tab: Visitor): Promise<void> => {
    assert.is(await tab.page.evaluate(() => kit.edge.id), tab.id)
    assert.equal(await tab.connectionTo(far.id), { state: 'open', count: 1 })
    await chat(tab, far)
    await far.finds(tab.id, await tab.home())
  }
  const before = await Promise.all([first, second].map(({ page }) => page.evaluate(countHomes)))
  await killWorker()
  for (const [i, tab] of [first, second].entries()) {
    await comesHome(tab, '', before[i])
    await isWhole(tab)
  }
  const own = [...front.sockets, ...other.sockets].filter((path) => path === '/edge')
  assert.ok(own.length <= 2, 'those of the page elsewhere alone: its home, perhaps its standby')

  nodes[0]?.process.kill('SIGKILL')
  for (const tab of [first, second]) {
    await comesHome(tab, nodeIds[1] as string)
    await isWhole(tab)
  }
  assert.equal(other.sockets.toSorted(), ['/edge', '/edges'])
  await first.page.close()
  await second.page.close()
  await untilSockets('the socket went with the last tab', other, ['/edge'])
})

/** What an application's own worker does: it joins, can be found, looks around, and cannot connect. */
const WORKER = `
  const done = (async () => {
    const { joinMesh } = await import(ORIGIN + '/edge.min.js')
    const edge = await joinMesh({ urls: [ORIGIN], network: NETWORK })
    await edge.advertise('room', { info: new TextEncoder().encode(KIND) })
    const seen = []
    for await (const change of edge.watch('room')) {
      seen.push(change.id)
      break
    }
    const { peers } = await edge.discover('room')
    const failed = await edge.connect(seen[0], { topic: 'room' }).then(
      () => undefined,
      ({ code, message }) => ({ code, message }),
    )
    globalThis.edge = edge
    return { id: edge.id, seen, peers: peers.map(({ id }) => id), failed }
  })().catch((error) => ({ error: String(error) }))
  const tell = async (port) => port.postMessage(await done)
  if ('onconnect' in globalThis) globalThis.onconnect = ({ ports }) => tell(ports[0])
  else tell(globalThis)
`

interface Told {
  readonly id: string
  readonly seen: readonly string[]
  readonly peers: readonly string[]
  readonly failed?: Pick<Failure, 'code' | 'message'>
  readonly error?: string
}

for (const kind of ['Worker', 'SharedWorker'] as const) {
  test(`an edge in a ${kind} joins, advertises, watches and is found, and says that it cannot connect`, async () => {
    const front = await sharedFront()
    const page = await openTab(await browser.newContext(), front, false)
    const values = { ORIGIN: front.url, NETWORK, KIND: kind }
    const head = Object.entries(values).map(([name, value]) => `const ${name} = '${value}'\n`)
    const told: Told = await page.page.evaluate(
      async ({ code, kind }) => {
        const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
        const port =
          kind === 'Worker'
            ? new Worker(url, { type: 'module' })
            : new SharedWorker(url, { type: 'module' }).port
        return new Promise((resolve) => {
          port.onmessage = ({ data }) => resolve(data)
        })
      },
      { code: head.join('') + WORKER, kind },
    )
    assert.is(told.error, undefined)
    assert.equal(told.seen, [page.id])
    assert.equal(told.peers, [page.id])
    assert.is(told.failed?.code, 'RTC_FAILED')
    assert.match(told.failed?.message ?? '', 'pass { wrtc }')
    const info = await page.page.evaluate(async (id) => {
      const { peers } = await kit.edge.discover('room')
      return new TextDecoder().decode(peers.find((peer) => peer.id === id)?.info)
    }, told.id)
    assert.is(info, kind)
    const refused = await page.connects(told.id)
    assert.is(refused?.code, 'RTC_FAILED')
    assert.match(refused?.message ?? '', 'The peer refused: it runs without WebRTC')
  })
}

test('two pages over https connect through a node behind wss, one of them by a shared worker', async () => {
  const { fronts } = await openHomes(1, { tls: true })
  const [front] = fronts as [Front]
  const plain = await openTab(await browser.newContext({ ignoreHTTPSErrors: true }), front, false)
  const shared = await openTab(await browser.newContext({ ignoreHTTPSErrors: true }), front, true)
  assert.ok(await plain.page.evaluate(() => isSecureContext && location.protocol === 'https:'))
  assert.equal(front.sockets.toSorted(), ['/edge', '/edges'])
  assert.is(await plain.connects(shared.id), undefined)
  await shared.isConnected(plain.id)
  await chat(plain, shared)
})

test('two tabs over plain http share a socket, and one that is closed leaves though it has no locks', async () => {
  const { fronts, nodes } = await openHomes(1, { host: PLAIN_HOST })
  const [front] = fronts as [Front]
  const context = await browser.newContext()
  const [kept, closed] = [
    await openTab(context, front, true),
    await openTab(context, front, true),
  ] as const
  assert.not(await kept.page.evaluate(() => isSecureContext || 'locks' in navigator))
  assert.equal(front.sockets, ['/edges'])
  assert.is(await kept.connects(closed.id), undefined)
  await chat(kept, closed)
  await closed.page.close({ runBeforeUnload: true })
  await untilHealth(
    'the closed tab has left',
    [String(nodes[0]?.ready.url)],
    DONE_WITHIN_MS,
    ([one]) => one?.edges === 1,
  )
  assert.equal(front.sockets, ['/edges'])
})

test('where a page’s worker script is not served, it has a socket of its own, and is told why', async () => {
  const front = await sharedFront()
  const errors: string[] = []
  const page = await openPage(browser, errors)
  await page.goto(`${front.url}/health`)
  const state = await page.evaluate(async (network) => {
    const { joinMesh } = await import('/edge.min.js' as string)
    const { sharedSocket } = await import('/edge-worker.js' as string)
    const edge = await joinMesh({ network, sharedWorker: sharedSocket('/no-such-worker.js') })
    return edge.home.state
  }, NETWORK)
  assert.is(state, 'open')
  assert.equal(front.sockets, ['/edge'])
  assert.is(errors.length, 1)
  assert.match(errors[0] ?? '', 'shared worker cannot be had')
})

test.run()
