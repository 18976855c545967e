/** A hostile edge that sends too much: too often, too many, too large, too deep. */

import { fromHex } from '../../src/bytes.ts'
import { randomBytes } from '../../src/crypto.ts'
import {
  MAX_CALLS,
  MAX_FRAME_BYTES,
  MAX_RECORD_BYTES,
  MAX_TOPICS_PER_EDGE,
  OPENS_BURST,
  OPENS_PER_SECOND,
  REQUESTS_BURST,
  SIGNALS_BURST,
} from '../../src/limits.ts'
import { FRAME, PING } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { CLASS } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { assert, suite } from '../harness/suite.ts'
import { during, testMesh } from '../support/mesh.ts'
import { provenEdge, type RawEdge } from '../support/rawedge.ts'
import { besides, ROOM } from './support/beside.ts'
import { asked, block, foundBy, opening, presenceAt, rawSignal, wordsTo } from './support/tools.ts'

const test = suite('hostile floods', { timeoutMs: 20_000 })
const beside = besides(test)
const TAG = topicTag('test', ROOM)

beside('ten thousand topics are no more than an edge may have', async ({ mesh, nodes, a }) => {
  const advertise = async (raw: RawEdge, count: number): Promise<number> => {
    const before = raw.ofKind(FRAME.rpc).length
    let bytes: Uint8Array = new Uint8Array(0)
    for (let i = 0; i < count; i++) {
      // Beyond what the rate lets through it is not read.
      if (i <= REQUESTS_BURST) bytes = raw.advert(randomBytes(32)).bytes
      raw.link.send(Uint8Array.of(FRAME.rpc, 0, 0, 0, 2, EDGE_METHOD.advertise, ...block(bytes)))
    }
    await mesh.clock.advance(0)
    return raw
      .ofKind(FRAME.rpc)
      .slice(before)
      .filter((frame) => frame[5] === 0).length
  }
  const hasty = await provenEdge(mesh, nodes[0]!)
  assert.ok((await advertise(hasty, 10_000)) <= MAX_TOPICS_PER_EDGE)
  assert.is(hasty.bye?.code, 'RATE_LIMITED')
  const patient = await provenEdge(mesh, nodes[0]!)
  let taken = 0
  for (let i = 0; i < 3; i++) {
    taken += await advertise(patient, REQUESTS_BURST)
    await mesh.clock.advance(10_000)
  }
  assert.is(taken, MAX_TOPICS_PER_EDGE)
  patient.link.close()
  await mesh.clock.advance(100)
  assert.is((await foundBy(mesh, a, ROOM)).length, 1)
})

for (const [what, flood] of Object.entries({
  'signals to a stranger': (raw: RawEdge) => rawSignal(raw, randomBytes(32)),
  'signals to an honest edge': (raw: RawEdge, to: Uint8Array) => rawSignal(raw, to),
  'openings that are none': (raw: RawEdge, to: Uint8Array) =>
    rawSignal(raw, to, { class: CLASS.open, phase: 0, payload: randomBytes(400) }),
  pings: () => PING,
  'frames of no kind': () => Uint8Array.of(99),
  requests: () => Uint8Array.of(FRAME.rpc, 0, 0, 0, 2, EDGE_METHOD.discover, ...TAG, 50),
  watches: () => Uint8Array.of(FRAME.rpc, 0, 0, 0, 2, EDGE_METHOD.watch, ...randomBytes(32), 50),
  'answers that nobody asked for': () => Uint8Array.of(FRAME.rpc, 0, 0, 0, 3, 0),
})) {
  beside(
    `a flood of ${what} ends with a refusal, and keeps no honest edge waiting`,
    async (scene) => {
      const { mesh, nodes, b } = scene
      const raw = await provenEdge(mesh, nodes[0]!)
      const before = raw.frames.length
      const most = 2 * (SIGNALS_BURST + REQUESTS_BURST + OPENS_BURST)
      for (let i = 0; i < most; i++) raw.link.send(flood(raw, fromHex(b.id)))
      const startMs = mesh.clock.nowMs()
      const caller = await mesh.edge(nodes[0]!, { topics: [ROOM] })
      await during(caller.connect(b.id, { topic: ROOM }), mesh.clock)
      assert.ok(mesh.clock.nowMs() - startMs < 1_000)
      scene.met.splice(scene.met.indexOf(caller.id), 1)
      assert.ok(raw.frames.length - before <= most, 'it is never answered with more than it sent')
      if (what !== 'pings' && what !== 'openings that are none') {
        assert.ok(['RATE_LIMITED', 'BAD_FRAME'].includes(raw.bye?.code ?? ''), raw.bye?.code)
      }
      if (what === 'openings that are none') assert.ok(wordsTo(raw).includes('RATE_LIMITED'))
      await caller.close()
      await mesh.clock.advance(1_000)
    },
  )
}

