/** Calls: how two edges come to one connection, and what refusals, strangers and bad luck lead to. */

import { compare, fromHex } from '../src/bytes.ts'
import { hashNames, randomBytes } from '../src/crypto.ts'
import { encodePlain, type Item } from '../src/edge/items.ts'
import type { Connection } from '../src/edge/mod.ts'
import type { MakeRtc } from '../src/edge/rtc.ts'
import { createSealing } from '../src/edge/sealing.ts'
import { asMeshError, SignalMeshError } from '../src/errors.ts'
import { makeIdentity } from '../src/identity.ts'
import { CONNECT_TIMEOUT_MS, MAX_SIGNAL_BYTES } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { decodePresence } from '../src/records.ts'
import { EDGE_METHOD } from '../src/rpc.ts'
import { CLASS, classOf, encodeControl, encodeSignal, toOf } from '../src/signal.ts'
import { topicKey, topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { assertConnected, doorbell, failure, meet, mute, ROOM } from './support/meeting.ts'
import { during } from './support/mesh.ts'
import { codeOf, NETWORK, provenEdge } from './support/rawedge.ts'

const test = suite('calls')
// --- connecting ---

test('connects, tells both sides, and each knows the other by its proved id', async () => {
  const met = await meet()
  const connection = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  assert.is(connection.topic, 'room')
  await assertConnected(met)
  assert.is(met.told.a[0], connection)
  await met.mesh.close()
})

test('connects although any one frame on the way is lost', async () => {
  // An offer or answer and three candidates each way; acknowledgements come once it is done.
  for (let lost = 0; lost < 8; lost++) {
    const met = await meet()
    let count = 0
    met.mesh.tap = (frame, way) => {
      const isSignal = way === 'up' && frame[0] === FRAME.signal
      return isSignal && count++ === lost ? [] : [frame]
    }
    await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
    await assertConnected(met)
    assert.ok(count > lost, `${count} frames went`)
    await met.mesh.close()
  }
})

test('connects although a candidate is named before the description, as Deno hears of them', async () => {
  for (const caller of ['a', 'b'] as const) {
    const met = await meet({ rtcOfB: candidateFirst })
    const [own, other] = caller === 'a' ? [met.a, met.b] : [met.b, met.a]
    await during(own.connect(other.id, ROOM), met.mesh.clock)
    await assertConnected(met)
    await met.mesh.close()
  }
})

test('connects although every frame comes twice and each pair in the wrong order', async () => {
  const met = await meet()
  const held: Uint8Array[] = []
  met.mesh.tap = (frame, way) => {
    if (way === 'up' || frame[0] !== FRAME.signal) return [frame]
    held.push(frame)
    return held.length % 2 ? [] : [...held.splice(0).reverse(), frame]
  }
  await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await assertConnected(met)
  await met.mesh.close()
})

test('a second connect to the same peer and topic gives the first connection', async () => {
  const met = await meet()
  const both = [met.a.connect(met.b.id, ROOM), met.a.connect(met.b.id.toUpperCase(), ROOM)]
  const [one, two] = await during(Promise.all(both), met.mesh.clock)
  assert.is(one, two)
  assert.is(await during(met.a.connect(met.b.id, ROOM), met.mesh.clock), one)
  assert.is(await during(met.b.connect(met.a.id, ROOM), met.mesh.clock), met.told.b[0])
  await assertConnected(met)
  await met.mesh.close()
})

test('connects anew from within the event that the connection has closed', async () => {
  const met = await meet()
  const first = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  const again = new Promise<Connection>((resolve) => {
    first.on('close', () => resolve(met.a.connect(met.b.id, ROOM)))
  })
  await first.close()
  const second = await during(again, met.mesh.clock)
  assert.is.not(second, first)
  assert.is(second.state, 'open')
  assert.is(first.state, 'closed')
  await met.mesh.close()
})

test('a peer that came back as another session is found, though the mesh tells of the old one at first', async () => {
  const met = await meet({ delayMs: 1200 })
  const { mesh, a, b } = met
  await mesh.clock.advance(20_000)
  const back = await mesh.edge(mesh.nodes[1]!, { identity: b.identity, topics: ['room'] })
  const startMs = mesh.clock.nowMs()
  const connection = await during(a.connect(b.id, ROOM), mesh.clock)
  assert.is(connection.id, back.id)
  assert.ok(mesh.clock.nowMs() - startMs < 20_000, 'long before the attempt would end')
  await mesh.clock.advance(60_000)
  assert.is(connection.state, 'open')
  await mesh.close()
})

test('the other side hears of a close, with its reason', async () => {
  const met = await meet()
  const connection = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(200)
  const reasons: string[] = []
  met.told.b[0]!.on('close', (reason) => reasons.push(reason))
  await connection.close('off to lunch')
  await met.mesh.clock.advance(100)
  assert.equal(reasons, ['off to lunch'])
  assert.ok(met.told.b[0]!.signal.aborted)
  assert.is(await codeOf(() => met.told.b[0]!.send('too late')), 'CLOSED')
  await met.mesh.close()
})

test('a peer that connects anew has lost the old connection', async () => {
  const met = await meet()
  await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(200)
  const seed = met.a.identity
  // The page is gone without a word, and comes back as the same peer.
  met.mesh.dials[0]!.link.close()
  const back = await met.mesh.edge(met.mesh.nodes[0]!, { identity: seed })
  await during(back.connect(met.b.id, ROOM), met.mesh.clock)
  assert.equal(
    met.told.b.map(({ state }) => state),
    ['closed', 'open'],
  )
  await met.mesh.close()
})

test('two topics of the same pair are two connections', async () => {
  const met = await meet()
  for (const edge of [met.a, met.b]) await during(edge.advertise('other'), met.mesh.clock)
  const [one, two] = await during(
    Promise.all([met.a.connect(met.b.id, ROOM), met.b.connect(met.a.id, { topic: 'other' })]),
    met.mesh.clock,
  )
  assert.is(one?.topic, 'room')
  assert.is(two?.topic, 'other')
  await met.mesh.close()
})

// --- both at once ---

for (const lower of ['a', 'b'] as const) {
  test(`both call at once, or shortly one after the other: one connection (lower id: ${lower})`, async () => {
    for (const laterMs of [0, 1, 2, 5, 6, 8, 12, 20]) {
      const [low, high] = identities()
      const [seedA, seedB] = lower === 'a' ? [low, high] : [high, low]
      const bell = doorbell()
      const met = await meet({
        a: { identity: seedA },
        b: { identity: seedB, ...(laterMs === 0 ? { onIncoming: bell.onIncoming } : {}) },
        delayMs: 5,
      })
      const first = met.a.connect(met.b.id, ROOM)
      await met.mesh.clock.advance(laterMs)
      const second = met.b.connect(met.a.id, ROOM)
      const startMs = met.mesh.clock.nowMs()
      const [one, two] = await during(Promise.all([first, second]), met.mesh.clock)
      assert.ok(met.mesh.clock.nowMs() - startMs < 1000, 'nobody waits for the other')
      assert.is(met.told.a[0], one)
      assert.is(met.told.b[0], two)
      assert.is(bell.calls.length, 0, 'who calls is not asked whether to take the call')
      await assertConnected(met)
      await met.mesh.close()
    }
  })
}

test('to call a peer that is ringing is to answer it, and to answer it later is too late', async () => {
  for (const late of ['accept', 'refuse'] as const) {
    const bell = doorbell()
    let made = 0
    const rtcOfB = (shared: MakeRtc): MakeRtc => {
      return (options) => {
        made += 1
        return shared(options)
      }
    }
    const met = await meet({ b: { onIncoming: bell.onIncoming }, rtcOfB })
    const calling = met.a.connect(met.b.id, ROOM)
    await met.mesh.clock.advance(1000)
    assert.is(bell.calls.length, 1)
    const back = met.b.connect(met.a.id, ROOM)
    const both = await during(Promise.all([calling, back]), met.mesh.clock)
    bell.calls[0]![late]()
    await assertConnected(met)
    assert.is(both[1], met.told.b[0])
    assert.is(made, 1)
    await met.mesh.close()
  }
})

// --- refusals ---

test('nobody connects to itself', async () => {
  const { mesh, a } = await meet()
  assert.is(await codeOf(() => a.connect(a.id, ROOM)), 'SELF_CONNECT')
  await mesh.close()
})

test('who is called in a topic that it does not advertise refuses', async () => {
  const { mesh, a, b, told } = await meet()
  const error = await failure(mesh, a.connect(b.id, { topic: 'elsewhere' }))
  assert.is(error.code, 'NOT_ADVERTISED')
  assert.equal(told.b, [])
  await during(b.unadvertise('room'), mesh.clock)
  assert.is((await failure(mesh, a.connect(b.id, ROOM))).code, 'NOT_ADVERTISED')
  await mesh.close()
})

test('the application is asked, with what the caller says, and may refuse with a reason', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const metadata = new TextEncoder().encode('it is me')
  const calling = a.connect(b.id, { ...ROOM, metadata })
  metadata.fill(0)
  await mesh.clock.advance(500)
  const [call] = bell.calls
  assert.is(call?.id, a.id)
  assert.is(call?.topic, 'room')
  assert.is(new TextDecoder().decode(call?.metadata), 'it is me')
  call?.refuse('not now')
  const error = await failure(mesh, calling)
  assert.is(error.code, 'REFUSED')
  assert.match(error.message, /not now/)
  await mesh.close()
})

