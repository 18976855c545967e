/** Caps: how much of one edge, and in one bucket, a home may have; counted before anything changes. */

import type { Op } from './batch.ts'
import type { Claim, HomeState } from './claims.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import { MAX_OPS_PER_BATCH, MAX_RECORDS_PER_BUCKET, MAX_TOPICS_PER_EDGE } from './limits.ts'
import type { EdgeRecord } from './records.ts'

/**
 * Looks whether a batch would give an edge more adverts than it may have at any of its changes, or a
 * bucket more records; for a bucket, removals are not counted.
 * @throws SignalMeshError `TOO_MANY`
 */
export function checkBatchCaps(
  home: NodeId,
  held: HomeState | undefined,
  ops: readonly Op[],
): void {
  const puts = ops.flatMap((op) => (op.kind === 'put' ? [op.record] : []))
  for (const [peer, adverts] of countBy(puts.filter(isAdvert), peerOf)) {
    const claim = held?.claims.get(peer)
    // Only where what is put might be too much does it matter what was removed before.
    if ((claim?.adverts.size ?? 0) + adverts <= MAX_TOPICS_PER_EDGE) continue
    if (mostAdverts(claim, peer, ops) > MAX_TOPICS_PER_EDGE) throw tooManyTopics(home, peer)
  }
  if (fullestBucket(held, puts) > MAX_RECORDS_PER_BUCKET) throw tooFull(home)
}

/**
 * The same of a home's records all together.
 * @throws SignalMeshError `TOO_MANY`
 */
export function checkCaps(home: NodeId, records: readonly EdgeRecord[]): void {
  for (const [peer, adverts] of countBy(records.filter(isAdvert), peerOf)) {
    if (adverts > MAX_TOPICS_PER_EDGE) throw tooManyTopics(home, peer)
  }
  if (fullestBucket(undefined, records) > MAX_RECORDS_PER_BUCKET) throw tooFull(home)
}

/**
 * Looks whether this node may take these records on as a home, so that others will take its log.
 * @throws SignalMeshError `TOO_MANY`
 */
export function checkOwnCaps(own: HomeState, records: readonly EdgeRecord[]): void {
  // Less than others take, for they do not count what a batch removes.
  if (fullestBucket(own, records) > MAX_RECORDS_PER_BUCKET - MAX_OPS_PER_BATCH) {
    throw tooFull(own.id)
  }
}

/** Records in the fullest of the buckets that would grow; 0 if none would. */
function fullestBucket(held: HomeState | undefined, records: readonly EdgeRecord[]): number {
  const added = held ? records.filter((record) => !isHeld(held, record)) : records
  let most = 0
  for (const [bucket, count] of countBy(added, ({ peer }) => peer.slice(0, 2))) {
    most = Math.max(most, count + (held?.digest.sizeBeside(bucket) ?? 0))
  }
  return most
}

/** How many adverts the edge has at the most while these changes are made, as the directory makes them. */
function mostAdverts(claim: Claim | undefined, peer: PeerId, ops: readonly Op[]): number {
  let presenceSeq = claim?.presence?.seq ?? Number.NEGATIVE_INFINITY
  const seqs = new Map([...(claim?.adverts.values() ?? [])].map(({ tag, seq }) => [tag, seq]))
  let most = seqs.size
  for (const op of ops) {
    if (op.kind === 'put') {
      const { record } = op
      if (record.peer !== peer) continue
      if (record.kind === 'presence') presenceSeq = Math.max(presenceSeq, record.seq)
      else seqs.set(record.tag, Math.max(seqs.get(record.tag) ?? record.seq, record.seq))
      most = Math.max(most, seqs.size)
    } else if (op.peer === peer && op.kind === 'remove-advert') {
      if ((seqs.get(op.tag) ?? Number.POSITIVE_INFINITY) <= op.seq) seqs.delete(op.tag)
    } else if (op.peer === peer && presenceSeq <= op.seq) {
      presenceSeq = Number.NEGATIVE_INFINITY
      seqs.clear()
    }
  }
  return most
}

function isHeld(home: HomeState, record: EdgeRecord): boolean {
  const claim = home.claims.get(record.peer)
  return record.kind === 'advert'
    ? claim?.adverts.has(record.tag) === true
    : claim?.presence !== undefined
}

const isAdvert = ({ kind }: EdgeRecord): boolean => kind === 'advert'
const peerOf = ({ peer }: EdgeRecord): PeerId => peer

function countBy(
  records: readonly EdgeRecord[],
  keyOf: (record: EdgeRecord) => string,
): Map<string, number> {
  const counts = new Map<string, number>()
  for (const record of records) counts.set(keyOf(record), (counts.get(keyOf(record)) ?? 0) + 1)
  return counts
}

function tooManyTopics(home: NodeId, peer: PeerId): SignalMeshError {
  const most = MAX_TOPICS_PER_EDGE
  return new SignalMeshError('TOO_MANY', `Home ${home} has edge ${peer} in over ${most} topics`)
}

function tooFull(home: NodeId): SignalMeshError {
  const message = `Home ${home} has no room for more records of edges with such a PeerId`
  return new SignalMeshError('TOO_MANY', message)
}
