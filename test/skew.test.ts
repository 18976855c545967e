/** Wrong clocks: edges and nodes a day ahead or behind, clocks that jump, and homes that bring back the past. */

import type { Op } from '../src/batch.ts'
import type { Clock } from '../src/clock.ts'
import { manualClock } from '../src/clock.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import type { Edge } from '../src/edge/mod.ts'
import { makeIdentity } from '../src/identity.ts'
import { HEARTBEAT_MS, MAX_SEQ_STEP, MAX_SKEW_MS, RECORD_TTL_MS } from '../src/limits.ts'
import { type Log, silentLog } from '../src/log.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import { checkSkew, lifeMs } from '../src/skew.ts'
import { codeOf } from './fixtures/errors.ts'
import {
  advertOf,
  HOUR_MS,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { during, memoryStore, type TestMesh, testMesh } from './support/mesh.ts'
import { rawEdge } from './support/rawedge.ts'

const DAY_MS = 24 * HOUR_MS
const HOME = identityOf(10).id
const ann = identityOf(1)

const test = suite('skew', { timeoutMs: 20_000 })

test('a record lives for its time to live from its receipt, but never far past its signer’s own', () => {
  const record = { seq: START_MS, ttlMs: RECORD_TTL_MS }
  assert.is(lifeMs(record, START_MS), RECORD_TTL_MS)
  assert.is(lifeMs(record, START_MS - DAY_MS), RECORD_TTL_MS)
  assert.is(lifeMs(record, START_MS + MAX_SKEW_MS), RECORD_TTL_MS)
  assert.is(lifeMs(record, START_MS + MAX_SKEW_MS + 1), RECORD_TTL_MS - 1)
  assert.is(lifeMs(record, START_MS + MAX_SKEW_MS + RECORD_TTL_MS), 0)
  assert.ok(lifeMs(record, START_MS + DAY_MS) < 0)
})

test('a home that puts an old presence into its log again and again keeps no ghost alive', async () => {
  const { directory, clock, change } = world()
  const endMs = START_MS + RECORD_TTL_MS + MAX_SKEW_MS
  const old = presenceOf(ann, HOME)
  const seen: number[] = []
  for (; clock.nowMs() < endMs + 3 * HOUR_MS; await clock.advance(HOUR_MS / 12)) {
    change({ kind: 'remove-peer', peer: ann.id, seq: old.seq })
    change(put(old))
    if (directory.locate(ann.id, clock.nowMs())) seen.push(clock.nowMs())
  }
  assert.is(seen[0], START_MS)
  assert.ok((seen.at(-1) as number) <= endMs, `${(seen.at(-1) as number) - endMs}`)
  assert.ok((seen.at(-1) as number) > START_MS + RECORD_TTL_MS)
})

test('an old presence takes no edge from the home where it is now, nor from nobody', async () => {
  const { directory, clock, change } = world()
  await clock.advance(DAY_MS)
  change(put(presenceOf(ann, HOME)))
  assert.is(directory.locate(ann.id, clock.nowMs()), undefined)
  assert.is(directory.size, 0)
  assert.is(directory.homes.get(HOME)?.digest.size, 1, 'but it is part of what the home signed')
})

for (const byMs of [HOUR_MS, -HOUR_MS, 30 * DAY_MS, -30 * DAY_MS]) {
  test(`a wall clock that jumps by ${byMs / HOUR_MS} h neither ends all lives nor lengthens them`, async () => {
    const { directory, clock, change } = world()
    change(put(presenceOf(ann, HOME)))
    const isKnown = (): boolean => directory.locate(ann.id, clock.nowMs()) !== undefined
    await clock.advance(1000)
    clock.skew(byMs)
    assert.ok(isKnown())
    change(put(advertOf(ann, tagOf(1))))
    assert.ok(isKnown())
    await clock.advance(RECORD_TTL_MS - 1000)
    assert.ok(isKnown())
    await clock.advance(1)
    assert.not(isKnown())
  })
}

test('a jump of a node’s wall clock neither sends its neighbours away nor keeps the dead', async () => {
  for (const byMs of [HOUR_MS, -HOUR_MS]) {
    const mesh = await testMesh(2)
    const [a, b] = mesh.nodes as [MeshNode, MeshNode]
    const edge = await mesh.edge(b)
    await mesh.clock.advance(HEARTBEAT_MS)
    mesh.clock.skew(byMs)
    await mesh.clock.advance(2 * HEARTBEAT_MS)
    const { homes, edges } = a.health().mesh
    assert.equal({ homes, edges }, { homes: 2, edges: 1 })
    mesh.kill(b)
    await mesh.clock.advance(5 * HEARTBEAT_MS)
    assert.is(a.health().mesh.homes, 1)
    await edge.close()
    await mesh.close()
  }
})

test('edges keep their home, and renew there, when its wall clock is set back or forward by hours', async () => {
  for (const byMs of [-6 * HOUR_MS, 6 * HOUR_MS]) {
    const mesh = await testMesh(1)
    const shifted = movable(mesh.clock)
    const node = await makeNode(mesh, { clock: shifted })
    const [a, b] = [await mesh.edge(node), await mesh.edge(node)]
    await during(a.advertise('room'), mesh.clock)
    shifted.byMs = byMs
    for (let hours = 0; hours < 6; hours++) {
      await during(mesh.clock.advance(HOUR_MS), mesh.clock)
      const { peers } = await during(b.discover('room'), mesh.clock)
      assert.equal(
        peers.map(({ id }) => id),
        [a.id],
        `${hours} h`,
      )
    }
    await mesh.close()
  }
})

test('a session that takes over goes on from the last record, although its home’s clock was set back', async () => {
  const mesh = await testMesh(1)
  const shifted = movable(mesh.clock)
  const node = await makeNode(mesh, { clock: shifted })
  const identity = makeIdentity()
  const seq = mesh.clock.nowMs()
  const before = await rawEdge(mesh, node, { identity })
  await before.send(before.proof({ presence: before.presence({ seq }) }))
  shifted.byMs = -6 * HOUR_MS
  const early = await rawEdge(mesh, node, { identity })
  await early.send(early.proof({ presence: early.presence({ seq: shifted.nowMs() }) }))
  assert.is(early.bye?.code, 'STALE_RECORD')
  const after = await rawEdge(mesh, node, { identity })
  await after.send(after.proof({ presence: after.presence({ seq: seq + 1 }) }))
  assert.is(after.bye, undefined)
  assert.is(before.bye?.code, 'REPLACED')
  assert.equal([node.health().edges, node.health().mesh.edges], [1, 1])
  await mesh.close()
})

test('an edge whose clock is a day ahead or behind is at home as any other, by its home’s clock', async () => {
  const mesh = await testMesh(2)
  const edges: Edge[] = []
  for (const [i, byMs] of [DAY_MS, -DAY_MS, 0].entries()) {
    edges.push(await mesh.edge(mesh.nodes[i % 2]!, {}, { clock: movable(mesh.clock, byMs) }))
  }
  for (const edge of edges) await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  for (const edge of edges) {
    assert.is((await during(edge.discover('room'), mesh.clock)).total, 2)
  }
  const [ahead, behind] = edges as [Edge, Edge]
  const room = { topic: 'room' }
  assert.is((await during(ahead.connect(behind.id, room), mesh.clock)).state, 'open')
  await mesh.close()
})

test('an edge that signs by a clock a day wrong is told by how much', async () => {
  const mesh = await testMesh(1)
  for (const [byMs, told] of [
    [DAY_MS, '86400 s ahead of'],
    [-DAY_MS, '86400 s behind'],
  ] as const) {
    const raw = await rawEdge(mesh, mesh.nodes[0]!)
    await raw.send(raw.proof({ presence: raw.presence({ seq: mesh.clock.nowMs() + byMs }) }))
    assert.is(raw.bye?.code, 'CLOCK_SKEW')
    assert.ok(raw.bye?.message.includes(told), raw.bye?.message)
  }
  await mesh.close()
})

test('an edge may go on from its last record by so much, wherever this node’s clock has gone', () => {
  const lastSeq = START_MS
  const at = (seq: number, last?: number) =>
    codeOf(() => checkSkew({ kind: 'presence', seq, ttlMs: HOUR_MS }, START_MS - DAY_MS, last))
  assert.is(at(lastSeq + MAX_SEQ_STEP, lastSeq), undefined)
  assert.is(at(lastSeq + MAX_SEQ_STEP + 1, lastSeq), 'CLOCK_SKEW')
  assert.is(at(lastSeq + 1), 'CLOCK_SKEW')
})

for (const byMs of [DAY_MS, -DAY_MS]) {
  const side = byMs > 0 ? 'ahead of' : 'behind'
  test(`a node a day ${side} its mesh serves its own edges, shares none with others, and both logs say why`, async () => {
    const lines: string[] = []
    const log: Log = {
      ...silentLog,
      warn: (message, fields) => void lines.push(`${message} ${fields?.aheadSeconds}`),
    }
    const mesh = await testMesh(1, { log })
    const right = mesh.nodes[0] as MeshNode
    const wrong = await makeNode(mesh, { clock: movable(mesh.clock, byMs), log })
    mesh.link(right, wrong)
    const edges: Edge[] = []
    for (const node of [right, right, wrong, wrong]) edges.push(await mesh.edge(node))
    for (const edge of edges) await during(edge.advertise('room'), mesh.clock)
    await mesh.clock.advance(2 * HEARTBEAT_MS)
    for (const [i, edge] of edges.entries()) {
      const { peers } = await during(edge.discover('room'), mesh.clock)
      assert.equal(
        peers.map(({ id }) => id),
        [edges[i ^ 1]?.id],
      )
    }
    const told = lines.filter((line) => line.startsWith('The clocks of a home'))
    const offsets = told.map((line) => Math.round(Number(line.split(' ').at(-1)) / 3600))
    assert.equal(
      offsets.sort((a, b) => a - b),
      [-24, 24],
      'once at each',
    )
    // An edge of it that moves to another home is as good as any.
    const moved = await mesh.edge([right, wrong])
    assert.is(moved.home.nodeId, right.id)
    await mesh.close()
  })
}

test.run()

/** A home's state in a directory that counts by a clock whose wall time can be stepped. */
function world(): {
  directory: Directory
  clock: ReturnType<typeof manualClock>
  change: (op: Op) => void
} {
  const clock = manualClock()
  const directory = createDirectory(NETWORK, {
    aheadMs: () => clock.nowMs() - clock.monotonicMs(),
  })
  const home = directory.open(HOME, START_MS, clock.nowMs())
  return { directory, clock, change: (op) => directory.apply(home, op, clock.nowMs()) }
}

/** The same clock, its wall time off by as much as is set. */
function movable(clock: Clock, byMs = 0): Clock & { byMs: number } {
  const moved = {
    ...clock,
    byMs,
    nowMs: () => clock.nowMs() + moved.byMs,
  }
  return moved
}

async function makeNode(
  mesh: TestMesh,
  options: Partial<Parameters<typeof createNode>[0]>,
): Promise<MeshNode> {
  const node = await createNode({
    network: 'test',
    runtime: { name: 'node', version: 'test' },
    store: memoryStore(),
    log: silentLog,
    ...options,
  })
  mesh.adopt(node, 'http://127.0.0.1:6200')
  return node
}
