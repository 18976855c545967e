/** What became of one test file's run: read off its output, and how it is told. */

export interface TestFact {
  readonly name: string
  readonly passed: boolean
  readonly ms: number
}

export interface SkipFact {
  readonly name: string
  readonly reason: string
}

export interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly ms: number
  readonly tests: readonly TestFact[]
  readonly skips: readonly SkipFact[]
  /** What the tests want read also when they are green. */
  readonly notes: readonly string[]
  /** What is wrong with the run as a whole: watchdog, leak, crash, nothing ran. */
  readonly troubles: readonly string[]
  /** The program's output without the lines meant for the runner. */
  readonly output: string
}

/** How the child ended, as the runner saw it. */
export interface Ending {
  readonly code: number | null
  readonly signal: string | null
  /** Set when the watchdog had to end it. */
  readonly killedAfterMs?: number
  readonly leftProcesses: boolean
}

/** Reads the outcome off what a test file printed and how it ended. */
export function readOutcome(file: string, printed: string, ending: Ending, ms: number): Outcome {
  const facts = runnerLines(printed)
  const output = withoutRunnerLines(printed)
  const total = sumOf(output, 'Total')
  const passed = sumOf(output, 'Passed')
  const skipped = sumOf(output, 'Skipped')
  const troubles = troublesOf(facts, ending, { total, passed, skipped })
  return {
    file,
    passed,
    failed: Math.max(total - passed, 0) + troubles.length,
    skipped,
    ms,
    tests: facts.flatMap((fact) =>
      fact.kind === 'test' ? [fact.body as unknown as TestFact] : [],
    ),
    skips: facts.flatMap((fact) =>
      fact.kind === 'skip' ? [fact.body as unknown as SkipFact] : [],
    ),
    notes: facts.flatMap((fact) => (fact.kind === 'note' ? [String(fact.body.text)] : [])),
    troubles,
    output,
  }
}

interface Fact {
  readonly kind: string
  readonly body: Record<string, unknown>
}

const RUNNER_LINE = /^::(\w+) (\{.*\})$/gm

function runnerLines(printed: string): Fact[] {
  return [...printed.matchAll(RUNNER_LINE)].map(([, kind, body]) => ({
    kind: kind ?? '',
    body: JSON.parse(body ?? '{}'),
  }))
}

function withoutRunnerLines(printed: string): string {
  return printed.replace(/\n?^::\w+ \{.*\}\n/gm, '')
}

/** A file may hold several suites, but uvu prints its totals once per run. */
function sumOf(output: string, label: string): number {
  let sum = 0
  for (const match of output.matchAll(new RegExp(`^ {2}${label}: +(\\d+)$`, 'gm'))) {
    sum += Number(match[1])
  }
  return sum
}

function troublesOf(
  facts: readonly Fact[],
  ending: Ending,
  counts: { total: number; passed: number; skipped: number },
): string[] {
  const troubles: string[] = []
  for (const fact of facts) {
    if (fact.kind === 'leak') troubles.push(`kept the process alive: ${fact.body.resources}`)
    if (fact.kind === 'only') troubles.push(`left an "only" behind: ${fact.body.name}`)
  }
  if (ending.killedAfterMs) troubles.push(`was killed after ${ending.killedAfterMs} ms`)
  if (ending.leftProcesses) troubles.push('left processes of its own running')
  if (troubles.length > 0) return troubles
  const ended = ending.signal ? `signal ${ending.signal}` : `exit code ${ending.code}`
  if (counts.total + counts.skipped === 0)
    return [`came to no totals: no test ran to the end (${ended})`]
  if (ending.code !== 0 && counts.passed === counts.total) return [`ended with ${ended}`]
  return []
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export function addTotals(parts: readonly Totals[]): Totals {
  const sum = (key: keyof Totals): number => parts.reduce((total, part) => total + part[key], 0)
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
}

/** The last line of every run. */
export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** Reads the totals off the last such line of a run's output. */
export function parseTotals(output: string): Totals | undefined {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1)
  if (!last) return undefined
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3]) }
}

/** The lines that tell a person about one file's run. */
export function describe(outcome: Outcome): string {
  const mark = outcome.failed > 0 ? '✘' : '✓'
  const lines = [`${mark} ${outcome.file}  ${totalsLine(outcome)}  (${outcome.ms} ms)`]
  for (const { name, reason } of outcome.skips) lines.push(`  skipped: ${name} (${reason})`)
  for (const text of outcome.notes) lines.push(`  ${text}`)
  for (const trouble of outcome.troubles) lines.push(`  ${outcome.file} ${trouble}`)
  if (outcome.failed > 0) lines.push(outcome.output.trimEnd().replace(/^/gm, '  | '))
  return lines.join('\n')
}
