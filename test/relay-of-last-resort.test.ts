/** The relay of last resort: two edges without a path of their own have a connection all the same, which their homes carry. */

import type { Connection } from '../src/edge/mod.ts'
import { CARRY_AFTER_MS, CARRY_DEAD_MS, CARRY_WINDOW_BYTES, RTC_ANEW_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { assert, suite } from './harness/suite.ts'
import { type Walled, walled } from './support/carried.ts'
import { failure, ROOM } from './support/meeting.ts'
import { during } from './support/mesh.ts'
import { pretendStream } from './support/rtc.ts'

const test = suite('relay of last resort', { timeoutMs: 20_000 })

/** What comes out at this end, in its order. */
function heardBy(connection: Connection): unknown[] {
  const heard: unknown[] = []
  connection.on('message', (data) => heard.push(data))
  return heard
}

async function assertBothWays({ mesh }: Walled, ends: readonly Connection[]): Promise<void> {
  const [own, other] = ends as [Connection, Connection]
  const [atOwn, atOther] = [heardBy(own), heardBy(other)]
  await during(Promise.all([own.send('from a'), other.send('from b')]), mesh.clock)
  await mesh.clock.advance(500)
  assert.equal([atOther, atOwn], [['from a'], ['from b']])
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`)

test('two edges at different homes have a connection that their homes carry', async () => {
  const all = await walled()
  const ends = await all.connect()
  assert.equal(
    ends.map(({ path }) => path),
    ['mesh', 'mesh'],
  )
  await assertBothWays(all, ends)
  await all.mesh.close()
})

test('two edges at one home do, too', async () => {
  const all = await walled({ oneHome: true })
  await assertBothWays(all, await all.connect())
  assert.is(all.mesh.nodes[0]!.health().carry.pairs, 2)
  await all.mesh.close()
})

test('ICE has its time before, and is not waited for longer', async () => {
  const { mesh, a, b } = await walled()
  const startedAtMs = mesh.clock.nowMs()
  await during(a.connect(b.id, ROOM), mesh.clock, 10)
  const tookMs = mesh.clock.nowMs() - startedAtMs
  assert.ok(tookMs >= CARRY_AFTER_MS && tookMs < CARRY_AFTER_MS + 500, `${tookMs} ms`)
  await mesh.close()
})

test('what ICE has failed for is carried at once', async () => {
  const { mesh, a, b, wall } = await walled()
  const startedAtMs = mesh.clock.nowMs()
  const calling = a.connect(b.id, ROOM)
  await mesh.clock.advance(300)
  wall.fail()
  const connection = await during(calling, mesh.clock, 10)
  assert.is(connection.state, 'open')
  assert.ok(mesh.clock.nowMs() - startedAtMs < 1000)
  await mesh.close()
})

test('a direct path that appears takes over, and each message comes once and in its order', async () => {
  const all = await walled({ delayMs: 20 })
  const { mesh, wall } = all
  const [own, other] = await all.connect()
  const [atOwn, atOther] = [heardBy(own), heardBy(other)]
  const paths: string[] = []
  own.on('path', (path) => paths.push(path))
  const sendAll = async (from: Connection): Promise<void> => {
    for (const text of numbers(300)) {
      await from.send(text)
      await new Promise<void>((resolve) => mesh.clock.after(1, resolve))
    }
  }
  const sending = Promise.all([sendAll(own), sendAll(other)])
  for (let i = 0; i < 100; i++) await mesh.clock.advance(1)
  wall.open()
  await during(sending, mesh.clock, 1)
  await mesh.clock.advance(20_000)
  assert.equal(atOther, numbers(300))
  assert.equal(atOwn, numbers(300))
  assert.equal(paths, ['local'])
  for (const node of mesh.nodes) assert.is(node.health().carry.pairs, 0, 'the homes are left')
  await mesh.close()
})

test('frames that are under way at the move and then lost come over the new path', async () => {
  const all = await walled()
  const { mesh, wall } = all
  const [own, other] = await all.connect()
  const atOther = heardBy(other)
  await during(own.send('before'), mesh.clock)
  await mesh.clock.advance(200)
  mesh.tap = (frame, _way) => (frame[0] === FRAME.carry ? [] : [frame])
  await during(Promise.all(numbers(5).map((text) => own.send(text))), mesh.clock)
  wall.open()
  await during(own.send('after'), mesh.clock)
  await mesh.clock.advance(1000)
  assert.equal(atOther, ['before', ...numbers(5), 'after'])
  await mesh.close()
})

test('a direct path is looked for anew where ICE has failed, and taken', async () => {
  const all = await walled()
  const { mesh, wall } = all
  const [own, other] = await all.connect()
  assert.is(wall.made, 2)
  wall.fail()
  await mesh.clock.advance(RTC_ANEW_MS + 100)
  assert.is(wall.made, 4)
  wall.fail()
  await mesh.clock.advance(RTC_ANEW_MS + 100)
  assert.is(wall.made, 4, 'twice as long the next time')
  await assertBothWays(all, [own, other])
  await mesh.clock.advance(RTC_ANEW_MS)
  assert.is(wall.made, 6)
  wall.open()
  await mesh.clock.advance(2000)
  assert.equal([own.path, other.path], ['local', 'local'])
  await assertBothWays(all, [own, other])
  await mesh.close()
})

test('a stream needs a path of its own', async () => {
  const all = await walled()
  const [own] = await all.connect()
  let code = ''
  try {
    own.addStream(pretendStream('camera'))
  } catch (error) {
    code = (error as { code: string }).code
  }
  assert.is(code, 'MEDIA_NEEDS_RTC')
  await all.mesh.close()
})

for (const [who, options] of [
  ['caller', { a: { meshRelay: false } }],
  ['called', { b: { meshRelay: false } }],
] as const) {
  test(`nothing is carried that the ${who} does not want carried`, async () => {
    const { mesh, a, b, wall } = await walled(options)
    const calling = failure(mesh, a.connect(b.id, { ...ROOM, timeoutMs: 8000 }))
    await mesh.clock.advance(5000)
    wall.fail()
    const error = await calling
    assert.is(error.code, 'RTC_FAILED')
    for (const node of mesh.nodes) assert.equal(node.health().carry.bytes, 0)
    await mesh.close()
  })
}

test('a node that is told not to carries nothing, and says so', async () => {
  const { mesh, a, b, wall } = await walled({ carry: { on: false } })
  const calling = failure(mesh, a.connect(b.id, ROOM))
  await mesh.clock.advance(5000)
  wall.fail()
  assert.is((await calling).code, 'RTC_FAILED')
  assert.is(mesh.nodes[0]!.health().carry.on, false)
  await mesh.close()
})

test('a reader that does not come holds up the sender, and the homes hold a window at most', async () => {
  const all = await walled({ carry: { bytesPerSecond: 20_000 } })
  const { mesh } = all
  const [own, other] = await all.connect()
  let sent = 0
  const sending = (async () => {
    for (let i = 0; i < 400; i++) {
      await own.send(new Uint8Array(16_000))
      sent += 16_000
    }
  })()
  sending.catch(() => undefined)
  await mesh.clock.advance(2000)
  assert.ok(sent <= CARRY_WINDOW_BYTES + 16_000, `${sent} bytes`)
  const carried = mesh.nodes[0]!.health().carry.bytes
  assert.ok(carried < 80_000, `${carried} bytes in two seconds at 20,000 a second`)
  assert.is(other.state, 'open')
  await mesh.close()
})

test('ten megabytes pass, in their order', async () => {
  const all = await walled()
  const { mesh } = all
  const [own, other] = await all.connect()
  let bytes = 0
  let inOrder = true
  other.on('message', (data) => {
    const part = data as Uint8Array
    inOrder &&= part[0] === (bytes / 65_536) % 256
    bytes += part.length
  })
  const sending = (async () => {
    for (let i = 0; i < 160; i++) await own.send(new Uint8Array(65_536).fill(i))
  })()
  await during(sending, mesh.clock)
  await mesh.clock.advance(1000)
  assert.is(bytes, 160 * 65_536)
  assert.ok(inOrder)
  await mesh.close()
})

test('a connection outlives the death of a home, and loses nothing by it', async () => {
  const all = await walled({ nodes: 3 })
  const { mesh } = all
  const a = await mesh.edge([mesh.nodes[2]!, mesh.nodes[0]!])
  await during(a.advertise('room'), mesh.clock)
  await mesh.clock.advance(8000)
  const own = await during(a.connect(all.b.id, ROOM), mesh.clock)
  await mesh.clock.advance(100)
  const other = all.told.b.at(-1)!
  const [atOwn, atOther] = [heardBy(own), heardBy(other)]
  await during(Promise.all([own.send('1'), other.send('1')]), mesh.clock)
  const sending = Promise.all([...numbers(20).map((text) => own.send(text))])
  mesh.kill(mesh.nodes[2]!)
  await during(Promise.all([sending, other.send('2'), other.send('3')]), mesh.clock)
  await mesh.clock.advance(20_000)
  assert.equal(atOther, ['1', ...numbers(20)])
  assert.equal(atOwn, ['1', '2', '3'])
  assert.equal([own.state, own.path], ['open', 'mesh'])
  await mesh.close()
})

test('a peer that has gone is noticed within the bound', async () => {
  const all = await walled()
  const { mesh } = all
  const [own] = await all.connect()
  mesh.tap = () => []
  await mesh.clock.advance(CARRY_DEAD_MS - 1000)
  assert.is(own.state, 'open')
  await mesh.clock.advance(6000)
  assert.is(own.state, 'closed')
  assert.match(own.signal.reason.message, /Nothing was carried/)
  await mesh.close()
})

test('an idle connection stays', async () => {
  const all = await walled()
  const ends = await all.connect()
  for (let i = 0; i < 20; i++) await all.mesh.clock.advance(5000)
  await assertBothWays(all, ends)
  await all.mesh.close()
})

test('closing brings what was sent, and leaves the homes', async () => {
  const all = await walled()
  const { mesh } = all
  const [own, other] = await all.connect()
  const atOther = heardBy(other)
  const sent = Promise.all(numbers(20).map((text) => own.send(text)))
  const closing = own.close('enough')
  await during(Promise.all([sent, closing]), mesh.clock)
  await mesh.clock.advance(500)
  assert.equal(atOther, numbers(20))
  assert.is(other.state, 'closed')
  for (const node of mesh.nodes) assert.is(node.health().carry.pairs, 0)
  await mesh.close()
})

test.run()
