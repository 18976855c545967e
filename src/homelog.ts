/** A home's own log: gathers changes of its edges, signs them in batches, says where it stands. */

import { type Contact, type Head, type Op, opBytes, signBatch, signHead } from './batch.ts'
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

export interface HomeLog {
  readonly state: HomeState
  /** Makes a change at once here, and for everybody with the next batch. */
  add(op: Op): void
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

  const add = (op: Op): void => {
    const bytes = opBytes(op)
    const full = pendingBytes + bytes > MAX_BATCH_BYTES - BATCH_FRAME_BYTES
    // The batch's hash is of the state right after its last change, so it is signed before the next.
    if (full || pending.length >= MAX_OPS_PER_BATCH) flush()
    directory.apply(state, op, clock.nowMs())
    pending.push(op)
    pendingBytes += bytes
    cancelTimer ??= clock.after(BATCH_AFTER_MS, flush)
  }

  return {
    get state() {
      return state
    },
    add,
    flush,
    rise: (epoch) => {
      flush()
      const records = recordsOf(state)
      directory.drop(identity.id)
      state = open(epoch)
      for (const record of records) add({ kind: 'put', record })
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
  state.recent.push(batch.bytes)
  let bytes = state.recent.reduce((sum, kept) => sum + kept.length, 0)
  while (state.recent.length > MAX_KEPT_BATCHES || bytes > MAX_KEPT_BATCHES_BYTES) {
    bytes -= (state.recent.shift() as Uint8Array).length
  }
}
