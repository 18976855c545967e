/** The loop: feeds a target with ever new inputs, led by what code they reach, and watches it. */

import { seededRandom } from '../../test/fixtures/random.ts'
import type { Coverage, Reach } from './coverage.ts'
import { whole } from './edits.ts'
import { describe, Finding, type Target } from './target.ts'

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

/** No input, however hostile, may take this long; generous, for the machine may be busy. */
const SLOW_MS = 5_000
/** Growth of the heap from one look to a later one that is no leak. */
const MAX_GROWTH_BYTES = 96 * 1024 * 1024
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
    await new Promise((resolve) => setImmediate(resolve))
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

/** Runs one input; gives the rule that it broke. */
export async function broken(
  target: Target,
  input: Uint8Array,
  troubles: Troubles,
): Promise<string | undefined> {
  const startMs = performance.now()
  try {
    await target.run(input)
  } catch (error) {
    return ruleOf(error)
  }
  const trouble = troubles.take()
  if (trouble) return trouble
  if (performance.now() - startMs < SLOW_MS) return undefined
  // Once more, for others use this machine too.
  const againMs = performance.now()
  await target.run(input)
  const tookMs = Math.round(performance.now() - againMs)
  return tookMs < SLOW_MS ? undefined : `It took ${tookMs} ms`
}

export interface Troubles {
  /** The first since the last call. */
  take(): string | undefined
  stop(): void
}

/** Catches what nobody caught. */
export function watchProcess(): Troubles {
  const seen: string[] = []
  const onError = (error: unknown): void => {
    seen.push(`Nobody caught ${ruleOf(error)}`)
  }
  process.on('uncaughtException', onError)
  process.on('unhandledRejection', onError)
  return {
    take: () => seen.splice(0)[0],
    stop: () => {
      process.off('uncaughtException', onError)
      process.off('unhandledRejection', onError)
    },
  }
}

function ruleOf(error: unknown): string {
  const stack =
    error instanceof Error ? (error.cause instanceof Error ? error.cause : error) : error
  const where = stack instanceof Error ? (stack.stack ?? '').split('\n').slice(1, 4).join('\n') : ''
  return `${error instanceof Finding ? error.message : describe(error)}\n${where}`
}

/** Two findings are one if they differ in numbers alone. */
function kindOf(rule: string): string {
  return (rule.split('\n')[0] as string).replace(/[0-9a-f]{8,}|\d+/g, 'N')
}

/** Compares what is in use after a collection with the least that ever was. */
function watchMemory(): { look(): string | undefined } {
  let least = Number.POSITIVE_INFINITY
  return {
    look: () => {
      globalThis.gc?.()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      const bytes = heapUsed + arrayBuffers
      least = Math.min(least, bytes)
      if (bytes - least < MAX_GROWTH_BYTES) return undefined
      return `The heap has grown by ${Math.round((bytes - least) / 1024)} KiB`
    },
  }
}

/** The same broken rule with fewer bytes, as far as a few hundred tries lead. */
export async function shrunk(target: Target, { input, rule }: Found): Promise<Uint8Array> {
  const troubles = watchProcess()
  let best = input
  try {
    for (let span = best.length >> 1, tries = 0; span >= 1 && tries < 200; span >>= 1) {
      for (let at = 0; at + span <= best.length && tries < 200; tries++) {
        const shorter = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + span)])
        const other = await broken(target, shorter, troubles)
        if (other && kindOf(other) === kindOf(rule)) best = shorter
        else at += span
      }
    }
  } finally {
    troubles.stop()
  }
  return best
}

/** The shortest inputs that together reach all that the pool does. */
export async function minimised(
  target: Target,
  pool: readonly Uint8Array[],
  coverage: Coverage,
): Promise<Uint8Array[]> {
  const kept: Uint8Array[] = []
  coverage.clear()
  for (const input of [...pool].sort((a, b) => a.length - b.length)) {
    coverage.look()
    try {
      await target.run(input)
    } catch {
      continue
    }
    const reach = coverage.look()
    if (!coverage.isNew(reach)) continue
    coverage.add(reach)
    kept.push(input)
  }
  await target.reset?.()
  return kept
}
