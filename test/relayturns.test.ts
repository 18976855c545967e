/** Turns of a relay's clients: each one's words in their order, and nobody blamed for another's. */

import { createRelayTurns } from '../runtimes/relayturns.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('relay turns')

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what a client’s words do a moment later is not laid to whose words came along', async () => {
  const blamed: [number, number | undefined][] = []
  const turns = createRelayTurns<{ id: number }>(({ id }) => {
    const note = (): void => void blamed.push([id, turns.reading])
    queueMicrotask(() => queueMicrotask(note))
    process.nextTick(() => process.nextTick(note))
  })
  for (const id of [1, 2, 1, 3, 2]) turns.push({ id })
  for (let i = 0; i < 10; i++) await turn()
  assert.is(blamed.length, 10)
  assert.equal(
    blamed.filter(([id, reading]) => id !== reading),
    [],
  )
  assert.is(turns.reading, undefined, 'nor is anybody blamed for what comes later')
})

test('each client’s words are read in their order, and those of the next turn as well', async () => {
  const read: string[] = []
  const turns = createRelayTurns<{ id: number; word: string }>(({ word }) => read.push(word))
  turns.push({ id: 1, word: 'a' })
  turns.push({ id: 2, word: 'x' })
  turns.push({ id: 1, word: 'b' })
  for (let i = 0; i < 4; i++) await turn()
  turns.push({ id: 1, word: 'c' })
  for (let i = 0; i < 4; i++) await turn()
  assert.equal(read, ['a', 'b', 'x', 'c'])
})

test.run()