beside('what is too large is refused, wherever its size is said', async ({ mesh, nodes, b }) => {
  const large = (raw: RawEdge) => raw.advert(TAG, { info: new Uint8Array(200) }).bytes
  for (const [make, code] of [
    [() => new Uint8Array(MAX_FRAME_BYTES + 1).fill(FRAME.signal), 'BAD_FRAME'],
    [(raw: RawEdge) => grown(rawSignal(raw, fromHex(b.id)), 0x7fffffff), 'TOO_LARGE'],
    [(raw: RawEdge) => grown(rawSignal(raw, fromHex(b.id)), 47), 'BAD_FRAME'],
    [() => new Uint8Array(MAX_FRAME_BYTES).fill(255, 1), 'BAD_FRAME'],
  ] as const) {
    const raw = await provenEdge(mesh, nodes[0]!)
    await raw.send(make(raw))
    assert.is(raw.bye?.code, code)
  }
  const raw = await provenEdge(mesh, nodes[0]!)
  const advert = large(raw)
  const most = new Uint8Array(MAX_RECORD_BYTES + 1)
  most.set(advert)
  for (const body of [block(most), block(advert.slice(0, -1)), Uint8Array.of(255, 255, 1)]) {
    assert.is(await asked(mesh, raw, EDGE_METHOD.advertise, body), 'BAD_FRAME')
  }
  raw.link.close()
})

beside(
  'requests within requests and under used numbers are refused by name',
  async ({ mesh, nodes }) => {
    const raw = await provenEdge(mesh, nodes[0]!)
    let nested = Uint8Array.of(EDGE_METHOD.lookup)
    for (let i = 0; i < 2_000; i++)
      nested = Uint8Array.of(FRAME.rpc, 0, 0, 0, 2, ...nested.slice(0, 4_000))
    assert.is(await asked(mesh, raw, nested[0]!, nested), 'BAD_FRAME')
    const unused = Math.max(...Object.values(EDGE_METHOD)) + 1
    for (const method of [0, unused, 255]) {
      assert.is(await asked(mesh, raw, method, new Uint8Array(0)), 'BAD_FRAME')
    }
    const frame = Uint8Array.of(
      FRAME.rpc,
      0,
      0,
      0,
      8,
      EDGE_METHOD.lookup,
      ...raw.identity.keys.publicKey,
    )
    const answers = raw.ofKind(FRAME.rpc).length
    for (let i = 0; i < 3; i++) await raw.send(frame)
    assert.is(raw.ofKind(FRAME.rpc).length - answers, 3, 'one answer for each')
    raw.link.close()
  },
)

test('who calls without end rings in two places of the called, and others still get through', async () => {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  const ringing = new Set<AbortSignal>()
  const called = await mesh.edge(node, {
    topics: [ROOM],
    onIncoming: ({ signal }) => {
      ringing.add(signal)
      signal.addEventListener('abort', () => ringing.delete(signal))
    },
  })
  const raw = await provenEdge(mesh, node)
  const presence = await presenceAt(mesh, node, fromHex(called.id))
  for (let i = 0; i < MAX_CALLS; i++) {
    raw.link.send(opening(raw, presence, ROOM).frame)
    await mesh.clock.advance(1_000 / OPENS_PER_SECOND)
  }
  assert.is(ringing.size, 2)
  const honest = await mesh.edge(node)
  honest.connect(called.id, { topic: ROOM }).catch(() => undefined)
  await mesh.clock.advance(1_000)
  assert.is(ringing.size, 3)
  await mesh.close()
})

test.run()

/** The signal with another length in its header. */
function grown(frame: Uint8Array, payloadBytes: number): Uint8Array {
  new DataView(frame.buffer, frame.byteOffset).setUint32(132, payloadBytes)
  return frame
}
