/** Waking: tells when the machine, the page or the network may have come back, so that nobody waits. */

import { type Clock, repeat } from '../clock.ts'
import { WAKE_CHECK_MS } from '../limits.ts'

/** Calls `onWake` at each of a runtime's own signs, until the returned function is called. */
export type Wakes = (onWake: () => void) => () => void

/** Where the runtime has them: what a page or a worker is told of its network and of its own sleep. */
const EVENTS = ['online', 'offline', 'pageshow', 'resume', 'visibilitychange']

/** The signs of this runtime; none where it has no events. */
export const runtimeWakes: Wakes = (onWake) => {
  const targets = [globalThis, globalThis.document].filter(
    (target) => typeof target?.addEventListener === 'function',
  )
  const onEvent = (): void => {
    if (globalThis.document?.visibilityState !== 'hidden') onWake()
  }
  for (const target of targets) {
    for (const name of EVENTS) target.addEventListener(name, onEvent)
  }
  return () => {
    for (const target of targets) {
      for (const name of EVENTS) target.removeEventListener(name, onEvent)
    }
  }
}

/** Watches for these signs, and for a clock that has jumped because the machine slept. */
export function watchWakes(clock: Clock, wakes: Wakes, onWake: () => void): () => void {
  let lookedMs = clock.nowMs()
  const stopLooking = repeat(clock, WAKE_CHECK_MS, () => {
    const passedMs = clock.nowMs() - lookedMs
    lookedMs = clock.nowMs()
    if (passedMs >= 2 * WAKE_CHECK_MS) onWake()
  })
  const stopListening = wakes(onWake)
  return () => {
    stopLooking()
    stopListening()
  }
}
