/** Runs one test file many times and prints the runs that failed: `npm run test:repeat -- FILE 100`. */

import { killAll, runFile } from '../test/harness/child.ts'
import { addTotals, describe, type Outcome, totalsLine } from '../test/harness/outcome.ts'

const DEFAULT_RUNS = 100
/** Two at once, so that the runs disturb each other a little. */
const AT_ONCE = 2
const WATCHDOG_MS = 180_000

const [file, count = String(DEFAULT_RUNS)] = process.argv.slice(2)
if (!file || !(Number(count) > 0)) {
  console.error(
    'npm run test:repeat -- FILE [RUNS]: names no test file, or not how often to run it',
  )
  process.exit(2)
}
process.once('SIGINT', () => {
  killAll()
  process.exit(130)
})

const outcomes: Outcome[] = []
let started = 0
const work = async (): Promise<void> => {
  while (started < Number(count)) {
    const run = ++started
    const outcome = await runFile(file, 'node', WATCHDOG_MS)
    outcomes.push(outcome)
    if (outcome.failed > 0) console.log(`run ${run} of ${count}\n${describe(outcome)}`)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work))

const slowestMs = Math.max(...outcomes.map(({ ms }) => ms))
const failedRuns = outcomes.filter(({ failed }) => failed > 0).length
console.log(`${failedRuns} of ${outcomes.length} runs failed; the slowest took ${slowestMs} ms`)
const totals = addTotals(outcomes)
console.log(totalsLine(totals))
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0
