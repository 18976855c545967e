/** Neighbours: one link for each NodeId, however many are opened; half-open ones die; goodbyes are heard. */

import { createAdmission, type Members, NO_MEMBERS } from '../src/admission.ts'
import { utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  ANSWER_AGAIN_MS,
  LINK_HANDSHAKE_MS,
  MAX_BUFFERED_BYTES,
  MAX_FRAME_BYTES,
  MAX_INCOMING,
  MAX_INCOMING_HANDSHAKES,
  MAX_LINK_HANDSHAKES,
  MAX_LINKS_PER_GROUP,
  MAX_NEIGHBOURS,
  MAX_REQUESTS_IN_FLIGHT,
  NODE_REQUESTS_BURST,
  PING_AFTER_MS,
  PULL_BYTES_BURST,
  PULL_BYTES_PER_SECOND,
  REQUEST_TIMEOUT_MS,
  RESERVED_SHARE,
  SILENT_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import { FRAME } from '../src/messages.ts'
import { createNeighbours, type Neighbours } from '../src/neighbours.ts'
import { createTurns } from '../src/turns.ts'
import { rejection } from './fixtures/errors.ts'
import { identityOf, NETWORK } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('neighbours')
const BYE = new SignalMeshError('GOING_AWAY', 'This node is stopping')

test('links two nodes, carries signals, gossip and requests, and takes no mere close for a goodbye', async () => {
  const [a, b] = world(1, 2)
  const [left] = await join(a, b)
  assert.equal([a.told, b.told], [[`up ${b.id}`], [`up ${a.id}`]])
  assert.ok(a.neighbours.has(b.id))
  a.neighbours.send(b.id, Uint8Array.of(FRAME.signal, 1))
  a.neighbours.send(b.id, Uint8Array.of(FRAME.gossip, 2))
  assert.equal(await a.neighbours.request(b.id, 7, utf8('x')), Uint8Array.of(7, 120))
  assert.equal(b.heard, [`signal ${a.id} 5,1`, `gossip ${a.id} 2`])
  left.close('GOING_AWAY')
  await settle()
  assert.equal([a.told.at(-1), b.told.at(-1)], [`down ${b.id}`, `down ${a.id}`])
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[], []])
  assert.not(a.neighbours.send(b.id, Uint8Array.of(FRAME.signal)))
  assert.is(await rejection(a.neighbours.request(b.id, 7, utf8('x'))), 'CLOSED')
})

for (const [name, order] of Object.entries({
  'at once': 'both',
  'one after the other': 'first',
  'one after the other, the other way round': 'second',
})) {
  test(`settles on one link when both nodes dial ${name}`, async () => {
    const [a, b] = world(1, 2)
    if (order === 'both') {
      open(a, b)
      open(b, a)
    } else {
      await join(order === 'first' ? a : b, order === 'first' ? b : a)
      open(order === 'first' ? b : a, order === 'first' ? a : b)
    }
    await a.clock.advance(100)
    assert.equal([a.neighbours.ids, b.neighbours.ids], [[b.id], [a.id]])
    assert.is(a.open() + b.open(), 2, 'one link, with two ends')
    assert.equal([a.told, b.told], [[`up ${b.id}`], [`up ${a.id}`]], 'nobody saw the other leave')
    assert.equal(await a.neighbours.request(b.id, 1, utf8('')), Uint8Array.of(1))
    assert.equal(await b.neighbours.request(a.id, 1, utf8('')), Uint8Array.of(1))
  })
}

test('takes a second link from a node that has lost the first without saying so', async () => {
  const [a, b] = world(1, 2)
  const [, right] = await join(a, b)
  right.freeze()
  // A new process of `a`, with the same identity, dials again.
  const again = nodeOf(1, a.clock)
  open(again, b)
  await a.clock.advance(100)
  assert.equal(b.neighbours.ids, [a.id])
  assert.equal(await b.neighbours.request(a.id, 3, utf8('')), Uint8Array.of(3))
})

