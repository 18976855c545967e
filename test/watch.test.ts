/** Watching a topic: those present first, then each change, over moves of home and until it is ended. */

import { settle } from '../src/clock.ts'
import type { Change, Edge } from '../src/edge/mod.ts'
import { createWatches, type Watches } from '../src/edge/watch.ts'
import type { SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS, MAX_WATCHES_PER_EDGE } from '../src/limits.ts'
import { encodeFound, encodePush, type Found, FRAME } from '../src/messages.ts'
import { signAdvert, signPresence } from '../src/records.ts'
import { topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf, NETWORK } from './support/rawedge.ts'

const test = suite('watch')

/** Reads a watch into a list, as short words; `done` is set at its end. */
function read(watch: AsyncIterable<Change>, names: Map<string, string>) {
  const seen: string[] = []
  const reading = { seen, done: false, error: undefined as unknown }
  const run = async (): Promise<void> => {
    for await (const { kind, id } of watch) seen.push(`${names.get(id) ?? id} ${kind}s`)
  }
  run()
    .catch((error: unknown) => (reading.error = error))
    .finally(() => (reading.done = true))
  return reading
}

/** Edges by name, each in the room unless told otherwise. */
async function edges(mesh: TestMesh, at: Record<string, number>, topic = 'room') {
  const names = new Map<string, string>()
  const byName: Record<string, Edge> = {}
  for (const [name, node] of Object.entries(at)) {
    const edge = await mesh.edge(mesh.nodes[node]!)
    names.set(edge.id, name)
    byName[name] = edge
    await during(edge.advertise(topic), mesh.clock)
  }
  await mesh.clock.advance(100)
  return { names, byName }
}

test('tells those present, then each join and leave, and never of oneself', async () => {
  const mesh = await testMesh(2)
  const { names, byName } = await edges(mesh, { ann: 0, bob: 1 })
  const reading = read(byName.ann!.watch('room'), names)
  await mesh.clock.advance(10)
  assert.equal(reading.seen, ['bob joins'])
  const cat = await mesh.edge(mesh.nodes[1]!)
  names.set(cat.id, 'cat')
  await during(cat.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  await during(byName.bob!.unadvertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  await byName.ann!.advertise('room')
  await cat.close()
  await mesh.clock.advance(100)
  assert.equal(reading.seen, ['bob joins', 'cat joins', 'bob leaves', 'cat leaves'])
  await mesh.close()
})

test('says at which home each one is', async () => {
  const mesh = await testMesh(2)
  const { byName } = await edges(mesh, { ann: 0, bob: 1 })
  const [first] = await take(byName.ann!.watch('room'), 1, mesh)
  assert.equal(first, {
    kind: 'join',
    id: byName.bob!.id,
    home: mesh.nodes[1]!.id,
    info: new Uint8Array(0),
  })
  await mesh.close()
})

test('two readers of one topic each get all of it, and the home is asked once', async () => {
  const mesh = await testMesh(1)
  const { names, byName } = await edges(mesh, { ann: 0, bob: 0 })
  let asked = 0
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.rpc) asked += 1
    return [frame]
  }
  const first = read(byName.ann!.watch('room'), names)
  await mesh.clock.advance(10)
  const second = read(byName.ann!.watch('room'), names)
  await mesh.clock.advance(10)
  await byName.bob!.close()
  await mesh.clock.advance(10)
  for (const { seen } of [first, second]) assert.equal(seen, ['bob joins', 'bob leaves'])
  assert.is(asked, 1)
  await mesh.close()
})

test('ends when it is aborted, and stops the home from telling', async () => {
  const mesh = await testMesh(1)
  const { names, byName } = await edges(mesh, { ann: 0, bob: 0 })
  const stop = new AbortController()
  const reading = read(byName.ann!.watch('room', { signal: stop.signal }), names)
  await mesh.clock.advance(10)
  stop.abort()
  await mesh.clock.advance(10)
  assert.ok(reading.done)
  assert.is(reading.error, undefined)
  let pushed = 0
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.push) pushed += 1
    return [frame]
  }
  await byName.bob!.close()
  await mesh.clock.advance(100)
  assert.is(pushed, 0)
  await mesh.close()
})

test('ends at once when it was aborted before or is broken off, and when the edge closes', async () => {
  const mesh = await testMesh(1)
  const { names, byName } = await edges(mesh, { ann: 0, bob: 0 })
  const { ann } = byName as { ann: Edge }
  const before = read(ann.watch('room', { signal: AbortSignal.abort() }), names)
  await mesh.clock.advance(10)
  assert.ok(before.done)
  assert.equal(before.seen, [])
  assert.is((await take(ann.watch('room'), 1, mesh)).length, 1)
  const last = read(ann.watch('room'), names)
  await mesh.clock.advance(10)
  await ann.close()
  await mesh.clock.advance(10)
  assert.ok(last.done)
  assert.is(last.error, undefined)
  assert.is(await codeOf(() => ann.watch('room')), 'CLOSED')
  await mesh.close()
})

