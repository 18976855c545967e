/** In turn: what waits for WebCrypto keeps its place before what comes after it. */

import { MAX_NATIVE_FRAMES } from '../limits.ts'

export interface InTurn {
  /** Runs it when it is ready and all before it have run; at once where nothing is waited for. */
  add(ready: () => Promise<void> | undefined, run: () => void): void
  /** Runs all that waits, ready or not. */
  flush(): void
}

interface Waiting {
  ready(): Promise<void> | undefined
  run(): void
}

export function createInTurn(): InTurn {
  const waiting: Waiting[] = []
  /** The one whose readiness is waited for. */
  let first: Waiting | undefined

  const runFirst = (): void => {
    first = undefined
    waiting.shift()?.run()
  }

  const runReady = (): void => {
    while (!first && waiting[0]) {
      const next = waiting[0]
      first = next
      const ready = next.ready()
      if (!ready) {
        runFirst()
        continue
      }
      void ready.then(() => {
        if (first !== next) return
        runFirst()
        runReady()
      })
    }
  }

  const flush = (): void => {
    while (waiting.length > 0) runFirst()
  }

  return {
    add: (ready, run) => {
      waiting.push({ ready, run })
      // Memory is not for those that come faster than they can be prepared for.
      if (waiting.length > MAX_NATIVE_FRAMES) flush()
      else runReady()
    },
    flush,
  }
}

/** Runs it behind what is waited for, if anything is. */
export function afterwards(ready: Promise<void> | undefined, run: () => void): void {
  if (ready) void ready.then(run)
  else run()
}
