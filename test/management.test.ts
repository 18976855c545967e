/** Management: what nodes tell of themselves, who believes it, and what is shown to whom. */

import { concat, fromHex, toHex } from '../src/bytes.ts'
import { manualClock, settle } from '../src/clock.ts'
import { boxKeyPair, type KeyPair } from '../src/crypto.ts'
import { secureLink } from '../src/handshake.ts'
import {
  HEARTBEAT_MS,
  HOME_EXPIRES_MS,
  HOME_HEADS_BURST,
  REPORT_AFTER_MS,
  WATCH_TICK_MS,
} from '../src/limits.ts'
import { linkPair } from '../src/link.ts'
import { makeLog } from '../src/log.ts'
import type { MeshMessage, MeshView, NodeView } from '../src/management.ts'
import { FRAME } from '../src/messages.ts'
import { createNode, type MeshNode, type NodeOptions } from '../src/node.ts'
import { signReport } from '../src/report.ts'
import { topicTag } from '../src/topic.ts'
import { EMPTY_REPORT, identityOf, NETWORK, START_MS } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { attacker } from './support/attacker.ts'
import { during, memoryStore, type TestMesh, testMesh } from './support/mesh.ts'
import { type VirtualNode, virtualMesh } from './support/nodes.ts'

const test = suite('management')
const TOKEN = 'correct-horse-battery'
const info = { remoteAddress: '192.0.2.1' }

const seen = (at: MeshNode, of: MeshNode): NodeView | undefined =>
  at.mesh().nodes.find(({ id }) => id === of.id)

/** Three nodes, of which the first and the last have no link. */
async function line(): Promise<{ mesh: TestMesh; a: MeshNode; b: MeshNode; c: MeshNode }> {
  const mesh = await testMesh(3, { linked: false })
  const [a, b, c] = mesh.nodes as [MeshNode, MeshNode, MeshNode]
  mesh.link(a, b, 5)
  mesh.link(b, c, 5)
  await mesh.clock.advance(HEARTBEAT_MS + REPORT_AFTER_MS)
  return { mesh, a, b, c }
}

/** One node of this file's own making, with nobody beside. */
async function alone(options: Partial<NodeOptions> = {}) {
  const clock = manualClock()
  const node = await createNode({
    network: 'test',
    runtime: { name: 'node', version: 'test' },
    store: memoryStore(),
    log: makeLog({ level: 'error', format: 'json', write: () => {}, nowMs: clock.nowMs }),
    clock,
    ...options,
  })
  const ask = async (path: string, token?: string, address = info.remoteAddress) =>
    node.fetch(
      new Request(`http://node.example${path}`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      }),
      { remoteAddress: address },
    )
  return { clock, node, ask }
}

test('tells every node of every other, over nodes between, with links and how long they take', async () => {
  const { mesh, a, b, c } = await line()
  await mesh.edge(c)
  await mesh.clock.advance(HEARTBEAT_MS)
  const view = seen(a, c)
  assert.is(view?.report?.edges, 1)
  assert.is(view?.report?.sees.homes, 3)
  assert.is(view?.isLinked, false)
  assert.equal(view?.report?.links, [{ node: b.id, rttMs: 10, initiator: false, relayed: false }])
  const totals = a.mesh().totals
  assert.equal([totals.nodes, totals.reporting, totals.edges], [3, 3, 1])
  await mesh.close()
})

test('tells of a change of links within a second, and not with each of many', async () => {
  const { mesh, a, b, c } = await line()
  const before = seen(a, c)?.report?.number ?? 0
  mesh.link(a, c, 1)
  await mesh.clock.advance(REPORT_AFTER_MS + 50)
  assert.ok(seen(b, c)?.report?.links.some(({ node }) => node === a.id))
  assert.is(seen(b, c)?.report?.number, before + 1)
  await mesh.close()
})

test('forgets what a node said of itself when it leaves', async () => {
  const { mesh, a, c } = await line()
  mesh.kill(c)
  await mesh.clock.advance(2 * HEARTBEAT_MS + 5_000)
  assert.is(seen(a, c)?.isSuspected, true)
  await mesh.clock.advance(HOME_EXPIRES_MS)
  assert.is(seen(a, c), undefined)
  const kinds = a.mesh().events.flatMap(({ kind, node }) => (node === c.id ? [kind] : []))
  assert.equal(kinds, ['joined', 'suspected', 'left'])
  await mesh.close()
})

