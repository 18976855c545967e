/** Management: the whole mesh as one node sees it, as plain data for pages, programs and `/mesh.json`. */

import type { HomeState } from './claims.ts'
import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { lagOf } from './lag.ts'
import { SUSPECT_AFTER_MS } from './limits.ts'
import type { Report, ReportedSight, ReportedSignals } from './report.ts'
import { SHORT_DIGITS } from './report.ts'
import type { KeptReport, Reports } from './reports.ts'

/** What `/mesh.json` answers. Times are of the clock of the node that answers. */
export interface MeshView {
  readonly network: string
  readonly protocolVersion: number
  /** The node that answers. */
  readonly self: NodeId
  readonly atMs: number
  readonly totals: MeshTotals
  /** By NodeId. */
  readonly nodes: readonly NodeView[]
  /** The newest last. */
  readonly events: readonly MeshEvent[]
}

export interface MeshTotals {
  readonly nodes: number
  readonly edges: number
  readonly topics: number
  readonly records: number
  /** Sums of what nodes report; `reporting` is how many do. */
  readonly reporting: number
  readonly signals: ReportedSignals
  readonly signalsPerSecond: number
  readonly carriedBytes: number
  /** Homes of which this node lacks something. */
  readonly homesBehind: number
}

export interface NodeView {
  readonly id: NodeId
  readonly isSelf: boolean
  /** Whether it is a neighbour of the node that answers. */
  readonly isLinked: boolean
  readonly heardAtMs: number
  /** Whether it has missed two heartbeats. */
  readonly isSuspected: boolean
  /** Where its log stands, as the node that answers holds it. */
  readonly epoch: number
  readonly index: number
  /** Batches of its log that the node that answers lacks. */
  readonly behind: number
  /** Edges at home there, as its records say. */
  readonly edges: number
  readonly urls: readonly string[]
  readonly stunAt?: string
  /** Whether that answers the node that answers here; missing where it has not tried it. */
  readonly stunAnswers?: boolean
  /** The name of its runtime, as its head says. */
  readonly runtime?: string
  /** Nodes of which its head says that they lead to it. */
  readonly vias: readonly NodeId[]
  /** What it says of itself; each of it is its own claim. Missing for nodes that do not report. */
  readonly report?: ReportView
}

export interface ReportView {
  readonly number: number
  readonly receivedAtMs: number
  readonly name: string
  readonly version: string
  /** With its version. */
  readonly runtime: string
  readonly protocolVersions: readonly number[]
  readonly draining: boolean
  readonly carries: boolean
  readonly lendsDht: boolean
  readonly private: boolean
  readonly inside: boolean
  readonly turnUrls: readonly string[]
  readonly uptimeSeconds: number
  /** Share of one processor; null where it is not known. */
  readonly load: number | null
  /** How far it says that its clock is ahead of its neighbours'. */
  readonly clockOffsetMs: number | null
  /** How far its clock seemed ahead of the answering node's when the report came; its way is in that. */
  readonly clockSeenMs: number
  readonly edges: number
  readonly records: number
  readonly sees: ReportedSight
  readonly signals: ReportedSignals
  /** By its last two reports; null until there are two. */
  readonly perSecond: ReportedSignals | null
  readonly carriedBytes: number
  readonly links: readonly LinkView[]
  readonly homesBehind: number
  readonly behind: readonly { readonly node: string; readonly batches: number }[]
}

/** `node` is a NodeId, or its first 16 digits where the answering node knows of none that begins so. */
export interface LinkView {
  readonly node: string
  readonly rttMs: number | null
  readonly initiator: boolean
  readonly relayed: boolean
}

export type MeshEventKind = 'joined' | 'left' | 'suspected' | 'recovered' | 'refused'

export interface MeshEvent {
  readonly atMs: number
  readonly kind: MeshEventKind
  readonly node: NodeId
  /** Of what was refused. */
  readonly code?: string
}

/**
 * What `/mesh/events` says: each binary message of the WebSocket is one of these in JSON, UTF-8. `begin` is the
 * first; `nodes` are whole and replace what was there by their ids; then, each second in which something is new, the rest.
 */
export type MeshMessage =
  | {
      readonly type: 'begin'
      readonly network: string
      readonly protocolVersion: number
      readonly self: NodeId
      /** How many nodes follow. */
      readonly nodes: number
    }
  | { readonly type: 'nodes'; readonly nodes: readonly NodeView[] }
  | { readonly type: 'gone'; readonly nodes: readonly NodeId[] }
  | { readonly type: 'events'; readonly events: readonly MeshEvent[] }
  | { readonly type: 'totals'; readonly atMs: number; readonly totals: MeshTotals }

