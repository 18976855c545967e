/** A hostile home: it lies to its own edge about who is there, what became of signals, and the edge itself. */

import { fromHex, utf8 } from '../../src/bytes.ts'
import { boxKeyPair, randomBytes } from '../../src/crypto.ts'
import type { HomeStatus } from '../../src/edge/mod.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { type Identity, makeIdentity } from '../../src/identity.ts'
import { CONNECT_TIMEOUT_MS } from '../../src/limits.ts'
import {
  decodeFound,
  encodeBye,
  encodeFound,
  encodePush,
  type Found,
  FRAME,
} from '../../src/messages.ts'
import { decodePresence, signAdvert, signPresence } from '../../src/records.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS, classOf, encodeControl, stamp } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { assert, suite } from '../harness/suite.ts'
import { during } from '../support/mesh.ts'
import { codeOf, NETWORK } from '../support/rawedge.ts'
import { besides, ROOM, type Scene } from './support/beside.ts'
import { keyOf, lies, say } from './support/hostilehome.ts'
import { foundBy, presenceAt } from './support/tools.ts'

const test = suite('hostile home', { timeoutMs: 20_000 })
const urls = ['http://127.0.0.1:5000', 'http://127.0.0.1:5001']
const beside = besides(test, { a: { urls } })
const TAG = topicTag('test', ROOM)

/** Records of an edge that there is not, as they would be if it were. */
function recordsOf(scene: Scene, identity: Identity, tag = TAG): Found {
  const { mesh, nodes } = scene
  const about = { seq: mesh.clock.nowMs(), ttlMs: 7_200_000 }
  const home = { homeKey: keyOf(nodes[1]!), boxKey: boxKeyPair().publicKey }
  return {
    presence: signPresence(NETWORK, identity.keys, { ...about, ...home }),
    advert: signAdvert(NETWORK, identity.keys, { ...about, tag, info: new Uint8Array(0) }),
  }
}

/** The same records under another’s name, which that one did not sign. */
function forged({ presence, advert }: Found, peer: string): Found {
  const rename = (bytes: Uint8Array): Uint8Array => {
    const out = bytes.slice()
    out.set(fromHex(peer), 1)
    return out
  }
  return {
    presence: decodePresence(rename(presence.bytes)),
    advert: { ...advert, bytes: rename(advert.bytes) },
  }
}

beside('names nobody who did not sign, in this topic, and nobody twice', async (scene) => {
  const { mesh, nodes, a, b } = scene
  const [stranger, ghost] = [makeIdentity(), makeIdentity()]
  const elsewhere = recordsOf(scene, stranger, topicTag('test', 'elsewhere'))
  const own = recordsOf(scene, ghost)
  for (const lie of [
    (truth: Found) => [truth, truth, truth],
    (truth: Found) => [truth, forged(truth, ghost.id)],
    (truth: Found) => [truth, elsewhere],
    (truth: Found) => [truth, { presence: truth.presence, advert: elsewhere.advert }],
    (truth: Found) => [truth, { presence: own.presence, advert: truth.advert }],
    (truth: Found) => [{ presence: own.presence, advert: elsewhere.advert }, truth],
  ]) {
    lies(mesh, nodes[0]!, {
      answer: (method, _body, truth) => {
        if (method !== EDGE_METHOD.discover) return undefined
        const known = decodeFound(truth).found.find(({ presence }) => presence.peer === b.id)!
        return encodeFound({ total: 0xffffffff, found: lie(known) })
      },
    })
    assert.equal(await foundBy(mesh, a, ROOM), [b.id])
  }
  lies(mesh, nodes[0]!, { answer: () => encodeFound({ total: 0, found: [] }) })
  assert.equal(await foundBy(mesh, a, ROOM), [], 'it can keep others from an edge, no more')
  mesh.tap = undefined
})

beside(
  'answers a look-up with another’s, a forged or an old presence: nobody is reached by it',
  async (scene) => {
    const { mesh, nodes, a, b } = scene
    const c = await mesh.edge(nodes[1]!, { topics: [ROOM] })
    await mesh.clock.advance(100)
    const [ofB, old] = [
      await presenceAt(mesh, nodes[1]!, fromHex(b.id)),
      await presenceAt(mesh, nodes[1]!, fromHex(c.id)),
    ]
    await c.close()
    await mesh.clock.advance(1_000)
    const altered = old.bytes.slice()
    altered[80] = altered[80]! ^ 1
    for (const [lie, codes] of [
      [ofB.bytes, ['BAD_SIGNATURE']],
      [altered, ['BAD_SIGNATURE']],
      [utf8('nonsense'), ['BAD_FRAME']],
      // An old presence of who has left: the call finds nobody, and ends by name.
      [old.bytes, ['PEER_UNKNOWN', 'TIMEOUT']],
    ] as const) {
      lies(mesh, nodes[0]!, {
        answer: (method) => (method === EDGE_METHOD.lookup ? lie : undefined),
      })
      const code = await codeOf(() => during(a.connect(c.id, { topic: ROOM }), mesh.clock))
      assert.ok((codes as readonly string[]).includes(code), code)
    }
    mesh.tap = undefined
  },
)

