/** Caps: one bucket of a home takes so many records, at the home itself and at those who follow it. */

import { writer } from '../src/bytes.ts'
import { recordsOf } from '../src/claims.ts'
import { createDirectory } from '../src/directory.ts'
import { type Identity, makeIdentity } from '../src/identity.ts'
import { MAX_OPS_PER_BATCH, MAX_RECORDS_PER_BUCKET, MAX_TOPICS_PER_EDGE } from '../src/limits.ts'
import { applyBatch, applySnapshot } from '../src/replica.ts'
import { EDGE_METHOD } from '../src/rpc.ts'
import { codeOf } from './fixtures/errors.ts'
import {
  advertOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'
import { codeOf as codeOfAsync, provenEdge, rawEdge } from './support/rawedge.ts'

const test = suite('caps', { timeoutMs: 60_000 })

test('refuses a batch or a snapshot that would fill a bucket, and stays as it was', () => {
  const home = testHome(50)
  const directory = createDirectory(NETWORK)
  const edges = edgesIn('00', Math.ceil(MAX_RECORDS_PER_BUCKET / MAX_TOPICS_PER_EDGE))
  const advert = (i: number) => {
    const edge = edges[Math.floor(i / MAX_TOPICS_PER_EDGE)] as Identity
    return put(advertOf(edge, tagOf(i % MAX_TOPICS_PER_EDGE)))
  }
  for (let i = 0; i < MAX_RECORDS_PER_BUCKET; i++) home.log.add(advert(i))
  home.log.flush()
  for (const batch of home.batches) assert.is(applyBatch(directory, batch, START_MS), 'applied')
  assert.is(directory.records, MAX_RECORDS_PER_BUCKET)
  const renewed = put(advertOf(edges[0] as Identity, tagOf(0), { seq: START_MS + 1 }))
  assert.is(applyBatch(directory, home.change(renewed), START_MS), 'applied')
  const elsewhere = home.change(put(presenceOf(edgesIn('01', 1)[0] as Identity, home.id)))
  assert.is(applyBatch(directory, elsewhere, START_MS), 'applied')
  const before = directory.homes.get(home.id)?.digest.hash()
  const over = home.change(put(presenceOf(edges[0] as Identity, home.id)))
  assert.is(
    codeOf(() => applyBatch(directory, over, START_MS)),
    'TOO_MANY',
  )
  const records = recordsOf(home.log.state)
  assert.is(
    codeOf(() => applySnapshot(directory, NETWORK, over.bytes, records, START_MS)),
    'TOO_MANY',
  )
  assert.equal(directory.homes.get(home.id)?.digest.hash(), before)
})

test('tells an edge whose bucket is full at its home, and takes all others', async () => {
  const mesh = await testMesh(2)
  const [node, other] = mesh.nodes as [(typeof mesh.nodes)[0], (typeof mesh.nodes)[0]]
  const most = MAX_RECORDS_PER_BUCKET - MAX_OPS_PER_BATCH
  const perEdge = 1 + MAX_TOPICS_PER_EDGE
  const edges = edgesIn('00', Math.floor(most / perEdge) + 2)
  const extra = edges.pop() as Identity
  const last = edges.pop() as Identity
  for (const identity of edges) {
    const raw = await rawEdge(mesh, node, { identity })
    const tags = Array.from({ length: MAX_TOPICS_PER_EDGE }, (_, i) => tagOf(i))
    await raw.send(raw.proof({ adverts: tags.map((tag) => raw.advert(tag)) }))
    assert.is(raw.bye, undefined)
  }
  const raw = await provenEdge(mesh, node, { identity: last })
  const advertise = (i: number): (() => Uint8Array) =>
    raw.request(
      EDGE_METHOD.advertise,
      writer()
        .block(raw.advert(tagOf(i)).bytes)
        .done(),
    )
  for (let i = edges.length * perEdge + 1; i < most; i++) {
    const answer = advertise(i)
    await mesh.clock.advance(100)
    answer()
  }
  const refused = advertise(9_999)
  await mesh.clock.advance(100)
  assert.is(await codeOfAsync(refused), 'TOO_MANY')
  assert.is(await codeOfAsync(() => provenEdge(mesh, node, { identity: extra })), 'TOO_MANY')
  const again = advertise(edges.length * perEdge + 1)
  await mesh.clock.advance(100)
  again()
  await provenEdge(mesh, node, { identity: edgesIn('01', 1)[0] as Identity })
  await mesh.clock.advance(1_000)
  assert.is(node.health().edges, edges.length + 2)
  assert.is(other.health().mesh.edges, edges.length + 2, 'and others took all of it')
  await mesh.close()
})

test.run()

/** Edges whose PeerIds begin with this byte. */
function edgesIn(bucket: string, count: number): Identity[] {
  const found: Identity[] = []
  for (let i = 0; found.length < count; i++) {
    const identity = makeIdentity(tagOf(1_000_000 + i))
    if (identity.id.startsWith(bucket)) found.push(identity)
  }
  return found
}