test('a lost refusal is said again', async () => {
  const { mesh, a, b } = await meet({ b: { onIncoming: (call) => call.refuse('no') } })
  let lost = 0
  mesh.tap = (frame, way) => {
    const isRefusal = way === 'up' && frame[0] === FRAME.signal && toOf(frame) === a.id
    return isRefusal && lost++ === 0 ? [] : [frame]
  }
  assert.is((await failure(mesh, a.connect(b.id, ROOM))).code, 'REFUSED')
  assert.ok(lost > 1)
  await mesh.close()
})

test('an application that throws refuses, and its error goes to the page', async () => {
  const { mesh, a, b } = await meet({
    b: {
      onIncoming: () => {
        throw new Error('a bug of the application')
      },
    },
  })
  const { result, reported } = await reporting(() => failure(mesh, a.connect(b.id, ROOM)))
  assert.is(result.code, 'REFUSED')
  assert.not.match(result.message, /a bug/, 'the caller learns nothing of it')
  assert.is((reported[0] as Error).message, 'a bug of the application')
  await mesh.close()
})

test('a call accepted late still connects', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = met.a.connect(met.b.id, ROOM)
  await met.mesh.clock.advance(20_000)
  assert.is(met.told.b.length, 0)
  bell.calls[0]!.accept()
  await during(calling, met.mesh.clock)
  await assertConnected(met)
  assert.is(bell.calls.length, 1, 'resends ask only once')
  await met.mesh.close()
})

