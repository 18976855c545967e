/** Nodes that find the mesh by themselves: by registries, as they change and die, and by nothing that was not named. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startChild } from '../runtimes/children.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { published, type Registry, startRegistry } from '../test/support/registry.ts'
import { healthOf, untilHealth } from './support/health.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('sources', { timeoutMs: 60_000 })
const nodes: RuntimeNode[] = []
const others: { stop(): Promise<unknown> }[] = []
const WITHIN_MS = 15_000

test.afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
  await Promise.all(others.splice(0).map((other) => other.stop()))
})

async function start(
  args: readonly string[] = [],
  runtime: RuntimeNode['runtime'] = 'node',
): Promise<RuntimeNode> {
  const node = await startOn(runtime, args)
  nodes.push(node)
  return node
}

async function registry(...args: Parameters<typeof startRegistry>): Promise<Registry> {
  const made = await startRegistry(...args)
  others.push({ stop: () => made.close() })
  return made
}

const recordOf = ({ url, nodeId }: RuntimeNode) => published({ url, nodeId, active: true })
const linked = (count: number) => (all: readonly { neighbours: number }[]) =>
  all.every(({ neighbours }) => neighbours === count)

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

test('a node that no source answers is there at once, and joins when one answers', async () => {
  const port = await freePort()
  const startMs = performance.now()
  const [a, b] = await Promise.all([start(), start(['--registry', `http://127.0.0.1:${port}/api`])])
  assert.ok(performance.now() - startMs < WITHIN_MS)
  assert.is((await healthOf(b.url)).neighbours, 0)
  await registry('struct', [recordOf(a)], port)
  await untilHealth('they link', [a.url, b.url], WITHIN_MS, linked(1))
})

test('a list that changes entirely while it runs is followed', async () => {
  const [a, c] = await Promise.all([start(['--network', 'one']), start(['--network', 'one'])])
  const list = await registry('union', [recordOf(a)])
  const b = await start(['--network', 'one', '--registry', list.url, '--refresh', '1'])
  await untilHealth('a and b link', [a.url, b.url], WITHIN_MS, linked(1))
  await a.kill()
  list.records = [recordOf(c)]
  await untilHealth('b and c link', [b.url, c.url], WITHIN_MS, linked(1))
})

test('a registry’s list is the allow-list of a private mesh, and a changed one takes effect', async () => {
  const list = await registry('union')
  const args = ['--registry', list.url, '--refresh', '1', '--members', 'registry', '--members-only']
  const a = await start()
  const [b, c] = await Promise.all([start(['--peer', a.url]), start(['--peer', a.url])])
  await a.kill()
  list.records = [recordOf(a), recordOf(b)]
  nodes.push(await a.restart(args))
  const isLinkedTo = (one: RuntimeNode) => async (): Promise<void> => {
    const wanted = [a, one].map(({ nodeId }) => nodeId).sort()
    await untilHealth(`only ${one.url} is in`, [a.url], WITHIN_MS, ([health]) => {
      return (
        Object.keys(health?.mesh.runtimes ?? {})
          .sort()
          .join() === wanted.join()
      )
    })
  }
  await isLinkedTo(b)()
  list.records = [recordOf(a), recordOf(c)]
  await isLinkedTo(c)()
  await list.close()
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await isLinkedTo(c)()
})

test.run()

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