test('says nothing of edges but how many, and of topics neither name nor tag', async () => {
  const { mesh, a, c } = await line()
  const edge = await mesh.edge(c)
  await during(edge.join('a secret garden'), mesh.clock)
  await mesh.clock.advance(2 * HEARTBEAT_MS)
  assert.is(seen(a, c)?.report?.sees.topics, 1)
  const said = JSON.stringify([a.mesh(), c.mesh(), c.stats().report])
  for (const secret of [edge.id, 'secret garden', toHex(topicTag('test', 'a secret garden'))]) {
    assert.not.ok(said.includes(secret), secret)
  }
  assert.not.ok(said.includes('127.0.0.1"'), 'no address of a socket')
  await mesh.close()
})

test('a report that its node did not sign costs its bringer the link, and changes nothing', async () => {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  await mesh.clock.advance(50)
  const forger = await attacker(mesh, node, 70)
  const own = signReport(NETWORK, identityOf(70).keys, { ...EMPTY_REPORT, name: 'mallory' })
  const forged = own.bytes.slice()
  forged.set(fromHex(next.id), 1)
  const beside = node.mesh.neighbours.ids.length
  forger.send(concat(Uint8Array.of(FRAME.report), forged))
  await settle()
  assert.is(forger.bye(), 'BAD_SIGNATURE')
  assert.is(node.mesh.reports.of(next.id), undefined)
  assert.is(node.mesh.neighbours.ids.length, beside - 1)
  mesh.stop()
})

test('a node speaks for itself alone, once it is a home, and no old word replaces a newer', async () => {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  await mesh.clock.advance(50)
  const { keys, id } = identityOf(1_000_001)
  assert.is(id, next.id)
  const bringer = await attacker(mesh, node, 70)
  const bring = async (number: number, name: string, by = keys): Promise<void> => {
    const report = signReport(NETWORK, by, { ...EMPTY_REPORT, number, name })
    bringer.send(concat(Uint8Array.of(FRAME.report), report.bytes))
    await settle()
  }
  const nameOf = (at: VirtualNode, of: string) => at.mesh.reports.of(of)?.report.name
  await bring(5, 'five')
  assert.is(nameOf(node, next.id), 'five')
  await bring(4, 'four')
  assert.is(nameOf(node, next.id), 'five')
  // Of no home that is known, so that nobody fills memory with nodes that he makes up.
  const stranger = identityOf(4_711)
  await bring(1, 'nobody', stranger.keys)
  node.mesh.directory.open(stranger.id, START_MS, mesh.clock.nowMs())
  assert.is(nameOf(node, stranger.id), undefined)
  assert.is(bringer.bye(), undefined)
  mesh.stop()
})

test('passes on only what was news here, and not to who brought it', async () => {
  const mesh = virtualMesh(3)
  const [a, b, c] = mesh.nodes as [VirtualNode, VirtualNode, VirtualNode]
  mesh.link(a, b)
  mesh.link(b, c)
  await mesh.clock.advance(HEARTBEAT_MS)
  const { keys } = identityOf(1_000_000)
  const bringer = await attacker(mesh, b, 70)
  const report = signReport(NETWORK, keys, { ...EMPTY_REPORT, epoch: START_MS, number: 3 })
  bringer.send(concat(Uint8Array.of(FRAME.report), report.bytes))
  await settle()
  assert.is(c.mesh.reports.of(a.id)?.report.number, 3)
  assert.is(a.mesh.reports.of(a.id), undefined, 'nobody is told of himself')
  mesh.stop()
})

test('a node of an earlier version is sent no report, and its link holds', async () => {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  await mesh.clock.advance(50)
  const kindsAt = async (number: number, reports: boolean): Promise<(number | undefined)[]> => {
    const [near, far] = linkPair()
    void node.mesh.neighbours.add(far, { initiator: false, remoteAddress: '192.0.2.66' })
    const own = { identity: identityOf(number), boxKeys: boxKeyPair(), reports }
    const options = { ...own, initiator: true, networkId: NETWORK, clock: mesh.clock }
    const { link } = await secureLink(near, options)
    const kinds: (number | undefined)[] = []
    link.subscribe((frame) => kinds.push(frame[0]))
    await settle()
    return kinds
  }
  const [early, late] = [await kindsAt(71, false), await kindsAt(72, true)]
  const bringer = await attacker(mesh, node, 70)
  const report = signReport(NETWORK, identityOf(1_000_001).keys, EMPTY_REPORT)
  bringer.send(concat(Uint8Array.of(FRAME.report), report.bytes))
  await settle()
  const count = (kinds: readonly unknown[]): number =>
    kinds.filter((kind) => kind === FRAME.report).length
  assert.equal([count(early), count(late)], [0, 1])
  assert.not.ok(early.includes(FRAME.bye))
  mesh.stop()
})

