/** Less of the same: the smaller input that breaks the rule, and the fewer that reach the code. */

import type { Coverage } from './coverage.ts'
import type { Found } from './loop.ts'
import type { Target } from './target.ts'
import { broken, kindOf, watchProcess } from './watch.ts'

/** The same broken rule with fewer bytes, as far as a few hundred tries lead. */
export async function shrunk(target: Target, { input, rule }: Found): Promise<Uint8Array> {
  const troubles = watchProcess()
  let best = input
  try {
    for (let span = best.length >> 1, tries = 0; span >= 1 && tries < 200; span >>= 1) {
      for (let at = 0; at + span <= best.length && tries < 200; tries++) {
        const shorter = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + span)])
        const other = await broken(target, shorter, troubles)
        if (other && kindOf(other) === kindOf(rule)) best = shorter
        else at += span
      }
    }
  } finally {
    troubles.stop()
  }
  return best
}

/** The shortest inputs that together reach all that the pool does. */
export async function minimised(
  target: Target,
  pool: readonly Uint8Array[],
  coverage: Coverage,
): Promise<Uint8Array[]> {
  const kept: Uint8Array[] = []
  coverage.clear()
  for (const input of [...pool].sort((a, b) => a.length - b.length)) {
    coverage.look()
    try {
      await target.run(input)
    } catch {
      continue
    }
    const reach = coverage.look()
    if (!coverage.isNew(reach)) continue
    coverage.add(reach)
    kept.push(input)
  }
  await target.reset?.()
  return kept
}
