/** The table of bounds: each row is met by the code itself, at its number and one beyond it. */

import { readFileSync } from 'node:fs'
import * as adapters from '../runtimes/limits.ts'
import * as core from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import { coreCases, runtimeCases } from './limits/all.ts'
import type { Cases } from './limits/case.ts'

const SOURCE = readFileSync(new URL('../src/limits.ts', import.meta.url), 'utf8')
const test = suite('limits', { timeoutMs: 20_000 })

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

test('each case has a row, and no row has two', () => {
  assert.equal(strayIn(rowsOf(coreCases), core), [])
  assert.equal(strayIn(rowsOf(runtimeCases), adapters), [])
})

tryAll(core, coreCases)
tryAll(adapters, runtimeCases, 'adapters: ')

test.run()
