/** A hostile node among those that forward: it makes up signals, words about them, and ways to itself. */

import { fromHex } from '../../src/bytes.ts'
import { randomBytes } from '../../src/crypto.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS } from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { CLASS, encodeControl, encodeSignal, fromOf, stamp } from '../../src/signal.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from '../fixtures/samples.ts'
import { assert, suite } from '../harness/suite.ts'
import { during } from '../support/mesh.ts'
import { codeOf } from '../support/rawedge.ts'
import { besides, ROOM, type Scene } from './support/beside.ts'
import { DATA, hostileNode } from './support/hostilenode.ts'

const test = suite('hostile forwarder', { timeoutMs: 20_000 })
const beside = besides(test, { network: 'main' })
const NOWHERE = { dhtKey: undefined, urls: [], vias: [] }

/** What comes to an edge when a hostile node sends this to its home. */
async function arrivals(
  { mesh, nodes, b }: Scene,
  number: number,
  make: (liar: Uint8Array) => readonly Uint8Array[],
): Promise<number> {
  let came = 0
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.signal) came += 1
    return [frame]
  }
  const liar = await hostileNode(mesh, nodes[1]!, { identity: identityOf(number) })
  for (const frame of make(liar.identity.keys.publicKey)) liar.link.send(frame)
  await mesh.clock.advance(1_000)
  mesh.tap = undefined
  liar.link.close()
  await mesh.clock.advance(10)
  assert.ok(b.home.state === 'open')
  return came
}

beside(
  'speaks for an edge of another home, by any header: not one signal arrives',
  async (scene) => {
    const { a, b, nodes } = scene
    const signal = (
      changes: Partial<Parameters<typeof encodeSignal>[1]>,
      home: Uint8Array,
      hops: number,
    ) => {
      const fields = {
        class: CLASS.within,
        phase: 1,
        counter: 0,
        connection: randomBytes(16),
        payload: randomBytes(64),
      }
      const frame = encodeSignal(NETWORK, {
        ...fields,
        from: fromHex(a.id),
        to: fromHex(b.id),
        ...changes,
      })
      stamp(frame, home, hops)
      return frame
    }
    const came = await arrivals(scene, 56, (liar) =>
      [liar, fromHex(nodes[0]!.id), fromHex(nodes[1]!.id), randomBytes(32)].flatMap((home) =>
        [0, 1, 2, 3, 255].flatMap((hops) =>
          [1, 2, 3, 4, 6, 255].map((cls) => signal({ class: cls }, home, hops)),
        ),
      ),
    )
    assert.is(came, 0)
  },
)

for (const [what, knows] of [
  ['as an outsider', false],
  ['although it knows their connection', true],
] as const) {
  beside(
    `makes up words about signals of others ${what}: it fails one attempt at most`,
    async (scene) => {
      const { mesh, nodes, a, b } = scene
      const liar = await hostileNode(mesh, nodes[0]!, { identity: identityOf(57) })
      let lies = 0
      mesh.tap = (frame, way) => {
        if (way === 'down' || frame[0] !== FRAME.signal || fromOf(frame) !== a.id) return [frame]
        lies += 1
        const about = frame.slice()
        if (!knows) about.set(randomBytes(16), 112)
        for (const by of [liar.identity.keys.publicKey, fromHex(nodes[1]!.id)]) {
          const lie = new SignalMeshError('HOME_UNREACHABLE', '')
          liar.link.send(encodeControl(NETWORK, about, lie, by))
        }
        return [frame]
      }
      const call = () => codeOf(() => during(a.connect(b.id, { topic: 'elsewhere' }), mesh.clock))
      const code = await call()
      assert.ok(lies > 0)
      // Who has sat on the signal’s way could have dropped it as well; nobody else can know its id.
      if (!knows || code !== 'HOME_UNREACHABLE') assert.is(code, 'NOT_ADVERTISED', 'b’s own answer')
      mesh.tap = undefined
      assert.is(await call(), 'NOT_ADVERTISED')
      liar.link.close()
    },
  )
}

beside(
  'answers MOVED for ever: the sender is told in its time, and few frames go',
  async (scene) => {
    const { mesh, nodes, a } = scene
    const home = testHome(58)
    const liar = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
    const there = identityOf(7)
    liar.gossip(
      DATA.batch,
      home.change(put(presenceOf(there, home.id)), put(advertOf(there, tagOf(1)))),
    )
    await mesh.clock.advance(100)
    let signals = 0
    liar.link.subscribe((frame) => {
      if (frame[0] !== FRAME.signal) return
      signals += 1
      const evidence = presenceOf(there, signals % 2 ? nodes[1]!.id : home.id, {
        seq: START_MS + signals,
      }).bytes
      const moved = new SignalMeshError('MOVED', '', { evidence })
      liar.link.send(encodeControl(NETWORK, frame, moved, home.identity.keys.publicKey))
    })
    const code = await codeOf(() => during(a.connect(there.id, { topic: ROOM }), mesh.clock))
    assert.ok(['TIMEOUT', 'PEER_UNKNOWN', 'HOME_UNREACHABLE'].includes(code), code)
    assert.ok(signals > 0 && signals < 64, `${signals} signals`)
    liar.link.close()
    await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
  },
)

beside('names another node’s key as its own: who dials it there reaches neither', async (scene) => {
  const { mesh, nodes, a } = scene
  const [n0, n1] = [nodes[0]!, nodes[1]!]
  const dialled: string[] = []
  const swarm = (key: number) => ({
    dhtKey: new Uint8Array(32).fill(key),
    connect: (to: Uint8Array) => {
      dialled.push(`${key} to ${to[0]}`)
      if (to[0] === 2) mesh.link(n0, n1)
    },
    forget: () => undefined,
    close: async () => undefined,
  })
  n0.useSwarm(swarm(1))
  n1.useSwarm(swarm(2))
  const home = testHome(63)
  const liar = await hostileNode(mesh, n0, { identity: home.identity })
  const there = identityOf(8)
  liar.gossip(DATA.batch, home.change(put(presenceOf(there, home.id))))
  liar.gossip(DATA.head, home.log.head({ ...NOWHERE, dhtKey: new Uint8Array(32).fill(2) }))
  await mesh.clock.advance(100)
  liar.link.close()
  await mesh.clock.advance(10)
  const before = { ...n1.health().signals }
  const code = await codeOf(() => during(a.connect(there.id, { topic: ROOM }), mesh.clock))
  assert.is(code, 'HOME_UNREACHABLE')
  assert.equal(dialled, ['1 to 2'])
  assert.equal({ ...n1.health().signals }, before)
  await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
})

test.run()
