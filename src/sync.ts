/** Sync: brings the directory up to date with what neighbours hold, by pulling just what is missing. */

import { type Batch, decodeBatch, decodeHead, isSignedByHome, type Position } from './batch.ts'
import { badFrame, compare, fromHex, reader, toHex, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import type { Directory } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_BATCH_BYTES,
  MAX_HEAD_BYTES,
  MAX_HOMES,
  MAX_RECORD_BYTES,
  MAX_RECORDS_PER_HOME,
  PULL_TIMEOUT_MS,
} from './limits.ts'
import type { Log } from './log.ts'
import { decodeAdvert, decodePresence, type EdgeRecord } from './records.ts'
import { applyBatch, applyHead, applySnapshot, isNews } from './replica.ts'
import { NODE_METHOD, type Serve } from './rpc.ts'
import { createSupply, REPLY } from './supply.ts'

export interface SyncOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  readonly log: Log
  readonly self: NodeId
  request(neighbour: NodeId, method: number, body: Uint8Array): Promise<Uint8Array>
  /** A neighbour holds a head that this node signed, in this life or an earlier one. */
  onOwnHead(head: Position): void
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

export function createSync(options: SyncOptions): Sync {
  const { networkId, directory, clock, log } = options
  const pulls = new Map<NodeId, Promise<void>>()

  /** Takes a home's head as its neighbour passes it on; false if this node has no use for the home. */
  const takeHead = (bytes: Uint8Array): boolean => {
    if (bytes.length === 0) return true
    const head = decodeHead(bytes)
    if (!isSignedByHome(networkId, head)) return false
    if (head.home === options.self) {
      options.onOwnHead(head)
      return false
    }
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

  return {
    meet,
    pull,
    serve: createSupply({
      directory,
      clock,
      flush: options.flush,
      pulling: (home) => pulls.get(home),
    }),
  }
}

const NOWHERE: Position = { epoch: 0, index: 0 }

function pullBody(home: NodeId, have: Position, cursor: number): Uint8Array {
  return writer().bytes(fromHex(home)).u64(have.epoch).u64(have.index).u32(cursor).done()
}

function readRecord(kind: number, bytes: Uint8Array): EdgeRecord {
  return kind === 1 ? decodePresence(bytes) : decodeAdvert(bytes)
}
