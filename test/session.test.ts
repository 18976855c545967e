/** A session: what a node takes from an edge's socket, and how it refuses the rest. */

import { fromHex, writer } from '../src/bytes.ts'
import { boxKeyPair, randomBytes, sign } from '../src/crypto.ts'
import { makeIdentity } from '../src/identity.ts'
import {
  BUSY_RETRY_MS,
  EDGE_PROOF_MS,
  HEARTBEAT_MS,
  MAX_BUFFERED_BYTES,
  MAX_EDGES_PER_ADDRESS,
  MAX_FRAME_BYTES,
  MAX_SIGNAL_BYTES,
  MAX_SKEW_MS,
  MAX_TARGET_BUFFERED_BYTES,
  MAX_TOPICS_PER_EDGE,
  MAX_WATCHES_PER_EDGE,
  PONGS_BURST,
  REQUESTS_BURST,
  SIGNALS_BURST,
  SILENT_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import { decodeFound, FRAME, PING, PONG } from '../src/messages.ts'
import { createNode } from '../src/node.ts'
import { decodeAdvert, decodePresence } from '../src/records.ts'
import { EDGE_METHOD } from '../src/rpc.ts'
import { CLASS, classOf, encodeSignal, readControl } from '../src/signal.ts'
import { networkId, topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { memoryStore, type TestMesh, testMesh } from './support/mesh.ts'
import { codeOf, NETWORK, provenEdge, type RawEdge, rawEdge } from './support/rawedge.ts'

const test = suite('session')
const TAG = topicTag('test', 'room')

/** Runs the test beside an honest edge, and sees that this one noticed nothing of it. */
function beside(name: string, body: (mesh: TestMesh, honest: RawEdge) => Promise<void>): void {
  test(name, async () => {
    const mesh = await testMesh(1)
    const honest = await provenEdge(mesh, mesh.nodes[0]!, { remoteAddress: '192.0.2.77' })
    await body(mesh, honest)
    assert.not(honest.isClosed, 'the honest edge still has its session')
    const answer = honest.request(EDGE_METHOD.lookup, fromHex(honest.identity.id))
    await mesh.clock.advance(0)
    assert.is(decodePresence(answer()).peer, honest.identity.id)
    await mesh.close()
  })
}

/** Proves as told and gives the code of the refusal. */
async function refusal(
  mesh: TestMesh,
  make: (raw: RawEdge) => Uint8Array,
): Promise<string | undefined> {
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  await raw.send(make(raw))
  assert.equal(raw.ofKind(FRAME.welcome), [])
  assert.ok(raw.isClosed)
  assert.is(mesh.nodes[0]!.health().edges, 1)
  return raw.bye?.code
}

test('speaks first, and welcomes who proves its key', async () => {
  const mesh = await testMesh(1)
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  assert.is(raw.frames.length, 1)
  assert.equal(raw.hello.fields.versions, [1])
  assert.equal(raw.hello.fields.networks, [NETWORK])
  assert.is(mesh.nodes[0]!.health().edges, 0)
  await raw.send(raw.proof())
  assert.is(raw.ofKind(FRAME.welcome).length, 1)
  assert.is(mesh.nodes[0]!.health().edges, 1)
  await mesh.close()
})

beside('refuses another version by name', async (mesh) => {
  assert.is(await refusal(mesh, (raw) => raw.proof({ version: 2 })), 'VERSION_MISMATCH')
})

beside('refuses another network by name', async (mesh) => {
  const other = networkId('other')
  assert.is(await refusal(mesh, (raw) => raw.proof({ networkId: other })), 'NETWORK_MISMATCH')
})

beside('refuses a proof made for a home elsewhere on the internet', async (mesh) => {
  const authority = 'mesh.example:443'
  assert.is(await refusal(mesh, (raw) => raw.proof({ authority })), 'BAD_AUTHORITY')
})

test('answers only to the authorities of its public URLs where it has some', async () => {
  const mesh = await testMesh(0)
  const node = await createNode({
    network: 'test',
    runtime: { name: 'node', version: 'test' },
    store: memoryStore(),
    log: silentLog,
    clock: mesh.clock,
    publicUrls: ['https://mesh.example'],
  })
  mesh.adopt(node, 'http://127.0.0.1:6000')
  const local = await rawEdge(mesh, node)
  await local.send(local.proof({ authority: '127.0.0.1:6000' }))
  assert.is(local.bye?.code, 'BAD_AUTHORITY')
  const known = await rawEdge(mesh, node)
  await known.send(known.proof({ authority: 'mesh.example:443' }))
  assert.is(known.bye, undefined)
  await node.close()
})

beside('refuses a proof that was altered after signing', async (mesh) => {
  const alter = [
    { nonce: randomBytes(32) },
    { features: new Uint8Array(8).fill(1) },
    { peerKey: makeIdentity().keys.publicKey },
    { authority: '127.0.0.1:1' },
    { signature: randomBytes(64) },
  ]
  for (const after of alter) {
    assert.is(await refusal(mesh, (raw) => raw.proof({}, after)), 'BAD_SIGNATURE')
  }
})

beside('refuses a proof signed with another key than it names', async (mesh) => {
  const peerKey = makeIdentity().keys.publicKey
  assert.is(await refusal(mesh, (raw) => raw.proof({ peerKey })), 'BAD_SIGNATURE')
})

beside('refuses a proof that answered the challenge of another socket', async (mesh) => {
  const first = await rawEdge(mesh, mesh.nodes[0]!)
  const overheard = first.proof()
  await first.send(overheard)
  assert.is(first.bye, undefined)
  first.link.close()
  await mesh.clock.advance(0)
  assert.is(await refusal(mesh, () => overheard), 'BAD_SIGNATURE')
})

beside(
  'refuses records of another edge, or for another home, or that nobody signed',
  async (mesh) => {
    const stranger = makeIdentity()
    const other = await rawEdge(mesh, mesh.nodes[0]!, { identity: stranger })
    const forged = (raw: RawEdge) => {
      const presence = raw.presence()
      const bytes = presence.bytes.slice()
      bytes[bytes.length - 1]! ^= 1
      return decodePresence(bytes)
    }
    const proofs: ((raw: RawEdge) => Uint8Array)[] = [
      (raw) => raw.proof({ presence: other.presence() }),
      (raw) => raw.proof({ adverts: [other.advert(TAG)] }),
      (raw) => raw.proof({ presence: raw.presence({ homeKey: randomBytes(32) }) }),
      (raw) => raw.proof({ presence: forged(raw) }),
    ]
    for (const make of proofs) assert.is(await refusal(mesh, make), 'BAD_SIGNATURE')
  },
)

beside('refuses records from the future', async (mesh) => {
  const seq = mesh.clock.nowMs() + MAX_SKEW_MS + 1000
  assert.is(
    await refusal(mesh, (raw) => raw.proof({ presence: raw.presence({ seq }) })),
    'CLOCK_SKEW',
  )
  assert.is(
    await refusal(mesh, (raw) => raw.proof({ adverts: [raw.advert(TAG, { seq })] })),
    'CLOCK_SKEW',
  )
})

beside('answers a stale presence with the newer record', async (mesh, honest) => {
  const node = mesh.nodes[0]!
  const raw = await rawEdge(mesh, node, { identity: honest.identity })
  await raw.send(raw.proof({ presence: raw.presence({ seq: mesh.clock.nowMs() - 5000 }) }))
  assert.is(raw.bye?.code, 'STALE_RECORD')
  const newer = decodePresence(raw.bye?.evidence as Uint8Array)
  assert.equal(newer.boxKey, honest.boxKeys.publicKey)
  assert.ok(newer.seq > mesh.clock.nowMs() - 5000)
})

beside('closes a socket that proves nothing in time', async (mesh) => {
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  await mesh.clock.advance(EDGE_PROOF_MS - 1)
  assert.not(raw.isClosed)
  await mesh.clock.advance(1)
  assert.ok(raw.isClosed)
  assert.is(raw.bye?.code, 'TIMEOUT')
})

beside('closes a socket that asks before it has proved anything', async (mesh) => {
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  raw.request(EDGE_METHOD.discover, writer().bytes(TAG).u8(50).done())
  await mesh.clock.advance(0)
  assert.is(raw.bye?.code, 'BAD_FRAME')
  assert.equal(raw.ofKind(FRAME.rpc), [])
})

test('asks a silent edge for a sign of life, and lets it go when none comes', async () => {
  const mesh = await testMesh(1)
  const mute = await provenEdge(mesh, mesh.nodes[0]!)
  const alive = await provenEdge(mesh, mesh.nodes[0]!)
  const idle = await mesh.edge(mesh.nodes[0]!)
  alive.link.subscribe((frame) => frame[0] === FRAME.ping && alive.link.send(PONG))
  await mesh.clock.advance(SILENT_AFTER_MS + HEARTBEAT_MS)
  assert.ok(mute.isClosed)
  assert.not(alive.isClosed)
  assert.is(idle.home.state, 'open')
  assert.is(mesh.nodes[0]!.health().mesh.edges, 2)
  await mesh.close()
})

beside('ends a session for a frame of unknown kind, of no bytes, or of too many', async (mesh) => {
  for (const frame of [
    Uint8Array.of(99, 1, 2),
    new Uint8Array(0),
    new Uint8Array(MAX_FRAME_BYTES + 1).fill(FRAME.rpc),
    Uint8Array.of(FRAME.signal, 1),
    Uint8Array.of(FRAME.rpc, 1),
  ]) {
    const raw = await provenEdge(mesh, mesh.nodes[0]!)
    await raw.send(frame)
    assert.is(raw.bye?.code, 'BAD_FRAME')
    assert.ok(raw.isClosed)
  }
})

beside('refuses an unknown or broken request, and keeps the session', async (mesh) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const answers = [
    raw.request(99, new Uint8Array(0)),
    raw.request(EDGE_METHOD.advertise, Uint8Array.of(1, 2, 3)),
    raw.request(EDGE_METHOD.lookup, new Uint8Array(5)),
  ]
  await mesh.clock.advance(0)
  for (const answer of answers) assert.is(await codeOf(answer), 'BAD_FRAME')
  assert.not(raw.isClosed)
})

beside('takes at most so many topics of one edge', async (mesh) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const answers = Array.from({ length: MAX_TOPICS_PER_EDGE + 1 }, (_, i) => {
    const { bytes } = raw.advert(topicTag('test', `topic ${i}`))
    return raw.request(EDGE_METHOD.advertise, writer().block(bytes).done())
  })
  await mesh.clock.advance(0)
  for (const answer of answers.slice(0, -1)) answer()
  assert.is(await codeOf(answers.at(-1)!), 'TOO_MANY')
  assert.not(raw.isClosed)
})

