/** The test runner lets nothing pass that did not: hangs, leaks, crashes and empty files all fail. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runFile } from './harness/child.ts'
import { describe, type Outcome, parseTotals, totalsLine } from './harness/outcome.ts'
import { assert, suite } from './harness/suite.ts'

const SUITE = join(import.meta.dirname, 'harness/suite.ts')
const WATCHDOG_MS = 4_000

const test = suite('runner', { timeoutMs: 20_000 })
const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-runner-'))
test.after(() => rmSync(folder, { recursive: true }))

/** Each takes seconds to be found out, so all three start at once. */
const slow = {
  hang: run(`test('for ever', () => { for (;;); })`),
  leak: run(`
    const { createServer } = await import('node:http')
    test('leaves a server open', () => { createServer().listen(0) })`),
  leftover: run(`
    const { spawn } = await import('node:child_process')
    test('leaves', () => { spawn('sleep', ['60'], { stdio: 'ignore' }).unref() })`),
}

test('counts what passed, failed and was skipped, and keeps the reasons', async () => {
  const outcome = await run(`
    test('good', () => {})
    test('bad', () => { throw new Error('no') })
    test.skip('later', 'it is night')`)
  assert.is(totalsLine(outcome), '1 passed, 1 failed, 1 skipped')
  assert.equal(outcome.skips, [{ name: 'fixture: later', reason: 'it is night' }])
  assert.equal(
    outcome.tests.map(({ name, passed }) => [name, passed]),
    [
      ['fixture: good', true],
      ['fixture: bad', false],
    ],
  )
})

test('shows the notes of a green file, such as the seed of what it drew', async () => {
  const outcome = await run(`
    const { note } = await import(${JSON.stringify(SUITE)})
    test('drawn', () => note('seed 7'))`)
  assert.equal(outcome.notes, ['seed 7'])
  assert.match(describe(outcome), /^✓ .*\n {2}seed 7$/)
})

test('fails a test that is not done in time', async () => {
  const outcome = await run(`test('late', () => new Promise(() => {}))`, { timeoutMs: 100 })
  assert.is(totalsLine(outcome), '0 passed, 1 failed, 0 skipped')
  assert.match(outcome.output, 'not done within 100 ms')
})

test('kills a file that hangs', async () => {
  assert.equal((await slow.hang).troubles, [`was killed after ${WATCHDOG_MS} ms`])
})

test('names what keeps a process alive after its last test', async () => {
  const { failed, troubles } = await slow.leak
  assert.is(failed, 1)
  assert.match(troubles[0] ?? '', /kept the process alive: .*TCPServerWrap/)
})

test('fails a file that leaves a process running, and ends that process', async () => {
  assert.equal((await slow.leftover).troubles, ['left processes of its own running'])
})

test('fails a file that crashes, that runs nothing, or that holds an "only"', async () => {
  const crash = await run(`test('never run', () => {}); throw new Error('boom')`)
  assert.match(crash.troubles[0] ?? '', 'no test ran to the end (exit code 1)')
  assert.match(crash.output, 'boom')
  assert.match((await run('')).troubles[0] ?? '', 'no test ran to the end')
  const only = await run(`test.only('one', () => {}); test('two', () => {})`)
  assert.equal(only.troubles, ['left an "only" behind: fixture: one'])
})

test('reads the totals off the last line that has them', () => {
  assert.equal(parseTotals('1 passed, 0 failed, 0 skipped\nx\n3 passed, 2 failed, 1 skipped\n'), {
    passed: 3,
    failed: 2,
    skipped: 1,
  })
  assert.is(parseTotals('nothing of the kind'), undefined)
})

test.run()

function run(body: string, options: object = {}): Promise<Outcome> {
  const file = join(folder, `${crypto.randomUUID()}.test.mts`)
  writeFileSync(
    file,
    `import { suite } from '${SUITE}'
    const test = suite('fixture', ${JSON.stringify(options)})
    ${body}
    test.run()`,
  )
  return runFile(file, 'node', WATCHDOG_MS)
}