test('lets a half-open link die of silence, and not before its time', async () => {
  const [a, b] = world(1, 2)
  const [left, right] = await join(a, b)
  left.freeze()
  right.freeze()
  await a.clock.advance(SILENT_AFTER_MS - PING_AFTER_MS)
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[b.id], [a.id]])
  await a.clock.advance(2 * PING_AFTER_MS)
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[], []])
  assert.equal([a.told.at(-1), b.told.at(-1)], [`down ${b.id}`, `down ${a.id}`])
  assert.is(a.clock.pending, 0)
})

test('keeps an idle link open for as long as both answer', async () => {
  const [a, b] = world(1, 2)
  await join(a, b)
  await a.clock.advance(20 * SILENT_AFTER_MS)
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[b.id], [a.id]])
})

test('says goodbye to all, who hear why, and takes no link after it', async () => {
  const [a, b, c] = world(1, 2, 3)
  await join(a, b)
  await join(c, a)
  a.neighbours.close(BYE)
  await settle()
  assert.is(b.told.at(-1), `down ${a.id} GOING_AWAY`)
  assert.is(c.told.at(-1), `down ${a.id} GOING_AWAY`)
  open(b, a)
  await a.clock.advance(100)
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[], []])
  assert.is(a.open(), 0)
})

test('ends the link with a neighbour that sends what is no frame', async () => {
  for (const frame of [[], [99], [FRAME.hello, 1], [FRAME.rpc, 1], [FRAME.bye]]) {
    const [a, b] = world(1, 2)
    await join(a, b)
    a.neighbours.send(b.id, Uint8Array.from(frame))
    await settle()
    assert.equal([a.neighbours.ids, b.neighbours.ids], [[], []], `${frame}`)
  }
})

test('ends the link with a neighbour whose gossip is refused', async () => {
  const [a, b] = world(1, 2)
  await join(a, b)
  b.refuseGossip = true
  a.neighbours.send(b.id, Uint8Array.of(FRAME.gossip, 0))
  await settle()
  assert.equal([a.neighbours.ids, b.neighbours.ids], [[], []])
  assert.is(a.told.at(-1), `down ${b.id} BAD_SIGNATURE`)
})

test('sends no frame over the bound, and none to a link that is full', async () => {
  const [a, b] = world(1, 2)
  const [left] = await join(a, b)
  const frame = new Uint8Array(MAX_FRAME_BYTES)
  frame[0] = FRAME.signal
  assert.ok(a.neighbours.send(b.id, frame))
  assert.not(a.neighbours.send(b.id, new Uint8Array(MAX_FRAME_BYTES + 1)))
  left.bufferedBytes = 1024 * 1024
  assert.ok(a.neighbours.send(b.id, Uint8Array.of(FRAME.signal)))
  left.bufferedBytes += 1
  assert.not(a.neighbours.send(b.id, Uint8Array.of(FRAME.signal)))
})

test('what a neighbour asks waits while its link is full, and is answered when there is room', async () => {
  const [a, b] = world(1, 2)
  const [, right] = await join(a, b)
  right.bufferedBytes = MAX_BUFFERED_BYTES + 1
  const answers: Uint8Array[] = []
  for (let i = 0; i < 3; i++) {
    void a.neighbours.request(b.id, i, utf8('x')).then((answer) => answers.push(answer))
  }
  await a.clock.advance(REQUEST_TIMEOUT_MS - 2 * ANSWER_AGAIN_MS)
  assert.equal(answers, [])
  right.bufferedBytes = MAX_BUFFERED_BYTES
  await a.clock.advance(ANSWER_AGAIN_MS)
  assert.equal(
    answers,
    [0, 1, 2].map((method) => Uint8Array.of(method, 120)),
  )
})

