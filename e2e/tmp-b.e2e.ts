/** First contact: how nodes that know of nobody come to be a mesh, on each runtime. */

import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Edge, joinMesh } from '../src/edge/mod.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { published, type Registry, startRegistry } from '../test/support/registry.ts'
import { type Health, healthOf, untilHealth } from './support/health.ts'
import { poll } from './support/poll.ts'
import { endOn, type RuntimeName, type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('first contact', { timeoutMs: 45_000 })
const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
const DONE_WITHIN_MS = 15_000
const ROOT = join(import.meta.dirname, '..')
const nodes: RuntimeNode[] = []
const registries: Registry[] = []

test.afterEach(async () => {
  await Promise.all(registries.splice(0).map((registry) => registry.close()))
  const codes = await Promise.all(nodes.splice(0).map((node) => node.stop()))
  assert.ok(
    codes.every((code) => code === 0),
    `each ends with 0 when it is asked to: ${codes}`,
  )
})

test.skip('one process serves two networks on each runtime, and neither sees anything of the other', async () => {
  const names = ['main', 'testnet'] as const
  const flags = names.flatMap((name) => ['--network', name])
  const first = await startOn('node', flags)
  nodes.push(first)
  const more = [...flags, '--peer', first.url]
  nodes.push(...(await Promise.all(RUNTIMES.slice(1).map((name) => startOn(name, more)))))
  const urls = nodes.map(({ url }) => url)
  const all = await untilHealth('both meshes are whole', urls, DONE_WITHIN_MS, (healths) =>
    healths.every((health) =>
      names.every((name) => {
        const { neighbours, mesh } = partOf(health, name)
        return neighbours === 2 && mesh.homes === 3
      }),
    ),
  )
  const ids = all.flatMap((health) => names.map((name) => partOf(health, name).nodeId))
  assert.is(new Set(ids).size, 6, 'a key for each network')

  const edges: Edge[] = []
  for (const { url } of nodes) {
    for (const network of names) edges.push(await edgeAt(url, network))
  }
  const inTestnet = edges.filter((_, i) => i % 2 === 1)
  for (const [i, edge] of edges.entries()) {
    const fellows = edges.filter((other, k) => other !== edge && k % 2 === i % 2)
    await finds(edge, fellows)
  }
  assert.is((await partsOf(urls, 'main')).join(), '1 of 3,1 of 3,1 of 3')
  await Promise.all(inTestnet.map((edge) => edge.close()))
  await poll('the one network is empty', DONE_WITHIN_MS, async () => {
    return (await partsOf(urls, 'testnet')).join() === '0 of 0,0 of 0,0 of 0'
  })
  assert.is((await partsOf(urls, 'main')).join(), '1 of 3,1 of 3,1 of 3')
  await Promise.all(edges.map((edge) => edge.close()))

  for (const { url, runtime } of nodes) {
    const error = await edgeAt(url, 'other').catch((failure) => failure)
    assert.is(error.code, 'NETWORK_MISMATCH', runtime)
    assert.match(error.message, 'Spoken here: "main", "testnet". Join one of these by its name')
  }
})

test.skip('a mesh of its own DHT: nodes meet at one that begins it, and again when all were killed', async () => {
  const at = `127.0.0.1:${await freeUdpPort()}`
  const [first, other] = [
    ['--dht-bootstrap', at, '--dht-relay'],
    ['--bootstrap', at],
  ]
  nodes.push(await startOn('node', first))
  nodes.push(await startOn('node', other))
  const relayed = ['--relay', (nodes[0] as RuntimeNode).url]
  nodes.push(...(await Promise.all(RUNTIMES.slice(1).map((name) => startOn(name, relayed)))))
  const startMs = performance.now()
  await whole(nodes)
  note(`${nodes.map(({ runtime }) => runtime).join(', ')}: met after ${since(startMs)} ms`)

  await Promise.all(nodes.map((node) => node.kill()))
  await portIsFree(at)
  const againMs = performance.now()
  const flags = [first, other, relayed, relayed]
  nodes.splice(0, 4, ...(await Promise.all(nodes.map((node, i) => node.restart(flags[i])))))
  await whole(nodes)
  note(`all at once: met again after ${since(againMs)} ms`)
})

test.skip('five nodes of three runtimes find each other by a record alone, and outlive the registry, themselves and the record', async () => {
  const port = await freeTcpPort()
  const own = { url: `http://127.0.0.1:${port}`, active: true }
  let registry = await startRegistry('union', [published(own)])
  registries.push(registry)
  const { url } = registry
  const asks = ['--network', 'five', '--registry', url, '--refresh', '1']
  const kinds: readonly RuntimeName[] = ['node', 'node', 'deno', 'bun', 'deno']
  const coldMs = performance.now()
  // All at once: none is there before the others, and the one of the record asks the registry too.
  const starts = kinds.map((name, i) =>
    startOn(name, i === 0 ? [...asks, '--port', `${port}`] : asks),
  )
  nodes.push(...(await Promise.all(starts)))
  await whole(nodes)
  note(`cold start of five by one record: ${since(coldMs)} ms`)
  // Each has asked a second time, so what it was told at first is kept.
  await poll('all have asked twice', DONE_WITHIN_MS, async () => registry.asked >= 10)

  await registry.close()
  await Promise.all(nodes.map((node) => node.kill()))
  const againMs = performance.now()
  nodes.splice(0, 5, ...(await Promise.all(nodes.map((node) => node.restart(asks)))))
  await whole(nodes)
  note(`all killed and back, the registry gone: ${since(againMs)} ms`)

  const [, second, third, fourth] = nodes as [RuntimeNode, RuntimeNode, RuntimeNode, RuntimeNode]
  const others = [second, third, fourth].map((node) => published({ url: node.url, active: true }))
  registry = await startRegistry('struct', others, Number(new URL(url).port))
  registries.push(registry)
  const newcomer = await startOn('bun', asks)
  nodes.push(newcomer)
  await whole(nodes)
  const [named] = nodes.splice(0, 1) as [RuntimeNode]
  await named.kill()
  const changedMs = performance.now()
  const urls = nodes.map((node) => node.url)
  const isLinked = (healths: readonly Health[]) =>
    healths.every(({ neighbours }) => neighbours >= 3)
  await untilHealth('they go on', urls, DONE_WITHIN_MS, isLinked)
  await whole(nodes)
  note(`another list, and the node of the first one killed: whole after ${since(changedMs)} ms`)
})

test('where there is no DHT nodes go through a relay that a record names, to who cannot be dialled otherwise', async () => {
  const at = `127.0.0.1:${await freeUdpPort()}`
  const lends = await startOn('node', ['--dht-bootstrap', at, '--dht-relay'])
  nodes.push(lends)
  // It says that it is where nobody is, so that the DHT alone leads to it.
  const hidden = ['--bootstrap', at, '--public-url', 'https://127.0.0.1:1']
  nodes.push(await startOn('node', hidden))
  const registry = await startRegistry('union', [
    published({ url: lends.url, relay: true, active: true }),
  ])
  registries.push(registry)
  const asks = ['--registry', registry.url]
  nodes.push(...(await Promise.all(RUNTIMES.slice(1).map((name) => startOn(name, asks)))))
  const urls = nodes.map(({ url }) => url)
  await untilHealth('all are linked with all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(({ neighbours }) => neighbours === 3),
  )
})

test.skip('the README’s private mesh of three machines comes up as it stands there, and lets nobody else in', async () => {
  const [record = '', first = '', others = ''] = commandsOf('private mesh')
  const at = `127.0.0.1:${await freeUdpPort()}`
  const machines = Array.from({ length: 3 }, () => mkdtempSync(join(tmpdir(), 'mesh-')))
  const list = join(machines[0] as string, 'nodes.txt')
  const here = (command: string, machine: string): string[] =>
    command
      .replace('--data data', `--data ${join(machine, 'data')}`)
      .replace('nodes.txt', list)
      .replace('192.0.2.1:49737', at)
      .split(' ')
  const run = promisify(execFile)
  const said = await Promise.all(
    machines.map((machine) => run('node', ['mod.ts', ...here(record, machine)], { cwd: ROOT })),
  )
  const ids = said.map(({ stdout }) => /^# Node ([0-9a-f]{64}) /.exec(stdout)?.[1])
  writeFileSync(list, `${ids.join('\n')}\n`)
  for (const [i, machine] of machines.entries()) {
    const args = here(i === 0 ? first : others, machine)
    nodes.push(await startOn('node', args, join(machine, 'data')))
  }
  assert.equal(
    nodes.map(({ nodeId }) => nodeId),
    ids,
  )
  const stranger = await startOn('node', ['--bootstrap', at])
  const urls = nodes.map(({ url }) => url)
  await untilHealth('all are linked with all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(({ neighbours, mesh }) => neighbours === 2 && mesh.homes === 3),
  )
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const all = await Promise.all([...nodes, stranger].map(({ url }) => healthOf(url)))
  nodes.push(stranger)
  assert.equal(
    all.map(({ neighbours, mesh }) => [neighbours, mesh.homes]),
    [
      [2, 3],
      [2, 3],
      [2, 3],
      [0, 1],
    ],
  )
})

test.skip('where the DHT does not run, --dht-bootstrap is refused, with what to do there', async () => {
  const ends = await Promise.all(
    (['deno', 'bun'] as const).map((name) =>
      endOn(name, ['--port', '0', '--dht-bootstrap', '127.0.0.1:49737']),
    ),
  )
  for (const { code, err } of ends) {
    assert.is(code, 2, err)
    assert.match(err, /--dht-bootstrap needs Node.*--peer URL.*--relay URL \(BAD_CONFIG\)/)
  }
})

test.run()

/** What stands behind `npm start --` in the README's example, line by line. */
function commandsOf(name: string): string[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const example = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`sh\\n(.*?)\`\`\``, 's').exec(
    readme,
  )?.[1]
  assert.ok(example, `README.md has a block marked "<!-- example: ${name} -->"`)
  const lines = (example ?? '').trim().split('\n')
  assert.ok(lines.length <= 10, 'in ten lines')
  return lines.flatMap((line) => /^npm start (?:--silent )?-- (.+)$/.exec(line)?.[1] ?? [])
}

type Part = Pick<Health, 'nodeId' | 'neighbours' | 'edges' | 'mesh'>

function partOf(health: Health, network: string): Part {
  return (health as Health & { networks: Record<string, Part> }).networks[network] as Part
}

/** What each node says of one network, asked for by its name: its edges, of how many. */
function partsOf(urls: readonly string[], network: string): Promise<string[]> {
  return Promise.all(
    urls.map(async (url) => {
      const answer = await fetch(`${url}/health?network=${network}`)
      const { edges, mesh } = (await answer.json()) as Health
      return `${edges} of ${mesh.edges}`
    }),
  )
}

/** An edge without WebRTC, for what there is to find. */
function edgeAt(url: string, network: string): Promise<Edge> {
  return joinMesh({ urls: [url], network, topics: ['room'] })
}

async function finds(edge: Edge, others: readonly Edge[]): Promise<void> {
  const wanted = others.map(({ id }) => id).sort()
  let seen: string[] = []
  await poll(
    'it finds its fellows and nobody else',
    DONE_WITHIN_MS,
    async () => {
      seen = (await edge.discover('room')).peers.map(({ id }) => id).sort()
      return seen.join() === wanted.join()
    },
    () => ({ seen, wanted }),
  )
}

function whole(all: readonly RuntimeNode[]) {
  const urls = all.map(({ url }) => url)
  // Of one that has gone its neighbours alone hear at once; the others wait for its silence.
  return untilHealth('each knows all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(
      ({ neighbours, mesh }) =>
        neighbours > 0 && all.every(({ nodeId }) => mesh.runtimes[nodeId] !== undefined),
    ),
  )
}

const since = (startMs: number): number => Math.round(performance.now() - startMs)

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

async function freeUdpPort(port = 0): Promise<number> {
  const socket = createSocket('udp4').bind(port, '127.0.0.1')
  await once(socket, 'listening')
  const found = socket.address().port
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return found
}

/** Its process ends by itself when the node's has, a moment later. */
function portIsFree(at: string) {
  const port = Number(at.split(':')[1])
  return poll('the port is free', DONE_WITHIN_MS, async () => {
    return freeUdpPort(port).catch(() => undefined)
  })
}
