/** Metrics on the three runtimes: by Debian's promtool, and by a Prometheus that scrapes them with our rules. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Health } from '../src/node.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { healthOf } from './support/health.ts'
import { poll } from './support/poll.ts'
import { ensurePrometheus, NO_PROMETHEUS, promtool, startPrometheus } from './support/prometheus.ts'
import { type RuntimeName, type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('metrics', { timeoutMs: 60_000 })
const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
const nodes: RuntimeNode[] = []
const hasPrometheus = ensurePrometheus()
const ROOT = join(import.meta.dirname, '..')

test.after(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

/** One of each runtime, all linked to the first. */
async function mesh(): Promise<readonly RuntimeNode[]> {
  if (nodes.length > 0) return nodes
  for (const runtime of RUNTIMES) {
    const peers = nodes[0] ? ['--peer', nodes[0].url] : []
    nodes.push(
      await startOn(runtime, ['--port', '0', '--stun-port', '0', '--name', runtime, ...peers]),
    )
  }
  await poll('all are linked', 20_000, async () => {
    const all = await Promise.all(nodes.map(({ url }) => healthOf(url)))
    return all.every(({ mesh: { homes } }) => homes === 3)
  })
  return nodes
}

const metricsOf = async (url: string, accept: string): Promise<Response> =>
  fetch(new URL('/metrics', url), { headers: { accept } })

if (!hasPrometheus)
  test.skip('promtool finds nothing wrong with the metrics of each runtime', NO_PROMETHEUS)
else
  test('promtool finds nothing wrong with the metrics of each runtime', async () => {
    for (const { url, runtime } of await mesh()) {
      const plain = await metricsOf(url, 'text/plain')
      assert.match(plain.headers.get('content-type') ?? '', 'text/plain; version=0.0.4')
      assert.is(promtool(['check', 'metrics'], await plain.text()), '', runtime)
    }
  })

test('each runtime answers in OpenMetrics, with its own numbers', async () => {
  for (const { url, runtime, nodeId } of await mesh()) {
    const response = await metricsOf(url, 'application/openmetrics-text')
    assert.match(response.headers.get('content-type') ?? '', 'application/openmetrics-text')
    const text = await response.text()
    assert.ok(text.endsWith('# EOF\n'), runtime)
    assert.match(text, `node="${nodeId}"`)
    const { neighbours } = await healthOf(url)
    assert.match(text, `signal_mesh_neighbours{network="main"} ${neighbours}\n`)
    assert.match(text, /process_cpu_seconds_total \d/)
  }
})

test('each tells the others what it is, and is ready', async () => {
  const all = await mesh()
  for (const { url } of all) {
    assert.is((await fetch(new URL('/ready', url))).status, 200)
    await poll('all report', 15_000, async () => {
      const view = await (await fetch(new URL('/mesh.json', url))).json()
      const names = view.nodes.map((node: { report?: { name: string } }) => node.report?.name)
      return RUNTIMES.every((runtime) => names.includes(runtime))
    })
  }
})

if (!hasPrometheus)
  test.skip('a Prometheus with our rules scrapes all, and none of its alerts fires', NO_PROMETHEUS)
else
  test('a Prometheus with our rules scrapes all, and none of its alerts fires', async () => {
    const all = await mesh()
    assert.match(promtool(['check', 'rules', 'ops/alerts.yml']), 'SUCCESS')
    const prometheus = await startPrometheus(all.map(({ url }) => url))
    try {
      const scraped = await poll('all are scraped', 20_000, async () => {
        const { data } = (await prometheus
          .ask('query?query=signal_mesh_neighbours')
          .catch(() => ({}))) as Answer
        return data?.result?.length === all.length && data.result
      })
      const health: readonly Health[] = await Promise.all(all.map(({ url }) => healthOf(url)))
      for (const { metric, value } of scraped) {
        const at = all.findIndex(({ url }) => new URL(url).host === metric.instance)
        assert.is(Number(value[1]), health[at]?.neighbours)
      }
      const { data } = (await prometheus.ask('rules')) as { data: { groups: Group[] } }
      const rules = data.groups.flatMap((group) => group.rules)
      assert.ok(rules.length >= 7)
      assert.equal(
        rules.filter(({ health: state }) => state === 'err'),
        [],
      )
      assert.equal(
        rules.filter(({ state }) => state === 'firing').map(({ name }) => name),
        [],
      )
    } finally {
      await prometheus.stop()
    }
  })

test('the dashboard and the alerts ask for no metric that no node has', async () => {
  const [first] = await mesh()
  const text = await (await metricsOf(first?.url ?? '', 'text/plain')).text()
  const known = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name))
  const files = ['ops/grafana.json', 'ops/alerts.yml'].map((file) =>
    readFileSync(join(ROOT, file), 'utf8'),
  )
  const asked = files.flatMap((file) => file.match(/\b(signal_mesh|process)_[a-z_]+/g) ?? [])
  assert.ok(asked.length > 20)
  assert.equal(
    [...new Set(asked)].filter((name) => !known.has(name)),
    [],
  )
})

test.run()

interface Answer {
  readonly data?: {
    readonly result?: readonly {
      readonly metric: { readonly instance: string }
      readonly value: readonly [number, string]
    }[]
  }
}

interface Group {
  readonly rules: readonly {
    readonly name: string
    readonly state: string
    readonly health: string
  }[]
}