test('a neighbour that asks and does not read has little waiting for it, and its link ends', async () => {
  const [a, b] = world(1, 2)
  const [left, right] = await join(a, b)
  let answers = 0
  const { send } = right
  right.send = (frame) => {
    answers += 1
    send(frame)
  }
  right.bufferedBytes = MAX_BUFFERED_BYTES + 1
  let reason = ''
  void left.closed.then((why) => (reason = why))
  for (let i = 0; i < MAX_REQUESTS_IN_FLIGHT; i++) {
    void a.neighbours.request(b.id, 1, utf8('x')).catch(() => undefined)
  }
  await a.clock.advance(REQUEST_TIMEOUT_MS - 1)
  assert.equal([answers, reason], [0, ''])
  await a.clock.advance(ANSWER_AGAIN_MS + 1)
  assert.equal([b.neighbours.ids, reason], [[], 'RATE_LIMITED'])
})

test('so many requests of a neighbour are answered at once, and the next as its rate allows', async () => {
  const [a, b, c] = world(1, 2, 3)
  await join(a, b)
  await join(c, b)
  let answered = 0
  for (let i = 0; i < NODE_REQUESTS_BURST + 10; i++) {
    void a.neighbours.request(b.id, 1, utf8('x')).then(() => (answered += 1))
  }
  await settle(2000)
  assert.is(answered, NODE_REQUESTS_BURST)
  assert.equal(await c.neighbours.request(b.id, 1, utf8('')), Uint8Array.of(1), 'nobody else waits')
  for (let i = 0; i < 20; i++) await a.clock.advance(1)
  assert.is(answered, NODE_REQUESTS_BURST + 10)
})

test('a neighbour that has had its bytes waits for the next, also over another link', async () => {
  const clock = manualClock()
  const turns = createTurns(clock)
  const link = { bufferedBytes: 0, close: () => undefined }
  const page = new Uint8Array(PULL_BYTES_BURST + PULL_BYTES_PER_SECOND)
  const first = turns('a', link, () => page)
  await first(1, utf8(''))
  const [again, other] = [turns('a', { ...link }, () => page), turns('b', link, () => page)]
  let answered = false
  void Promise.resolve(again(1, utf8(''))).then(() => {
    answered = true
  })
  await other(1, utf8(''))
  await clock.advance(999)
  assert.not(answered)
  await clock.advance(1)
  assert.ok(answered)
})

test('holds so many links and refuses the next by name; a second of a neighbour is none more', async () => {
  const clock = manualClock()
  const hub = nodeOf(0, clock)
  const others = Array.from({ length: MAX_NEIGHBOURS }, (_, i) => nodeOf(100 + i, clock))
  for (const other of others) await join(hub, other)
  assert.is(hub.neighbours.ids.length, MAX_NEIGHBOURS)
  const late = nodeOf(99, clock)
  open(hub, late)
  open(hub, others[0] as Node)
  await clock.advance(100)
  assert.not(hub.neighbours.has(late.id))
  assert.is(late.told.at(-1), `down ${hub.id} MESH_FULL`)
  assert.ok(hub.neighbours.has((others[0] as Node).id))
})

test('strangers who dial take half of the places and no more, and who is there stays', async () => {
  const clock = manualClock()
  const hub = nodeOf(0, clock)
  const strangers = Array.from({ length: MAX_INCOMING }, (_, i) => nodeOf(100 + i, clock))
  for (const stranger of strangers) await join(stranger, hub)
  const [late, friend] = [nodeOf(98, clock), nodeOf(99, clock)]
  await join(late, hub)
  assert.not(hub.neighbours.has(late.id))
  assert.is(late.told.at(-1), `down ${hub.id} MESH_FULL`)
  await join(hub, friend)
  assert.ok(hub.neighbours.has(friend.id), 'what it dials itself has the rest')
  assert.ok(strangers.every(({ id }) => hub.neighbours.has(id)))
})

