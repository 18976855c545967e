/** Cases of what edges may have at their home: places, topics, watches, answers, times of records. */

import { toHex, writer } from '../../src/bytes.ts'
import { settle } from '../../src/clock.ts'
import { randomBytes } from '../../src/crypto.ts'
import { makeIdentity } from '../../src/identity.ts'
import { EDGE_RECORDS_BURST } from '../../src/limits.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { decodeFound, decodeWelcome, FRAME } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { readControl } from '../../src/signal.ts'
import { topicTag } from '../../src/topic.ts'
import { tagOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { type TestMesh, testMesh } from '../support/mesh.ts'
import { provenEdge, type RawEdge, rawEdge } from '../support/rawedge.ts'
import { type Cases, caps, refuses, TAKEN } from './case.ts'
import { craftAdvert } from './craft.ts'
import { asked, beside, signalTo } from './ground.ts'

const ROOM = topicTag('test', 'room of many')

export const atHome: Cases = {
  MAX_TOPICS_PER_EDGE: refuses('TOO_MANY', (count) =>
    beside(async ({ mesh, node }) => {
      const raw = await provenEdge(mesh, node)
      const put = (i: number): Promise<string> => {
        const { bytes } = raw.advert(tagOf(i))
        return asked(mesh, raw, EDGE_METHOD.advertise, writer().block(bytes).done())
      }
      for (let i = 1; i < count; i++) assert.is(await put(i), TAKEN)
      const outcome = await put(count)
      assert.is(await put(1), TAKEN, 'what it has it may sign again')
      return outcome
    }),
  ),
  EDGE_RECORDS_BURST: refuses('RATE_LIMITED', (count) =>
    beside(async ({ mesh, node }) => recordsOf(mesh, node)(count)),
  ),
  EDGE_RECORDS_PER_SECOND: refuses('RATE_LIMITED', (count) =>
    beside(async ({ mesh, node }) => {
      const put = recordsOf(mesh, node)
      assert.is(await put(EDGE_RECORDS_BURST), TAKEN)
      await mesh.clock.advance(1000)
      return put(count)
    }),
  ),
  MAX_WATCHES_PER_EDGE: refuses('TOO_MANY', (count) =>
    beside(async ({ mesh, node }) => {
      const raw = await provenEdge(mesh, node)
      const watch = (i: number): Promise<string> =>
        asked(mesh, raw, EDGE_METHOD.watch, writer().bytes(tagOf(i)).u8(1).done())
      for (let i = 1; i < count; i++) assert.is(await watch(i), TAKEN)
      return watch(count)
    }),
  ),
  MAX_DISCOVER: caps(async (count) => {
    const mesh = await room(count)
    const asker = await provenEdge(mesh, mesh.nodes[0] as MeshNode)
    const answer = asker.request(EDGE_METHOD.discover, writer().bytes(ROOM).u8(255).done())
    await mesh.clock.advance(0)
    const { found, total } = decodeFound(answer())
    assert.is(total, count)
    await mesh.close()
    return `${found.length}`
  }),
  MAX_SAMPLE: caps(async (count) => {
    const mesh = await room(count)
    const raw = await named(mesh, `?t=${toHex(ROOM)}`)
    const [sample] = raw.hello.fields.topics
    assert.is(sample?.total, count)
    await mesh.close()
    return `${sample?.found.length}`
  }),
  MAX_NAMED_TOPICS: refuses('BAD_FRAME', (count) =>
    beside(async ({ mesh, node }) => {
      const tags = Array.from({ length: count }, (_, i) => `t=${toHex(tagOf(i))}`)
      const url = `${mesh.urlOf(node)}/edge?${tags.join('&')}`
      const answer = node.upgrade(new Request(url), { remoteAddress: '192.0.2.1' })
      if (typeof answer === 'function') return TAKEN
      assert.is(answer.status, 400)
      return 'BAD_FRAME'
    }),
  ),
  MAX_OTHER_HOMES: caps(async (count) => {
    const mesh = await testMesh(count + 1, { linked: false })
    const [node, ...others] = mesh.nodes as [MeshNode, ...MeshNode[]]
    for (const other of others) mesh.link(node, other)
    await mesh.clock.advance(100)
    const raw = await provenEdge(mesh, node)
    const { otherHomes } = decodeWelcome(raw.ofKind(FRAME.welcome)[0] as Uint8Array)
    assert.is(new Set(otherHomes).size, otherHomes.length)
    await mesh.close()
    return `${otherHomes.length}`
  }),
  MAX_RECORD_TTL_MS: refuses('BAD_FRAME', (ttlMs) => advertised({ ttlMs })),
  MAX_SKEW_MS: refuses('CLOCK_SKEW', (aheadMs) => advertised({ aheadMs })),
  MAX_BUFFERED_BYTES: refuses('RATE_LIMITED', (bytes) =>
    beside(async ({ mesh, node }) => {
      const queue = { bytes: 0 }
      const dial = (url: string): Link => slowLink(node, url, queue)
      const slow = await provenEdge({ ...mesh, dial }, node)
      queue.bytes = bytes
      // Its own asking counts against it.
      slow.request(EDGE_METHOD.lookup, slow.identity.keys.publicKey)
      await mesh.clock.advance(0)
      queue.bytes = 0
      await mesh.clock.advance(0)
      return slow.isClosed ? (slow.bye?.code ?? 'no word') : TAKEN
    }),
  ),
  MAX_TARGET_BUFFERED_BYTES: refuses('RATE_LIMITED', (bytes) =>
    beside(async ({ mesh, node, honest }) => {
      const queue = { bytes: 0 }
      const dial = (url: string): Link => slowLink(node, url, queue)
      const slow = await provenEdge({ ...mesh, dial }, node)
      queue.bytes = bytes
      await honest.send(signalTo(honest, slow))
      assert.not(slow.isClosed, 'what others send ends no session')
      const [word] = honest.ofKind(FRAME.signal)
      assert.is(slow.ofKind(FRAME.signal).length, word ? 0 : 1)
      return word ? readControl(word).code : TAKEN
    }),
  ),
  MAX_EARLY_FRAMES: refuses('TOO_MANY', async (count) => {
    const [left, right] = linkPair()
    let ended: string = TAKEN
    void right.closed.then((reason) => (ended = reason))
    for (let i = 0; i < count; i++) left.send(Uint8Array.of(i))
    await settle()
    const heard: Uint8Array[] = []
    right.subscribe((frame) => heard.push(frame))
    assert.is(heard.length, ended === TAKEN ? count : 0)
    return ended
  }),
}

/** One node with so many edges in a room. */
async function room(count: number): Promise<TestMesh> {
  const mesh = await testMesh(1)
  for (let i = 0; i < count; i++) {
    const raw = await rawEdge(mesh, mesh.nodes[0] as MeshNode)
    await raw.send(raw.proof({ adverts: [raw.advert(ROOM)] }))
  }
  return mesh
}

/** A socket whose URL names something. */
function named(mesh: TestMesh, query: string): Promise<RawEdge> {
  const node = mesh.nodes[0] as MeshNode
  const dial = (url: string): Link => slowLink(node, url + query, { bytes: 0 })
  return rawEdge({ ...mesh, dial }, node)
}

/** A socket to the node on which so many bytes seem to wait. */
function slowLink(node: MeshNode, url: string, queue: { bytes: number }): Link {
  const [near, far] = linkPair()
  const accept = node.upgrade(new Request(url), { remoteAddress: '192.0.2.9' })
  if (typeof accept !== 'function') throw new Error('The node refused the socket')
  accept({
    ...far,
    closed: far.closed,
    get bufferedBytes() {
      return queue.bytes
    },
  })
  return near
}

/** An edge advertises with a record that lives so long, or is so far ahead. */
function advertised({ ttlMs = 1, aheadMs = 0 }): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const raw = await provenEdge(mesh, node, { identity: makeIdentity(randomBytes(32)) })
    // Long after its presence: from there it may count up a little whatever clocks say.
    await mesh.clock.advance(10_000)
    const seq = mesh.clock.nowMs() + aheadMs
    const advert = craftAdvert(raw.identity, { tag: ROOM, seq, ttlMs: Math.max(ttlMs, 60_000) })
    return asked(mesh, raw, EDGE_METHOD.advertise, writer().block(advert).done())
  })
}

/** An edge that has so many records signed, in session after session; gives what comes of the last. */
function recordsOf(mesh: TestMesh, node: MeshNode): (count: number) => Promise<string> {
  const identity = makeIdentity()
  let seq = mesh.clock.nowMs()
  let raw: RawEdge | undefined
  let inSession = 0
  const putOne = async (): Promise<string> => {
    seq += 1
    if (raw && inSession++ < 100) {
      const { bytes } = raw.advert(tagOf(1), { seq })
      return asked(mesh, raw, EDGE_METHOD.advertise, writer().block(bytes).done())
    }
    inSession = 0
    raw = await rawEdge(mesh, node, { identity })
    await raw.send(raw.proof({ presence: raw.presence({ seq }) }))
    return raw.bye?.code ?? TAKEN
  }
  return async (count) => {
    for (let i = 1; i < count; i++) assert.is(await putOne(), TAKEN)
    return putOne()
  }
}
