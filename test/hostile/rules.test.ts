/** The table of the protocol's rules: which tests show each, and what of it is not kept. */

import { readFileSync } from 'node:fs'
import { assert, suite } from '../harness/suite.ts'

interface Rule {
  /** A1 to E, as in the review that the protocol was built by. */
  readonly rule: string
  readonly says: string
  /** Titles as they stand in the file's source: what is drawn into one stands as `${…}`. */
  readonly tests: readonly { readonly file: string; readonly names: readonly string[] }[]
  /** What of the rule is not kept, or shown by no test. */
  readonly left?: string
}

const COUNTS = { A: 8, B: 10, C: 6, D: 4 } as const
const ALL = [
  ...Object.entries(COUNTS).flatMap(([part, count]) =>
    Array.from({ length: count }, (_, i) => `${part}${i + 1}`),
  ),
  'E',
]

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
const rules = JSON.parse(read('./rules.json')) as Rule[]
const test = suite('rules')

test('each rule stands in the table once', () => {
  assert.equal(
    rules.map(({ rule }) => rule),
    ALL,
  )
})

for (const { rule, says, tests, left } of rules) {
  test(`${rule}: each test that is named for it is there`, () => {
    assert.ok(says.length > 0)
    assert.ok(tests.length > 0, 'a rule without a test')
    const missing = tests.flatMap(({ file, names }) => {
      const source = read(`../../${file}`)
      return names.filter((name) => !hasTest(source, name)).map((name) => `${file}: ${name}`)
    })
    assert.equal(missing, [])
  })

  test(`${rule}: what is left of it is said in whole sentences`, () => {
    if (left !== undefined) assert.match(left, /^[A-Z].*\.$/)
  })
}

test('notices a title that there is not', () => {
  assert.not(hasTest("test('one', () => {})", 'another'))
  assert.not(hasTest("test('one more', () => {})", 'one'))
  assert.ok(hasTest("test('one', () => {})", 'one'))
})

/** Whether a test, or what makes tests, has this title. */
function hasTest(source: string, title: string): boolean {
  return ["'", '"', '`'].some((quote) => {
    const at = source.indexOf(`${quote}${title}${quote}`)
    return at > 0 && /(?:test|beside|against)\(\s*$/.test(source.slice(0, at))
  })
}

test.run()
