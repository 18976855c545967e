/** Tabs that are nodes: members of the mesh whose edges are in the same page, in a real browser. */

import { readFileSync } from 'node:fs'
import type { TabNode } from '../runtimes/tab.ts'
import type { Connection, Edge } from '../src/edge/mod.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { type Health, untilHealth } from './support/health.ts'
import { prepareStages, type Stage } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const NETWORK = 'tabs'
const TOPIC = 'room'
const CODE = readFileSync(`${import.meta.dirname}/../dist/tab.min.js`, 'utf8')
const test = suite('tab', { timeoutMs: 60_000 })
const open = prepareStages(test)

interface InTab {
  readonly node: TabNode
  readonly edge: Edge
  /** The peers that the topic's watch shows. */
  readonly present: Set<string>
  readonly heard: string[]
  /** Asks again and again until it gives something. */
  until<T>(what: string, ask: () => T | undefined | false): Promise<T>
}

declare global {
  var tab: InTab
}

interface Tab {
  readonly page: Page
  readonly node: string
  readonly edge: string
  /** The paths of all sockets that the page has opened. */
  readonly sockets: readonly string[]
}

/** A page with a node that is told of one other, and with an edge at home there. */
async function openTab(stage: Stage, node: number): Promise<Tab> {
  const page = await stage.open(node, '/health')
  const sockets: string[] = []
  page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname))
  const [id, edge] = await page.evaluate(
    async ({ code, network, topic, boundMs }) => {
      const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
      const { startNode } = (await import(url)) as typeof import('../runtimes/tab.ts')
      const node = await startNode({ network })
      const edge = await node.join({ topics: [topic] })
      const tab: InTab = {
        node,
        edge,
        present: new Set(),
        heard: [],
        until: async (what, ask) => {
          for (const endMs = performance.now() + boundMs; performance.now() < endMs; ) {
            const answer = ask()
            if (answer !== undefined && answer !== false) return answer
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
          const seen = { neighbours: node.neighbours, ...node.mesh, present: [...tab.present] }
          throw new Error(`Not within ${boundMs} ms: ${what}; last seen: ${JSON.stringify(seen)}`)
        },
      }
      globalThis.tab = tab
      edge.on('connection', (connection: Connection) =>
        connection.on('message', (text) => tab.heard.push(`${connection.id} ${text}`)),
      )
      const follow = async (): Promise<void> => {
        for await (const { kind, id } of edge.watch(topic)) {
          if (kind === 'join') tab.present.add(id)
          else tab.present.delete(id)
        }
      }
      follow().catch((error) => reportError(error))
      return [node.id, edge.id] as const
    },
    { code: CODE, network: NETWORK, topic: TOPIC, boundMs: DONE_WITHIN_MS },
  )
  return { page, node: id, edge, sockets }
}

const sees = ({ page }: Tab, peer: string): Promise<true> =>
  page.evaluate((peer) => tab.until('the peer is seen', () => tab.present.has(peer)), peer)

const hears = ({ page }: Tab, line: string): Promise<true> =>
  page.evaluate((line) => tab.until(line, () => tab.heard.includes(line)), line)

/** Calls the peer and says something; gives how long the call took. */
const callAndSay = ({ page }: Tab, peer: string, text: string): Promise<number> =>
  page.evaluate(
    async ({ peer, topic, text }) => {
      const startMs = performance.now()
      const connection = await tab.edge.connect(peer, { topic })
      const tookMs = performance.now() - startMs
      await connection.send(text)
      return Math.round(tookMs)
    },
    { peer, topic: TOPIC, text },
  )

const isOf = (node: Health | undefined, { homes, edges }: TabNode['mesh']): boolean =>
  node?.mesh.homes === homes && node.mesh.edges === edges

const meshOf = ({ page }: Tab): Promise<TabNode['mesh']> => page.evaluate(() => tab.node.mesh)

test('tabs that are nodes find and call each other, and edges elsewhere, through deaths of others', async () => {
  const stage = await open(2, { network: NETWORK })
  const [a, b] = await Promise.all([openTab(stage, 0), openTab(stage, 1)])
  await Promise.all([sees(a, b.edge), sees(b, a.edge)])
  const tookMs = await callAndSay(a, b.edge, 'hello')
  await hears(b, `${a.edge} hello`)
  note(`two tabs connected in ${tookMs} ms`)

  const [first, second] = await stage.health()
  assert.equal([first?.edges, second?.edges], [0, 0], 'no edge is at home with a node')
  for (const mesh of [first?.mesh, second?.mesh, await meshOf(a)]) {
    assert.equal([mesh?.homes, mesh?.edges], [4, 2], 'tabs are homes like any others')
  }

  // An ordinary edge and a tab's call each other like any two.
  const visitor = await stage.visit(1, TOPIC)
  await visitor.finds(a.edge, a.node)
  assert.is(await visitor.connects(a.edge), undefined)
  await visitor.says(a.edge, 'from an edge')
  await hears(a, `${visitor.id} from an edge`)
  await sees(b, visitor.id)
  await callAndSay(b, visitor.id, 'from a tab')
  await visitor.hears(b.edge, 'from a tab')

  await stage.kill(0)
  const c = await openTab(stage, 1)
  await sees(c, a.edge)
  const afterMs = await callAndSay(c, a.edge, 'still there')
  await hears(a, `${c.edge} still there`)
  note(`the tab whose node was killed was called in ${afterMs} ms`)

  await b.page.close({ runBeforeUnload: true })
  const closedMs = performance.now()
  await untilHealth('the closed tab is gone', [stage.urls[1] as string], 5_000, ([one]) =>
    // The killed node is missed by its silence alone, which takes longer than this test.
    isOf(one, { homes: 4, edges: 3 }),
  )
  note(`a closed tab has left after ${Math.round(performance.now() - closedMs)} ms`)
  for (const { sockets } of [a, b, c]) {
    assert.ok(sockets.length > 0)
    assert.equal(
      sockets.filter((path) => path !== '/mesh'),
      [],
      'a tab opens no socket for its edge',
    )
  }
})

/** Starts a node that keeps its identity; gives its id, and whether it is kept. */
const startKept = async (code: string): Promise<{ id: string; kept: boolean }> => {
  const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
  const { startNode } = (await import(url)) as typeof import('../runtimes/tab.ts')
  const { id, kept } = await startNode({ keep: 'app' })
  return { id, kept }
}

test('a kept identity is that of one tab at a time, and of the next page in it', async () => {
  const stage = await open(1)
  const page = await stage.open(0, '/health')
  const first = await page.evaluate(startKept, CODE)
  assert.ok(first.kept)
  const second = await page.context().newPage()
  await second.goto(page.url())
  const other = await second.evaluate(startKept, CODE)
  assert.not(other.kept)
  assert.is.not(other.id, first.id)
  await page.reload()
  assert.equal(await page.evaluate(startKept, CODE), first)
  await page.close()
  await second.reload()
  assert.equal(await second.evaluate(startKept, CODE), first)
})

test.run()
