/** Forwarding between homes: moves, via nodes, and what each signal that goes no further comes to. */

import { SignalMeshError } from '../src/errors.ts'
import {
  BUSY_RETRY_MS,
  DIAL_TIMEOUT_MS,
  HELD_MS,
  MAX_SIGNALS_PER_DIAL,
  MAX_SKEW_MS,
  RESEND_AFTER_MS,
  VIA_OPENS_BURST,
  VIA_SIGNALS_BURST,
} from '../src/limits.ts'
import { CLASS, classOf, hopsLeftOf, readControl } from '../src/signal.ts'
import { forgedPresence, HOUR_MS, identityOf, presenceOf, START_MS } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import {
  edgeAt,
  type Home,
  type Homes,
  homesOf,
  keyOf,
  open,
  stamped,
  type TestEdge,
  within,
  word,
} from './support/homes.ts'

const test = suite('forward')

type Four = [Home, Home, Home, Home]

// --- moves ---

/** An edge at the first home; one that has moved from the second to the third, which the first missed. */
function moved(): { homes: Homes; a: TestEdge; b: TestEdge; at: Four } {
  const homes = homesOf(4)
  const at = homes.all as Four
  homes.link(at[0], at[1])
  homes.link(at[0], at[2])
  const a = edgeAt(homes, at[0], 1)
  const b = edgeAt(homes, at[2], 2, { seq: START_MS + 5 })
  homes.tell(presenceOf(b.identity, at[1].id), at[0])
  homes.tell(b.presence, at[1])
  homes.tell(a.presence, at[1], at[2])
  return { homes, a, b, at }
}

test('the sender’s home follows a target that has moved by itself, with the same bytes', () => {
  const { a, b, at } = moved()
  const frame = within(a.identity, b.id, { counter: 7 })
  a.send(frame)
  assert.is(b.signals.length, 1)
  assert.equal(b.signals[0]?.subarray(144), frame.subarray(144))
  assert.equal(a.words, [], 'its edge hears nothing of it')
  a.send(within(a.identity, b.id))
  assert.is(at[1].heard.length, 1, 'the next goes straight to the new home')
  assert.is(b.signals.length, 2)
})

test('a home without the target answers MOVED with the presence it knows, and passes nothing on', () => {
  const { homes, a, b, at } = moved()
  homes.link(at[1], at[2])
  homes.post(at[0], at[1], stamped(within(a.identity, b.id), at[0]))
  assert.is(b.inbox.length, 0)
  assert.is(at[2].heard.length, 0)
  const [answer] = at[0].heard
  const { code, evidence } = readControl(answer!.frame)
  assert.is(code, 'MOVED')
  assert.equal(evidence, b.presence.bytes)
})

test('two homes that each say that the other has the target end in one word to the edge', () => {
  const { homes, a, b, at } = moved()
  const claims = [at[2], at[1]].map(({ id }, i) =>
    presenceOf(b.identity, id, { seq: START_MS + 10 + i }),
  )
  for (const [i, liar] of [at[1], at[2]].entries()) {
    liar.act = (frame) => {
      if (classOf(frame) === CLASS.control) return
      const evidence = claims[i]!.bytes
      homes.post(liar, at[0], word(frame, new SignalMeshError('MOVED', '', { evidence }), liar))
    }
  }
  a.send(within(a.identity, b.id))
  assert.equal([at[1].heard.length, at[2].heard.length], [1, 1], 'each was asked once')
  assert.equal(a.words, ['MOVED'])
})

