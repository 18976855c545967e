/** The replica: takes other homes' batches, heads and snapshots into the directory, in order or not at all. */

import {
  type Batch,
  decodeBatch,
  type Head,
  isAhead,
  isSignedByHome,
  type Position,
} from './batch.ts'
import { audit, checkAgainstHead, checkAgainstKept, contradicts, isForged } from './blame.ts'
import { equal } from './bytes.ts'
import { checkBatchCaps, checkCaps } from './caps.ts'
import type { HomeState, LastWord } from './claims.ts'
import { createDigest } from './digest.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import { remember } from './homelog.ts'
import type { EdgeRecord } from './records.ts'
import { sizeWith } from './size.ts'
import { type Space, spaceForAll } from './space.ts'

/** `gap`: something before it is missing and has to be pulled. */
export type Outcome = 'applied' | 'old' | 'gap'

const NO_HASH = new Uint8Array(32)

/** Whether a position says something new about a home, as far as it is known here. */
export function isNews(directory: Directory, home: string, position: Position): boolean {
  if (directory.banned.has(home)) return false
  const last = lastWord(directory, home)
  return !last || isAhead(position, last.position)
}

/** Whether the head is later than what is known of its home. */
export function isFresh(
  directory: Directory,
  head: Pick<Head, 'home' | 'epoch' | 'beat'>,
): boolean {
  if (directory.banned.has(head.home)) return false
  const last = lastWord(directory, head.home)
  if (!last || head.epoch > last.position.epoch) return true
  return head.epoch === last.position.epoch && head.beat > last.beat
}

/** An old word of a home that has left must not bring it back. */
function lastWord(directory: Directory, home: string): LastWord | undefined {
  return directory.homes.get(home) ?? directory.gone.get(home)
}

/**
 * Applies a batch whose signature was checked.
 * @throws SignalMeshError `EQUIVOCATION` if it contradicts the home's own log, `FORGED_RECORD` if an
 * audited record is; both with a proof as evidence where there is one. `MESH_FULL` or
 * `TOO_MANY` where there is no room; the directory is then as before.
 */
export function applyBatch(
  directory: Directory,
  batch: Batch,
  nowMs: number,
  room: Space = spaceForAll,
): Outcome {
  if (!isNews(directory, batch.home, batch)) {
    checkAgainstKept(directory, batch)
    return 'old'
  }
  directory.revive(batch.home)
  const known = directory.homes.get(batch.home)
  const isNext = known?.position.epoch === batch.epoch && known.position.index + 1 === batch.index
  if (!isNext && batch.index !== 1) return 'gap'
  // Before anything changes, so that a home for which there is no more room keeps what it has.
  checkBatchCaps(batch.home, isNext ? known : undefined, batch.ops)
  const puts = batch.ops.flatMap((op) => (op.kind === 'put' ? [op.record] : []))
  room.checkGrowth(directory, batch.home, sizeWith(directory, isNext ? known : undefined, puts))
  if (!isNext && known) directory.drop(batch.home)
  const state = isNext ? (known as HomeState) : openHome(directory, batch, nowMs, room)
  if (!equal(batch.previous, state.headHash)) throw contradicts(directory, batch)
  checkAgainstHead(directory, state, batch)
  audit(directory, batch)
  for (const op of batch.ops) directory.apply(state, op, nowMs)
  if (!equal(state.digest.hash(), batch.stateHash)) throw contradicts(directory, batch)
  state.heardAtMs = directory.monotonicMs(nowMs)
  remember(state, batch)
  return 'applied'
}

/**
 * Takes a checked head: a sign of life and a contact.
 * @returns whether it was new; `behind` whether batches are missing here.
 */
