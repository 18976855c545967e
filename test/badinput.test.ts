/** Bad input: every public method and option, given what it cannot work with, says so at the call. */

import type { Connection, Edge, Incoming, JoinOptions, Room } from '../src/edge/mod.ts'
import { joinMesh } from '../src/edge/mod.ts'
import { type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { MAX_METADATA_BYTES } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import { assertConnected, doorbell, type Met, meet, ROOM } from './support/meeting.ts'
import { during } from './support/mesh.ts'

const test = suite('bad input', { timeoutMs: 20_000 })

/** The longest string that there can be here: a gigabyte, were it read as the two-byte letters it holds. */
const HUGE = '字'.repeat(2 ** 29 - 24)
const LONE = 'half \ud83d of a pair'
const URLS = ['http://127.0.0.1:1']
const JUNK: readonly unknown[] = [null, 5, 10n, Number.NaN, true, Symbol('s'), [], {}, () => {}]

/** Names that no object here has an event of, some of them of other objects. */
const NO_EVENTS: readonly unknown[] = [
  ...JUNK,
  '',
  'Message',
  'peers',
  'toString',
  '__proto__',
  HUGE,
]

/** What is called, by its name, with what it is given. */
type Row = readonly [what: string, call: () => unknown, code?: ErrorCode]
type Loose = Record<string, (...args: unknown[]) => unknown>

const rows = (what: string, all: readonly unknown[], call: (one: unknown) => unknown): Row[] =>
  all.map((one) => [`${what} ${shown(one)}`, () => call(one)])

const without = (...types: string[]): unknown[] =>
  JUNK.filter((one) => !types.includes(kindOf(one)))

function kindOf(one: unknown): string {
  if (one === null) return 'null'
  return Array.isArray(one) ? 'list' : typeof one
}

function shown(one: unknown): string {
  if (typeof one === 'string') return `a text of ${one.length}`
  return kindOf(one) === 'object' ? `{${Object.keys(one as object)}}` : String(kindOf(one))
}

/** Each row fails by its code, with a sentence that is no longer than one. */
async function assertRefused(all: readonly Row[]): Promise<void> {
  for (const [what, call, code = 'BAD_ARGUMENT'] of all) {
    let caught: unknown = 'nothing'
    try {
      await call()
    } catch (error) {
      caught = error
    }
    assert.instance(caught, SignalMeshError, `${what}: ${caught}`)
    const { code: its, message } = caught as SignalMeshError
    assert.is(its, code, `${what}: ${message.slice(0, 200)}`)
    assert.ok(message.length < 300, `${what}: ${message.length} letters`)
  }
}

const join = (options: unknown) => () => joinMesh(options as JoinOptions)

test('joinMesh', async () => {
  const option = (name: string, all: readonly unknown[]): Row[] =>
    rows(name, all, (one) => join({ urls: URLS, [name]: one })())
  await assertRefused([
    ...rows('options', without('object', 'list', 'function'), (one) => join(one)()),
    ...rows('urls', [...without('list'), 'http://x', [], [null], [HUGE]], (one) =>
      join({ urls: one })(),
    ),
    ...rows('url', ['ftp://x', 'no url', `http://${'x'.repeat(5000)}`, LONE], (one) =>
      join({ urls: [one] })(),
    ),
    ...option('network', [...without('undefined'), '', LONE, HUGE]),
    ...option('identity', [...JUNK, 'seed', new Uint8Array(31), new Uint8Array(2 ** 20)]),
    ...option('topics', [
      ...without('list'),
      [''],
      [5],
      [LONE],
      [HUGE],
      [{ name: 'x', secret: '' }],
    ]),
    ['10,000 topics', join({ urls: URLS, topics: Array(10_000).fill('x') }), 'TOO_MANY'],
    ...option('iceServers', [
      ...without('list', 'function'),
      [null],
      [{}],
      [{ urls: 5 }],
      [{ urls: [] }],
      'stun:x',
    ]),
    ...option('iceTransportPolicy', [...JUNK, 'none', HUGE]),
    ...option('wrtc', [...JUNK, 'wrtc', { default: {} }, { RTCPeerConnection: class {} }]),
    ...option('onIncoming', [...without('function'), 'accept']),
    ...option('signal', [...JUNK, 'stop']),
  ])
})

const TOPICS: readonly unknown[] = [
  ...JUNK,
  undefined,
  '',
  LONE,
  HUGE,
  { name: 'x', secret: '' },
  { name: 'x', secret: 5 },
  { name: 'x', secret: LONE },
  { name: 'x', secret: HUGE },
  { name: HUGE, secret: 'x' },
  { name: 'x', secret: new Uint8Array(2 ** 24) },
]

test('an edge', async () => {
  const met = await meet()
  const { mesh, a, b } = met
  const edge = a as unknown as Loose
  const next = async (topic: unknown, options?: unknown): Promise<unknown> => {
    const watching = edge['watch']?.(topic, options) as AsyncIterable<unknown>
    return watching[Symbol.asyncIterator]().next()
  }
  const withOption = (name: string, all: readonly unknown[]): Row[] => [
    ...rows(`advertise ${name}`, all, (one) => edge['advertise']?.('x', { [name]: one })),
    ...rows(`join ${name}`, all, (one) => edge['join']?.('x', { [name]: one })),
  ]
  const connect = (name: string, all: readonly unknown[]): Row[] =>
    rows(`connect ${name}`, all, (one) => edge['connect']?.(b.id, { ...ROOM, [name]: one }))
  const notStreams = [...JUNK, 'camera', { getTracks: 5 }]
  const notLimits = [...without('number'), 0, -1, 1.5, '3']
  await assertRefused([
    ...['advertise', 'unadvertise', 'discover', 'join'].flatMap((name) =>
      rows(name, TOPICS, (topic) => edge[name]?.(topic)),
    ),
    ...rows('watch', TOPICS, (topic) => next(topic)),
    ...['advertise', 'discover', 'join'].flatMap((name) =>
      rows(`${name} options`, [null, 5, 'x'], (options) => edge[name]?.('x', options)),
    ),
    ...rows('watch options', [null, 5, 'x', ...JUNK.map((signal) => ({ signal }))], (options) =>
      next('x', options),
    ),
    ...withOption('info', [...JUNK, 'text', HUGE]),
    ...withOption('signal', [...JUNK, 'stop']),
    ...rows('join maxPeers', [...without('number'), 0, -1, 1.5, 1e9, '3'], (one) =>
      edge['join']?.('x', { maxPeers: one }),
    ),
    ...rows('join stream', notStreams, (one) => edge['join']?.('x', { stream: one })),
    ...rows('discover limit', notLimits, (one) => edge['discover']?.('x', { limit: one })),
    ...rows('discover signal', JUNK, (one) => edge['discover']?.('x', { signal: one })),
    ...rows('connect to', [...JUNK, undefined, '', LONE, HUGE, b.id.slice(1), `${b.id}0`], (one) =>
      edge['connect']?.(one, ROOM),
    ),
    ...rows('connect options', [undefined, null, 5, 'room'], (one) => edge['connect']?.(b.id, one)),
    ...connect('topic', TOPICS),
    ...connect('metadata', [...JUNK, 'text', HUGE]),
    ...connect('timeoutMs', [
      ...without('number'),
      Number.NaN,
      0,
      -1,
      '5',
      2 ** 31,
      Number.POSITIVE_INFINITY,
    ]),
    ...connect('stream', notStreams),
    ...connect('signal', [...JUNK, 'stop']),
    ['itself', () => a.connect(a.id, ROOM), 'SELF_CONNECT'],
    ['info', () => a.advertise('x', { info: new Uint8Array(257) }), 'TOO_LARGE'],
    [
      'metadata',
      () => a.connect(b.id, { ...ROOM, metadata: new Uint8Array(MAX_METADATA_BYTES + 1) }),
      'TOO_LARGE',
    ],
    ...rows('on', without('function'), (fn) => edge['on']?.('home', fn)),
    ...rows('on', NO_EVENTS, (name) => edge['on']?.(name, () => {})),
  ])
  assert.is((await during(a.discover('room'), mesh.clock)).total, 1)
  await during(a.connect(b.id, ROOM), mesh.clock)
  await assertConnected(met)
  await mesh.close()
})

test('10,000 topics: as many as there may be are taken, and each other one is refused', async () => {
  const { mesh, a } = await meet()
  let refused = 0
  const all = Array.from({ length: 10_000 }, (_, i) =>
    a.advertise(`topic ${i}`).catch((error: SignalMeshError) => {
      assert.is(error.code, 'TOO_MANY')
      refused += 1
    }),
  )
  await during(Promise.all(all), mesh.clock)
  assert.is(refused, 10_000 - 63)
  assert.is((await during(a.discover('room'), mesh.clock)).total, 1)
  await mesh.close()
})

test('a connection, a call and a room', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const { mesh } = met
  const calling = met.a.connect(met.b.id, ROOM)
  await mesh.clock.advance(500)
  const call = bell.calls[0] as Incoming
  const rung = call as unknown as Loose
  await assertRefused([
    ...rows('accept', without('undefined', 'object', 'list', 'function'), (one) =>
      rung['accept']?.(one),
    ),
    ...rows('accept stream', [...JUNK, 'camera'], (stream) => rung['accept']?.({ stream })),
    ...rows('refuse', JUNK, (reason) => rung['refuse']?.(reason)),
  ])
  const accepting = call.accept()
  const connection = await during(calling, mesh.clock)
  await accepting
  const loose = connection as unknown as Loose
  await assertRefused([
    ...rows('send', [...JUNK, undefined, LONE, new ArrayBuffer(8)], (data) =>
      loose['send']?.(data),
    ),
    ['send', () => connection.send(HUGE), 'TOO_LARGE'],
    ...rows('addStream', [...JUNK, undefined, 'camera'], (one) => loose['addStream']?.(one)),
    ...rows('removeStream', [...JUNK, undefined, 'camera'], (one) => loose['removeStream']?.(one)),
    ...rows('close', JUNK, (reason) => loose['close']?.(reason)),
    ...rows('on', without('function'), (fn) => loose['on']?.('message', fn)),
    ...rows('on', NO_EVENTS, (name) => loose['on']?.(name, () => {})),
  ])
  await assertConnected(met)
  const room = await during(met.a.join('hall'), mesh.clock)
  const inRoom = room as unknown as Loose
  await assertRefused([
    ...rows('room send', [...JUNK, undefined, LONE], (data) => inRoom['send']?.(data)),
    ['room send', () => room.send(HUGE), 'TOO_LARGE'],
    ...rows('room on', without('function'), (fn) => inRoom['on']?.('message', fn)),
    ...rows('room on', NO_EVENTS, (name) => inRoom['on']?.(name, () => {})),
    ['the room again', () => met.a.join('hall')],
  ])
  await mesh.close()
})

