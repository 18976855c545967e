/** Suppliers: neighbours that serve what no home signed are blamed, and after some of that not asked for a while. */

import type { Clock } from './clock.ts'
import type { ErrorCode, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_REMEMBERED, MAX_SPOILED_PULLS, SPOILED_PAUSE_MS } from './limits.ts'
import type { Log } from './log.ts'

export interface Suppliers {
  /** Whether the neighbour may be asked. */
  readonly isTrusted: (neighbour: NodeId) => boolean
  /** Counts a pull that failed, if that is the neighbour's fault. */
  blame(neighbour: NodeId, error: SignalMeshError): void
}

interface Conduct {
  spoiled: number
  /** By the monotonic clock; the count begins anew then. */
  untilMs: number
}

/** What a supplier alone can have brought about: bytes that are none, or that the home did not sign. */
const FAULTS: readonly ErrorCode[] = ['BAD_FRAME', 'BAD_SIGNATURE']

export function createSuppliers(clock: Clock, log: Log): Suppliers {
  const records = new Map<NodeId, Conduct>()

  const recordOf = (neighbour: NodeId): Conduct => {
    const known = records.get(neighbour)
    if (known && clock.monotonicMs() < known.untilMs) return known
    const fresh = { spoiled: 0, untilMs: clock.monotonicMs() + SPOILED_PAUSE_MS }
    records.delete(neighbour)
    records.set(neighbour, fresh)
    if (records.size > MAX_REMEMBERED) records.delete(records.keys().next().value as NodeId)
    return fresh
  }

  return {
    isTrusted: (neighbour) => {
      const known = records.get(neighbour)
      if (!known || clock.monotonicMs() >= known.untilMs) return true
      return known.spoiled < MAX_SPOILED_PULLS
    },
    blame: (neighbour, { code, message }) => {
      if (!FAULTS.includes(code)) return
      const record = recordOf(neighbour)
      record.spoiled += 1
      log.warn('A neighbour served what no home signed', { node: neighbour, code, why: message })
      if (record.spoiled < MAX_SPOILED_PULLS) return
      record.untilMs = clock.monotonicMs() + SPOILED_PAUSE_MS
    },
  }
}
