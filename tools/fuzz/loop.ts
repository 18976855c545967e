/** The loop: feeds a target with ever new inputs, led by what code they reach, and watches it. */

import { seededRandom } from '../../test/fixtures/random.ts'
import type { Coverage, Reach } from './coverage.ts'
import { whole } from './edits.ts'
import type { Target } from './target.ts'
import { broken, kindOf, watchMemory, watchProcess } from './watch.ts'

export interface LoopOptions {
  readonly target: Target
  readonly seed: number
  /** Inputs to begin with, besides the target's own seeds. */
  readonly corpus: readonly Uint8Array[]
  /** Whether there is time, and need, for more. */
  goesOn(execs: number): boolean
  readonly coverage?: Coverage | undefined
  /** Told before the inputs are run: what is among them when the process dies is at fault. */
  onBatch?(inputs: readonly Uint8Array[]): void
  onProgress?(state: { execs: number; corpus: number }): void
}

export interface Found {
  readonly input: Uint8Array
  readonly rule: string
}

export interface LoopResult {
  readonly execs: number
  readonly corpus: readonly Uint8Array[]
  readonly found: readonly Found[]
}

/** How often the memory is looked at, which takes a collection. */
const MEMORY_EVERY_EXECS = 2_000
/** Different findings of one target after which it had better be mended first. */
const MAX_FOUND = 5
const MAX_KEPT_BYTES = 8_192

export async function fuzz(options: LoopOptions): Promise<LoopResult> {
  const { target, coverage } = options
  const random = seededRandom(options.seed)
  const pool: Uint8Array[] = []
  const found: Found[] = []
  const troubles = watchProcess()
  const memory = watchMemory()
  let execs = 0

  const runOne = async (input: Uint8Array): Promise<void> => {
    execs += 1
    const rule = await broken(target, input, troubles)
    if (rule && !found.some((one) => kindOf(one.rule) === kindOf(rule))) found.push({ input, rule })
  }

  const runBatch = async (inputs: readonly Uint8Array[], isStart: boolean): Promise<void> => {
    options.onBatch?.(inputs)
    for (const input of inputs) await runOne(input)
    if (!coverage) {
      if (isStart) pool.push(...inputs)
      return
    }
    const reach = coverage.look()
    if (!coverage.isNew(reach)) return
    if (inputs.length === 1) keep(inputs[0] as Uint8Array, reach)
    else for (const input of inputs) await keepIfNew(input)
    coverage.add(reach)
  }

  /** Looks which of a batch it was. */
  const keepIfNew = async (input: Uint8Array): Promise<void> => {
    coverage?.look()
    await runOne(input)
    const reach = coverage?.look()
    if (reach && coverage?.isNew(reach)) keep(input, reach)
  }

  const keep = (input: Uint8Array, reach: Reach): void => {
    coverage?.add(reach)
    if (input.length <= MAX_KEPT_BYTES) pool.push(input)
  }

  /** What came last reaches the newest code, and is drawn more often. */
  const draw = (): Uint8Array => {
    const from = random() < 0.3 ? Math.max(0, pool.length - 8) : 0
    return pool[from + whole(random, pool.length - from)] as Uint8Array
  }

  try {
    await target.reset?.()
    coverage?.look()
    for (const input of [...target.seeds, ...options.corpus]) await runBatch([input], true)
    if (pool.length === 0) pool.push(...target.seeds)
    while (found.length < MAX_FOUND && options.goesOn(execs)) {
      const inputs = Array.from({ length: target.batch }, () =>
        target.mutate(draw(), draw(), random),
      )
      const before = execs
      await runBatch(inputs, false)
      options.onProgress?.({ execs, corpus: pool.length })
      const every = MEMORY_EVERY_EXECS
      const grown = Math.floor(execs / every) > Math.floor(before / every) && memory.look()
      if (grown) found.push({ input: inputs[0] as Uint8Array, rule: grown })
    }
    await target.reset?.()
  } finally {
    troubles.stop()
  }
  return { execs, corpus: pool, found }
}
