/** Pull: brings what one neighbour holds of one home: batches, what differs in some buckets, or the whole. */

import type { Admission } from './admission.ts'
import { type Batch, decodeBatch, isSignedByHome, type Position } from './batch.ts'
import { badFrame, fromHex, type Reader, reader, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import { HASH_BYTES } from './crypto.ts'
import { BUCKETS } from './digest.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import { createGather, type Place } from './gather.ts'
import type { NodeId } from './identity.ts'
import { MAX_BATCH_BYTES, MAX_RECORDS_PER_HOME, PULL_TIMEOUT_MS } from './limits.ts'
import type { Pace } from './pace.ts'
import type { EdgeRecord } from './records.ts'
import { type Repaired, type RepairOptions, repair } from './repair.ts'
import { applyBatch, applySnapshot, isNews } from './replica.ts'
import { NODE_METHOD } from './rpc.ts'
import { REPLY, readRecord } from './snapshots.ts'

export interface PullOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  readonly admission: Admission
  readonly pace: Pace
  ask(neighbour: NodeId, method: number, body: Uint8Array): Promise<Uint8Array>
}

const NOWHERE: Position = { epoch: 0, index: 0 }

/** Makes what pulls a home from a neighbour; it throws where either of them is to blame. */
export function createPull(
  options: PullOptions,
): (neighbour: NodeId, home: NodeId) => Promise<void> {
  const { networkId, directory, clock, admission, pace, ask } = options
  const gather = createGather()

  /** All records of the home as they were after `batch`; nothing where that is no news. */
  const pullBuckets = async (
    home: NodeId,
    batch: Batch,
    page: Reader,
    ask: RepairOptions['ask'],
  ): Promise<Repaired | undefined> => {
    const held = directory.homes.get(home)
    if (!held || !isNews(directory, home, batch)) return undefined
    const bucketHashes = page.bytes(BUCKETS * HASH_BYTES)
    page.end()
    const may = (count: number): void => checkCount(home, count)
    return repair({ held, batch, bucketHashes, ask, checkCount: may })
  }

  const checkCount = (home: NodeId, count: number): void => {
    if (count > MAX_RECORDS_PER_HOME) throw badFrame(`a snapshot of ${count} records`)
    if (count > admission.recordsFor(directory, home)) {
      throw new SignalMeshError('TOO_MANY', `Home ${home} has more records than it may have yet`)
    }
  }

  const signedBatch = (home: NodeId, bytes: Uint8Array): Batch => {
    const batch = decodeBatch(bytes)
    if (batch.home === home && isSignedByHome(networkId, batch)) return batch
    throw new SignalMeshError('BAD_SIGNATURE', `A pulled batch is not of home ${home}`)
  }

  const takeBatch = (home: NodeId, bytes: Uint8Array): boolean =>
    applyBatch(directory, signedBatch(home, bytes), clock.nowMs(), admission) === 'applied'

  return async (neighbour, home) => {
    const held: { place: Place | undefined } = { place: undefined }
    try {
      await pullAll(neighbour, home, held)
    } finally {
      held.place?.leave()
    }
  }

  async function pullAll(
    neighbour: NodeId,
    home: NodeId,
    held: { place: Place | undefined },
  ): Promise<void> {
    const records: EdgeRecord[] = []
    const letGo = (): void => {
      records.length = 0
    }
    // Where the log stands here, and from the first page of a snapshot on, where the snapshot stands.
    let at = directory.homes.get(home)?.position ?? NOWHERE
    let untilMs = clock.monotonicMs() + PULL_TIMEOUT_MS
    const page = async (method: number, body: Uint8Array): Promise<Reader> => {
      if (clock.monotonicMs() > untilMs)
        throw new SignalMeshError('TIMEOUT', 'The pull took too long')
      await pace.pullTurn(neighbour, home)
      const answer = await ask(neighbour, method, body)
      pace.pulled(neighbour, home, answer.length)
      held.place?.hold(answer.length)
      return reader(answer)
    }
    /** Waits for a place, and then has the whole time. */
    const placed = async (): Promise<void> => {
      held.place = await gather.turn(neighbour, letGo)
      untilMs = clock.monotonicMs() + PULL_TIMEOUT_MS
    }
    for (;;) {
      const r = await page(NODE_METHOD.pull, pullBody(home, at, records.length))
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
      if (kind === REPLY.buckets) {
        // Only who holds something and asks for the first time has buckets to compare.
        if (at.index === 0 || records.length > 0) throw badFrame('buckets out of turn')
        if (!held.place) await placed()
        const repaired = await pullBuckets(home, signedBatch(home, lastBatch), r, page)
        if (!repaired || repaired === 'gone') return
        at = NOWHERE
        if (repaired === 'most') continue
        for (const record of repaired) records.push(record)
      } else if (kind === REPLY.snapshot) {
        at = signedBatch(home, lastBatch)
        const before = records.length
        while (r.left > 0) records.push(readRecord(r))
        checkCount(home, records.length)
        if (more && records.length > before) {
          held.place ??= gather.take(neighbour, letGo)
          if (held.place) continue
          // Nothing is held meanwhile.
          letGo()
          await placed()
          at = directory.homes.get(home)?.position ?? NOWHERE
          continue
        }
      } else throw badFrame(`an answer ${kind} to a pull`)
      const outcome = applySnapshot(
        directory,
        networkId,
        lastBatch,
        records,
        clock.nowMs(),
        admission,
      )
      if (outcome !== 'applied') return
      records.length = 0
      // The home may have gone on meanwhile.
      at = directory.homes.get(home)?.position ?? NOWHERE
    }
  }
}

function pullBody(home: NodeId, have: Position, cursor: number): Uint8Array {
  return writer().bytes(fromHex(home)).u64(have.epoch).u64(have.index).u32(cursor).done()
}
