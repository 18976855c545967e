/** Admission: strangers fill neither a node's directory nor its time, and a private mesh hears of none. */

import { createAdmission, type Members, NO_MEMBERS } from '../src/admission.ts'
import { decodeAnchors, encodeAnchors, loadAnchors } from '../src/anchors.ts'
import { type Head, type Op, signHead } from '../src/batch.ts'
import { fromHex, toHex, writer } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { randomBytes } from '../src/crypto.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import { SignalMeshError } from '../src/errors.ts'
import * as limits from '../src/limits.ts'
import { type Log, silentLog } from '../src/log.ts'
import { FRAME } from '../src/messages.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import { createPace } from '../src/pace.ts'
import { applyBatch, applyHead, applySnapshot } from '../src/replica.ts'
import { NODE_METHOD } from '../src/rpc.ts'
import type { Store, Swarm } from '../src/runtime.ts'
import { type Size, sizeWith } from '../src/size.ts'
import { linkGroup } from '../src/slots.ts'
import { createSpace, type Space, spaceForAll } from '../src/space.ts'
import { createSync } from '../src/sync.ts'
import { codeOf } from './fixtures/errors.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { attacker } from './support/attacker.ts'
import { memoryStore, testMesh } from './support/mesh.ts'
import { type VirtualNode, virtualMesh } from './support/nodes.ts'

const HEAD = 2
const CHAT = tagOf(1)
const NO_CONTACT = { dhtKey: undefined, urls: [], vias: [] }
const STRANGER = 'a stranger'
const FRIEND = 'a friend'

const test = suite('admission', { timeoutMs: 30_000 })

// --- room ---

test('a hundred thousand forged homes take neither the places of those who are there nor those of listed ones', () => {
  const lines: string[] = []
  const clock = manualClock()
  const [old, friend] = [testHome(50), testHome(51)]
  const admission = createAdmission({
    self: 'me',
    members: { listed: new Set([friend.id]), only: false },
    clock,
    log: linesLog(lines),
  })
  const directory = createDirectory(NETWORK)
  applyBatch(directory, old.change(put(presenceOf(identityOf(1), old.id))), START_MS, admission)
  const forged = headOfStranger(0)
  let refused = 0
  for (let i = 0; i < 100_000; i++) {
    try {
      applyHead(directory, { ...forged, home: `home ${i}` }, START_MS, admission)
    } catch (error) {
      admission.noteRefusal('home', `home ${i}`, error as SignalMeshError)
      refused += 1
    }
  }
  const places = limits.MAX_HOMES * (1 - limits.RESERVED_SHARE)
  assert.equal([directory.homes.size, refused], [places, 100_001 - places])
  assert.ok(directory.locate(identityOf(1).id, START_MS), 'who was there stays')
  applyHead(directory, friend.log.head(NO_CONTACT), START_MS, admission)
  assert.ok(directory.homes.has(friend.id), 'a listed home finds room')
  assert.is(lines.length, limits.REFUSAL_LINES_BURST)
  assert.match(lines[0] as string, /^Refused a home home \d+ MESH_FULL$/)
})

test('a neighbour that makes up homes is heard at its rate, unread beyond it, and keeps nobody else from coming', async () => {
  const mesh = virtualMesh(1)
  const [node] = mesh.nodes as [VirtualNode]
  const attack = await attacker(mesh, node, 70)
  for (let i = 0; i < limits.NEW_HOMES_BURST; i++) attack.gossip(HEAD, headOfStranger(i))
  const { bytes } = headOfStranger(0)
  for (let i = 0; i < 1_000; i++) {
    // Nobody looks at a signature for which there is no time.
    const homeKey = randomBytes(32)
    bytes.set(homeKey, 1)
    attack.gossip(HEAD, { bytes, homeKey })
  }
  await settle()
  const { directory } = node.mesh
  assert.is(directory.homes.size, 1 + limits.NEW_HOMES_BURST)
  assert.is(attack.bye(), undefined)
  const friend = await attacker(mesh, node, 50)
  friend.gossip(HEAD, testHome(50).log.head(NO_CONTACT))
  await settle()
  assert.ok(directory.homes.has(friend.id))
  mesh.stop()
})