test('MOVED with a forged, foreign, older or unreadable presence leads nowhere but to the edge', () => {
  const { homes, a, b, at } = moved()
  const known = presenceOf(b.identity, at[1].id).seq
  const bad = [
    forgedPresence(b.identity, at[2].id, { seq: known + 9 }).bytes,
    presenceOf(identityOf(77), at[2].id, { seq: known + 9 }).bytes,
    presenceOf(b.identity, at[2].id, { seq: known - 1 }).bytes,
    presenceOf(b.identity, at[2].id, { seq: known + 86_400_000 }).bytes,
    Uint8Array.of(1, 2, 3),
    new Uint8Array(0),
  ]
  for (const evidence of bad) {
    at[1].act = (frame) => {
      homes.post(at[1], at[0], word(frame, new SignalMeshError('MOVED', '', { evidence }), at[1]))
    }
    a.send(within(a.identity, b.id))
  }
  assert.equal(a.words, Array(bad.length).fill('MOVED'))
  assert.is(at[2].heard.length, 0)
})

test('a home that does not know the sender yet is not tried again blindly', () => {
  const homes = homesOf(2)
  const [x, y] = homes.all as [Home, Home]
  homes.link(x, y)
  const a = edgeAt(homes, x, 1)
  const b = edgeAt(homes, y, 2)
  homes.tell(b.presence, x)
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['MOVED'])
  assert.is(y.heard.length, 1)
  homes.tell(a.presence, y)
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 1)
})

test('an opening with a presence older than the one known is not believed', () => {
  const homes = homesOf(3)
  const [x, y, z] = homes.all as [Home, Home, Home]
  homes.link(x, y)
  const b = edgeAt(homes, y, 2)
  const caller = identityOf(3)
  homes.tell(presenceOf(caller, z.id, { seq: START_MS + 1 }), y)
  const before = presenceOf(caller, x.id, { seq: START_MS })
  homes.post(x, y, stamped(open(caller, b.id, before), x))
  assert.is(b.inbox.length, 0)
  assert.is(readControl(x.heard[0]!.frame).code, 'MOVED')
})

test('a caller is remembered only until gossip has caught up, or its presence is over', async () => {
  const homes = homesOf(3)
  const [x, y] = homes.all as [Home, Home]
  homes.link(x, y)
  const b = edgeAt(homes, y, 2)
  homes.tell(b.presence, x)
  const callers = [edgeAt(homes, x, 3), edgeAt(homes, x, 4)] as const
  for (const caller of callers) caller.send(open(caller.identity, b.id, caller.presence))
  for (const { id } of callers) b.send(within(b.identity, id))
  assert.equal(
    callers.map(({ signals }) => signals.length),
    [1, 1],
  )
  homes.tell(callers[0].presence, y)
  b.send(within(b.identity, callers[0].id))
  y.directory.drop(x.id)
  const heard = x.heard.length
  b.send(within(b.identity, callers[0].id))
  assert.equal(b.words, ['PEER_UNKNOWN'])
  assert.is(x.heard.length, heard, 'nobody is asked')
  await homes.clock.advance(2 * HOUR_MS + MAX_SKEW_MS + 1)
  b.send(within(b.identity, callers[1].id))
  assert.is(x.heard.length, heard)
})

test('a word about a signal that is not held any more goes to the edge', async () => {
  const { homes, a, b, at } = moved()
  at[1].act = () => undefined
  const frame = within(a.identity, b.id)
  a.send(frame)
  await homes.clock.advance(HELD_MS + 1)
  const evidence = b.presence.bytes
  homes.post(at[1], at[0], word(frame, new SignalMeshError('MOVED', '', { evidence }), at[1]))
  assert.equal(a.words, ['MOVED'])
  assert.is(b.inbox.length, 0)
})

test('a node’s word counts only of the node that the signal went to', () => {
  const { homes, a, b, at } = moved()
  at[1].act = () => undefined
  const frame = within(a.identity, b.id)
  a.send(frame)
  const evidence = b.presence.bytes
  homes.post(at[2], at[0], word(frame, new SignalMeshError('MOVED', '', { evidence }), at[2]))
  homes.post(at[2], at[0], word(frame, new SignalMeshError('PEER_UNKNOWN', ''), at[1]))
  assert.is(b.inbox.length, 0, 'nothing was sent anew')
  assert.equal(a.words, [], 'and its edge is told nothing')
  const old = within(a.identity, b.id)
  homes.post(at[2], at[0], word(old, new SignalMeshError('PEER_UNKNOWN', ''), at[1]))
  assert.equal(a.words, [], 'nor in another’s name about what is not held')
})

