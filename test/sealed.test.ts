/** The sealed channel: what loss, disorder, forgers and the curious can and cannot do to it. */

import fc from 'fast-check'
import { toHex, utf8, writer } from '../src/bytes.ts'
import { type ManualClock, manualClock } from '../src/clock.ts'
import { boxKeyPair, type KeyPair, randomBytes } from '../src/crypto.ts'
import { encodePlain, type Item } from '../src/edge/items.ts'
import { createSealed, type Sealed } from '../src/edge/sealed.ts'
import { createSealing, presenceOfOpening } from '../src/edge/sealing.ts'
import { makeIdentity } from '../src/identity.ts'
import {
  MAX_BAD_SIGNALS,
  MAX_RESENDS,
  MAX_SIGNAL_BYTES,
  MAX_WAITING_SIGNALS,
  RESEND_AFTER_MS,
} from '../src/limits.ts'
import { openAt, prologue, startHandshake } from '../src/noise.ts'
import { signPresence } from '../src/records.ts'
import {
  CLASS,
  encodeSignal,
  HEADER_BYTES,
  isAckOf,
  PHASE,
  phaseOf,
  sealedHeader,
} from '../src/signal.ts'
import { networkId, topicKey, topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('sealed')
const open: Pair[] = []
test.afterEach(() => {
  for (const pair of open.splice(0)) close(pair)
})
const NETWORK = networkId('test')
const TAG = topicTag('test', 'room')
const KEY = topicKey('test', 'room')
const ROOM = { topicKey: (tag: string) => (tag === toHex(TAG) ? KEY : undefined) }

type Way = 'to responder' | 'to initiator'
/** Says which frames go on in place of this one, and when. */
type Line = (frame: Uint8Array, way: Way) => readonly { frame: Uint8Array; inMs: number }[]

interface Pair {
  readonly clock: ManualClock
  readonly initiator: Sealed
  readonly responder: Sealed
  /** What each side heard the other say. */
  readonly heard: { readonly initiator: string[]; readonly responder: string[] }
  readonly frames: { readonly frame: Uint8Array; readonly way: Way }[]
  line: Line
  open(): void
}

const asSent: Line = (frame) => [{ frame, inMs: 1 }]

function sealedPair(
  keys: { caller?: KeyPair; shown?: KeyPair; ofCalled?: Uint8Array | undefined } = {},
): Pair {
  const clock = manualClock()
  const [one, two] = [makeIdentity(), makeIdentity()]
  const { caller = boxKeyPair() } = keys
  const { shown = caller } = keys
  const called = boxKeyPair()
  const connection = randomBytes(16)
  const frames: Pair['frames'] = []
  const heard: Pair['heard'] = { initiator: [], responder: [] }
  const send = (way: Way) => (frame: Uint8Array) => {
    frames.push({ frame, way })
    for (const { frame: passed, inMs } of pair.line(frame.slice(), way)) {
      const to = way === 'to responder' ? pair.responder : pair.initiator
      clock.after(inMs, () => to.receive(passed))
    }
  }
  const listen = (list: string[]) => (items: readonly Item[]) =>
    void list.push(...items.map((item) => ('sdp' in item ? item.sdp : item.kind)))
  const common = { networkId: NETWORK, clock, connection, ...ROOM }
  const ofCalled = 'ofCalled' in keys ? keys.ofCalled : KEY
  const pair: Pair = {
    clock,
    frames,
    heard,
    line: asSent,
    initiator: createSealed({
      ...common,
      initiator: true,
      self: { key: one.keys.publicKey, boxKeys: caller },
      remote: { key: two.keys.publicKey, boxKey: called.publicKey },
      tag: TAG,
      send: send('to responder'),
      onItems: listen(heard.initiator),
    }),
    responder: createSealed({
      ...common,
      initiator: false,
      self: { key: two.keys.publicKey, boxKeys: called },
      remote: { key: one.keys.publicKey, boxKey: shown.publicKey },
      topicKey: () => ofCalled,
      send: send('to initiator'),
      onItems: listen(heard.responder),
    }),
    open: () => pair.initiator.open(presence, [say('offer')]),
  }
  const presence = signPresence(NETWORK, one.keys, {
    homeKey: randomBytes(32),
    boxKey: shown.publicKey,
    seq: 1,
    ttlMs: 1000,
  }).bytes
  open.push(pair)
  return pair
}

/** Gives back the memory of handshakes, of which a process can have only so much. */
function close({ initiator, responder }: Pair): void {
  initiator.close()
  responder.close()
}

const say = (sdp: string): Item => ({ kind: 'description', generation: 0, type: 'offer', sdp })

/** A whole conversation: an offer and candidates, the answer with its own, something later. */
async function converse(pair: Pair): Promise<void> {
  const { clock, initiator, responder, heard } = pair
  pair.open()
  for (const name of ['a1', 'a2', 'a3']) initiator.send([say(name)])
  for (let step = 0; step < 600; step++) {
    await clock.advance(100)
    if (heard.responder.length >= 1 && !responder.answered) {
      responder.answer([say('answer')])
      for (const name of ['b1', 'b2']) responder.send([say(name)])
    }
    if (heard.initiator.length === 3 && heard.responder.length === 4) break
  }
  initiator.send([say('later')])
  await clock.advance(40_000)
  assert.equal(heard.responder, ['offer', 'a1', 'a2', 'a3', 'later'])
  assert.equal(heard.initiator, ['answer', 'b1', 'b2'])
}

test('brings what each side says to the other, in its order', async () => {
  const pair = sealedPair()
  await converse(pair)
  const said = pair.frames.filter(({ frame }) => !isAckOf(frame))
  assert.is(said.length, 8, 'nothing had to be sent twice')
  close(pair)
  assert.is(pair.clock.pending, 0, 'no timer is left')
})

test('shows a node nothing but sender, target, connection, counter and size', async () => {
  const pair = sealedPair()
  await converse(pair)
  const texts = pair.frames.map(({ frame }) => String.fromCharCode(...frame))
  for (const word of ['offer', 'answer', 'later']) {
    assert.not(texts.some((text) => text.includes(word)))
  }
})

test('a frame lost once is made good, whichever it is', async () => {
  for (let lost = 0; lost < 12; lost++) {
    const pair = sealedPair()
    pair.line = (frame, way) => (pair.frames.length === lost + 1 ? [] : asSent(frame, way))
    await converse(pair)
  }
})

test('frames that come twice, or at any later time again, are taken once', async () => {
  const pair = sealedPair()
  pair.line = (frame) => [1, 2, 500, 5000, 20_000].map((inMs) => ({ frame, inMs }))
  await converse(pair)
})

test('frames in any order, some lost and some altered, end in the same conversation', async () => {
  const fate = fc.oneof(fc.constantFrom('lost', 'altered'), fc.integer({ min: 0, max: 900 }))
  const property = fc.asyncProperty(fc.array(fate, { maxLength: 25 }), async (drawn) => {
    const pair = sealedPair()
    const fates = [...drawn]
    // One time fewer than a frame is sent again.
    let harm = MAX_RESENDS
    pair.line = (frame) => {
      const what = fates.shift() ?? 1
      if (typeof what === 'number') return [{ frame, inMs: what }]
      if (harm-- <= 0) return [{ frame, inMs: 1 }]
      return what === 'lost' ? [] : [{ frame: flipped(frame, drawn.length * 97), inMs: 1 }]
    }
    await converse(pair)
    close(pair)
  })
  await fc.assert(property, { numRuns: 40 })
})

test('candidates that come before the opening signal wait for it', async () => {
  const pair = sealedPair()
  const delaysMs = [40, 30, 20, 10]
  pair.line = (frame, way) =>
    way === 'to responder' ? [{ frame, inMs: delaysMs.shift() ?? 1 }] : []
  pair.open()
  for (const name of ['a1', 'a2', 'a3']) pair.initiator.send([say(name)])
  await pair.clock.advance(100)
  assert.equal(pair.heard.responder, ['offer', 'a1', 'a2', 'a3'])
})

test('more than a bound of frames does not wait', async () => {
  const pair = sealedPair()
  let first: Uint8Array | undefined
  pair.line = (frame, way) => {
    if (way === 'to initiator') return []
    if (first) return asSent(frame, way)
    first = frame
    return []
  }
  pair.open()
  for (let i = 1; i < MAX_WAITING_SIGNALS + 5; i++) pair.initiator.send([say(`a${i}`)])
  await pair.clock.advance(10)
  pair.responder.receive(first as Uint8Array)
  assert.is(pair.heard.responder.length, MAX_WAITING_SIGNALS)
})

test('no bit of a frame can be altered, but for what homes write on its way', async () => {
  const onTheWay = (at: number): boolean => at === 4 || (at >= 80 && at < 112)
  // The presence in an opening is signed by itself; whoever takes the call checks that.
  const inPresence = (at: number, length: number): boolean =>
    at >= HEADER_BYTES + 2 && at < length - NOISE_MESSAGE_BYTES
  for (const name of ['opening', 'early', 'answer', 'split', 'ack'] as const) {
    const { length } = (await heldFrame(name)).frame
    for (let at = 0; at < length; at += at < HEADER_BYTES ? 1 : 29) {
      const held = await heldFrame(name)
      const before = held.heard.length
      held.to.receive(flipped(held.frame, at * 8 + (at % 8)))
      const changed = held.heard.length - before + (held.acknowledged() ? 1 : 0)
      const isFree = onTheWay(at) || (name === 'opening' && inPresence(at, length))
      assert.is(changed > 0, isFree, `byte ${at} of the ${name}`)
      held.to.receive(held.frame)
      assert.ok(held.heard.length > before || held.acknowledged(), `then the true ${name} is taken`)
    }
  }
})

test('forged answers are ignored up to a bound, and the true one is taken after them', async () => {
  const pair = sealedPair()
  let answer: Uint8Array | undefined
  pair.line = (frame, way) => {
    if (way === 'to responder') return asSent(frame, way)
    answer ??= frame
    return []
  }
  pair.open()
  await pair.clock.advance(10)
  pair.responder.answer([say('answer')])
  for (let i = 0; i < MAX_BAD_SIGNALS - 1; i++) {
    const forged = answer!.slice()
    forged.set(randomBytes(forged.length - HEADER_BYTES), HEADER_BYTES)
    pair.initiator.receive(forged)
  }
  assert.equal(pair.heard.initiator, [])
  pair.initiator.receive(answer!)
  assert.equal(pair.heard.initiator, ['answer'])
})

test('acknowledgements that overtake a lost answer do not spoil the attempt', async () => {
  const pair = sealedPair()
  let lost = 0
  pair.line = (frame, way) => {
    const isAnswer = way === 'to initiator' && phaseOf(frame) === PHASE.handshake
    return isAnswer && lost++ < 2 ? [] : asSent(frame, way)
  }
  pair.open()
  await pair.clock.advance(10)
  pair.responder.answer([say('answer')])
  for (let i = 0; i < 2 * MAX_BAD_SIGNALS; i++) {
    pair.initiator.send([say(`a${i}`)])
    await pair.clock.advance(110)
  }
  await pair.clock.advance(20_000)
  assert.ok(lost >= 2)
  assert.equal(pair.heard.initiator, ['answer'])
})

test('a caller with another box key than its presence shows is not heard', async () => {
  const pair = sealedPair({ shown: boxKeyPair() })
  pair.open()
  await pair.clock.advance(10_000)
  assert.equal(pair.heard.responder, [])
})

test('a caller that names the box key of another edge throughout is not heard either', async () => {
  // Noise IK itself lets anybody call with a key of its own; who calls is ours to compare.
  const [alice, mallory, bob] = [boxKeyPair(), boxKeyPair(), boxKeyPair()]
  const [aliceId, bobId] = [makeIdentity(), makeIdentity()]
  const connection = randomBytes(16)
  const version = Uint8Array.of(0, 1)
  const said = [
    NETWORK,
    aliceId.keys.publicKey,
    alice.publicKey,
    bobId.keys.publicKey,
    bob.publicKey,
  ]
  const forged = startHandshake({
    pattern: 'IK',
    initiator: true,
    keys: mallory,
    remoteStatic: bob.publicKey,
    prologue: prologue('signal', [version, ...said, connection]),
  })
  const fields = { homeKey: randomBytes(32), boxKey: alice.publicKey, seq: 1, ttlMs: 1000 }
  const presence = signPresence(NETWORK, aliceId.keys, fields)
  const message = forged.write(encodePlain({ ack: 0, items: [{ kind: 'renegotiate' }] }))
  const bobs = createSealing({
    networkId: NETWORK,
    ...ROOM,
    initiator: false,
    connection,
    self: { key: bobId.keys.publicKey, boxKeys: bob },
    remote: { key: aliceId.keys.publicKey, boxKey: alice.publicKey },
  })
  const frame = encodeSignal(NETWORK, {
    class: CLASS.open,
    phase: PHASE.handshake,
    from: aliceId.keys.publicKey,
    to: bobId.keys.publicKey,
    connection,
    counter: 0,
    payload: writer().block(presence.bytes).bytes(message).done(),
  })
  assert.is(await codeOf(() => bobs.unseal(frame)), 'BAD_SIGNATURE')
  bobs.destroy()
})

test('an opening signal that shows the presence of another edge is refused', async () => {
  const pair = sealedPair()
  pair.open()
  const { frame } = pair.frames[0]!
  assert.is(presenceOfOpening(frame, frame.subarray(16, 48)).ttlMs, 1000)
  const stranger = makeIdentity().keys.publicKey
  assert.is(await codeOf(() => presenceOfOpening(frame, stranger)), 'BAD_SIGNATURE')
})

test('an opening signal of one connection opens no other, and none of another network', async () => {
  const called = boxKeyPair()
  const [one, two] = [makeIdentity(), makeIdentity()]
  const caller = boxKeyPair()
  const connection = randomBytes(16)
  const responder = (changes: object) =>
    createSealing({
      networkId: NETWORK,
      ...ROOM,
      initiator: false,
      connection,
      self: { key: two.keys.publicKey, boxKeys: called },
      remote: { key: one.keys.publicKey, boxKey: caller.publicKey },
      ...changes,
    })
  const opening = createSealing({
    networkId: NETWORK,
    ...ROOM,
    tag: TAG,
    initiator: true,
    connection,
    self: { key: one.keys.publicKey, boxKeys: caller },
    remote: { key: two.keys.publicKey, boxKey: called.publicKey },
  }).sealOpening(new Uint8Array(0), utf8('offer'))
  assert.equal(responder({}).unseal(opening), utf8('offer'))
  const others = [
    { connection: randomBytes(16) },
    { networkId: networkId('other') },
    { self: { key: makeIdentity().keys.publicKey, boxKeys: called } },
    { remote: { key: makeIdentity().keys.publicKey, boxKey: caller.publicKey } },
    { self: { key: two.keys.publicKey, boxKeys: boxKeyPair() } },
  ]
  for (const changes of others) {
    const sealing = responder(changes)
    const code = await codeOf(() => sealing.unseal(opening))
    assert.ok(['BAD_FRAME', 'BAD_HANDSHAKE'].includes(code), code)
  }
})

test('who knows a topic’s tag but not its key learns nothing but no, as of an unknown topic', async () => {
  const answers: Uint8Array[] = []
  for (const ofCalled of [undefined, topicKey('test', { name: 'room', secret: 'hush' })]) {
    const pair = sealedPair({ ofCalled })
    pair.open()
    pair.initiator.send([say('a1')])
    await pair.clock.advance(60_000)
    assert.equal(pair.heard.responder, [])
    assert.equal(pair.heard.initiator, ['refused'])
    assert.not(pair.responder.answered)
    answers.push(
      ...pair.frames.flatMap(({ frame, way }) => (way === 'to initiator' ? [frame] : [])),
    )
  }
  const [unknown, secret] = answers
  assert.is(answers.length, 2, 'each is said once')
  assert.is(secret?.length, unknown?.length)
  assert.equal(secret?.subarray(0, 16), unknown?.subarray(0, 16))
})

test('who is called without the topic’s key can read neither offer nor candidates, nor answer', async () => {
  const [one, two] = [makeIdentity(), makeIdentity()]
  const [caller, called] = [boxKeyPair(), boxKeyPair()]
  const common = { networkId: NETWORK, connection: randomBytes(16) }
  const asCaller = {
    ...common,
    initiator: true,
    self: { key: one.keys.publicKey, boxKeys: caller },
    remote: { key: two.keys.publicKey, boxKey: called.publicKey },
  }
  const asCalled = {
    ...common,
    initiator: false,
    self: { key: two.keys.publicKey, boxKeys: called },
    remote: { key: one.keys.publicKey, boxKey: caller.publicKey },
  }
  const calling = createSealing({ ...asCaller, ...ROOM, tag: TAG })
  const opening = calling.sealOpening(new Uint8Array(0), utf8('offer'))
  // The prologue alone would keep nobody from it who has the box key: Noise hashes that, no more.
  const about = [caller.publicKey, two.keys.publicKey, called.publicKey]
  const said = [Uint8Array.of(0, 1), NETWORK, one.keys.publicKey, ...about, common.connection]
  const thief = startHandshake({
    pattern: 'IK',
    initiator: false,
    keys: called,
    prologue: prologue('signal', said),
  })
  const seen = thief.read(opening.subarray(HEADER_BYTES + 2))
  assert.equal(seen.subarray(0, 32), TAG, 'what it can read is which topic it is called in')
  assert.not(String.fromCharCode(...seen).includes('offer'))
  // It goes on as if it had the key, with one of its own.
  const candidate = calling.seal(utf8('candidate'), 1, false)
  const faked = createSealing({ ...asCalled, topicKey: () => topicKey('test', 'a guess') })
  assert.is(await codeOf(() => faked.unseal(opening)), 'BAD_FRAME')
  assert.is(await codeOf(() => faked.unseal(candidate)), 'BAD_FRAME')
  const early = thief.derive('early-initiator', topicKey('test', 'a guess'))
  const sealed = candidate.subarray(HEADER_BYTES)
  const header = sealedHeader(candidate)
  assert.is(await codeOf(() => openAt(early, 1, header, sealed)), 'BAD_FRAME')
  const answer = encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: PHASE.handshake,
    from: two.keys.publicKey,
    to: one.keys.publicKey,
    connection: common.connection,
    counter: 0,
    payload: thief.write(randomBytes(40)),
  })
  assert.is(await codeOf(() => calling.unseal(answer)), 'BAD_FRAME')
  assert.not(calling.answered)
  assert.is(phaseOf(calling.seal(utf8('more'), 2, false)), PHASE.early, 'under what it cannot open')
  for (const party of [calling, faked, thief]) party.destroy()
})