test('a node that reports without end is heard as often as one that beats, and others as before', async () => {
  const mesh = virtualMesh(2)
  const [node, next] = mesh.nodes as [VirtualNode, VirtualNode]
  mesh.link(node, next)
  await mesh.clock.advance(50)
  const babbler = await attacker(mesh, node, 70)
  node.mesh.directory.open(babbler.id, START_MS, mesh.clock.nowMs())
  const say = (by: typeof next.id, keys: KeyPair, number: number): void => {
    const report = signReport(NETWORK, keys, { ...EMPTY_REPORT, number })
    assert.is(report.node, by)
    babbler.send(concat(Uint8Array.of(FRAME.report), report.bytes))
  }
  for (let i = 1; i <= HOME_HEADS_BURST + 20; i++) say(babbler.id, identityOf(70).keys, i)
  say(next.id, identityOf(1_000_001).keys, 1)
  await settle()
  assert.is(node.mesh.reports.of(babbler.id)?.report.number, HOME_HEADS_BURST)
  assert.is(node.mesh.reports.of(next.id)?.report.number, 1)
  assert.is(babbler.bye(), undefined)
  mesh.stop()
})

test('a name that could hide or move what is beside it is no name', () => {
  for (const name of ['a\u202eb', 'a\u0007', 'line\nbreak', 'zero\u200bwidth', 'a\u2028b']) {
    assert.throws(
      () => signReport(NETWORK, identityOf(1).keys, { ...EMPTY_REPORT, name }),
      'cannot be shown',
    )
  }
})

test('pushes the whole mesh to who watches, and then what is new', async () => {
  const { mesh, a, c } = await line()
  const heard: MeshMessage[] = []
  const take = a.upgrade(new Request('http://node.example/mesh/events'), info)
  const [near, far] = linkPair()
  near.subscribe((frame) => heard.push(JSON.parse(new TextDecoder().decode(frame))))
  if (typeof take === 'function') take(far)
  await mesh.clock.advance(0)
  assert.equal(
    heard.map(({ type }) => type),
    ['begin', 'nodes', 'events', 'totals'],
  )
  heard.length = 0
  mesh.kill(c)
  await mesh.clock.advance(HOME_EXPIRES_MS + HEARTBEAT_MS + WATCH_TICK_MS)
  const gone = heard.flatMap((one) => (one.type === 'gone' ? one.nodes : []))
  assert.equal(gone, [c.id])
  const events = heard.flatMap((one) => (one.type === 'events' ? one.events : []))
  assert.equal(
    events.map(({ kind }) => kind),
    ['suspected', 'left'],
  )
  let closed = ''
  void near.closed.then((reason) => (closed = reason))
  near.send(Uint8Array.of(1))
  await settle()
  assert.is(closed, 'BAD_FRAME', 'who watches has nothing to say')
  assert.is(a.stats().watchers, 0)
  await mesh.close()
})

test('shows the mesh to any page, and one drawing of it to all who ask in a second', async () => {
  const { mesh, a } = await line()
  const ask = async () => a.fetch(new Request('http://node.example/mesh.json'), info)
  const response = await ask()
  assert.is(response.headers.get('access-control-allow-origin'), '*')
  const first = (await response.json()) as MeshView
  assert.equal([first.self, first.nodes.length], [a.id, 3])
  await mesh.clock.advance(WATCH_TICK_MS - 1)
  assert.is(((await (await ask()).json()) as MeshView).atMs, first.atMs)
  await mesh.clock.advance(1)
  assert.ok(((await (await ask()).json()) as MeshView).atMs > first.atMs)
  await mesh.close()
})

