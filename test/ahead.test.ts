/** Ahead: what is done before it is asked for, so that a connection takes as few legs as can be. */

import { manualClock } from '../src/clock.ts'
import { makeAhead } from '../src/edge/ahead.ts'
import { createKnown } from '../src/edge/known.ts'
import type { Edge, JoinOptions } from '../src/edge/mod.ts'
import type { MakeRtc, Rtc, RtcOptions } from '../src/edge/rtc.ts'
import { startWarming } from '../src/edge/warming.ts'
import { SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import { RESEND_AFTER_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { decodePresence, type Presence, signPresence } from '../src/records.ts'
import { CLASS, classOf } from '../src/signal.ts'
import { networkId } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'
import { pretendStream } from './support/rtc.ts'

const test = suite('ahead')
const LEG_MS = 25
const ROOM = { topic: 'room' }
const NETWORK = networkId('test')

/** What an edge sends and is sent, and after how long, from now on. */
function timed(mesh: TestMesh): { readonly atMs: Record<string, number>; readonly sent: string[] } {
  const startMs = mesh.clock.nowMs()
  const atMs: Record<string, number> = {}
  const sent: string[] = []
  mesh.tap = (frame, way) => {
    const isOpening = frame[0] === FRAME.signal && classOf(frame) === CLASS.open
    const kinds: Record<number, string> = {
      [FRAME.proof]: 'proof',
      [FRAME.welcome]: 'welcome',
      [FRAME.rpc]: 'rpc',
    }
    const name = isOpening ? 'opening' : (kinds[frame[0] as number] ?? 'other')
    atMs[`${name} ${way}`] ??= mesh.clock.nowMs() - startMs
    if (way === 'up') sent.push(name)
    return [frame]
  }
  return { atMs, sent }
}

// --- calls that do not wait for a lookup ---

test('a call to a peer that was discovered goes out at once, and the lookup beside it', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const [a, b] = [await mesh.edge(node), await mesh.edge(node, { topics: ['room'] })]
  await mesh.clock.advance(1000)
  await during(a.discover('room'), mesh.clock)
  mesh.legMs = LEG_MS
  const { atMs } = timed(mesh)
  const connection = await during(a.connect(b.id, ROOM), mesh.clock)
  assert.is(connection.id, b.id)
  assert.ok(atMs['opening up']! <= 2, `offered after ${atMs['opening up']} ms`)
  assert.ok(atMs['rpc up']! <= 2, 'the home is asked all the same')
  await mesh.close()
})

test('what the home’s first frame told of a peer is enough to call it after joining', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const b = await mesh.edge(node, { topics: ['room'] })
  await mesh.clock.advance(1000)
  const a = await mesh.edge(node, { topics: ['room'] })
  mesh.legMs = LEG_MS
  const { atMs } = timed(mesh)
  await during(a.connect(b.id, ROOM), mesh.clock)
  assert.ok(atMs['opening up']! <= 2, `offered after ${atMs['opening up']} ms`)
  await mesh.close()
})

test('a peer that is another session by now is called anew as soon as the home says so', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const before = await mesh.edge(node, { topics: ['room'] })
  const a = await mesh.edge(node)
  await during(a.discover('room'), mesh.clock)
  await before.close()
  const b = await mesh.edge(node, { topics: ['room'], identity: before.identity })
  mesh.legMs = LEG_MS
  const startMs = mesh.clock.nowMs()
  const connection = await during(a.connect(b.id, ROOM), mesh.clock, 5)
  const tookMs = mesh.clock.nowMs() - startMs
  assert.is(connection.id, b.id)
  assert.ok(tookMs < RESEND_AFTER_MS / 2, `connected after ${tookMs} ms`)
  await mesh.close()
})

// --- what is known ---

function presence(seed: number, seq: number): Presence {
  const { keys } = makeIdentity(new Uint8Array(32).fill(seed))
  const key = new Uint8Array(32)
  return signPresence(NETWORK, keys, { homeKey: key, boxKey: key, seq, ttlMs: 60_000 })
}

test('only what its peer signed is known, whatever was known before', () => {
  const known = createKnown(NETWORK)
  const good = presence(1, 5)
  assert.ok(known.isAuthentic(good))
  for (const at of [40, good.bytes.length - 1]) {
    const bytes = good.bytes.slice()
    bytes[at]! ^= 1
    const forged = decodePresence(bytes)
    assert.is(forged.peer, good.peer)
    assert.not(known.isAuthentic(forged), `byte ${at} is another`)
  }
  assert.is(known.get(good.peer), good)
  assert.is(createKnown(NETWORK).get(good.peer), undefined)
})

test('of two presences of a peer the newer is known, in whichever order they come', () => {
  const [older, newer] = [presence(2, 5), presence(2, 6)]
  for (const order of [
    [older, newer],
    [newer, older],
  ]) {
    const known = createKnown(NETWORK)
    for (const one of order) assert.ok(known.isAuthentic(one))
    assert.is(known.get(newer.peer), newer)
  }
})

// --- a call that is asked for with the joining ---