test('a reflected frame does not open at its own sender', async () => {
  const pair = sealedPair()
  await converse(pair)
  const fresh = sealedPair()
  await converse(fresh)
  const heard = fresh.heard.initiator.length
  for (const { frame, way } of fresh.frames) {
    if (way === 'to responder') fresh.initiator.receive(frame)
  }
  assert.is(fresh.heard.initiator.length, heard)
})

test('what comes again is acknowledged again', async () => {
  const pair = sealedPair()
  let acks = 0
  pair.line = (frame, way) => (isAckOf(frame) && acks++ === 0 ? [] : asSent(frame, way))
  pair.open()
  await pair.clock.advance(60_000)
  assert.is(acks, 2)
  assert.is(pair.frames.filter(({ way }) => way === 'to responder').length, 2)
})

test('is sent again as the same bytes, ever more rarely, and not for ever', async () => {
  const pair = sealedPair()
  const atMs: number[] = []
  pair.line = () => {
    atMs.push(pair.clock.nowMs())
    return []
  }
  const startMs = pair.clock.nowMs()
  pair.open()
  await pair.clock.advance(600_000)
  const expected = [0, 1, 3, 7, 15].map((times) => startMs + times * RESEND_AFTER_MS)
  assert.equal(atMs, expected)
  assert.is(atMs.length, 1 + MAX_RESENDS)
  for (const { frame } of pair.frames) assert.equal(frame, pair.frames[0]!.frame)
})

