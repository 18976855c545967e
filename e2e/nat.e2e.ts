/** Behind NATs: pairs of browsers for each outcome, in a laboratory of namespaces; `npm run e2e:nat` has all. */

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, note, suite } from '../test/harness/suite.ts'
import type { Cell } from './nat/cells.ts'
import { isDirect, KINDS, MODES, type Mode } from './nat/kinds.ts'
import { whyNoLab } from './nat/private.ts'
import { median, type Results, readmeRows } from './nat/report.ts'

const test = suite('nat', { timeoutMs: 160_000 })
const reason = whyNoLab()
let results: Results | undefined

const TITLES: Readonly<Record<Mode, string>> = {
  stun: 'with STUN alone the pairs connect that theory allows, and the others are told the cause',
  turn: 'with coturn every pair passes bytes, by it only where theory says so',
  mesh: 'with the relay of the mesh every pair passes bytes, also where nothing leaves but TCP to 443',
}

test('theory has 48 of 81 pairs of the usual kinds of NAT connect with STUN alone', () => {
  const usual = KINDS.filter((kind) => !['dual', 'ipv6'].includes(kind))
  const open = usual.flatMap((a) => usual.filter((b) => isDirect(a, b)))
  assert.equal([usual.length ** 2, open.length], [81, 48])
})

test('the README’s table of pairs is what the last whole run has found', () => {
  const [readme, whole] = ['../README.md', 'nat/results.json'].map((file) =>
    readFileSync(join(import.meta.dirname, file), 'utf8'),
  ) as [string, string]
  for (const row of readmeRows(JSON.parse(whole))) assert.ok(readme.includes(row), row)
})

// Where namespaces may be made nothing is left out: whatever is missing then is a failure.
if (reason) test.skip('pairs of browsers behind NATs connect as theory says', reason)
else {
  test('each NAT of the laboratory proves by STUN to be what it is called', async () => {
    results = await runSmall()
    assert.ok(results.proofs.length >= 6)
    for (const { site, expected, found } of results.proofs) assert.is(found, expected, site)
  })

  for (const mode of MODES) {
    test(TITLES[mode], () => {
      const cells = results?.cells.filter((cell) => cell.mode === mode) ?? []
      assert.is(cells.length, 9)
      const wrong = cells.flatMap(({ from, to, wrong }) =>
        wrong.map((it) => `${from} → ${to}: ${it}`),
      )
      assert.equal(wrong, [])
      assert.ok(cells.every(({ homes: [one, other] }) => one !== other))
      note(`${mode}: ${summary(cells)}`)
    })
  }

  test('a laboratory that is over leaves no namespace behind', () => {
    const { seconds } = results as Results
    note(`the laboratory took ${Math.round(seconds)} s`)
    // The names of its namespaces were in a /run of its own.
    assert.not(namespaces().includes('core'))
  })
}

test.run()

async function runSmall(): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'nat-'))
  const file = join(folder, 'results.json')
  const program = join(import.meta.dirname, 'nat/run.ts')
  const child = spawn(process.execPath, [program, '--small', '--json', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  await new Promise((resolve) => child.once('close', resolve))
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    throw new Error(`The laboratory gave no results: ${said}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function summary(cells: readonly Cell[]): string {
  const open = cells.filter(({ called }) => called.outcome === 'open')
  return `${open.length} of ${cells.length} open, median ${median(open.map(({ called }) => called.ms))} ms`
}

function namespaces(): string {
  try {
    return readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes('netns'))
      .join()
  } catch {
    return ''
  }
}
