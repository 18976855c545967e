/** Aborting: before, during and after, with a typed error at once and nothing left behind. */

import type { Edge } from '../src/edge/mod.ts'
import { assert, suite } from './harness/suite.ts'
import { assertConnected, doorbell, meet, ROOM } from './support/meeting.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('aborting')

/** An abort signal that counts who listens. */
function counted(): { control: AbortController; signal: AbortSignal; listeners: () => number } {
  const control = new AbortController()
  const { signal } = control
  const all = new Set<unknown>()
  const [add, remove] = [
    signal.addEventListener.bind(signal),
    signal.removeEventListener.bind(signal),
  ]
  signal.addEventListener = (name: string, fn: EventListener) => {
    all.add(fn)
    add(name, fn)
  }
  signal.removeEventListener = (name: string, fn: EventListener) => {
    all.delete(fn)
    remove(name, fn)
  }
  return { control, signal, listeners: () => all.size }
}

interface Pair {
  readonly mesh: TestMesh
  readonly edge: Edge
  /** How many others of the topic the other edge finds. */
  found(topic: string): Promise<number>
}

async function pair(): Promise<Pair> {
  const mesh = await testMesh(1)
  const [edge, other] = [await mesh.edge(mesh.nodes[0]!), await mesh.edge(mesh.nodes[0]!)]
  const found = async (topic: string): Promise<number> => {
    await mesh.clock.advance(1000)
    return (await during(other.discover(topic), mesh.clock)).total
  }
  return { mesh, edge, found }
}

test('what is aborted before it begins says so, and nothing is asked of the home', async () => {
  const { mesh, edge, found } = await pair()
  let frames = 0
  mesh.tap = (frame, way) => {
    if (way === 'up') frames += 1
    return [frame]
  }
  const signal = AbortSignal.abort('no need')
  assert.is(await codeOf(() => edge.advertise('room', { signal })), 'ABORTED')
  assert.is(await codeOf(() => edge.discover('room', { signal })), 'ABORTED')
  assert.is(await codeOf(() => edge.join('room', { signal })), 'ABORTED')
  assert.is(await codeOf(() => edge.connect('ab'.repeat(32), { ...ROOM, signal })), 'ABORTED')
  const next = await edge.watch('room', { signal })[Symbol.asyncIterator]().next()
  assert.equal(next, { value: undefined, done: true })
  assert.is(frames, 0)
  mesh.tap = undefined
  assert.is(await found('room'), 0)
  await mesh.close()
})

test('what is aborted while it is under way ends at once, and leaves neither topic nor listener', async () => {
  const { mesh, edge, found } = await pair()
  const { control, signal, listeners } = counted()
  const waiting = [edge.advertise('room', { signal }), edge.discover('room', { signal })]
  const codes = waiting.map((one) => codeOf(() => one))
  assert.is(listeners(), 2)
  control.abort('enough')
  assert.equal(await Promise.all(codes), ['ABORTED', 'ABORTED'])
  assert.is(await found('room'), 0)
  assert.is(listeners(), 0)
  await mesh.close()
})

test('aborting afterwards changes nothing, and nobody listens for it', async () => {
  const { mesh, edge, found } = await pair()
  const { control, signal, listeners } = counted()
  await during(edge.advertise('room', { signal }), mesh.clock)
  await during(edge.discover('room', { signal }), mesh.clock)
  assert.is(listeners(), 0)
  control.abort()
  assert.is(await found('room'), 1)
  await mesh.close()
})

test('advertising anew that is aborted leaves the edge in the topic', async () => {
  const { mesh, edge, found } = await pair()
  await during(edge.advertise('room', { info: Uint8Array.of(1) }), mesh.clock)
  const control = new AbortController()
  const { signal } = control
  const again = codeOf(() => edge.advertise('room', { info: Uint8Array.of(2), signal }))
  control.abort()
  assert.is(await again, 'ABORTED')
  assert.is(await found('room'), 1)
  await mesh.close()
})

test('advertising that is aborted while there is no home is not made up for at the next one', async () => {
  const mesh = await testMesh(2)
  const edge = await mesh.edge([mesh.nodes[0]!, mesh.nodes[1]!])
  const other = await mesh.edge(mesh.nodes[1]!)
  mesh.kill(mesh.nodes[0]!)
  const control = new AbortController()
  const advertising = codeOf(() => edge.advertise('room', { signal: control.signal }))
  control.abort()
  assert.is(await advertising, 'ABORTED')
  await mesh.clock.advance(20_000)
  assert.is(edge.home.state, 'open')
  assert.is((await during(other.discover('room'), mesh.clock)).total, 0)
  await mesh.close()
})

test('a watch that is aborted ends its loop, and the home is told', async () => {
  const { mesh, edge } = await pair()
  const { control, signal, listeners } = counted()
  const seen: unknown[] = []
  const watching = (async () => {
    for await (const change of edge.watch('room', { signal })) seen.push(change)
  })()
  await mesh.clock.advance(500)
  let frames = 0
  mesh.tap = (frame, way) => {
    if (way === 'up') frames += 1
    return [frame]
  }
  control.abort()
  await watching
  assert.is(listeners(), 0)
  await mesh.clock.advance(100)
  assert.is(frames, 1)
  assert.equal(seen, [])
  await mesh.close()
})

test('a connect that is aborted while it rings says so to both, and one that is open stays', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const { mesh, a, b } = met
  const { control, signal, listeners } = counted()
  const calling = codeOf(() => a.connect(b.id, { ...ROOM, signal }))
  await mesh.clock.advance(500)
  control.abort()
  assert.is(await calling, 'ABORTED')
  assert.is(listeners(), 0)
  await mesh.clock.advance(500)
  assert.ok(bell.calls[0]!.signal.aborted)
  const again = new AbortController()
  const second = a.connect(b.id, { ...ROOM, signal: again.signal })
  await mesh.clock.advance(500)
  bell.calls[1]!.accept().catch(() => undefined)
  const connection = await during(second, mesh.clock)
  again.abort()
  await mesh.clock.advance(1000)
  assert.is(connection.state, 'open')
  await assertConnected(met)
  await mesh.close()
})

test.run()
