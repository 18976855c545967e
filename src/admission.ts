/** Admission: who may take part in the mesh, and who is told that there is no room. */

import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { type ErrorCode, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_HOMES,
  REFUSAL_LINES_BURST,
  REFUSAL_LINES_PER_SECOND,
  REFUSED_FOR_MS,
} from './limits.ts'
import type { Log } from './log.ts'
import { createBucket, take } from './rate.ts'
import { createSpace, type Space } from './space.ts'

/** The nodes that this node's operator has named. */
export interface Members {
  /** They have room and places that no other node can take. */
  readonly listed: ReadonlySet<NodeId>
  /** Whether all others are kept out. */
  readonly only: boolean
  /** Whether room is reserved for them; default: if any are listed. A list that changes says so itself. */
  readonly reserves?: boolean
}

export const NO_MEMBERS: Members = { listed: new Set(), only: false }

export interface Admission extends Space {
  isListed(node: NodeId): boolean
  /** Whether a part of all room and places is kept for listed nodes. */
  readonly reserves: boolean
  /** Whether the node may take part, and what is said of it be heard. */
  admits(node: NodeId): boolean
  /** Notes and logs that a link or home was refused; false if that was for a reason of another kind. */
  noteRefusal(what: 'link' | 'home', node: NodeId, error: SignalMeshError): boolean
  /** Whether to ask for a home's log: not when there was no room for it a moment ago. */
  mayPull(home: NodeId): boolean
}

export interface AdmissionOptions {
  readonly self: NodeId
  readonly members: Members
  readonly clock: Clock
  readonly log: Log
  /** Hears of what is logged. */
  onRefused?(node: NodeId, code: ErrorCode): void
}

const REFUSALS: readonly ErrorCode[] = ['MESH_FULL', 'TOO_MANY', 'REFUSED']

export function createAdmission(options: AdmissionOptions): Admission {
  const { self, clock, log } = options
  const { listed, only } = options.members
  const refusedAtMs = new Map<string, number>()
  const lines = createBucket(REFUSAL_LINES_PER_SECOND, REFUSAL_LINES_BURST)
  let unsaid = 0

  const isListed = (node: NodeId): boolean => node === self || listed.has(node)
  const admits = (node: NodeId): boolean => !only || isListed(node)
  const { reserves = listed.size > 0 } = options.members
  const room = createSpace({ clock, isListed, reserves })

  const logLine = (what: string, node: NodeId, { code, message }: SignalMeshError): void => {
    if (take(lines, clock.monotonicMs()) > 0) {
      unsaid += 1
      return
    }
    log.warn(`Refused a ${what}`, { node, code, why: message, ...(unsaid && { unsaid }) })
    options.onRefused?.(node, code)
    unsaid = 0
  }

  return {
    isListed,
    reserves,
    admits,
    checkHome: (directory: Directory, home: NodeId) => {
      if (!admits(home)) throw notListed(home)
      room.checkHome(directory, home)
    },
    checkGrowth: room.checkGrowth,
    recordsFor: room.recordsFor,
    sweep: room.sweep,
    noteRefusal: (what, node, error) => {
      if (!REFUSALS.includes(error.code)) return false
      const key = `${what} ${node}`
      if (!refusedAtMs.has(key)) logLine(what, node, error)
      // Those refused last stay, so that a node that goes on asking has one line.
      refusedAtMs.delete(key)
      refusedAtMs.set(key, clock.monotonicMs())
      if (refusedAtMs.size > MAX_HOMES)
        refusedAtMs.delete(refusedAtMs.keys().next().value as string)
      return true
    },
    mayPull: (home) => {
      if (!admits(home)) return false
      const atMs = refusedAtMs.get(`home ${home}`)
      return atMs === undefined || clock.monotonicMs() - atMs >= REFUSED_FOR_MS
    },
  }
}

export function notListed(node: NodeId): SignalMeshError {
  return new SignalMeshError('REFUSED', `This mesh is of listed nodes only; ${node} is not listed`)
}
