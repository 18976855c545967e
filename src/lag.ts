/** Lag: how far this node is behind what a home says of its own log. */

import { peekHead } from './batch.ts'
import type { HomeState } from './claims.ts'

/** Batches that are missing here, by the home's newest head; a life of its own of which nothing came counts whole. */
export function lagOf({ lastHead, position }: HomeState): number {
  if (!lastHead) return 0
  const head = peekHead(lastHead)
  if (head.epoch < position.epoch) return 0
  return Math.max(0, head.epoch > position.epoch ? head.index : head.index - position.index)
}
