/** The table of bounds: each row is met by the code itself, at its number and one beyond it. */

import { readFileSync } from 'node:fs'
import * as adapters from '../runtimes/limits.ts'
import * as core from '../src/limits.ts'
import { readSources } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'
import { coreCases, runtimeCases } from './limits/all.ts'
import type { Cases } from './limits/case.ts'
import { elsewhere } from './limits/runtime-waits.ts'

const SOURCE = readFileSync(new URL('../src/limits.ts', import.meta.url), 'utf8')
const RUNTIME_SOURCE = readFileSync(new URL('../runtimes/limits.ts', import.meta.url), 'utf8')
const test = suite('limits', { timeoutMs: 20_000 })

/** A constant whose name says that it bounds something, or for how long. */
const BOUND = /^(?:export )?const (MAX_\w+|\w+_MS)\b/gm
/** Such as follow from rows of the table or from the platform, and the pace at which an edge does things. */
const NO_BOUNDS: readonly string[] = [
  'src/gossip.ts MAX_DATA_BYTES',
  'src/edge/sealed.ts MAX_PLAIN_BYTES',
  'src/edge/sodium.ts MAX_RANDOM_BYTES',
  'src/edge/options.ts MAX_TIMER_MS',
  'src/edge/greeting.ts MAX_CLOCK_MS',
  'src/edge/sealed.ts ACK_AFTER_MS',
  'src/edge/dialling.ts STEADY_MS',
  'src/edge/connection.ts PATH_AFTER_MS',
  'src/edge/options.ts MAX_OWN_INFO_BYTES',
  'src/edge/room.ts CALLBACK_MS',
  'src/edge/loading.ts MAX_FETCHES',
  'src/edge/loading.ts FETCH_AGAIN_MS',
  'src/edge/attendance.ts LEAVE_AFTER_MS',
  'src/edge/setbacks.ts RETRY_FIRST_MS',
  'src/edge/warming.ts NEAR_MS',
  'src/edge/warming.ts GAP_MS',
  'src/edge/warming.ts REST_MS',
  'src/edge/setbacks.ts RETRY_MAX_MS',
  'src/carry.ts MAX_QUEUE_BYTES',
  'src/edge/carried.ts WORD_AFTER_MS',
  'src/edge/carried.ts LOOK_MS',
  'src/edge/carried.ts MAX_DOUBLED',
  'src/edge/carrying.ts WISH_WITHIN_MS',
]

type Table = Readonly<Record<string, number>>

/** Each case gives its tests; their titles begin with the row. */
function tryAll(table: Table, files: readonly Cases[], prefix = ''): void {
  for (const cases of files) {
    for (const [row, one] of Object.entries(cases)) {
      for (const { title, amount, outcome } of one.trials(table[row] ?? Number.NaN)) {
        test(`${prefix}${row}: ${title}`, async () => assert.is(await one.run(amount), outcome))
      }
    }
  }
}

/** Names that stand in `names` twice, or not in the table. */
function strayIn(names: readonly string[], table: Table): string[] {
  return names.filter((name, i) => !(name in table) || names.indexOf(name) !== i)
}

const rowsOf = (files: readonly Cases[]): string[] => files.flatMap((cases) => Object.keys(cases))

for (const row of Object.keys(core)) {
  // One test each, so that a new row without a case fails by its name.
  test(`${row}: has a case in test/limits/, and a doc comment`, () => {
    assert.ok(rowsOf(coreCases).includes(row), `add a case for ${row} to a file of test/limits/`)
    assert.match(SOURCE, new RegExp(`\\*/\nexport const ${row}\\b`))
  })
}

const titlesOf = (file: string): string =>
  readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

for (const row of Object.keys(adapters)) {
  test(`adapters: ${row}: has a case in test/limits/, or a test elsewhere that is named there`, () => {
    const [file, title] = elsewhere[row] ?? []
    if (file) assert.match(titlesOf(file), `test('${title}'`)
    else assert.ok(rowsOf(runtimeCases).includes(row), `add a case for ${row}`)
    assert.match(RUNTIME_SOURCE, new RegExp(`\\*/\nexport const ${row}\\b`))
  })
}

test('no bound of the core stands outside the table', () => {
  const outside = readSources('src/**/*.ts')
    .filter(({ path }) => path !== 'src/limits.ts')
    .flatMap(({ path, text }) => [...text.matchAll(BOUND)].map(([, name]) => `${path} ${name}`))
    .filter((name) => !NO_BOUNDS.includes(name))
  assert.equal(outside, [], 'move it to src/limits.ts')
})

test('each case has a row, and no row has two', () => {
  assert.equal(strayIn(rowsOf(coreCases), core), [])
  assert.equal(strayIn([...rowsOf(runtimeCases), ...Object.keys(elsewhere)], adapters), [])
})

tryAll(core, coreCases)
tryAll(adapters, runtimeCases, 'adapters: ')

test.run()
