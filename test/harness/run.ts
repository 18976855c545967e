/** The test runner: each file in a process of its own, a few at once; the last line has the totals. */

import { globSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { killAll, type RuntimeName, runFile } from './child.ts'
import { addTotals, describe, type Outcome, totalsLine } from './outcome.ts'
import { NODE_ALONE } from './portable.ts'

const HELP = `node test/harness/run.ts [FILE…] [options]
  --runtime node|deno|bun   what runs the files (default: node)
  --e2e                     the end-to-end suite: e2e/**/*.e2e.ts, one file at a time
  --repeat N                N runs of all files; prints each, and stops at none
  --jobs N                  files at once (default: 2, for --e2e: 1)
  --watchdog-ms N           how long one file may take (default: 60,000, for --e2e: 180,000)
  --json FILE               where the facts of each run go (--e2e: e2e/results.json)`

/** They start first, the longest before all: one left for the end would run alone. */
const SLOWEST = [
  'cli',
  'swarm',
  'relaying',
  'limits',
  'buckets',
  'tree',
  'convergence',
  'fuzz',
  'harness',
  'sync',
]

interface Settings {
  readonly files: readonly string[]
  readonly runtime: RuntimeName
  readonly repeat: number
  readonly jobs: number
  readonly watchdogMs: number
  readonly jsonFile: string | undefined
}

const settings = readSettings()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll()
    process.exit(130)
  })
}

const runs: Outcome[][] = []
for (let run = 1; run <= settings.repeat; run++) {
  if (settings.repeat > 1) console.log(`run ${run} of ${settings.repeat}`)
  runs.push(await runAll(settings))
  if (settings.jsonFile) writeResults(settings.jsonFile, runs)
}
const totals = addTotals(runs.flat())
console.log(`\n${totalsLine(totals)}`)
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0

async function runAll({ files, runtime, jobs, watchdogMs }: Settings): Promise<Outcome[]> {
  const waiting = slowestFirst(files)
  const outcomes: Outcome[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      const outcome = await runFile(file, runtime, watchdogMs)
      outcomes.push(outcome)
      console.log(describe(outcome))
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return outcomes
}

function slowestFirst(files: readonly string[]): string[] {
  const slow = SLOWEST.map((name) => `test/${name}.test.ts`).filter((file) => files.includes(file))
  return [...slow, ...files.filter((file) => !slow.includes(file))]
}

function writeResults(file: string, runs: readonly Outcome[][]): void {
  const facts = runs.map((outcomes, index) => ({
    run: index + 1,
    ms: outcomes.reduce((ms, outcome) => ms + outcome.ms, 0),
    ...addTotals(outcomes),
    files: outcomes.map(({ output, ...rest }) => (rest.failed > 0 ? { ...rest, output } : rest)),
  }))
  const summary = { runtime: settings.runtime, ...addTotals(runs.flat()), runs: facts }
  writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`)
}

function readSettings(): Settings {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: 'string', default: 'node' },
      e2e: { type: 'boolean', default: false },
      repeat: { type: 'string', default: '1' },
      jobs: { type: 'string' },
      'watchdog-ms': { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    process.exit(0)
  }
  if (!['node', 'deno', 'bun'].includes(values.runtime)) {
    console.error(`--runtime ${values.runtime} is none of node, deno, bun`)
    process.exit(2)
  }
  const pattern = values.e2e ? 'e2e/**/*.e2e.ts' : 'test/**/*.test.ts'
  return {
    files: positionals.length > 0 ? positionals : allFiles(pattern, values.runtime),
    runtime: values.runtime as RuntimeName,
    repeat: Number(values.repeat),
    jobs: Number(values.jobs ?? (values.e2e ? 1 : 2)),
    watchdogMs: Number(values['watchdog-ms'] ?? (values.e2e ? 180_000 : 60_000)),
    jsonFile: values.json ?? (values.e2e ? 'e2e/results.json' : undefined),
  }
}

/** Of Node all; of another runtime those beside each other in `test/` that run there. */
function allFiles(pattern: string, runtime: string): string[] {
  if (runtime === 'node') return globSync(pattern).sort()
  for (const [file, reason] of Object.entries(NODE_ALONE))
    console.log(`  not run: ${file} (${reason})`)
  return globSync('test/*.test.ts')
    .filter((file) => !(file in NODE_ALONE))
    .sort()
}