beside('lets one edge watch at most so many topics', async (mesh) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const answers = Array.from({ length: MAX_WATCHES_PER_EDGE + 1 }, (_, i) =>
    raw.request(
      EDGE_METHOD.watch,
      writer()
        .bytes(topicTag('test', `topic ${i}`))
        .u8(1)
        .done(),
    ),
  )
  await mesh.clock.advance(0)
  for (const answer of answers.slice(0, -1)) answer()
  assert.is(await codeOf(answers.at(-1)!), 'TOO_MANY')
})

beside('takes at most so many sockets of one address, proved or not', async (mesh) => {
  const node = mesh.nodes[0]!
  const remoteAddress = '192.0.2.1'
  const first = await provenEdge(mesh, node, { remoteAddress })
  const links = Array.from({ length: MAX_EDGES_PER_ADDRESS - 1 }, () =>
    mesh.dial(`${mesh.urlOf(node)}/edge`, remoteAddress),
  )
  await mesh.clock.advance(0)
  const over = mesh.dial(`${mesh.urlOf(node)}/edge`, remoteAddress)
  const said: number[] = []
  over.subscribe((frame) => void said.push(frame[0] as number))
  await mesh.clock.advance(0)
  assert.equal(said, [FRAME.bye], 'it is not even challenged')
  await provenEdge(mesh, node, { remoteAddress: '192.0.2.2' })
  for (const link of links) link.close()
  await mesh.clock.advance(0)
  await provenEdge(mesh, node, { remoteAddress })
  assert.not(first.isClosed)
})