test('where there is enough room any home may have all that one home may have, and not one record more', () => {
  const { room, directory } = roomOf({ records: 0 })
  room.checkGrowth(directory, STRANGER, sized(limits.MAX_RECORDS_PER_HOME))
  assert.is(growth(room, directory, STRANGER, sized(limits.MAX_RECORDS_PER_HOME + 1)), 'TOO_MANY')
  room.checkGrowth(directory, STRANGER, { ...sized(1), bytes: limits.MAX_BYTES_PER_HOME })
  const tooMany = { ...sized(1), bytes: limits.MAX_BYTES_PER_HOME + 1 }
  assert.is(growth(room, directory, STRANGER, tooMany), 'TOO_MANY')
})

test('where room is scarce a newcomer with records over its cap is refused, and the cap doubles with each hour', async () => {
  const clock = manualClock()
  const { room, directory } = roomOf({ records: limits.MAX_RECORDS / 2 }, { clock })
  await clock.advance(limits.START_GRACE_MS)
  directory.homes.set(STRANGER, stateOf(0))
  room.sweep(directory)
  let most: number = limits.FIRST_RECORDS_PER_HOME
  for (let hour = 0; hour < 6; hour++) {
    room.checkGrowth(directory, STRANGER, sized(most))
    assert.is(room.recordsFor(directory, STRANGER), most)
    assert.is(growth(room, directory, STRANGER, sized(most + 1)), 'TOO_MANY', `hour ${hour}`)
    assert.is(growth(room, directory, 'a later one', sized(5_000)), 'TOO_MANY')
    await clock.advance(limits.ROOM_DOUBLES_MS)
    most = Math.min(2 * most, limits.MAX_RECORDS_PER_HOME)
  }
  assert.is(most, limits.MAX_RECORDS_PER_HOME)
})

test('a home keeps what it has earned over a short absence and not over a long one', async () => {
  for (const [awayMs, most] of [
    [limits.HOME_FORGOTTEN_MS, limits.FIRST_RECORDS_PER_HOME * 8],
    [limits.HOME_FORGOTTEN_MS + 1, limits.FIRST_RECORDS_PER_HOME],
  ] as const) {
    const clock = manualClock()
    const { room, directory } = roomOf({ records: limits.MAX_RECORDS / 2 }, { clock })
    await clock.advance(limits.START_GRACE_MS)
    directory.homes.set(STRANGER, stateOf(0))
    room.sweep(directory)
    await clock.advance(2 * limits.ROOM_DOUBLES_MS)
    room.sweep(directory)
    directory.homes.delete(STRANGER)
    await clock.advance(awayMs)
    room.sweep(directory)
    assert.is(room.recordsFor(directory, STRANGER), most)
  }
})

test('homes that a node meets as it starts count as old, for it cannot tell', async () => {
  const clock = manualClock()
  const { room, directory } = roomOf({ records: limits.MAX_RECORDS / 2 }, { clock })
  room.checkGrowth(directory, STRANGER, sized(limits.MAX_RECORDS_PER_HOME))
  await clock.advance(limits.START_GRACE_MS - 1)
  room.checkGrowth(directory, STRANGER, sized(limits.MAX_RECORDS_PER_HOME))
  await clock.advance(1)
  assert.is(growth(room, directory, STRANGER, sized(5_000)), 'TOO_MANY')
})