test('a reason of any length is cut, and the peer hears its beginning', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = met.a.connect(met.b.id, ROOM).catch((error: SignalMeshError) => error.message)
  await met.mesh.clock.advance(500)
  bell.calls[0]!.refuse(HUGE)
  const message = (await during(calling, met.mesh.clock)) as string
  assert.match(message, /字{100}/)
  assert.ok(message.length < 600)
  await met.mesh.close()
})

test('whatever is used after it was closed says CLOSED, or does nothing', async () => {
  const met = await meet()
  const room = await during(met.a.join('hall'), met.mesh.clock)
  const connection = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.a.close()
  const { a, b } = met
  const all = [...afterEnd(connection, room), ...afterClose(a, b)]
  await assertRefused(all.map(([what, call]): Row => [what, call, 'CLOSED']))
  connection.removeStream({ getTracks: () => [] } as unknown as MediaStream)
  await Promise.all([connection.close(), room.leave(), a.close()])
  a.on('home', () => assert.unreachable())()
  await b.close()
  await met.mesh.close()
})

const afterEnd = (connection: Connection, room: Room): Row[] => [
  ['send', () => connection.send('x')],
  ['addStream', () => connection.addStream({ getTracks: () => [] } as unknown as MediaStream)],
  ['room send', () => room.send('x')],
]

const afterClose = (a: Edge, b: Met['b']): Row[] => [
  ['advertise', () => a.advertise('x')],
  ['discover', () => a.discover('x')],
  ['watch', () => a.watch('x')[Symbol.asyncIterator]().next()],
  ['join', () => a.join('x')],
  ['connect', () => a.connect(b.id, ROOM)],
]

test.run()
