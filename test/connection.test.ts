/** A connection: messages out and in, from before anybody listens to after it has ended. */

import { concat, utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { type ConnectionSource, makeConnection } from '../src/edge/connection.ts'
import type { Rtc, RtcPath } from '../src/edge/rtc.ts'
import { SignalMeshError } from '../src/errors.ts'
import { CHANNEL_WINDOW_BYTES, CLOSE_TIMEOUT_MS, MAX_MESSAGE_BYTES } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'
import { noWhy, pathOnly } from './support/rtc.ts'

const test = suite('connection')

interface Subject extends ConnectionSource {
  readonly clock: ManualClock
  /** The pieces that went into the channel. */
  readonly sent: (string | Uint8Array)[]
  /** A message comes, whole in one piece. */
  hears(data: string | Uint8Array): void
  /** Reasons for which this side closed it. */
  readonly closed: string[]
  path: RtcPath | undefined | Error
}

function subject(): Subject {
  const clock = manualClock()
  const sent: (string | Uint8Array)[] = []
  const closed: string[] = []
  const rtc: Rtc = {
    take: () => undefined,
    addStream: () => undefined,
    removeStream: () => undefined,
    send: async (data) => void sent.push(data),
    path: async () => {
      if (self.path instanceof Error) throw self.path
      return self.path
    },
    close: () => undefined,
    ...pathOnly,
    connection: {} as RTCPeerConnection,
  }
  const about = { id: 'ab'.repeat(32), topic: 'room', clock, rtc, why: noWhy }
  const source = makeConnection(about, (reason) => closed.push(reason))
  const hears = (data: string | Uint8Array): void => source.receive(piece(data))
  const self: Subject = { ...source, clock, sent, hears, closed, path: undefined }
  return self
}

const ASK = Uint8Array.of(17)
const TOLD = Uint8Array.of(18)

/** A message of one part, as it goes through the channel. */
function piece(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string'
    ? concat(Uint8Array.of(1), utf8(data))
    : concat(Uint8Array.of(0), data)
}

/** Time for many promises one behind the other. */
async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await settle()
}

/** Reads all messages into a list. */
function read(of: ConnectionSource): { got: unknown[]; done: boolean } {
  const reading = { got: [] as unknown[], done: false }
  const run = async (): Promise<void> => {
    for await (const message of of.connection.messages()) reading.got.push(message)
    reading.done = true
  }
  void run()
  return reading
}

test('none of the messages is lost that came before the first listener', async () => {
  for (const listen of [
    (of: ConnectionSource) => read(of).got,
    (of: ConnectionSource) => {
      const got: unknown[] = []
      of.connection.on('message', (data) => got.push(data))
      return got
    },
  ]) {
    const source = subject()
    source.hears('one')
    source.hears(Uint8Array.of(2))
    const got = listen(source)
    source.hears('three')
    await settle()
    source.hears('four')
    await settle()
    assert.equal(got, ['one', Uint8Array.of(2), 'three', 'four'])
  }
})

test('a listener that goes at once takes no message with it', async () => {
  const source = subject()
  source.hears('one')
  source.connection.on('message', () => assert.unreachable())()
  await settle()
  const { got } = read(source)
  await settle()
  assert.equal(got, ['one'])
})

test('messages between two readers wait for the second', async () => {
  const source = subject()
  source.hears('one')
  for await (const message of source.connection.messages()) {
    assert.is(message, 'one')
    break
  }
  source.hears('two')
  const { got } = read(source)
  await settle()
  assert.equal(got, ['two'])
})

test('a path that changes late is told at once, and the other side’s browser is made to follow', async () => {
  const source = subject()
  const told: string[] = []
  source.connection.on('path', (path) => told.push(path))
  source.path = 'turn'
  await source.clock.advance(60_000)
  assert.equal([told, source.sent], [['turn'], []])
  source.path = 'direct'
  source.moved()
  await source.clock.advance(0)
  assert.equal([told, source.connection.path], [['turn', 'direct'], 'direct'])
  // It goes by the path that counts now, and says nothing new.
  assert.equal(source.sent, [Uint8Array.of(16, 0, 0, 0, 0, 0, 0, 0, 0)])
  source.end('over')
  source.moved()
  assert.is(source.clock.pending, 0)
})

