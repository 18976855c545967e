/** The demo's check: opens both links in a real browser each, and lets them chat. */

import { SignalMeshError } from '../src/errors.ts'

/** A step is done by then, also on a busy machine with cold browsers. */
const STEP_MS = 30_000

export interface DemoReport {
  readonly text: string
  /** From the first page's navigation until both pages show that they are connected. */
  readonly connectedMs: number
  readonly homes: readonly string[]
}

type BrowserModule = typeof import('../e2e/browser.ts')
type Page = import('../e2e/browser.ts').Page

/** @throws SignalMeshError that says which step failed, and what the page said then. */
export async function checkDemo(
  links: readonly string[],
  say: (text: string) => void,
): Promise<DemoReport> {
  // Only here: who just runs the demo need not have Playwright.
  const { launchBrowser }: BrowserModule = await import('../e2e/browser.ts')
  say('Starting two headless browsers …')
  const browsers = await Promise.all(links.map(() => launchBrowser()))
  try {
    const pages = await Promise.all(browsers.map((browser) => browser.newPage()))
    return await checkPages(pages, links, say)
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
}

async function checkPages(
  pages: readonly Page[],
  links: readonly string[],
  say: (text: string) => void,
): Promise<DemoReport> {
  const startMs = performance.now()
  await Promise.all(pages.map((page, index) => page.goto(links[index] as string)))
  say('Both pages are open; waiting until each shows the other as connected …')
  await Promise.all(
    pages.map((page, index) =>
      step(page, `page ${index + 1} shows the other as connected`, '[data-state="connected"]'),
    ),
  )
  const connectedMs = Math.round(performance.now() - startMs)
  const homes = await Promise.all(pages.map(homeOf))
  if (new Set(homes).size !== pages.length) {
    throw new SignalMeshError(
      'INTERNAL',
      `The check wants two homes; the pages are at ${homes.join(', ')}`,
    )
  }
  for (const [index, page] of pages.entries()) {
    const text = `hello from page ${index + 1}`
    await page.fill('#text', text)
    await page.press('#text', 'Enter')
    const other = pages[1 - index] as Page
    await step(
      other,
      `page ${2 - index} shows the other's message`,
      `[data-kind="peer"]:has-text("${text}")`,
    )
  }
  say('A message went each way.')
  const text = `two browsers connected through two nodes in ${connectedMs} ms`
  return { text, connectedMs, homes }
}

async function homeOf(page: Page): Promise<string> {
  return (await page.getAttribute('#home', 'data-node')) ?? ''
}

/** Waits for what the step shows; if it does not come, the page's own words go into the error. */
async function step(page: Page, what: string, selector: string): Promise<void> {
  try {
    await page.waitForSelector(selector, { timeout: STEP_MS })
  } catch (cause) {
    const status = await page.textContent('#status').catch(() => undefined)
    const why = status ? `the page says: ${status}` : 'the page says nothing'
    throw new SignalMeshError('TIMEOUT', `Not within ${STEP_MS} ms: ${what}; ${why}`, { cause })
  }
}