// --- via nodes ---

/** Edges at the first two homes, which have no link but both name the third, and the fourth if told. */
function apart(vias = 1): { homes: Homes; a: TestEdge; b: TestEdge; at: Four } {
  const homes = homesOf(4)
  const at = homes.all as Four
  const named = [at[2], at[3]].slice(0, vias)
  for (const home of [at[0], at[1]]) {
    for (const via of named) {
      homes.link(home, via)
      home.vias.add(via.id)
    }
    homes.contact(home, { vias: named })
  }
  const a = edgeAt(homes, at[0], 1)
  const b = edgeAt(homes, at[1], 2)
  homes.tell(a.presence, ...at)
  homes.tell(b.presence, ...at)
  return { homes, a, b, at }
}

test('an offer, its answer and a word about one pass by a via node', () => {
  const { homes, a, b, at } = apart()
  a.send(open(a.identity, b.id, a.presence))
  b.send(within(b.identity, a.id))
  assert.equal([a.signals.length, b.signals.length], [1, 1])
  assert.equal(
    at[2].heard.map(({ frame }) => hopsLeftOf(frame)),
    [2, 2],
  )
  assert.is(hopsLeftOf(at[1].heard[0]!.frame), 1)
  at[1].inboxes.delete(b.id)
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['PEER_UNKNOWN'])
  homes.unlink(at[1], at[2])
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['PEER_UNKNOWN', 'HOME_UNREACHABLE'], 'the via node has no way either')
})

test('an opening passes by a via node and is answered though no gossip of the caller has arrived', () => {
  const { homes, b, at } = apart()
  const c = edgeAt(homes, at[0], 9)
  c.send(open(c.identity, b.id, c.presence))
  b.send(within(b.identity, c.id))
  assert.equal([c.signals.length, b.signals.length], [1, 1])
})

test('a node of a private mesh takes no signal of a home that is not listed, whoever passes it on', () => {
  for (const isListed of [true, false]) {
    const { a, b, at } = apart()
    if (!isListed) at[1].unlisted.add(at[0].id)
    a.send(open(a.identity, b.id, a.presence))
    assert.equal([b.signals.length, a.words], isListed ? [1, []] : [0, ['REFUSED']])
  }
})

test('a via node cannot speak for an edge at home with who names it', () => {
  const { homes, a, at } = apart()
  const c = edgeAt(homes, at[0], 9)
  homes.post(at[2], at[0], stamped(within(c.identity, a.id), at[0]))
  assert.equal(a.inbox, [])
  const sent = within(a.identity, c.id)
  homes.post(at[2], at[0], word(sent, new SignalMeshError('PEER_UNKNOWN', ''), at[0]))
  assert.equal(a.words, [], 'nor in this node’s own name')
  assert.is(readControl(at[2].heard.at(-1)!.frame).code, 'REFUSED')
})

test('a node takes nothing for other homes from a node that it does not name as a way', () => {
  const { homes, a, b, at } = apart()
  const stranger = at[3]
  homes.link(stranger, at[1])
  for (const frame of [within(a.identity, b.id), open(a.identity, b.id, a.presence)]) {
    homes.post(stranger, at[1], stamped(frame, at[0]))
  }
  assert.is(b.inbox.length, 0)
  const codes = stranger.heard.map(({ frame }) => readControl(frame).code)
  assert.equal(codes, Array(2).fill('HOME_UNREACHABLE'))
})

