/** The clock: the only way in which the core learns the time and waits for it. */

export interface Clock {
  /** Milliseconds since 1970, as this machine believes; may jump when the machine is told better. */
  nowMs(): number
  /**
   * Reads like `nowMs` at the start and from then on only counts what passes, whatever becomes of
   * `nowMs`: for how long ago something was. May stand still while the machine sleeps.
   */
  monotonicMs(): number
  /** Calls `fn` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, fn: () => void): () => void
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => Math.floor(performance.timeOrigin + performance.now()),
  after: (delayMs, fn) => {
    const timer = setTimeout(fn, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Calls `fn` every `everyMs` until the returned function is called. */
export function repeat(clock: Clock, everyMs: number, fn: () => void): () => void {
  let cancel = clock.after(everyMs, tick)
  function tick(): void {
    cancel = clock.after(everyMs, tick)
    fn()
  }
  return () => cancel()
}

export interface ManualClock extends Clock {
  /** Turns the clock, running what falls due in its order and letting promises settle between. */
  advance(byMs: number): Promise<void>
  /** Steps the wall clock by `byMs`, which `monotonicMs` and timers do not follow. */
  skew(byMs: number): void
  readonly pending: number
}

/** A clock that stands still until it is turned. */
export function manualClock(startMs = 1_800_000_000_000): ManualClock {
  let elapsedMs = 0
  let offsetMs = startMs
  let order = 0
  const timers = new Set<{ atMs: number; order: number; fn: () => void }>()
  return {
    nowMs: () => offsetMs + elapsedMs,
    monotonicMs: () => startMs + elapsedMs,
    after: (delayMs, fn) => {
      const timer = { atMs: elapsedMs + Math.max(0, delayMs), order: order++, fn }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    skew: (byMs) => {
      offsetMs += byMs
    },
    get pending() {
      return timers.size
    },
    advance: async (byMs) => {
      const untilMs = elapsedMs + byMs
      await settle()
      for (;;) {
        const due = [...timers]
          .filter((timer) => timer.atMs <= untilMs)
          .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]
        if (!due) break
        timers.delete(due)
        elapsedMs = due.atMs
        due.fn()
        await settle()
      }
      elapsedMs = untilMs
    },
  }
}

/** Lets promises that are ready settle, to a depth that in-memory links never reach. */
export async function settle(turns = 64): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve()
}