for (const [what, all] of Object.entries({
  records: limits.MAX_RECORDS,
  bytes: limits.MAX_DIRECTORY_BYTES,
  topics: limits.MAX_TOPICS,
})) {
  test(`all homes together have so many ${what}, and the last quarter is for listed ones`, () => {
    const open = all * (1 - limits.RESERVED_SHARE)
    const more = { records: 0, bytes: 0, topics: 0, [what]: 1 }
    const outcomes = (held: number, reserves: boolean): (string | undefined)[] => {
      const { room, directory } = roomOf({ [what]: held }, { reserves })
      return [STRANGER, FRIEND].map((home) => growth(room, directory, home, more))
    }
    assert.equal(outcomes(open - 1, true), [undefined, undefined])
    assert.equal(outcomes(open, true), ['MESH_FULL', undefined])
    assert.equal(outcomes(all - 1, true), ['MESH_FULL', undefined])
    assert.equal(outcomes(all, true), ['MESH_FULL', 'MESH_FULL'])
    // Without a list nothing is kept for anybody.
    assert.equal(outcomes(all - 1, false), [undefined, undefined])
    assert.equal(outcomes(all, false), ['MESH_FULL', 'MESH_FULL'])
  })
}

test('who is over its share when room becomes scarce keeps what it has, may shrink, and may not grow', async () => {
  const clock = manualClock()
  const { room, directory } = roomOf({ records: limits.MAX_RECORDS }, { clock })
  await clock.advance(limits.START_GRACE_MS)
  directory.homes.set(STRANGER, stateOf(50_000))
  assert.is(growth(room, directory, STRANGER, sized(50_000)), undefined)
  assert.is(growth(room, directory, STRANGER, sized(49_999)), undefined)
  assert.is(growth(room, directory, STRANGER, { ...sized(50_000), bytes: 1 }), undefined)
  assert.is(growth(room, directory, STRANGER, sized(50_001)), 'TOO_MANY')
})

test('a batch or snapshot for which there is no room changes nothing, and the home keeps what it had', () => {
  const home = testHome(50)
  home.change(put(presenceOf(identityOf(1), home.id)))
  home.change(put(presenceOf(identityOf(2), home.id)), put(advertOf(identityOf(2), CHAT)))
  const [one, two] = home.batches
  const atMostOne: Space = {
    ...spaceForAll,
    checkGrowth: (_, id, after) => {
      if (after.records > 1) throw new SignalMeshError('TOO_MANY', id)
    },
  }
  const directory = createDirectory(NETWORK)
  assert.is(applyBatch(directory, one!, START_MS, atMostOne), 'applied')
  assert.is(
    codeOf(() => applyBatch(directory, two!, START_MS, atMostOne)),
    'TOO_MANY',
  )
  const records = [...home.log.state.claims.values()].flatMap(({ presence, adverts }) => [
    ...(presence ? [presence] : []),
    ...adverts.values(),
  ])
  assert.is(
    codeOf(() => applySnapshot(directory, NETWORK, two!.bytes, records, START_MS, atMostOne)),
    'TOO_MANY',
  )
  assert.is(directory.homes.get(home.id)?.position.index, 1)
  assert.ok(directory.locate(identityOf(1).id, START_MS))
  assert.is(applyBatch(directory, two!, START_MS), 'applied', 'when there is room again')
})

test('counts records, bytes and topics of a home as they come and go', () => {
  const home = testHome(50)
  const directory = createDirectory(NETWORK)
  const [edge, other] = [identityOf(1), identityOf(2)]
  const [presence, advert] = [presenceOf(edge, home.id), advertOf(edge, CHAT)]
  let topics = 0
  const follow = (...ops: Op[]): void => {
    const batch = home.change(...ops)
    const puts = batch.ops.flatMap((op) => (op.kind === 'put' ? [op.record] : []))
    const size = sizeWith(directory, directory.homes.get(home.id), puts)
    topics = size.topics
    applyBatch(directory, batch, START_MS)
    if (puts.length < ops.length) return
    assert.equal([size.records, size.bytes], [directory.records, directory.bytes])
  }
  follow(put(advert))
  assert.is(topics, 1)
  follow(put(presence))
  assert.equal([topics, directory.topics], [1, 1], 'it counts when the edge can be found by it')
  follow(put(presenceOf(edge, home.id, { seq: START_MS + 1 })))
  follow(put(presenceOf(other, home.id)), put(advertOf(other, CHAT)))
  follow(put(advertOf(other, tagOf(2), { seq: START_MS + 1 })))
  assert.is(directory.topics, 2)
  follow({ kind: 'remove-advert', peer: other.id, tag: toHex(tagOf(2)), seq: START_MS + 2 })
  assert.is(directory.topics, 1)
  follow({ kind: 'remove-peer', peer: edge.id, seq: START_MS + 1 })
  const left = [presenceOf(other, home.id), advertOf(other, CHAT)]
  assert.is(
    directory.bytes,
    left.reduce((sum, { bytes }) => sum + bytes.length, 0),
  )
  directory.drop(home.id)
  assert.equal([directory.records, directory.bytes, directory.topics], [0, 0, 0])
})

