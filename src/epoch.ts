/** The epoch: a number that grows with each start of a node, so that its old log gives way. */

import { reader, writer } from './bytes.ts'
import type { Store } from './runtime.ts'

const EPOCH_FILE = 'epoch'

/** The next epoch: one more than the kept one, or the time if that is higher; kept before it is used. */
export async function loadEpoch(store: Store, nowMs: number): Promise<number> {
  const kept = await store.read(EPOCH_FILE)
  const last = kept && kept.length === 8 ? reader(kept).u64() : 0
  const epoch = Math.max(last + 1, nowMs)
  await keepEpoch(store, epoch)
  return epoch
}

export function keepEpoch(store: Store, epoch: number): Promise<void> {
  return store.write(EPOCH_FILE, writer(8).u64(epoch).done())
}
