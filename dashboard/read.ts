/** Reading: what a node or a recording says, cut to what the page will hold; all of it is a stranger's claim. */

import type { MeshEvent, MeshMessage, MeshTotals, NodeView, ReportView } from '../src/management.ts'
import type { ReportedSignals } from '../src/report.ts'
import { KEPT_EVENTS, KEPT_NODES, LISTED, TEXT_CHARS, URL_CHARS } from './bounds.ts'

type Json = Readonly<Record<string, unknown>>

const SIGNALS = ['delivered', 'forwarded', 'received', 'refused', 'failed'] as const
const KINDS = ['joined', 'left', 'suspected', 'recovered', 'refused'] as const

/** What is not understood is left out: a page of this version may meet a node of a later one. */
export function readMessage(value: unknown): MeshMessage | undefined {
  const json = object(value)
  if (json.type === 'nodes') return { type: 'nodes', nodes: readNodes(json.nodes) }
  if (json.type === 'gone')
    return { type: 'gone', nodes: list(json.nodes, KEPT_NODES).filter(isId) }
  if (json.type === 'events') return { type: 'events', events: readEvents(json.events) }
  if (json.type === 'totals') {
    return { type: 'totals', atMs: count(json.atMs), totals: readTotals(json.totals) }
  }
  if (json.type !== 'begin') return undefined
  return {
    type: 'begin',
    network: text(json.network),
    protocolVersion: count(json.protocolVersion),
    self: isId(json.self) ? json.self : '',
    nodes: count(json.nodes),
  }
}

/** What `/mesh.json` answers, as the messages that would have said the same. */
export function readView(value: unknown): MeshMessage[] {
  const json = object(value)
  const messages = [
    { ...json, type: 'begin', nodes: list(json.nodes, KEPT_NODES).length },
    { type: 'nodes', nodes: json.nodes },
    { type: 'events', events: json.events },
    { type: 'totals', atMs: json.atMs, totals: json.totals },
  ]
  return messages.flatMap((message) => readMessage(message) ?? [])
}

function readNodes(value: unknown): NodeView[] {
  return list(value, KEPT_NODES).flatMap((item) => {
    const json = object(item)
    if (!isId(json.id)) return []
    const report = readReport(json.report)
    const node: NodeView = {
      id: json.id,
      isSelf: json.isSelf === true,
      isLinked: json.isLinked === true,
      heardAtMs: count(json.heardAtMs),
      isSuspected: json.isSuspected === true,
      epoch: count(json.epoch),
      index: count(json.index),
      behind: count(json.behind),
      edges: count(json.edges),
      urls: texts(json.urls, URL_CHARS),
      ...(typeof json.stunAt === 'string' && { stunAt: text(json.stunAt, URL_CHARS) }),
      ...(typeof json.runtime === 'string' && { runtime: text(json.runtime) }),
      vias: list(json.vias, LISTED).filter(isId),
      ...(report && { report }),
    }
    return [node]
  })
}

function readReport(value: unknown): ReportView | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const json = object(value)
  const sees = object(json.sees)
  return {
    number: count(json.number),
    receivedAtMs: count(json.receivedAtMs),
    name: text(json.name),
    version: text(json.version),
    runtime: text(json.runtime),
    protocolVersions: list(json.protocolVersions, LISTED).map(count),
    draining: json.draining === true,
    carries: json.carries === true,
    lendsDht: json.lendsDht === true,
    private: json.private === true,
    inside: json.inside === true,
    turnUrls: texts(json.turnUrls, URL_CHARS),
    uptimeSeconds: count(json.uptimeSeconds),
    load: maybe(json.load),
    clockOffsetMs: maybe(json.clockOffsetMs),
    clockSeenMs: maybe(json.clockSeenMs) ?? 0,
    edges: count(json.edges),
    records: count(json.records),
    sees: {
      homes: count(sees.homes),
      edges: count(sees.edges),
      topics: count(sees.topics),
      records: count(sees.records),
    },
    signals: readSignals(json.signals),
    perSecond: json.perSecond ? readSignals(json.perSecond) : null,
    carriedBytes: count(json.carriedBytes),
    links: list(json.links, LISTED)
      .map(object)
      .flatMap(({ node, rttMs, initiator, relayed }) =>
        isId(node)
          ? { node, rttMs: maybe(rttMs), initiator: initiator === true, relayed: relayed === true }
          : [],
      ),
    homesBehind: count(json.homesBehind),
    behind: list(json.behind, LISTED)
      .map(object)
      .flatMap(({ node, batches }) => (isId(node) ? { node, batches: count(batches) } : [])),
  }
}

function readTotals(value: unknown): MeshTotals {
  const json = object(value)
  return {
    nodes: count(json.nodes),
    edges: count(json.edges),
    topics: count(json.topics),
    records: count(json.records),
    reporting: count(json.reporting),
    signals: readSignals(json.signals),
    signalsPerSecond: count(json.signalsPerSecond),
    carriedBytes: count(json.carriedBytes),
    homesBehind: count(json.homesBehind),
  }
}

function readEvents(value: unknown): MeshEvent[] {
  return list(value, KEPT_EVENTS).flatMap((item) => {
    const { atMs, kind, node, code } = object(item)
    const known = KINDS.find((one) => one === kind)
    if (!known || !isId(node)) return []
    const why = typeof code === 'string' ? { code: text(code) } : {}
    return [{ atMs: count(atMs), kind: known, node, ...why }]
  })
}

function readSignals(value: unknown): ReportedSignals {
  const json = object(value)
  return Object.fromEntries(
    SIGNALS.map((kind) => [kind, count(json[kind])]),
  ) as unknown as ReportedSignals
}

/** Nothing in it moves a cursor, turns letters round or hides what is beside it. */
function text(value: unknown, most: number = TEXT_CHARS): string {
  const letters = [...String(typeof value === 'string' ? value.slice(0, 4 * most) : '')]
  const shown = letters
    .slice(0, most)
    .join('')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�')
  return letters.length > most ? `${shown}…` : shown
}

function texts(value: unknown, most: number): string[] {
  return list(value, LISTED).map((item) => text(item, most))
}

function list(value: unknown, most: number): unknown[] {
  return Array.isArray(value) ? value.slice(0, most) : []
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{16,64}$/.test(value)
}

function maybe(value: unknown): number | null {
  return typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : null
}

function count(value: unknown): number {
  return Math.max(0, maybe(value) ?? 0)
}
