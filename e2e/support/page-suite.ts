/** A suite of tests for pages: the one of `test/harness/suite.ts` to whoever writes tests, told to whoever opened the page. */

import * as assert from 'uvu/assert'
import type { Suite, SuiteOptions } from '../../test/harness/suite.ts'

export { assert }

export interface Result {
  readonly name: string
  /** Why it failed; empty where it passed. */
  readonly failure: string
}

declare global {
  /** What has come of all suites of the file, once they have run. */
  var results: Promise<readonly Result[]>
}

type Body = () => void | Promise<void>

/** A page under the load of others needs longer than a process. */
const PATIENCE = 4
const DEFAULT_TIMEOUT_MS = 5_000

globalThis.results = Promise.resolve([])

export function suite(name: string, options: SuiteOptions = {}): Suite {
  const timeoutMs = PATIENCE * (options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  const tests: (readonly [title: string, body: Body])[] = []
  const hooks: Record<'before' | 'after' | 'beforeEach' | 'afterEach', Body[]> = {
    before: [],
    after: [],
    beforeEach: [],
    afterEach: [],
  }
  const all = async (bodies: readonly Body[]): Promise<void> => {
    for (const body of bodies) await body()
  }
  const runOne = async (title: string, body: Body): Promise<Result> => {
    const whole = async (): Promise<void> => {
      await all(hooks.beforeEach)
      try {
        await body()
      } finally {
        await all(hooks.afterEach)
      }
    }
    return { name: `${name}: ${title}`, failure: await failureOf(whole, timeoutMs) }
  }
  const runAll = async (): Promise<readonly Result[]> => {
    const done: Result[] = []
    await all(hooks.before)
    for (const [title, body] of tests) done.push(await runOne(title, body))
    await all(hooks.after)
    return done
  }
  const add = (title: string, body: Body): void => void tests.push([title, body])
  return Object.assign(add, {
    only: add,
    skip: () => undefined,
    before: (hook: Body) => void hooks.before.push(hook),
    after: (hook: Body) => void hooks.after.push(hook),
    beforeEach: (hook: Body) => void hooks.beforeEach.push(hook),
    afterEach: (hook: Body) => void hooks.afterEach.push(hook),
    run: () => {
      globalThis.results = globalThis.results.then(async (before) => [
        ...before,
        ...(await runAll()),
      ])
    },
  })
}

export function note(): void {}

async function failureOf(body: () => Promise<void>, timeoutMs: number): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    await Promise.race([body(), late])
    return ''
  } catch (error) {
    return `${error instanceof Error ? (error.stack ?? error.message) : error}` || 'failed'
  } finally {
    clearTimeout(timer)
  }
}
