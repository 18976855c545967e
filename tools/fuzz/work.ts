/** The work on one target, as its parent says on the command line. */

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fromHex, toHex } from '../../src/bytes.ts'
import { readCorpus, writeFinding, writeKept } from './corpus.ts'
import type { Coverage } from './coverage.ts'
import { fuzz } from './loop.ts'
import { minimised, shrunk } from './shrink.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'
import { broken, watchProcess } from './watch.ts'

/** What the worker tells its parent. */
export type Told =
  | {
      readonly kind: 'progress'
      readonly execs: number
      readonly corpus: number
      readonly lines: number
    }
  | { readonly kind: 'found'; readonly file: string; readonly rule: string }
  | { readonly kind: 'done' }

const PROGRESS_EVERY_MS = 1_000

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    /** Where the inputs at hand are noted, for who looks after a crash. */
    note: { type: 'string' },
    replay: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const target = targets.find(({ name }) => name === values.target) as Target
const tell = (told: Told): void => void process.send?.(told)

/** Runs it to its end. */
export async function work(coverage: Coverage): Promise<void> {
  v8.setFlagsFromString('--expose-gc')
  globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>
  if (values.replay !== undefined) await replay(fromHex(values.replay))
  else await run(coverage)
  tell({ kind: 'done' })
}

async function run(coverage: Coverage): Promise<void> {
  const untilMs = performance.now() + Number(values.seconds) * 1_000
  let nextMs = 0
  const result = await fuzz({
    target,
    seed: Number(values.seed),
    corpus: readCorpus(target.name),
    coverage,
    goesOn: () => performance.now() < untilMs,
    onBatch: (inputs) => {
      if (values.note) writeFileSync(values.note, inputs.map((one) => `${toHex(one)}\n`).join(''))
    },
    onProgress: ({ execs, corpus }) => {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + PROGRESS_EVERY_MS
      tell({ kind: 'progress', execs, corpus, lines: coverage.lines })
    },
  })
  tell({
    kind: 'progress',
    execs: result.execs,
    corpus: result.corpus.length,
    lines: coverage.lines,
  })
  for (const found of result.found) {
    const input = await shrunk(target, found)
    tell({ kind: 'found', file: writeFinding(target.name, input, found.rule), rule: found.rule })
  }
  if (values.keep) writeKept(target.name, await minimised(target, result.corpus, coverage))
}

async function replay(input: Uint8Array): Promise<void> {
  const troubles = watchProcess()
  const rule = await broken(target, input, troubles)
  troubles.stop()
  await target.reset?.()
  if (rule) tell({ kind: 'found', file: '', rule })
}
