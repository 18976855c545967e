/** One identity, two lives: a node started again with an earlier clock, and two processes at once. */

import { loadEpoch } from '../src/epoch.ts'
import type { SignalMeshError } from '../src/errors.ts'
import { HEARTBEAT_MS, MAX_RISES } from '../src/limits.ts'
import { linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import { START_MS } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { memoryStore, testMesh } from './support/mesh.ts'
import { type VirtualNode, virtualMesh } from './support/nodes.ts'

const test = suite('duplicate')

test('a node goes above its own earlier life that the mesh still knows, with all its edges', async () => {
  const mesh = virtualMesh(2)
  const [other] = mesh.nodes as [VirtualNode]
  const before = mesh.add(7, START_MS + 5000)
  mesh.link(before, other)
  before.join(1, [])
  await mesh.clock.advance(100)
  before.kill()
  // Its data folder and its clock are those of long ago.
  const again = mesh.add(7, START_MS)
  again.join(2, [])
  mesh.link(again, other)
  await mesh.clock.advance(1000)
  const known = other.mesh.directory.homes.get(again.id)
  assert.is(known?.position.epoch, START_MS + 5001)
  assert.equal([...(known?.claims.keys() ?? [])], [...again.mesh.log.state.claims.keys()])
  assert.is(known?.claims.size, 1)
  assert.is(other.mesh.directory.banned.size, 0)
  assert.equal(mesh.duplicated, [])
  mesh.stop()
})

test('a node that was killed, and started again with its clock set back, is not taken for a liar', async () => {
  const mesh = virtualMesh(2)
  const [other, third] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(other, third)
  const store = memoryStore()
  for (const clockMs of [START_MS + 5000, START_MS, 0]) {
    const node = mesh.add(7, await loadEpoch(store, clockMs))
    mesh.link(node, other)
    for (let edge = 0; edge < 3; edge++) node.join(edge + (clockMs % 7), [])
    await mesh.clock.advance(HEARTBEAT_MS + 1000)
    assert.ok(other.mesh.directory.homes.has(node.id) && third.mesh.directory.homes.has(node.id))
    node.kill()
  }
  assert.equal(
    [other, third].map(({ mesh }) => mesh.directory.banned.size),
    [0, 0],
  )
  mesh.stop()
})

test('two that speak with one key find out, as each goes above the other in turn', async () => {
  const mesh = virtualMesh(1)
  const [third] = mesh.nodes as [VirtualNode]
  const twins = [mesh.add(7, START_MS), mesh.add(7, START_MS + 1)] as const
  // The third keeps one link to a NodeId; the one that lost its own comes back.
  for (let i = 0; i < 2 * (MAX_RISES + 2); i++) {
    mesh.link(twins[i % 2] as VirtualNode, third)
    await mesh.clock.advance(100)
  }
  assert.ok(mesh.duplicated.length > 0)
  assert.ok(mesh.duplicated.every((node) => node.id === twins[0].id))
  mesh.stop()
})

test('a node whose identity runs twice stops with DUPLICATE_NODE', async () => {
  const mesh = await testMesh(1)
  const failures: SignalMeshError[] = []
  const store = memoryStore()
  const start = (): Promise<MeshNode> =>
    createNode({
      network: 'test',
      runtime: { name: 'node', version: 'test' },
      store,
      log: silentLog,
      clock: mesh.clock,
      onFatal: (error) => void failures.push(error),
    })
  const older = await start()
  const newer = await start()
  for (let i = 0; failures.length === 0 && i < 20; i++) {
    const [near, far] = linkPair()
    const node = i % 2 === 0 ? older : newer
    node.addLink(near, { initiator: true, remoteAddress: '127.0.0.1' })
    mesh.nodes[0]?.addLink(far, { initiator: false, remoteAddress: '127.0.0.1' })
    await mesh.clock.advance(100)
  }
  assert.equal(
    failures.map(({ code }) => code),
    ['DUPLICATE_NODE'],
  )
  const states = [older.health().status, newer.health().status]
  assert.equal(states.sort(), ['ok', 'stopping'], 'one goes, the other stays')
  await older.close()
  await newer.close()
  await mesh.close()
})

test.run()