for (const topics of [['room'], []]) {
  test(`a call asked for with the joining follows the proof, from an edge in ${topics.length} topics`, async () => {
    const mesh = await testMesh(1)
    const [node] = mesh.nodes as [MeshNode]
    const b = await mesh.edge(node, { topics: ['room'] })
    await mesh.clock.advance(1000)
    mesh.legMs = LEG_MS
    const { atMs, sent } = timed(mesh)
    const a = await mesh.edge(node, { topics, connect: { id: b.id, ...ROOM } })
    assert.equal(sent.slice(0, 2), ['proof', 'opening'])
    assert.is(atMs['opening up'], LEG_MS, 'the offer was ready')
    assert.is((await during(a.connect(b.id, ROOM), mesh.clock)).id, b.id)
    assert.is(sent.filter((name) => name === 'opening').length, 1)
    await mesh.close()
  })
}

test('a call asked for with the joining that fails harms nothing, and may be made again', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const identity = makeIdentity()
  const connect = { id: identity.id.toUpperCase(), ...ROOM }
  const a = await mesh.edge(node, { connect })
  await mesh.clock.advance(1000)
  assert.is(a.home.state, 'open')
  const b = await mesh.edge(node, { topics: ['room'], identity: identity.seed })
  assert.is((await during(a.connect(b.id, ROOM), mesh.clock)).id, b.id)
  await mesh.close()
})

test('a call asked for with the joining is checked before anybody is dialled', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const calls = [
    null,
    {},
    { id: 'x', topic: 'room' },
    { id: 'ab'.repeat(32), topic: 'room', timeoutMs: -1 },
  ]
  for (const connect of calls) {
    const joining: Promise<Edge> = mesh.edge(node, { connect } as unknown as JoinOptions)
    const error = await joining.then(
      () => undefined,
      (caught: unknown) => caught as SignalMeshError,
    )
    assert.is(error?.code, 'BAD_ARGUMENT', JSON.stringify(connect))
  }
  assert.is(mesh.dials.length, 0)
  await mesh.close()
})

// --- the RTC connection that is made ahead ---

/** Makes RTC connections that only say who made them. */
function maker(): { makeRtc: MakeRtc; made: RtcOptions[]; closed: RtcOptions[] } {
  const made: RtcOptions[] = []
  const closed: RtcOptions[] = []
  const makeRtc: MakeRtc = (options) => {
    made.push(options)
    return { close: () => void closed.push(options) } as unknown as Rtc
  }
  return { makeRtc, made, closed }
}

const wanted = (more: Partial<RtcOptions> = {}): RtcOptions => ({
  initiator: true,
  config: {},
  onItem: () => undefined,
  onOpen: () => undefined,
  onData: () => undefined,
  onStream: () => undefined,
  onAway: () => undefined,
  onClose: () => undefined,
  ...more,
})

test('what an RTC connection said before it was wanted is told, in order, to who takes it', async () => {
  const { makeRtc, made } = maker()
  const ahead = makeAhead(makeRtc, { config: {} })
  const said: string[] = []
  const end = { kind: 'end-of-candidates', generation: 0 } as const
  made[0]!.onItem({ kind: 'bye', reason: 'first' })
  made[0]!.onItem(end)
  ahead.makeRtc(wanted({ onItem: ({ kind }) => said.push(kind), onOpen: () => said.push('open') }))
  assert.equal(said, [], 'not before its owner has it')
  made[0]!.onOpen()
  await Promise.resolve()
  assert.equal(said, ['bye', 'end-of-candidates', 'open'])
  made[0]!.onItem(end)
  assert.is(said.length, 4)
  assert.is(made.length, 1)
})

test('an RTC connection made ahead goes to one call, that sends the same streams', () => {
  const { makeRtc, made, closed } = maker()
  const stream = pretendStream('own')
  const ahead = makeAhead(makeRtc, { config: {}, streams: [stream] })
  ahead.makeRtc(wanted({ initiator: false, streams: [stream] }))
  ahead.makeRtc(wanted())
  ahead.makeRtc(wanted({ streams: [pretendStream('other')] }))
  assert.is(made.length, 4)
  ahead.makeRtc(wanted({ streams: [stream] }))
  assert.is(made.length, 4, 'taken')
  ahead.close()
  assert.equal(closed, [], 'its owner closes it')
  ahead.makeRtc(wanted({ streams: [stream] }))
  assert.is(made.length, 5)
})

test('an RTC connection made ahead that nobody takes is closed, and one that fails is no harm', () => {
  const { makeRtc, made, closed } = maker()
  makeAhead(makeRtc, { config: {} }).close()
  assert.equal(closed, made)
  const failing = makeAhead(
    () => {
      throw new SignalMeshError('RTC_FAILED', 'not here')
    },
    { config: {} },
  )
  assert.throws(() => failing.makeRtc(wanted()), 'not here')
  failing.close()
})

// --- warming ---

test('warming does one part after another, waits while it is paused, and ends', async () => {
  const clock = manualClock()
  const done: number[] = []
  const parts = [1, 2, 3].map((part) => () => void done.push(part))
  const warming = startWarming(clock, parts)
  await clock.advance(0)
  assert.equal(done, [], 'a hello that is near goes first')
  await clock.advance(20)
  assert.equal(done, [1])
  warming.pause()
  await clock.advance(1000)
  assert.equal(done, [1])
  warming.resume()
  warming.resume()
  await clock.advance(1000)
  assert.equal(done, [1, 2, 3])
  warming.resume()
  assert.is(clock.pending, 0)
})

test('all that warming does can be done where there is no WebRTC', async () => {
  const clock = manualClock()
  startWarming(clock)
  await clock.advance(1000)
  assert.is(clock.pending, 0)
})

test.run()