test('shows what is the operator’s to the holder of the token alone, and to no page of others', async () => {
  const { node, ask } = await alone({ adminToken: TOKEN })
  assert.is((await ask('/admin.json')).status, 401)
  assert.is((await ask('/admin.json', 'wrong')).status, 401)
  assert.is((await ask('/admin.json', `${TOKEN}x`)).status, 401)
  const shown = await ask('/admin.json', TOKEN)
  assert.is(shown.status, 200)
  assert.is(shown.headers.get('access-control-allow-origin'), null)
  assert.is(shown.headers.get('cache-control'), 'no-store')
  assert.equal((await shown.json()).limits.edges, { used: 0, limit: 25_000 })
  await node.close()
})

test('opens to nobody where no token was set', async () => {
  for (const adminToken of [undefined, '']) {
    const { node, ask } = await alone(adminToken === undefined ? {} : { adminToken })
    for (const token of [undefined, '', 'undefined', TOKEN]) {
      assert.is((await ask('/admin.json', token)).status, 401, String(token))
    }
    await node.close()
  }
})

test('who guesses tokens is told to wait, even with the right one, and nobody else is', async () => {
  const { node, clock, ask } = await alone({ adminToken: TOKEN })
  for (let i = 0; i < 10; i++) assert.is((await ask('/admin.json', `guess ${i}`)).status, 401)
  const late = await ask('/admin.json', TOKEN)
  assert.is(late.status, 429)
  assert.is(late.headers.get('retry-after'), '1')
  assert.is((await ask('/admin.json', TOKEN, '198.51.100.7')).status, 200)
  await clock.advance(1_000)
  assert.is((await ask('/admin.json', TOKEN)).status, 200)
  await node.close()
})

test('is ready when linked, or alone by intention, and not while it stops', async () => {
  const single = await alone()
  assert.is((await single.ask('/ready')).status, 200)
  await single.node.close()
  const stopping = await single.ask('/ready')
  assert.is(stopping.status, 503)
  assert.equal((await stopping.json()).reasons, ['STOPPING'])
  const lonely = await alone({ expectsOthers: true })
  assert.is((await lonely.ask('/ready')).status, 503)
  assert.equal(lonely.node.ready(), { ready: false, reasons: ['NOT_LINKED'] })
  assert.is((await lonely.ask('/health')).status, 200, 'but alive')
  await lonely.node.close()
})

test('is not ready with a clock that no neighbour shares, and each sees by how much', async () => {
  const late = manualClock(START_MS)
  const early = manualClock(START_MS + 20 * 60_000)
  const options = { network: 'test', runtime: { name: 'node', version: 'test' } } as const
  const log = makeLog({ level: 'error', format: 'json', write: () => {}, nowMs: late.nowMs })
  const a = await createNode({ ...options, store: memoryStore(), log, clock: late })
  const b = await createNode({ ...options, store: memoryStore(), log, clock: early })
  const [left, right] = linkPair()
  a.addLink(left, { initiator: true, remoteAddress: '192.0.2.1' })
  b.addLink(right, { initiator: false, remoteAddress: '192.0.2.2' })
  for (let i = 0; i < 15; i++) for (const clock of [late, early]) await clock.advance(1_000)
  assert.equal(a.ready().reasons, ['CLOCK_SKEW'])
  const skew = seen(b, a)?.report?.clockOffsetMs ?? 0
  assert.ok(Math.abs(skew + 20 * 60_000) < 2_000, `${skew}`)
  await a.close()
  await b.close()
})

test('lines of the log follow a signal across nodes by one id, and name neither end', async () => {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const log = makeLog({ level: 'debug', format: 'json', write, nowMs: () => 0 })
  const mesh = await testMesh(2, { log })
  const [a, b] = mesh.nodes as [MeshNode, MeshNode]
  const [caller, called] = [await mesh.edge(a), await mesh.edge(b)]
  await during(called.join('room'), mesh.clock)
  await mesh.clock.advance(1_000)
  await during(caller.connect(called.id, { topic: 'room' }), mesh.clock)
  const traced = lines.map((line) => JSON.parse(line)).filter(({ signal }) => signal)
  const sent = traced.filter(({ message }) => /Sending/.test(message)).map(({ signal }) => signal)
  const took = traced.filter(({ message }) => /Took/.test(message)).map(({ signal }) => signal)
  assert.ok(sent.length > 0)
  assert.ok(sent.every((signal) => took.includes(signal)))
  for (const line of traced.map((one) => JSON.stringify(one))) {
    assert.not.ok(line.includes(caller.id) || line.includes(called.id), line)
  }
  await mesh.close()
})

test.run()