test('news after a long silence brings what was given up before it too', async () => {
  const pair = sealedPair()
  await converse(pair)
  pair.line = () => []
  pair.initiator.send([say('while away')])
  await pair.clock.advance(600_000)
  pair.line = asSent
  pair.initiator.send([say('back')])
  await pair.clock.advance(10_000)
  assert.equal(pair.heard.responder.slice(-2), ['while away', 'back'])
})

test('a word more on an attempt that was given up brings all of it', async () => {
  const pair = sealedPair()
  pair.line = () => []
  pair.open()
  await pair.clock.advance(600_000)
  pair.line = asSent
  pair.initiator.send([say('still here')])
  await pair.clock.advance(10_000)
  assert.equal(pair.heard.responder, ['offer', 'still here'])
})

test('words of a node that come together lead to one more try', async () => {
  const pair = sealedPair()
  pair.line = () => []
  pair.open()
  pair.initiator.send([say('a1')])
  for (let i = 0; i < 50; i++) pair.initiator.resendAfter(500)
  await pair.clock.advance(600)
  assert.is(pair.frames.length, 4)
})

test('takes no more than a signal holds, and can still say so', async () => {
  const pair = sealedPair()
  const huge = say('x'.repeat(MAX_SIGNAL_BYTES))
  assert.is(await codeOf(() => pair.initiator.open(randomBytes(200), [huge])), 'TOO_LARGE')
  pair.open()
  await pair.clock.advance(10)
  assert.is(await codeOf(() => pair.responder.answer([huge])), 'TOO_LARGE')
  pair.responder.answer([{ kind: 'refused', code: 'TOO_LARGE', reason: 'too large' }])
  await pair.clock.advance(10)
  assert.equal(pair.heard.initiator, ['refused'])
})