test('what came before the end can still be read after it', async () => {
  const source = subject()
  source.hears('one')
  source.hears('two')
  source.end('it left')
  const reading = read(source)
  await settle()
  assert.equal(reading.got, ['one', 'two'])
  assert.ok(reading.done)
})

test('reading ends with the connection, after the last message', async () => {
  const source = subject()
  const reading = read(source)
  await settle()
  source.hears('one')
  source.end('it left')
  await settle()
  assert.equal(reading.got, ['one'])
  assert.ok(reading.done)
})

test('what nobody reads waits within the window, and the connection stays', async () => {
  const source = subject()
  let offered = 0
  for (; offered + 16_640 < CHANNEL_WINDOW_BYTES; offered += 16_640) {
    source.hears(new Uint8Array(16_384))
  }
  assert.is(source.connection.state, 'open')
  assert.equal(source.sent, [], 'the peer is told of no room')
  const { got } = read(source)
  await turns()
  assert.is(got.length, offered / 16_640)
  assert.is(source.sent[0]?.[0], 16, 'and is, once somebody reads')
})

test('of two readers the slower one sets the pace, and a listener none', async () => {
  const source = subject()
  source.connection.on('message', () => undefined)
  const slow = source.connection.messages()[Symbol.asyncIterator]()
  const first = slow.next()
  await settle()
  read(source)
  await settle()
  for (let i = 0; i < 100; i++) source.hears(new Uint8Array(16_384))
  await settle()
  assert.ok((await first).value instanceof Uint8Array)
  assert.equal(source.sent, [])
  for (let i = 1; i < 100; i++) await slow.next()
  assert.is(source.sent.length, 3, 'each time that a quarter of the window was read')
  source.hears('left unread')
  await slow.return?.()
  for (let i = 0; i < 100; i++) source.hears(new Uint8Array(16_384))
  await turns()
  assert.is(source.sent.length, 6, 'and a reader that has gone sets none')
})

test('a peer that keeps no bounds, or says what means nothing, is hung up on', async () => {
  const bad = [Uint8Array.of(), Uint8Array.of(9), Uint8Array.of(1, 0xff), Uint8Array.of(2, 1), 'x']
  for (const one of bad) {
    const source = subject()
    source.receive(one)
    assert.is(source.connection.state, 'closed')
    assert.is(source.closed.length, 1)
  }
})

test('sends text and bytes, and nothing else', async () => {
  const { connection, sent } = subject()
  await connection.send('text')
  await connection.send(Uint8Array.of(1, 2))
  assert.equal(sent, [piece('text'), piece(Uint8Array.of(1, 2))])
  for (const bad of [undefined, null, 5, {}, [1], new ArrayBuffer(4), 'half \ud83d', '\udc00']) {
    assert.is(await codeOf(() => connection.send(bad as string)), 'BAD_ARGUMENT')
  }
  assert.is(await codeOf(() => connection.close(5 as unknown as string)), 'BAD_ARGUMENT')
  assert.is(connection.state, 'open')
  assert.is(sent.length, 2)
})

test('holds messages to the bound, counted in bytes of UTF-8', async () => {
  const fits = [
    new Uint8Array(MAX_MESSAGE_BYTES),
    'x'.repeat(MAX_MESSAGE_BYTES),
    'ß'.repeat(MAX_MESSAGE_BYTES / 2),
  ]
  for (const data of fits) {
    const { connection, sent } = subject()
    connection.send(data).catch(() => undefined)
    await turns()
    assert.ok(sent.length > 100, 'it is on its way')
  }
  const { connection, sent } = subject()
  const over = [
    new Uint8Array(MAX_MESSAGE_BYTES + 1),
    'x'.repeat(MAX_MESSAGE_BYTES + 1),
    'ß'.repeat(MAX_MESSAGE_BYTES / 2 + 1),
    'x'.repeat(2 ** 28),
  ]
  for (const data of over) assert.is(await codeOf(() => connection.send(data)), 'TOO_LARGE')
  await settle()
  assert.is(sent.length, 0)
})

