/** A hostile edge: a key of its own, every frame that it likes, and the records of others that anybody can ask for. */

import { compare, concat, fromHex, writer } from '../../src/bytes.ts'
import { randomBytes, sign } from '../../src/crypto.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { makeIdentity } from '../../src/identity.ts'
import { CONNECT_TIMEOUT_MS, HEARTBEAT_MS, MAX_SKEW_MS } from '../../src/limits.ts'
import { silentLog } from '../../src/log.ts'
import { decodeFound, FRAME } from '../../src/messages.ts'
import { createNode } from '../../src/node.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS, classOf, encodeControl, fromOf, stamp, toOf } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { assert, suite } from '../harness/suite.ts'
import { during, memoryStore } from '../support/mesh.ts'
import { codeOf, NETWORK, provenEdge, type RawEdge, rawEdge } from '../support/rawedge.ts'
import { besides, ROOM } from './support/beside.ts'
import { asked, block, foundBy, opening, presenceAt, rawSignal } from './support/tools.ts'

const test = suite('hostile edge', { timeoutMs: 20_000 })
const beside = besides(test)
const TAG = topicTag('test', ROOM)

beside(
  'takes no PeerId with the records that anybody may ask for',
  async ({ mesh, nodes, a, b }) => {
    const spy = await provenEdge(mesh, nodes[0]!)
    const asking = spy.request(EDGE_METHOD.discover, writer().bytes(TAG).u8(50).done())
    await mesh.clock.advance(0)
    const { presence, advert } = decodeFound(asking()).found.find(
      (one) => one.presence.peer === b.id,
    )!
    const stolen = { peerKey: presence.peerKey, presence }
    for (const prove of [
      (raw: RawEdge) => raw.proof({ presence, adverts: [advert] }),
      (raw: RawEdge) => raw.proof(stolen),
      (raw: RawEdge) => raw.proof({}, stolen),
      (raw: RawEdge) => raw.proof({ adverts: [advert] }),
    ]) {
      const thief = await rawEdge(mesh, nodes[0]!)
      await thief.send(prove(thief))
      assert.is(thief.bye?.code, 'BAD_SIGNATURE')
    }
    const { advertise, renew, unadvertise } = EDGE_METHOD
    assert.is(await asked(mesh, spy, advertise, block(advert.bytes)), 'BAD_SIGNATURE')
    assert.is(await asked(mesh, spy, renew, block(presence.bytes)), 'BAD_SIGNATURE')
    await asked(mesh, spy, unadvertise, TAG)
    spy.link.close()
    await mesh.clock.advance(HEARTBEAT_MS)
    assert.equal(await foundBy(mesh, a, ROOM), [b.id], 'whose topic it could not give up either')
  },
)

beside('a challenge passed on from home to home is signed for the other name', async ({ mesh }) => {
  const about = { network: 'test', runtime: { name: 'node', version: 'test' } as const }
  const honest = await createNode({
    ...about,
    store: memoryStore(),
    log: silentLog,
    clock: mesh.clock,
    publicUrls: ['https://honest.example'],
  })
  mesh.adopt(honest, 'http://honest.example')
  // Whoever dials Mallory is joined straight through to the honest node.
  const dial = () => mesh.dial('http://honest.example/edge')
  const joining = mesh.edge(honest, { urls: ['https://mallory.example'] }, { dial })
  assert.is(await codeOf(() => joining), 'BAD_AUTHORITY')
  const direct = await mesh.edge(honest, { urls: ['https://honest.example'] }, { dial })
  assert.is(direct.home.nodeId, honest.id, 'under its own name the same way works')
  await direct.close()
})

beside('a proof serves once, at its socket alone', async ({ mesh, nodes }) => {
  const victim = await rawEdge(mesh, nodes[0]!)
  const proof = victim.proof()
  await victim.send(proof)
  for (const node of nodes) {
    const thief = await rawEdge(mesh, node)
    await thief.send(proof)
    assert.is(thief.bye?.code, 'BAD_SIGNATURE')
  }
  await victim.send(proof)
  assert.is(victim.bye?.code, 'BAD_FRAME', 'not even there again')
})

beside('a word in a node’s name goes nowhere', async ({ mesh, nodes, a, b }) => {
  const sent: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.signal && classOf(frame) === CLASS.control)
      sent.push(frame)
    return [frame]
  }
  const calling = a.connect(b.id, { topic: 'elsewhere' })
  for (const code of ['PEER_UNKNOWN', 'MOVED', 'GOING_AWAY'] as const) {
    const raw = await provenEdge(mesh, nodes[1]!)
    const about = rawSignal(raw, raw.identity.keys.publicKey)
    about.set(fromHex(a.id), 16)
    await raw.send(
      encodeControl(NETWORK, about, new SignalMeshError(code, ''), fromHex(nodes[1]!.id)),
    )
    assert.is(raw.bye?.code, 'BAD_FRAME')
  }
  assert.is(await codeOf(() => during(calling, mesh.clock)), 'NOT_ADVERTISED', 'b’s own answer')
  assert.equal(sent, [])
  mesh.tap = undefined
})

beside('signals thrown back at their sender make no connection', async ({ mesh, nodes, a }) => {
  const mirror = await rawEdge(mesh, nodes[1]!)
  await mirror.send(mirror.proof({ adverts: [mirror.advert(TAG)] }))
  await mesh.clock.advance(100)
  mirror.link.subscribe((frame) => {
    if (frame[0] !== FRAME.signal || classOf(frame) === CLASS.control) return
    for (const cls of [CLASS.open, CLASS.within]) {
      const back = frame.slice()
      back.set(frame.subarray(16, 48), 48)
      back.set(frame.subarray(48, 80), 16)
      back[2] = cls
      mirror.link.send(back)
    }
  })
  const code = await codeOf(() =>
    during(a.connect(mirror.identity.id, { topic: ROOM }), mesh.clock),
  )
  assert.is(code, 'TIMEOUT')
  mirror.link.close()
})

