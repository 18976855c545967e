/** The check: every stage timed against its budget, and one line of totals at the end. */

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { addTotals, parseTotals, type Totals, totalsLine } from '../test/harness/outcome.ts'
import budgets from './budgets.json' with { type: 'json' }

interface Stage {
  readonly name: keyof typeof budgets.stagesMs
  readonly command: readonly string[]
  /** Whether its output is shown as it comes; otherwise only when it fails. */
  readonly shown?: boolean
}

/** Over real sockets and on all three, so it has stages of its own. */
const CONFORMANCE = 'test/conformance.test.ts'
/** Programs, a real DHT and the fuzzer: they take as much time as all else together, and wait for real clocks. */
const PROGRAMS = [
  ...['cli', 'commands-doctor', 'commands-mesh', 'fuzz', 'moleculer'],
  ...['swarm', 'bootstraphost', 'relaying', 'runtime-node'],
].map((name) => `test/${name}.test.ts`)

const CHECK: readonly Stage[] = [
  {
    name: 'format and lint',
    command: ['biome', 'check', '--error-on-warnings', '--colors=off', '.'],
  },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types of src alone', command: ['tsc', '-p', 'tsconfig.src.json'] },
  { name: 'build', command: ['node', 'build.ts'], shown: true },
  { name: 'unit tests', command: onNode('test/*.test.ts', CONFORMANCE, ...PROGRAMS), shown: true },
]

/** Not in the budget of the check: finding a browser may mean to install one. */
const END_TO_END: readonly Stage[] = [
  {
    name: 'programs and the DHT',
    command: ['node', 'test/harness/run.ts', ...PROGRAMS],
    shown: true,
  },
  { name: 'hostile suite', command: onNode('test/hostile/*.test.ts'), shown: true },
  { name: 'conformance of Node', command: onNode(CONFORMANCE), shown: true },
  { name: 'unit tests on Deno', command: onRuntime('deno'), shown: true },
  { name: 'unit tests on Bun', command: onRuntime('bun'), shown: true },
  { name: 'browser', command: ['node', 'e2e/browser.ts'], shown: true },
  { name: 'e2e tests', command: ['node', 'test/harness/run.ts', '--e2e'], shown: true },
  { name: 'mutants', command: ['node', 'tools/mutants.ts', '--random', '10'], shown: true },
]

interface Result {
  readonly stage: Stage
  readonly ms: number
  readonly totals: Totals
}

const results: Result[] = []
for (const stage of CHECK) results.push(await runStage(stage))
const checkMs = results.reduce((sum, { ms }) => sum + ms, 0)
if (process.argv.includes('--e2e')) {
  for (const stage of END_TO_END) results.push(await runStage(stage))
}

printTimes(results)
const overMs = checkMs - budgets.totalMs
if (overMs > 0) console.log(`✘ the check is ${overMs} ms over its budget of ${budgets.totalMs} ms`)
const stageTotals = addTotals(results.map(({ totals }) => totals))
const totals = { ...stageTotals, failed: stageTotals.failed + (overMs > 0 ? 1 : 0) }
console.log(totalsLine(totals))
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0

function onNode(pattern: string, ...leftOut: readonly string[]): string[] {
  const files = globSync(pattern).filter((file) => !leftOut.includes(file))
  return ['node', 'test/harness/run.ts', ...files.sort()]
}

/** Its conformance, and all else that is not Node's alone. */
function onRuntime(name: string): string[] {
  return ['node', 'test/harness/run.ts', '--runtime', name, '--watchdog-ms', '120000']
}

async function runStage(stage: Stage): Promise<Result> {
  console.log(`\n— ${stage.name}`)
  const startMs = performance.now()
  const { code, output } = await run(stage)
  const ms = Math.round(performance.now() - startMs)
  if (code !== 0 && !stage.shown) console.log(output)
  return { stage, ms, totals: totalsOf(code, output) }
}

/** A stage that has no totals of its own counts only when it fails. */
function totalsOf(code: number | null, output: string): Totals {
  const totals = parseTotals(output) ?? { passed: 0, failed: 0, skipped: 0 }
  return code === 0 ? totals : { ...totals, failed: Math.max(totals.failed, 1) }
}

function run({ command, shown }: Stage): Promise<{ code: number | null; output: string }> {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
      if (shown) process.stdout.write(text)
    })
  }
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve({ code: null, output: `${message}\n` }))
    child.once('close', (code) => resolve({ code, output }))
  })
}

function printTimes(results: readonly Result[]): void {
  console.log('')
  for (const { stage, ms, totals } of results) {
    const budgetMs = budgets.stagesMs[stage.name]
    const over = ms > budgetMs ? '  over its budget' : ''
    const mark = totals.failed > 0 ? '✘' : '✓'
    console.log(`${mark} ${stage.name.padEnd(20)} ${ms} ms of ${budgetMs} ms${over}`)
  }
  console.log(`  the check, without e2e: ${checkMs} ms of ${budgets.totalMs} ms`)
}
