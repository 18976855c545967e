/** Blame: finds where a home's words do not agree with each other or with its edges', and says so with a proof. */

import { type Batch, decodeHead, peekHead } from './batch.ts'
import type { HomeState } from './claims.ts'
import type { Directory } from './directory.ts'
import {
  contradict,
  contradictedBy,
  differsFromKept,
  encodeContradiction,
  encodeForgery,
  type Said,
} from './equivocation.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import type { EdgeRecord } from './records.ts'

/** What is not news must at least be what was said before. */
export function checkAgainstKept(directory: Directory, said: Said): void {
  const state = directory.homes.get(said.home)
  if (!state || !differsFromKept(state, said.kind, said.bytes)) return
  if (contradictedBy(state, said)) throw contradicts(directory, said)
}

/** A head may have said before what stands at this place. */
export function checkAgainstHead(directory: Directory, state: HomeState, said: Said): void {
  if (!state.lastHead || peekHead(state.lastHead).index !== said.index) return
  if (contradict(decodeHead(state.lastHead), said)) throw contradicts(directory, said)
}

/** @throws SignalMeshError `FORGED_RECORD` with the batch as its proof, if a record that is drawn is forged */
export function audit(directory: Directory, batch: Batch): void {
  const op = batch.ops.findIndex((op) => op.kind === 'put' && !directory.audit(op.record))
  const forged = batch.ops[op]
  if (forged?.kind !== 'put') return
  throw isForged(directory, batch.home, forged.record, encodeForgery(batch, op))
}

/** Drops the home; the error says what it brought. */
export function isForged(
  directory: Directory,
  home: NodeId,
  { kind, peer }: EdgeRecord,
  evidence?: Uint8Array,
): SignalMeshError {
  directory.expire(home)
  const message = `Home ${home} brought a ${kind} that edge ${peer} did not sign`
  return new SignalMeshError('FORGED_RECORD', message, evidence && { evidence })
}

/** Drops the home; its own words are the evidence, if they are still kept. Else only this node can know. */
export function contradicts(directory: Directory, said: Said): SignalMeshError {
  const state = directory.homes.get(said.home)
  const other = state && contradictedBy(state, said)
  directory.expire(said.home)
  const message = `Home ${said.home} contradicts its own log at ${said.epoch}/${said.index}`
  const evidence = other && encodeContradiction(other, said)
  return new SignalMeshError('EQUIVOCATION', message, evidence && { evidence })
}