beside('refuses requests over the rate one by one, and takes more later', async (mesh) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const ask = () => raw.request(EDGE_METHOD.lookup, fromHex(raw.identity.id))
  const answers = Array.from({ length: REQUESTS_BURST + 5 }, ask)
  await mesh.clock.advance(0)
  const codes = await Promise.all(answers.map((answer) => codeOf(answer)))
  assert.is(codes.filter((code) => code === 'RATE_LIMITED').length, 5)
  assert.not(raw.isClosed)
  await mesh.clock.advance(1000)
  const later = ask()
  await mesh.clock.advance(0)
  assert.is(decodePresence(later()).peer, raw.identity.id)
})

beside('refuses signals over the rate with a word for each', async (mesh, honest) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  for (let i = 0; i < SIGNALS_BURST + 3; i++) raw.link.send(signalTo(raw, honest))
  await mesh.clock.advance(0)
  assert.is(honest.ofKind(FRAME.signal).length, SIGNALS_BURST)
  const words = raw.ofKind(FRAME.signal)
  assert.equal(
    words.map((frame) => [classOf(frame), readControl(frame).code]),
    Array(3).fill([CLASS.control, 'RATE_LIMITED']),
  )
  assert.ok(readControl(words[0]!).retryAfterMs > 0)
  assert.not(raw.isClosed)
})

