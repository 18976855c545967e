/** The digest: one hash for a set of records, whatever the order in which it came about. */

import fc from 'fast-check'
import { toHex, utf8 } from '../src/bytes.ts'
import { hash } from '../src/crypto.ts'
import { createDigest, type Digest } from '../src/digest.ts'
import { seededRandom, shuffled } from './fixtures/random.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('digest')
const recordHash = (name: string): Uint8Array => hash([utf8(name)])
/** Keys begin with a PeerId; a few share each bucket. */
const keyOf = (number: number): string => toHex(hash([utf8(`key ${number % 40}`)])) + number

test('is the same for the same records in any order, and another for any other set', () => {
  const numbers = Array.from({ length: 300 }, (_, i) => i)
  const random = seededRandom(1)
  const first = filled(numbers)
  for (let round = 0; round < 5; round++) {
    assert.equal(filled(shuffled(numbers, random)).hash(), first.hash())
  }
  assert.is(first.size, 300)
  assert.not.equal(filled(numbers.slice(1)).hash(), first.hash())
  assert.not.equal(filled([...numbers, 300]).hash(), first.hash())
})

test('is after any history what it is for the records left', () => {
  const change = fc.record({ key: fc.nat(60), value: fc.option(fc.nat(5), { freq: 2 }) })
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 120, size: 'max' }),
      fc.nat(20),
      (changes, askEvery) => {
        const digest = createDigest()
        const left = new Map<string, Uint8Array>()
        for (const [i, { key, value }] of changes.entries()) {
          const record = value === null ? undefined : recordHash(`${key}/${value}`)
          digest.set(keyOf(key), record)
          if (record) left.set(keyOf(key), record)
          else left.delete(keyOf(key))
          // Asking in between must not matter.
          if (i % (askEvery + 1) === 0) digest.hash()
        }
        const fresh = createDigest()
        for (const [key, record] of left) fresh.set(key, record)
        assert.equal(digest.hash(), fresh.hash())
        assert.is(digest.size, left.size)
      },
    ),
    { numRuns: 60 },
  )
})

test('reads a bucket once for a change, however many are in it, and hashes it as one in order', () => {
  const digest = createDigest()
  let reads = 0
  const counted = (name: string): Uint8Array =>
    new Proxy(recordHash(name), {
      get: (target, key) => {
        if (key === '0') reads += 1
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  const size = 500
  for (let i = 0; i < size; i++) digest.set(`00 ${i}`, counted(`record ${i}`))
  digest.hash()
  reads = 0
  digest.set('00 new', counted('new'))
  digest.set('00 7', undefined)
  digest.set('00 8', counted('another'))
  digest.hash()
  assert.ok(reads < size + 100, `${reads} reads of ${size} hashes`)
  const fresh = createDigest()
  for (let i = 9; i < size; i++) fresh.set(`00 ${i}`, recordHash(`record ${i}`))
  for (let i = 0; i < 7; i++) fresh.set(`00 ${i}`, recordHash(`record ${i}`))
  for (const name of ['another', 'new']) fresh.set(`00 ${name}`, recordHash(name))
  assert.equal(digest.hash(), fresh.hash())
  assert.equal([digest.sizeBeside('00'), digest.sizeBeside('01')], [size, 0])
})

test('is the hash of 256 empty buckets when there is nothing', () => {
  const digest = createDigest()
  assert.equal(digest.hash(), hash([new Uint8Array(256 * 32)]))
  digest.set(keyOf(1), recordHash('a'))
  assert.not.equal(digest.hash(), hash([new Uint8Array(256 * 32)]))
  digest.set(keyOf(1), undefined)
  assert.equal(digest.hash(), hash([new Uint8Array(256 * 32)]))
  assert.is(digest.size, 0)
})

test.run()

function filled(numbers: readonly number[]): Digest {
  const digest = createDigest()
  for (const number of numbers) digest.set(keyOf(number), recordHash(`record ${number}`))
  return digest
}
