/** A clock for pages: what a hidden page's browser holds back runs as soon as something else happens there. */

import { type Clock, systemClock } from './clock.ts'

export interface LateClock extends Clock {
  /** Something has happened: runs what is due. */
  catchUp(): void
}

/** Browsers run timers of hidden pages once in a minute; a mesh misses a home that says nothing for less. */
export function lateClock(base: Clock = systemClock): LateClock {
  const timers = new Set<{ readonly atMs: number; run(): void }>()
  return {
    nowMs: base.nowMs,
    monotonicMs: base.monotonicMs,
    after: (delayMs, fn) => {
      const timer = {
        atMs: base.monotonicMs() + delayMs,
        run: () => {
          cancel()
          fn()
        },
      }
      timers.add(timer)
      const stop = base.after(delayMs, () => timer.run())
      const cancel = (): void => {
        timers.delete(timer)
        stop()
      }
      return cancel
    },
    catchUp: () => {
      const nowMs = base.monotonicMs()
      for (const timer of [...timers].sort((a, b) => a.atMs - b.atMs)) {
        // One that ran may have cancelled it.
        if (timer.atMs <= nowMs && timers.has(timer)) timer.run()
      }
    },
  }
}