test('a home that was refused is not asked for its log for a while, and has one line in the log', async () => {
  const clock = manualClock()
  const lines: string[] = []
  const log = linesLog(lines)
  const admission = createAdmission({ self: 'me', members: NO_MEMBERS, clock, log })
  const full = new SignalMeshError('MESH_FULL', 'No room')
  assert.not(admission.noteRefusal('home', STRANGER, new SignalMeshError('BAD_FRAME', 'x')))
  assert.ok(admission.mayPull(STRANGER))
  for (let i = 0; i < 3; i++) assert.ok(admission.noteRefusal('home', STRANGER, full))
  assert.not(admission.mayPull(STRANGER))
  assert.equal(lines, [`Refused a home ${STRANGER} MESH_FULL`])
  await clock.advance(limits.REFUSED_FOR_MS)
  assert.ok(admission.mayPull(STRANGER))
  // No place among the neighbours is no word about its log.
  admission.noteRefusal('link', FRIEND, full)
  assert.ok(admission.mayPull(FRIEND))
})

test('a neighbour’s word that a home lied or has no room keeps nobody from asking others for it', async () => {
  for (const code of [
    'MESH_FULL',
    'TOO_MANY',
    'REFUSED',
    'EQUIVOCATION',
    'FORGED_RECORD',
  ] as const) {
    const asked: string[] = []
    const faults: string[] = []
    const home = identityOf(50).id
    const answer = async (_: number, __: Uint8Array, neighbour: string): Promise<Uint8Array> => {
      asked.push(neighbour)
      if (neighbour === 'liar') throw new SignalMeshError(code, 'So it says')
      return Uint8Array.of(0)
    }
    const sync = syncOf(manualClock(), NO_MEMBERS, answer, faults)
    await sync.pull('liar', home)
    await sync.pull('another', home)
    assert.equal([asked, faults], [['liar', 'another'], []], code)
  }
})

// --- pace ---

test('a neighbour that floods delays no signal and no other link, and what was dropped comes by a pull', async () => {
  const mesh = virtualMesh(0)
  const signals = new Map<string, number>()
  const onSignal = (_: Uint8Array, from: string): void => {
    signals.set(from, (signals.get(from) ?? 0) + 1)
  }
  const node = mesh.add(0, START_MS, { onSignal })
  const [flooder, friend] = [mesh.add(1), mesh.add(2)]
  mesh.link(flooder, node)
  mesh.link(friend, node)
  await mesh.clock.advance(limits.HEARTBEAT_MS - 1_000)
  const changes = 2 * limits.HOME_RECORDS_BURST
  for (let i = 0; i < changes; i++) {
    const peer = toHex(writer(32).u32(i).bytes(new Uint8Array(28)).done())
    flooder.mesh.log.add({ kind: 'remove-peer', peer, seq: 1 })
    if (i % 1_000 === 0) flooder.mesh.neighbours.send(node.id, Uint8Array.of(FRAME.signal))
    if (i % 10_000 === 0) friend.mesh.neighbours.send(node.id, Uint8Array.of(FRAME.signal))
  }
  friend.join(1, [CHAT])
  await mesh.clock.advance(100)
  const heldOf = (id: string): number => node.mesh.directory.homes.get(id)?.position.index ?? 0
  assert.equal(
    [signals.get(flooder.id), signals.get(friend.id)],
    [changes / 1_000, changes / 10_000],
  )
  assert.ok(node.mesh.directory.locate(identityOf(1).id, mesh.clock.nowMs()))
  const said = flooder.mesh.log.state.position.index
  assert.ok(heldOf(flooder.id) < said, 'the flood is over its rate')
  assert.ok(node.mesh.neighbours.has(flooder.id), 'and no reason to end the link')
  await mesh.clock.advance(limits.HEARTBEAT_MS)
  assert.is(heldOf(flooder.id), said)
  mesh.stop()
})

