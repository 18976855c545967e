/** Ringing: a called that goes is noticed soon, and one that only moves or thinks is not given up. */

import type { Connection, Edge } from '../src/edge/mod.ts'
import { HOME_EXPIRES_MS, RING_GONE_MS, RING_KNOCK_MS, RING_SILENT_MS } from '../src/limits.ts'
import { linkPair } from '../src/link.ts'
import { FRAME } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { doorbell, failure, mute, ROOM } from './support/meeting.ts'
import { during, type TestMesh, testMesh } from './support/mesh.ts'

const test = suite('ringing')

/** Everything under way, a resent knock and its answer. */
const SOON_MS = 3_000

interface Ring {
  readonly mesh: TestMesh
  readonly nodes: readonly [MeshNode, MeshNode, MeshNode]
  readonly caller: Edge
  readonly bell: ReturnType<typeof doorbell>
  readonly calling: Promise<Connection>
  /** Takes the called away as a closed page would go: its sockets end, and there are no new ones. */
  leave(): Promise<void>
}

/** A call that rings: the caller at the first of three nodes, the called at the second. */
async function ring(): Promise<Ring> {
  const mesh = await testMesh(3)
  const nodes = mesh.nodes as unknown as Ring['nodes']
  const bell = doorbell()
  let hasLeft = false
  const called = await mesh.edge(
    [nodes[1], nodes[2]],
    { onIncoming: bell.onIncoming },
    { dial: (url) => (hasLeft ? linkPair()[0] : mesh.dial(url)) },
  )
  const sockets = mesh.dials.length
  const caller = await mesh.edge([nodes[0], nodes[2]])
  await during(called.advertise('room'), mesh.clock)
  await mesh.clock.advance(1000)
  const calling = caller.connect(called.id, ROOM)
  calling.catch(() => undefined)
  await mesh.clock.advance(1000)
  assert.is(bell.calls.length, 1)
  const leave = async (): Promise<void> => {
    hasLeft = true
    for (const { link } of [...mesh.dials.slice(0, sockets), ...mesh.standbys]) link.close('left')
  }
  return { mesh, nodes, caller, bell, calling, leave }
}

/** Takes the call after so long and expects it to open. */
async function isTakenAfter({ mesh, bell, calling }: Ring, afterMs: number): Promise<void> {
  await mesh.clock.advance(afterMs)
  assert.not(bell.calls[0]!.signal.aborted)
  bell.calls[0]!.accept().catch(() => undefined)
  assert.is((await during(calling, mesh.clock)).state, 'open')
  assert.is(bell.calls.length, 1)
  await mesh.close()
}

async function failsWithin({ mesh, calling }: Ring, withinMs: number): Promise<string> {
  const startMs = mesh.clock.nowMs()
  const { code } = await failure(mesh, calling)
  const tookMs = mesh.clock.nowMs() - startMs
  assert.ok(tookMs < withinMs, `${tookMs} ms`)
  await mesh.close()
  return code
}

test('a called whose page is closed while it rings is noticed soon', async () => {
  const rings = await ring()
  await rings.leave()
  const code = await failsWithin(rings, RING_KNOCK_MS + RING_GONE_MS + SOON_MS)
  assert.is(code, 'PEER_UNKNOWN')
})

test('a called that goes with its home is noticed as soon as the mesh notices it', async () => {
  const rings = await ring()
  await rings.leave()
  rings.mesh.kill(rings.nodes[1])
  const code = await failsWithin(rings, HOME_EXPIRES_MS + SOON_MS)
  assert.ok(['PEER_UNKNOWN', 'HOME_UNREACHABLE', 'PEER_LEFT'].includes(code), code)
})

test('a called that falls silent while it rings is noticed', async () => {
  const rings = await ring()
  mute(rings.mesh, 1)
  const code = await failsWithin(rings, HOME_EXPIRES_MS + SOON_MS)
  assert.is(code, 'PEER_LEFT')
})

test('words of the called that come again are no sign of life', async () => {
  const rings = await ring()
  const { mesh, nodes } = rings
  const heard: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (way === 'down' && frame[0] === FRAME.signal) heard.push(frame.slice())
    return [frame]
  }
  await mesh.clock.advance(RING_KNOCK_MS)
  assert.ok(heard.length >= 2, `${heard.length} frames`)
  mute(mesh, 1)
  const { host } = new URL(mesh.urlOf(nodes[0]))
  const home = mesh.dials.filter(({ url }) => url.includes(host)).at(-1)!
  const replay = (): void => {
    for (const frame of heard) home.far.send(frame.slice())
    mesh.clock.after(1000, replay)
  }
  replay()
  assert.is(await failsWithin(rings, HOME_EXPIRES_MS + SOON_MS), 'PEER_LEFT')
})

test('a called that thinks for long is asked for a sign of life at the stated pace', async () => {
  const rings = await ring()
  let frames = 0
  rings.mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal) frames += 1
    return [frame]
  }
  await rings.mesh.clock.advance(10 * RING_KNOCK_MS)
  // A word and its acknowledgement, each time.
  assert.ok(frames >= 18 && frames <= 20, `${frames} frames`)
  await isTakenAfter(rings, 0)
})

test('a called that changes homes while it rings is not given up', async () => {
  const rings = await ring()
  rings.mesh.kill(rings.nodes[1])
  await isTakenAfter(rings, HOME_EXPIRES_MS + RING_KNOCK_MS)
})

test('a caller that changes homes while it rings does not give up, nor does the called', async () => {
  const rings = await ring()
  rings.mesh.kill(rings.nodes[0])
  await isTakenAfter(rings, HOME_EXPIRES_MS + RING_KNOCK_MS)
})

test('a called that the mesh does not find for a moment is not given up', async () => {
  const rings = await ring()
  const { mesh, nodes } = rings
  // Its home is gone for the mesh, and the called comes home elsewhere only some seconds later.
  const url = mesh.urlOf(nodes[1])
  mesh.kill(nodes[1])
  const away = mesh.urlOf(nodes[2])
  mesh.tap = (frame, way, at) => (at === url || (at === away && way === 'down') ? [] : [frame])
  await mesh.clock.advance(RING_KNOCK_MS)
  mesh.tap = undefined
  await isTakenAfter(rings, HOME_EXPIRES_MS)
})

test('a caller that slept asks once more before it gives up', async () => {
  const rings = await ring()
  const { mesh } = rings
  await mesh.clock.advance(RING_KNOCK_MS)
  mute(mesh, 1)
  await mesh.clock.advance(RING_KNOCK_MS)
  mesh.clock.skew(60_000)
  await mesh.clock.advance(RING_SILENT_MS - RING_KNOCK_MS)
  mesh.tap = undefined
  await isTakenAfter(rings, RING_KNOCK_MS)
})

test.run()