export function applyHead(
  directory: Directory,
  head: Head,
  nowMs: number,
  room: Space = spaceForAll,
): { fresh: boolean; behind: boolean } {
  const known = directory.homes.get(head.home)
  const fresh = isFresh(directory, head)
  if (!fresh || (known && isAhead(known.position, head))) checkAgainstKept(directory, head)
  if (!fresh) return { fresh: false, behind: false }
  const restarted = known && head.epoch > known.position.epoch
  if (restarted) directory.drop(head.home)
  const state = known && !restarted ? known : openHome(directory, head, nowMs, room)
  if (head.index === state.position.index && !isOfState(head, state)) {
    throw contradicts(directory, head)
  }
  checkAgainstHead(directory, state, head)
  state.beat = head.beat
  state.contact = head.contact
  // A copy, for a view would keep the whole frame alive that the head came in.
  state.lastHead = head.bytes.slice()
  state.heardAtMs = directory.monotonicMs(nowMs)
  return { fresh: true, behind: isAhead(head, state.position) }
}

function isOfState(head: Head, state: HomeState): boolean {
  return equal(head.headHash, state.headHash) && equal(head.stateHash, state.digest.hash())
}

/**
 * Replaces a home's state by a snapshot, if it hashes to what the home signed in `batch`.
 * @throws SignalMeshError `BAD_SIGNATURE` if it does not; the directory is as before.
 */
export function applySnapshot(
  directory: Directory,
  networkId: Uint8Array,
  lastBatch: Uint8Array,
  records: readonly EdgeRecord[],
  nowMs: number,
  room: Space = spaceForAll,
): Outcome {
  const batch = decodeBatch(lastBatch)
  const digest = createDigest()
  for (const record of records) digest.set(keyOf(record), record.hash)
  // A record twice would be one here, but the older could win in the directory.
  const isWhole = digest.size === records.length && equal(digest.hash(), batch.stateHash)
  if (!isWhole || !isSignedByHome(networkId, batch)) {
    throw new SignalMeshError(
      'BAD_SIGNATURE',
      `The snapshot of home ${batch.home} is not what it signed`,
    )
  }
  if (!isNews(directory, batch.home, batch)) return 'old'
  checkCaps(batch.home, records)
  room.checkGrowth(directory, batch.home, sizeWith(directory, undefined, records))
  const forged = records.find((record) => !directory.audit(record))
  // That the home signed for it shows only in all the records together: no proof to pass on.
  if (forged) throw isForged(directory, batch.home, forged)
  const known = directory.homes.get(batch.home)
  const sameLife = known?.position.epoch === batch.epoch
  if (!sameLife) directory.drop(batch.home)
  const state = sameLife ? known : openHome(directory, batch, nowMs, room)
  removeOthers(directory, state, records, nowMs)
  // The batches held so far do not lead to this one.
  state.recent = []
  for (const record of records) directory.apply(state, { kind: 'put', record }, nowMs)
  remember(state, batch)
  return 'applied'
}

/** Removes what a home has no more; what it still has stays, so that nobody sees it leave and join. */
function removeOthers(
  directory: Directory,
  state: HomeState,
  records: readonly EdgeRecord[],
  nowMs: number,
): void {
  const wanted = new Map(records.map((record) => [keyOf(record), record]))
  const mayStay = (held: EdgeRecord): boolean => {
    const record = wanted.get(keyOf(held))
    return record !== undefined && (record.seq > held.seq || equal(record.hash, held.hash))
  }
  for (const { peer, presence, adverts } of [...state.claims.values()]) {
    if (presence && !mayStay(presence)) {
      directory.apply(state, { kind: 'remove-peer', peer, seq: presence.seq }, nowMs)
      continue
    }
    for (const advert of [...adverts.values()]) {
      const { tag, seq } = advert
      if (!mayStay(advert)) directory.apply(state, { kind: 'remove-advert', peer, tag, seq }, nowMs)
    }
  }
}

/** Under which key a record stands in a home's digest. */
function keyOf(record: EdgeRecord): string {
  return record.kind === 'advert' ? record.peer + record.tag : record.peer
}

function openHome(
  directory: Directory,
  at: { home: string } & Position,
  nowMs: number,
  room: Space,
): HomeState {
  room.checkHome(directory, at.home)
  const state = directory.open(at.home, at.epoch, nowMs)
  state.headHash = NO_HASH
  return state
}
