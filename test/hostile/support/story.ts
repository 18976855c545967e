/** A story that uses every kind of frame: two edges join, watch, meet, talk and part, and who may be on a line. */

import { settle } from '../../../src/clock.ts'
import type { Connection, Edge } from '../../../src/edge/mod.ts'
import { asMeshError, SignalMeshError } from '../../../src/errors.ts'
import type { Link } from '../../../src/link.ts'
import { FRAME } from '../../../src/messages.ts'
import type { MeshNode } from '../../../src/node.ts'
import { CLASS, classOf, isAckOf, phaseOf } from '../../../src/signal.ts'
import { assert } from '../../harness/suite.ts'
import { during, type TestMesh, testMesh } from '../../support/mesh.ts'
import { type Line, type Meddle, meddled, type Way } from './meddle.ts'

type Fits = (frame: Uint8Array, way: Way) => boolean

const of =
  (kind: number, due: Way): Fits =>
  (frame, way) =>
    frame[0] === kind && way === due
const signal =
  (due: Way, fits: (frame: Uint8Array) => boolean): Fits =>
  (frame, way) =>
    frame[0] === FRAME.signal && way === due && frame.length >= 144 && fits(frame)
const within =
  (phase: number, ack = false) =>
  (frame: Uint8Array): boolean =>
    classOf(frame) === CLASS.within && phaseOf(frame) === phase && isAckOf(frame) === ack

/** Every kind of frame on the socket of the edge that calls. */
export const KINDS: Readonly<Record<string, Fits>> = {
  hello: of(FRAME.hello, 'down'),
  proof: of(FRAME.proof, 'up'),
  welcome: of(FRAME.welcome, 'down'),
  request: of(FRAME.rpc, 'up'),
  'answer to a request': of(FRAME.rpc, 'down'),
  push: of(FRAME.push, 'down'),
  'opening signal': signal('up', (frame) => classOf(frame) === CLASS.open),
  'answering signal': signal('down', within(0)),
  'candidate under early keys': signal('up', within(1)),
  'signal under split keys': signal('up', within(2)),
  acknowledgement: signal('up', within(2, true)),
  'node’s word about a signal': signal('down', (frame) => classOf(frame) === CLASS.control),
  ping: of(FRAME.ping, 'up'),
  pong: of(FRAME.pong, 'down'),
  'goodbye of an edge': of(FRAME.bye, 'up'),
  'goodbye of a node': of(FRAME.bye, 'down'),
}

export interface Stage {
  readonly mesh: TestMesh
  /** The lines of edges that nobody meddles with. */
  readonly others: readonly Line[]
  /**
   * Tells the story with somebody on the caller's line: `told` when all came about as it should,
   * `LEFT_OUT` when a list named fewer than it counted, else the code of the first typed error.
   * Whatever should not come about fails the test.
   */
  tell(meddle: Meddle): Promise<string>
  /** Two edges in one room that nobody meddles with. */
  open(): Promise<[Edge, Edge]>
  /** Fails unless nothing is left behind and honest edges meet at each node that still runs. */
  isSound(): Promise<void>
  close(): Promise<void>
}

const passOn: Meddle = (frame, way, put) => put(way, frame)
const ROOM = 'room'