test('closing acknowledges what ended it, so that it is not said again', async () => {
  const pair = sealedPair()
  pair.open()
  await pair.clock.advance(10)
  pair.responder.answer([{ kind: 'refused', code: 'REFUSED', reason: '' }])
  await pair.clock.advance(10)
  pair.initiator.close()
  const count = pair.frames.length
  await pair.clock.advance(60_000)
  assert.is(pair.frames.filter(({ way }) => way === 'to initiator').length, 1)
  assert.is(pair.frames.length, count)
})

/** An ephemeral key, a sealed static key, and sealed twice: the tag; an ack and the offer. */
const NOISE_MESSAGE_BYTES =
  32 + 48 + 32 + encodePlain({ ack: 0, items: [say('offer')] }).length + 16 + 16

/** A frame of a kind, held back from its receiver, who stands where it is due. */
async function heldFrame(name: 'opening' | 'early' | 'answer' | 'split' | 'ack'): Promise<{
  frame: Uint8Array
  to: Sealed
  heard: string[]
  acknowledged(): boolean
}> {
  const pair = sealedPair()
  let held: Uint8Array | undefined
  let holding = name === 'opening'
  pair.line = (frame, way) => {
    if (!holding) return asSent(frame, way)
    held ??= frame
    return []
  }
  pair.open()
  await pair.clock.advance(10)
  if (name === 'early') {
    holding = true
    pair.initiator.send([say('a1')])
  } else if (name !== 'opening') {
    holding = name === 'answer'
    pair.responder.answer([say('answer')])
    await pair.clock.advance(10)
    if (name !== 'answer') pair.initiator.send([say('a1')])
    holding = true
    if (name === 'split') pair.responder.send([say('b1')])
  }
  await pair.clock.advance(200)
  const toInitiator = name === 'answer' || name === 'split' || name === 'ack'
  const unackedBefore = pair.frames.length
  return {
    frame: held as Uint8Array,
    to: toInitiator ? pair.initiator : pair.responder,
    heard: toInitiator ? pair.heard.initiator : pair.heard.responder,
    // An acknowledged sender has nothing left to send again.
    acknowledged: () => {
      if (name !== 'ack') return false
      pair.initiator.resend()
      const again = pair.frames.length > unackedBefore
      pair.frames.length = unackedBefore
      return !again
    },
  }
}

function flipped(frame: Uint8Array, bit: number): Uint8Array {
  const out = frame.slice()
  out[Math.floor(bit / 8) % out.length]! ^= 1 << (bit % 8)
  return out
}

test.run()
