/** Names: others' slow ones hold up neither each other for ever nor anything else. */

import type { LookupAddress } from 'node:dns'
import { MAX_LOOKUPS } from '../runtimes/limits.ts'
import { fewAtOnce } from '../runtimes/names.ts'
import { addressesOf } from '../runtimes/reach.ts'
import { manualClock } from '../src/clock.ts'
import { DIAL_TIMEOUT_MS } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('names')
const FOUND: LookupAddress[] = [{ address: '203.0.113.7', family: 4 }]

function slow() {
  const clock = manualClock()
  const running: { host: string; answer(): void }[] = []
  const lookUp = fewAtOnce(
    (host) =>
      new Promise((resolve) => {
        running.push({ host, answer: () => resolve(FOUND) })
      }),
    clock,
  )
  const outcomes: string[] = []
  const ask = (host: string): void => {
    lookUp(host).then(
      () => outcomes.push(`${host} found`),
      () => outcomes.push(`${host} given up`),
    )
  }
  return { clock, running, ask, outcomes }
}

test('names whose servers never answer take no more than their part of the threads', async () => {
  const { clock, running, ask, outcomes } = slow()
  for (let i = 0; i < 16; i++) ask(`n${i}`)
  await clock.advance(DIAL_TIMEOUT_MS)
  assert.is(running.length, MAX_LOOKUPS)
  assert.is(outcomes.filter((outcome) => outcome.endsWith('given up')).length, 16, 'in time')
  ask('later')
  await clock.advance(0)
  assert.is(running.length, MAX_LOOKUPS, 'those that run cannot be stopped')
  running[0]?.answer()
  await clock.advance(0)
  assert.equal(
    running.slice(MAX_LOOKUPS).map(({ host }) => host),
    ['later'],
    'nor is what was given up begun',
  )
  running.at(-1)?.answer()
  await clock.advance(0)
  assert.is(outcomes.at(-1), 'later found')
})

test('a name that is found in time leaves nothing behind', async () => {
  const { clock, running, ask, outcomes } = slow()
  ask('a')
  running[0]?.answer()
  await clock.advance(0)
  assert.equal(outcomes, ['a found'])
  assert.is(clock.pending, 0)
})

test('what the operator has named waits for no name of others', async () => {
  const asked: string[] = []
  const lookUps = {
    own: async (host: string) => [asked.push(`own ${host}`), FOUND][1] as LookupAddress[],
    others: async (host: string) => [asked.push(`others ${host}`), FOUND][1] as LookupAddress[],
  }
  const at = 'wss://a.example/mesh'
  await addressesOf(at, { allowPrivate: false }, lookUps)
  await addressesOf(at, { allowPrivate: false, isNamed: true }, lookUps)
  await addressesOf('wss://203.0.113.7/mesh', { allowPrivate: false }, lookUps)
  assert.equal(asked, ['others a.example', 'own a.example'])
})

test.run()
