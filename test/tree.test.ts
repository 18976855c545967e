/** The tree: each node gets each packet about once, and gets it whatever neighbours lose, withhold or claim. */

import { concat, fromHex, toHex, utf8 } from '../src/bytes.ts'
import { boxKeyPair, hash } from '../src/crypto.ts'
import { readPacket, writePacket } from '../src/gossip.ts'
import { secureLink } from '../src/handshake.ts'
import {
  DOUBT_MS,
  GRAFT_AFTER_MS,
  HAVE_AFTER_MS,
  HEARTBEAT_MS,
  HOME_EXPIRES_MS,
  MAX_MISSING_PER_NEIGHBOUR,
} from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { FRAME, PONG } from '../src/messages.ts'
import { encodeWord, readWord } from '../src/tree.ts'
import { codeOf } from './fixtures/errors.ts'
import { pick, seededRandom } from './fixtures/random.ts'
import { identityOf, NETWORK, START_MS, tagOf } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { fullMesh, type GossipNet, gossipNet, idAt, randomGraph } from './support/gossips.ts'
import { disagreements, type VirtualMesh, type VirtualNode, virtualMesh } from './support/nodes.ts'

/** A packet that its eager way withholds is here by then: told of, waited for, asked for. */
const REPAIRED_MS = 2 * HAVE_AFTER_MS + GRAFT_AFTER_MS

const test = suite('tree', { timeoutMs: 30_000 })

test('sends a packet nine times in a full mesh of ten, where the first was sent 81 times', async () => {
  const net = gossipNet(10, fullMesh(10))
  net.publish(0, 'first')
  await net.clock.advance(0)
  assert.is(net.packets(), 81, 'the flood, as @dxos/broadcast has it by itself')
  await net.settleTree()
  for (let node = 0; node < 10; node++) {
    net.sent.length = 0
    net.publish(node, `of-${node}`)
    await net.clock.advance(0)
    assert.is(net.packets(), 9)
    assert.is(net.holders(`of-${node}`).length, 10, 'and at once, not when somebody asks')
  }
})

for (const seed of [1, 2, 3]) {
  test(`sends a packet to each of 25 nodes once and at once, in random graph ${seed}`, async () => {
    const net = gossipNet(25, randomGraph(25, 50, seededRandom(seed)))
    await net.settleTree()
    for (let node = 0; node < 25; node++) {
      net.sent.length = 0
      net.publish(node, `of-${node}`)
      await net.clock.advance(0)
      assert.is(net.holders(`of-${node}`).length, 25)
      assert.is(net.packets(), 24)
    }
  })
}

test('cuts nobody off when all nodes speak for the first time at once', async () => {
  // Copies of packets with different origins would make links lazy until no way is left.
  const net = gossipNet(10, fullMesh(10))
  for (let node = 0; node < 10; node++) net.publish(node, `first-${node}`)
  await net.clock.advance(0)
  for (let node = 0; node < 10; node++) net.publish(node, `then-${node}`)
  await net.clock.advance(0)
  for (let node = 0; node < 10; node++) assert.is(net.holders(`then-${node}`).length, 10)
})

test('makes a new tree when a lower NodeId comes, and loses nothing on the way', async () => {
  const net = gossipNet(
    10,
    fullMesh(10).filter(([a]) => a > 0),
  )
  net.publish(1, 'of-the-old-root')
  await net.clock.advance(HEARTBEAT_MS)
  for (let node = 1; node < 10; node++) net.link(0, node)
  net.publish(0, 'of-the-new-root')
  net.publish(5, 'meanwhile')
  await net.clock.advance(0)
  assert.is(net.holders('of-the-new-root').length, 10)
  assert.is(net.holders('meanwhile').length, 10)
  await net.clock.advance(HEARTBEAT_MS)
  await net.settleTree()
  net.publish(5, 'then')
  await net.clock.advance(0)
  assert.equal([net.holders('then').length, net.packets()], [10, 9])
})

test('brings a packet that the eager way withholds, as soon as it was told of and waited for', async () => {
  const net = gossipNet(10, fullMesh(10))
  await net.settleTree()
  // All ways lead over the root, which passes nothing on.
  net.loses = ({ from, kind }) => from === 0 && kind === 'packet'
  net.publish(3, 'withheld')
  await net.clock.advance(GRAFT_AFTER_MS)
  assert.equal(net.holders('withheld'), [0, 3])
  await net.clock.advance(REPAIRED_MS - GRAFT_AFTER_MS)
  assert.is(net.holders('withheld').length, 10)
  net.publish(3, 'after')
  await net.clock.advance(0)
  assert.is(net.holders('after').length, 10, 'links that were asked stay eager')
})

