/** Many nodes in one process: whatever is lost, cut, killed or started again, all come to agree. */

import { toHex } from '../src/bytes.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS } from '../src/limits.ts'
import { pick, seededRandom } from './fixtures/random.ts'
import { identityOf, START_MS, tagOf } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { beliefs, chain, disagreements, type VirtualNode, virtualMesh } from './support/nodes.ts'

const CHAT = tagOf(1)
const chat = toHex(CHAT)

const test = suite('convergence', { timeoutMs: 30_000 })

for (const shape of ['line', 'ring'] as const) {
  test(`brings each change to all of ten nodes in a ${shape} at once`, async () => {
    const mesh = virtualMesh(10)
    chain(mesh, mesh.nodes, shape)
    await mesh.clock.advance(1_000)
    for (const [i, node] of mesh.nodes.entries()) node.join(i, [CHAT])
    await mesh.clock.advance(100)
    assert.is(disagreements(mesh.nodes), 0)
    assert.ok(mesh.nodes.every((node) => visible(node).length === 10))
    mesh.nodes[3]?.leave(3)
    await mesh.clock.advance(100)
    assert.ok(mesh.nodes.every((node) => visible(node).length === 9))
    assert.is(disagreements(mesh.nodes), 0)
    mesh.stop()
  })
}

test('brings a late joiner all there is, however old', async () => {
  const mesh = virtualMesh(3)
  chain(mesh, mesh.nodes, 'line')
  await mesh.clock.advance(100)
  for (let i = 0; i < 40; i++) {
    pick(mesh.nodes, Math.random).join(i, [CHAT])
    await mesh.clock.advance(50)
  }
  await mesh.clock.advance(3 * HOME_EXPIRES_MS)
  const late = mesh.add()
  mesh.link(late, mesh.nodes[2] as VirtualNode)
  await mesh.clock.advance(100)
  assert.is(disagreements(mesh.nodes), 0)
  assert.is(visible(late).length, 40)
  mesh.stop()
})

test('repairs a lost batch by the next head, without another change', async () => {
  const mesh = virtualMesh(3)
  chain(mesh, mesh.nodes, 'line')
  const [a, b, c] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode]
  await mesh.clock.advance(100)
  mesh.congested = true
  a.join(1, [CHAT])
  await mesh.clock.advance(100)
  mesh.congested = false
  assert.equal([visible(b), visible(c)], [[], []])
  await mesh.clock.advance(HEARTBEAT_MS)
  assert.equal([visible(b).length, visible(c).length], [1, 1])
  assert.is(disagreements(mesh.nodes), 0)
  mesh.stop()
})

test('pulls what came before as soon as a later batch shows that some is missing', async () => {
  const mesh = virtualMesh(2)
  chain(mesh, mesh.nodes, 'line')
  const [a, b] = mesh.nodes as [VirtualNode, VirtualNode]
  await mesh.clock.advance(100)
  mesh.congested = true
  a.join(1, [CHAT])
  await mesh.clock.advance(100)
  mesh.congested = false
  a.join(2, [CHAT])
  await mesh.clock.advance(100)
  assert.is(visible(b).length, 2)
  mesh.stop()
})

test('heals a partition by itself, in a line of ten, within two heartbeats', async () => {
  const mesh = virtualMesh(10)
  const cuts = chain(mesh, mesh.nodes, 'line')
  await mesh.clock.advance(1_000)
  cuts[4]?.()
  await mesh.clock.advance(20_000)
  for (const [i, node] of mesh.nodes.entries()) node.join(i, [CHAT])
  await mesh.clock.advance(HOME_EXPIRES_MS + 2 * HEARTBEAT_MS)
  const [left, right] = [mesh.nodes.slice(0, 5), mesh.nodes.slice(5)]
  assert.equal([disagreements(left), disagreements(right)], [0, 0])
  assert.is(visible(mesh.nodes[0] as VirtualNode).length, 5)
  assert.is(visible(mesh.nodes[9] as VirtualNode).length, 5)
  mesh.link(mesh.nodes[4] as VirtualNode, mesh.nodes[5] as VirtualNode)
  await mesh.clock.advance(2 * HEARTBEAT_MS)
  assert.is(disagreements(mesh.nodes), 0)
  assert.is(visible(mesh.nodes[0] as VirtualNode).length, 10)
  mesh.stop()
})

