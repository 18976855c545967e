/** Cases of what nodes tell of themselves, and of who may look at it. */

import { createAdmin } from '../../src/admin.ts'
import { type Clock, manualClock } from '../../src/clock.ts'
import { createDirectory } from '../../src/directory.ts'
import type { EdgeAtHome } from '../../src/edges.ts'
import { createHappenings } from '../../src/happenings.ts'
import * as limits from '../../src/limits.ts'
import { linkPair } from '../../src/link.ts'
import { type AdminView, createManage, type ManageOptions } from '../../src/manage.ts'
import type { MeshNode } from '../../src/node.ts'
import { decodeReport, type ReportFields, signReport } from '../../src/report.ts'
import { EMPTY_REPORT, identityOf, NETWORK, START_MS } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { testMesh } from '../support/mesh.ts'
import {
  type Cases,
  caps,
  changesAfter,
  changesAt,
  DROPPED,
  drops,
  FORGOT,
  forgets,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

const signed = (fields: Partial<ReportFields>): Promise<string> =>
  outcomeOf(() => signReport(NETWORK, identityOf(1).keys, { ...EMPTY_REPORT, ...fields }))

export const managing: Cases = {
  MAX_REPORT_BYTES: refuses('BAD_FRAME', async (bytes) => {
    const fullest = signReport(NETWORK, identityOf(1).keys, {
      ...EMPTY_REPORT,
      name: 'n'.repeat(limits.MAX_NODE_NAME_BYTES),
      version: 'v'.repeat(limits.MAX_VERSION_BYTES),
      runtime: 'r'.repeat(limits.MAX_VERSION_BYTES),
      protocolVersions: Array(limits.MAX_VERSIONS).fill(1),
      turnUrls: Array(limits.MAX_TURN_URLS).fill(
        `turn:${'h'.repeat(limits.MAX_ICE_TEXT_BYTES - 5)}`,
      ),
      links: Array(limits.MAX_NEIGHBOURS).fill({
        node: '0123456789abcdef',
        rttMs: 1,
        initiator: true,
        relayed: true,
      }),
      behind: Array(limits.MAX_REPORTED_BEHIND).fill({ node: '0123456789abcdef', batches: 1 }),
    })
    assert.is(fullest.bytes.length, 1_918)
    try {
      decodeReport(new Uint8Array(bytes))
    } catch (error) {
      return /report of \d+ bytes/.test((error as Error).message) ? 'BAD_FRAME' : TAKEN
    }
    return 'no report at all'
  }),
  MAX_NODE_NAME_BYTES: refuses('BAD_FRAME', (bytes) => signed({ name: 'n'.repeat(bytes) })),
  MAX_VERSION_BYTES: refuses('BAD_FRAME', (bytes) => signed({ version: 'v'.repeat(bytes) })),
  MAX_REPORTED_BEHIND: refuses('BAD_FRAME', (count) =>
    signed({ behind: Array(count).fill({ node: '0123456789abcdef', batches: 1 }) }),
  ),
  MAX_WATCHERS: refuses('TOO_MANY', (count) => watch(count, (i) => `203.0.${i}.1`)),
  MAX_WATCHERS_PER_ADDRESS: refuses('TOO_MANY', (count) => watch(count, () => '203.0.113.1')),
  MAX_EVENTS: forgets((count) => {
    const happenings = createHappenings('me', createDirectory(NETWORK))
    for (let i = 0; i < count; i++) happenings.refused(`node ${i}`, 'REFUSED', i)
    assert.is(happenings.count, count)
    return happenings.events[0]?.node === 'node 0' ? KEPT : FORGOT
  }),
  MAX_EDGES_SHOWN: caps(async (count) => {
    const clock = manualClock()
    const one = { peer: 'peer', topics: 0, watches: 0, waitingBytes: 0 }
    const all = Array<EdgeAtHome>(count).fill(one)
    const manage = createManage({
      ...nothingElse(clock),
      adminToken: 'the-right-token',
      edges: (limit) => all.slice(0, limit),
    })
    const request = new Request('http://node.example/admin.json', {
      headers: { authorization: 'Bearer the-right-token' },
    })
    const response = manage.answer(request, '192.0.2.1') ?? new Response()
    const { edges } = (await response.json()) as AdminView
    return `${edges.length}`
  }),
  SUSPECT_AFTER_MS: changesAfter('trusted', 'suspected', async (ms) => {
    const clock = manualClock()
    const directory = createDirectory(NETWORK)
    const happenings = createHappenings('me', directory)
    directory.open(identityOf(2).id, START_MS, clock.nowMs())
    happenings.observe(clock.nowMs())
    await clock.advance(ms)
    happenings.observe(clock.nowMs())
    return happenings.events.at(-1)?.kind === 'suspected' ? 'suspected' : 'trusted'
  }),
  REPORT_AFTER_MS: changesAt('quiet', 'told', async (ms) => {
    const mesh = await testMesh(2, { linked: false })
    const [a, b] = mesh.nodes as [MeshNode, MeshNode]
    mesh.link(a, b)
    await mesh.clock.advance(ms)
    const outcome = a.mesh().nodes.some(({ id, report }) => id === b.id && report)
      ? 'told'
      : 'quiet'
    await mesh.close()
    return outcome
  }),
  WATCH_TICK_MS: changesAt('quiet', 'told', async (ms) => {
    const mesh = await testMesh(2, { linked: false })
    const [a, b] = mesh.nodes as [MeshNode, MeshNode]
    const take = a.upgrade(new Request('http://node.example/mesh/events'), {
      remoteAddress: '192.0.2.1',
    })
    const [near, far] = linkPair()
    let frames = 0
    near.subscribe(() => (frames += 1))
    assert.type(take, 'function')
    if (typeof take === 'function') take(far)
    await mesh.clock.advance(0)
    const before = frames
    mesh.link(a, b)
    await mesh.clock.advance(ms)
    const outcome = frames > before ? 'told' : 'quiet'
    await mesh.close()
    return outcome
  }),
  ADMIN_TRIES_BURST: drops((count) => tries(count, 0)),
  ADMIN_TRIES_PER_SECOND: drops((count) => tries(count, 1_000)),
}

/** A node that is alone and has nothing. */
function nothingElse(clock: Clock): ManageOptions {
  const { signals, ...own } = EMPTY_REPORT
  return {
    self: 'me',
    network: 'test',
    clock,
    directory: createDirectory(NETWORK),
    reports: { of: () => undefined },
    neighbours: { ids: [], has: () => false, linkOf: () => undefined },
    adminToken: undefined,
    expectsOthers: false,
    own: () => ({ ...own, signals }),
    edges: () => [],
    used: () => ({ standbys: 0, carries: 0 }),
    refusals: () => new Map(),
  }
}

/** Whether the last of so many wrong tokens was looked at; who is elsewhere still may. */
async function tries(count: number, afterMs: number): Promise<string> {
  const clock = manualClock()
  const admit = createAdmin('the right token', clock)
  const wrong = new Request('http://node.example/admin.json', {
    headers: { authorization: 'Bearer wrong' },
  })
  const look = (address = '192.0.2.1'): boolean => typeof admit(wrong, address) === 'string'
  if (afterMs > 0) for (let i = 0; i < limits.ADMIN_TRIES_BURST; i++) assert.ok(look())
  await clock.advance(afterMs)
  for (let i = 1; i < count; i++) assert.ok(look(), `the ${i}th of ${count}`)
  const last = look()
  assert.ok(look('198.51.100.1'), 'who is elsewhere has its own')
  return last ? TAKEN : DROPPED
}

/** What the last of so many watchers is told. */
async function watch(count: number, addressOf: (i: number) => string): Promise<string> {
  const mesh = await testMesh(1)
  const [node] = mesh.nodes as [MeshNode]
  let last = TAKEN
  for (let i = 0; i < count; i++) {
    const request = new Request('http://node.example/mesh/events')
    const take = node.upgrade(request, { remoteAddress: addressOf(i) })
    last = typeof take === 'function' ? TAKEN : 'TOO_MANY'
    if (typeof take === 'function') take(linkPair()[1])
  }
  await mesh.clock.advance(0)
  assert.is(node.health().status, 'ok')
  await mesh.close()
  return last
}