test('lets a neighbour that is quicker than all others hide no home', async () => {
  // Node 1 passes on what it hears before anybody else does, so that all others become lazy.
  const net = gossipNet(10, fullMesh(10))
  net.delayMs = (from, to) => (from === 1 || to === 1 ? 1 : 20)
  for (let round = 0; round < 3; round++) {
    await net.settleTree()
    net.loses = ({ from, kind }) => from === 1 && kind === 'packet'
    net.publish(7, `hidden-${round}`)
    await net.clock.advance(REPAIRED_MS + 4 * 20)
    assert.is(net.holders(`hidden-${round}`).length, 10)
    net.loses = () => false
  }
})

test('is cut off by no prune: what is lazy everywhere still comes', async () => {
  const net = gossipNet(4, fullMesh(4))
  await net.settleTree()
  for (const node of [0, 1, 2]) net.nodes[node]?.receiveWord(encodeWord('prune'), idAt(3))
  net.publish(0, 'news')
  await net.clock.advance(0)
  assert.equal(net.holders('news'), [0, 1, 2], 'it did ask for that')
  await net.clock.advance(REPAIRED_MS)
  assert.is(net.holders('news').length, 4)
})

test('goes on at once over other links when an eager one is lost', async () => {
  const net = gossipNet(10, fullMesh(10))
  await net.settleTree()
  for (let node = 1; node < 10; node++) net.cut(0, node)
  await net.clock.advance(0)
  net.publish(4, 'after')
  await net.clock.advance(0)
  assert.is(net.holders('after').length, 9)
})

test('waits once for a neighbour that names packets and never sends them, and not again', async () => {
  const { net, arrivalMs } = await besideLiar()
  const first = await arrivalMs('first')
  assert.ok(first >= 2 * GRAFT_AFTER_MS, `${first}`)
  const second = await arrivalMs('second')
  assert.ok(second <= GRAFT_AFTER_MS + 2 * HAVE_AFTER_MS, `${second}`)
  await net.clock.advance(DOUBT_MS)
  await net.settleTree()
  assert.ok((await arrivalMs('third')) >= 2 * GRAFT_AFTER_MS, 'and it may have learned')
})

test('asks who broke its word where nobody else has the packet, and turns away when somebody has', async () => {
  const { net, arrivalMs, lie } = await besideLiar()
  await arrivalMs('first')
  net.sent.length = 0
  lie('second')
  await net.clock.advance(GRAFT_AFTER_MS + HAVE_AFTER_MS)
  assert.equal(askedBy(net, 0), [2])
  net.nodes[0]?.receiveWord(encodeWord('have', [idOf('second')]), idAt(1))
  assert.equal(askedBy(net, 0), [2, 1], 'without waiting for the first to answer')
})

test('asks for nothing that is here, and for no more than its bound, whatever a neighbour names', async () => {
  const net = gossipNet(3, fullMesh(3))
  await net.settleTree()
  net.publish(1, 'known')
  await net.clock.advance(0)
  net.nodes[0]?.receiveWord(encodeWord('have', [idOf('known')]), idAt(2))
  for (let i = 0; i < 50; i++) {
    const made = Array.from({ length: 100 }, (_, j) => idOf(`made-up-${i}-${j}`))
    net.nodes[0]?.receiveWord(encodeWord('have', made), idAt(2))
  }
  await net.clock.advance(HEARTBEAT_MS)
  const asked = net.sent.filter(({ from, kind }) => from === 0 && kind === 'graft')
  const ids = asked.flatMap(({ bytes }) => readWord(bytes).ids)
  assert.not.ok(ids.includes(idOf('known')))
  assert.is(ids.length, MAX_MISSING_PER_NEIGHBOUR)
  net.publish(1, 'then')
  await net.clock.advance(0)
  assert.is(net.holders('then').length, 3)
  await net.clock.advance(HAVE_AFTER_MS)
  assert.is(net.clock.pending, 0, 'and nothing goes on for it')
})

