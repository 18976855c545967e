/** A suite of tests: uvu's, with a time-out for each test, named reasons for skips and a leak check. */

import { suite as uvuSuite } from 'uvu'
import * as assert from 'uvu/assert'

export { assert }

type Body = () => void | Promise<void>

export interface Suite {
  (name: string, body: Body): void
  /** Runs only the tests named so. Never left in: the runner fails a file that holds one. */
  only(name: string, body: Body): void
  /** Leaves a test out; the runner prints why. */
  skip(name: string, reason: string): void
  before(hook: Body): void
  after(hook: Body): void
  beforeEach(hook: Body): void
  afterEach(hook: Body): void
  /** Starts the suite: the last line of a test file. */
  run(): void
}

export interface SuiteOptions {
  /** How long one test may take. Default: 5 s. */
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 5_000
/** A process that has nothing left to do is gone well within this. */
const EXIT_WITHIN_MS = 2_000

let unfinishedSuites = 0

/** Makes a suite; its name stands before the failures of its tests. */
export function suite(name: string, options: SuiteOptions = {}): Suite {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const inner = uvuSuite(name)
  const timed = (title: string, body: Body) => () => runTimed(`${name}: ${title}`, body, timeoutMs)
  const test = (title: string, body: Body): void => inner(title, timed(title, body))
  return Object.assign(test, {
    only: (title: string, body: Body): void => {
      report('only', { name: `${name}: ${title}` })
      inner.only(title, timed(title, body))
    },
    skip: (title: string, reason: string): void => {
      report('skip', { name: `${name}: ${title}`, reason })
      inner.skip()
    },
    before: (hook: Body) => inner.before(hook),
    after: (hook: Body) => inner.after(hook),
    beforeEach: (hook: Body) => inner.before.each(hook),
    afterEach: (hook: Body) => inner.after.each(hook),
    run: () => {
      unfinishedSuites++
      inner.after(watchForLeaks)
      inner.run()
    },
  })
}

async function runTimed(name: string, body: Body, timeoutMs: number): Promise<void> {
  const startMs = performance.now()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`The test was not done within ${timeoutMs} ms`)),
      timeoutMs,
    )
  })
  let passed = false
  try {
    await Promise.race([body(), late])
    passed = true
  } finally {
    clearTimeout(timer)
    report('test', { name, passed, ms: Math.round(performance.now() - startMs) })
  }
}

/** After the last suite: names what keeps the process alive, if anything does. */
function watchForLeaks(): void {
  if (--unfinishedSuites > 0) return
  const timer = setTimeout(() => {
    const resources = process.getActiveResourcesInfo?.() ?? []
    report('leak', { resources: resources.join(', ') || 'what, this runtime cannot tell' })
    process.exit(1)
  }, EXIT_WITHIN_MS)
  timer.unref()
}

/** Says something that a person should read also when all is well: the seed of a drawn case. */
export function note(text: string): void {
  report('note', { text })
}

/** A line for the runner, which strips it; by hand only what a person has to know. */
function report(kind: string, fact: Record<string, unknown>): void {
  if (process.env.SIGNAL_MESH_RUNNER) console.log(`\n::${kind} ${JSON.stringify(fact)}`)
  else if (kind === 'note') console.log(`\n${fact.text}`)
  else if (kind === 'leak' || kind === 'skip') console.log(`\n${kind}: ${JSON.stringify(fact)}`)
}
