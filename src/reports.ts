/** Reports: tells the mesh of this node, and keeps the newest that each other home has said of itself. */

import { concat } from './bytes.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import type { Identity, NodeId } from './identity.ts'
import {
  GOSSIP_HEADS_BURST,
  GOSSIP_HEADS_PER_SECOND,
  HOME_HEADS_BURST,
  HOME_HEADS_PER_SECOND,
  MAX_HOMES,
  MAX_REMEMBERED,
} from './limits.ts'
import { FRAME } from './messages.ts'
import { bucketsByKey, take } from './rate.ts'
import {
  decodeReport,
  isNewer,
  isSignedByNode,
  peekReport,
  type Report,
  type ReportFields,
  type ReportPlace,
  signReport,
} from './report.ts'

/** A report, and when it came by this node's clock. */
export interface KeptReport {
  readonly report: Report
  readonly atMs: number
  /** The one before it, from which rates follow. */
  readonly before: Report | undefined
  /** Whether it came over the link of the node that it is of. */
  readonly isDirect: boolean
}

export interface Reports {
  /** Signs and multicasts this node's own. */
  publish(fields: Omit<ReportFields, 'epoch' | 'number'>): void
  /**
   * Takes one from a neighbour, keeps it if it is news of a home that is known, and passes it on.
   * @throws SignalMeshError `BAD_FRAME` or `BAD_SIGNATURE` for what no node said
   */
  receive(frame: Uint8Array, from: NodeId): void
  /** What a home says of itself in its present life. */
  of(node: NodeId): KeptReport | undefined
  /** Forgets those of homes that have left. */
  sweep(): void
}

export interface ReportsOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly clock: Clock
  readonly directory: Directory
  /** Whether to read so many bytes of a neighbour. */
  takesBytes(neighbour: NodeId, bytes: number): boolean
  /** The epoch of this node's own log. */
  epoch(): number
  /** Neighbours to whom what is multicast goes, those that take reports. */
  eager(): readonly NodeId[]
  send(neighbour: NodeId, frame: Uint8Array): void
}

/**
 * Over the links of the tree and without repair: what is lost is out of date in ten seconds anyway.
 * Rates are those of heads, of which there are as many.
 */
export function createReports(options: ReportsOptions): Reports {
  const { identity, networkId, clock, directory } = options
  const kept = new Map<NodeId, KeptReport>()
  const ofNeighbour = bucketsByKey(GOSSIP_HEADS_PER_SECOND, GOSSIP_HEADS_BURST, MAX_REMEMBERED)
  const ofNode = bucketsByKey(HOME_HEADS_PER_SECOND, HOME_HEADS_BURST, MAX_HOMES)
  let number = 0

  /** Only of homes in the directory, which is bounded, and of no life before the one known. */
  const isNews = (place: ReportPlace): boolean => {
    const home = directory.homes.get(place.node)
    if (!home || place.node === identity.id || place.epoch < home.position.epoch) return false
    const known = kept.get(place.node)
    return !known || isNewer(place, known.report)
  }

  const pass = (frame: Uint8Array, from?: NodeId): void => {
    for (const neighbour of options.eager()) if (neighbour !== from) options.send(neighbour, frame)
  }

  const keep = (report: Report, isDirect: boolean): void => {
    const known = kept.get(report.node)?.report
    const before = known?.epoch === report.epoch ? known : undefined
    kept.set(report.node, { report, atMs: clock.nowMs(), before, isDirect })
  }

  const of = (node: NodeId): KeptReport | undefined => {
    const home = directory.homes.get(node)
    const known = kept.get(node)
    return home && known && known.report.epoch >= home.position.epoch ? known : undefined
  }

  return {
    publish: (fields) => {
      number += 1
      const own = signReport(networkId, identity.keys, {
        ...fields,
        epoch: options.epoch(),
        number,
      })
      keep(own, true)
      pass(concat(Uint8Array.of(FRAME.report), own.bytes))
    },
    receive: (frame, from) => {
      if (!options.takesBytes(from, frame.length)) return
      const bytes = frame.subarray(1)
      if (!isNews(peekReport(bytes))) return
      // Before the signature is checked, which costs the most.
      if (take(ofNeighbour(from), clock.monotonicMs()) > 0) return
      // A copy, for a view would keep the whole frame alive that it came in.
      const report = decodeReport(bytes.slice())
      if (!isSignedByNode(networkId, report)) {
        throw new SignalMeshError('BAD_SIGNATURE', `Node ${report.node} did not sign this report`)
      }
      // Only what it did sign: or others could leave it no room by what they make up.
      if (take(ofNode(report.node), clock.monotonicMs()) > 0) return
      keep(report, report.node === from)
      pass(frame, from)
    },
    of,
    sweep: () => {
      for (const node of kept.keys()) if (!directory.homes.has(node)) kept.delete(node)
    },
  }
}
