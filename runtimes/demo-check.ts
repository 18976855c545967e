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

/** What is used of a page of Playwright. */
interface Page {
  goto(url: string): Promise<unknown>
  fill(selector: string, text: string): Promise<void>
  press(selector: string, key: string): Promise<void>
  getAttribute(selector: string, name: string): Promise<string | null>
  textContent(selector: string): Promise<string | null>
  waitForSelector(selector: string, options: { readonly timeout: number }): Promise<unknown>
}

interface Browser {
  newPage(): Promise<Page>
  close(): Promise<void>
}

/** Only in a checkout: the published package has neither it nor Playwright, so nothing may bundle it. */
const LAUNCHER = '../e2e/browser.ts'

/** @throws SignalMeshError that says which step failed, and what the page said then. */
export async function checkDemo(
  links: readonly string[],
  say: (text: string) => void,
): Promise<DemoReport> {
  const { launchBrowser } = await launcher()
  say('Starting two headless browsers …')
  const browsers = await Promise.all(links.map(() => launchBrowser()))
  try {
    const pages = await Promise.all(browsers.map((browser) => browser.newPage()))
    return await checkPages(pages, links, say)
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
}

async function launcher(): Promise<{ launchBrowser(): Promise<Browser> }> {
  // Only here: who just runs the demo need not have Playwright.
  if (import.meta.url.endsWith('.ts')) return import(LAUNCHER)
  throw new SignalMeshError(
    'BAD_CONFIG',
    'Flag --check takes browsers that only a checkout of the source has; open the links by hand',
  )
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
