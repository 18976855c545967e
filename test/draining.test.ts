/** Draining: a node that is to stop lets its edges move first, and waits for them within a bound. */

import { manualClock } from '../src/clock.ts'
import { drainEdges } from '../src/draining.ts'
import type { PeerId } from '../src/identity.ts'
import { DRAIN_TICK_MS } from '../src/limits.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'

const test = suite('draining')

test('edges of a node that drains are at home elsewhere before it closes', async () => {
  const mesh = await testMesh(3)
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const edges = [await mesh.edge([n0, n1]), await mesh.edge([n0, n2]), await mesh.edge([n0, n1])]
  await mesh.clock.advance(5_000)
  assert.is(n0.health().edges, 3)
  let drained: unknown
  void n0.drain(60_000).then((it) => {
    drained = it
  })
  for (let i = 0; i < 40 && !drained; i++) await mesh.clock.advance(DRAIN_TICK_MS)
  assert.equal(drained, { moved: 3, left: 0 })
  // It is still there for whoever speaks to it, and takes nobody new.
  assert.equal([n0.health().status, n0.health().edges, n0.health().neighbours], ['stopping', 0, 2])
  assert.ok(edges.every(({ home }) => home.state === 'open' && home.nodeId !== n0.id))
  assert.equal(n0.ready(), { ready: false, reasons: ['STOPPING'] })
  const refused = n0.upgrade(new Request(`${mesh.urlOf(n0)}/edge`), { remoteAddress: '127.0.0.1' })
  assert.is((refused as Response).status, 503)
  await mesh.close()
})

test('a node that knows no other has nowhere to send its edges, and does not wait', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  await mesh.edge(node)
  assert.equal(await node.drain(60_000), { moved: 0, left: 1 })
  await mesh.close()
})

test('edges are told in turns, so many in a second', async () => {
  const { clock, told } = begun({ count: 25, perSecond: 200, withinMs: 60_000 })
  assert.is(told.length, 10)
  await clock.advance(DRAIN_TICK_MS)
  assert.is(told.length, 20)
  await clock.advance(DRAIN_TICK_MS)
  assert.is(told.length, 25)
})

test('an edge that does not come up elsewhere is waited for within the bound alone', async () => {
  const { clock, result } = begun({ count: 3, perSecond: 1_000, withinMs: 1_000, stays: 1 })
  await clock.advance(999)
  assert.is(result(), undefined)
  await clock.advance(DRAIN_TICK_MS)
  assert.equal(result(), { moved: 2, left: 1 })
  assert.is(clock.pending, 0)
})

test('where the time is up before all were told, the others are left to the goodbye', async () => {
  const { clock, told, result } = begun({ count: 100, perSecond: 20, withinMs: 100 })
  await clock.advance(200)
  assert.is(told.length, 3)
  assert.is((result() as { left: number }).left, 98)
})

test.run()

/** Edges that are elsewhere as soon as they were told, but for those that stay away. */
function begun(options: { count: number; perSecond: number; withinMs: number; stays?: number }) {
  const clock = manualClock()
  const peers = Array.from({ length: options.count }, (_, i) => `${i}`)
  const told: PeerId[] = []
  let done: unknown
  const gone = new Set(peers.slice(0, options.stays ?? 0))
  const { perSecond, withinMs } = options
  void drainEdges(
    {
      clock,
      peers,
      perSecond,
      tell: (peer) => void told.push(peer),
      hasMoved: (peer) => told.includes(peer) && !gone.has(peer),
    },
    withinMs,
  ).then((it) => {
    done = it
  })
  return { clock, told, result: () => done }
}
