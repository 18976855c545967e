/** Sync: brings the directory up to date with what neighbours hold, by pulling just what is missing. */

import {
  type Batch,
  decodeBatch,
  decodeHead,
  isAhead,
  isSignedByHome,
  type Position,
} from './batch.ts'
import { badFrame, compare, fromHex, reader, toHex, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import type { Directory, HomeState } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_HEAD_BYTES,
  MAX_HOMES,
  MAX_KEPT_SNAPSHOTS,
  MAX_PAGE_BYTES,
  MAX_RECORD_BYTES,
  MAX_RECORDS_PER_HOME,
  PULL_TIMEOUT_MS,
  PULL_WAIT_MS,
} from './limits.ts'
import type { Log } from './log.ts'
import { decodeAdvert, decodePresence, type EdgeRecord } from './records.ts'
import { applyBatch, applyHead, applySnapshot, isNews } from './replica.ts'
import { NODE_METHOD, noSuchMethod, type Serve } from './rpc.ts'

export interface SyncOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  readonly log: Log
  readonly self: NodeId
  request(neighbour: NodeId, method: number, body: Uint8Array): Promise<Uint8Array>
  /** Called before this node's own log is read, so that nothing gathered is left out. */
  flush(): void
}

export interface Sync {
  /** Compares all homes with a neighbour and pulls what it has more of. */
  meet(neighbour: NodeId): Promise<void>
  /** Pulls one home's missing changes from a neighbour; a second call joins the first. */
  pull(neighbour: NodeId, home: NodeId): Promise<void>
  /** Answers a neighbour's requests. */
  readonly serve: Serve
}

const REPLY = { nothing: 0, batches: 1, snapshot: 2 } as const

