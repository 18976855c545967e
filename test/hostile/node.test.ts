/** A hostile node with a key of its own and a proper link: what it can make a mesh believe, and lose. */

import { signBatch, signHead } from '../../src/batch.ts'
import { fromHex, toHex, writer } from '../../src/bytes.ts'
import { randomBytes } from '../../src/crypto.ts'
import {
  HEARTBEAT_MS,
  HOME_EXPIRES_MS,
  LINK_HANDSHAKE_MS,
  MAX_INCOMING_HANDSHAKES,
  NEW_HOMES_BURST,
  NEW_HOMES_PER_SECOND,
} from '../../src/limits.ts'
import { linkPair } from '../../src/link.ts'
import { decodeWelcome, FRAME } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { NODE_METHOD } from '../../src/rpc.ts'
import {
  forgedPresence,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from '../fixtures/samples.ts'
import { assert, suite } from '../harness/suite.ts'
import { gossipOf } from '../limits/ground.ts'
import { during, testMesh } from '../support/mesh.ts'
import { codeOf, provenEdge } from '../support/rawedge.ts'
import { besides, ROOM, type Scene } from './support/beside.ts'
import { DATA, hostileNode } from './support/hostilenode.ts'
import { foundBy } from './support/tools.ts'

const test = suite('hostile node', { timeoutMs: 20_000 })
const beside = besides(test, { network: 'main' })
const NOWHERE = { dhtKey: undefined, urls: [], vias: [] }

/** What each node has of the mesh, beside the two honest homes with an edge each. */
function extras({ nodes }: Scene): { homes: number; edges: number }[] {
  return nodes.map((node) => {
    const { homes, edges } = node.health().mesh
    return { homes: homes - 2, edges: edges - 2 }
  })
}
const NONE = [
  { homes: 0, edges: 0 },
  { homes: 0, edges: 0 },
]

for (const [what, contradict] of Object.entries({
  'two batches': (home: ReturnType<typeof testHome>) => {
    const fields = home.batches.at(-1)!
    return {
      kind: DATA.batch,
      signed: signBatch(NETWORK, home.identity.keys, { ...fields, ops: [] }),
    }
  },
  'two heads': (home: ReturnType<typeof testHome>) => {
    const head = home.log.head(NOWHERE)
    return {
      kind: DATA.head,
      signed: signHead(NETWORK, home.identity.keys, {
        ...head,
        beat: 1,
        edges: 9,
        stateHash: randomBytes(32),
      }),
    }
  },
})) {
  beside(`says two things of itself by ${what}, and is out of the whole mesh`, async (scene) => {
    const { mesh, nodes } = scene
    const home = testHome(50)
    const liar = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
    const first = home.change(put(presenceOf(identityOf(1), home.id)))
    liar.gossip(DATA.batch, first)
    liar.gossip(DATA.head, home.log.head(NOWHERE))
    await mesh.clock.advance(100)
    assert.equal(extras(scene), [
      { homes: 1, edges: 1 },
      { homes: 1, edges: 1 },
    ])
    const { kind, signed } = contradict(home)
    liar.gossip(kind, signed)
    await mesh.clock.advance(100)
    assert.equal(extras(scene), NONE)
    liar.gossip(DATA.head, home.log.head(NOWHERE))
    await mesh.clock.advance(1_000)
    assert.equal(extras(scene), NONE)
    liar.link.close()
  })
}

beside('erases nobody, and moves nobody to itself', async (scene) => {
  const { mesh, nodes, a, b } = scene
  const victim = {
    ...identityOf(1),
    id: b.id,
    keys: { ...identityOf(1).keys, publicKey: fromHex(b.id) },
  }
  const seq = mesh.clock.nowMs() + 1_000
  for (const ops of [
    [{ kind: 'remove-peer', peer: b.id, seq } as const],
    [{ kind: 'remove-advert', peer: b.id, tag: toHex(tagOf(1)), seq } as const],
    [put(forgedPresence(victim, identityOf(51).id, { seq }))],
    [put(forgedPresence(victim, nodes[1]!.id, { seq }))],
  ]) {
    const home = testHome(51, START_MS + scene.met.length)
    const liar = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
    liar.gossip(DATA.batch, home.change(...ops))
    await mesh.clock.advance(HEARTBEAT_MS)
    assert.equal(await foundBy(mesh, a, ROOM), [b.id])
    assert.is((await during(a.discover(ROOM), mesh.clock)).peers[0]?.home, nodes[1]!.id)
    liar.link.close()
    await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
  }
  assert.equal(extras(scene), NONE)
})

beside(
  'injects edges that nobody signed: it is out at the first audit, with all of them',
  async (scene) => {
    const { mesh, nodes } = scene
    const home = testHome(52)
    const forged = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
    for (let batch = 0; batch < 20; batch++) {
      const from = 1_000 + batch * 64
      const ops = Array.from({ length: 64 }, (_, i) =>
        put(forgedPresence(identityOf(from + i), home.id)),
      )
      forged.gossip(DATA.batch, home.change(...ops))
    }
    await mesh.clock.advance(100)
    assert.equal(extras(scene), NONE)
    forged.link.close()
  },
)

beside('invents homes: so many are heard of as the rate allows, and none stays', async (scene) => {
  const { mesh, nodes } = scene
  const liar = await hostileNode(mesh, nodes[0]!, { identity: identityOf(54) })
  const about = {
    epoch: START_MS,
    index: 0,
    beat: 1,
    headHash: new Uint8Array(32),
    edges: 0,
    contact: NOWHERE,
  }
  for (let i = 0; i < NEW_HOMES_BURST + 100; i++) {
    const { keys } = identityOf(10_000 + i)
    liar.gossip(DATA.head, signHead(NETWORK, keys, { ...about, stateHash: testState }))
    if (i % 500 === 499) await mesh.clock.advance(10)
  }
  for (const { homes } of extras(scene))
    assert.ok(homes > 0 && homes <= NEW_HOMES_BURST + NEW_HOMES_PER_SECOND, `${homes}`)
  liar.link.close()
  await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
  assert.equal(extras(scene), NONE)
})

beside('floods a node with all that it has: signals still pass', async (scene) => {
  const { mesh, nodes, a, b } = scene
  const home = testHome(55)
  const liar = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
  const frame = gossipOf(home.identity, DATA.batch, randomBytes(30_000))
  for (let i = 0; i < 1_000; i++) liar.link.send(frame)
  const again = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
  const head = home.log.head(NOWHERE)
  for (let i = 0; i < 5_000; i++) again.gossip(DATA.head, head)
  const request = writer().u8(FRAME.rpc).u32(2).u8(NODE_METHOD.heads).done()
  for (let i = 0; i < 2_000; i++) again.link.send(request)
  const startMs = mesh.clock.nowMs()
  const code = await codeOf(() => during(a.connect(b.id, { topic: 'elsewhere' }), mesh.clock))
  assert.is(code, 'NOT_ADVERTISED')
  assert.ok(mesh.clock.nowMs() - startMs < 1_000)
  again.link.close()
  await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
})

const testState = testHome(1).log.state.digest.hash()

for (const [what, answer] of Object.entries({
  rubbish: () => randomBytes(1_000),
  'nothing at all': () => new Uint8Array(0),
  'homes without end': () => endlessHomes(),
  'a snapshot that no home signed': (method: number) =>
    method === 1 ? endlessHomes() : writer().u8(2).u8(0).block(randomBytes(300)).done(),
  'batches of another home': (method: number) =>
    method === 1
      ? endlessHomes()
      : writer()
          .u8(1)
          .u8(1)
          .block(testHome(60).change(put(presenceOf(identityOf(3), identityOf(60).id))).bytes)
          .done(),
})) {
  beside(
    `serves ${what} to who pulls: nothing of it is believed, and it is asked no more`,
    async (scene) => {
      const { mesh, nodes } = scene
      let asked = 0
      const serve = (method: number): Uint8Array => {
        asked += 1
        return answer(method)
      }
      const liar = await hostileNode(mesh, nodes[0]!, { identity: identityOf(59), serve })
      await mesh.clock.advance(60_000)
      assert.ok(asked < 100, `asked ${asked} times`)
      assert.equal(extras(scene), NONE)
      liar.link.close()
    },
  )
}

/** A page of a made-up home, that says there is more. */
function endlessHomes(): Uint8Array {
  return writer()
    .u8(1)
    .bytes(identityOf(60).keys.publicKey)
    .u64(START_MS)
    .u64(3)
    .block(new Uint8Array(0))
    .done()
}

beside('plays a dead home’s words again: it stays dead', async (scene) => {
  const { mesh, nodes, a } = scene
  const home = testHome(61)
  const honest = await hostileNode(mesh, nodes[0]!, { identity: home.identity })
  const words = [
    home.change(put(presenceOf(identityOf(1), home.id))),
    home.log.head(NOWHERE),
  ] as const
  honest.gossip(DATA.batch, words[0])
  honest.gossip(DATA.head, words[1])
  await mesh.clock.advance(100)
  assert.is(extras(scene)[1]?.edges, 1)
  honest.link.close()
  await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS)
  assert.equal(extras(scene), NONE)
  for (const node of nodes) {
    const liar = await hostileNode(mesh, node, { identity: identityOf(62) })
    liar.gossip(DATA.batch, words[0])
    liar.gossip(DATA.head, words[1])
    await mesh.clock.advance(1_000)
    assert.equal(extras(scene), NONE)
    liar.link.close()
  }
  assert.is(a.home.state, 'open')
})

