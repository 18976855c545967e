/** The manual clock that other tests turn, and the buckets that count by it. */

import fc from 'fast-check'
import { manualClock, repeat, settle, systemClock } from '../src/clock.ts'
import { createBucket, take } from '../src/rate.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('clock')

test('runs what falls due in the order of its time, and of its asking at the same time', async () => {
  const clock = manualClock(0)
  const ran: string[] = []
  const at = (delayMs: number, name: string) =>
    clock.after(delayMs, () => ran.push(`${name}@${clock.nowMs()}`))
  at(20, 'c')
  at(10, 'a')
  at(10, 'b')
  at(0, 'now')
  const cancel = at(15, 'never')
  cancel()
  assert.equal(ran, [])
  await clock.advance(15)
  assert.equal(ran, ['now@0', 'a@10', 'b@10'])
  await clock.advance(100)
  assert.is(ran.at(-1), 'c@20')
  assert.is(clock.nowMs(), 115)
  assert.is(clock.pending, 0)
})

test('runs timers that timers and promises set, within the same turn', async () => {
  const clock = manualClock(0)
  const ran: number[] = []
  clock.after(10, () => {
    void Promise.resolve().then(() => clock.after(10, () => ran.push(clock.nowMs())))
  })
  await clock.advance(25)
  assert.equal(ran, [20])
})

test('repeats until it is stopped, also from within', async () => {
  const clock = manualClock(0)
  let times = 0
  const stop = repeat(clock, 10, () => {
    times += 1
    if (times === 3) stop()
  })
  await clock.advance(100)
  assert.is(times, 3)
  assert.is(clock.pending, 0)
})

test('lies about the time when told to, without running a timer', async () => {
  const clock = manualClock(1_000)
  let ran = 0
  clock.after(10, () => ran++)
  clock.skew(-500)
  assert.is(clock.nowMs(), 500)
  await settle()
  assert.is(ran, 0)
  await clock.advance(10)
  assert.is(ran, 1)
})

test('counts on, whatever becomes of the wall clock', async () => {
  const clock = manualClock(1_000)
  clock.skew(-500)
  await clock.advance(10)
  clock.skew(9_000)
  assert.equal([clock.nowMs(), clock.monotonicMs()], [9_510, 1_010])
})

test('reads the same by both clocks of the machine at first', () => {
  const apartMs = systemClock.nowMs() - systemClock.monotonicMs()
  assert.ok(Math.abs(apartMs) < 60_000, `${apartMs}`)
  assert.ok(Number.isInteger(systemClock.monotonicMs()))
})

test('lets a burst through, then so many per second, and says how long to wait', () => {
  const bucket = createBucket(10, 3)
  assert.equal(
    [1, 2, 3, 4].map(() => take(bucket, 1_000)),
    [0, 0, 0, 100],
  )
  assert.is(take(bucket, 1_050), 50)
  assert.is(take(bucket, 1_100), 0)
  assert.is(take(bucket, 1_100), 100)
  assert.equal(
    [1, 2, 3, 4].map(() => take(bucket, 99_000)),
    [0, 0, 0, 100],
    'no more than a burst',
  )
})

test('is neither emptied nor filled by a clock that is set back', () => {
  const bucket = createBucket(10, 3)
  assert.is(take(bucket, 1_000_000), 0)
  assert.equal(
    [1, 2, 3].map(() => take(bucket, 5_000)),
    [0, 0, 100],
  )
  assert.is(take(bucket, 5_100), 0, 'and goes on from there')
})

test('never lets more through than burst and rate allow, and always what waited as told', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.nat(300), { maxLength: 200, size: 'max' }),
      (perSecond, burst, steps) => {
        const bucket = createBucket(perSecond, burst)
        let nowMs = 0
        let taken = 0
        for (const step of steps) {
          nowMs += step
          const waitMs = take(bucket, nowMs)
          if (waitMs === 0) taken += 1
          assert.ok(taken <= burst + (nowMs * perSecond) / 1000)
          if (waitMs > 0) {
            assert.is(take({ ...bucket }, nowMs + waitMs), 0)
            assert.is.not(take({ ...bucket }, nowMs + waitMs - 1), 0)
          }
        }
      },
    ),
  )
})

test.run()
