/** Commands that ask a running node: what they show of the mesh, and how they end. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseConfig } from '../runtimes/config.ts'
import { MAX_VIEW_BYTES } from '../runtimes/limits.ts'
import { nodeUrl } from '../runtimes/nodeurl.ts'
import { startNode } from '../runtimes/start.ts'
import { healthStatus, meshStatus } from '../runtimes/statusview.ts'
import { joinMesh } from '../src/edge/mod.ts'
import { silentLog } from '../src/log.ts'
import { assert, suite } from './harness/suite.ts'
import { hostOf, ownRuntime, runCommand } from './support/command.ts'

const test = suite('commands at a node', { timeoutMs: 20_000 })
const runtime = await ownRuntime()
const closes: (() => Promise<void>)[] = []

test.afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

// --- status ---

test('status shows every node of the mesh, and ends with 0 where all is well', async () => {
  const [a, b] = await linkedPair()
  const { code, out } = await runCommand(runtime, ['status', a.url])
  assert.is(code, 0)
  assert.match(out, /^Network main: 2 nodes, 0 edges/)
  assert.match(out, new RegExp(`^${a.id.slice(0, 12)} +\\S+ +this one`, 'm'))
  assert.match(out, new RegExp(`^${b.id.slice(0, 12)} +\\S+ +linked .*${b.url}$`, 'm'))
  const json = JSON.parse((await runCommand(runtime, ['status', a.url, '--json'])).out)
  assert.equal([json.well, json.nodes.length], [true, 2])
})

test('status ends with 3 and says why where the node has no link to others', async () => {
  const { url } = await started(['--peer', 'http://127.0.0.1:9'])
  const { code, out } = await runCommand(runtime, ['status', url])
  assert.is(code, 3)
  assert.match(out, /^! The node has no link to any other/m)
})

test('status says who does not answer, and what is no node', async () => {
  const nobody = await runCommand(runtime, ['status', 'http://127.0.0.1:9'])
  assert.match(String(nobody.error?.message), /Cannot ask http:\/\/127\.0\.0\.1:9\//)
  const url = await answering(() => '[not JSON')
  const other = await runCommand(runtime, ['status', url])
  assert.match(String(other.error?.message), /is no node of a Signal Mesh/)
  assert.match(
    String((await runCommand(runtime, ['status', 'nonsense'])).error?.message),
    /by its URL/,
  )
})

test('status refuses an answer that is over its bound', async () => {
  const url = await answering(() => `"${'x'.repeat(MAX_VIEW_BYTES)}"`)
  const { error } = await runCommand(runtime, ['status', url])
  assert.match(String(error?.message), new RegExp(`is over ${MAX_VIEW_BYTES} bytes`))
})

test('status --watch goes on when the node is away, until it is stopped', async () => {
  let away = false
  const url = await answering((path) =>
    path === '/ready' ? '{"ready":true}' : away ? 'x' : '{"network":"main","nodes":[]}',
  )
  let stop = (): void => {}
  const said: string[] = []
  const ended = runCommand(runtime, ['status', url, '--watch', '--every', '1'], {
    onStop: (fn) => {
      stop = () => fn('SIGINT', 130)
    },
    out: (text) => {
      said.push(text)
      away = !away
    },
    err: (text) => {
      said.push(text)
      away = false
    },
  })
  await untilSaid(said, 3)
  stop()
  assert.is((await ended).code, 0)
  assert.match(
    said.join(''),
    /Network main[\s\S]*is no node of a Signal Mesh; asks again\n[\s\S]*Network main/,
  )
})

test('a node that tells no more than its health is shown by that', async () => {
  const id = 'ab'.repeat(32)
  const runtimes = { [id]: 'node', ['cd'.repeat(32)]: 'bun' }
  const health = {
    status: 'ok',
    network: 'main',
    nodeId: id,
    runtime: 'node 24',
    mesh: { homes: 2, edges: 1, runtimes },
  }
  const url = await answering((path) => (path === '/health' ? JSON.stringify(health) : undefined))
  const { code, out } = await runCommand(runtime, ['status', url])
  assert.is(code, 0)
  assert.match(
    out,
    /2 nodes, 1 edges[\s\S]*^abababababab +this one[\s\S]*^cdcdcdcdcdcd +known .*bun$/m,
  )
  assert.equal(
    healthStatus({ status: 200, json: { ...health, status: 'stopping' } }).troubles.length,
    1,
  )
})

test('whatever a node says, status shows it as letters and numbers, or a dash', () => {
  const ready = { status: 200, json: { ready: false, reasons: ['\x1b[2J', 7] } }
  const nodes = [
    null,
    { id: 7 },
    { id: '\x1b[31mred', isSuspected: true, urls: 'x', report: { name: '\x07', links: {} } },
    { id: 'a'.repeat(64), isSelf: true, isSuspected: true, urls: ['http://a'], report: 7 },
  ]
  for (const json of [{}, { nodes: 7 }, { nodes, totals: [], network: {} }]) {
    const { text, troubles } = meshStatus(json, ready)
    assert.not.match(`${text}${troubles.join('')}`.replaceAll('\n', ''), /\p{C}/u)
  }
})

test('a node is named by the URL of its pages or of its socket', () => {
  assert.is(nodeUrl(), 'http://127.0.0.1:4680')
  assert.is(nodeUrl('wss://a.example/'), 'https://a.example')
})

// --- topic ---

test('topic tells who is there, who comes and who leaves', async () => {
  const { url } = await started([])
  const first = await joinMesh({ urls: [url], topics: ['cats'] })
  closes.push(() => first.close())
  const said: { kind: string; id: string; info?: string }[] = []
  let stop = (): void => {}
  const ended = runCommand(runtime, ['topic', 'cats', url, '--json'], {
    onStop: (fn) => {
      stop = () => fn('SIGINT', 130)
    },
    out: (line) => void said.push(JSON.parse(line)),
  })
  await untilSaid(said, 1)
  const second = await joinMesh({ urls: [url] })
  await second.advertise('cats', { info: new TextEncoder().encode('hi') })
  await untilSaid(said, 2)
  await second.close()
  await untilSaid(said, 3)
  stop()
  assert.is((await ended).code, 0)
  assert.equal(
    said.map(({ kind, id }) => [kind, id]),
    [
      ['join', first.id],
      ['join', second.id],
      ['leave', second.id],
    ],
  )
  assert.is(said[1]?.info, '6869')
})

test('topic says what it lacks, and which networks are spoken where it asks for another', async () => {
  assert.match(String((await runCommand(runtime, ['topic'])).error?.message), /which topic/)
  const { url } = await started([])
  const { error } = await runCommand(runtime, ['topic', 'cats', url, '--network', 'other'])
  assert.match(String(error?.message), /Spoken here: "main"/)
})

test.run()

interface Started {
  readonly id: string
  readonly url: string
}

async function started(argv: readonly string[]): Promise<Started> {
  const config = parseConfig(['--port', '0', '--stun-port', '0', '--allow-private', ...argv], {})
  const node = await startNode(config, runtime, hostOf([]), silentLog)
  closes.push(() => node.close())
  return { id: node.id, url: node.urls[0] as string }
}

async function linkedPair(): Promise<[Started, Started]> {
  const a = await started([])
  const b = await started(['--peer', a.url])
  for (;;) {
    const { neighbours } = (await (await fetch(`${a.url}/health`)).json()) as { neighbours: number }
    if (neighbours === 1) return [a, b]
    await pause()
  }
}

/** A server that is no node, or an old one. */
async function answering(answer: (path: string) => string | undefined): Promise<string> {
  const server = createServer(({ url = '' }, out) => {
    const body = answer(url)
    out.statusCode = body === undefined ? 404 : 200
    out.end(body ?? 'Not found')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closes.push(() => new Promise((resolve) => server.close(() => resolve())))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function untilSaid(said: readonly unknown[], count: number): Promise<void> {
  while (said.length < count) await pause()
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20))
}