test('a caller who gives up aborts the call at the other side; accepting it then does nothing', async () => {
  const bell = doorbell()
  const { mesh, a, b, told } = await meet({ b: { onIncoming: bell.onIncoming } })
  const giveUp = new AbortController()
  const calling = a.connect(b.id, { ...ROOM, signal: giveUp.signal })
  await mesh.clock.advance(500)
  giveUp.abort(new Error('changed my mind'))
  const error = await failure(mesh, calling)
  assert.is(error.code, 'ABORTED')
  assert.is((error.cause as Error).message, 'changed my mind')
  await mesh.clock.advance(500)
  assert.ok(bell.calls[0]!.signal.aborted)
  bell.calls[0]!.accept()
  await mesh.clock.advance(5000)
  assert.equal([...told.a, ...told.b], [])
  await mesh.close()
})

test('of two who wait for one connection each has a time limit and a way out of its own', async () => {
  const bell = doorbell()
  const { mesh, a, b, told } = await meet({ b: { onIncoming: bell.onIncoming } })
  // Nobody's time runs while it rings; so that it does, nothing is heard of the peer.
  mute(mesh, 1)
  const giveUp = new AbortController()
  const waiting = [
    a.connect(b.id, { ...ROOM, signal: giveUp.signal }),
    a.connect(b.id, { ...ROOM, timeoutMs: 1000 }),
    a.connect(b.id, { ...ROOM, signal: AbortSignal.abort() }),
    a.connect(b.id, { ...ROOM, timeoutMs: 60_000 }),
  ].map((connecting) =>
    connecting.then(
      () => 'connected',
      (error) => asMeshError(error).code,
    ),
  )
  giveUp.abort()
  assert.is(await waiting[0], 'ABORTED')
  assert.is(await waiting[2], 'ABORTED')
  await mesh.clock.advance(1000)
  assert.is(await waiting[1], 'TIMEOUT')
  await mesh.clock.advance(40_000)
  assert.not(bell.calls[0]!.signal.aborted, 'somebody still waits')
  mesh.tap = undefined
  bell.calls[0]!.accept()
  assert.is(await during(waiting[3]!, mesh.clock), 'connected')
  assert.is(bell.calls.length, 1)
  assert.is(told.a.length, 1)
  await mesh.close()
})

