/** Links: whole frames in order, bounded waiting, one end; and silence noticed by keep-alive. */

import { fromUtf8, utf8 } from '../src/bytes.ts'
import { manualClock, settle } from '../src/clock.ts'
import { keepAlive } from '../src/keepalive.ts'
import {
  MAX_BUFFERED_BYTES,
  MAX_EARLY_FRAMES,
  PING_AFTER_MS,
  PONGS_BURST,
  PONGS_PER_SECOND,
  SILENT_AFTER_MS,
} from '../src/limits.ts'
import { type Link, linkPair, makeLink } from '../src/link.ts'
import { PING, PONG } from '../src/messages.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('link')

test('carries frames whole and in order, each way', async () => {
  const [left, right] = linkPair()
  const [atLeft, atRight] = [heard(left), heard(right)]
  for (const text of ['a', '', 'c']) left.send(utf8(text))
  right.send(utf8('back'))
  await settle()
  assert.equal(atRight, ['a', '', 'c'])
  assert.equal(atLeft, ['back'])
})

test('sends what a frame held when it was sent', async () => {
  const [left, right] = linkPair()
  const atRight = heard(right)
  const frame = utf8('before')
  left.send(frame)
  frame.fill(0)
  await settle()
  assert.equal(atRight, ['before'])
})

test('keeps frames for the first subscriber, in order and before later ones', async () => {
  const [left, right] = linkPair()
  for (let i = 0; i < MAX_EARLY_FRAMES; i++) left.send(utf8(`${i}`))
  await settle()
  const atRight = heard(right)
  left.send(utf8('last'))
  await settle()
  assert.is(atRight.length, MAX_EARLY_FRAMES + 1)
  assert.equal([atRight[0], atRight[1], atRight.at(-1)], ['0', '1', 'last'])
})

test('closes rather than keep more than its bound for a subscriber who does not come', async () => {
  const [left, right] = linkPair()
  for (let i = 0; i <= MAX_EARLY_FRAMES; i++) left.send(utf8(`${i}`))
  assert.is(await left.closed, 'TOO_MANY')
  assert.equal(heard(right), [])
})

test('gives frames to one subscriber, and to none once it has left', async () => {
  const [left, right] = linkPair()
  const seen: string[] = []
  const unsubscribe = right.subscribe((frame) => seen.push(fromUtf8(frame)))
  left.send(utf8('a'))
  await settle()
  unsubscribe()
  left.send(utf8('b'))
  await settle()
  assert.equal(seen, ['a'])
  const next = heard(right)
  unsubscribe()
  left.send(utf8('c'))
  await settle()
  assert.equal(
    next,
    ['b', 'c'],
    'what came between waits for the next, whom the first cannot remove',
  )
})

test('tells both ends why it closed, once, after what was sent before', async () => {
  const [left, right] = linkPair()
  const atRight = heard(right)
  left.send(utf8('last words'))
  left.close('DONE')
  left.close('AGAIN')
  left.send(utf8('too late'))
  assert.equal([await left.closed, await right.closed], ['DONE', 'DONE'])
  right.send(utf8('into the void'))
  await settle()
  assert.equal(atRight, ['last words'])
})

test('hands on nothing once the channel beneath has ended', async () => {
  const sent: Uint8Array[] = []
  const source = makeLink({
    send: (frame) => sent.push(frame),
    bufferedBytes: () => 7,
    close: () => {},
  })
  const seen = heard(source.link)
  assert.is(source.link.bufferedBytes, 7)
  source.end('LOST')
  source.end('LATER')
  source.receive(utf8('late'))
  source.link.send(utf8('late'))
  assert.is(await source.link.closed, 'LOST')
  assert.equal([seen, sent, source.link.bufferedBytes], [[], [], 0])
})

test('asks a silent link for a sign of life, once in 20 s, until it is stopped', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const alive = keepAlive(left, clock)
  const pings = heard(right)
  await clock.advance(PING_AFTER_MS - 1)
  assert.equal(pings, [])
  await clock.advance(1)
  assert.equal(pings, [fromUtf8(PING)])
  await clock.advance(PING_AFTER_MS)
  assert.is(pings.length, 2)
  alive.stop()
  assert.is(clock.pending, 0)
})

test('leaves open a link on which anything at all is heard', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const alive = keepAlive(left, clock)
  let open = true
  void left.closed.then(() => {
    open = false
  })
  left.subscribe((frame) => alive.heard(frame))
  for (let i = 0; i < 20; i++) {
    await clock.advance(PING_AFTER_MS - 1)
    right.send(utf8('news'))
  }
  assert.ok(open)
  alive.stop()
})

test('lives as long as pongs come, and dies of silence, but not before its time', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const alive = keepAlive(left, clock)
  let answering = true
  left.subscribe((frame) => alive.heard(frame))
  right.subscribe(() => answering && right.send(PONG))
  let reason = ''
  void left.closed.then((why) => {
    reason = why
  })
  await clock.advance(10 * SILENT_AFTER_MS)
  assert.is(reason, '')
  answering = false
  const heardAtMs = clock.nowMs()
  while (reason === '' && clock.nowMs() < heardAtMs + 4 * SILENT_AFTER_MS) await clock.advance(1000)
  const silentMs = clock.nowMs() - heardAtMs
  assert.is(reason, 'SILENT')
  // It counts in whole steps, so it may be one early at the start and one late at the end.
  assert.ok(silentMs >= SILENT_AFTER_MS - PING_AFTER_MS, `${silentMs}`)
  assert.ok(silentMs <= SILENT_AFTER_MS + PING_AFTER_MS, `${silentMs}`)
  assert.is(clock.pending, 0)
})

test('answers a ping and keeps ping and pong to itself', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const answers = heard(right)
  const alive = keepAlive(left, clock)
  assert.ok(alive.heard(PING))
  assert.ok(alive.heard(PONG))
  assert.not(alive.heard(Uint8Array.of(4)))
  assert.not(alive.heard(Uint8Array.of(...PING, 0)))
  assert.not(alive.heard(new Uint8Array(0)))
  await settle()
  assert.equal(answers, [fromUtf8(PONG)])
  alive.stop()
})

test('answers a flood of pings with few pongs, and closes a link on which they are not read', async () => {
  const clock = manualClock()
  const closed: string[] = []
  let pongs = 0
  const link = {
    bufferedBytes: MAX_BUFFERED_BYTES,
    send: () => {
      pongs += 1
    },
    close: (reason = '') => void closed.push(reason),
  }
  const alive = keepAlive(link, clock)
  for (let i = 0; i < 10_000; i++) alive.heard(PING)
  assert.is(pongs, PONGS_BURST)
  await clock.advance(1000)
  for (let i = 0; i < 10_000; i++) alive.heard(PING)
  assert.is(pongs, PONGS_BURST + PONGS_PER_SECOND)
  assert.equal(closed, [])
  await clock.advance(1000)
  link.bufferedBytes += 1
  alive.heard(PING)
  assert.equal([pongs, closed], [PONGS_BURST + PONGS_PER_SECOND, ['RATE_LIMITED']])
  alive.stop()
})

test.run()

function heard(link: Link): string[] {
  const frames: string[] = []
  link.subscribe((frame) => frames.push(fromUtf8(frame)))
  return frames
}
