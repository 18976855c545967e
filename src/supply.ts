/** Supply: answers what neighbours ask of homes, with heads, batches, or a snapshot page by page. */

import { isAhead, type Position } from './batch.ts'
import { fromHex, reader, toHex, writer } from './bytes.ts'
import { type HomeState, recordsOf } from './claims.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { MAX_KEPT_SNAPSHOTS, MAX_PAGE_BYTES, PULL_WAIT_MS } from './limits.ts'
import type { EdgeRecord } from './records.ts'
import { NODE_METHOD, noSuchMethod, type Serve } from './rpc.ts'

export interface SupplyOptions {
  readonly directory: Directory
  readonly clock: Clock
  /** Called before this node's own log is read, so that nothing gathered is left out. */
  flush(): void
  /** This node's own pull of the home, if it has one running. */
  pulling(home: NodeId): Promise<void> | undefined
}

/** The first byte of an answer to a pull. */
export const REPLY = { nothing: 0, batches: 1, snapshot: 2 } as const

export function createSupply(options: SupplyOptions): Serve {
  const { directory, clock, flush } = options
  const snapshots = new Map<NodeId, Snapshot>()

  const serveHeads = (after: Uint8Array): Uint8Array => {
    flush()
    const w = writer(4096).u8(0)
    const from = toHex(after)
    let bytes = 1
    const ids = [...directory.homes.keys()].sort().filter((id) => id > from)
    for (const id of ids) {
      const state = directory.homes.get(id) as HomeState
      const head = state.lastHead ?? new Uint8Array(0)
      bytes += KEY_BYTES + 18 + head.length
      if (bytes > MAX_PAGE_BYTES) return withMore(w.done())
      w.bytes(fromHex(id)).u64(state.position.epoch).u64(state.position.index).block(head)
    }
    return w.done()
  }

  /** Waits if this node is fetching the same just now: who asks is further from the home than it. */
  const pulled = (home: NodeId): Promise<void> | undefined => {
    const running = options.pulling(home)
    if (!running) return undefined
    return new Promise((resolve) => {
      const cancelTimer = clock.after(PULL_WAIT_MS, resolve)
      void running.then(() => {
        cancelTimer()
        resolve()
      })
    })
  }

  const servePull = async (body: Uint8Array): Promise<Uint8Array> => {
    const r = reader(body)
    const home = toHex(r.bytes(KEY_BYTES))
    const have = { epoch: r.u64(), index: r.u64() }
    const cursor = r.u32()
    r.end()
    if (cursor > 0) return nextPage(home, have, cursor)
    await pulled(home)
    flush()
    const state = directory.homes.get(home)
    if (!state || state.recent.length === 0 || !isAhead(state.position, have)) {
      return Uint8Array.of(REPLY.nothing)
    }
    const { epoch, index } = state.position
    const missing = have.epoch === epoch ? index - have.index : index
    if (missing <= state.recent.length) return batchPage(state.recent.slice(-missing))
    return snapshotPage(snapshotOf(state), 0)
  }

  /** Those asked for last stay. */
  const keep = (home: NodeId, snapshot: Snapshot): void => {
    snapshots.delete(home)
    snapshots.set(home, snapshot)
    if (snapshots.size > MAX_KEPT_SNAPSHOTS) {
      snapshots.delete(snapshots.keys().next().value as NodeId)
    }
  }

  /** The rest of a snapshot that was begun, for as long as it is kept. */
  const nextPage = (home: NodeId, have: Position, cursor: number): Uint8Array => {
    const snapshot = snapshots.get(home)
    // A home may have been dropped since, and nothing is served of one that is kept out.
    const isSame =
      directory.homes.has(home) &&
      snapshot?.position.epoch === have.epoch &&
      snapshot.position.index === have.index
    if (!snapshot || !isSame) return Uint8Array.of(REPLY.nothing)
    keep(home, snapshot)
    return snapshotPage(snapshot, cursor)
  }

  /** The kept snapshot, if batches lead on from it; a busy home would outrun fresh ones for ever. */
  const snapshotOf = (state: HomeState): Snapshot => {
    const kept = snapshots.get(state.id)
    const isUsable =
      kept?.position.epoch === state.position.epoch &&
      state.position.index - kept.position.index <= state.recent.length / 2
    const snapshot = kept && isUsable ? kept : takeSnapshot(state)
    keep(state.id, snapshot)
    return snapshot
  }

  return (method, body) => {
    if (method === NODE_METHOD.heads) return serveHeads(body)
    if (method === NODE_METHOD.pull) return servePull(body)
    throw noSuchMethod()
  }
}

/** All records of a home as they were after one of its batches. */
interface Snapshot {
  readonly position: Position
  readonly lastBatch: Uint8Array
  readonly records: readonly EdgeRecord[]
}

function takeSnapshot(state: HomeState): Snapshot {
  const lastBatch = state.recent.at(-1) as Uint8Array
  return { position: state.position, lastBatch, records: recordsOf(state) }
}

function snapshotPage({ lastBatch, records }: Snapshot, cursor: number): Uint8Array {
  const w = writer(MAX_PAGE_BYTES + 2)
    .u8(REPLY.snapshot)
    .u8(0)
    .block(lastBatch)
  let bytes = 0
  for (let i = cursor; i < records.length; i++) {
    const record = records[i] as EdgeRecord
    bytes += 3 + record.bytes.length
    if (bytes > MAX_PAGE_BYTES - lastBatch.length) return withMore(w.done(), 1)
    w.u8(record.kind === 'presence' ? 1 : 2).block(record.bytes)
  }
  return w.done()
}

function batchPage(batches: readonly Uint8Array[]): Uint8Array {
  const w = writer(4096).u8(REPLY.batches).u8(0)
  let bytes = 0
  for (const batch of batches) {
    bytes += 2 + batch.length
    if (bytes > MAX_PAGE_BYTES) return withMore(w.done(), 1)
    w.block(batch)
  }
  return w.done()
}

/** Sets the page's flag that says there is more to ask for. */
function withMore(page: Uint8Array, at = 0): Uint8Array {
  page[at] = 1
  return page
}
