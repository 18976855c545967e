/** A man in the middle of two nodes: every message of the handshake and every kind of frame behind it. */

import { asMeshError } from '../../src/errors.ts'
import { linkPair } from '../../src/link.ts'
import type { MeshNode } from '../../src/node.ts'
import { assert, suite } from '../harness/suite.ts'
import { during, testMesh } from '../support/mesh.ts'
import {
  type Line,
  lieInWait,
  type Meddle,
  meddled,
  TAMPERINGS,
  type Tampering,
  type Way,
} from './support/meddle.ts'
import { meet, reported } from './support/story.ts'

const test = suite('hostile links', { timeoutMs: 20_000 })
const passOn: Meddle = (frame, way, put) => put(way, frame)

type Scene = 'link' | 'record' | 'call' | 'stop'

/** Which frame it is: the how many-th of its scene that goes this way. What is sealed shows no more. */
const KINDS: Readonly<Record<string, readonly [Scene, Way, number]>> = {
  'first message of the handshake': ['link', 'up', 0],
  'second message of the handshake': ['link', 'down', 0],
  'third message of the handshake': ['link', 'up', 1],
  'multicast head': ['link', 'up', 2],
  'request for heads': ['link', 'up', 3],
  'answer with heads': ['link', 'down', 3],
  'multicast batch': ['record', 'down', 0],
  'signal on its way': ['call', 'up', 0],
  'answer on its way': ['call', 'down', 0],
  'goodbye of a node': ['stop', 'up', 0],
}

interface Attack {
  readonly kind: string
  readonly tampering: Tampering
  readonly always?: boolean
  /** Into another network, and not into another link of this one. */
  readonly abroad?: readonly Line[]
}

/** Two nodes with somebody between them, a third beside, and edges that meet over all of it. */
async function attacked({ kind, abroad, ...attack }: Attack): Promise<void> {
  const mesh = await testMesh(3, { linked: false })
  const [n0, n1, n2] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  const others: Line[] = []
  const counts: Record<Way, number> = { up: 0, down: 0 }
  let scene: Scene = 'link'
  let isOver = false
  const enter = (next: Scene): void => {
    scene = next
    counts.up = 0
    counts.down = 0
  }
  const [dueIn, dueWay, dueAt] = KINDS[kind] as readonly [Scene, Way, number]
  const meddle = lieInWait({
    ...attack,
    clock: mesh.clock,
    fits: (_frame, way) => {
      const at = counts[way]++
      return scene === dueIn && way === dueWay && (attack.always ? at >= dueAt : at === dueAt)
    },
    elsewhere: (frame, way) => {
      for (const line of abroad ?? others) line.put(way, frame)
    },
  })
  const errors = await reported(async () => {
    cable(n0, n1, meddle)
    cable(n2, n1, passOn, others)
    await mesh.clock.advance(12_000)
    enter('record')
    const b = await mesh.edge(n1, { topics: ['room'] })
    await mesh.clock.advance(1_000)
    const a = await mesh.edge(n0, { topics: ['room'] })
    await mesh.clock.advance(30_000)
    enter('call')
    const code = await during(
      a.connect(b.id, { topic: 'room' }).then(() => '', codeOf),
      mesh.clock,
    )
    assert.ok(['', 'HOME_UNREACHABLE', 'PEER_UNKNOWN', 'TIMEOUT'].includes(code), code)
    // The link is up again by then, if there is to be one.
    await mesh.clock.advance(2_000)
    if (!attack.always && code) await meet(mesh, a, b)
    await a.close()
    await mesh.clock.advance(20_000)
    if (!attack.always) assert.is(n1.health().mesh.edges, 1, 'nobody is made up, nobody is left')
    const c = await mesh.edge(n2, { topics: ['room'] })
    await mesh.clock.advance(1_000)
    await meet(mesh, c, b)
    enter('stop')
    isOver = true
    await n0.close()
    await mesh.clock.advance(40_000)
    assert.ok(meddle.hits() > 0, 'the attack took place')
    assert.equal(
      [n1, n2].map((node) => countsOf(node)),
      [
        { homes: 2, edges: 2 },
        { homes: 2, edges: 2 },
      ],
    )
  })
  assert.equal(errors, [])
  await mesh.close()

  /** A link between two nodes that is dialled again when it has ended, as a swarm does. */
  function cable(from: MeshNode, to: MeshNode, with_: Meddle, among: Line[] = []): void {
    const [left, right] = linkPair()
    const line = meddled(left, with_)
    among.push(line)
    from.addLink(line.link, { initiator: true, remoteAddress: '127.0.0.1' })
    to.addLink(right, { initiator: false, remoteAddress: '127.0.0.1' })
    void left.closed.then(() => {
      if (!isOver || from !== n0) mesh.clock.after(1_000, () => cable(from, to, with_, among))
    })
  }
}

const codeOf = (error: unknown): string => asMeshError(error).code
/** To what is sealed as a whole it is one and the same where it is altered. */
const SAME = ['with its last bit changed', 'made longer']

// A link that was tampered with ends, or nobody noticed; over the next all goes on.
for (const kind of Object.keys(KINDS)) {
  for (const [what, tampering] of Object.entries(TAMPERINGS)) {
    if (SAME.includes(what)) continue
    test(`${kind} ${what} costs that link at most`, () => attacked({ kind, tampering }))
  }
}

for (const kind of Object.keys(KINDS)) {
  for (const what of ['with its last bit changed', 'withheld']) {
    test(`every ${kind} ${what} parts these two nodes at most`, () =>
      attacked({ kind, tampering: TAMPERINGS[what] as Tampering, always: true }))
  }
}

for (const kind of Object.keys(KINDS)) {
  test(`${kind} played into another network ends that link at most, and links nobody`, async () => {
    const there = await testMesh(2, { network: 'another', linked: false })
    const [one, two] = there.nodes as [MeshNode, MeshNode]
    const [left, right] = linkPair()
    const line = meddled(left, passOn)
    one.addLink(line.link, { initiator: true, remoteAddress: '127.0.0.1' })
    two.addLink(right, { initiator: false, remoteAddress: '127.0.0.1' })
    await there.clock.advance(100)
    const tampering: Tampering = ({ frame, way, put, elsewhere }) => {
      elsewhere(frame)
      put(way, frame)
    }
    await attacked({ kind, tampering, abroad: [line] })
    await there.clock.advance(1_000)
    assert.equal(
      [one, two].map((node) => node.health().neighbours),
      [0, 0],
    )
    assert.equal(
      [one, two].map((node) => node.health().mesh.edges),
      [0, 0],
    )
    there.link(one, two)
    const edges = [
      await there.edge(one, { topics: ['room'] }),
      await there.edge(two, { topics: ['room'] }),
    ] as const
    await there.clock.advance(1_000)
    await meet(there, ...edges)
    await there.close()
  })
}

function countsOf(node: MeshNode): { homes: number; edges: number } {
  const { homes, edges } = node.health().mesh
  return { homes, edges }
}

test.run()
