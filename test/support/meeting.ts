/** Two edges that meet in a room, and what tests of their calls ask of them. */

import type { Connection, Edge, Incoming, JoinOptions } from '../../src/edge/mod.ts'
import type { MakeRtc } from '../../src/edge/rtc.ts'
import { asMeshError, SignalMeshError } from '../../src/errors.ts'
import { FRAME } from '../../src/messages.ts'
import { assert } from '../harness/suite.ts'
import { during, type TestMesh, testMesh } from './mesh.ts'

export const ROOM = { topic: 'room' }

export interface Met {
  readonly mesh: TestMesh
  readonly a: Edge
  readonly b: Edge
  /** Connections as told by the edges' events. */
  readonly told: { readonly a: Connection[]; readonly b: Connection[] }
}

/** Two edges in one room, each at its own node. */
export async function meet(
  options: {
    a?: JoinOptions
    b?: JoinOptions
    delayMs?: number
    /** Two, unless there are to be more, at which nobody is at home. */
    nodes?: number
    rtcOfB?: (shared: MakeRtc) => MakeRtc
  } = {},
): Promise<Met> {
  const mesh = await testMesh(options.nodes ?? 2, { linked: false })
  for (const [i, node] of mesh.nodes.entries()) {
    for (const other of mesh.nodes.slice(i + 1)) mesh.link(node, other, options.delayMs)
  }
  await mesh.clock.advance(1000)
  const a = await mesh.edge(mesh.nodes[0]!, options.a)
  const ground = options.rtcOfB ? { makeRtc: options.rtcOfB(mesh.makeRtc) } : {}
  const b = await mesh.edge(mesh.nodes[1]!, options.b, ground)
  for (const edge of [a, b]) await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(1000)
  const told: Met['told'] = { a: [], b: [] }
  a.on('connection', (connection) => told.a.push(connection))
  b.on('connection', (connection) => told.b.push(connection))
  return { mesh, a, b, told }
}

/** Checks that the two hold one connection, the same, over which both are heard. */
export async function assertConnected({ mesh, a, b, told }: Met): Promise<void> {
  await mesh.clock.advance(15_000)
  for (const [own, other] of [
    [told.a, b],
    [told.b, a],
  ] as const) {
    assert.is(own.length, 1, 'one connection is told')
    assert.is(own[0]?.id, other.id)
    assert.is(own[0]?.state, 'open')
  }
  const heard: unknown[] = []
  for (const side of [told.a, told.b]) side[0]!.on('message', (data) => heard.push(data))
  await during(Promise.all([told.a[0]!.send('from a'), told.b[0]!.send('from b')]), mesh.clock)
  await mesh.clock.advance(10)
  assert.equal(heard.sort(), ['from a', 'from b'])
}

/** An `onIncoming` that leaves its calls to the test. */
export function doorbell(): { onIncoming: (call: Incoming) => void; calls: Incoming[] } {
  const calls: Incoming[] = []
  return { calls, onIncoming: (call) => void calls.push(call) }
}

export async function failure(mesh: TestMesh, calling: Promise<unknown>): Promise<SignalMeshError> {
  return during(
    calling.then(
      () => new SignalMeshError('INTERNAL', 'It did not fail'),
      (error: unknown) => asMeshError(error),
    ),
    mesh.clock,
  )
}

/** From now on the mesh carries no signal that the edges at this node send. */
export function mute(mesh: TestMesh, node: number): void {
  const from = mesh.urlOf(mesh.nodes[node]!)
  mesh.tap = (frame, way, url) =>
    way === 'up' && url === from && frame[0] === FRAME.signal ? [] : [frame]
}
