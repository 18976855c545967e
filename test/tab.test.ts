/** What a tab's node stands on: its sockets, storage, clock and bundle, and what it refuses to start with. */

import { bundleTab } from '../build.ts'
import { runtime as browser } from '../runtimes/browser.ts'
import { makeDial } from '../runtimes/browser-dial.ts'
import { openStore } from '../runtimes/browser-store.ts'
import { listen } from '../runtimes/listen.ts'
import { startNode } from '../runtimes/tab.ts'
import { keepIn } from '../runtimes/tabkeep.ts'
import { manualClock } from '../src/clock.ts'
import { writePacket } from '../src/gossip.ts'
import { loadIdentity } from '../src/identity.ts'
import { lateClock } from '../src/lateclock.ts'
import { MAX_FRAME_BYTES, MAX_PEERS } from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import { Schema } from '../tools/shims/codec-protobuf.ts'
import { Buffer } from '../tools/shims/node-globals.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('tab')
const ANY = { allowPrivate: true }

/** Serves sockets until the work with their URL is done; gives the server's ends. */
async function served(work: (url: string, ends: readonly Link[]) => Promise<void>): Promise<void> {
  const ends: Link[] = []
  const running = await listen({
    host: '127.0.0.1',
    port: 0,
    fetch: () => new Response(''),
    upgrade: (request) =>
      new URL(request.url).pathname === '/mesh'
        ? (link) => void ends.push(link)
        : new Response('', { status: 404 }),
  })
  try {
    await work(`ws://127.0.0.1:${running.port}/mesh`, ends)
  } finally {
    await running.close()
  }
}

const next = (link: Link): Promise<Uint8Array> =>
  new Promise((resolve) => {
    const stop = link.subscribe((frame) => {
      stop()
      resolve(frame.slice())
    })
  })

test('a page’s socket is a link: frames both ways, each told of before it is read, then the reason', () =>
  served(async (url, ends) => {
    let told = 0
    const { link, remoteAddress } = await makeDial(() => {
      told += 1
    })(url, ANY)
    assert.is(remoteAddress, '127.0.0.1')
    const [far] = ends as [Link]
    link.send(Uint8Array.of(1, 2))
    assert.equal(await next(far), Uint8Array.of(1, 2))
    far.send(Uint8Array.of(3))
    assert.equal(await next(link), Uint8Array.of(3))
    assert.is(told, 1)
    link.close('enough')
    assert.is(await far.closed, 'enough')
    assert.is(await link.closed, 'enough')
    link.send(Uint8Array.of(4))
  }))

test('a frame over the bound ends a page’s link', () =>
  served(async (url, ends) => {
    const { link } = await makeDial()(url, ANY)
    ends[0]?.send(new Uint8Array(MAX_FRAME_BYTES))
    assert.is((await next(link)).length, MAX_FRAME_BYTES)
    ends[0]?.send(new Uint8Array(MAX_FRAME_BYTES + 1))
    assert.is(await link.closed, 'TOO_LARGE')
  }))

test('what a page cannot dial says so', () =>
  served(async (url) => {
    for (const bad of [url.replace('/mesh', '/no'), 'ws://127.0.0.1:1/mesh', 'nonsense'])
      assert.is(await codeOf(() => makeDial()(bad, ANY)), 'HOME_UNREACHABLE', bad)
    assert.is(await codeOf(() => browser.listen({} as never)), 'BAD_CONFIG')
    assert.is(await codeOf(() => browser.join({} as never)), 'BAD_CONFIG')
  }))

test('an identity is kept under a name, by nobody without one, and a damaged one is not written over', async () => {
  const texts = new Map<string, string>()
  const storage = {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => void texts.set(key, text),
  }
  const one = await openStore('one', storage)
  assert.ok(one.kept)
  const { id } = await loadIdentity(one)
  assert.is((await loadIdentity(await openStore('one', storage))).id, id)
  assert.is.not((await loadIdentity(await openStore('two', storage))).id, id)
  const [key] = texts.keys()
  for (const damaged of ['', 'no hex', texts.get(key as string)?.replace(/.$/, 'x') ?? '']) {
    texts.set(key as string, damaged)
    assert.is(await codeOf(() => loadIdentity(one)), 'IDENTITY_CORRUPT')
    assert.is(texts.get(key as string), damaged)
  }
  const memory = await openStore()
  assert.not(memory.kept)
  assert.is((await loadIdentity(memory)).id, (await loadIdentity(memory)).id)
  const full = { ...storage, setItem: () => assert.unreachable('QuotaExceededError') }
  assert.is(await codeOf(async () => loadIdentity(await openStore('new', full))), 'DATA_UNREADABLE')
})