export interface ViewOptions {
  readonly self: NodeId
  readonly directory: Directory
  readonly reports: Pick<Reports, 'of'>
  isLinked(node: NodeId): boolean
  stunAnswers?(node: NodeId): boolean | undefined
}

/** Draws nodes and totals from what is known now. */
export function drawMesh(options: ViewOptions, nowMs: number): Pick<MeshView, 'totals' | 'nodes'> {
  const { directory } = options
  const homes = [...directory.homes.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  const byShort = new Map(homes.map(({ id }) => [id.slice(0, SHORT_DIGITS), id]))
  const nodes = homes.map((home) => nodeView(options, home, byShort, nowMs))
  return { totals: totalsOf(directory, nodes), nodes }
}

function nodeView(
  { self, directory, reports, isLinked, stunAnswers }: ViewOptions,
  home: HomeState,
  byShort: ReadonlyMap<string, NodeId>,
  nowMs: number,
): NodeView {
  const { id, contact, position } = home
  const heardMsAgo = directory.monotonicMs(nowMs) - home.heardAtMs
  const isSelf = id === self
  const kept = reports.of(id)
  const answers = stunAnswers?.(id)
  return {
    id,
    isSelf,
    isLinked: isLinked(id),
    heardAtMs: Math.round(nowMs - heardMsAgo),
    isSuspected: !isSelf && heardMsAgo > SUSPECT_AFTER_MS,
    epoch: position.epoch,
    index: position.index,
    behind: lagOf(home),
    edges: home.claims.size,
    urls: contact.urls,
    ...(contact.stunAt !== undefined && { stunAt: contact.stunAt }),
    ...(answers !== undefined && { stunAnswers: answers }),
    ...(contact.runtime !== undefined && { runtime: contact.runtime }),
    vias: contact.vias,
    ...(kept && { report: reportView(kept, byShort) }),
  }
}

function reportView(
  { report, atMs, before }: KeptReport,
  byShort: ReadonlyMap<string, NodeId>,
): ReportView {
  const { load, clockOffsetMs } = report
  const named = (short: string): string => byShort.get(short) ?? short
  return {
    number: report.number,
    receivedAtMs: atMs,
    name: report.name,
    version: report.version,
    runtime: report.runtime,
    protocolVersions: report.protocolVersions,
    draining: report.draining,
    carries: report.carries,
    lendsDht: report.lendsDht,
    private: report.private,
    inside: report.inside,
    turnUrls: report.turnUrls,
    uptimeSeconds: report.uptimeSeconds,
    load: load ?? null,
    clockOffsetMs: clockOffsetMs ?? null,
    clockSeenMs: report.nowMs - atMs,
    edges: report.edges,
    records: report.records,
    sees: report.sees,
    signals: report.signals,
    perSecond: before ? ratesOf(report, before) : null,
    carriedBytes: report.carriedBytes,
    links: report.links.map(({ node, rttMs, initiator, relayed }) => ({
      node: named(node),
      rttMs: rttMs ?? null,
      initiator,
      relayed,
    })),
    homesBehind: report.homesBehind,
    behind: report.behind.map(({ node, batches }) => ({ node: named(node), batches })),
  }
}

const SIGNALS = ['delivered', 'forwarded', 'received', 'refused', 'failed'] as const

function signalsOf(of: (kind: (typeof SIGNALS)[number]) => number): ReportedSignals {
  return Object.fromEntries(SIGNALS.map((kind) => [kind, of(kind)])) as unknown as ReportedSignals
}

/** By the clock of the node that reports, so that how long reports were under way does not matter. */
function ratesOf(report: Report, before: Report): ReportedSignals | null {
  const seconds = (report.nowMs - before.nowMs) / 1000
  if (seconds <= 0) return null
  return signalsOf((kind) => {
    const more = report.signals[kind] - before.signals[kind]
    return Math.max(0, Math.round((100 * more) / seconds) / 100)
  })
}

function totalsOf(directory: Directory, nodes: readonly NodeView[]): MeshTotals {
  const reports = nodes.flatMap(({ report }) => report ?? [])
  const sum = (of: (report: ReportView) => number): number =>
    reports.reduce((all, report) => all + of(report), 0)
  return {
    nodes: nodes.length,
    edges: directory.size,
    topics: directory.topics,
    records: directory.records,
    reporting: reports.length,
    signals: signalsOf((kind) => sum(({ signals }) => signals[kind])),
    signalsPerSecond: sum(({ perSecond }) =>
      perSecond ? perSecond.delivered + perSecond.forwarded : 0,
    ),
    carriedBytes: sum(({ carriedBytes }) => carriedBytes),
    homesBehind: nodes.filter(({ behind }) => behind > 0).length,
  }
}
