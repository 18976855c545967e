/** The dashboard without a browser: what it reads, keeps and says of a mesh. */

import { KEPT_SAMPLES, TEXT_CHARS } from '../dashboard/bounds.ts'
import { lagsOf } from '../dashboard/convergence.ts'
import { linksOf } from '../dashboard/links.ts'
import { apply, type Mesh, NOTHING } from '../dashboard/model.ts'
import { readMessage, readView } from '../dashboard/read.ts'
import { readAdmin } from '../dashboard/readadmin.ts'
import { troublesOf } from '../dashboard/troubles.ts'
import { number, offset, stateOf } from '../dashboard/words.ts'
import { makePages } from '../runtimes/pages.ts'
import type { NodeView } from '../src/management.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'
import { hostileRecording, recordMesh } from './support/recording.ts'

const test = suite('dashboard')

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
const meshOf = (recording: string): Mesh =>
  recording
    .split('\n')
    .flatMap((line) => readMessage(parsed(line)) ?? [])
    .reduce(apply, NOTHING)

test('reads all that a node tells of its mesh, and loses nothing of it', async () => {
  const mesh = await testMesh(2)
  await mesh.clock.advance(2_000)
  const view = JSON.parse(JSON.stringify(mesh.nodes[0]?.mesh()))
  const shown = readView(view).reduce(apply, NOTHING)
  assert.equal([...shown.nodes.values()], view.nodes)
  assert.equal(shown.totals, view.totals)
  assert.equal(shown.events, view.events)
  assert.is(shown.self, view.self)
  assert.is(shown.links.length, 1)
  await mesh.close()
})

test('of what is no such message nothing is left but text, cut short and without what hides or turns', () => {
  const mesh = meshOf(hostileRecording())
  assert.is(mesh.nodes.size, 1)
  const [node] = mesh.nodes.values() as unknown as [NodeView]
  const said = JSON.stringify([...mesh.nodes.values(), mesh.events, mesh.network, mesh.totals])
  assert.not.match(said, /\p{C}/u)
  assert.ok(said.length < 20_000)
  assert.is([...(node.report?.name ?? '')].length, TEXT_CHARS + 1)
  assert.equal(node.report?.links, [])
  assert.is(node.report?.load, null)
  assert.is(mesh.totals?.edges, 0)
  for (const value of [undefined, null, 7, [], 'text']) readAdmin(value)
})

test('forgets who is gone, and begins anew when it is told to', () => {
  const mesh = meshOf(recordMesh(30))
  assert.is(mesh.nodes.size, 30)
  const [id = ''] = mesh.nodes.keys()
  const gone = apply(mesh, { type: 'gone', nodes: [id] })
  assert.not(gone.nodes.has(id))
  assert.not(gone.rates.has(id))
  const anew = apply(mesh, { type: 'begin', network: 'n', protocolVersion: 1, self: id, nodes: 0 })
  assert.is(anew.nodes.size + anew.events.length, 0)
})

test('keeps only so many samples', () => {
  const { totals } = meshOf(recordMesh(3))
  let mesh = NOTHING
  for (let i = 0; i < KEPT_SAMPLES + 5; i++) {
    mesh = apply(mesh, { type: 'totals', atMs: i, totals: totals as NonNullable<typeof totals> })
  }
  assert.is(mesh.history.length, KEPT_SAMPLES)
  assert.is(mesh.history[0]?.atMs, 5)
})

test('takes a link for one, by the longer of its times, and doubts what one end alone names', () => {
  const { nodes } = meshOf(recordMesh(2))
  const [a, b] = [...nodes.values()] as [NodeView, NodeView]
  const longest = Math.max(...[a, b].map(({ report }) => report?.links[0]?.rttMs ?? 0))
  assert.equal(
    linksOf(nodes).map(({ rttMs, isDoubted }) => [rttMs, isDoubted]),
    [[longest, false]],
  )
  const alone = { ...b, report: { ...b.report, links: [] } } as unknown as NodeView
  assert.ok(linksOf(new Map([a, alone].map((node) => [node.id, node])))[0]?.isDoubted)
})

test('says what is wrong, the worst first, and nothing where all is well', () => {
  const texts = troublesOf(meshOf(recordMesh(300))).map(({ text }) => text)
  assert.match(texts[0] ?? '', /^3 nodes are silent$/)
  assert.ok(texts.includes('2 nodes’ clocks are off'))
  assert.ok(texts.includes('5 nodes lack something of others'))
  assert.is(lagsOf(meshOf(recordMesh(300)))[0]?.batches, 7)
  assert.equal(
    troublesOf(meshOf(recordMesh(3))).filter(({ tone }) => tone === 'bad'),
    [],
  )
  assert.ok([...meshOf(recordMesh(3)).nodes.values()].every((node) => stateOf(node).tone === 'ok'))
})

test('writes numbers whole, times with their sign', () => {
  assert.equal([0, 0.126, 999, 1_234_5, 2e9].map(number), ['0', '0.13', '999', '12 345', '2.0 G'])
  assert.equal([null, -12.4, 0, 90_000].map(offset), ['–', '−12 ms', '0 ms', '+90 s'])
})

test('the page lies where nodes link, with a policy that lets it ask its own node alone', async () => {
  const bytes = new TextEncoder().encode('<!doctype html>')
  const pages = await makePages(new Map([['demo/mesh/index.html', bytes]]), {
    name: 'a',
    version: '1',
  })
  const headers = pages('/mesh')?.headers
  assert.is(headers?.get('content-type'), 'text/html; charset=utf-8')
  assert.match(headers?.get('content-security-policy') ?? '', "default-src 'self'")
})

test.run()