/** Locks that are held until what they were asked for with is done. */
function fakeLocks(): Pick<LockManager, 'request'> {
  const held = new Set<string>()
  const request = async (
    name: string,
    _: LockOptions,
    run: (lock: Lock | null) => unknown,
  ): Promise<unknown> => {
    if (held.has(name)) return run(null)
    held.add(name)
    return Promise.resolve(run({ name, mode: 'exclusive' })).finally(() => held.delete(name))
  }
  return { request: request as LockManager['request'] }
}

test('a kept identity is for one tab at a time, for two of one identity end each other', async () => {
  const locks = fakeLocks()
  const first = await keepIn('app', locks)
  assert.is(first?.name, 'app')
  assert.is(await keepIn('app', locks), undefined)
  assert.is((await keepIn('other', locks))?.name, 'other')
  first?.release()
  await Promise.resolve()
  await new Promise((resolve) => setTimeout(resolve))
  assert.is((await keepIn('app', locks))?.name, 'app')
  assert.is(await keepIn('app', undefined), undefined)
})

test('timers that a hidden page’s browser holds back run once a frame comes, in their order, each once', async () => {
  const base = manualClock()
  let held: (() => void)[] = []
  const clock = lateClock({
    ...base,
    monotonicMs: base.monotonicMs,
    after: (delayMs, fn) => base.after(delayMs, () => held.push(fn)),
  })
  const ran: string[] = []
  clock.after(20, () => ran.push('second'))
  clock.after(10, () => {
    ran.push('first')
    cancel()
  })
  const cancel = clock.after(25, () => ran.push('never'))
  clock.after(60_000, () => ran.push('later'))
  await base.advance(30)
  assert.equal(ran, [], 'they are held back')
  clock.catchUp()
  assert.equal(ran, ['first', 'second'])
  for (const fn of held.splice(0)) fn()
  clock.catchUp()
  assert.equal(ran, ['first', 'second'])
  held = []
  await base.advance(60_000)
  for (const fn of held) fn()
  assert.equal(ran, ['first', 'second', 'later'])
})

test('is started with URLs of nodes, or not at all', async () => {
  const many = Array.from({ length: MAX_PEERS + 1 }, () => 'wss://node.example')
  for (const peers of [
    undefined,
    [],
    'wss://node.example',
    [7],
    ['node.example'],
    ['ftp://x'],
    many,
  ])
    assert.is(await codeOf(() => startNode({ peers } as never)), 'BAD_ARGUMENT', String(peers))
  const peers = ['wss://node.example']
  for (const bad of [null, 7, { peers, keep: 7 }, { peers, network: 7 }])
    assert.is(await codeOf(() => startNode(bad as never)), 'BAD_ARGUMENT', JSON.stringify(bad))
})

test('warns of a peer that does not answer, and is a mesh of its own by then', async () => {
  let warned = (_line: string): void => {}
  const warning = new Promise<string>((resolve) => {
    warned = resolve
  })
  const tab = await startNode({ peers: ['ws://127.0.0.1:1'], onWarning: warned })
  const edge = await tab.join()
  assert.equal([tab.neighbours, tab.mesh, tab.kept], [0, { homes: 1, edges: 1 }, false])
  assert.is(edge.home.nodeId, tab.id)
  assert.match(await warning, /^signal-mesh: .*Could not reach a peer.*HOME_UNREACHABLE/)
  await tab.close()
  assert.is(edge.home.state, 'closed')
})

test('the bundle’s stand-in writes and reads packets as @dxos/broadcast’s own codec does', () => {
  const fields = Object.fromEntries(
    'seqno origin from data'.split(' ').map((name, i) => [name, { type: 'bytes', id: i + 1 }]),
  )
  const json = { nested: { dxos: { nested: { broadcast: { nested: { Packet: { fields } } } } } } }
  const codec = Schema.fromJson(json).getCodecForType('dxos.broadcast.Packet')
  const [seqno, origin, sender] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  for (const length of [0, 1, 127, 128, 300, 20_000]) {
    const data = new Uint8Array(length).fill(4)
    const bytes = writePacket({ seqno, origin, sender, data })
    assert.equal(codec.encode({ seqno, origin, from: sender, data }), bytes)
    assert.equal(codec.decode(bytes), { seqno, origin, from: sender, data })
  }
  const [one, same, other, longer] = [[1], [1], [2], [1, 2]].map((bytes) => Buffer.from(bytes)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ]
  assert.ok(Buffer.isBuffer(one) && one.equals(same))
  assert.not(one.equals(other) || one.equals(longer))
})

test('the bundle has @dxos/broadcast’s own code and nothing that it drags along, and makes no code of text', async () => {
  const { code, sizes } = await bundleTab()
  const names = Object.keys(sizes.packages)
  assert.equal(
    names.filter((name) => /^@dxos\/|protobuf|hyperswarm|hyperdht|udx|^ws$/.test(name)),
    ['@dxos/broadcast'],
  )
  assert.not.match(new TextDecoder().decode(code), /\beval\(|\bFunction\(/)
})

test.run()