test('an attempt is given up when the last who waits for it gives up', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  mute(mesh, 1)
  const giveUp = new AbortController()
  const first = failure(mesh, a.connect(b.id, { ...ROOM, timeoutMs: 500 }))
  const second = a.connect(b.id, { ...ROOM, signal: giveUp.signal })
  assert.is((await first).code, 'TIMEOUT')
  await mesh.clock.advance(500)
  assert.not(bell.calls[0]!.signal.aborted)
  giveUp.abort()
  assert.is((await failure(mesh, second)).code, 'ABORTED')
  await mesh.clock.advance(500)
  assert.ok(bell.calls[0]!.signal.aborted, 'and the other side hears of it')
  await mesh.close()
})

test('a signal aborted before connecting asks nobody', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = a.connect(b.id, { ...ROOM, signal: AbortSignal.abort() })
  assert.is((await failure(mesh, calling)).code, 'ABORTED')
  await mesh.clock.advance(500)
  assert.is(bell.calls.length, 0)
  await mesh.close()
})

test('aborting after it has connected changes nothing', async () => {
  const met = await meet()
  const giveUp = new AbortController()
  const request = { ...ROOM, signal: giveUp.signal, timeoutMs: 5000 }
  await during(met.a.connect(met.b.id, request), met.mesh.clock)
  giveUp.abort()
  await assertConnected(met)
  await met.mesh.close()
})

// --- failures ---

test('an attempt ends in time, and says how far it came', async () => {
  const { mesh, a, b } = await meet()
  mute(mesh, 1)
  const startMs = mesh.clock.nowMs()
  const silent = await failure(mesh, a.connect(b.id, { ...ROOM, timeoutMs: 3000 }))
  assert.is(silent.code, 'TIMEOUT')
  assert.match(silent.message, /within 3000 ms: the peer did not answer/)
  assert.ok(mesh.clock.nowMs() - startMs < 3100)
  const usual = await failure(mesh, a.connect(b.id, ROOM))
  assert.match(usual.message, new RegExp(`${CONNECT_TIMEOUT_MS} ms`))
  await mesh.close()
})

test('an attempt whose candidates lead nowhere says that no path was found', async () => {
  const deaf = (shared: MakeRtc): MakeRtc => {
    return (options) => {
      const rtc = shared(options)
      return { ...rtc, take: (item) => item.kind === 'description' && rtc.take(item) }
    }
  }
  const met = await meet({ rtcOfB: deaf, a: { meshRelay: false } })
  const error = await failure(met.mesh, met.a.connect(met.b.id, ROOM))
  assert.is(error.code, 'TIMEOUT')
  assert.match(error.message, /answered, but no path/)
  await met.mesh.close()
})

test('a peer that closes while it is called is told to have left', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = a.connect(b.id, ROOM)
  await mesh.clock.advance(300)
  await b.close()
  assert.is((await failure(mesh, calling)).code, 'PEER_LEFT')
  assert.ok(bell.calls[0]!.signal.aborted)
  await mesh.close()
})

test('a peer that goes without a word while it is called is known to be gone by its home', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  // Nothing comes from the peer any more, not even an acknowledgement, so the caller asks again.
  mesh.tap = (frame, way, url) => {
    const isOfPeer = url === mesh.urlOf(mesh.nodes[1]!) || frame[0] === FRAME.proof
    return way === 'up' && isOfPeer ? [] : [frame]
  }
  const calling = a.connect(b.id, ROOM)
  await mesh.clock.advance(300)
  mesh.dials.at(-1)!.link.close()
  assert.is((await failure(mesh, calling)).code, 'PEER_UNKNOWN')
  await mesh.close()
})

