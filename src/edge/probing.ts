/** Probing: a home that should have said something is asked for a sign of life, and left without one. */

import type { Clock } from '../clock.ts'
import { PROBE_AFTER_MS, PROBE_TIMEOUT_MS } from '../limits.ts'

export interface ProbingOptions {
  readonly clock: Clock
  /** Asks for a sign of life. */
  ask(): void
  onDead(): void
}

export interface Probing {
  /** Something went out, so something should come back soon. */
  sent(): void
  /** Something came. */
  heard(): void
  /** Asks at once. */
  probe(): void
  stop(): void
}

/** Keep-alive alone would take a minute to notice a half-open socket that somebody waits for. */
export function createProbing({ clock, ask, onDead }: ProbingOptions): Probing {
  let cancel: (() => void) | undefined
  let isAsked = false

  const wait = (ms: number, then: () => void): void => {
    cancel?.()
    cancel = clock.after(ms, then)
  }

  const heard = (): void => {
    cancel?.()
    cancel = undefined
    isAsked = false
  }

  const probe = (): void => {
    if (isAsked) return
    isAsked = true
    ask()
    const dueMs = clock.nowMs() + PROBE_TIMEOUT_MS
    wait(PROBE_TIMEOUT_MS, () => {
      heard()
      // After a sleep the timer runs before what has come meanwhile is handed over.
      if (clock.nowMs() >= dueMs + PROBE_TIMEOUT_MS) probe()
      else onDead()
    })
  }

  return {
    sent: () => {
      if (!cancel) wait(PROBE_AFTER_MS, probe)
    },
    heard,
    probe,
    stop: heard,
  }
}