beside('ends the session of an edge that goes on in spite of refusals', async (mesh, honest) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  for (let i = 0; i < 2 * SIGNALS_BURST + 1; i++) raw.link.send(signalTo(raw, honest))
  await mesh.clock.advance(0)
  assert.is(raw.bye?.code, 'RATE_LIMITED')
  assert.ok((raw.bye?.retryAfterMs ?? 0) > 0)
})

beside(
  'what others send ends no slow reader: they are told to send again',
  async (mesh, honest) => {
    const queue = { bytes: 0 }
    const slow = await provenEdge(slowly(mesh, queue), mesh.nodes[0]!)
    queue.bytes = 0
    const signal = new Uint8Array(MAX_SIGNAL_BYTES)
    const frames = Array.from({ length: 40 }, (_, counter) =>
      encodeSignal(NETWORK, {
        class: CLASS.within,
        phase: 2,
        from: honest.identity.keys.publicKey,
        to: slow.identity.keys.publicKey,
        connection: randomBytes(16),
        counter,
        payload: signal,
      }),
    )
    for (const frame of frames) await honest.send(frame)
    const words = honest.ofKind(FRAME.signal).map(readControl)
    assert.not(slow.isClosed)
    assert.ok(queue.bytes <= MAX_TARGET_BUFFERED_BYTES + MAX_FRAME_BYTES, `${queue.bytes}`)
    assert.is(slow.ofKind(FRAME.signal).length + words.length, frames.length)
    for (const word of words) {
      assert.equal([word.code, word.retryAfterMs], ['RATE_LIMITED', BUSY_RETRY_MS])
    }
    queue.bytes = 0
    await honest.send(frames.at(-1)!)
    assert.equal(slow.ofKind(FRAME.signal).at(-1)?.subarray(144), signal, 'sent again it arrives')
  },
)

beside('a socket that proves nothing and pings without end is answered seldom', async (mesh) => {
  const queue = { bytes: 0 }
  const raw = await rawEdge(slowly(mesh, queue), mesh.nodes[0]!)
  const before = raw.frames.length
  for (let i = 0; i < 10_000; i++) raw.link.send(PING)
  await mesh.clock.advance(0)
  assert.is(raw.frames.length - before, PONGS_BURST)
  queue.bytes = MAX_BUFFERED_BYTES + 1
  await raw.send(PING)
  assert.ok(raw.isClosed)
})

