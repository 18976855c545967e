/** Equivocation: whether a home signed what cannot all be true, and the proof of it that others can check. */

import {
  type Batch,
  decodeBatch,
  decodeHead,
  type Head,
  isSignedByHome,
  type Position,
  peekBatch,
  peekHead,
} from './batch.ts'
import { badFrame, equal, type Reader, reader, writer } from './bytes.ts'
import type { HomeState } from './claims.ts'
import type { NodeId } from './identity.ts'
import { MAX_BATCH_BYTES, MAX_PROOF_BYTES } from './limits.ts'
import { isAuthentic } from './records.ts'

/** What a home signs: a change of its log, or where its log stands. */
export type Said = Batch | Head

/** What its bytes claim to prove against a home; not believed yet. */
export interface Proof {
  readonly home: NodeId
  readonly epoch: number
  readonly said: readonly Said[]
  /** In the one batch of a forgery, which change holds a record that its edge did not sign. */
  readonly op: number | undefined
}

const PROOF = { contradiction: 1, forgery: 2 } as const
const SAID = { batch: 1, head: 2 } as const

/** Whether no honest home signs both: two of one place or beat that differ, or that do not follow. */
export function contradict(a: Said, b: Said): boolean {
  if (a.home !== b.home || a.epoch !== b.epoch) return false
  if (a.kind === 'head' && b.kind === 'head' && a.beat === b.beat && !equal(a.bytes, b.bytes)) {
    return true
  }
  if (a.index === b.index) {
    return !equal(logHash(a), logHash(b)) || !equal(a.stateHash, b.stateHash)
  }
  const [before, after] = a.index < b.index ? [a, b] : [b, a]
  const follows = after.kind === 'batch' && after.index === before.index + 1
  return follows && !equal(after.previous, logHash(before))
}

/** What is kept of the home's own words that contradicts this one, if anything does. */
export function contradictedBy(state: HomeState, said: Said): Said | undefined {
  const { lastHead } = state
  if (lastHead && contradict(decodeHead(lastHead), said)) return decodeHead(lastHead)
  for (const index of [said.index, said.index - 1, said.index + 1]) {
    const bytes = batchAt(state, index)
    const batch = bytes && decodeBatch(bytes)
    if (batch && contradict(batch, said)) return batch
  }
  return undefined
}

/** Whether old words are other than those kept of the same place; told without reading all of them. */
export function differsFromKept(state: HomeState, kind: Said['kind'], bytes: Uint8Array): boolean {
  const at: Position = kind === 'batch' ? peekBatch(bytes) : peekHead(bytes)
  if (at.epoch !== state.position.epoch) return false
  // Of heads only the last is kept, but batches too tell what one may say.
  if (kind === 'head') return !state.lastHead || !equal(state.lastHead, bytes)
  const kept = batchAt(state, at.index)
  return kept !== undefined && !equal(kept, bytes)
}

export function encodeContradiction(a: Said, b: Said): Uint8Array {
  const w = writer(MAX_PROOF_BYTES).u8(PROOF.contradiction)
  for (const { kind, bytes } of [a, b]) w.u8(SAID[kind]).block(bytes)
  return w.done()
}

/** Proves that the home signed a change which its edge did not sign. */
export function encodeForgery(batch: Batch, op: number): Uint8Array {
  return writer(MAX_BATCH_BYTES).u8(PROOF.forgery).u16(op).block(batch.bytes).done()
}

/** Whom a proof is about, without reading the rest of it. */
export function peekProof(bytes: Uint8Array): Pick<Proof, 'home' | 'epoch'> {
  // The kind of proof, then what stands before the block's length.
  const at = 1 + (bytes[0] === PROOF.forgery ? 2 : 1) + 2
  const { home, epoch } = peekBatch(bytes.subarray(at))
  return { home, epoch }
}

/**
 * Reads a proof, and checks that it would prove something; the signatures are not checked here.
 * @throws SignalMeshError `BAD_FRAME`
 */
export function decodeProof(bytes: Uint8Array): Proof {
  if (bytes.length > MAX_PROOF_BYTES) throw badFrame(`a proof of ${bytes.length} bytes`)
  const r = reader(bytes)
  const kind = r.u8()
  if (kind === PROOF.forgery) {
    const op = r.u16()
    const batch = decodeBatch(r.block(MAX_BATCH_BYTES))
    r.end()
    if (batch.ops[op]?.kind !== 'put') throw badFrame('a proof about no record')
    return { home: batch.home, epoch: batch.epoch, said: [batch], op }
  }
  if (kind !== PROOF.contradiction) throw badFrame(`a proof of unknown kind ${kind}`)
  const [first, second] = [readSaid(r), readSaid(r)]
  r.end()
  if (!contradict(first, second)) throw badFrame('a proof of nothing')
  return { home: first.home, epoch: first.epoch, said: [first, second], op: undefined }
}

/** Whether the home signed all of it, and, where that is the charge, the edge did not. */
export function isProved(networkId: Uint8Array, { said, op }: Proof): boolean {
  if (!said.every((one) => isSignedByHome(networkId, one))) return false
  if (op === undefined) return true
  const [batch] = said as readonly [Batch]
  const change = batch.ops[op]
  return change?.kind === 'put' && !isAuthentic(networkId, change.record)
}

/** The hash of the log as far as it goes at that place. */
function logHash(said: Said): Uint8Array {
  return said.kind === 'batch' ? said.hash : said.headHash
}

/** The batch of that index in the home's present epoch, if it is still kept. */
function batchAt({ recent, position }: HomeState, index: number): Uint8Array | undefined {
  return recent[recent.length - 1 - (position.index - index)]
}

function readSaid(r: Reader): Said {
  const kind = r.u8()
  if (kind === SAID.batch) return decodeBatch(r.block(MAX_BATCH_BYTES))
  if (kind === SAID.head) return decodeHead(r.block(MAX_BATCH_BYTES))
  throw badFrame(`a proof with something of kind ${kind}`)
}
