/** The stage of one test: a mesh of its own, pages of two browsers, and an end that closes them all. */

import type { ChildProcess } from 'node:child_process'
import { type Child, startChild } from '../../runtimes/children.ts'
import { startTestnet, type Testnet } from '../../runtimes/local-mesh.ts'
import { assert, type Suite } from '../../test/harness/suite.ts'
import { type Browser, launchBrowser, type Page } from '../browser.ts'
import { type Health, healthOf, untilHealth } from './health.ts'
import type { Failure, KitOptions } from './page-kit.ts'
import { blankOf, DONE_WITHIN_MS, openPage, type Visitor, visit, visitInVain } from './visitors.ts'

/** One test with everything in it: the mesh starts, a dozen pages come and go. */
export const TEST_TIMEOUT_MS = 90_000

export interface Stage {
  readonly urls: readonly string[]
  nodeId(node: number): string
  kill(node: number): Promise<void>
  /** The node's process, to be stopped or halted. */
  process(node: number): ChildProcess
  /** Starts one more node on the same DHT bootstrap; gives its URL. */
  addNode(network: string): Promise<string>
  health(): Promise<readonly Health[]>
  /** Opens a page of the node and joins there; pages take turns between the browsers. */
  visit(node: number, topic: string, more?: Pick<KitOptions, 'meshRelay'>): Promise<Visitor>
  visitInVain(node: number, network: string): Promise<Failure>
  /** Opens a page of the node's origin with this source. */
  show(node: number, html: string): Promise<Page>
  /** Opens a page that the node serves. */
  open(node: number, path: string): Promise<Page>
}

export interface StageOptions {
  readonly network?: string
  /** More environment for every node. */
  readonly env?: Readonly<Record<string, string>>
  /** An edge client that pages get in place of the node's. */
  readonly client?: Uint8Array
}

/**
 * Prepares the suite to open stages: `open(3)` in a test; what was opened is closed after it. `flags`
 * are the browsers'.
 */
export function prepareStages(
  test: Suite,
  flags: readonly string[] = [],
): (nodes: number, options?: StageOptions) => Promise<Stage> {
  let browsers: Browser[] = []
  let testnet: Testnet | undefined
  const more: Child[] = []
  const pageErrors: string[] = []
  let pages = 0

  test.before(async () => {
    browsers = await Promise.all([launchBrowser(flags), launchBrowser(flags)])
  })
  test.after(async () => {
    for (const browser of browsers) await browser.close()
  })
  test.afterEach(async () => {
    const contexts = browsers.flatMap((browser) => browser.contexts())
    for (const context of contexts) await context.close()
    await Promise.all(more.splice(0).map((child) => child.stop()))
    await testnet?.stop()
    testnet = undefined
    assert.equal(pageErrors.splice(0), [], 'errors in pages that nobody caught')
  })
  const nextBrowser = (): Browser => browsers[pages++ % browsers.length] as Browser

  return async (nodes, { network = 'e2e', env = {}, client } = {}) => {
    const net = await startTestnet({ nodes, network, env })
    testnet = net
    // Pages learn of other homes as they join, so each node has to know all others by then.
    const knowsAll = ({ mesh }: Health): boolean => mesh.homes === nodes
    await untilHealth('every node knows all homes', net.urls, DONE_WITHIN_MS, (all) =>
      all.every(knowsAll),
    )
    const urlOf = (node: number): string => net.urls[node] as string
    return {
      urls: net.urls,
      nodeId: (node) => net.nodeIds[node] as string,
      kill: net.kill,
      process: (node) => net.processes[node] as ChildProcess,
      addNode: async (name) => {
        const child = await startChild({
          program: '../mod.ts',
          args: [
            ...['--network', name, '--bootstrap', net.bootstrap, '--port', '0'],
            ...['--log-level', 'warn', '--log-format', 'json'],
          ],
        })
        more.push(child)
        return String(child.ready.url)
      },
      health: () => Promise.all(net.urls.map(healthOf)),
      visit: (node, topic, more) => {
        const options = { network, topic, ...more, ...(client && { client }) }
        return visit(nextBrowser(), urlOf(node), options, pageErrors)
      },
      visitInVain: (node, name) =>
        visitInVain(nextBrowser(), urlOf(node), { network: name, topic: 'any' }),
      show: async (node, html) => {
        const page = await openPage(nextBrowser(), pageErrors)
        // Written over a page that came from the node: Chromium lets no other page reach a local one.
        await page.goto(blankOf(urlOf(node)))
        await page.setContent(html)
        return page
      },
      open: async (node, path) => {
        const page = await openPage(nextBrowser(), pageErrors)
        await page.goto(new URL(path, urlOf(node)).href)
        return page
      },
    }
  }
}
