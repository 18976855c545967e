/** Requests and answers over a link: each has its own, errors keep their code, nothing waits for ever. */

import { concat, fromUtf8, utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_REQUESTS_IN_FLIGHT, REQUEST_TIMEOUT_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { answerOnce, createRpc, type Rpc, type Serve } from '../src/rpc.ts'
import { codeOf, rejection } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('rpc')
const NOTHING = new Uint8Array(0)

test('answers each request with its own answer, in whatever order they are ready', async () => {
  const ready: (() => void)[] = []
  const { asker } = pair((method, body) => {
    const answer = concat(Uint8Array.of(method), body)
    return new Promise((resolve) => ready.push(() => resolve(answer)))
  })
  const answers = ['a', 'b', 'c'].map((text, i) => asker.request(i + 1, utf8(text)))
  await settle()
  for (const resolve of ready.reverse()) resolve()
  assert.equal((await Promise.all(answers)).map(fromUtf8), ['\u0001a', '\u0002b', '\u0003c'])
})

test('carries empty bodies and bodies of any bytes', async () => {
  const { asker } = pair((_, body) => body)
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  assert.equal(await asker.request(1, NOTHING), NOTHING)
  assert.equal(await asker.request(1, all), all)
})

test('gives an error of the other side with its code, words, wait and evidence', async () => {
  const evidence = utf8('proof')
  const { asker } = pair(() => {
    throw new SignalMeshError('STALE_RECORD', 'Newer is known', { retryAfterMs: 50, evidence })
  })
  let caught: unknown
  await asker.request(1, NOTHING).catch((error: unknown) => (caught = error))
  assert.instance(caught, SignalMeshError)
  const { code, message, retryAfterMs, evidence: shown } = caught as SignalMeshError
  assert.equal([code, message, retryAfterMs], ['STALE_RECORD', 'Newer is known', 50])
  assert.equal(shown, evidence)
})

test('makes an error that is none of ours an INTERNAL one', async () => {
  const { asker } = pair(() => Promise.reject(new TypeError('x is undefined')))
  assert.is(await rejection(asker.request(1, NOTHING)), 'INTERNAL')
})

test('gives up on an answer after its time, and ignores it when it comes later', async () => {
  let answer: (value: Uint8Array) => void = () => {}
  const { asker, clock } = pair(() => new Promise((resolve) => (answer = resolve)))
  const code = rejection(asker.request(1, NOTHING))
  await clock.advance(REQUEST_TIMEOUT_MS - 1)
  assert.is(await Promise.race([code, 'waiting']), 'waiting')
  await clock.advance(1)
  assert.is(await code, 'TIMEOUT')
  answer(utf8('late'))
  await settle()
  assert.is(clock.pending, 0)
})

test('ends what is open when the link closes, and takes nothing after it', async () => {
  const { asker, clock } = pair(() => new Promise(() => {}))
  const code = rejection(asker.request(1, NOTHING))
  await settle()
  asker.close()
  assert.is(await code, 'CLOSED')
  assert.is(await rejection(asker.request(1, NOTHING)), 'CLOSED')
  assert.is(clock.pending, 0)
})

test('refuses rubbish where a frame was due, and ignores an answer to nothing', async () => {
  const { asker, frames } = pair(() => NOTHING)
  for (const bytes of [[], [FRAME.rpc], [FRAME.rpc, 0, 0, 0], [FRAME.push, 0, 0, 0, 1]]) {
    assert.is(
      codeOf(() => asker.receive(Uint8Array.from(bytes))),
      'BAD_FRAME',
      `${bytes}`,
    )
  }
  asker.receive(Uint8Array.of(FRAME.rpc, 0, 0, 0, 9, 0))
  await settle()
  assert.is(frames.length, 0)
})

test('refuses an answer of unknown status, or with more behind its error', async () => {
  for (const answer of [[], [7], [1], [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9]]) {
    const { asker, answerWith } = pair(() => new Promise(() => {}))
    const code = rejection(asker.request(1, NOTHING))
    await settle()
    answerWith(Uint8Array.from(answer))
    assert.is(await code, 'BAD_FRAME', `${answer}`)
  }
})

test('serves so many requests at once and refuses the next, until some are answered', async () => {
  const ready: (() => void)[] = []
  const { server, frames } = pair(
    () => new Promise((resolve) => ready.push(() => resolve(NOTHING))),
  )
  const request = (id: number): Uint8Array =>
    Uint8Array.of(FRAME.rpc, 0, 0, id >> 7, (id << 1) & 255, 1)
  for (let id = 1; id <= MAX_REQUESTS_IN_FLIGHT; id++) server.receive(request(id))
  await settle()
  assert.is(
    codeOf(() => server.receive(request(300))),
    'RATE_LIMITED',
  )
  for (const resolve of ready) resolve()
  await settle()
  assert.is(frames.length, MAX_REQUESTS_IN_FLIGHT)
  assert.is(
    codeOf(() => server.receive(request(300))),
    undefined,
  )
})

test('answers an edge without keeping an instance for it', async () => {
  const sent: Uint8Array[] = []
  const serve: Serve = (method, body) => concat(Uint8Array.of(method), body)
  const send = (frame: Uint8Array): void => void sent.push(frame)
  await answerOnce(Uint8Array.of(FRAME.rpc, 0, 0, 0, 8, 3, 42), serve, send)
  assert.equal(sent.pop(), Uint8Array.of(FRAME.rpc, 0, 0, 0, 9, 0, 3, 42))
  await answerOnce(Uint8Array.of(FRAME.rpc, 0, 0, 0, 8), serve, send)
  assert.is(sent.pop()?.[5], 1, 'a request without a method is answered by an error')
  await answerOnce(Uint8Array.of(FRAME.rpc, 0, 0, 0, 0, 3), serve, send)
  assert.equal(sent, [], 'number 0 wants no answer')
  assert.is(
    await rejection(answerOnce(Uint8Array.of(FRAME.rpc, 0, 0, 0, 9), serve, send)),
    'BAD_FRAME',
  )
})

test.run()

interface Pair {
  readonly asker: Rpc
  readonly server: Rpc
  readonly clock: ManualClock
  /** What the server sent. */
  readonly frames: Uint8Array[]
  /** Answers the asker's first request with these bytes. */
  answerWith(data: Uint8Array): void
}

function pair(serve: Serve): Pair {
  const clock = manualClock()
  const frames: Uint8Array[] = []
  let lastAsked: Uint8Array = NOTHING
  const asker: Rpc = createRpc({
    clock,
    send: (frame) => {
      lastAsked = frame
      queueMicrotask(() => server.receive(frame))
    },
  })
  const server: Rpc = createRpc({
    clock,
    serve,
    send: (frame) => {
      frames.push(frame)
      queueMicrotask(() => asker.receive(frame))
    },
  })
  const answerWith = (data: Uint8Array): void => {
    const header = lastAsked.slice(0, 5)
    header[4]! |= 1
    asker.receive(concat(header, data))
  }
  return { asker, server, clock, frames, answerWith }
}
