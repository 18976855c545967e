/** Nodes that find the mesh by registries: in both dialects, by a DHT that a record names, and when the registry is gone. */

import { startChild } from '../runtimes/children.ts'
import { suite } from '../test/harness/suite.ts'
import { published } from '../test/support/registry.ts'
import { linked, prepare, recordOf, WITHIN_MS } from './support/finding.ts'
import { untilHealth } from './support/health.ts'

const test = suite('sources', { timeoutMs: 60_000 })
const { nodes, others, start, registry } = prepare(test)

test('a registry of each dialect brings nodes of all three runtimes together', async () => {
  const a = await start()
  const laconicd = await registry('union', [null, recordOf(a), published({ url: 'not a url' })])
  const dxns = await registry('struct', [recordOf(a)])
  const [b, c, d] = await Promise.all([
    start(['--registry', laconicd.url], 'deno'),
    start(['--registry', laconicd.url], 'bun'),
    start(['--registry', dxns.url]),
  ])
  const urls = [a, b, c, d].map(({ url }) => url)
  await untilHealth('all know each other', urls, WITHIN_MS, (all) =>
    all.every(({ mesh, neighbours }) => mesh.homes === 4 && neighbours === 3),
  )
})

test('nodes meet on a DHT that a record alone names', async () => {
  const dht = await startChild({ program: 'bootstrap.ts', args: ['--json'] })
  others.push(dht)
  const { url } = await registry('union', [published({ bootstrap: dht.ready['address'] })])
  const both = await Promise.all([start(['--registry', url]), start(['--registry', url])])
  await untilHealth(
    'they link',
    both.map((node) => node.url),
    WITHIN_MS,
    linked(1),
  )
})

test('a registry that is gone keeps no node from its mesh, after a restart of all at once too', async () => {
  const a = await start()
  const first = await registry('union', [recordOf(a)])
  const args = ['--registry', first.url]
  const b = await start(args)
  await untilHealth('they link', [a.url, b.url], WITHIN_MS, linked(1))
  await first.close()
  await Promise.all([a.kill(), b.kill()])
  const again = await Promise.all([a.restart(), b.restart(args)])
  nodes.push(...again)
  await untilHealth('they link again', [a.url, b.url], WITHIN_MS, linked(1))
})

test.run()
