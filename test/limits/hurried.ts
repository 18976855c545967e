/** Time-outs made short: what would take seconds is seen in milliseconds, if it waits for just that long. */

const SHORT_MS = 60

/** Runs it with all timers of exactly `ms` made short; throws if there was none, or it ran out early. */
export async function hurried<T>(ms: number, body: () => Promise<T>): Promise<T> {
  const startMs = performance.now()
  const { delays, result } = await timersOf(body, (asked) => (asked === ms ? SHORT_MS : asked))
  if (!delays.includes(ms)) throw new Error(`Nothing has waited for ${ms} ms, but ${delays}`)
  // A timer may fire a little early.
  if (performance.now() - startMs < SHORT_MS - 2) throw new Error('Nothing has waited for its end')
  return result
}

/** Runs it, and tells of what timers it made. */
export async function timersOf<T>(
  body: () => Promise<T>,
  lasts: (ms: number) => number = (ms) => ms,
): Promise<{ readonly delays: readonly number[]; readonly result: T }> {
  const real = globalThis.setTimeout
  const delays: number[] = []
  const watched = (fn: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): unknown => {
    delays.push(ms)
    return real(fn, lasts(ms), ...args)
  }
  globalThis.setTimeout = Object.assign(watched, real) as unknown as typeof setTimeout
  try {
    return { result: await body(), delays }
  } finally {
    globalThis.setTimeout = real
  }
}
