/** The dashboard in a real browser: live over three nodes, one of which is killed; hostile; and of three hundred. */

import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestnet, type Testnet } from '../runtimes/local-mesh.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS, WATCH_TICK_MS } from '../src/limits.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { hostileRecording, recordMesh } from '../test/support/recording.ts'
import { type Browser, launchBrowser, type Page } from './browser.ts'
import { poll } from './support/poll.ts'

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const TOKEN = 'a-token-of-the-end-to-end-test'
/** What a page shows of a node may come with its next heartbeat. */
const SHOWN_WITHIN_MS = 15_000
/** A home expires, is swept with a heartbeat, a watcher is told a tick later; the rest is for a busy machine. */
const GONE_WITHIN_MS: number = HOME_EXPIRES_MS + HEARTBEAT_MS + WATCH_TICK_MS + 5_000
const RENDERED_WITHIN_MS = 2_000

const test = suite('dashboard', { timeoutMs: 60_000 })
let browser: Browser
let folder: string
let testnet: Testnet
let live: Page
/** After how long the card of the killed node went. */
let goneAfterMs: Promise<number>

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dashboard-'))
  const path = join(folder, 'token')
  await writeFile(path, TOKEN)
  const args = ['--admin-token-file', path]
  const started = Promise.all([launchBrowser(), startTestnet({ nodes: 3, args })])
  ;[browser, testnet] = await started
  live = await open()
  await live.waitForSelector('[data-node]:nth-child(3)')
  // At once, for its end is half a minute away and the other tests have the time to pass.
  await testnet.kill(2)
  const killedAtMs = performance.now()
  goneAfterMs = live
    .waitForSelector(`[data-node="${testnet.nodeIds[2]}"]`, {
      state: 'detached',
      timeout: GONE_WITHIN_MS,
    })
    .then(
      () => performance.now() - killedAtMs,
      () => Number.POSITIVE_INFINITY,
    )
})

test.after(async () => {
  await Promise.all([browser.close(), testnet.stop()])
  await rm(folder, { recursive: true })
})

test('the page is served where nodes link, with the policy of the demo, and asks nobody else', async () => {
  const response = await fetch(`${testnet.urls[0]}/mesh`)
  assert.is(response.status, 200)
  assert.match(response.headers.get('content-security-policy') ?? '', "default-src 'self'")
  const asked: string[] = []
  const page = await open('', (url) => asked.push(url))
  await page.waitForSelector('#status[data-state="live"]')
  const host = new URL(testnet.urls[0] as string).host
  assert.ok(asked.length > 3)
  assert.equal(
    asked.filter((url) => new URL(url).host !== host),
    [],
  )
  await page.context().close()
})

test('what the page shows of another node is what that one tells at its /metrics', async () => {
  const card = live.locator(`[data-node="${testnet.nodeIds[1]}"]`)
  for (const [fact, name] of [
    ['neighbours', 'signal_mesh_neighbours'],
    ['edges', 'signal_mesh_edges'],
    ['records', 'signal_mesh_home_records'],
  ] as const) {
    await poll(`${fact} as ${name}`, SHOWN_WITHIN_MS, async () => {
      const shown = await card.locator(`[data-fact="${fact}"] dd`).textContent()
      return Number(shown) === (await metricsOf(1)).get(name)
    })
  }
  assert.ok(((await metricsOf(1)).get('signal_mesh_neighbours') ?? 0) > 0, 'and not nothing')
  const seen = await live.textContent('[data-figure="nodes"] dd')
  assert.is(Number(seen), (await metricsOf(1)).get('signal_mesh_directory_homes'))
})

test('axe finds nothing in light and dark, on a desk and on a phone, of three nodes and of many', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const page = await open(recorded(40), undefined, { colorScheme, viewport })
      await page.waitForSelector('[data-row]:nth-child(40)')
      assert.equal(await axe(page), [], `${colorScheme}, ${viewport.width} px`)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(wide <= 0, 'nothing is wider than the screen')
      await page.context().close()
    }
  }
  assert.equal(await axe(live), [])
})

test('every node is reached by keyboard, and the one chosen has its card', async () => {
  const page = await open(recorded(40))
  await page.waitForSelector('[data-row]:nth-child(40)')
  await page.focus('#search')
  await page.keyboard.type('nrt-3')
  await page.waitForSelector('[data-row]:only-child')
  // By the region that scrolls and the heads that sort, to the row's own button.
  const id = await page.getAttribute('[data-row]', 'data-row')
  await poll('the row has the focus', 5_000, async () => {
    await page.keyboard.press('Tab')
    return page.evaluate(() => document.activeElement?.matches('[data-row] button'))
  })
  await page.keyboard.press('Enter')
  await page.waitForSelector(`.card.chosen[data-node="${id}"]`)
  assert.match((await page.textContent('.card.chosen h3')) ?? '', 'nrt-3')
  await page.context().close()
})

