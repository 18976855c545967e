/** Rooms over a mesh: who joins a topic's room is found, called and counted, and says something of itself. */

import type { ManualClock } from '../src/clock.ts'
import { openInfo, sealInfo } from '../src/edge/info.ts'
import type { Change, Edge, Room, RoomOptions, Topic } from '../src/edge/mod.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { Identity } from '../src/identity.ts'
import { MAX_INFO_BYTES } from '../src/limits.ts'
import type { MeshNode } from '../src/node.ts'
import { topicKey } from '../src/topic.ts'
import { identityOf } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('rooms', { timeoutMs: 30_000 })
const HELLO = new TextEncoder().encode('hello from Ada')

/** `count` edges in a room, spread over the nodes. */
async function roomOf(
  mesh: TestMesh,
  count: number,
  options: RoomOptions = {},
): Promise<{ edge: Edge; room: Room }[]> {
  const members: { edge: Edge; room: Room }[] = []
  for (let i = 0; i < count; i++) {
    const edge = await mesh.edge(mesh.nodes[i % mesh.nodes.length] as MeshNode)
    members.push({ edge, room: await during(edge.join('room', options), mesh.clock) })
  }
  return members
}

const codeDuring = (promise: Promise<unknown>, clock: ManualClock): Promise<string> =>
  codeOf(() => during(promise, clock))

test('all who join a room are connected, and hear each other', async () => {
  const mesh = await testMesh(2)
  const members = await roomOf(mesh, 4)
  const heard: unknown[] = []
  members[3]!.room.on('message', ({ from, data }) => heard.push([from, data]))
  await mesh.clock.advance(10_000)
  for (const { edge, room } of members) {
    assert.is(room.total, 3)
    assert.equal([...room.peers.keys()].sort(), others(members, edge))
  }
  await during(members[0]!.room.send('hello'), mesh.clock)
  await mesh.clock.advance(10)
  assert.equal(heard, [[members[0]!.edge.id, 'hello']])
  await mesh.close()
})

test('nobody in a room has more connections than it asked for, and all are one graph', async () => {
  const mesh = await testMesh(3)
  const members = await roomOf(mesh, 12, { maxPeers: 4 })
  for (let second = 0; second < 60; second++) {
    await mesh.clock.advance(1000)
    for (const { room } of members) assert.ok(room.peers.size <= 4)
  }
  assert.is(reached(members), 12)
  await members[2]!.edge.close()
  await during(members[7]!.room.leave(), mesh.clock)
  members.splice(7, 1)
  members.splice(2, 1)
  await mesh.clock.advance(60_000)
  assert.is(reached(members), 10)
  assert.ok(members.every(({ room }) => room.total === 9 && room.peers.size <= 4))
  await mesh.close()
})

test('the room decides on its calls, and the application on all others', async () => {
  const mesh = await testMesh(1)
  const asked: string[] = []
  // By their order the host wants the guest and not the one who comes late.
  const [first, second, third] = Array.from({ length: 3 }, (_, i) => identityOf(i)).sort((x, y) =>
    x.id < y.id ? -1 : 1,
  ) as [Identity, Identity, Identity]
  const host = await mesh.edge(mesh.nodes[0]!, {
    identity: first.seed,
    onIncoming: (call) => {
      asked.push(call.topic)
      call.refuse()
    },
  })
  await during(host.join('room', { maxPeers: 1 }), mesh.clock)
  await during(host.advertise('elsewhere'), mesh.clock)
  const guest = await mesh.edge(mesh.nodes[0]!, { identity: second.seed })
  const late = await mesh.edge(mesh.nodes[0]!, { identity: third.seed })
  const call = (edge: Edge, topic: string) => edge.connect(host.id, { topic })
  assert.is(await codeDuring(call(guest, 'elsewhere'), mesh.clock), 'REFUSED')
  await during(call(guest, 'room'), mesh.clock)
  assert.equal(asked, ['elsewhere'])
  const refusal = await during(call(late, 'room'), mesh.clock).catch((error) => error)
  assert.is(refusal.code, 'REFUSED')
  assert.match(refusal.message, 'all the connections that it takes')
  await mesh.close()
})

test('a connection that the application had before joining the room is part of it', async () => {
  const mesh = await testMesh(1)
  const [a, b] = [await mesh.edge(mesh.nodes[0]!), await mesh.edge(mesh.nodes[0]!)]
  await during(b.advertise('room'), mesh.clock)
  const had = await during(a.connect(b.id, { topic: 'room' }), mesh.clock)
  const room = await during(a.join('room'), mesh.clock)
  await mesh.clock.advance(5000)
  assert.is(room.peers.get(b.id), had)
  await mesh.close()
})