test('asks another neighbour for a packet that came when there was no time for it', async () => {
  const net = gossipNet(3, fullMesh(3))
  await net.settleTree()
  net.isBusy = (node, neighbour) => node === 2 && neighbour === 0
  net.publish(0, 'news')
  await net.clock.advance(0)
  assert.equal(net.holders('news'), [0, 1])
  await net.clock.advance(REPAIRED_MS)
  assert.equal(net.holders('news'), [0, 1, 2])
})

test('keeps the links over which a proof comes back from each who believes it', async () => {
  const net = gossipNet(5, fullMesh(5))
  await net.settleTree()
  net.prove(3, 'a-lie')
  await net.clock.advance(0)
  assert.is(net.holders('a-lie').length, 5)
  net.publish(3, 'then')
  await net.clock.advance(0)
  assert.is(net.holders('then').length, 5)
})

test('gives a packet to a neighbour that asks for it, once', async () => {
  const net = gossipNet(2, [[0, 1]])
  net.publish(0, 'news')
  const [{ bytes } = { bytes: new Uint8Array(0) }] = net.sent
  const id = readWord(encodeWord('graft', [hashOf(bytes)])).ids
  net.sent.length = 0
  for (let i = 0; i < 3; i++) net.nodes[0]?.receiveWord(encodeWord('graft', id), idAt(1))
  assert.is(net.packets(), 1)
  assert.equal(net.sent[0]?.bytes, bytes, 'the very bytes that @dxos/broadcast makes')
  assert.equal(writePacket(readPacket(bytes)), bytes)
})

test('says prune again when the first was lost, but not for each copy', async () => {
  const net = gossipNet(3, fullMesh(3))
  net.loses = ({ kind }) => kind === 'prune'
  net.publish(0, 'one')
  await net.clock.advance(0)
  const prunes = (): number => net.sent.filter(({ kind }) => kind === 'prune').length
  assert.is(prunes(), 2)
  const copies = net.sent.filter(({ kind, to }) => kind === 'packet' && to === 2)
  for (const { bytes, from } of copies) {
    if (from === 1) for (let i = 0; i < 9; i++) net.nodes[2]?.receive(bytes, idAt(1))
  }
  assert.is(prunes(), 2)
  await net.clock.advance(GRAFT_AFTER_MS)
  for (const { bytes, from } of copies) {
    if (from === 1) net.nodes[2]?.receive(bytes, idAt(1))
  }
  assert.is(prunes(), 3)
})

test('hears no word of who is no neighbour, and refuses words that are none', () => {
  const net = gossipNet(3, [[0, 1]])
  net.publish(0, 'news')
  net.sent.length = 0
  net.nodes[0]?.receiveWord(encodeWord('graft', [idOf('news')]), idAt(2))
  net.nodes[0]?.receiveWord(encodeWord('have', [idOf('other')]), idAt(2))
  assert.equal([net.sent.length, net.clock.pending], [0, 0])
  const refused = [[11], [11, 0], [11, 4], [11, 1], [11, 3, ...fromHex(idOf('a'))], [11, 2, 5]]
  for (const bytes of refused) {
    assert.is(
      codeOf(() => net.nodes[0]?.receiveWord(Uint8Array.from(bytes), idAt(1))),
      'BAD_FRAME',
      bytes.join(),
    )
  }
})

test('keeps the tree when a root falls silent, and makes another one after its time', async () => {
  const net = gossipNet(6, fullMesh(6))
  await net.settleTree()
  for (let node = 1; node < 6; node++) net.cut(0, node)
  await net.clock.advance(HOME_EXPIRES_MS + 1)
  net.publish(2, 'next-root')
  await net.clock.advance(0)
  net.publish(1, 'lower-root')
  await net.clock.advance(HEARTBEAT_MS)
  net.sent.length = 0
  net.publish(4, 'then')
  await net.clock.advance(0)
  assert.equal([net.holders('then').length, net.packets()], [5, 4])
})