beside(
  'pushes joins and leaves that are none: no join is believed, no connection ends',
  async (scene) => {
    const { mesh, nodes, a, b } = scene
    const joins: string[] = []
    const stop = new AbortController()
    const read = async (): Promise<void> => {
      for await (const change of a.watch(ROOM, { signal: stop.signal })) {
        if (change.kind === 'join') joins.push(change.id)
      }
    }
    const reading = read().catch(() => undefined)
    await mesh.clock.advance(100)
    const ghost = recordsOf(scene, makeIdentity())
    const elsewhere = recordsOf(scene, makeIdentity(), topicTag('test', 'elsewhere'))
    for (const found of [
      forged(ghost, makeIdentity().id),
      elsewhere,
      { presence: ghost.presence, advert: elsewhere.advert },
    ]) {
      say(mesh, nodes[0]!, encodePush({ tag: TAG, found }))
    }
    say(mesh, nodes[0]!, encodePush({ tag: TAG, peer: fromHex(b.id) }))
    await mesh.clock.advance(1_000)
    assert.is(scene.connection.state, 'open')
    stop.abort()
    await mesh.clock.advance(10)
    await reading
    assert.equal(joins, [b.id])
  },
)

beside(
  'says REPLACED without the newer presence: the edge goes elsewhere, as itself',
  async (scene) => {
    const { mesh, nodes, a } = scene
    const states: HomeStatus[] = []
    a.on('home', (status) => states.push(status))
    const old = await presenceAt(mesh, nodes[1]!, fromHex(a.id))
    const other = recordsOf(scene, makeIdentity()).presence
    for (const evidence of [undefined, old.bytes, other.bytes, utf8('nonsense')]) {
      const lie = new SignalMeshError('REPLACED', 'A lie', evidence ? { evidence } : {})
      const at = nodes.find(({ id }) => id === a.home.nodeId)!
      say(mesh, at, encodeBye(lie))
      await mesh.clock.advance(20_000)
      assert.is(a.home.state, 'open')
    }
    assert.not(states.some(({ state }) => state === 'closed'))
  },
)

beside('says that signals went nowhere, before and after the answer', async (scene) => {
  const { mesh, nodes, a } = scene
  for (const code of [
    'PEER_UNKNOWN',
    'HOME_UNREACHABLE',
    'MOVED',
    'GOING_AWAY',
    'RATE_LIMITED',
    'BAD_FRAME',
  ] as const) {
    const c = await mesh.edge(nodes[1]!, { topics: [ROOM] })
    await mesh.clock.advance(100)
    lies(mesh, nodes[0]!, {
      frame: (frame, way) => {
        if (way !== 'up' || frame[0] !== FRAME.signal) return [frame]
        const lie = new SignalMeshError(code, 'A lie', { retryAfterMs: 0xffffffff })
        say(mesh, nodes[0]!, encodeControl(NETWORK, frame, lie, keyOf(nodes[0]!)))
        return [frame]
      },
    })
    const startMs = mesh.clock.nowMs()
    const told = await codeOf(() => during(a.connect(c.id, { topic: ROOM }), mesh.clock))
    assert.ok([code, 'nothing was thrown'].includes(told), told)
    assert.ok(mesh.clock.nowMs() - startMs <= CONNECT_TIMEOUT_MS)
    mesh.tap = undefined
    await c.close()
    await mesh.clock.advance(5_000)
    while (scene.met.includes(c.id)) scene.met.splice(scene.met.indexOf(c.id), 1)
  }
})

for (const [what, change] of Object.entries({
  'are dropped': () => [],
  'are kept, and acknowledged by itself': (frame: Uint8Array) => [asAck(frame)],
  'come back with other senders': (frame: Uint8Array) => [swapped(frame, 16, 48)],
  'name the home as the sender of all': (frame: Uint8Array, home: Uint8Array) => {
    stamp(frame, home, 2)
    frame.set(home, 16)
    return [frame]
  },
  'name another connection': (frame: Uint8Array) => {
    frame.set(randomBytes(16), 112)
    return [frame]
  },
})) {
  beside(`an edge whose signals ${what} is told TIMEOUT, and met by nobody`, async (scene) => {
    const { mesh, nodes, a } = scene
    const c = await mesh.edge(nodes[1]!, { topics: [ROOM] })
    await mesh.clock.advance(100)
    lies(mesh, nodes[0]!, {
      frame: (frame, way) => {
        const isSignal = frame[0] === FRAME.signal && classOf(frame) !== CLASS.control
        if (!isSignal || way === 'up') return [frame]
        return change(frame, keyOf(nodes[0]!))
      },
    })
    const code = await codeOf(() => during(a.connect(c.id, { topic: ROOM }), mesh.clock))
    assert.is(code, 'TIMEOUT')
    mesh.tap = undefined
    await c.close()
    await mesh.clock.advance(1_000)
  })
}

beside(
  'changes fromHome of what it delivers: it is sealed for others, so nothing comes of it',
  async (scene) => {
    const { mesh, nodes, a } = scene
    const c = await mesh.edge(nodes[1]!, { topics: [ROOM] })
    await mesh.clock.advance(100)
    lies(mesh, nodes[0]!, {
      frame: (frame) => {
        if (frame[0] === FRAME.signal) stamp(frame, randomBytes(32), 2)
        return [frame]
      },
    })
    const connection = await during(a.connect(c.id, { topic: ROOM }), mesh.clock)
    assert.is(connection.id, c.id)
    mesh.tap = undefined
    await mesh.clock.advance(1_000)
    await c.close()
    await mesh.clock.advance(1_000)
    scene.met.splice(scene.met.indexOf(c.id), 1)
  },
)

test.run()

function asAck(frame: Uint8Array): Uint8Array {
  const ack = frame.slice()
  ack[3] = 1
  ack[5] = 2
  return ack
}

function swapped(frame: Uint8Array, one: number, two: number): Uint8Array {
  const out = frame.slice()
  out.set(frame.subarray(two, two + 32), one)
  out.set(frame.subarray(one, one + 32), two)
  return out
}
