/** A home's own log: gathers changes of its edges, signs them in batches, says where it stands. */

import { type Contact, type Head, type Op, opBytes, signBatch, signHead } from './batch.ts'
import { checkOwnCaps } from './caps.ts'
import { type HomeState, recordsOf } from './claims.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import type { Identity } from './identity.ts'
import {
  BATCH_AFTER_MS,
  MAX_BATCH_BYTES,
  MAX_KEPT_BATCHES,
  MAX_KEPT_BATCHES_BYTES,
  MAX_OPS_PER_BATCH,
} from './limits.ts'
import type { EdgeRecord } from './records.ts'

export interface HomeLog {
  readonly state: HomeState
  /**
   * Makes a change at once here, and for everybody with the next batch. One that follows from another,
   * made while that is still told of, comes right after it.
   */
  add(op: Op): void
  /** @throws SignalMeshError `TOO_MANY` if the log cannot have these records as well */
  checkRoom(records: readonly EdgeRecord[]): void
  /** Signs and multicasts what has gathered. */
  flush(): void
  /** Begins a new epoch with the edges that are here: an earlier life is still known to others. */
  rise(epoch: number): void
  /** A fresh signed head. */
  head(contact: Contact): Head
  close(): void
}

export interface HomeLogOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  /** Number of this start; higher than any before. */
  readonly epoch: number
  publish(bytes: Uint8Array): void
}

/** Room for a batch's fields and signature beside its changes. */
const BATCH_FRAME_BYTES = 256

export function createHomeLog(options: HomeLogOptions): HomeLog {
  const { identity, networkId, directory, clock } = options
  const open = (epoch: number): HomeState => {
    const opened = directory.open(identity.id, epoch, clock.nowMs())
    opened.isOwn = true
    return opened
  }
  let state = open(options.epoch)
  let pending: Op[] = []
  let pendingBytes = 0
  let cancelTimer: (() => void) | undefined
  let queued: Op[] = []
  let isBusy = false

  const flush = (): void => {
    cancelTimer?.()
    cancelTimer = undefined
    if (pending.length === 0) return
    const batch = signBatch(networkId, identity.keys, {
      epoch: state.position.epoch,
      index: state.position.index + 1,
      previous: state.headHash,
      stateHash: state.digest.hash(),
      ops: pending,
    })
    pending = []
    pendingBytes = 0
    remember(state, batch)
    options.publish(batch.bytes)
  }

  const make = (op: Op): void => {
    const bytes = opBytes(op)
    const full = pendingBytes + bytes > MAX_BATCH_BYTES - BATCH_FRAME_BYTES
    // The batch's hash is of the state right after its last change, so it is signed before the next.
    if (full || pending.length >= MAX_OPS_PER_BATCH) flush()
    // First, for who is told of the change may make this log be signed.
    pending.push(op)
    pendingBytes += bytes
    cancelTimer ??= clock.after(BATCH_AFTER_MS, flush)
    directory.apply(state, op, clock.nowMs())
  }

  /** Makes what is queued, one change after the other; those who are told of one may queue more. */
  const drain = (): void => {
    if (isBusy) return
    isBusy = true
    let made = 0
    try {
      while (made < queued.length) make(queued[made++] as Op)
    } finally {
      isBusy = false
      queued = queued.slice(made)
    }
  }

  const add = (op: Op): void => {
    queued.push(op)
    drain()
  }

  return {
    get state() {
      return state
    },
    add,
    checkRoom: (records) => checkOwnCaps(state, records),
    flush,
    rise: (epoch) => {
      flush()
      const puts = recordsOf(state).map((record): Op => ({ kind: 'put', record }))
      isBusy = true
      try {
        directory.drop(identity.id)
      } finally {
        isBusy = false
      }
      state = open(epoch)
      // What was changed by those who heard of the end comes after what was there.
      queued = [...puts, ...queued]
      drain()
    },
    head: (contact) => {
      flush()
      state.beat += 1
      state.heardAtMs = clock.monotonicMs()
      state.contact = contact
      const head = signHead(networkId, identity.keys, {
        ...state.position,
        beat: state.beat,
        headHash: state.headHash,
        stateHash: state.digest.hash(),
        edges: state.claims.size,
        contact,
      })
      state.lastHead = head.bytes
      return head
    },
    close: () => cancelTimer?.(),
  }
}

/** Moves a home's state on to a batch that led to it. */
export function remember(
  state: HomeState,
  batch: { bytes: Uint8Array; hash: Uint8Array; epoch: number; index: number },
): void {
  state.position = { epoch: batch.epoch, index: batch.index }
  state.headHash = batch.hash
  // A copy, for a view would keep the whole page alive that the batch came in.
  state.recent.push(batch.bytes.slice())
  let bytes = state.recent.reduce((sum, kept) => sum + kept.length, 0)
  while (state.recent.length > MAX_KEPT_BATCHES || bytes > MAX_KEPT_BATCHES_BYTES) {
    bytes -= (state.recent.shift() as Uint8Array).length
  }
}