test('an abort while the first answer is awaited ends it then', async () => {
  const mesh = await testMesh(1)
  const { names, byName } = await edges(mesh, { ann: 0 })
  mesh.tap = (frame, way) => (way === 'up' && frame[0] === FRAME.rpc ? [] : [frame])
  const stop = new AbortController()
  const reading = read(byName.ann!.watch('room', { signal: stop.signal }), names)
  await mesh.clock.advance(100)
  stop.abort()
  await settle()
  assert.ok(reading.done)
  await mesh.close()
})

test('a watch that nobody reads asks nothing, and leaves nothing to fail', async () => {
  const mesh = await testMesh(1)
  const { byName } = await edges(mesh, { ann: 0 })
  mesh.kill(mesh.nodes[0]!)
  byName.ann!.watch('room')
  await byName.ann!.watch('room')[Symbol.asyncIterator]().return?.()
  await mesh.clock.advance(60_000)
  await mesh.close()
})

test('what the home refuses is told to all who read it, and does not stay', async () => {
  const mesh = await testMesh(1)
  const { names, byName } = await edges(mesh, { ann: 0 })
  const stop = new AbortController()
  const open = Array.from({ length: MAX_WATCHES_PER_EDGE }, (_, i) =>
    read(byName.ann!.watch(`topic ${i}`, i === 0 ? { signal: stop.signal } : {}), names),
  )
  await mesh.clock.advance(10)
  const over = [1, 2].map(() => read(byName.ann!.watch('one more'), names))
  await mesh.clock.advance(10)
  for (const { error } of over) assert.is((error as SignalMeshError).code, 'TOO_MANY')
  stop.abort()
  await mesh.clock.advance(10)
  const again = read(byName.ann!.watch('one more'), names)
  await mesh.clock.advance(10)
  assert.is(again.error, undefined)
  assert.not(open.slice(1).some(({ done }) => done))
  await mesh.close()
})

test('goes on at the next home, and tells only what has changed', async () => {
  const mesh = await testMesh(3)
  const { names, byName } = await edges(mesh, { bob: 2, cat: 2, dan: 2 })
  const ann = await mesh.edge([mesh.nodes[0]!, mesh.nodes[1]!])
  await mesh.clock.advance(HEARTBEAT_MS)
  const reading = read(ann.watch('room'), names)
  await mesh.clock.advance(10)
  assert.equal(reading.seen.splice(0).sort(), ['bob joins', 'cat joins', 'dan joins'])
  // Pushes of the old home do not get through any more.
  mesh.tap = (frame, way) => (way === 'down' && frame[0] === FRAME.push ? [] : [frame])
  await byName.cat!.close()
  const eve = await mesh.edge(mesh.nodes[2]!)
  names.set(eve.id, 'eve')
  await during(eve.advertise('room'), mesh.clock)
  await mesh.clock.advance(100)
  mesh.tap = undefined
  mesh.kill(mesh.nodes[0]!)
  await mesh.clock.advance(1000)
  assert.is(ann.home.nodeId, mesh.nodes[1]!.id)
  assert.equal(reading.seen.sort(), ['cat leaves', 'eve joins'])
  await byName.dan!.close()
  await mesh.clock.advance(100)
  assert.is(reading.seen.at(-1), 'dan leaves')
  await mesh.close()
})

test('an edge that comes back as another session leaves and joins, though its home holds it all along', async () => {
  for (const at of [0, 1]) {
    const mesh = await testMesh(2)
    const { names, byName } = await edges(mesh, { ann: 0 })
    const bob = await mesh.edge(mesh.nodes[at]!, { topics: ['room', 'hall'] })
    names.set(bob.id, 'bob')
    await mesh.clock.advance(100)
    const room = read(byName.ann!.watch('room'), names)
    const hall = read(byName.ann!.watch('hall'), names)
    await mesh.clock.advance(10)
    await mesh.edge(mesh.nodes[at]!, { identity: bob.identity, topics: ['room'] })
    await mesh.clock.advance(100)
    assert.equal(room.seen, ['bob joins', 'bob leaves', 'bob joins'])
    assert.equal(hall.seen, ['bob joins', 'bob leaves'])
    await mesh.close()
  }
})

