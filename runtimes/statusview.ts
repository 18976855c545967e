/** The mesh as a table: what a node tells of it, and what of that is not as it should be. */

import type { LinkView, MeshView, NodeView } from '../src/management.ts'
import type { Answer } from './nodeurl.ts'
import { shown, table } from './say.ts'

export interface Status {
  readonly text: string
  /** What is not well, in words. */
  readonly troubles: readonly string[]
}

const SHORT_CHARS = 12
const HEADS = [
  ...['NODE', 'NAME', 'STATE', 'EDGES', 'LINKS', 'RTT', 'BEHIND', 'SIGNALS/S', 'LOAD', 'UP'],
  ...['RUNTIME', 'VERSION', 'URL'],
]

/** Draws what `/mesh.json` and `/ready` say. What is missing or of another kind shows as a dash. */
export function meshStatus(mesh: Answer['json'], ready: Answer): Status {
  const { network, totals, nodes } = mesh as Partial<MeshView>
  const list = listOf(nodes).filter((node): node is NodeView => typeof node?.id === 'string')
  const self = list.find(({ isSelf }) => isSelf === true)
  const links = new Map(listOf(self?.report?.links).map((link: LinkView) => [link?.node, link]))
  const rows = list.map((node) => rowOf(node, links.get(node.id)))
  const silent = list.filter(({ isSuspected }) => isSuspected === true)
  const counts = ['nodes', 'edges', 'topics', 'records'] as const
  const sums = counts.map((key) => `${number(totals?.[key])} ${key}`).join(', ')
  return {
    text: `Network ${text(network)}: ${sums}, ${number(totals?.signalsPerSecond)} signals/s\n\n${table([HEADS, ...rows])}`,
    troubles: [
      ...reasonsOf(ready),
      ...silent.map(({ id }) => `${short(id)} has not been heard of for two heartbeats`),
    ],
  }
}

function rowOf({ id, report, ...node }: NodeView, link: LinkView | undefined): string[] {
  return [
    short(id),
    report?.name ? text(report.name) : '-',
    stateOf({ id, ...node, ...(report && { report }) }),
    number(node.edges),
    report ? String(listOf(report.links).length) : '-',
    withUnit(link?.rttMs, 'ms'),
    number(node.behind),
    number(report?.perSecond && report.perSecond.delivered + report.perSecond.forwarded),
    typeof report?.load === 'number' ? `${Math.round(report.load * 100)} %` : '-',
    uptime(report?.uptimeSeconds),
    text(report?.runtime ?? node.runtime ?? '-'),
    text(report?.version ?? '-'),
    text(listOf(node.urls)[0] ?? '-'),
  ]
}

function stateOf({ isSelf, isLinked, isSuspected, report }: NodeView): string {
  if (report?.draining) return 'stopping'
  if (isSuspected) return 'silent'
  return isSelf ? 'this one' : isLinked ? 'linked' : 'known'
}

/** Draws what `/health` says, of a node that tells no more. */
export function healthStatus({ json }: Answer): Status {
  const { network, nodeId, status, runtime, neighbours, edges, uptimeSeconds } = json
  const mesh = (json.mesh ?? {}) as { homes?: unknown; edges?: unknown; runtimes?: object }
  const others = Object.entries(mesh.runtimes ?? {}).filter(([id]) => id !== nodeId)
  const heads = ['NODE', 'STATE', 'EDGES', 'LINKS', 'UP', 'RUNTIME']
  const own = [number(edges), number(neighbours), uptime(uptimeSeconds), text(runtime)]
  const rows = [
    [short(text(nodeId)), 'this one', ...own],
    ...others.map(([id, name]) => [short(id), 'known', '-', '-', '-', text(name)]),
  ]
  return {
    text: `Network ${text(network)}: ${number(mesh.homes)} nodes, ${number(mesh.edges)} edges (it has no /mesh.json)\n\n${table([heads, ...rows])}`,
    troubles: status === 'ok' ? [] : [`The node says that it is ${text(status)}`],
  }
}

const REASONS: Readonly<Record<string, string>> = {
  STOPPING: 'The node is stopping',
  NOT_LINKED:
    'The node has no link to any other, though it was told of ways to them; signal-mesh doctor says why',
  CLOCK_SKEW: 'The clock of the node is far from those of its neighbours; set it by NTP',
}

function reasonsOf({ json: { ready, reasons } }: Answer): string[] {
  if (ready !== false) return []
  const said = listOf(reasons as string[] | undefined).map(
    (reason) => REASONS[String(reason)] ?? `Not ready: ${text(reason)}`,
  )
  return said.length > 0 ? said : ['The node says that it is not ready']
}

/** What is no list is an empty one: types say what should be there. */
function listOf<Item>(value: readonly Item[] | undefined): readonly Item[] {
  return Array.isArray(value) ? value : []
}

function short(id: string): string {
  return shown(id.slice(0, SHORT_CHARS))
}

function text(value: unknown): string {
  return typeof value === 'string' ? shown(value) : '-'
}

function number(value: unknown): string {
  return typeof value === 'number' ? String(Math.round(value * 10) / 10) : '-'
}

function withUnit(value: unknown, unit: string): string {
  return typeof value === 'number' ? `${Math.round(value)} ${unit}` : '-'
}

function uptime(seconds: unknown): string {
  if (typeof seconds !== 'number') return '-'
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}