export function createSync(options: SyncOptions): Sync {
  const { networkId, directory, clock, log } = options
  const pulls = new Map<NodeId, Promise<void>>()
  const snapshots = new Map<NodeId, Snapshot>()

  /** Takes a home's head as its neighbour passes it on; false if this node has no use for the home. */
  const takeHead = (bytes: Uint8Array): boolean => {
    if (bytes.length === 0) return true
    const head = decodeHead(bytes)
    if (head.home === options.self || !isSignedByHome(networkId, head)) return false
    try {
      applyHead(directory, head, clock.nowMs())
      return true
    } catch (error) {
      const { code, message } = asMeshError(error)
      log.debug('Refused a head', { node: head.home, code, why: message })
      return false
    }
  }

  const meet = async (neighbour: NodeId): Promise<void> => {
    let after = new Uint8Array(0)
    let homes = 0
    for (let more = true; more && homes < MAX_HOMES; ) {
      const r = reader(await options.request(neighbour, NODE_METHOD.heads, after))
      more = r.u8() === 1 && r.left > 0
      while (r.left > 0) {
        const homeKey = r.bytes(KEY_BYTES).slice()
        // In their order, or a neighbour could keep this going for ever.
        if (compare(homeKey, after) <= 0) throw badFrame('homes out of order')
        const position = { epoch: r.u64(), index: r.u64() }
        const home = toHex(homeKey)
        const isWelcome = takeHead(r.block(MAX_HEAD_BYTES)) && home !== options.self
        if (isWelcome && isNews(directory, home, position)) await pull(neighbour, home)
        after = homeKey
        homes += 1
      }
    }
  }

  const pull = (neighbour: NodeId, home: NodeId): Promise<void> => {
    const running = pulls.get(home)
    if (running) return running
    const done = pullAll(neighbour, home)
      .catch((error: unknown) => {
        const { code, message } = asMeshError(error)
        log.debug('Could not pull', { node: neighbour, home, code, why: message })
      })
      .finally(() => pulls.delete(home))
    pulls.set(home, done)
    return done
  }

  const pullAll = async (neighbour: NodeId, home: NodeId): Promise<void> => {
    const records: EdgeRecord[] = []
    // Where the log stands here, and from the first page of a snapshot on, where the snapshot stands.
    let at = directory.homes.get(home)?.position ?? NOWHERE
    const untilMs = clock.nowMs() + PULL_TIMEOUT_MS
    for (;;) {
      if (clock.nowMs() > untilMs) throw new SignalMeshError('TIMEOUT', 'The pull took too long')
      const body = pullBody(home, at, records.length)
      const r = reader(await options.request(neighbour, NODE_METHOD.pull, body))
      const kind = r.u8()
      if (kind === REPLY.nothing) return
      const more = r.u8() === 1
      if (kind === REPLY.batches) {
        let progress = false
        while (r.left > 0) progress = takeBatch(home, r.block(MAX_BATCH_BYTES)) || progress
        if (!more || !progress) return
        at = directory.homes.get(home)?.position ?? NOWHERE
        continue
      }
      const lastBatch = r.block(MAX_BATCH_BYTES)
      at = signedBatch(home, lastBatch)
      const before = records.length
      while (r.left > 0) records.push(readRecord(r.u8(), r.block(MAX_RECORD_BYTES)))
      if (records.length > MAX_RECORDS_PER_HOME) {
        throw new SignalMeshError('TOO_MANY', `A snapshot of ${records.length} records`)
      }
      if (more && records.length > before) continue
      const outcome = applySnapshot(directory, networkId, lastBatch, records, clock.nowMs())
      if (outcome !== 'applied') return
      records.length = 0
      // The home may have gone on meanwhile.
      at = directory.homes.get(home)?.position ?? NOWHERE
    }
  }

  const signedBatch = (home: NodeId, bytes: Uint8Array): Batch => {
    const batch = decodeBatch(bytes)
    if (batch.home === home && isSignedByHome(networkId, batch)) return batch
    throw new SignalMeshError('BAD_SIGNATURE', `A pulled batch is not of home ${home}`)
  }

  const takeBatch = (home: NodeId, bytes: Uint8Array): boolean =>
    applyBatch(directory, signedBatch(home, bytes), clock.nowMs()) === 'applied'

  const serveHeads = (after: Uint8Array): Uint8Array => {
    options.flush()
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
    const running = pulls.get(home)
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
    options.flush()
    const state = directory.homes.get(home)
    if (!state || state.recent.length === 0 || !isAhead(state.position, have)) {
      return Uint8Array.of(REPLY.nothing)
    }
    const { epoch, index } = state.position
    const missing = have.epoch === epoch ? index - have.index : index
    if (missing <= state.recent.length) return batchPage(state.recent.slice(-missing))
    return snapshotPage(snapshotOf(state), 0)
  }

  /** The rest of a snapshot that was begun, for as long as it is kept. */
  const nextPage = (home: NodeId, have: Position, cursor: number): Uint8Array => {
    const snapshot = snapshots.get(home)
    const isSame = snapshot?.position.epoch === have.epoch && snapshot.position.index === have.index
    return snapshot && isSame ? snapshotPage(snapshot, cursor) : Uint8Array.of(REPLY.nothing)
  }

  /** The kept snapshot, if batches lead on from it; a busy home would outrun fresh ones for ever. */
  const snapshotOf = (state: HomeState): Snapshot => {
    const kept = snapshots.get(state.id)
    snapshots.delete(state.id)
    const isUsable =
      kept?.position.epoch === state.position.epoch &&
      state.position.index - kept.position.index <= state.recent.length / 2
    const snapshot = kept && isUsable ? kept : takeSnapshot(state)
    snapshots.set(state.id, snapshot)
    if (snapshots.size > MAX_KEPT_SNAPSHOTS) {
      snapshots.delete(snapshots.keys().next().value as NodeId)
    }
    return snapshot
  }

  return {
    meet,
    pull,
    serve: (method, body) => {
      if (method === NODE_METHOD.heads) return serveHeads(body)
      if (method === NODE_METHOD.pull) return servePull(body)
      throw noSuchMethod()
    },
  }
}

/** All records of a home as they were after one of its batches. */
interface Snapshot {
  readonly position: Position
  readonly lastBatch: Uint8Array
  readonly records: readonly EdgeRecord[]
}

const NOWHERE: Position = { epoch: 0, index: 0 }

function takeSnapshot(state: HomeState): Snapshot {
  const lastBatch = state.recent.at(-1) as Uint8Array
  return { position: state.position, lastBatch, records: allRecords(state) }
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

function pullBody(home: NodeId, have: Position, cursor: number): Uint8Array {
  return writer().bytes(fromHex(home)).u64(have.epoch).u64(have.index).u32(cursor).done()
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

function allRecords(state: HomeState): EdgeRecord[] {
  const records: EdgeRecord[] = []
  for (const claim of state.claims.values()) {
    if (claim.presence) records.push(claim.presence)
    records.push(...claim.adverts.values())
  }
  return records
}

function readRecord(kind: number, bytes: Uint8Array): EdgeRecord {
  return kind === 1 ? decodePresence(bytes) : decodeAdvert(bytes)
}
