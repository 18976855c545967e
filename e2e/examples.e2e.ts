/** The examples, each in two pages at two nodes, doing what it is there to show. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { RTC_AWAY_MS } from '../src/limits.ts'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'

const ROOT = `${import.meta.dirname}/..`
const MAX_LINES = 40
const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']

const test = suite('examples', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test, FAKE_DEVICES)

/** Opens the example at both nodes. */
async function twoPages(name: string): Promise<{ stage: Stage; a: Page; b: Page }> {
  const stage = await openStage(2, { network: 'main' })
  const a = await stage.open(0, `/examples/${name}.html`)
  const b = await stage.open(1, `/examples/${name}.html`)
  return { stage, a, b }
}

const says = (page: Page, selector: string, text: string): Promise<unknown> =>
  page.waitForSelector(`${selector}:has-text("${text}")`)

for (const file of globSync(`${ROOT}/examples/*/main.{ts,tsx}`)) {
  const [, name] = file.match(/([^/]+)\/main/) ?? []
  test(`${name} takes at most ${MAX_LINES} lines of code`, () => {
    const lines = readFileSync(file, 'utf8').match(/^\s*\S/gm) ?? []
    assert.ok(lines.length <= MAX_LINES, `${lines.length} lines`)
  })
}

test('the demo links each example, and the node serves it', async () => {
  const stage = await openStage(1, { network: 'main' })
  const page = await stage.open(0, '/')
  const links = await page.$$eval('footer nav a', (all) =>
    all.map((link) => link.getAttribute('href') ?? ''),
  )
  assert.equal(
    links.sort(),
    globSync(`${ROOT}/examples/*/index.html`)
      .map((file) => `/examples/${file.match(/([^/]+)\/index/)?.[1]}.html`)
      .sort(),
  )
  for (const link of links) {
    assert.is((await fetch(new URL(link, stage.urls[0]))).status, 200, link)
  }
})

test('chat: what one says the other reads', async () => {
  const { a, b } = await twoPages('chat')
  await Promise.all([a, b].map((page) => says(page, '#status', '1 of 1 others connected')))
  await a.fill('#text', 'hello over there')
  await a.press('#text', 'Enter')
  await says(b, '#log li', 'hello over there')
  await says(a, '#log li', 'you: hello over there')
})

test('call: each sees the other’s camera move', async () => {
  const { a, b } = await twoPages('call')
  for (const page of [a, b]) {
    await says(page, '#status', 'In a call with 1')
    await page.waitForFunction(() => {
      const videos = [...document.querySelectorAll('video')]
      return videos.length === 2 && videos.every((video) => video.currentTime > 0.2)
    })
  }
  await b.close()
  // It was closed without a word: the other side gives it the time to come back.
  await a.waitForFunction(() => document.querySelectorAll('video').length === 1, undefined, {
    timeout: RTC_AWAY_MS + 15_000,
  })
})

test('file: a file arrives whole, under its name', async () => {
  const { a, b } = await twoPages('file')
  await Promise.all([a, b].map((page) => says(page, '#status', 'Choose a file')))
  const buffer = Buffer.alloc(3_000_000, 'signal mesh ')
  await a.setInputFiles('#file', { name: 'notes.txt', mimeType: 'text/plain', buffer })
  await a.click('button')
  await says(a, '#log li', 'has notes.txt')
  await says(b, '#log a', 'notes.txt, 3000000 bytes')
  const [download] = await Promise.all([b.waitForEvent('download'), b.click('#log a')])
  assert.is(download.suggestedFilename(), 'notes.txt')
  const text = readFileSync(await download.path(), 'utf8')
  assert.ok(text === buffer.toString(), 'the same bytes')
})

test('lobby: who rings is taken or refused, and only then connected', async () => {
  const { a, b } = await twoPages('lobby')
  const nameOf = async (page: Page): Promise<string> => {
    await says(page, '#status', 'You are Guest')
    return (await page.textContent('#status'))?.replace('You are ', '') ?? ''
  }
  const nameOfB = await nameOf(b)
  const nameOfA = await nameOf(a)
  b.once('dialog', (dialog) => void dialog.dismiss())
  await a.click(`text=Ring ${nameOfB}`)
  await says(a, '#status', 'not now')
  b.once('dialog', (dialog) => void dialog.accept())
  await a.click(`text=Ring ${nameOfB}`)
  await says(a, '#status', `Talking with ${nameOfB}`)
  await says(b, '#status', `Talking with ${nameOfA}`)
  await a.click('#wave')
  await says(b, '#status', `${nameOfA}: 👋`)
  await b.click('#bye')
  await says(a, '#status', `${nameOfB} is gone`)
  assert.not(await a.isVisible('#wave'), 'nobody is left to wave to')
})

test('whiteboard: lines are seen at once, and by who comes later', async () => {
  const { stage, a, b } = await twoPages('whiteboard')
  const hasInk = (page: Page): Promise<unknown> =>
    page.waitForFunction(() => {
      const board = document.querySelector('canvas') as HTMLCanvasElement
      const pixels = board.getContext('2d')?.getImageData(0, 0, board.width, board.height).data
      return pixels?.some((value) => value > 0)
    })
  await says(a, '#status', '1 connected')
  const { x = 0, y = 0 } = (await a.locator('canvas').boundingBox()) ?? {}
  await a.mouse.move(x + 50, y + 50)
  await a.mouse.down()
  await a.mouse.move(x + 200, y + 150, { steps: 5 })
  await a.mouse.up()
  await Promise.all([hasInk(a), hasInk(b)])
  await hasInk(await stage.open(1, '/examples/whiteboard.html'))
})

test('react: a page is in the room that it shows, and waves to the others there', async () => {
  const { a, b } = await twoPages('react')
  await Promise.all([a, b].map((page) => says(page, '#room', '1 others in red')))
  await a.click('button')
  await says(b, '#room', '1 waves')
  await a.selectOption('select', 'green')
  await says(b, '#room', '0 others in red')
  await b.selectOption('select', 'green')
  await Promise.all([a, b].map((page) => says(page, '#room', '1 others in green')))
})

test('agent: an edge without a browser greets and answers', async () => {
  const stage = await openStage(2, { network: 'main' })
  const agent = spawn(process.execPath, [
    '--conditions=signal-mesh:source',
    `${ROOT}/examples/agent/main.ts`,
    String(stage.urls[0]),
  ])
  const exited = once(agent, 'exit')
  const page = await stage.open(1, '/examples/chat.html')
  await says(page, '#log li', 'Hello, I am an agent')
  await page.fill('#text', 'time')
  await page.press('#text', 'Enter')
  await page.waitForFunction(() => /: \d{4}-\d\d-\d\dT/.test(document.body.textContent ?? ''))
  agent.kill('SIGINT')
  assert.equal(await exited, [0, null])
})

test.run()
