/** Witnesses: how an edge learns that its home hides it, and that no single liar makes it think so. */

import { toHex } from '../src/bytes.ts'
import type { Edge, HomeStatus } from '../src/edge/mod.ts'
import {
  HEARTBEAT_MS,
  MAX_NAMED_TOPICS,
  WITNESS_AFTER_MS,
  WITNESS_AGAIN_MS,
  WITNESS_EVERY_MS,
} from '../src/limits.ts'
import { decodeHello, encodeHello, FRAME, type Hello } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { networkId, topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'

const test = suite('witness')

/** Nodes that know of each other’s URLs, and what an edge at the first tells of its home. */
async function hosted(
  nodes: number,
  options: { linked?: boolean; given?: number } = {},
): Promise<{ mesh: TestMesh; edge: Edge; states: HomeStatus[] }> {
  const mesh = await testMesh(nodes, { linked: options.linked ?? true })
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  const edge = await mesh.edge(mesh.nodes.slice(0, options.given ?? nodes), { topics: ['room'] })
  const states: HomeStatus[] = []
  edge.on('home', (status) => states.push(status))
  return { mesh, edge, states }
}

/** Changes what these nodes say to an edge that asks them as witnesses. */
function lie(
  mesh: TestMesh,
  at: readonly number[],
  change: (hello: Hello) => Partial<Hello>,
): void {
  const urls = at.map((i) => mesh.urlOf(mesh.nodes[i] as MeshNode))
  mesh.tap = (frame, way, url) => {
    if (way === 'up' || frame[0] !== FRAME.hello || !urls.includes(url)) return [frame]
    const hello = decodeHello(frame)
    return hello.topics.length ? [encodeHello({ ...hello, ...change(hello) })] : [frame]
  }
}

const nothing = ({ topics }: Hello): Partial<Hello> => ({
  held: undefined,
  topics: topics.map((topic) => ({ ...topic, hasPeer: false })),
})
const IN_TIME_MS = WITNESS_AFTER_MS + WITNESS_AGAIN_MS + 5_000

test('an edge asks one other node soon after a change, and then now and then', async () => {
  const { mesh, edge, states } = await hosted(3)
  await mesh.clock.advance(WITNESS_AFTER_MS - 100)
  assert.is(mesh.asked.length, 0)
  await mesh.clock.advance(100)
  assert.is(mesh.asked.length, 1)
  const query = new URL(mesh.asked[0]!.url).searchParams
  assert.equal(
    [...query],
    [
      ['n', toHex(networkId('test'))],
      ['t', toHex(topicTag('test', 'room'))],
      ['p', edge.id],
    ],
  )
  assert.not(mesh.asked[0]!.url.includes(':5000'), 'not its home')
  await during(edge.advertise('hall'), mesh.clock)
  await mesh.clock.advance(WITNESS_AFTER_MS)
  assert.is(mesh.asked.length, 2)
  for (let minute = 0; minute < 50; minute++) await mesh.clock.advance(60_000)
  const gapsMs = mesh.asked.slice(2).map(({ atMs }, i) => atMs - mesh.asked[i + 1]!.atMs)
  assert.ok(gapsMs.length >= 3 && gapsMs.length <= 7, `${gapsMs}`)
  for (const gapMs of gapsMs) assert.ok(gapMs >= 0.7 * WITNESS_EVERY_MS, `${gapsMs}`)
  assert.equal(states, [])
  await mesh.close()
})

test('a home that keeps an edge’s records to itself is left for another', async () => {
  const { mesh, edge, states } = await hosted(3, { linked: false })
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  mesh.link(n1, n2)
  await mesh.clock.advance(IN_TIME_MS)
  assert.equal(
    states.slice(0, 2).map(({ state, nodeId }) => [state, nodeId]),
    [
      ['withheld', n0.id],
      ['connecting', ''],
    ],
  )
  assert.ok([n1.id, n2.id].includes(edge.home.nodeId))
  assert.is(edge.home.state, 'open')
  const other = await mesh.edge(n2)
  assert.is((await during(other.discover('room'), mesh.clock)).total, 1)
  await mesh.close()
})

test('a home that tells others of the edge but not of its topic is left too', async () => {
  const { mesh, states } = await hosted(3)
  lie(mesh, [1, 2], ({ topics }) => ({
    topics: topics.map((topic) => ({ ...topic, hasPeer: false })),
  }))
  await mesh.clock.advance(IN_TIME_MS)
  assert.is(states[0]?.state, 'withheld')
  await mesh.close()
})

test('a home that keeps back what was signed again is left', async () => {
  const { mesh, edge, states } = await hosted(3)
  const held: Hello['held'][] = []
  lie(mesh, [1, 2], (hello) => {
    held.push(hello.held)
    return { held: held[0] }
  })
  for (let minute = 0; minute < 50; minute++) await mesh.clock.advance(60_000)
  assert.equal(states, [], 'the first record is as good while there is none newer')
  for (let minute = 0; minute < 40 && !states.length; minute++) await mesh.clock.advance(60_000)
  assert.is(states[0]?.state, 'withheld')
  assert.is(edge.home.state, 'open')
  await mesh.close()
})

test('one node that lies, or one that errs once, does not cost an honest home its edge', async () => {
  const { mesh, edge, states } = await hosted(3)
  lie(mesh, [1], nothing)
  await mesh.clock.advance(IN_TIME_MS)
  mesh.tap = undefined
  await during(edge.advertise('hall'), mesh.clock)
  lie(mesh, [1, 2], nothing)
  await mesh.clock.advance(WITNESS_AFTER_MS + 100)
  mesh.tap = undefined
  await mesh.clock.advance(IN_TIME_MS)
  assert.equal(states, [])
  assert.is(edge.home.nodeId, mesh.nodes[0]!.id)
  await mesh.close()
})

test('one liar under many addresses is one', async () => {
  const { mesh, states } = await hosted(3)
  const { nodeKey } = await helloOf(mesh, 1)
  lie(mesh, [1, 2], (hello) => ({ ...nothing(hello), nodeKey }))
  await mesh.clock.advance(IN_TIME_MS)
  assert.equal(states, [])
  await mesh.close()
})

test('a node that does not say, says nonsense or cannot be reached is no witness', async () => {
  for (const answer of ['nothing told', 'nonsense', 'silence', 'gone'] as const) {
    const { mesh, states } = await hosted(3)
    mesh.tap = (frame, way, url) => {
      if (way === 'up' || frame[0] !== FRAME.hello || url === mesh.urlOf(mesh.nodes[0]!))
        return [frame]
      if (answer === 'silence') return []
      if (answer === 'nonsense') return [frame.subarray(0, 50)]
      return [encodeHello({ ...decodeHello(frame), topics: [], held: undefined })]
    }
    if (answer === 'gone') for (const node of mesh.nodes.slice(1)) mesh.kill(node)
    await mesh.clock.advance(4 * IN_TIME_MS)
    assert.equal(states, [], answer)
    await mesh.close()
  }
})

test('an edge of the only node asks nobody, and one that has closed does not go on', async () => {
  const alone = await hosted(1)
  await alone.mesh.clock.advance(WITNESS_EVERY_MS * 2)
  assert.is(alone.mesh.asked.length, 0)
  await alone.mesh.close()
  const { mesh, edge } = await hosted(2)
  await edge.close()
  await mesh.clock.advance(WITNESS_EVERY_MS * 2)
  assert.is(mesh.asked.length, 0)
  await mesh.close()
})

test('an edge without a topic, or with many, can be asked about as well', async () => {
  const mesh = await testMesh(2)
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  const topics = Array.from({ length: 3 * MAX_NAMED_TOPICS }, (_, i) => `topic ${i}`)
  await mesh.edge(mesh.nodes, {})
  await mesh.edge(mesh.nodes, { topics })
  await mesh.clock.advance(WITNESS_AFTER_MS + 100)
  const named = mesh.asked.map(({ url }) => new URL(url).searchParams.getAll('t').length)
  assert.equal(named.sort(), [1, MAX_NAMED_TOPICS])
  await mesh.close()
})

async function helloOf(mesh: TestMesh, at: number): Promise<Hello> {
  const frames: Uint8Array[] = []
  const link = mesh.dial(`${mesh.urlOf(mesh.nodes[at] as MeshNode)}/edge`)
  link.subscribe((frame) => void frames.push(frame.slice()))
  await mesh.clock.advance(0)
  link.close()
  return decodeHello(frames[0] as Uint8Array)
}

test.run()