test('a home that beats without end is heard at its rate, and the next home’s word is still taken', async () => {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  const attack = await attacker(mesh, node, 70)
  const home = testHome(50)
  for (let i = 0; i < 3 * limits.HOME_HEADS_BURST; i++)
    attack.gossip(HEAD, home.log.head(NO_CONTACT))
  attack.gossip(HEAD, testHome(51).log.head(NO_CONTACT))
  await settle()
  const beatOf = (id: string) => node.mesh.directory.homes.get(id)?.beat
  assert.equal([beatOf(home.id), beatOf(testHome(51).id)], [limits.HOME_HEADS_BURST, 1])
  mesh.stop()
})

test('new homes that a neighbour names over its rate wait their turn, and then come', async () => {
  const clock = manualClock()
  const pulled: string[] = []
  const ids = Array.from({ length: limits.NEW_HOMES_BURST + 16 }, (_, i) =>
    writer(32)
      .u32(i + 1)
      .bytes(new Uint8Array(28))
      .done(),
  )
  const page = writer().u8(0)
  for (const id of ids) page.bytes(id).u64(START_MS).u64(1).block(new Uint8Array(0))
  const sync = syncOf(clock, NO_MEMBERS, async (method, body) => {
    if (method === NODE_METHOD.heads) return page.done()
    pulled.push(toHex(body.subarray(0, 32)))
    return Uint8Array.of(0)
  })
  void sync.meet('neighbour')
  await settle(100_000)
  assert.is(pulled.length, limits.NEW_HOMES_BURST)
  await clock.advance(2_000)
  assert.is(pulled.length, ids.length)
})

test('pulls wait until what they brought has been paid for', async () => {
  const clock = manualClock()
  const pace = createPace(clock)
  let turns = 0
  const pull = async (neighbour: string, home: string): Promise<void> => {
    await pace.pullTurn(neighbour, home)
    turns += 1
  }
  pace.pulled('a', 'home', limits.PULL_BYTES_BURST + limits.PULL_BYTES_PER_SECOND)
  void pull('a', 'another home')
  void pull('b', 'home')
  void pull('b', 'another home')
  await settle()
  assert.is(turns, 1, 'another home of another neighbour waits for nothing')
  await clock.advance(1_001)
  assert.is(turns, 2, 'the neighbour’s budget fills faster than the home’s')
  await clock.advance(4_000)
  assert.is(turns, 3)
})

// --- a private mesh ---

test('a private mesh hears of no stranger, neither by gossip nor by a pull, and does of the same node when listed', async () => {
  for (const isListed of [false, true]) {
    const mesh = virtualMesh(2)
    const [member, stranger] = mesh.nodes as [VirtualNode, VirtualNode]
    const listed = new Set([member.id, ...(isListed ? [stranger.id] : [])])
    const members: Members = { listed, only: true }
    const [early, late] = [mesh.add(2, START_MS, { members }), mesh.add(3, START_MS, { members })]
    mesh.link(member, stranger)
    mesh.link(early, member)
    await mesh.clock.advance(100)
    stranger.join(1, [CHAT])
    member.join(2, [CHAT])
    await mesh.clock.advance(limits.HEARTBEAT_MS)
    mesh.link(late, member)
    await mesh.clock.advance(limits.HEARTBEAT_MS)
    for (const { mesh: at } of [early, late]) {
      const heard = [1, 2].map((edge) =>
        at.directory.locate(identityOf(edge).id, mesh.clock.nowMs()),
      )
      assert.equal(
        heard.map((claim) => claim !== undefined),
        [isListed, true],
      )
      assert.is(at.directory.homes.has(stranger.id), isListed)
      assert.ok(at.neighbours.has(member.id))
    }
    mesh.stop()
  }
})