test('closing tells why, once, and aborts its signal', async () => {
  const source = subject()
  const reasons: string[] = []
  source.connection.on('close', (reason) => reasons.push(reason))
  await source.connection.close('enough')
  await source.connection.close('again')
  source.end('and again')
  assert.equal(reasons, ['enough'])
  assert.equal(source.closed, ['enough'])
  const { signal } = source.connection
  assert.ok(signal.aborted)
  assert.instance(signal.reason, SignalMeshError)
  assert.is(await codeOf(() => source.connection.send('late')), 'CLOSED')
})

test('what was sent before a close arrives, and what comes after is refused', async () => {
  const source = subject()
  void source.connection.send('last words')
  const closing = source.connection.close('enough')
  assert.is(source.connection.state, 'closed', 'it is over for the application at once')
  assert.is(await codeOf(() => source.connection.send('too late')), 'CLOSED')
  await settle()
  assert.equal(source.sent, [piece('last words'), ASK])
  assert.equal(source.closed, [], 'the channel is kept until the peer has it')
  source.receive(TOLD)
  await closing
  assert.equal(source.closed, ['enough'])
})

test('a peer that does not say that it has all is not waited for', async () => {
  const source = subject()
  await source.connection.send('last words')
  const closing = source.connection.close()
  await source.clock.advance(CLOSE_TIMEOUT_MS - 1)
  assert.equal(source.closed, [])
  await source.clock.advance(1)
  await closing
  assert.equal(source.closed, ['closed'])
})

test('a send that waits for room hears of the end', async () => {
  const source = subject()
  const sending = source.connection.send(new Uint8Array(MAX_MESSAGE_BYTES))
  const next = source.connection.send('next')
  const codes = [codeOf(() => sending), codeOf(() => next)]
  await settle()
  source.end('it left')
  assert.equal(await Promise.all(codes), ['CLOSED', 'CLOSED'])
})

test('streams carry messages in both directions, and closing one closes the connection', async () => {
  const source = subject()
  const { readable, writable } = source.connection
  assert.is(source.connection.readable, readable)
  assert.is(source.connection.writable, writable)
  source.hears('waited')
  const reading = readable.getReader()
  assert.equal(await reading.read(), { done: false, value: 'waited' })
  const pending = reading.read()
  const writing = writable.getWriter()
  await writing.write('one')
  const closing = writing.close()
  await settle()
  source.receive(TOLD)
  await closing
  assert.equal(source.sent, [piece('one'), ASK])
  assert.equal(await pending, { done: true, value: undefined })
  assert.is(source.connection.state, 'closed')
})

test('a stream that is cancelled reads no more, and leaves the rest to others', async () => {
  const source = subject()
  const reading = source.connection.readable.getReader()
  const pending = reading.read()
  await settle()
  await reading.cancel()
  assert.is((await pending).done, true)
  source.hears('for the next')
  const { got } = read(source)
  await settle()
  assert.equal(got, ['for the next'])
})

test('a writable fails when the connection ends', async () => {
  const source = subject()
  const writing = source.connection.writable.getWriter()
  writing.closed.catch(() => undefined)
  source.end('it left')
  await settle()
  assert.is(await codeOf(() => writing.write('x')), 'CLOSED')
})

test('tells the path once it is known, when it changes, and outlives stats that fail', async () => {
  const source = subject()
  const paths: string[] = []
  source.connection.on('path', (path) => paths.push(path))
  await source.clock.advance(0)
  assert.is(source.connection.path, 'unknown')
  source.path = new Error('no stats')
  await source.clock.advance(1000)
  source.path = 'turn'
  await source.clock.advance(2000)
  source.path = 'direct'
  await source.clock.advance(20_000)
  assert.equal(paths, ['turn', 'direct'])
  assert.is(source.connection.path, 'direct')
})

test('an ended connection leaves no timer', () => {
  const source = subject()
  source.end('it left')
  assert.is(source.clock.pending, 0)
})

test.run()
