/** A connection: messages out and in, from before anybody listens to after it has ended. */

import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { type ConnectionSource, makeConnection } from '../src/edge/connection.ts'
import type { Rtc, RtcPath } from '../src/edge/rtc.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_EARLY_MESSAGES, MAX_MESSAGE_BYTES } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('connection')

interface Subject extends ConnectionSource {
  readonly clock: ManualClock
  readonly sent: unknown[]
  /** Reasons for which this side closed it. */
  readonly closed: string[]
  path: RtcPath | undefined | Error
}

function subject(): Subject {
  const clock = manualClock()
  const sent: unknown[] = []
  const closed: string[] = []
  const rtc: Rtc = {
    take: () => undefined,
    send: async (data) => void sent.push(data),
    path: async () => {
      if (self.path instanceof Error) throw self.path
      return self.path
    },
    close: () => undefined,
    connection: {} as RTCPeerConnection,
  }
  const about = { id: 'ab'.repeat(32), topic: 'room', clock, rtc }
  const source = makeConnection(about, (reason) => closed.push(reason))
  const self: Subject = { ...source, clock, sent, closed, path: undefined }
  return self
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
    source.receive('one')
    source.receive(Uint8Array.of(2))
    const got = listen(source)
    source.receive('three')
    await settle()
    source.receive('four')
    await settle()
    assert.equal(got, ['one', Uint8Array.of(2), 'three', 'four'])
  }
})

test('a listener that goes at once takes no message with it', async () => {
  const source = subject()
  source.receive('one')
  source.connection.on('message', () => assert.unreachable())()
  await settle()
  const { got } = read(source)
  await settle()
  assert.equal(got, ['one'])
})

test('messages between two readers wait for the second', async () => {
  const source = subject()
  source.receive('one')
  for await (const message of source.connection.messages()) {
    assert.is(message, 'one')
    break
  }
  source.receive('two')
  const { got } = read(source)
  await settle()
  assert.equal(got, ['two'])
})

test('what came before the end can still be read after it', async () => {
  const source = subject()
  source.receive('one')
  source.receive('two')
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
  source.receive('one')
  source.end('it left')
  await settle()
  assert.equal(reading.got, ['one'])
  assert.ok(reading.done)
})

test('a connection whose messages nobody reads is closed, not kept in memory', () => {
  const source = subject()
  for (let i = 0; i < MAX_EARLY_MESSAGES; i++) source.receive('x')
  assert.is(source.connection.state, 'open')
  source.receive('one too many')
  assert.is(source.connection.state, 'closed')
  assert.equal(source.closed, ['nobody reads its messages'])
})

test('sends text and bytes, and nothing else', async () => {
  const { connection, sent } = subject()
  await connection.send('text')
  await connection.send(Uint8Array.of(1, 2))
  assert.equal(sent, ['text', Uint8Array.of(1, 2)])
  for (const bad of [undefined, null, 5, {}, [1], new ArrayBuffer(4)]) {
    assert.is(await codeOf(() => connection.send(bad as string)), 'BAD_ARGUMENT')
  }
  assert.is(sent.length, 2)
})

test('holds messages to the bound, counted in bytes of UTF-8', async () => {
  const { connection, sent } = subject()
  const fits = [
    new Uint8Array(MAX_MESSAGE_BYTES),
    'x'.repeat(MAX_MESSAGE_BYTES),
    'ß'.repeat(MAX_MESSAGE_BYTES / 2),
  ]
  for (const data of fits) await connection.send(data)
  assert.is(sent.length, fits.length)
  const over = [
    new Uint8Array(MAX_MESSAGE_BYTES + 1),
    'x'.repeat(MAX_MESSAGE_BYTES + 1),
    'ß'.repeat(MAX_MESSAGE_BYTES / 2 + 1),
    'x'.repeat(2 ** 28),
  ]
  for (const data of over) assert.is(await codeOf(() => connection.send(data)), 'TOO_LARGE')
  assert.is(sent.length, fits.length)
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