test('an edge that only signs again does not leave', async () => {
  const mesh = await testMesh(2)
  const { names, byName } = await edges(mesh, { ann: 0 })
  const bob = await mesh.edge(mesh.nodes[1]!, { topics: ['room'] })
  names.set(bob.id, 'bob')
  await mesh.clock.advance(HEARTBEAT_MS)
  const reading = read(byName.ann!.watch('room'), names)
  for (let minute = 0; minute < 70; minute++) await mesh.clock.advance(60_000)
  assert.equal(reading.seen, ['bob joins'])
  await mesh.close()
})

test('edges of a home that falls silent leave, within the stated bound', async () => {
  const mesh = await testMesh(2)
  const { names, byName } = await edges(mesh, { ann: 0, bob: 1 })
  const reading = read(byName.ann!.watch('room'), names)
  await mesh.clock.advance(10)
  mesh.kill(mesh.nodes[1]!)
  await byName.bob!.close()
  await mesh.clock.advance(HOME_EXPIRES_MS - HEARTBEAT_MS)
  assert.equal(reading.seen, ['bob joins'], 'it may still come back')
  await mesh.clock.advance(2 * HEARTBEAT_MS)
  assert.equal(reading.seen, ['bob joins', 'bob leaves'])
  await mesh.close()
})

// --- by hand: what no honest order of frames brings about ---

const TAG = topicTag('test', 'room')

function foundOf(keys = makeIdentity().keys, seq = 1, session = 2): Found {
  const common = { seq, ttlMs: 1000 }
  return {
    presence: signPresence(NETWORK, keys, {
      ...common,
      homeKey: new Uint8Array(32).fill(1),
      boxKey: new Uint8Array(32).fill(session),
    }),
    advert: signAdvert(NETWORK, keys, { ...common, tag: TAG, info: new Uint8Array(0) }),
  }
}

function byHand(): {
  watches: Watches
  answer(list: Found[]): Promise<void>
  seen: string[]
} {
  const answers: ((body: Uint8Array) => void)[] = []
  const watches = createWatches({
    request: () => new Promise((resolve) => answers.push(resolve)),
    found: (_tag, list) => [...list],
    isIn: () => false,
  })
  const { seen } = read(watches.watch({ tag: TAG, key: TAG }, undefined), new Map())
  const answer = async (found: Found[]): Promise<void> => {
    answers.shift()?.(encodeFound({ total: found.length, found }))
    await settle()
  }
  return { watches, answer, seen }
}

test('a leave that overtakes the list that still has the peer is not lost', async () => {
  const { watches, answer, seen } = byHand()
  await settle()
  const ghost = foundOf()
  watches.receive(encodePush({ tag: TAG, peer: ghost.presence.peerKey }))
  await answer([ghost])
  const { peer } = ghost.presence
  assert.equal(seen, [`${peer} joins`, `${peer} leaves`])
  watches.close()
})

test('a join told twice, by the list and by a push, is one', async () => {
  const { watches, answer, seen } = byHand()
  await settle()
  const one = foundOf()
  watches.receive(encodePush({ tag: TAG, found: one }))
  await answer([one])
  watches.receive(encodePush({ tag: TAG, found: one }))
  await settle()
  assert.equal(seen, [`${one.presence.peer} joins`])
  watches.close()
})

test('what is signed again is no news, and an older record undoes no newer one', async () => {
  const { watches, answer, seen } = byHand()
  await settle()
  const { keys, id } = makeIdentity()
  await answer([foundOf(keys, 2)])
  const told = async (seq: number, session: number): Promise<number> => {
    watches.receive(encodePush({ tag: TAG, found: foundOf(keys, seq, session) }))
    await settle()
    return seen.length
  }
  assert.is(await told(3, 2), 1, 'signed again')
  assert.is(await told(1, 9), 1, 'older')
  assert.is(await told(4, 9), 3, 'another session')
  assert.equal(seen, [`${id} joins`, `${id} leaves`, `${id} joins`])
  watches.close()
})

test('pushes for topics that nobody watches are ignored', async () => {
  const { watches, answer, seen } = byHand()
  await settle()
  await answer([])
  const tag = topicTag('test', 'elsewhere')
  watches.receive(encodePush({ tag, found: foundOf() }))
  watches.receive(encodePush({ tag: TAG, peer: new Uint8Array(32) }))
  await settle()
  assert.equal(seen, [])
  watches.close()
})

/** The first changes of a watch, which is then broken off. */
async function take(
  watch: AsyncIterable<Change>,
  count: number,
  mesh: TestMesh,
): Promise<Change[]> {
  const changes: Change[] = []
  const run = async (): Promise<Change[]> => {
    for await (const change of watch) {
      changes.push(change)
      if (changes.length === count) break
    }
    return changes
  }
  return during(run(), mesh.clock)
}

test.run()
