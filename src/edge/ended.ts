/** Calls that are over: their opening signals, if they come again, must not ask again. */

import { MAX_ENDED_CALLS } from '../limits.ts'

export interface Ended {
  add(id: string): void
  has(id: string): boolean
}

/** Remembers so many of them; beyond that the one that ended first is forgotten. */
export function createEnded(): Ended {
  const ids = new Set<string>()
  return {
    add: (id) => {
      ids.add(id)
      if (ids.size > MAX_ENDED_CALLS) ids.delete(ids.values().next().value as string)
    },
    has: (id) => ids.has(id),
  }
}