test('a via node cannot make up a sender that is at home elsewhere, nor one that it forges', () => {
  const { homes, a, b, at } = apart()
  const via = at[2]
  via.act = () => undefined
  const stranger = identityOf(8)
  // The home that it names is not the sender's, or the presence is not its own.
  const elsewhere = stamped(within(a.identity, b.id), at[3])
  const forged = open(stranger, b.id, forgedPresence(stranger, at[0].id))
  const foreign = open(stranger, b.id, a.presence)
  for (const frame of [elsewhere, stamped(forged, at[0]), stamped(foreign, at[0])]) {
    homes.post(via, at[1], frame)
  }
  assert.is(b.inbox.length, 0)
})

test('openings that a via node makes up are few, and cost their alleged sender none of its own', () => {
  const { homes, a, b, at } = apart()
  const via = at[2]
  via.act = () => undefined
  for (let i = 0; i < VIA_OPENS_BURST + 20; i++) {
    homes.post(via, at[1], stamped(open(a.identity, b.id, a.presence), at[0]))
  }
  const toldOff = via.heard.filter(({ frame }) => readControl(frame).code === 'RATE_LIMITED')
  assert.ok(toldOff.length >= 20, `${toldOff.length} were refused`)
  assert.ok(b.inbox.length <= VIA_OPENS_BURST)
  const before = b.inbox.length
  homes.link(at[0], at[1])
  a.send(open(a.identity, b.id, a.presence))
  assert.is(b.inbox.length, before + 1, 'by its own home’s link it gets through')
})

test('no signal passes more than one via node, whatever nodes believe', () => {
  const { homes, a, b, at } = apart(2)
  homes.link(at[2], at[3])
  at[2].vias.add(at[3].id)
  at[3].vias.add(at[2].id)
  // Each of the two takes the other for the target's home.
  homes.tell(presenceOf(b.identity, at[3].id, { seq: START_MS + 3 }), at[2])
  homes.tell(presenceOf(b.identity, at[2].id, { seq: START_MS + 4 }), at[3])
  a.send(within(a.identity, b.id))
  const passed = [at[2], at[3]].flatMap(({ heard }) =>
    heard.filter(({ frame }) => classOf(frame) !== CLASS.control),
  )
  // By one of them, and once more by itself by the other.
  assert.ok(passed.length <= 4, `it passed ${passed.length} links`)
  for (const { frame, from } of passed) {
    if (from !== at[0].id) assert.is(hopsLeftOf(frame), 1)
  }
  assert.is(a.words.length, 1)
})

test('a signal with more hops left than there may be, or none, is refused', () => {
  const { homes, a, b, at } = apart()
  for (const hops of [0, 3, 255]) {
    homes.post(at[0], at[2], stamped(within(a.identity, b.id), at[0], hops))
  }
  assert.equal(
    at[0].heard.map(({ frame }) => readControl(frame).code),
    Array(3).fill('REFUSED'),
  )
  assert.is(at[1].heard.length, 0)
})

test('a via node that drops signals is passed by when the edge sends again', async () => {
  const { homes, a, b, at } = apart(2)
  at[2].act = () => undefined
  const frame = within(a.identity, b.id)
  a.send(frame)
  assert.is(b.signals.length, 0)
  await homes.clock.advance(RESEND_AFTER_MS)
  a.send(frame)
  assert.is(b.signals.length, 1)
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 2, 'and from then on')
  assert.is(at[2].heard.length, 1)
})

test('a via node that has no way is passed by at once', () => {
  const { homes, a, b, at } = apart(2)
  homes.unlink(at[1], at[2])
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 1)
  assert.equal(a.words, [])
})

test('a via node passes on only so many signals for one node', () => {
  const { a, b } = apart()
  for (let i = 0; i < VIA_SIGNALS_BURST + 5; i++) a.send(within(a.identity, b.id))
  assert.is(b.signals.length, VIA_SIGNALS_BURST)
  assert.equal(a.words, Array(5).fill('RATE_LIMITED'))
})

