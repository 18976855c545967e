/** The model: the mesh as the page has been told of it, and how its numbers went. */

import type { MeshEvent, MeshMessage, MeshTotals, NodeView } from '../src/management.ts'
import type { ReportedSignals } from '../src/report.ts'
import { KEPT_EVENTS, KEPT_NODES, KEPT_SAMPLES, NODE_SAMPLES } from './bounds.ts'
import { linksOf, type MeshLink } from './links.ts'

/** What is kept over time. Rates are of a second, sums of what nodes report. */
export interface Sample extends ReportedSignals {
  readonly atMs: number
  readonly nodes: number
  readonly edges: number
  readonly topics: number
  readonly records: number
  readonly behind: number
  /** Of the middle link; undefined while none is measured. */
  readonly rttMs: number | undefined
}

export interface Mesh {
  readonly network: string
  readonly protocolVersion: number
  /** The node that tells all this. */
  readonly self: string
  /** By its clock. */
  readonly atMs: number
  readonly totals: MeshTotals | undefined
  readonly nodes: ReadonlyMap<string, NodeView>
  readonly links: readonly MeshLink[]
  /** The newest last. */
  readonly events: readonly MeshEvent[]
  readonly history: readonly Sample[]
  /** Signals a second of each node, report by report. */
  readonly rates: ReadonlyMap<string, readonly number[]>
}

export const NOTHING: Mesh = {
  network: '',
  protocolVersion: 0,
  self: '',
  atMs: 0,
  totals: undefined,
  nodes: new Map(),
  links: [],
  events: [],
  history: [],
  rates: new Map(),
}

export function apply(mesh: Mesh, message: MeshMessage): Mesh {
  switch (message.type) {
    case 'begin': {
      // Of another node or another life: what was known of the nodes is told anew, with the events.
      const { network, protocolVersion, self } = message
      const history = self === mesh.self ? mesh.history : []
      return { ...mesh, network, protocolVersion, self, history, nodes: new Map(), events: [] }
    }
    case 'nodes':
      return withNodes(mesh, message.nodes)
    case 'gone': {
      const gone = new Set(message.nodes)
      const rest = <Item>(map: ReadonlyMap<string, Item>): Map<string, Item> =>
        new Map([...map].filter(([id]) => !gone.has(id)))
      const nodes = rest(mesh.nodes)
      return { ...mesh, nodes, rates: rest(mesh.rates) }
    }
    case 'events':
      return { ...mesh, events: [...mesh.events, ...message.events].slice(-KEPT_EVENTS) }
    case 'totals': {
      // With the totals, which end whatever is told at one time.
      const links = linksOf(mesh.nodes)
      const next = { ...mesh, links, atMs: message.atMs, totals: message.totals }
      return { ...next, history: [...mesh.history, sampleOf(next)].slice(-KEPT_SAMPLES) }
    }
  }
}

function withNodes(mesh: Mesh, told: readonly NodeView[]): Mesh {
  const nodes = new Map(mesh.nodes)
  const rates = new Map(mesh.rates)
  for (const node of told) {
    if (nodes.size >= KEPT_NODES && !nodes.has(node.id)) continue
    const before = nodes.get(node.id)
    nodes.set(node.id, node)
    const { perSecond, number } = node.report ?? {}
    if (!perSecond || number === before?.report?.number) continue
    const rate = perSecond.delivered + perSecond.forwarded
    rates.set(node.id, [...(rates.get(node.id) ?? []), rate].slice(-NODE_SAMPLES))
  }
  return { ...mesh, nodes, rates }
}

function sampleOf({ atMs, totals, nodes, links }: Mesh): Sample {
  const reports = [...nodes.values()].flatMap(({ report }) => report ?? [])
  const sum = (kind: keyof ReportedSignals): number =>
    reports.reduce((all, { perSecond }) => all + (perSecond?.[kind] ?? 0), 0)
  return {
    atMs,
    nodes: totals?.nodes ?? 0,
    edges: totals?.edges ?? 0,
    topics: totals?.topics ?? 0,
    records: totals?.records ?? 0,
    delivered: sum('delivered'),
    forwarded: sum('forwarded'),
    received: sum('received'),
    refused: sum('refused'),
    failed: sum('failed'),
    behind: reports.reduce((all, { homesBehind }) => all + homesBehind, 0),
    rttMs: middle(links.flatMap(({ rttMs }) => rttMs ?? [])),
  }
}

export function middle(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}
