/** Supply: answers what neighbours ask of homes, with heads, batches, or a snapshot, whole or by buckets. */

import { isAhead, type Position } from './batch.ts'
import { fromHex, type Reader, reader, toHex, writer } from './bytes.ts'
import type { HomeState } from './claims.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import { BUCKETS } from './digest.ts'
import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { MAX_KEPT_SNAPSHOTS, MAX_PAGE_BYTES, PULL_WAIT_MS } from './limits.ts'
import { NODE_METHOD, noSuchMethod, type Serve } from './rpc.ts'
import {
  batchPage,
  bucketsPage,
  indexPage,
  isRepairable,
  placesPage,
  REPLY,
  type Snapshot,
  snapshotPage,
  takeSnapshot,
  withMore,
} from './snapshots.ts'

export interface SupplyOptions {
  readonly directory: Directory
  readonly clock: Clock
  /** Called before this node's own log is read, so that nothing gathered is left out. */
  flush(): void
  /** This node's own pull of the home, if it has one running. */
  pulling(home: NodeId): Promise<void> | undefined
}

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
    const { home, at: have } = readAsked(r)
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
    const snapshot = snapshotOf(state)
    // Who holds nothing has nothing to compare.
    if (have.index > 0 && isRepairable(snapshot)) return bucketsPage(snapshot)
    return snapshotPage(snapshot, 0)
  }

  /** Those asked for last stay. */
  const keep = (home: NodeId, snapshot: Snapshot): void => {
    snapshots.delete(home)
    snapshots.set(home, snapshot)
    if (snapshots.size > MAX_KEPT_SNAPSHOTS) {
      snapshots.delete(snapshots.keys().next().value as NodeId)
    }
  }

  /** A snapshot that was begun, for as long as it is kept. */
  const begun = (home: NodeId, have: Position): Snapshot | undefined => {
    const snapshot = snapshots.get(home)
    // A home may have been dropped since, and nothing is served of one that is kept out.
    const isSame =
      directory.homes.has(home) &&
      snapshot?.position.epoch === have.epoch &&
      snapshot.position.index === have.index
    if (!snapshot || !isSame) return undefined
    keep(home, snapshot)
    return snapshot
  }

  const nextPage = (home: NodeId, have: Position, cursor: number): Uint8Array => {
    const snapshot = begun(home, have)
    return snapshot ? snapshotPage(snapshot, cursor) : Uint8Array.of(REPLY.nothing)
  }

  const serveIndex = (r: Reader): Uint8Array => {
    const { home, at } = readAsked(r)
    const mask = r.bytes(BUCKETS / 8)
    r.end()
    const snapshot = begun(home, at)
    return snapshot ? indexPage(snapshot, mask) : new Uint8Array(0)
  }

  const serveRecords = (r: Reader): Uint8Array => {
    const { home, at } = readAsked(r)
    const snapshot = begun(home, at)
    return snapshot ? placesPage(snapshot, r.rest()) : new Uint8Array(0)
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
    if (method === NODE_METHOD.index) return serveIndex(reader(body))
    if (method === NODE_METHOD.records) return serveRecords(reader(body))
    throw noSuchMethod()
  }
}

function readAsked(r: Reader): { home: NodeId; at: Position } {
  return { home: toHex(r.bytes(KEY_BYTES)), at: { epoch: r.u64(), index: r.u64() } }
}