test('what waited for a dial that failed goes by a via node, and the next waits for none', async () => {
  const { homes, a, b, at } = apart()
  at[0].canDial = true
  homes.contact(at[1], { dhtKey: keyOf(9), vias: [at[2]] })
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 0, 'the dial comes first')
  await homes.clock.advance(DIAL_TIMEOUT_MS)
  homes.run()
  assert.is(b.signals.length, 1)
  await homes.clock.advance(60_000)
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 2, 'at once')
  assert.equal(at[0].dials, ['9', '9'], 'while it is dialled again')
  homes.link(at[0], at[1])
  a.send(within(a.identity, b.id))
  assert.is(at[2].heard.length, 2, 'a link of its own is better')
  assert.is(b.signals.length, 3)
})

// --- every end of a signal ---

/** Two homes with a link, and an edge at each. */
function linked(): { homes: Homes; a: TestEdge; b: TestEdge; at: [Home, Home] } {
  const homes = homesOf(2)
  const at = homes.all as [Home, Home]
  homes.link(at[0], at[1])
  const a = edgeAt(homes, at[0], 1)
  const b = edgeAt(homes, at[1], 2)
  homes.tell(a.presence, at[1])
  homes.tell(b.presence, at[0])
  return { homes, a, b, at }
}

test('an edge that is gone before its signal comes is told as PEER_UNKNOWN, here and elsewhere', () => {
  const { homes, a, b, at } = linked()
  at[1].inboxes.delete(b.id)
  a.send(within(a.identity, b.id))
  const c = edgeAt(homes, at[0], 3)
  at[0].inboxes.delete(c.id)
  a.send(within(a.identity, c.id))
  assert.equal(a.words, ['PEER_UNKNOWN', 'PEER_UNKNOWN'])
})

test('a full link is told as RATE_LIMITED with a time to wait', () => {
  const { a, b, at } = linked()
  at[0].isFull = true
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['RATE_LIMITED'])
  assert.is(readControl(a.inbox[0]!).retryAfterMs, BUSY_RETRY_MS)
})

test('a target that reads too slowly is told as RATE_LIMITED, here and elsewhere, and counts as refused', () => {
  const { homes, a, b, at } = linked()
  const c = edgeAt(homes, at[0], 3)
  at[0].slow.add(c.id)
  at[1].slow.add(b.id)
  a.send(within(a.identity, c.id))
  a.send(within(a.identity, b.id))
  assert.equal(a.words, ['RATE_LIMITED', 'RATE_LIMITED'])
  for (const control of a.inbox) assert.is(readControl(control).retryAfterMs, BUSY_RETRY_MS)
  assert.equal(at[0].forward.counters, { delivered: 0, forwarded: 1, received: 1, refused: 1 })
  assert.equal(at[1].forward.counters, { delivered: 0, forwarded: 0, received: 0, refused: 1 })
  at[1].slow.delete(b.id)
  a.send(within(a.identity, b.id))
  assert.is(b.signals.length, 1)
})

test('a word for an edge that reads too slowly is dropped, and nothing else comes of it', () => {
  const { a, b, at } = linked()
  at[0].slow.add(a.id)
  a.send(within(a.identity, identityOf(77).id))
  at[1].inboxes.delete(b.id)
  a.send(within(a.identity, b.id))
  assert.equal(a.inbox, [])
  assert.is(at[0].forward.counters.refused, 2)
  assert.is(at[1].heard.length, 1, 'no word about a word')
})

test('what a link took just before it ended goes another way, or is told as HOME_UNREACHABLE', async () => {
  const { homes, a, b, at } = linked()
  at[1].act = () => undefined
  const old = within(a.identity, b.id)
  a.send(old)
  await homes.clock.advance(RESEND_AFTER_MS + 1)
  for (let i = 0; i < 3; i++) a.send(within(a.identity, b.id))
  homes.unlink(at[0], at[1])
  assert.equal(a.words, Array(3).fill('HOME_UNREACHABLE'), 'the old one its edge has sent again')
})

