/** The epoch: a number that grows with each start of a node, so that its old log gives way. */

import { reader, writer } from './bytes.ts'
import type { Store } from './runtime.ts'

const EPOCH_FILE = 'epoch'

/** The next epoch: one more than the kept one, or the time if that is higher; kept before it is used. */
export async function loadEpoch(store: Store, nowMs: number): Promise<number> {
  const kept = await store.read(EPOCH_FILE)
  const epoch = Math.max(lastOf(kept) + 1, nowMs)
  await keepEpoch(store, epoch)
  return epoch
}

/** A damaged file is as good as none: what it held cannot be known. */
function lastOf(kept: Uint8Array | undefined): number {
  if (kept?.length !== 8) return 0
  const r = reader(kept)
  const last = r.u32() * 2 ** 32 + r.u32()
  return last < Number.MAX_SAFE_INTEGER - 1 ? last : 0
}

export function keepEpoch(store: Store, epoch: number): Promise<void> {
  return store.write(EPOCH_FILE, writer(8).u64(epoch).done())
}