test('gives a second session of an edge the place of the first', async () => {
  const mesh = await testMesh(1)
  const identity = makeIdentity()
  const first = await provenEdge(mesh, mesh.nodes[0]!, { identity })
  first.request(
    EDGE_METHOD.advertise,
    writer()
      .block(first.advert(topicTag('test', 'of the first')).bytes)
      .done(),
  )
  await mesh.clock.advance(10)
  const second = await provenEdge(mesh, mesh.nodes[0]!, { identity })
  await mesh.clock.advance(0)
  assert.is(first.bye?.code, 'REPLACED')
  const proof = decodePresence(first.bye?.evidence as Uint8Array)
  assert.equal(proof.boxKey, second.boxKeys.publicKey, 'the newer record proves it')
  assert.not(second.isClosed)
  assert.is(mesh.nodes[0]!.health().edges, 1)
  assert.is(await total(mesh, second, 'of the first'), 0, 'topics of the first are gone')
  await mesh.close()
})

beside(
  'counts the records of one edge in all its sessions, and refuses what is over its rate',
  async (mesh) => {
    const node = mesh.nodes[0]!
    const identity = makeIdentity()
    let seq = mesh.clock.nowMs()
    const join = async (adverts: number): Promise<RawEdge> => {
      const raw = await rawEdge(mesh, node, { identity })
      const tags = Array.from({ length: adverts }, (_, i) => topicTag('test', `topic ${i}`))
      const presence = raw.presence({ seq: ++seq })
      await raw.send(raw.proof({ presence, adverts: tags.map((tag) => raw.advert(tag, { seq })) }))
      return raw
    }
    // All that it may sign at once: four times with all topics, but for two adverts.
    for (const adverts of [64, 64, 64]) assert.not((await join(adverts)).isClosed)
    const raw = await join(MAX_TOPICS_PER_EDGE - 2)
    const ask = async (method: number, record: { bytes: Uint8Array }) => {
      const answer = raw.request(method, writer().block(record.bytes).done())
      await mesh.clock.advance(0)
      return codeOf(answer)
    }
    const advert = () => raw.advert(TAG, { seq: ++seq })
    const TAKEN = 'nothing was thrown'
    assert.is(await ask(EDGE_METHOD.advertise, advert()), TAKEN)
    assert.is(await ask(EDGE_METHOD.renew, raw.presence({ seq: ++seq })), TAKEN)
    assert.is(await ask(EDGE_METHOD.advertise, advert()), 'RATE_LIMITED')
    assert.is(await ask(EDGE_METHOD.renew, raw.presence({ seq: ++seq })), 'RATE_LIMITED')
    const late = await join(0)
    assert.is(late.bye?.code, 'RATE_LIMITED')
    assert.ok((late.bye?.retryAfterMs ?? 0) > 0)
    const forger = await rawEdge(mesh, node, { identity })
    const forged = forger.advert(TAG).bytes.slice()
    forged[forged.length - 1]! ^= 1
    await forger.send(
      forger.proof({ presence: forger.presence({ seq: ++seq }), adverts: [decodeAdvert(forged)] }),
    )
    assert.is(forger.bye?.code, 'RATE_LIMITED', 'no signature is checked above the rate')
    assert.not(raw.isClosed, 'who was there stays')
    await mesh.clock.advance(1000)
    assert.is(await ask(EDGE_METHOD.renew, raw.presence({ seq: ++seq })), TAKEN)
  },
)

test('tells a session that another one is its edge now, at another home', async () => {
  const mesh = await testMesh(2)
  const identity = makeIdentity()
  const first = await provenEdge(mesh, mesh.nodes[0]!, { identity })
  await mesh.clock.advance(100)
  const second = await provenEdge(mesh, mesh.nodes[1]!, { identity })
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  assert.is(first.bye?.code, 'REPLACED')
  assert.equal(decodePresence(first.bye?.evidence as Uint8Array).boxKey, second.boxKeys.publicKey)
  assert.not(second.isClosed)
  for (const node of mesh.nodes) assert.is(node.health().mesh.edges, 1)
  await mesh.close()
})

test('tells the session that its edge has left behind that it moved', async () => {
  const mesh = await testMesh(2)
  const identity = makeIdentity()
  const left = await provenEdge(mesh, mesh.nodes[0]!, { identity })
  await mesh.clock.advance(100)
  const again = await rawEdge(mesh, mesh.nodes[1]!, { identity })
  await again.send(again.proof({ presence: again.presence({ boxKey: left.boxKeys.publicKey }) }))
  await mesh.clock.advance(HEARTBEAT_MS + 100)
  assert.is(left.bye?.code, 'MOVED')
  await mesh.close()
})