test('what a link took just before it ended is sent over the next, the same bytes', async () => {
  const { homes, a, b, at } = linked()
  at[0].canDial = true
  homes.contact(at[1], { dhtKey: keyOf(4) })
  at[1].act = () => undefined
  const frame = within(a.identity, b.id)
  a.send(frame)
  homes.unlink(at[0], at[1])
  assert.equal(at[0].dials, ['4'])
  at[1].act = undefined
  homes.link(at[0], at[1])
  homes.run()
  assert.equal(a.words, [])
  assert.equal(b.signals[0]?.subarray(144), frame.subarray(144))
})

test('when a home has said goodbye, what it took is left to the edge to send again', () => {
  const { homes, a, b, at } = linked()
  at[1].act = () => undefined
  a.send(within(a.identity, b.id))
  at[0].directory.expire(at[1].id)
  homes.unlink(at[0], at[1])
  assert.equal(a.words, [])
})

test('a dial that leads nowhere ends in HOME_UNREACHABLE when its time is up', async () => {
  const { homes, a, b, at } = linked()
  homes.unlink(at[0], at[1])
  at[0].canDial = true
  homes.contact(at[1], { dhtKey: keyOf(4) })
  a.send(within(a.identity, b.id))
  await homes.clock.advance(DIAL_TIMEOUT_MS - 1)
  assert.equal(a.words, [])
  await homes.clock.advance(1)
  assert.equal(a.words, ['HOME_UNREACHABLE'])
})

test('more signals than may wait for a dial are told as RATE_LIMITED', () => {
  const { homes, a, b, at } = linked()
  homes.unlink(at[0], at[1])
  at[0].canDial = true
  homes.contact(at[1], { dhtKey: keyOf(4) })
  for (let i = 0; i < MAX_SIGNALS_PER_DIAL + 2; i++) a.send(within(a.identity, b.id))
  assert.equal(a.words, Array(2).fill('RATE_LIMITED'))
  homes.link(at[0], at[1])
  homes.run()
  assert.is(b.signals.length, MAX_SIGNALS_PER_DIAL)
})

test('a node that stops says GOING_AWAY of what still waits for a dial', () => {
  const { homes, a, b, at } = linked()
  homes.unlink(at[0], at[1])
  at[0].canDial = true
  homes.contact(at[1], { dhtKey: keyOf(4) })
  a.send(within(a.identity, b.id))
  at[0].forward.close()
  assert.equal(a.words, ['GOING_AWAY'])
  assert.is(homes.clock.pending, 0)
})

test('a signal of an unknown class is refused by name, of an edge and of a node', () => {
  const { homes, a, b, at } = linked()
  a.send(within(a.identity, b.id, { class: 3 }))
  assert.equal(a.words, ['BAD_FRAME'])
  homes.post(at[0], at[1], stamped(within(a.identity, b.id, { class: 4 }), at[0]))
  assert.equal(a.words, ['BAD_FRAME', 'BAD_FRAME'])
  assert.is(b.inbox.length, 0)
})

test('a word about an acknowledgement is told from one about the signal of that number', () => {
  const { homes, a, b, at } = moved()
  at[1].act = () => undefined
  const connection = new Uint8Array(16).fill(5)
  const said = within(a.identity, b.id, { connection, counter: 1 })
  const acknowledged = within(a.identity, b.id, { connection, counter: 1, ack: true })
  a.send(said)
  a.send(acknowledged)
  const evidence = b.presence.bytes
  const error = new SignalMeshError('MOVED', '', { evidence })
  homes.post(at[1], at[0], word(acknowledged, error, at[1]))
  assert.equal(b.signals[0]?.subarray(144), acknowledged.subarray(144))
  homes.post(at[1], at[0], word(said, error, at[1]))
  assert.equal(b.signals[1]?.subarray(144), said.subarray(144))
})

test.run()