test('a room is joined once at a time, and can be joined again after it was left', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  const room = await during(edge.join('room'), mesh.clock)
  assert.is(await codeOf(() => edge.join('room')), 'BAD_ARGUMENT')
  const leaving = room.leave()
  const again = await during(edge.join('room'), mesh.clock)
  await leaving
  const other = await mesh.edge(mesh.nodes[0]!)
  assert.is((await during(other.discover('room'), mesh.clock)).total, 1)
  await during(again.leave(), mesh.clock)
  assert.is((await during(other.discover('room'), mesh.clock)).total, 0)
  assert.is(await codeOf(() => again.send('late')), 'CLOSED')
  await mesh.close()
})

test('aborting leaves the room, before it was joined and after', async () => {
  const mesh = await testMesh(1)
  const [a, b] = [await mesh.edge(mesh.nodes[0]!), await mesh.edge(mesh.nodes[0]!)]
  await during(b.join('room'), mesh.clock)
  const early = new AbortController()
  const joining = codeOf(() => a.join('room', { signal: early.signal }))
  early.abort()
  assert.is(await joining, 'ABORTED')
  assert.is(await codeOf(() => a.join('room', { signal: early.signal })), 'ABORTED')
  const late = new AbortController()
  const room = await during(a.join('room', { signal: late.signal }), mesh.clock)
  await mesh.clock.advance(5000)
  assert.is(room.peers.size, 1)
  late.abort()
  assert.is(room.peers.size, 0)
  await mesh.clock.advance(1000)
  assert.is((await during(b.discover('room'), mesh.clock)).total, 0)
  await mesh.close()
})

test('bad arguments of a room are typed errors at the call', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  const bad: unknown[] = [null, 5, { maxPeers: 0 }, { maxPeers: 1.5 }, { maxPeers: 257 }]
  bad.push({ info: 'text' }, { signal: {} })
  for (const options of bad) {
    assert.is(await codeOf(() => edge.join('room', options as RoomOptions)), 'BAD_ARGUMENT')
  }
  const long = { info: new Uint8Array(257) }
  assert.is(await codeOf(() => edge.join('room', long)), 'TOO_LARGE')
  assert.is(await codeOf(() => edge.advertise('room', long)), 'TOO_LARGE')
  const room = await during(edge.join('room'), mesh.clock)
  assert.is(await codeOf(() => room.send(5 as unknown as string)), 'BAD_ARGUMENT')
  await edge.close()
  assert.is(await codeOf(() => room.send('late')), 'CLOSED')
  assert.is(await codeDuring(edge.join('another'), mesh.clock), 'CLOSED')
  await room.leave()
  await mesh.close()
})

test('a home that dies does not disturb the room', async () => {
  const mesh = await testMesh(3)
  const nodes = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const a = await mesh.edge([nodes[0], nodes[2]])
  const b = await mesh.edge(nodes[1])
  const room = await during(a.join('room'), mesh.clock)
  const other = await during(b.join('room'), mesh.clock)
  await mesh.clock.advance(5000)
  const had = room.peers.get(b.id)
  const told: string[] = []
  for (const one of [room, other]) {
    one.on('leave', (id) => told.push(id))
    one.on('peer', ({ id }) => told.push(id))
  }
  mesh.kill(a.home.nodeId === nodes[0].id ? nodes[0] : nodes[2])
  await mesh.clock.advance(120_000)
  assert.ok(a.home.state === 'open')
  assert.equal(told, [])
  assert.is(room.peers.get(b.id), had)
  assert.equal([room.total, other.total], [1, 1])
  await mesh.close()
})

test('counts all in a room that is too large for one list, as they come and go', async () => {
  const mesh = await testMesh(1)
  const node = mesh.nodes[0] as MeshNode
  const crowd: Edge[] = []
  for (let i = 0; i < 60; i++) {
    const edge = await mesh.edge(node)
    await during(edge.advertise('room'), mesh.clock)
    crowd.push(edge)
  }
  const edge = await mesh.edge(node)
  const room = await during(edge.join('room', { maxPeers: 1 }), mesh.clock)
  assert.is(room.total, 60)
  for (const one of crowd.slice(0, 30)) await one.close()
  await mesh.clock.advance(1000)
  assert.is(room.total, 30)
  await during(crowd[40]!.unadvertise('room'), mesh.clock)
  await during(crowd[40]!.advertise('room'), mesh.clock)
  await mesh.clock.advance(1000)
  assert.is(room.total, 30)
  await mesh.close()
})