test('keeps 25 nodes in one mind though links are cut and healed, the root is killed and neighbours are hostile', async () => {
  const random = seededRandom(11)
  const mesh = virtualMesh(25)
  const { clock, nodes } = mesh
  const cuts = randomGraph(25, 50, random).map(([a, b]) =>
    mesh.link(nodes[a] as VirtualNode, nodes[b] as VirtualNode),
  )
  const byId = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1))
  const [root, victim] = [byId[0], byId[24]] as [VirtualNode, VirtualNode]
  for (const number of [1, 2, 3]) {
    const around = Array.from({ length: 8 }, () => pick(nodes, random))
    await hostileBeside(mesh, new Set(around), { number, hides: victim.id })
  }
  await clock.advance(HEARTBEAT_MS)
  const living = (): VirtualNode[] => nodes.filter((node) => !dead.has(node))
  const dead = new Set<VirtualNode>()
  for (let step = 0; step < 30; step++) {
    const home = pick(living(), random)
    home.join(step, [tagOf(1)], { seq: START_MS + step })
    victim.join(100 + step, [tagOf(1)], { seq: START_MS + step })
    if (step === 15) {
      root.kill()
      dead.add(root)
    }
    if (step % 5 === 4) cuts.splice(Math.floor(random() * cuts.length), 1)[0]?.()
    await clock.advance(1_000)
    const hiding = living().filter(({ mesh: { directory } }) => {
      return !directory.locate(identityOf(100 + step).id, clock.nowMs())
    })
    assert.equal(hiding.length, 0, `step ${step}: all have heard of the victim’s new edge`)
    const [a, b] = [pick(living(), random), pick(living(), random)]
    if (step % 5 === 1 && a !== b) mesh.link(a, b)
  }
  await clock.advance(HOME_EXPIRES_MS + 3 * HEARTBEAT_MS)
  assert.is(disagreements(living()), 0)
  assert.is(victim.mesh.directory.homes.size, 24)
  mesh.stop()
})

test.run()

/**
 * A neighbour that is at once with everything but what one home says, so that others are made lazy
 * for it; that prunes whoever sends to it, and names packets that are not.
 */
async function hostileBeside(
  mesh: VirtualMesh,
  around: ReadonlySet<VirtualNode>,
  { number, hides }: { number: number; hides: string },
): Promise<void> {
  const identity = identityOf(2_000_000 + number)
  const links: Link[] = []
  for (const node of around) {
    const [near, far] = linkPair()
    void node.mesh.neighbours.add(far, { initiator: false, remoteAddress: '127.0.0.1' })
    const about = { initiator: true, identity, boxKeys: boxKeyPair(), networkId: NETWORK }
    const securing = secureLink(near, { ...about, clock: mesh.clock })
    await mesh.clock.advance(0)
    const { link } = await securing
    links.push(link)
    link.subscribe((frame) => {
      if (frame[0] === FRAME.ping) link.send(PONG)
      if (frame[0] !== FRAME.gossip) return
      link.send(encodeWord('prune'))
      link.send(encodeWord('have', [toHex(hash([frame]))]))
      const packet = readPacket(frame.subarray(1))
      if (toHex(packet.origin) === hides) return
      const again = writePacket({ ...packet, sender: identity.keys.publicKey })
      for (const other of links) {
        if (other !== link) other.send(concat(Uint8Array.of(FRAME.gossip), again))
      }
    })
  }
}

function hashOf(packet: Uint8Array): string {
  return toHex(readPacket(packet).seqno)
}

/** A number for a packet of which nobody has more than that. */
function idOf(text: string): string {
  return toHex(hash([utf8(`1 ${text}`)]))
}

function askedBy(net: GossipNet, node: number): number[] {
  return net.sent.filter(({ from, kind }) => from === node && kind === 'graft').map(({ to }) => to)
}

/**
 * Node 0 has two neighbours: of node 1 it hears by `have` alone, and node 2 names each packet before
 * that and sends none.
 */
async function besideLiar() {
  const net = gossipNet(3, [
    [0, 1],
    [0, 2],
  ])
  await net.settleTree()
  const lie = (text: string): void =>
    net.nodes[0]?.receiveWord(encodeWord('have', [idOf(text)]), idAt(2))
  /** How long after it was published a packet comes. */
  const arrivalMs = async (text: string): Promise<number> => {
    net.nodes[1]?.receiveWord(encodeWord('prune'), idAt(0))
    const startMs = net.clock.monotonicMs()
    lie(text)
    net.publish(1, text)
    while (!net.holders(text).includes(0) && net.clock.monotonicMs() - startMs < HEARTBEAT_MS) {
      await net.clock.advance(10)
    }
    return net.clock.monotonicMs() - startMs
  }
  return { net, lie, arrivalMs }
}
