/** The client in two parts: a page joins while the second is on its way, fails to come, or never does. */

import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { blankOf } from './support/visitors.ts'

const REST = /\/edge-rest-[0-9a-f]+\.js(\?\d+)?$/

const test = suite('client in two parts', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

test('the socket opens before the second part is here, and what comes meanwhile waits for it', async () => {
  const stage = await openStage(1)
  const page = await stage.show(0, '<title>empty</title>')
  const socket = page.waitForEvent('websocket')
  const come = Promise.withResolvers<void>()
  const sockets: string[] = []
  page.on('websocket', (one) => sockets.push(one.url()))
  await page.route(REST, async (route) => {
    // The node's first frame is here, and nobody is to hear it yet.
    await (await socket).waitForEvent('framereceived')
    await come.promise
    await route.continue()
  })
  const joined = page.evaluate(joinAndDiscover)
  await (await socket).waitForEvent('framereceived')
  come.resolve()
  assert.equal(await joined, { home: 'open', total: 0 })
  assert.equal(sockets, [(await socket).url()])
})

test('pages of one node and another connect by the client in two parts, and by that in one', async () => {
  const stage = await openStage(2)
  const first = await stage.show(0, '<title>empty</title>')
  const ids = await first.evaluate(waitForCalls)
  const second = await stage.show(1, '<title>empty</title>')
  assert.is(await second.evaluate(callAndGreet, { id: ids, file: '/edge.min.js' }), 'hello back')
  const third = await stage.show(1, '<title>empty</title>')
  assert.is(await third.evaluate(callAndGreet, { id: ids, file: '/edge.js' }), 'hello back')
})

test('the demo page names both parts ahead, and each is fetched once', async () => {
  const stage = await openStage(1)
  const page = await stage.show(0, '<title>empty</title>')
  const asked: string[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).pathname))
  const socket = page.waitForEvent('websocket')
  await page.goto(String(stage.urls[0]))
  await (await socket).waitForEvent('framesent')
  const parts = asked.filter((path) => path.startsWith('/edge'))
  assert.is(parts.length, 2)
  assert.is(parts[0], '/edge.js')
  assert.match(String(parts[1]), REST)
})

test('a page of another origin gets both parts from the node', async () => {
  const stage = await openStage(2)
  const page = await stage.show(0, '<title>empty</title>')
  const [own, other] = stage.urls.map((url) => new URL(url).origin)
  const from: string[] = []
  page.on('request', (request) => {
    if (request.url().includes('/edge')) from.push(new URL(request.url()).origin)
  })
  const state = await page.evaluate(
    async ({ file, url }) => {
      const { joinMesh } = await import(file)
      const edge = await joinMesh({ network: 'e2e', urls: [url] })
      return edge.home.state
    },
    { file: `${other}/edge.js`, url: String(own) },
  )
  assert.is(state, 'open')
  assert.equal(from, [other, other])
})

test('a second part that does not come is fetched again, by a URL that has not failed', async () => {
  const stage = await openStage(1)
  const page = await stage.show(0, '<title>empty</title>')
  const asked: string[] = []
  await page.route(REST, async (route) => {
    asked.push(new URL(route.request().url()).search)
    if (asked.length < 3) await route.abort()
    else await route.continue()
  })
  assert.equal(await page.evaluate(joinAndDiscover), { home: 'open', total: 0 })
  assert.equal(asked, ['', '?1', '?2'])
})

test('where it never comes that is a typed error, no socket stays, and joining again may succeed', async () => {
  const stage = await openStage(1)
  const page = await stage.show(0, '<title>empty</title>')
  const closed = new Promise<void>((resolve) => {
    page.once('websocket', (socket) => socket.once('close', () => resolve()))
  })
  await page.route(REST, (route) => route.fulfill({ status: 404 }))
  const failure = await page.evaluate(joinAndDiscover)
  assert.is((failure as { code?: string }).code, 'LOAD_FAILED')
  await closed
  await page.unroute(REST)
  assert.equal(await page.evaluate(joinAndDiscover), { home: 'open', total: 0 })
})

test('a page that is not to wait any longer aborts, and is told so', async () => {
  const stage = await openStage(1)
  const page = await stage.show(0, '<title>empty</title>')
  await page.route(REST, () => {})
  const code = await page.evaluate(async () => {
    const { joinMesh } = await import('/edge.js' as string)
    const signal = AbortSignal.timeout(200)
    const error = await joinMesh({ network: 'e2e', signal }).catch((cause: unknown) => cause)
    return (error as { code: string }).code
  })
  assert.is(code, 'ABORTED')
  await goAway(page, stage.urls[0] as string)
})

test.run()

/** Leaves what the page still waits for. */
async function goAway(page: Page, url: string): Promise<void> {
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await page.goto(blankOf(url))
}

async function joinAndDiscover(): Promise<object> {
  const { joinMesh, SignalMeshError } = await import('/edge.js' as string)
  try {
    const edge = await joinMesh({ network: 'e2e' })
    const { total } = await edge.discover('parts')
    return { home: edge.home.state, total }
  } catch (error) {
    // The class is the one that the page has, whichever part threw.
    if (error instanceof SignalMeshError) return { code: (error as { code: string }).code }
    throw error
  }
}

async function waitForCalls(): Promise<string> {
  const { joinMesh } = await import('/edge.js' as string)
  const edge = await joinMesh({ network: 'e2e', topics: ['parts'] })
  edge.on('connection', (connection: { on: Listen; send(text: string): void }) =>
    connection.on('message', (text) => connection.send(`${text} back`)),
  )
  return edge.id
}

type Listen = (name: string, fn: (text: string) => void) => void

async function callAndGreet({ id, file }: { id: string; file: string }): Promise<string> {
  const { joinMesh } = await import(file)
  const edge = await joinMesh({ network: 'e2e' })
  const connection = await edge.connect(id, { topic: 'parts' })
  const answer = new Promise<string>((resolve) => connection.on('message', resolve))
  await connection.send('hello')
  return answer
}
