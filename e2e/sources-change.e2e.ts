/** Registries that change while nodes run: silent at first, another list, another allow-list. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assert, suite } from '../test/harness/suite.ts'
import { linked, prepare, recordOf, WITHIN_MS } from './support/finding.ts'
import { healthOf, untilHealth } from './support/health.ts'
import type { RuntimeNode } from './support/runtimes.ts'

const test = suite('sources-change', { timeoutMs: 60_000 })
const { nodes, start, registry } = prepare(test)

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