test('WebRTC that does not work is a typed failure on either side', async () => {
  const broken: MakeRtc = () => {
    throw new Error('No WebRTC support')
  }
  const { mesh, a, b } = await meet({ rtcOfB: () => broken })
  const called = await failure(mesh, a.connect(b.id, ROOM))
  assert.is(called.code, 'RTC_FAILED')
  const caller = await failure(mesh, b.connect(a.id, ROOM))
  assert.is(caller.code, 'RTC_FAILED')
  assert.match(caller.message, /No WebRTC support/)
  await mesh.close()
})

test('a description over the bound is a typed failure on either side', async () => {
  const sdp = 'v'.repeat(MAX_SIGNAL_BYTES)
  const huge = (shared: MakeRtc): MakeRtc => {
    return (options) =>
      shared({
        ...options,
        onItem: (item) => options.onItem(item.kind === 'description' ? { ...item, sdp } : item),
      })
  }
  const { mesh, a, b } = await meet({ rtcOfB: huge })
  assert.is((await failure(mesh, b.connect(a.id, ROOM))).code, 'TOO_LARGE')
  assert.is((await failure(mesh, a.connect(b.id, ROOM))).code, 'TOO_LARGE')
  await mesh.close()
})

test('a closed edge rejects what is under way and what is asked of it', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = failure(mesh, a.connect(b.id, ROOM))
  await mesh.clock.advance(300)
  await a.close()
  assert.is((await calling).code, 'CLOSED')
  assert.is((await failure(mesh, a.connect(b.id, ROOM))).code, 'CLOSED')
  assert.is(mesh.clock.pending > 0, true)
  await mesh.close()
})

// --- strangers and nodes ---

test('a node’s word fails a pending attempt but never ends an open connection', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const { mesh, a, b } = met
  let opening: Uint8Array | undefined
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal && classOf(frame) === CLASS.open) opening = frame
    return [frame]
  }
  const word = () =>
    encodeControl(NETWORK, opening!, new SignalMeshError('PEER_UNKNOWN', ''), randomBytes(32))
  const first = a.connect(b.id, ROOM)
  // Before the called has said that it heard.
  await mesh.clock.advance(50)
  mesh.dials[0]!.far.send(word())
  assert.is((await failure(mesh, first)).code, 'PEER_UNKNOWN')
  const second = a.connect(b.id, ROOM)
  await mesh.clock.advance(300)
  bell.calls.at(-1)!.accept()
  await during(second, mesh.clock)
  for (let i = 0; i < 5; i++) mesh.dials[0]!.far.send(word())
  await assertConnected(met)
  await mesh.close()
})

test('whatever a stranger sends, an edge keeps its home and hears its friends', async () => {
  const met = await meet()
  const raw = await provenEdge(met.mesh, met.mesh.nodes[1]!)
  const fields = (cls: number, payload: Uint8Array) => ({
    class: cls,
    phase: cls === CLASS.open ? 0 : 1,
    from: raw.identity.keys.publicKey,
    to: fromHex(met.b.id),
    connection: randomBytes(16),
    counter: 0,
    payload,
  })
  const presence = raw.presence().bytes
  const block = (bytes: Uint8Array, rest = 0) =>
    Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes, ...randomBytes(rest))
  const forged = presence.slice()
  forged[forged.length - 1]! ^= 1
  const payloads = [new Uint8Array(0), randomBytes(3), randomBytes(500), block(presence)]
  payloads.push(block(presence, 96), block(presence, 300), block(forged, 96))
  for (const payload of payloads) {
    for (const cls of [CLASS.open, CLASS.within, 3, 4, 99]) {
      await raw.send(encodeSignal(NETWORK, fields(cls, payload)))
    }
  }
  await met.mesh.clock.advance(1000)
  assert.is(met.b.home.state, 'open')
  assert.is(met.mesh.dials.length, 3, 'nobody had to dial anew')
  await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await assertConnected(met)
  await met.mesh.close()
})

