/** Load: the share of one processor that this process takes. */

import process from 'node:process'

/** Over less than this a single task would decide. */
const OVER_MS = 5_000

/** Makes what tells the mean since it was last asked, or the last one again where that was a moment ago. */
export function createLoad(
  nowMs: () => number = () => performance.now(),
  cpuUsage: () => { readonly user: number; readonly system: number } = () => process.cpuUsage(),
): () => number | undefined {
  let at = nowMs()
  let before = cpuUsage()
  let last: number | undefined
  return () => {
    const passedMs = nowMs() - at
    if (passedMs < OVER_MS) return last
    const now = cpuUsage()
    last = (now.user + now.system - before.user - before.system) / 1000 / passedMs
    at += passedMs
    before = now
    return last
  }
}
