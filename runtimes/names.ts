/** Names: looks up where hosts are, few at once: each holds a thread of the four that Node has for files too. */

import type { LookupAddress } from 'node:dns'
import type { Clock } from '../src/clock.ts'
import { DIAL_TIMEOUT_MS } from '../src/limits.ts'
import { MAX_LOOKUPS } from './limits.ts'

export type LookUp = (host: string) => Promise<LookupAddress[]>

/**
 * The same look-up for names that others choose: whose servers do not answer could otherwise hold up all that
 * the process reads and writes. It rejects when the time of a dial is up.
 */
export function fewAtOnce(lookUp: LookUp, clock: Clock): LookUp {
  const waiting = new Set<() => void>()
  let running = 0

  const next = (): void => {
    const [begin] = waiting
    if (!begin || running >= MAX_LOOKUPS) return
    waiting.delete(begin)
    running += 1
    begin()
  }

  return (host) =>
    new Promise((resolve, reject) => {
      const begin = (): void => {
        void lookUp(host)
          .then(resolve, reject)
          .finally(() => {
            cancelTimer()
            running -= 1
            next()
          })
      }
      // One that runs cannot be stopped, and keeps its place.
      const cancelTimer = clock.after(DIAL_TIMEOUT_MS, () => {
        waiting.delete(begin)
        reject(new Error('no answer in time'))
      })
      waiting.add(begin)
      next()
    })
}
