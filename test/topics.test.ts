/** The topic index: joins and leaves once each, and samples that are complete and uniform. */

import fc from 'fast-check'
import { createTopicIndex, type TopicChange } from '../src/topics.ts'
import { pick, seededRandom } from './fixtures/random.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('topics')

test('tells each join and each leave once, and nothing for what stays', () => {
  const topics = createTopicIndex()
  const told: string[] = []
  topics.onChange(({ tag, peer, kind }) => told.push(`${peer} ${kind} ${tag}`))
  const after = (peer: string, ...tags: string[]): string[] => {
    topics.set(peer, tags)
    return told.splice(0)
  }
  assert.equal(after('ann', 'a', 'b'), ['ann join a', 'ann join b'])
  assert.equal(after('ann', 'b', 'a', 'a'), [])
  assert.equal(after('ben', 'a'), ['ben join a'])
  assert.equal(after('ann', 'b', 'c'), ['ann leave a', 'ann join c'])
  assert.equal(after('ann'), ['ann leave b', 'ann leave c'])
  assert.equal(after('ann'), [])
  assert.equal(['a', 'b', 'c'].map(topics.count), [1, 0, 0])
})

test('holds exactly the edges that were put there, after any history', () => {
  const change = fc.tuple(fc.nat(8), fc.subarray(['a', 'b', 'c']))
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80, size: 'max' }), (changes) => {
      const topics = createTopicIndex(seededRandom(3))
      const members = new Map<string, readonly string[]>()
      const told: TopicChange[] = []
      topics.onChange((change) => told.push(change))
      for (const [peer, tags] of changes) {
        topics.set(`peer ${peer}`, tags)
        members.set(`peer ${peer}`, tags)
      }
      for (const tag of ['a', 'b', 'c']) {
        const expected = [...members].filter(([, tags]) => tags.includes(tag)).map(([p]) => p)
        assert.equal([...topics.sample(tag)].sort(), expected.sort())
        assert.is(topics.count(tag), expected.length)
        const net = new Set<string>()
        for (const { peer, kind } of told.filter((change) => change.tag === tag)) {
          assert.is(net.has(peer), kind === 'leave', 'joins and leaves take turns')
          if (kind === 'join') net.add(peer)
          else net.delete(peer)
        }
        assert.equal([...net].sort(), expected)
      }
    }),
    { numRuns: 60 },
  )
})

test('draws each edge equally often, in every place of the sample', () => {
  const size = 12
  const draws = 12_000
  const topics = createTopicIndex(seededRandom(7))
  for (let i = 0; i < size; i++) topics.set(`peer ${i}`, ['a'])
  // A little history, so that the list is not in the order of joining.
  topics.set('peer 3', [])
  topics.set('peer 3', ['a'])
  const counts = [0, 1, 2].map(() => new Map<string, number>())
  for (let i = 0; i < draws; i++) {
    const [first, second, third] = topics.sample('a')
    for (const [place, peer] of [first, second, third].entries()) {
      counts[place]?.set(peer as string, (counts[place]?.get(peer as string) ?? 0) + 1)
    }
  }
  for (const [place, count] of counts.entries()) {
    assert.ok(chiSquare([...count.values()], size, draws) < CHI_SQUARE_11_0001, `place ${place}`)
  }
})

test('draws every pair of edges equally often', () => {
  const size = 5
  const draws = 10_000
  const topics = createTopicIndex(seededRandom(11))
  for (let i = 0; i < size; i++) topics.set(`${i}`, ['a'])
  const counts = new Map<string, number>()
  for (let i = 0; i < draws; i++) {
    const [first, second] = topics.sample('a')
    const pair = `${first}${second}`
    counts.set(pair, (counts.get(pair) ?? 0) + 1)
  }
  assert.is(counts.size, 20)
  assert.ok(chiSquare([...counts.values()], 20, draws) < CHI_SQUARE_19_0001)
})

test('draws a small sample of a big topic with no more work than of a small one', () => {
  const random = seededRandom(5)
  let draws = 0
  const topics = createTopicIndex(() => {
    draws += 1
    return random()
  })
  for (let i = 0; i < 50_000; i++) topics.set(`peer ${i}`, ['a'])
  const drawn: string[] = []
  for (const peer of topics.sample('a')) {
    drawn.push(peer)
    if (drawn.length === 8) break
  }
  assert.is(new Set(drawn).size, 8)
  assert.is(draws, 8)
})

test('gives a listener an index that is whole already', () => {
  const topics = createTopicIndex()
  const seen: (readonly string[])[] = []
  topics.onChange(({ tag }) => seen.push([...topics.sample(tag)]))
  topics.set('ann', ['a'])
  topics.set('ann', [])
  assert.equal(seen, [['ann'], []])
})

test('takes a listener that changes the index in the middle of a change', () => {
  const topics = createTopicIndex()
  const told: string[] = []
  topics.onChange(({ peer, tag, kind }) => {
    told.push(`${peer} ${kind} ${tag}`)
    if (peer === 'bad' && kind === 'join') topics.set('bad', [])
  })
  topics.set('bad', ['a', 'b'])
  const joined = told.filter((line) => line.includes('join')).length
  const left = told.filter((line) => line.includes('leave')).length
  assert.is(joined, left, `as many leaves as joins: ${told.join(', ')}`)
  assert.equal(told.at(-1)?.includes('leave'), true)
  assert.is(topics.count('a') + topics.count('b'), 0)
})

test('picks at random with a generator that is itself fair', () => {
  const random = seededRandom(1)
  const counts = Array.from({ length: 12 }, () => 0)
  for (let i = 0; i < 12_000; i++) counts[pick([...counts.keys()], random)]! += 1
  assert.ok(chiSquare(counts, 12, 12_000) < CHI_SQUARE_11_0001)
})

test.run()

/** What chi-square stays below in all but one of 10,000 fair cases, by degrees of freedom. */
const CHI_SQUARE_11_0001 = 37.4
const CHI_SQUARE_19_0001 = 50.8

function chiSquare(counts: readonly number[], cells: number, draws: number): number {
  const expected = draws / cells
  const seen = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  return seen + (cells - counts.length) * expected
}