beside(
  'who wins a glare and then is silent costs the other one attempt, in its time',
  async (scene) => {
    const { mesh, nodes, a } = scene
    let identity = makeIdentity()
    while (compare(identity.keys.publicKey, fromHex(a.id)) > 0) identity = makeIdentity()
    const raw = await rawEdge(mesh, nodes[1]!, { identity })
    await raw.send(raw.proof({ adverts: [raw.advert(TAG)] }))
    const presence = await presenceAt(mesh, nodes[0]!, fromHex(a.id))
    await mesh.clock.advance(100)
    const calling = codeOf(() => during(a.connect(identity.id, { topic: ROOM }), mesh.clock))
    const startMs = mesh.clock.nowMs()
    await mesh.clock.advance(5)
    for (let i = 0; i < 20; i++) await raw.send(opening(raw, presence, ROOM).frame)
    assert.is(await calling, 'TIMEOUT')
    assert.ok(mesh.clock.nowMs() - startMs <= CONNECT_TIMEOUT_MS + 1_000)
    raw.link.close()
    await mesh.clock.advance(2 * CONNECT_TIMEOUT_MS)
  },
)

beside('another’s first message, sent again under one’s own name, asks nobody', async (scene) => {
  const { mesh, nodes, a, b } = scene
  const wire: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal && toOf(frame) === b.id) wire.push(frame.slice())
    return [frame]
  }
  const caller = await mesh.edge(nodes[0]!, { topics: [ROOM] })
  await during(caller.connect(b.id, { topic: ROOM }), mesh.clock)
  scene.met.splice(scene.met.indexOf(caller.id), 1)
  mesh.tap = undefined
  await caller.close()
  await mesh.clock.advance(1_000)
  for (const node of nodes) {
    const raw = await provenEdge(mesh, node)
    for (const frame of wire) {
      const own = frame.slice()
      own.set(randomBytes(16), 112)
      for (const one of [frame, own]) {
        stamp(one, fromHex(nodes[0]!.id), 1)
        await raw.send(one)
      }
    }
    await mesh.clock.advance(500)
    assert.not(
      raw
        .ofKind(FRAME.signal)
        .some((frame) => fromOf(frame) === b.id && classOf(frame) !== CLASS.control),
    )
    raw.link.close()
  }
  assert.is(a.home.state, 'open')
})

beside(
  'a number far in the future is refused, and wins nothing within the skew',
  async ({ mesh, nodes }) => {
    const raw = await rawEdge(mesh, nodes[0]!)
    for (const aheadMs of [MAX_SKEW_MS + 1, 86_400_000, 2 ** 52]) {
      const liar = await rawEdge(mesh, nodes[0]!)
      await liar.send(
        liar.proof({ presence: liar.presence({ seq: mesh.clock.nowMs() + aheadMs }) }),
      )
      assert.ok(['CLOCK_SKEW', 'BAD_FRAME'].includes(liar.bye?.code ?? ''), liar.bye?.code)
    }
    const seq = mesh.clock.nowMs() + MAX_SKEW_MS
    await raw.send(raw.proof({ presence: raw.presence({ seq }) }))
    const asks = block(raw.presence({ seq: seq + 86_400_000 }).bytes)
    assert.is(await asked(mesh, raw, EDGE_METHOD.renew, asks), 'CLOCK_SKEW')
    raw.link.close()
  },
)

beside('two sessions of one stolen seed end with one, after few dials', async ({ mesh, nodes }) => {
  const seed = makeIdentity().seed
  const first = await mesh.edge([...nodes], { identity: seed })
  const ended: string[] = []
  first.on('error', ({ code }) => ended.push(code))
  const dialled = mesh.dials.length
  const second = await mesh.edge([...nodes].reverse(), { identity: seed })
  second.on('error', ({ code }) => ended.push(code))
  await mesh.clock.advance(120_000)
  assert.equal(ended, ['REPLACED'])
  assert.ok(mesh.dials.length - dialled <= 4, `${mesh.dials.length - dialled} dials`)
  assert.equal([first.home.state, second.home.state].sort(), ['closed', 'open'])
  await second.close()
})

beside(
  'an extension that nobody knows is kept and passed on, a critical one is refused',
  async ({ mesh, nodes }) => {
    for (const [type, isTaken] of [
      [1, true],
      [127, true],
      [128, false],
      [255, false],
    ] as const) {
      const raw = await rawEdge(mesh, nodes[0]!)
      const { keys, id } = raw.identity
      // The empty area and the signature give way to others.
      const body = concat(raw.presence().bytes.slice(0, -66), block(Uint8Array.of(type, 2, 7, 7)))
      const bytes = concat(body, sign('presence', NETWORK, body, keys))
      await raw.send(raw.proof({ presence: { ...raw.presence(), bytes } }))
      assert.is(raw.bye?.code, isTaken ? undefined : 'BAD_FRAME', `${type}`)
      await mesh.clock.advance(100)
      if (isTaken) assert.equal((await presenceAt(mesh, nodes[1]!, fromHex(id))).bytes, bytes)
      raw.link.close()
      await mesh.clock.advance(100)
    }
  },
)

test.run()
