/** The mutants: each still fits the code that it breaks, and names a test that there is. */

import { readFileSync } from 'node:fs'
import { drawMutants, mutate, readMutants } from '../tools/mutants.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('mutants')
const mutants = readMutants()
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

test('there are enough of them, each with a name of its own', () => {
  assert.ok(mutants.length >= 40)
  assert.is(new Set(mutants.map(({ name }) => name)).size, mutants.length)
})

test('each changes its file in exactly one place', () => {
  for (const mutant of mutants) assert.is.not(mutate(read(mutant.file), mutant), read(mutant.file))
})

test('each names a test file that there is', () => {
  for (const { test: file } of mutants) assert.ok(read(file).includes('test.run()'), file)
})

test('are drawn by a seed: the same for the same, others for another', () => {
  const names = (seed: number): string[] => drawMutants(mutants, 10, seed).map(({ name }) => name)
  assert.equal(names(7), names(7))
  assert.not.equal(names(7), names(8))
  assert.is(new Set(names(7)).size, 10)
})

test.run()