beside(
  'half a link, or a frame before its time, holds a place for five seconds at most',
  async (scene) => {
    const { mesh, nodes } = scene
    const [node] = nodes as [Scene['nodes'][number]]
    const ends: string[] = []
    const half = (frames: readonly Uint8Array[]): void => {
      const [near, far] = linkPair()
      void near.closed.then((reason) => ends.push(reason))
      node.addLink(far, { initiator: false, remoteAddress: '127.0.0.1' })
      for (const frame of frames) near.send(frame)
    }
    for (let i = 0; i < MAX_INCOMING_HANDSHAKES + 10; i++) half([])
    await mesh.clock.advance(0)
    assert.equal(ends, Array(10).fill('TOO_MANY'))
    await mesh.clock.advance(LINK_HANDSHAKE_MS)
    assert.is(ends.length, MAX_INCOMING_HANDSHAKES + 10)
    const gossip = gossipOf(identityOf(64), DATA.head, testHome(64).log.head(NOWHERE).bytes)
    for (const frames of [
      [gossip],
      [randomBytes(32), gossip],
      [new Uint8Array(0)],
      [randomBytes(65_536)],
    ])
      half(frames)
    await mesh.clock.advance(LINK_HANDSHAKE_MS)
    assert.is(ends.length, MAX_INCOMING_HANDSHAKES + 14)
    assert.equal(extras(scene), NONE)
    for (const frame of [
      Uint8Array.of(99),
      Uint8Array.of(FRAME.hello),
      Uint8Array.of(FRAME.proof, 1),
      new Uint8Array(0),
      Uint8Array.of(FRAME.gossip),
    ]) {
      const linked = await hostileNode(mesh, node, { identity: identityOf(64) })
      linked.link.send(frame)
      await mesh.clock.advance(10)
      assert.ok(linked.isClosed, `${frame[0]}`)
    }
  },
)

test('homes that all name one victim send an edge there no more often than one would', async () => {
  const mesh = await testMesh(8)
  const [node, honest, ...liars] = mesh.nodes as [MeshNode, MeshNode, ...MeshNode[]]
  for (const [i, liar] of liars.entries()) liar.setUrls([`https://victim.example/${i}`])
  await mesh.clock.advance(HEARTBEAT_MS)
  const edge = await provenEdge(mesh, node)
  const { otherHomes } = decodeWelcome(edge.ofKind(FRAME.welcome)[0] as Uint8Array)
  assert.is(otherHomes.length, 2)
  assert.ok(otherHomes.includes(mesh.urlOf(honest)))
  await mesh.close()
})

test.run()