test('removes the records of an edge that says goodbye or just goes', async () => {
  const mesh = await testMesh(2)
  for (const leave of [
    (raw: RawEdge) => raw.link.send(Uint8Array.of(FRAME.bye)),
    (raw: RawEdge) => raw.link.close(),
  ]) {
    const raw = await rawEdge(mesh, mesh.nodes[0]!)
    await raw.send(raw.proof({ adverts: [raw.advert(TAG)] }))
    await mesh.clock.advance(100)
    assert.is(mesh.nodes[1]!.health().mesh.edges, 1)
    leave(raw)
    await mesh.clock.advance(100)
    for (const node of mesh.nodes) assert.is(node.health().mesh.edges, 0)
  }
  await mesh.close()
})

beside('does nothing more for a socket that it is closing', async (mesh, honest) => {
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  raw.link.send(
    raw.proof({ presence: raw.presence({ seq: mesh.clock.nowMs() + 10 * MAX_SKEW_MS }) }),
  )
  raw.link.send(raw.proof())
  raw.request(EDGE_METHOD.watch, writer().bytes(TAG).u8(1).done())
  raw.link.send(signalTo(raw, honest))
  await mesh.clock.advance(0)
  assert.equal(
    raw.frames.map((frame) => frame[0]),
    [FRAME.hello, FRAME.bye],
  )
  assert.equal(honest.ofKind(FRAME.signal), [])
  assert.is(mesh.nodes[0]!.health().edges, 1)
})

beside('stamps every signal with the key that its socket proved', async (mesh, honest) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  await raw.send(signalTo(honest, honest))
  const [got] = honest.ofKind(FRAME.signal)
  assert.equal(got?.subarray(16, 48), raw.identity.keys.publicKey)
})

beside('does not let an edge pass itself off as a node', async (mesh, honest) => {
  const raw = await provenEdge(mesh, mesh.nodes[0]!)
  const control = signalTo(raw, honest)
  control[2] = CLASS.control
  await raw.send(control)
  assert.is(raw.bye?.code, 'BAD_FRAME')
  assert.equal(honest.ofKind(FRAME.signal), [])
})

test('has no signature of one purpose taken for another', async () => {
  const mesh = await testMesh(1)
  const raw = await rawEdge(mesh, mesh.nodes[0]!)
  const { bytes } = raw.presence({ boxKey: boxKeyPair().publicKey })
  const signature = sign('advert', NETWORK, bytes.subarray(0, -64), raw.identity.keys)
  const forged = bytes.slice()
  forged.set(signature, bytes.length - 64)
  await raw.send(raw.proof({ presence: decodePresence(forged) }))
  assert.is(raw.bye?.code, 'BAD_SIGNATURE')
  await mesh.close()
})

function signalTo(from: RawEdge, to: RawEdge): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: 1,
    from: from.identity.keys.publicKey,
    to: to.identity.keys.publicKey,
    connection: randomBytes(16),
    counter: 0,
    payload: randomBytes(32),
  })
}

/** How many edges the node counts in a topic. */
async function total(mesh: TestMesh, asker: RawEdge, topic: string): Promise<number> {
  const body = writer().bytes(topicTag('test', topic)).u8(50).done()
  const answer = asker.request(EDGE_METHOD.discover, body)
  await mesh.clock.advance(0)
  return decodeFound(answer()).total
}

test.run()

/** A mesh whose next socket queues what the node sends, and drains when the test says so. */
function slowly(mesh: TestMesh, queue: { bytes: number }): TestMesh {
  const dial = (url: string): Link => {
    const [near, far] = linkPair()
    const accept = mesh.nodes[0]!.upgrade(new Request(url), { remoteAddress: '192.0.2.9' })
    if (typeof accept !== 'function') throw new Error('The node refused the socket')
    accept({
      ...far,
      closed: far.closed,
      send: (frame) => {
        queue.bytes += frame.length
        far.send(frame)
      },
      get bufferedBytes() {
        return queue.bytes
      },
    })
    return near
  }
  return { ...mesh, dial }
}