test('lets a silent home go when its time is up, and not before', async () => {
  const mesh = virtualMesh(3)
  chain(mesh, mesh.nodes, 'ring')
  const [a, b, c] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode]
  a.join(1, [CHAT])
  await mesh.clock.advance(HEARTBEAT_MS * 3)
  const left: number[] = []
  b.mesh.directory.onChange(({ kind }) => kind === 'leave' && left.push(mesh.clock.nowMs()))
  a.kill()
  const killedAtMs = mesh.clock.nowMs()
  await mesh.clock.advance(HOME_EXPIRES_MS - HEARTBEAT_MS)
  assert.is(visible(b).length, 1)
  await mesh.clock.advance(3 * HEARTBEAT_MS)
  assert.equal([visible(b), visible(c)], [[], []])
  const afterMs = (left[0] as number) - killedAtMs
  assert.ok(afterMs > HOME_EXPIRES_MS - HEARTBEAT_MS, `${afterMs}`)
  assert.ok(afterMs <= HOME_EXPIRES_MS + HEARTBEAT_MS, `${afterMs}`)
  mesh.stop()
})

test('does not bring back a home that has left when two nodes meet of which one still has it', async () => {
  const mesh = virtualMesh(3)
  const [a, b, c] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode]
  mesh.link(a, b)
  mesh.link(a, c)
  a.join(1, [CHAT])
  await mesh.clock.advance(HEARTBEAT_MS)
  a.kill()
  await mesh.clock.advance(HOME_EXPIRES_MS - HEARTBEAT_MS)
  b.mesh.directory.expire(a.id)
  mesh.link(b, c)
  await mesh.clock.advance(100)
  assert.equal([visible(b).length, visible(c).length], [0, 1])
  await mesh.clock.advance(2 * HEARTBEAT_MS)
  assert.equal([visible(b), visible(c)], [[], []])
  mesh.stop()
})

test('takes a home’s goodbye at once, also where no link of its own reaches', async () => {
  const mesh = virtualMesh(4)
  chain(mesh, mesh.nodes, 'line')
  const [a, b, , d] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode, VirtualNode]
  a.join(1, [CHAT])
  await mesh.clock.advance(1_000)
  assert.is(visible(d).length, 1)
  a.stop()
  await mesh.clock.advance(100)
  assert.equal([visible(b), visible(d)], [[], []])
  assert.not(b.mesh.directory.homes.has(a.id))
  mesh.stop()
})

test('takes a home that was started again with what it has now, and nothing of before', async () => {
  const mesh = virtualMesh(3)
  chain(mesh, mesh.nodes, 'line')
  const [a, b, c] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode]
  for (let i = 0; i < 5; i++) a.join(i, [CHAT])
  await mesh.clock.advance(1_000)
  a.kill()
  await mesh.clock.advance(1_000)
  const again = mesh.add(0, START_MS + 1)
  mesh.link(again, b)
  await mesh.clock.advance(100)
  assert.equal([visible(b), visible(c)], [[], []])
  again.join(3, [CHAT], { seq: START_MS + 2_000 })
  await mesh.clock.advance(100)
  assert.equal(visible(c), [identityOf(3).id])
  assert.is(disagreements([again, b, c]), 0)
  mesh.stop()
})

test('agrees on the home of an edge that moved, in whatever order nodes hear of it', async () => {
  const mesh = virtualMesh(4)
  const cuts = chain(mesh, mesh.nodes, 'line')
  const [a, , , d] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode, VirtualNode]
  await mesh.clock.advance(100)
  cuts[1]?.()
  await mesh.clock.advance(100)
  a.join(1, [CHAT], { seq: START_MS + 2 })
  d.join(1, [CHAT], { seq: START_MS + 1 })
  await mesh.clock.advance(100)
  assert.equal(homesOf(mesh.nodes, 1), [a.id, a.id, d.id, d.id])
  mesh.link(mesh.nodes[1] as VirtualNode, mesh.nodes[2] as VirtualNode)
  await mesh.clock.advance(100)
  await mesh.clock.advance(HEARTBEAT_MS)
  assert.equal(homesOf(mesh.nodes, 1), [a.id, a.id, a.id, a.id])
  mesh.stop()
})

