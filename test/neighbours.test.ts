/** Neighbours: one link for each NodeId, however many are opened; half-open ones die; goodbyes are heard. */

import { utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import {
  LINK_HANDSHAKE_MS,
  MAX_FRAME_BYTES,
  MAX_LINK_HANDSHAKES,
  MAX_NEIGHBOURS,
  PING_AFTER_MS,
  SILENT_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import { FRAME } from '../src/messages.ts'
import { createNeighbours, type Neighbours } from '../src/neighbours.ts'
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

test('holds so many links and refuses the next by name; a second of a neighbour is none more', async () => {
  const clock = manualClock()
  const hub = nodeOf(0, clock)
  const others = Array.from({ length: MAX_NEIGHBOURS }, (_, i) => nodeOf(100 + i, clock))
  for (const other of others) {
    open(other, hub)
    await settle()
  }
  await clock.advance(100)
  assert.is(hub.neighbours.ids.length, MAX_NEIGHBOURS)
  const late = nodeOf(99, clock)
  open(late, hub)
  open(others[0] as Node, hub)
  await clock.advance(100)
  assert.not(hub.neighbours.has(late.id))
  assert.is(late.told.at(-1), `down ${hub.id} MESH_FULL`)
  assert.ok(hub.neighbours.has((others[0] as Node).id))
})

test('has so many handshakes in hand at once, and takes more when they are over', async () => {
  const [a, b] = world(1, 2)
  const silent = Array.from({ length: MAX_LINK_HANDSHAKES }, () => linkPair())
  const info = { initiator: false, remoteAddress: '192.0.2.1' }
  for (const [near] of silent) void a.neighbours.add(near, info)
  const [near] = linkPair()
  void a.neighbours.add(near, info)
  assert.is(await near.closed, 'TOO_MANY')
  await a.clock.advance(LINK_HANDSHAKE_MS)
  assert.equal(
    await Promise.all(silent.map(([end]) => end.closed)),
    silent.map(() => 'TIMEOUT'),
  )
  await join(b, a)
  assert.equal(a.neighbours.ids, [b.id])
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
  take(link: Link, initiator: boolean): void
}

function world(...numbers: readonly number[]): [Node, Node, Node] {
  const clock = manualClock()
  return numbers.map((number) => nodeOf(number, clock)) as [Node, Node, Node]
}

function nodeOf(number: number, clock: ManualClock): Node {
  const identity = identityOf(number)
  const links = new Set<Link>()
  const told: string[] = []
  const heard: string[] = []
  const neighbours = createNeighbours({
    identity,
    networkId: NETWORK,
    clock,
    log: silentLog,
    serve: () => (method, body) => Uint8Array.of(method, ...body),
    onGossip: (packet, from) => {
      if (node.refuseGossip) throw new SignalMeshError('BAD_SIGNATURE', 'Not signed')
      heard.push(`gossip ${from} ${packet}`)
    },
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
    take: (link, initiator) => {
      links.add(link)
      void link.closed.then(() => links.delete(link))
      void neighbours.add(link, { initiator, remoteAddress: '127.0.0.1' })
    },
  }
  return node
}

/** Opens a link from one node to another, and waits until it is secured. */
async function join(from: Node, to: Node): Promise<readonly [TestLink, TestLink]> {
  const ends = open(from, to)
  await settle()
  return ends
}

function open(from: Node, to: Node): readonly [TestLink, TestLink] {
  const [left, right] = linkPair()
  const ends = [freezable(left), freezable(right)] as const
  from.take(ends[0], true)
  to.take(ends[1], false)
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
