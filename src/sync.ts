/** Sync: brings the directory up to date with what neighbours hold, by pulling just what is missing. */

import { decodeBatch, decodeHead, isAhead, isSignedByHome, type Position } from './batch.ts'
import { fromHex, reader, toHex, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import type { Directory, HomeState } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_HEAD_BYTES,
  MAX_KEPT_SNAPSHOTS,
  MAX_PAGE_BYTES,
  MAX_RECORD_BYTES,
  MAX_RECORDS_PER_HOME,
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
  const snapshots = new Map<string, EdgeRecord[]>()

  const takeHead = (bytes: Uint8Array): void => {
    if (bytes.length === 0) return
    const head = decodeHead(bytes)
    if (head.home === options.self || !isSignedByHome(networkId, head)) return
    applyHead(directory, head, clock.nowMs())
  }

  const meet = async (neighbour: NodeId): Promise<void> => {
    let after = new Uint8Array(0)
    for (let more = true; more; ) {
      const r = reader(await options.request(neighbour, NODE_METHOD.heads, after))
      more = r.u8() === 1
      while (r.left > 0) {
        const homeKey = r.bytes(KEY_BYTES).slice()
        const position = { epoch: r.u64(), index: r.u64() }
        const home = toHex(homeKey)
        takeHead(r.block(MAX_HEAD_BYTES))
        if (home !== options.self && isNews(directory, home, position)) await pull(neighbour, home)
        after = homeKey
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
    for (;;) {
      const have = directory.homes.get(home)?.position ?? { epoch: 0, index: 0 }
      const body = pullBody(home, have, records.length)
      const r = reader(await options.request(neighbour, NODE_METHOD.pull, body))
      const kind = r.u8()
      if (kind === REPLY.nothing) return
      const more = r.u8() === 1
      if (kind === REPLY.batches) {
        let progress = false
        while (r.left > 0) progress = takeBatch(home, r.block(MAX_BATCH_BYTES)) || progress
        if (!more || !progress) return
      } else {
        const batch = r.block(MAX_BATCH_BYTES)
        while (r.left > 0) records.push(readRecord(r.u8(), r.block(MAX_RECORD_BYTES)))
        if (records.length > MAX_RECORDS_PER_HOME) {
          throw new SignalMeshError('TOO_MANY', `A snapshot of ${records.length} records`)
        }
        if (more) continue
        applySnapshot(directory, networkId, batch, records, clock.nowMs())
        return
      }
    }
  }

  const takeBatch = (home: NodeId, bytes: Uint8Array): boolean => {
    const batch = decodeBatch(bytes)
    if (batch.home !== home || !isSignedByHome(networkId, batch)) {
      throw new SignalMeshError('BAD_SIGNATURE', `A pulled batch is not of home ${home}`)
    }
    return applyBatch(directory, batch, clock.nowMs()) === 'applied'
  }

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

  const servePull = (body: Uint8Array): Uint8Array => {
    const r = reader(body)
    const home = toHex(r.bytes(KEY_BYTES))
    const have = { epoch: r.u64(), index: r.u64() }
    const cursor = r.u32()
    r.end()
    options.flush()
    const state = directory.homes.get(home)
    if (!state || state.recent.length === 0 || !isAhead(state.position, have)) {
      return Uint8Array.of(REPLY.nothing)
    }
    const missing =
      have.epoch === state.position.epoch ? state.position.index - have.index : state.position.index
    if (cursor === 0 && missing <= state.recent.length)
      return batchPage(state.recent.slice(-missing))
    return snapshotPage(state, cursor)
  }

  const snapshotPage = (state: HomeState, cursor: number): Uint8Array => {
    const key = `${state.id}/${state.position.epoch}/${state.position.index}`
    const records = snapshots.get(key) ?? allRecords(state)
    if (!snapshots.has(key) && snapshots.size >= MAX_KEPT_SNAPSHOTS) {
      snapshots.delete(snapshots.keys().next().value as string)
    }
    snapshots.set(key, records)
    const w = writer(MAX_PAGE_BYTES)
      .u8(REPLY.snapshot)
      .u8(0)
      .block(state.recent.at(-1) as Uint8Array)
    let bytes = 0
    for (const record of records.slice(cursor)) {
      bytes += 3 + record.bytes.length
      if (bytes > MAX_PAGE_BYTES - MAX_BATCH_BYTES) return withMore(w.done(), 1)
      w.u8(record.kind === 'presence' ? 1 : 2).block(record.bytes)
    }
    return w.done()
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