test('a private mesh pulls no home that is not listed, whoever names it', async () => {
  const stranger = testHome(50)
  stranger.change(put(presenceOf(identityOf(1), stranger.id)))
  for (const isListed of [false, true]) {
    const asked: number[] = []
    const members = { listed: new Set(isListed ? [stranger.id] : []), only: true }
    const sync = syncOf(manualClock(), members, async (method) => {
      asked.push(method)
      return method === NODE_METHOD.heads ? headsPage(stranger.id) : Uint8Array.of(0)
    })
    await sync.meet('neighbour')
    await sync.pull('neighbour', stranger.id)
    assert.is(asked.includes(NODE_METHOD.pull), isListed)
  }
})

// --- anchors ---

test('the two neighbours that were up longest are dialled first after a restart, before any is found', async () => {
  const store = memoryStore()
  const mesh = await testMesh(0)
  const [node] = await nodesOf(mesh, [store])
  const others = await nodesOf(mesh, [memoryStore(), memoryStore(), memoryStore()])
  for (const [i, other] of others.entries()) {
    other.useSwarm(swarmOf(keyOf(i)))
    // The second dials, so it comes after those that this node chose itself.
    if (i === 1) mesh.link(other, node!)
    else mesh.link(node!, other)
    await mesh.clock.advance(5_000)
  }
  await mesh.clock.advance(limits.ANCHOR_AFTER_MS + limits.HEARTBEAT_MS)
  await mesh.close()
  await mesh.clock.advance(1_000)
  const dialled: string[] = []
  const [again] = await nodesOf(await testMesh(0), [store])
  again!.useSwarm(swarmOf(keyOf(9), dialled))
  assert.equal(dialled, [toHex(keyOf(0)), toHex(keyOf(2))])
})

test('what is left of the places keeps former anchors, and one that is there stands once', async () => {
  const store = memoryStore()
  const [a, b, c] = [0, 1, 2].map((i) => ({ node: identityOf(i).id, dhtKey: keyOf(i) }))
  const anchors = await loadAnchors(store, silentLog)
  anchors.keep([a!, b!])
  anchors.keep([c!])
  anchors.keep([])
  await settle()
  assert.equal((await loadAnchors(store, silentLog)).kept, [c, a])
})

test('damaged anchors are ignored with a line in the log, and the node starts and keeps new ones', async () => {
  const good = encodeAnchors([{ node: identityOf(1).id, dhtKey: keyOf(1) }])
  assert.is(decodeAnchors(good).length, 1)
  const damaged = [
    new Uint8Array(0),
    new Uint8Array(7),
    good.subarray(1),
    good.subarray(0, good.length - 1),
    good.map((byte, i) => (i === 40 ? byte ^ 1 : byte)),
  ]
  for (const bytes of damaged) {
    assert.is(
      codeOf(() => decodeAnchors(bytes)),
      'DATA_UNREADABLE',
    )
    const store = memoryStore()
    await store.write('anchors', bytes)
    const lines: string[] = []
    const anchors = await loadAnchors(store, linesLog(lines))
    assert.equal([anchors.kept, lines.length], [[], 1])
    assert.match(lines[0] as string, /^Ignored the kept anchors .*DATA_UNREADABLE/)
    anchors.keep(decodeAnchors(good))
    await settle()
    assert.equal(await store.read('anchors'), good)
  }
  const unreadable: Store = { ...memoryStore(), read: () => Promise.reject(new Error('no')) }
  assert.equal((await loadAnchors(unreadable, silentLog)).kept, [])
})