test('info is read by those who find the edge, in lists, in watches and in rooms', async () => {
  const mesh = await testMesh(2)
  const [ada, bob] = [await mesh.edge(mesh.nodes[0]!), await mesh.edge(mesh.nodes[1]!)]
  const topic: Topic = { name: 'room', secret: 'only for us' }
  const news: Change[] = []
  const follow = async (): Promise<void> => {
    for await (const change of bob.watch(topic)) news.push(change)
  }
  const following = follow()
  const info = HELLO.slice()
  await during(ada.advertise(topic, { info }), mesh.clock)
  info.fill(0)
  await mesh.clock.advance(1000)
  const { peers } = await during(bob.discover(topic), mesh.clock)
  assert.equal(peers, [{ id: ada.id, home: mesh.nodes[0]!.id, info: HELLO }])
  assert.equal(news, [{ kind: 'join', id: ada.id, home: mesh.nodes[0]!.id, info: HELLO }])
  await during(ada.advertise(topic, { info: new Uint8Array(256).fill(7) }), mesh.clock)
  await mesh.clock.advance(1000)
  const again = await during(bob.discover(topic), mesh.clock)
  assert.equal(again.peers[0]?.info, new Uint8Array(256).fill(7))
  await mesh.close()
  await following
})

test('no node can read the info of a topic with a secret', async () => {
  const place = { peerKey: identityOf(1).keys.publicKey, tag: 'ab'.repeat(32), seq: 7 }
  const secret = topicKey('test', { name: 'room', secret: 'only for us' })
  const sealed = sealInfo(secret, place, HELLO)
  assert.is(sealed.length, HELLO.length + 16)
  assert.equal(openInfo(secret, { ...place, info: sealed }), HELLO)
  assert.equal(openInfo(topicKey('test', 'room'), { ...place, info: sealed }).length, 0)
  // And none of the mesh's frames holds it in clear.
  const mesh = await testMesh(2)
  const seen: string[] = []
  mesh.tap = (frame) => {
    seen.push(Buffer.from(frame).toString('latin1'))
    return [frame]
  }
  const ada = await mesh.edge(mesh.nodes[0]!)
  await during(ada.advertise('room', { info: HELLO }), mesh.clock)
  await mesh.clock.advance(1000)
  assert.ok(seen.length > 2)
  assert.not(seen.some((frame) => frame.includes('hello from Ada')))
  await mesh.close()
})

test('info that was sealed for another topic, peer or time is dropped, and nothing else', () => {
  const key = topicKey('test', 'room')
  const place = { peerKey: identityOf(1).keys.publicKey, tag: 'ab'.repeat(32), seq: 7 }
  const info = sealInfo(key, place, HELLO)
  const elsewhere = [
    { ...place, peerKey: identityOf(2).keys.publicKey },
    { ...place, tag: 'cd'.repeat(32) },
    { ...place, seq: 8 },
  ]
  for (const one of elsewhere) {
    assert.is(openInfo(key, { ...one, info }).length, 0)
    assert.not.equal(sealInfo(key, one, HELLO), info)
  }
  for (let cut = 0; cut < info.length; cut++) {
    assert.is(openInfo(key, { ...place, info: info.subarray(0, cut) }).length, 0)
  }
  assert.is(openInfo(key, { ...place, info: new Uint8Array(MAX_INFO_BYTES) }).length, 0)
  assert.is(sealInfo(key, place, new Uint8Array(0)).length, 0)
})

test('advertising and discovering that are aborted end at once', async () => {
  const mesh = await testMesh(1)
  const edge = await mesh.edge(mesh.nodes[0]!)
  const control = new AbortController()
  const { signal } = control
  const waiting = [edge.advertise('room', { signal }), edge.discover('room', { signal })]
  const codes = waiting.map((one) => codeOf(() => one))
  control.abort()
  assert.equal(await Promise.all(codes), ['ABORTED', 'ABORTED'])
  await mesh.clock.advance(1000)
  const other = await mesh.edge(mesh.nodes[0]!)
  assert.is((await during(other.discover('room'), mesh.clock)).total, 0)
  await mesh.close()
})

test.run()

const others = (members: readonly { edge: Edge }[], self: Edge): string[] =>
  members
    .map(({ edge }) => edge.id)
    .filter((id) => id !== self.id)
    .sort()

/** How many can be reached from the first, over connections that both ends have. */
function reached(members: readonly { edge: Edge; room: Room }[]): number {
  const rooms = new Map(members.map(({ edge, room }) => [edge.id, room]))
  const found = new Set([members[0]!.edge.id])
  for (const id of found) {
    for (const peer of rooms.get(id)?.peers.keys() ?? []) {
      if (rooms.get(peer)?.peers.has(id)) found.add(peer)
    }
  }
  if ([...found].some((id) => !rooms.has(id))) throw new SignalMeshError('INTERNAL', 'A ghost')
  return found.size
}
