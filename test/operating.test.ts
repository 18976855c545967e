/** Operating: the operator's token, the load of the process, and what of several networks is asked where. */

import { adminTokenFrom } from '../runtimes/admin.ts'
import { createLoad } from '../runtimes/load.ts'
import { metricsResponse } from '../runtimes/metrics.ts'
import { serveNetworks } from '../src/networks.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { outcomeOf } from './limits/case.ts'
import { during, testMesh } from './support/mesh.ts'

const test = suite('operating')
const info = { remoteAddress: '192.0.2.1' }

test('takes a token of one long word from its file, and no other', async () => {
  const read = (text: string) =>
    adminTokenFrom({ adminTokenFile: 'token' }, { readText: async () => text })
  assert.is(await read(' 0123456789abcdef\n'), '0123456789abcdef')
  assert.is(
    await adminTokenFrom({ adminTokenFile: undefined }, { readText: async () => '' }),
    undefined,
  )
  for (const bad of [
    '',
    '\n',
    '0123456789abcde',
    '01234567 89abcdef',
    'é'.repeat(16),
    'x'.repeat(513),
  ]) {
    assert.is(await outcomeOf(() => read(bad)), 'BAD_CONFIG', bad)
  }
})

test('tells the share of a processor since a while ago, however often it is asked', () => {
  let [nowMs, user] = [0, 0]
  const load = createLoad(
    () => nowMs,
    () => ({ user, system: 0 }),
  )
  assert.is(load(), undefined)
  nowMs = 10_000
  user = 2_500_000
  assert.is(load(), 0.25)
  nowMs = 10_001
  user = 2_600_000
  assert.is(load(), 0.25, 'a moment is no measure')
})

test('metrics have no label that an edge could fill, and none of an edge', async () => {
  const mesh = await testMesh(2)
  const [a, b] = mesh.nodes as [MeshNode, MeshNode]
  const [caller, called] = [await mesh.edge(a), await mesh.edge(b)]
  await during(called.join('a secret garden'), mesh.clock)
  await during(caller.join('a secret garden'), mesh.clock)
  await mesh.clock.advance(1_000)
  const response = await metricsResponse(new Request('http://node.example/metrics'), [a], '1.2.3')
  const text = await response.text()
  const bounded = ['code', 'network', 'node', 'of', 'protocol', 'runtime', 'stat', 'version', 'way']
  const labels = [...text.matchAll(/(\w+)="/g)].map(([, name]) => name ?? '')
  assert.ok(labels.length > 20)
  assert.equal(
    labels.filter((name) => !bounded.includes(name)),
    [],
  )
  for (const secret of [caller.id, called.id, 'garden', '127.0.0.1']) {
    assert.not.ok(text.includes(secret), secret)
  }
  await mesh.close()
})

test('of several networks each is looked at by its name, and all must be ready', async () => {
  const [one, other] = [await testMesh(1), await testMesh(1, { network: 'other' })]
  const nodes = [...one.nodes, ...other.nodes] as [MeshNode, MeshNode]
  const served = serveNetworks(nodes)
  const ask = async (path: string) => served.fetch(new Request(`http://node.example${path}`), info)
  assert.is((await (await ask('/mesh.json')).json()).self, nodes[0].id)
  assert.is((await (await ask('/mesh.json?network=other')).json()).self, nodes[1].id)
  assert.is((await ask('/mesh.json?network=none')).status, 404)
  assert.is((await ask('/ready')).status, 200)
  await nodes[1].close()
  assert.is((await ask('/ready')).status, 503)
  assert.is((await ask('/ready?network=test')).status, 200)
  await one.close()
  await other.close()
})

test.run()
