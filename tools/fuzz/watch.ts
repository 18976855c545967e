/** The watch over one input: what it throws, what nobody caught, how long it took, what it left in memory. */

import { describe, Finding, type Target } from './target.ts'

/** No input, however hostile, may take this long; generous, for the machine may be busy. */
const SLOW_MS = 5_000
/** Growth of the heap from one look to a later one that is no leak. */
const MAX_GROWTH_BYTES = 96 * 1024 * 1024

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
  // A rejection counts as unhandled only when the turn is over.
  await new Promise((resolve) => setImmediate(resolve))
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

export function ruleOf(error: unknown): string {
  const stack =
    error instanceof Error ? (error.cause instanceof Error ? error.cause : error) : error
  const where = stack instanceof Error ? (stack.stack ?? '').split('\n').slice(1, 4).join('\n') : ''
  return `${error instanceof Finding ? error.message : describe(error)}\n${where}`
}

/** Two findings are one if they differ in numbers alone. */
export function kindOf(rule: string): string {
  return (rule.split('\n')[0] as string).replace(/[0-9a-f]{8,}|\d+/g, 'N')
}

/** Compares what is in use after a collection with the least that ever was. */
export function watchMemory(): { look(): string | undefined } {
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