export async function stage(network = 'test'): Promise<Stage> {
  const mesh = await testMesh(2, { network, linked: false })
  const [n0, n1] = mesh.nodes as [MeshNode, MeshNode]
  const others: Line[] = []
  let [cable] = mesh.link(n0, n1)
  await mesh.clock.advance(100)
  let running: readonly MeshNode[] = [n0, n1]
  const edges: Edge[] = []

  const join = async (nodes: readonly MeshNode[], topic: string, meddle: Meddle, among: Line[]) => {
    const dial = (url: string): Link => {
      const line = meddled(mesh.dial(url), meddle)
      among.push(line)
      return line.link
    }
    const edge = await mesh.edge(nodes, { topics: [topic] }, { dial })
    edges.push(edge)
    return edge
  }
  const honest = (nodes: readonly MeshNode[], topic: string): Promise<Edge> =>
    join(nodes, topic, passOn, others)

  /** Calls where no signal can go; whatever comes of it, it is no connection. */
  const callInVain = async (a: Edge, b: Edge): Promise<void> => {
    cable.close('cut')
    await mesh.clock.advance(0)
    const code = await codeOf(mesh, a.connect(b.id, { topic: 'elsewhere' }))
    assert.ok(['HOME_UNREACHABLE', 'TIMEOUT', 'NO_HOME', 'NOT_ADVERTISED'].includes(code), code)
    cable = mesh.link(n0, n1)[0]
    await mesh.clock.advance(1_000)
  }

  const story = async (meddle: Meddle): Promise<string> => {
    await honest([n0], 'bystanders')
    const b = await honest([n1], 'bystanders')
    const a = await join([n0, n1], ROOM, meddle, [])
    const watched = watch(a)
    await mesh.clock.advance(100)
    await during(b.advertise(ROOM), mesh.clock)
    await mesh.clock.advance(100)
    await meet(mesh, a, b)
    await callInVain(a, b)
    await mesh.clock.advance(45_000)
    running = [n1]
    await n0.close()
    await mesh.clock.advance(15_000)
    const { peers, total } = await during(a.discover(ROOM), mesh.clock)
    // A record that is not what its edge signed is left out; whether that is the other's or this
    // edge's own, which stands in the list too, is chance.
    const isLeftOut = peers.length === 0
    if (!isLeftOut) assert.equal(peers, [{ id: b.id, home: n1.id, info: new Uint8Array(0) }])
    assert.is(total, 1, 'and it is told how many there are')
    if (watched.error) throw watched.error
    assert.equal([...watched.named], [b.id], 'the watch named who is there, and nobody else')
    await a.close()
    return isLeftOut ? 'LEFT_OUT' : 'told'
  }

  return {
    mesh,
    others,
    tell: async (meddle) => {
      try {
        return await story(meddle)
      } catch (error) {
        if (error instanceof SignalMeshError) return error.code
        throw error
      } finally {
        for (const edge of edges) await edge.close()
      }
    },
    open: async () => [await honest([n0], ROOM), await honest([n1], ROOM)],
    isSound: async () => {
      await mesh.clock.advance(1_000)
      for (const node of running) assert.is(node.health().edges, 0, 'no session is left behind')
      for (const node of running) {
        const [one, two] = [await honest([node], 'sound'), await honest([n1], 'sound')]
        await mesh.clock.advance(100)
        await meet(mesh, one, two, 'sound')
        await Promise.all([one.close(), two.close()])
      }
    },
    close: mesh.close,
  }
}

/** Connects; each side has to have the other, and hear just what the other says. */
export async function meet(mesh: TestMesh, a: Edge, b: Edge, topic = 'room'): Promise<void> {
  const told: Connection[] = []
  const off = b.on('connection', (connection) => void told.push(connection))
  const own = await during(a.connect(b.id, { topic }), mesh.clock)
  await mesh.clock.advance(500)
  off()
  assert.is(own.id, b.id)
  assert.equal(
    told.map(({ id }) => id),
    [a.id],
  )
  const [other] = told as [Connection]
  const heard: unknown[] = []
  for (const side of [own, other]) side.on('message', (data) => heard.push(data))
  await during(Promise.all([own.send('from a'), other.send('from b')]), mesh.clock)
  await mesh.clock.advance(2_000)
  assert.equal(heard.sort(), ['from a', 'from b'])
}

/** Whom a watch of the edge has ever named, and why it ended, if it did. */
function watch(edge: Edge): { readonly named: ReadonlySet<string>; readonly error?: unknown } {
  const named = new Set<string>()
  const watched: { readonly named: Set<string>; error?: unknown } = { named }
  const read = async (): Promise<void> => {
    for await (const { id } of edge.watch(ROOM)) named.add(id)
  }
  read().catch((error: unknown) => (watched.error = error))
  return watched
}

/** The code with which it fails; a connection to nobody would be `connected`. */
async function codeOf(mesh: TestMesh, calling: Promise<unknown>): Promise<string> {
  return during(
    calling.then(
      () => 'connected',
      (error: unknown) => asMeshError(error).code,
    ),
    mesh.clock,
  )
}

/** What an application would be shown of exceptions that nobody expected. */
export async function reported(body: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = []
  const scope = globalThis as { reportError?: unknown }
  const before = scope.reportError
  scope.reportError = (error: unknown) => errors.push(error)
  try {
    await body()
    await settle()
  } finally {
    scope.reportError = before
  }
  return errors
}
