/** First contact: how nodes that know of nobody come to be a mesh, on each runtime. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type Edge, joinMesh } from '../src/edge/mod.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Health, untilHealth } from './support/health.ts'
import { poll } from './support/poll.ts'
import { endOn, type RuntimeName, type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('first contact', { timeoutMs: 45_000 })
const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
const DONE_WITHIN_MS = 15_000
const nodes: RuntimeNode[] = []

test.afterEach(async () => {
  const codes = await Promise.all(nodes.splice(0).map((node) => node.stop()))
  assert.ok(
    codes.every((code) => code === 0),
    `each ends with 0 when it is asked to: ${codes}`,
  )
})

test('one process serves two networks on each runtime, and neither sees anything of the other', async () => {
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

test('a mesh of its own DHT: nodes meet at one that begins it, and again when all were killed', async () => {
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

test('where the DHT does not run, --dht-bootstrap is refused, with what to do there', async () => {
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
  return untilHealth('each knows all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(({ neighbours, mesh }) => neighbours > 0 && mesh.homes === all.length),
  )
}

const since = (startMs: number): number => Math.round(performance.now() - startMs)

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