test('a stranger who knows the tag of a topic with a secret is not even asked about', async () => {
  const bell = doorbell()
  const topic = { name: 'den', secret: 'hush' }
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  for (const edge of [met.a, met.b]) await during(edge.advertise(topic), met.mesh.clock)
  const raw = await provenEdge(met.mesh, met.mesh.nodes[1]!)
  const looking = raw.request(EDGE_METHOD.lookup, fromHex(met.b.id))
  await met.mesh.clock.advance(0)
  const presence = decodePresence(looking())
  const call = async (tag: Uint8Array, key: Uint8Array): Promise<Uint8Array[]> => {
    const sealing = createSealing({
      networkId: NETWORK,
      initiator: true,
      connection: randomBytes(16),
      self: { key: raw.identity.keys.publicKey, boxKeys: raw.boxKeys },
      remote: { key: presence.peerKey, boxKey: presence.boxKey },
      tag,
      topicKey: () => key,
    })
    const offer: Item = { kind: 'description', generation: 0, type: 'offer', sdp: 'v=0' }
    const before = raw.ofKind(FRAME.signal).length
    await raw.send(
      sealing.sealOpening(raw.presence().bytes, encodePlain({ ack: 0, items: [offer] })),
    )
    await met.mesh.clock.advance(100)
    const answers = raw.ofKind(FRAME.signal).slice(before)
    for (const frame of answers) assert.equal(sealing.unseal(frame), new Uint8Array(0))
    return answers
  }
  const den = topicTag('test', topic)
  const [known] = await call(den, hashNames('topic-key', [den]))
  const [unknown] = await call(topicTag('test', 'elsewhere'), topicKey('test', 'elsewhere'))
  assert.is(known?.length, unknown?.length, 'the answer is the same as for any topic')
  assert.is(bell.calls.length, 0)
  const calling = met.a.connect(met.b.id, { topic })
  await met.mesh.clock.advance(500)
  assert.is(bell.calls[0]?.id, met.a.id)
  bell.calls[0]?.accept()
  assert.is((await during(calling, met.mesh.clock)).state, 'open')
  await met.mesh.close()
})

test('an opening that is replayed asks nobody again, neither by its home nor by a stranger', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const seen: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.signal && toOf(frame) === b.id) seen.push(frame)
    return [frame]
  }
  const calling = failure(mesh, a.connect(b.id, ROOM))
  await mesh.clock.advance(300)
  bell.calls[0]!.refuse('no')
  assert.is((await calling).code, 'REFUSED')
  const stranger = await provenEdge(mesh, mesh.nodes[1]!)
  for (const waitMs of [0, 20_000]) {
    await mesh.clock.advance(waitMs)
    for (const frame of [...seen]) {
      mesh.dials[1]!.far.send(frame)
      await stranger.send(frame)
    }
    await mesh.clock.advance(100)
  }
  assert.is(bell.calls.length, 1)
  assert.is(b.home.state, 'open')
  await mesh.close()
})

test('a stranger who knows a connection’s id cannot speak in it', async () => {
  const met = await meet()
  const frames: Uint8Array[] = []
  met.mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal) frames.push(frame)
    return [frame]
  }
  const calling = met.a.connect(met.b.id, ROOM)
  const stranger = await provenEdge(met.mesh, met.mesh.nodes[1]!)
  for (let i = 0; i < 60; i++) {
    for (const frame of frames.slice(0, 4)) {
      const forged = frame.slice()
      forged.set(randomBytes(forged.length - 144), 144)
      stranger.link.send(forged)
    }
    await met.mesh.clock.advance(1)
  }
  await during(calling, met.mesh.clock)
  await assertConnected(met)
  await met.mesh.close()
})

/** Two seeds, that of the lower PeerId first. */
function candidateFirst(shared: MakeRtc): MakeRtc {
  return (options) => {
    const held: Item[] = []
    return shared({
      ...options,
      onItem: (item) => {
        if (item.kind === 'description') held.push(item)
        else for (const one of [item, ...held.splice(0)]) options.onItem(one)
      },
    })
  }
}

function identities(): [Uint8Array, Uint8Array] {
  const [one, two] = [makeIdentity(), makeIdentity()]
  const inOrder = compare(one.keys.publicKey, two.keys.publicKey) < 0
  return inOrder ? [one.seed, two.seed] : [two.seed, one.seed]
}

/** What was reported to the page meanwhile. */
async function reporting<T>(fn: () => Promise<T>): Promise<{ result: T; reported: unknown[] }> {
  const reported: unknown[] = []
  const scope = globalThis as { reportError?: unknown }
  const before = scope.reportError
  scope.reportError = (error: unknown) => reported.push(error)
  try {
    return { result: await fn(), reported }
  } finally {
    scope.reportError = before
  }
}

test.run()
