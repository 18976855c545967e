/** The demo in real browsers: its own check, and a page that comes back when its home is stopped. */

import { type ChildProcess, spawn } from 'node:child_process'
import { startTestnet } from '../runtimes/local-mesh.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser, type Page } from './browser.ts'

const DEMO = `${import.meta.dirname}/../runtimes/demo.ts`

interface Links {
  readonly pages: readonly string[]
  /** What the nodes run on. */
  readonly runtimes: readonly string[]
}

const test = suite('demo', { timeoutMs: 60_000 })
const started: ChildProcess[] = []
let browser: Browser

test.before(async () => {
  browser = await launchBrowser()
})

test.afterEach(async () => {
  await Promise.all(started.splice(0).map(stop))
})

test.after(() => browser.close())

test('--check connects two browsers through two nodes and says how long it took', async () => {
  const demo = start('--check')
  const { code, output } = await demo.ended
  assert.is(code, 0, output)
  assert.match(output, /^two browsers connected through two nodes in \d+ ms$/m)
})

test('--check exits with 1 and a reason where no browser can be started', async () => {
  const demo = start('--check', { PATH: '/nowhere', PLAYWRIGHT_BROWSERS_PATH: '/nowhere' })
  const { code, output } = await demo.ended
  assert.is(code, 1, output)
  assert.match(output, /^demo: No browser found/m)
})

test('a node runs on each runtime, and pages show what their homes run on, as those have signed it', async () => {
  const links = await startDemo()
  assert.equal(
    links.runtimes.map((runtime) => runtime.split(' ')[0]),
    ['node', 'deno', 'bun'],
  )
  const [first, second] = await openPages(links)
  await bothConnected(first, second)
  assert.match((await first.textContent('#home-node')) ?? '', / node$/)
  assert.match((await second.textContent('#home-node')) ?? '', / deno$/)
  const names = await first.locator('[data-peer] svg').textContent()
  assert.match(names ?? '', / node.* deno/)
})

test('a node whose runtime this machine does not have is started on Node, and that is said', async () => {
  const said: unknown[] = []
  const testnet = await startTestnet({
    nodes: 2,
    runtimes: ['node', 'deno'],
    env: { PATH: '/nowhere' },
    onFallback: (...facts) => said.push(facts),
  })
  await testnet.stop()
  assert.match(JSON.stringify(said), /^\[\[1,"deno",".*spawn deno ENOENT"\]\]$/)
  assert.ok(testnet.runtimes.every((runtime) => runtime.startsWith('node ')))
})

test('a page whose home is stopped comes back through another and goes on chatting', async () => {
  const links = await startDemo()
  const [first, second] = await openPages(links)
  await bothConnected(first, second)
  const id = await first.textContent('#self')
  const home = await homeOf(first)

  await first.click('#stop-home')
  await first.waitForSelector(`#home[data-state="open"]:not([data-node="${home}"])`)
  assert.match((await first.textContent('#status')) ?? '', /same id, 1 connection kept/)
  assert.is(await first.textContent('#self'), id)
  await say(first, second, 'from the page that moved')
  await say(second, first, 'to the page that moved')
  const gone = await fetch(new URL(links.pages[0] as string)).then(
    () => false,
    () => true,
  )
  assert.ok(gone, 'the node has really ended')

  const [third] = await openPages({ pages: [await linkOf(second)] })
  await third.waitForFunction(
    () => document.querySelectorAll('[data-peer][data-state="connected"]').length === 2,
  )
  await say(third, first, 'found at its new home')
})

test('a page of a node that is not the demo’s shows no button to stop it', async () => {
  const links = await startDemo()
  const [page] = await openPages({ pages: [String(links.pages[0]).replace(/&control=.*/, '')] })
  await page.waitForSelector('#home[data-state="open"]')
  assert.not(await page.isVisible('#stop-home'))
  assert.match((await page.textContent('#invite-hint')) ?? '', 'Open the link in a second tab')
})

test('a page with another token cannot stop a node', async () => {
  const links = await startDemo()
  const forged = String(links.pages[0]).replace(/[0-9a-f]{32}$/, '0'.repeat(32))
  const [page] = await openPages({ pages: [forged] })
  await page.waitForSelector('#home[data-state="open"]')
  assert.not(await page.isVisible('#stop-home'))
})

test('what a peer says is shown as text and never as markup', async () => {
  const [first, second] = await openPages(await startDemo())
  await bothConnected(first, second)
  await say(first, second, '<img src=x onerror="document.title=1">')
  assert.is(await second.$('#log img'), null)
})

test.run()

interface Demo {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
}

function start(flag: string, env: Readonly<Record<string, string>> = {}): Demo {
  const child = spawn(process.execPath, [DEMO, flag, '--host', '127.0.0.1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  started.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, output }))
  })
  return { child, ended }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGINT')
  await gone
}

async function startDemo(): Promise<Links> {
  const { child, ended } = start('--json')
  const line = new Promise<string>((resolve) => child.stdout?.once('data', resolve))
  const failed = ended.then(({ output }) => {
    throw new Error(`The demo did not start: ${output}`)
  })
  return JSON.parse(await Promise.race([line, failed]))
}

/** Each in a context of its own, which ends with the test's browser. */
async function openPages({ pages }: Pick<Links, 'pages'>): Promise<[Page, Page]> {
  const opened = pages.map(async (link) => {
    const page = await (await browser.newContext()).newPage()
    await page.goto(link)
    return page
  })
  return (await Promise.all(opened)) as [Page, Page]
}

async function bothConnected(...pages: readonly Page[]): Promise<void> {
  await Promise.all(
    pages.map((page) => page.waitForSelector('[data-peer][data-state="connected"]')),
  )
}

async function say(from: Page, to: Page, text: string): Promise<void> {
  await from.fill('#text', text)
  await from.press('#text', 'Enter')
  await to.locator('[data-kind="peer"]', { hasText: text }).waitFor()
}

async function homeOf(page: Page): Promise<string | null> {
  return page.getAttribute('#home', 'data-node')
}

async function linkOf(page: Page): Promise<string> {
  return page.inputValue('#link')
}
