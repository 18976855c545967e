/** Cases of the times of a node: what it waits for, how long it believes, when it says something. */

import { createAdmission, NO_MEMBERS } from '../../src/admission.ts'
import { fromHex, writer } from '../../src/bytes.ts'
import { manualClock } from '../../src/clock.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import { createOwnRecords } from '../../src/edge/records.ts'
import { HEARTBEAT_MS } from '../../src/limits.ts'
import { linkPair } from '../../src/link.ts'
import { silentLog } from '../../src/log.ts'
import { FRAME } from '../../src/messages.ts'
import { createNode, type MeshNode } from '../../src/node.ts'
import { createPace } from '../../src/pace.ts'
import { createRpc, NODE_METHOD } from '../../src/rpc.ts'
import { REPLY } from '../../src/snapshots.ts'
import { createSupply } from '../../src/supply.ts'
import { createSync } from '../../src/sync.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
  testHome,
} from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { memoryStore, testMesh } from '../support/mesh.ts'
import { virtualMesh } from '../support/nodes.ts'
import { provenEdge, rawEdge } from '../support/rawedge.ts'
import { type Cases, changesAfter, changesAt, outcomeOf } from './case.ts'
import { stranger } from './ground.ts'

export const nodeTimes: Cases = {
  EDGE_PROOF_MS: changesAt('open', 'TIMEOUT', async (ms) => {
    const mesh = await testMesh(1)
    const raw = await rawEdge(mesh, mesh.nodes[0] as MeshNode)
    await mesh.clock.advance(ms)
    const outcome = raw.isClosed ? `${raw.bye?.code}` : 'open'
    await mesh.close()
    return outcome
  }),
  LINK_HANDSHAKE_MS: changesAt('open', 'TIMEOUT', async (ms) => {
    const mesh = await testMesh(1)
    const [near, far] = linkPair()
    mesh.nodes[0]?.addLink(far, { initiator: false, remoteAddress: '127.0.0.1' })
    let outcome = 'open'
    void near.closed.then((reason) => (outcome = reason))
    await mesh.clock.advance(ms)
    await mesh.close()
    return outcome
  }),
  PING_AFTER_MS: changesAt('quiet', 'asked', mute),
  SILENT_AFTER_MS: changesAt('asked', 'SILENT', mute),
  HEARTBEAT_MS: changesAt('quiet', 'heard of', async (ms) => {
    const mesh = await testMesh(0)
    const { clock } = mesh
    const runtime = { name: 'node', version: 'test' } as const
    const store = memoryStore()
    const node = await createNode({ network: 'test', runtime, store, log: silentLog, clock })
    const startMs = clock.nowMs()
    const neighbour = await stranger(mesh, node)
    const heads = (): number => neighbour.frames.filter((one) => one[0] === FRAME.gossip).length
    const before = heads()
    await clock.advance(startMs + ms - clock.nowMs())
    const outcome = heads() > before ? 'heard of' : 'quiet'
    await node.close()
    return outcome
  }),
  HOME_EXPIRES_MS: changesAfter('known', 'gone', async (ms) => {
    const mesh = virtualMesh(2)
    const [one, two] = mesh.nodes
    if (!one || !two) throw new Error('No nodes')
    mesh.link(one, two)
    await mesh.clock.advance(HEARTBEAT_MS)
    two.kill()
    const heardAtMs = one.mesh.directory.homes.get(two.id)?.heardAtMs as number
    await mesh.clock.advance(heardAtMs + ms - mesh.clock.monotonicMs())
    one.mesh.sweep()
    const outcome = one.mesh.directory.homes.has(two.id) ? 'known' : 'gone'
    mesh.stop()
    return outcome
  }),
  BATCH_AFTER_MS: changesAt('gathering', 'signed', async (ms) => {
    const { log, clock, batches } = testHome(1)
    log.add(put(advertOf(identityOf(2), tagOf(1))))
    await clock.advance(ms)
    log.close()
    return batches.length ? 'signed' : 'gathering'
  }),
  RECORD_TTL_MS: changesAfter('found', 'gone', async (ms) => {
    const { log, clock, directory, identity } = testHome(1)
    const edge = identityOf(2)
    const about = { networkId: NETWORK, identity: edge, boxKeys: boxKeyPair(), clock }
    log.add(put(createOwnRecords(about).signPresence(identity.keys.publicKey)))
    log.close()
    await clock.advance(ms)
    return directory.locate(edge.id, clock.nowMs()) ? 'found' : 'gone'
  }),
  REQUEST_TIMEOUT_MS: changesAt('waiting', 'TIMEOUT', async (ms) => {
    const clock = manualClock()
    const rpc = createRpc({ clock, send: () => undefined })
    let outcome = 'waiting'
    const asking = outcomeOf(() => rpc.request(1, new Uint8Array(0)))
    void asking.then((code) => (outcome = code))
    await clock.advance(ms)
    const then = outcome
    rpc.close()
    await asking
    return then
  }),
  PULL_TIMEOUT_MS: changesAfter('going on', 'over', async (ms) => {
    const clock = manualClock()
    const home = testHome(4, START_MS, clock)
    const [edge, other] = [identityOf(5), identityOf(6)].map((one) => presenceOf(one, home.id))
    if (!edge || !other) throw new Error('No records')
    const { bytes } = home.change(put(edge), put(other))
    let asked = 0
    const admission = createAdmission({ self: '', members: NO_MEMBERS, clock, log: silentLog })
    const sync = createSync({
      networkId: NETWORK,
      directory: testHome(7, START_MS, clock).directory,
      clock,
      log: silentLog,
      admission,
      pace: createPace(clock),
      self: '',
      neighbours: () => ['neighbour'],
      isLinked: () => true,
      onOwnHead: () => undefined,
      onFault: () => undefined,
      flush: () => undefined,
      request: async () => {
        asked += 1
        // A page that took all that time; there would be more.
        if (asked > 1) return Uint8Array.of(REPLY.nothing)
        await clock.advance(ms)
        const page = writer().u8(REPLY.snapshot).u8(1).block(bytes)
        return page.u8(1).block(edge.bytes).done()
      },
    })
    await sync.pull('neighbour', home.id)
    return asked > 1 ? 'going on' : 'over'
  }),
  PULL_WAIT_MS: changesAt('waiting', 'answered', async (ms) => {
    const { directory, clock, log, change } = testHome(1)
    change(put(advertOf(identityOf(2), tagOf(1))))
    const pulling = (): Promise<void> => new Promise(() => undefined)
    const serve = createSupply({ directory, clock, flush: () => undefined, pulling })
    const body = writer().bytes(fromHex(log.state.id)).u64(0).u64(0).u32(0).done()
    let outcome = 'waiting'
    void Promise.resolve(serve(NODE_METHOD.pull, body)).then(() => (outcome = 'answered'))
    await clock.advance(ms)
    return outcome
  }),
}

/** An edge that says nothing more, and what its home has done by then. */
async function mute(ms: number): Promise<string> {
  const mesh = await testMesh(1)
  const raw = await provenEdge(mesh, mesh.nodes[0] as MeshNode)
  let ended = ''
  void raw.link.closed.then((reason) => (ended = reason))
  const startMs = mesh.clock.nowMs()
  await mesh.clock.advance(ms)
  assert.is(mesh.clock.nowMs(), startMs + ms)
  const outcome = ended || (raw.ofKind(FRAME.ping).length ? 'asked' : 'quiet')
  await mesh.close()
  return outcome
}