test('address groups are what one customer gets, and local addresses are in none', () => {
  const groups = ['198.51.100.7', '2001:db8:7:8::1', '::ffff:198.51.100.9', '', '127.0.0.1']
  assert.equal(groups.map(linkGroup), [
    '198.51.100.0/24',
    '2001:db8:7::/48',
    '198.51.100.0/24',
    'an unknown address',
    undefined,
  ])
  const local = ['::1', '10.0.0.1', '192.168.1.1', 'fd00::1', 'fe80::1%eth0', '172.16.0.1']
  assert.ok(local.every((address) => linkGroup(address) === undefined))
})

test.run()

function headOfStranger(number: number): Head {
  const { keys } = identityOf(10_000_000 + number)
  return signHead(NETWORK, keys, {
    epoch: START_MS,
    index: 0,
    beat: 1,
    headHash: new Uint8Array(32),
    stateHash: emptyState,
    edges: 0,
    contact: NO_CONTACT,
  })
}

const emptyState = testHome(50).log.state.digest.hash()

function sized(records: number): Size {
  return { records, bytes: 0, topics: 0 }
}

interface Filled extends Directory {
  readonly homes: Map<string, never>
}

/** A room, and a directory that is as full as it says. */
function roomOf(
  held: Partial<Size>,
  more: { clock?: ManualClock; reserves?: boolean } = {},
): { room: Space; directory: Filled } {
  const { clock = manualClock(), reserves = false } = more
  const room = createSpace({ clock, isListed: (home) => home === FRIEND, reserves })
  const directory = { ...sized(0), homes: new Map(), ...held } as unknown as Filled
  return { room, directory }
}

/** A home that has so many records. */
function stateOf(records: number): never {
  return { digest: { size: records }, bytes: 0 } as never
}

function growth(room: Space, directory: Directory, home: string, after: Size): string | undefined {
  try {
    room.checkGrowth(directory, home, after)
    return undefined
  } catch (error) {
    return (error as SignalMeshError).code
  }
}

function linesLog(lines: string[]): Log {
  const warn: Log['warn'] = (message, fields = {}) => {
    lines.push([message, fields.node, fields.code].filter(Boolean).join(' '))
  }
  return { ...silentLog, warn }
}

function syncOf(
  clock: ManualClock,
  members: Members,
  request: (method: number, body: Uint8Array, neighbour: string) => Promise<Uint8Array>,
  faults: string[] = [],
) {
  const self = identityOf(90).id
  return createSync({
    networkId: NETWORK,
    directory: createDirectory(NETWORK),
    clock,
    log: silentLog,
    admission: createAdmission({ self, members, clock, log: silentLog }),
    pace: createPace(clock),
    self,
    request: (neighbour, method, body) => request(method, body, neighbour),
    isLinked: () => true,
    onOwnHead: () => undefined,
    neighbours: () => [],
    onFault: (home) => void faults.push(home),
    flush: () => undefined,
  })
}

function headsPage(home: string): Uint8Array {
  return writer().u8(0).bytes(fromHex(home)).u64(START_MS).u64(1).block(new Uint8Array(0)).done()
}

function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number + 1)
}

function swarmOf(dhtKey: Uint8Array, dialled: string[] = []): Swarm {
  return {
    dhtKey,
    connect: (key) => void dialled.push(toHex(key)),
    forget: () => undefined,
    close: async () => undefined,
  }
}

async function nodesOf(
  mesh: Awaited<ReturnType<typeof testMesh>>,
  stores: readonly Store[],
): Promise<MeshNode[]> {
  const nodes: MeshNode[] = []
  for (const store of stores) {
    const runtime = { name: 'node' as const, version: 'test' }
    const node = await createNode({
      network: 'test',
      runtime,
      store,
      log: silentLog,
      clock: mesh.clock,
    })
    mesh.adopt(node, `http://127.0.0.1:${6000 + mesh.nodes.length}`)
    nodes.push(node)
  }
  return nodes
}
