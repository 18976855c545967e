/** One topic: who is shown an edge in it learns of no other, and one more costs one advert. */

import { concat, fromHex, toHex, utf8, writer } from '../src/bytes.ts'
import { MAX_TOPICS_PER_EDGE } from '../src/limits.ts'
import { decodeFound } from '../src/messages.ts'
import { EDGE_METHOD } from '../src/rpc.ts'
import { topicTag } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'
import { type TestMesh, testMesh } from './support/mesh.ts'
import { provenEdge, type RawEdge } from './support/rawedge.ts'

const tagOf = (name: string): Uint8Array => topicTag('test', name)
/** An advert, its batch's own bytes, the packet around it and the seal of the link. */
const ONE_ADVERT_BYTES = 145 + 3 + 182 + 128

const test = suite('one topic')

test('who looks an edge up, discovers and watches it in one topic is shown nothing of its others', async () => {
  const mesh = await testMesh(2)
  const [edge, other] = [
    await provenEdge(mesh, mesh.nodes[0]!),
    await provenEdge(mesh, mesh.nodes[1]!),
  ]
  for (const name of ['shared', 'own', 'given up']) await advertise(mesh, edge, name)
  const limited = (tag: Uint8Array) => writer().bytes(tag).u8(50).done()
  const found = other.request(EDGE_METHOD.discover, limited(tagOf('shared')))
  other.request(EDGE_METHOD.watch, limited(tagOf('shared')))
  other.request(EDGE_METHOD.lookup, fromHex(edge.identity.id))
  await mesh.clock.advance(100)
  assert.equal(
    decodeFound(found()).found.map(({ presence }) => presence.peer),
    [edge.identity.id],
  )
  await advertise(mesh, edge, 'later')
  edge.request(EDGE_METHOD.unadvertise, tagOf('given up'))
  await mesh.clock.advance(100)
  await advertise(mesh, edge, 'shared', 'with info')
  const heard = toHex(concat(...other.frames))
  assert.ok(heard.includes(toHex(tagOf('shared'))), 'what is looked for can be found')
  for (const name of ['own', 'given up', 'later']) {
    assert.not(heard.includes(toHex(tagOf(name))), name)
  }
  await mesh.close()
})

test('one topic more is multicast as one advert, however many the edge is in already', async () => {
  const mesh = await testMesh(2)
  const edge = await provenEdge(mesh, mesh.nodes[0]!)
  await mesh.clock.advance(1_000)
  const costs: number[] = []
  for (let i = 0; i < MAX_TOPICS_PER_EDGE; i++) {
    const before = mesh.wire.length
    await advertise(mesh, edge, `topic ${i}`)
    costs.push(mesh.wire.slice(before).reduce((sum, frame) => sum + frame.length, 0))
  }
  assert.ok(costs[0]! > 145, 'it did go out')
  assert.ok(costs.at(-1)! <= ONE_ADVERT_BYTES, `${costs.at(-1)} bytes`)
  assert.is(costs.at(-1), costs[0])
  await mesh.close()
})

test.run()

async function advertise(mesh: TestMesh, edge: RawEdge, name: string, info = ''): Promise<void> {
  const { bytes } = edge.advert(tagOf(name), { info: utf8(info) })
  const answer = edge.request(EDGE_METHOD.advertise, writer().block(bytes).done())
  await mesh.clock.advance(100)
  answer()
}