test('keeps 25 nodes in one mind through joins, leaves and moves of 100 edges', async () => {
  const random = seededRandom(2026)
  const mesh = virtualMesh(25)
  const { nodes, clock } = mesh
  // A ring with chords, so that packets meet themselves on many ways.
  chain(mesh, nodes, 'ring')
  for (let i = 0; i < 25; i += 3)
    mesh.link(nodes[i] as VirtualNode, nodes[(i + 9) % 25] as VirtualNode)
  await clock.advance(1_000)
  const homeOf = new Map<number, VirtualNode>()
  for (let step = 0; step < 300; step++) {
    const edge = Math.floor(random() * 100)
    const old = homeOf.get(edge)
    if (old && random() < 0.4) {
      old.leave(edge)
      homeOf.delete(edge)
    } else {
      const home = pick(nodes, random)
      home.join(edge, [CHAT, tagOf(edge % 5)], { seq: START_MS + step })
      // A move: the old home learns of it, as `edges.sweep` would find.
      if (old && old !== home) old.leave(edge)
      homeOf.set(edge, home)
    }
    if (step % 40 === 0) await clock.advance(40)
  }
  await clock.advance(1_000)
  assert.is(disagreements(nodes), 0)
  const expected = [...homeOf.keys()].map((edge) => identityOf(edge).id).sort()
  for (const node of [nodes[0], nodes[12], nodes[24]] as VirtualNode[]) {
    assert.equal(visible(node), expected)
    for (const [edge, home] of homeOf) {
      assert.is(node.mesh.directory.locate(identityOf(edge).id, clock.nowMs())?.home.id, home.id)
    }
  }
  mesh.stop()
})

test('brings 25 nodes back to one mind after links were cut and nodes killed at random', async () => {
  const random = seededRandom(7)
  const mesh = virtualMesh(25)
  const { clock } = mesh
  const cuts = new Set(chain(mesh, mesh.nodes, 'ring'))
  await clock.advance(500)
  const dead = new Set<VirtualNode>()
  for (let step = 0; step < 40; step++) {
    const living = mesh.nodes.filter((node) => !dead.has(node))
    pick(living, random).join(Math.floor(random() * 100), [CHAT], { seq: START_MS + step })
    if (step % 8 === 3) {
      const victim = pick(living, random)
      victim.kill()
      dead.add(victim)
    }
    if (step % 4 === 1) {
      const cut = pick([...cuts], random)
      cut()
      cuts.delete(cut)
    }
    await clock.advance(500)
    const [one, other] = [pick(living, random), pick(living, random)]
    if (one !== other && !dead.has(one) && !dead.has(other)) mesh.link(one, other)
  }
  const living = mesh.nodes.filter((node) => !dead.has(node))
  chain(mesh, living, 'line')
  await clock.advance(HOME_EXPIRES_MS + 3 * HEARTBEAT_MS)
  assert.is(disagreements(living), 0, living.slice(0, 2).map(beliefs).join('\n\n'))
  assert.is((living[0] as VirtualNode).mesh.directory.homes.size, living.length)
  mesh.stop()
})

test.run()

/** Whom the node would name for the topic, sorted. */
function visible({ mesh }: VirtualNode): string[] {
  const { claims } = mesh.directory.discover(chat, 1_000, START_MS + 60_000)
  return claims.map(({ peer }) => peer).sort()
}

function homesOf(nodes: readonly VirtualNode[], edge: number): (string | undefined)[] {
  return nodes.map(({ mesh }) => {
    return mesh.directory.locate(identityOf(edge).id, START_MS + 60_000)?.home.id
  })
}