test('what a hostile node says is text, cut short, and moves nothing', async () => {
  const page = await open('?recorded=/hostile.jsonl')
  await page.waitForSelector('#status[data-state="recorded"]')
  await page.waitForSelector('[data-node]')
  assert.is(await page.evaluate('window.hacked'), undefined)
  const inside = page.locator('#page :is(img:not([src="/icon.svg"]), script, iframe, style, a)')
  assert.equal(await inside.evaluateAll((all) => all.map((one) => one.getAttribute('href'))), [
    '/mesh.json',
    '/source',
  ])
  const text = (await page.textContent('main')) ?? ''
  assert.match(text, '<img src=x onerror=')
  assert.not.match(text, /\p{C}|undefined|NaN|\[object/u)
  assert.ok(text.length < 40_000, `${text.length} letters of ${hostileRecording().length}`)
  await page.context().close()
})

test('three hundred nodes are drawn within two seconds, and the page answers at once after that', async () => {
  // The best of three: others may share the machine.
  let page = await open(recorded(300), undefined, { waitUntil: 'commit' })
  let tookMs = await drawnAfter(page)
  for (let i = 0; i < 2 && tookMs > RENDERED_WITHIN_MS; i++) {
    await page.context().close()
    page = await open(recorded(300), undefined, { waitUntil: 'commit' })
    tookMs = Math.min(tookMs, await drawnAfter(page))
  }
  const startedMs = performance.now()
  await page.fill('#search', 'syd')
  await page.waitForSelector('[data-row]:nth-child(50):last-child')
  const searchMs = performance.now() - startedMs
  await page.click('.graph-buttons [aria-label="Larger"]')
  await page.click('thead th:nth-child(3) button')
  await page.waitForSelector('th[aria-sort="descending"]')
  console.log(`300 nodes: ${Math.round(tookMs)} ms, a search ${Math.round(searchMs)} ms`)
  assert.ok(tookMs <= RENDERED_WITHIN_MS, `${tookMs} ms`)
  assert.ok(searchMs <= 1_000, `${searchMs} ms`)
  await page.context().close()
})

test('only the holder of the token sees the edges and limits of the node', async () => {
  assert.is(await live.locator('[data-limit]').count(), 0)
  await live.fill('#token', 'a token that is wrong')
  await live.click('.token button')
  await live.locator('.token .error', { hasText: 'does not know' }).waitFor()
  await live.fill('#token', TOKEN)
  await live.click('.token button')
  await live.waitForSelector('[data-limit="neighbours"]')
  assert.match((await live.textContent('[data-limit="homes"]')) ?? '', / of 4.096/)
  assert.equal(await axe(live), [])
  await live.locator('button', { hasText: 'Forget the token' }).click()
  await live.waitForSelector('#token')
})

test('the card of a killed node goes, and an event says that it left', async () => {
  const id = testnet.nodeIds[2]
  const tookMs = await goneAfterMs
  console.log(`the card went after ${Math.round(tookMs)} ms`)
  assert.ok(tookMs <= GONE_WITHIN_MS)
  await live.waitForSelector(`[data-kind="left"][data-of="${id}"]`)
  assert.is(await live.locator('[data-node]').count(), 2)
  assert.is(await live.textContent('[data-figure="nodes"] dd'), '2')
})

test.run()

/** From when the data have come, which in a test take their own time, to the frame with all rows. */
async function drawnAfter(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const sinceMs = (): number => {
          const [come] = performance
            .getEntriesByType('resource')
            .filter(({ name }) => name.endsWith('.jsonl')) as PerformanceResourceTiming[]
          return performance.now() - (come?.responseEnd ?? 0)
        }
        const look = (): void => {
          if (document.querySelectorAll('[data-row]').length < 300) setTimeout(look, 10)
          else requestAnimationFrame(() => setTimeout(() => resolve(sinceMs())))
        }
        look()
      }),
  )
}

function recorded(count: number): string {
  return `?recorded=/recorded-${count}.jsonl`
}

type OpenOptions = NonNullable<Parameters<Browser['newContext']>[0]> & {
  readonly waitUntil?: 'commit' | 'load'
}

/** The page of the first node; recordings are made up as they are asked for. */
async function open(
  query = '',
  onRequest: (url: string) => void = () => {},
  { waitUntil = 'load', ...options }: OpenOptions = {},
): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage()
  page.on('request', (request) => onRequest(request.url()))
  page.on('websocket', (socket) => onRequest(socket.url()))
  await page.route(
    ({ pathname }) => pathname.endsWith('.jsonl'),
    (route) => {
      const count = /recorded-(\d+)/.exec(route.request().url())?.[1]
      return route.fulfill({ body: count ? recordMesh(Number(count)) : hostileRecording() })
    },
  )
  await page.goto(`${testnet.urls[0]}/mesh${query}`, { waitUntil })
  return page
}

async function metricsOf(node: number): Promise<Map<string, number>> {
  const text = await (await fetch(`${testnet.urls[node]}/metrics`)).text()
  const lines = [...text.matchAll(/^(\w+)\{[^}]*\} (\S+)$/gm)]
  return new Map(lines.map(([, name = '', value]) => [name, Number(value)]))
}

async function axe(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
      }
    ).axe.run()
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  })
}