test('a listed node finds a place when strangers have taken what they can', async () => {
  const clock = manualClock()
  const listed = nodeOf(99, clock)
  const hub = nodeOf(0, clock, { listed: new Set([listed.id]), only: false })
  for (let i = 0; i < MAX_INCOMING; i++) await join(nodeOf(100 + i, clock), hub)
  for (let i = 0; i < MAX_INCOMING; i++) await join(hub, nodeOf(200 + i, clock))
  assert.is(hub.neighbours.ids.length, MAX_NEIGHBOURS * (1 - RESERVED_SHARE))
  await join(listed, hub)
  assert.ok(hub.neighbours.has(listed.id))
})

for (const dials of ['incoming', 'outgoing']) {
  test(`few links of one address group are taken, ${dials}, and none of a local one is too many`, async () => {
    const clock = manualClock()
    const hub = nodeOf(0, clock)
    const linked = async (number: number, address: string): Promise<boolean> => {
      const stranger = nodeOf(number, clock)
      if (dials === 'incoming') await join(stranger, hub, address)
      else await join(hub, stranger, address)
      return hub.neighbours.has(stranger.id)
    }
    for (let i = 0; i < MAX_LINKS_PER_GROUP; i++) {
      assert.ok(await linked(100 + i, `198.51.100.${i}`))
    }
    assert.not(await linked(200, '198.51.100.77'))
    assert.not(await linked(201, '::ffff:198.51.100.78'))
    assert.ok(await linked(202, '198.51.101.1'), 'another group')
    for (let i = 0; i <= MAX_LINKS_PER_GROUP; i++) assert.ok(await linked(300 + i, '192.168.0.9'))
  })
}

test('a private mesh refuses who is not listed, by name, whoever dials; and takes the same when listed', async () => {
  for (const isListed of [false, true]) {
    for (const dials of ['stranger', 'member']) {
      const clock = manualClock()
      const stranger = nodeOf(2, clock)
      const listed = new Set(isListed ? [stranger.id] : [])
      const member = nodeOf(1, clock, { listed, only: true })
      await (dials === 'stranger' ? join(stranger, member) : join(member, stranger))
      assert.is(member.neighbours.has(stranger.id), isListed, dials)
      assert.is(member.told.length, isListed ? 1 : 0, 'it never counted as a neighbour')
      if (!isListed) assert.is(stranger.told.at(-1), `down ${member.id} REFUSED`)
    }
  }
})

test('has so many handshakes in hand at once, leaves room for its own, and takes more when they are over', async () => {
  const [a, b, c] = world(1, 2, 3)
  const info = { initiator: false, remoteAddress: '127.0.0.1' }
  const silent = Array.from({ length: MAX_INCOMING_HANDSHAKES }, () => linkPair())
  for (const [near] of silent) void a.neighbours.add(near, info)
  const [near] = linkPair()
  void a.neighbours.add(near, info)
  assert.is(await near.closed, 'TOO_MANY')
  await join(a, c)
  assert.equal(a.neighbours.ids, [c.id])
  await a.clock.advance(LINK_HANDSHAKE_MS)
  assert.equal(
    await Promise.all(silent.map(([end]) => end.closed)),
    silent.map(() => 'TIMEOUT'),
  )
  await join(b, a)
  assert.equal(a.neighbours.ids, [c.id, b.id])
})

test('dials so many at once and no more', async () => {
  const [a] = world(1)
  const info = { initiator: true, remoteAddress: '127.0.0.1' }
  for (let i = 0; i < MAX_LINK_HANDSHAKES; i++) void a.neighbours.add(linkPair()[0], info)
  const [near] = linkPair()
  void a.neighbours.add(near, info)
  assert.is(await near.closed, 'TOO_MANY')
  await a.clock.advance(LINK_HANDSHAKE_MS)
})

