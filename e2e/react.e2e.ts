/** The React hooks in real browsers, in StrictMode: two pages in a room see each other, and one leaves. */

import { build } from 'esbuild'
import type {} from '../test/fixtures/react-page.ts'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { type Health, untilHealth } from './support/health.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const test = suite('react in a browser', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)
let bundle = ''

test.before(async () => {
  bundle = await bundleApp()
})

test('two pages in a room see and hear each other, each as one edge', async () => {
  const { stage, pages } = await openPages()
  const [one, other] = pages as [Page, Page]
  await until(one, () => shown?.view.peers.size === 1)
  await until(other, () => shown?.view.peers.size === 1)
  await one.evaluate(() => shown?.view.room?.send('hello'))
  await until(other, () => heard.includes('hello'))
  assert.equal(await other.evaluate(() => heard), ['hello'], 'heard once')
  assert.is(await one.evaluate(() => connections), 1)
  assert.is(await one.locator('p').textContent(), 'open, 1 here')
  await untilEdges(stage, 2)
  for (const page of pages) assert.is(await page.evaluate(() => edges.size), 1)
})

test('rendering again with options that say the same joins nothing anew', async () => {
  const { stage, pages } = await openPages()
  const [one, other] = pages as [Page, Page]
  await until(one, () => shown?.view.peers.size === 1)
  await one.evaluate(() => {
    for (let time = 0; time < 5; time++) renderAgain()
  })
  await one.evaluate(() => shown?.view.room?.send('still here'))
  await until(other, () => heard.includes('still here'))
  assert.is(await one.evaluate(() => edges.size), 1)
  await untilEdges(stage, 2)
})

test('a change of topic leaves the one room and joins the other; unmounting leaves the mesh', async () => {
  const { stage, pages } = await openPages()
  const [one, other] = pages as [Page, Page]
  await until(other, () => shown?.view.peers.size === 1)
  await one.evaluate(() => showRoom('elsewhere'))
  await until(other, () => shown?.view.peers.size === 0)
  await other.evaluate(() => showRoom('elsewhere'))
  await until(other, () => shown?.view.peers.size === 1)
  assert.is(await one.evaluate(() => edges.size), 1, 'the edge stays')
  await one.evaluate(() => unmount())
  await until(other, () => shown?.view.peers.size === 0)
  await untilEdges(stage, 1)
})

test('a change of options joins with another edge; what the node refuses is shown, and can be tried again', async () => {
  const { stage, pages } = await openPages()
  const [one] = pages as [Page, Page]
  await until(one, () => shown?.mesh.state === 'open')
  await one.evaluate(() => changeNetwork('another'))
  await until(one, () => shown?.mesh.error?.code === 'NETWORK_MISMATCH')
  await untilEdges(stage, 1)
  await one.evaluate(() => changeNetwork('e2e'))
  await until(one, () => shown?.view.peers.size === 1)
  await untilEdges(stage, 2)
  await one.evaluate(() => shown?.mesh.retry())
  await until(one, () => edges.size === 3 && shown?.view.peers.size === 1)
  await untilEdges(stage, 2)
})

test.run()

/** Two pages of the application, at two nodes, in one room. */
async function openPages(): Promise<{ stage: Stage; pages: Page[] }> {
  const stage = await openStage(2)
  const pages = await Promise.all([0, 1].map((node) => stage.show(node, '<!doctype html>')))
  for (const page of pages) {
    await page.addScriptTag({ type: 'module', content: bundle })
    await until(page, () => 'mount' in globalThis)
    await page.evaluate(() => mount('e2e', 'the room'))
  }
  return { stage, pages }
}

async function until(page: Page, ask: () => boolean | undefined): Promise<void> {
  await page.waitForFunction(ask, undefined, { timeout: DONE_WITHIN_MS })
}

async function untilEdges(stage: Stage, count: number): Promise<void> {
  const edgesAt = ({ edges }: Health): number => edges
  await untilHealth(`there are ${count} edges`, stage.urls, DONE_WITHIN_MS, (all) => {
    return all.reduce((sum, health) => sum + edgesAt(health), 0) === count
  })
}

/** The application as a bundler makes it in development, where StrictMode does its worst. */
async function bundleApp(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${import.meta.dirname}/../test/fixtures/react-page.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    define: { 'process.env.NODE_ENV': '"development"' },
    plugins: [
      {
        name: 'edge-from-node',
        setup: ({ onResolve }) => {
          onResolve({ filter: /\/edge\/mod\.ts$/ }, () => ({
            path: '/edge.min.js',
            external: true,
          }))
        },
      },
    ],
  })
  return outputFiles[0]?.text ?? ''
}
