/** The replica: takes other homes' batches, heads and snapshots into the directory, in order or not at all. */

import {
  type Batch,
  decodeBatch,
  type Head,
  isAhead,
  isSignedByHome,
  type Position,
} from './batch.ts'
import { equal } from './bytes.ts'
import { createDigest } from './digest.ts'
import type { Directory, HomeState } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import { remember } from './homelog.ts'
import { MAX_HOMES, MAX_RECORDS, MAX_RECORDS_PER_HOME } from './limits.ts'
import type { EdgeRecord } from './records.ts'

/** `gap`: something before it is missing and has to be pulled. */
export type Outcome = 'applied' | 'old' | 'gap'

const NO_HASH = new Uint8Array(32)

/** Whether a position says something new about a home, as far as it is known here. */
export function isNews(directory: Directory, home: string, position: Position): boolean {
  const state = directory.homes.get(home)
  return !state || isAhead(position, state.position)
}

/**
 * Applies a batch whose signature was checked.
 * @throws SignalMeshError `EQUIVOCATION` if it contradicts the home's own log, `TOO_MANY` over a bound
 */
export function applyBatch(directory: Directory, batch: Batch, nowMs: number): Outcome {
  const known = directory.homes.get(batch.home)
  if (known && !isAhead(batch, known.position)) return 'old'
  const isNext = known?.position.epoch === batch.epoch && known.position.index + 1 === batch.index
  if (!isNext && batch.index !== 1) return 'gap'
  if (!isNext && known) directory.drop(batch.home)
  const state = isNext ? (known as HomeState) : openHome(directory, batch, nowMs)
  if (!equal(batch.previous, state.headHash)) throw contradicts(directory, batch)
  for (const op of batch.ops) directory.apply(state, op, nowMs)
  if (!equal(state.digest.hash(), batch.stateHash)) throw contradicts(directory, batch)
  checkRoom(directory, state)
  state.heardAtMs = nowMs
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
): { fresh: boolean; behind: boolean } {
  const known = directory.homes.get(head.home)
  const fresh = !known || isFresh(head, known)
  if (!fresh) return { fresh: false, behind: false }
  const restarted = known && head.epoch > known.position.epoch
  if (restarted) directory.drop(head.home)
  const state = known && !restarted ? known : openHome(directory, head, nowMs)
  state.beat = head.beat
  state.contact = head.contact
  state.lastHead = head.bytes
  state.heardAtMs = nowMs
  return { fresh: true, behind: isAhead(head, state.position) }
}

/** Whether the head is later than what is known of its home. */
export function isFresh(head: Head, known: HomeState): boolean {
  const { epoch } = known.position
  return head.epoch > epoch || (head.epoch === epoch && head.beat > known.beat)
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
): Outcome {
  const batch = decodeBatch(lastBatch)
  const digest = createDigest()
  for (const record of records) {
    digest.set(record.peer + (record.kind === 'advert' ? record.tag : ''), record.hash)
  }
  if (!isSignedByHome(networkId, batch) || !equal(digest.hash(), batch.stateHash)) {
    throw new SignalMeshError(
      'BAD_SIGNATURE',
      `The snapshot of home ${batch.home} is not what it signed`,
    )
  }
  const known = directory.homes.get(batch.home)
  if (known && !isAhead(batch, known.position)) return 'old'
  const kept = known && { beat: known.beat, contact: known.contact, lastHead: known.lastHead }
  const sameLife = known?.position.epoch === batch.epoch
  directory.drop(batch.home)
  const state = openHome(directory, batch, nowMs)
  if (kept && sameLife) Object.assign(state, kept)
  for (const record of records) directory.apply(state, { kind: 'put', record }, nowMs)
  checkRoom(directory, state)
  remember(state, batch)
  return 'applied'
}

function openHome(directory: Directory, at: { home: string } & Position, nowMs: number): HomeState {
  if (directory.homes.size >= MAX_HOMES) {
    throw new SignalMeshError('MESH_FULL', `No room for home ${at.home}: ${MAX_HOMES} are known`)
  }
  const state = directory.open(at.home, at.epoch, nowMs)
  state.headHash = NO_HASH
  return state
}

function contradicts(directory: Directory, batch: Batch): SignalMeshError {
  directory.drop(batch.home)
  return new SignalMeshError(
    'EQUIVOCATION',
    `Home ${batch.home} contradicts its own log at ${batch.epoch}/${batch.index}`,
  )
}

function checkRoom(directory: Directory, state: HomeState): void {
  if (state.digest.size <= MAX_RECORDS_PER_HOME && directory.records <= MAX_RECORDS) return
  directory.drop(state.id)
  throw new SignalMeshError('TOO_MANY', `Home ${state.id} has more records than this node takes`)
}
