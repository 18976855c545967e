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
          // It may have run, or been cancelled, after the browser had put it on its list.
          if (!timers.has(timer)) return
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
      const due = [...timers].filter(({ atMs }) => atMs <= nowMs)
      for (const timer of due.sort((a, b) => a.atMs - b.atMs)) timer.run()
    },
  }
}