test('one address group has few handshakes in hand at once', async () => {
  const [a] = world(1)
  const closed: string[] = []
  const silent = (address: string): void => {
    const [near] = linkPair()
    void near.closed.then((reason) => closed.push(`${address} ${reason}`))
    void a.neighbours.add(near, { initiator: false, remoteAddress: address })
  }
  for (let i = 0; i < MAX_LINKS_PER_GROUP; i++) silent(`2001:db8:7:${i}::1`)
  silent('2001:db8:7:ffff::1')
  silent('2001:db8:8::1')
  await settle()
  assert.equal(closed, ['2001:db8:7:ffff::1 TOO_MANY'])
  await a.clock.advance(LINK_HANDSHAKE_MS)
})

test.run()

interface TestLink extends Link {
  /** From now on nothing goes out; the other end does not learn of it. */
  freeze(): void
  bufferedBytes: number
}

interface Node {
  readonly id: string
  readonly clock: ManualClock
  readonly neighbours: Neighbours
  /** Ups and downs. */
  readonly told: string[]
  /** Signals and gossip. */
  readonly heard: string[]
  refuseGossip: boolean
  /** Links of this node that are open. */
  open(): number
  take(link: Link, initiator: boolean, remoteAddress: string): void
}

function world(...numbers: readonly number[]): [Node, Node, Node] {
  const clock = manualClock()
  return numbers.map((number) => nodeOf(number, clock)) as [Node, Node, Node]
}

function nodeOf(number: number, clock: ManualClock, members: Members = NO_MEMBERS): Node {
  const identity = identityOf(number)
  const links = new Set<Link>()
  const told: string[] = []
  const heard: string[] = []
  const neighbours = createNeighbours({
    identity,
    networkId: NETWORK,
    clock,
    log: silentLog,
    admission: createAdmission({ self: identity.id, members, clock, log: silentLog }),
    serve: () => (method, body) => Uint8Array.of(method, ...body),
    onGossip: (packet, from) => {
      if (node.refuseGossip) throw new SignalMeshError('BAD_SIGNATURE', 'Not signed')
      heard.push(`gossip ${from} ${packet}`)
    },
    onTree: (frame, from) => heard.push(`tree ${from} ${frame}`),
    onSignal: (frame, from) => heard.push(`signal ${from} ${frame}`),
    onUp: (id) => told.push(`up ${id}`),
    onDown: (id, goodbye) => told.push(`down ${id} ${goodbye ?? ''}`.trimEnd()),
  })
  const node: Node = {
    id: identity.id,
    clock,
    neighbours,
    told,
    heard,
    refuseGossip: false,
    open: () => links.size,
    take: (link, initiator, remoteAddress) => {
      links.add(link)
      void link.closed.then(() => links.delete(link))
      void neighbours.add(link, { initiator, remoteAddress })
    },
  }
  return node
}

/** Opens a link from one node to another, and waits until it is secured. */
async function join(
  from: Node,
  to: Node,
  address?: string,
): Promise<readonly [TestLink, TestLink]> {
  const ends = open(from, to, address)
  await settle()
  return ends
}

function open(from: Node, to: Node, address = '127.0.0.1'): readonly [TestLink, TestLink] {
  const [left, right] = linkPair()
  const ends = [freezable(left), freezable(right)] as const
  from.take(ends[0], true, address)
  to.take(ends[1], false, address)
  return ends
}

/** A link that can go dead as a cable does: frames vanish, and a close is seen on this side alone. */
function freezable(inner: Link): TestLink {
  let frozen = false
  let resolveClosed: (reason: string) => void = () => {}
  const closed = new Promise<string>((resolve) => {
    resolveClosed = resolve
  })
  void inner.closed.then((reason) => frozen || resolveClosed(reason))
  return {
    bufferedBytes: 0,
    closed,
    send: (frame) => {
      if (!frozen) inner.send(frame)
    },
    subscribe: (onFrame) => inner.subscribe(onFrame),
    close: (reason = 'closed') => {
      if (frozen) resolveClosed(reason)
      else inner.close(reason)
    },
    freeze: () => {
      frozen = true
    },
  }
}
