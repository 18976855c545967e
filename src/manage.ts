/** Managing: what a node reports of itself, and what it answers to who asks about the mesh. */

import { createAdmin } from './admin.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import type { EdgeAtHome } from './edges.ts'
import type { ErrorCode } from './errors.ts'
import { createHappenings } from './happenings.ts'
import { healthResponse, text } from './http.ts'
import type { NodeId } from './identity.ts'
import { lagOf } from './lag.ts'
import {
  MAX_BYTES_PER_HOME,
  MAX_CARRIES,
  MAX_DIRECTORY_BYTES,
  MAX_EDGES,
  MAX_EDGES_SHOWN,
  MAX_HOMES,
  MAX_NEIGHBOURS,
  MAX_RECORDS,
  MAX_RECORDS_PER_HOME,
  MAX_REPORTED_BEHIND,
  MAX_SKEW_MS,
  MAX_STANDBYS,
  MAX_TOPICS,
  MAX_WATCHERS,
} from './limits.ts'
import type { Link } from './link.ts'
import { drawMesh, type MeshView } from './management.ts'
import type { Neighbours } from './neighbours.ts'
import { type ReportedSignals, type ReportFields, SHORT_DIGITS } from './report.ts'
import type { Reports } from './reports.ts'
import { PROTOCOL_VERSION } from './topic.ts'
import { againAfter, createWatching } from './watching.ts'

/** What only the holder of the operator's token is shown. */
export interface AdminView {
  readonly self: NodeId
  readonly atMs: number
  /** Up to 500 of them. */
  readonly edges: readonly EdgeAtHome[]
  readonly edgeCount: number
  /** How much of each bound is used. */
  readonly limits: Readonly<Record<string, { readonly used: number; readonly limit: number }>>
  /** Signals that went no further, by the reason. */
  readonly refusals: Readonly<Record<string, number>>
  readonly watchers: number
}

/** Whether a node is of use, and if not, why. */
export interface Ready {
  readonly ready: boolean
  readonly reasons: readonly ('STOPPING' | 'NOT_LINKED' | 'CLOCK_SKEW')[]
}

/** The node's own part of a report: the rest follows from its directory and links. */
export type OwnFacts = Pick<
  ReportFields,
  | 'draining'
  | 'carries'
  | 'lendsDht'
  | 'private'
  | 'inside'
  | 'name'
  | 'version'
  | 'runtime'
  | 'turnUrls'
  | 'uptimeSeconds'
  | 'load'
  | 'edges'
  | 'carriedBytes'
> & { readonly signals: ReportedSignals }

export interface ManageOptions {
  readonly self: NodeId
  readonly network: string
  readonly clock: Clock
  readonly directory: Directory
  readonly reports: Pick<Reports, 'of'>
  readonly neighbours: Pick<Neighbours, 'ids' | 'has' | 'linkOf'>
  readonly adminToken: string | undefined
  /** Whether the operator has named a way to other nodes. */
  readonly expectsOthers: boolean
  own(): OwnFacts
  edges(limit: number): readonly EdgeAtHome[]
  stunAnswers?(node: NodeId): boolean | undefined
  /** What is used of bounds that only the node knows of. */
  used(): { readonly standbys: number; readonly carries: number }
  refusals(): ReadonlyMap<ErrorCode, number>
}

export interface Manage {
  /** What to report now. */
  report(): Omit<ReportFields, 'epoch' | 'number'>
  view(): MeshView
  ready(): Ready
  /** Looks for what has happened, so that no event is missed while nobody watches. */
  observe(): void
  refused(node: NodeId, code: ErrorCode): void
  /** How many watch the mesh here. */
  readonly watchers: number
  /** Answers a request, if it is about the mesh. */
  answer(request: Request, remoteAddress: string): Response | undefined
  watch(remoteAddress: string): Response | ((link: Link) => void)
  close(): void
}

export function createManage(options: ManageOptions): Manage {
  const { self, network, clock, directory, reports, neighbours } = options
  const happenings = createHappenings(self, directory)
  const admit = createAdmin(options.adminToken, clock)
  let drawn: { readonly againAtMs: number; readonly body: string } | undefined

  /** The middle one of those that neighbours said over their own links: half of them would have to lie. */
  const clockOffset = (): number | undefined => {
    const offsets = neighbours.ids.flatMap((id) => {
      const kept = reports.of(id)
      const legMs = (neighbours.linkOf(id)?.rttMs ?? 0) / 2
      return kept?.isDirect ? [kept.atMs - kept.report.nowMs - legMs] : []
    })
    return offsets.sort((a, b) => a - b)[offsets.length >> 1]
  }

  const report = (): Omit<ReportFields, 'epoch' | 'number'> => {
    const lags = [...directory.homes.values()]
      .map((home) => ({ node: home.id.slice(0, SHORT_DIGITS), batches: lagOf(home) }))
      .filter(({ batches }) => batches > 0)
      .sort((a, b) => b.batches - a.batches)
    return {
      ...options.own(),
      nowMs: clock.nowMs(),
      protocolVersions: [PROTOCOL_VERSION],
      clockOffsetMs: clockOffset(),
      records: directory.homes.get(self)?.digest.size ?? 0,
      sees: {
        homes: directory.homes.size,
        edges: directory.size,
        topics: directory.topics,
        records: directory.records,
      },
      links: neighbours.ids.slice(0, MAX_NEIGHBOURS).map((id) => {
        const link = neighbours.linkOf(id)
        return {
          node: id.slice(0, SHORT_DIGITS),
          rttMs: link?.rttMs,
          initiator: link?.initiator ?? false,
          relayed: link?.remoteAddress === undefined,
        }
      }),
      homesBehind: lags.length,
      behind: lags.slice(0, MAX_REPORTED_BEHIND),
    }
  }

  const view = (): MeshView => {
    const atMs = clock.nowMs()
    happenings.observe(atMs)
    const isLinked = neighbours.has
    const { stunAnswers } = options
    const { totals, nodes } = drawMesh(
      { self, directory, reports, isLinked, ...(stunAnswers && { stunAnswers }) },
      atMs,
    )
    const { events } = happenings
    return { network, protocolVersion: PROTOCOL_VERSION, self, atMs, totals, nodes, events }
  }

  const ready = (): Ready => {
    const offsetMs = clockOffset() ?? 0
    const isAlone = neighbours.ids.length === 0 && options.expectsOthers
    const reasons = [
      ...(options.own().draining ? (['STOPPING'] as const) : []),
      ...(isAlone ? (['NOT_LINKED'] as const) : []),
      ...(Math.abs(offsetMs) > MAX_SKEW_MS ? (['CLOCK_SKEW'] as const) : []),
    ]
    return { ready: reasons.length === 0, reasons }
  }

  const admin = (): AdminView => {
    const { edges } = options.own()
    const { standbys, carries } = options.used()
    const home = directory.homes.get(self)
    const of = (used: number, limit: number) => ({ used, limit })
    return {
      self,
      atMs: clock.nowMs(),
      edges: options.edges(MAX_EDGES_SHOWN),
      edgeCount: edges,
      limits: {
        edges: of(edges, MAX_EDGES),
        standbys: of(standbys, MAX_STANDBYS),
        neighbours: of(neighbours.ids.length, MAX_NEIGHBOURS),
        homes: of(directory.homes.size, MAX_HOMES),
        recordsOfHome: of(home?.digest.size ?? 0, MAX_RECORDS_PER_HOME),
        bytesOfHome: of(home?.bytes ?? 0, MAX_BYTES_PER_HOME),
        records: of(directory.records, MAX_RECORDS),
        bytes: of(directory.bytes, MAX_DIRECTORY_BYTES),
        topics: of(directory.topics, MAX_TOPICS),
        carriedPairs: of(carries, MAX_CARRIES),
        watchers: of(watching.count, MAX_WATCHERS),
      },
      refusals: Object.fromEntries(options.refusals()),
      watchers: watching.count,
    }
  }

  const answerAdmin = (request: Request, remoteAddress: string): Response => {
    const verdict = admit(request, remoteAddress)
    if (verdict === 'yes') {
      // For pages of this node alone, other than what is public.
      return new Response(`${JSON.stringify(admin())}\n`, {
        headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
      })
    }
    if (verdict === 'no') {
      return text(401, 'This takes the operator’s token\n', { 'www-authenticate': 'Bearer' })
    }
    const seconds = String(Math.ceil(verdict.retryAfterMs / 1000))
    return text(429, 'Too many wrong tokens\n', { 'retry-after': seconds })
  }

  /** Drawn once in a second, however many ask. */
  const meshBody = (): string => {
    const startMs = clock.monotonicMs()
    if (!drawn || startMs >= drawn.againAtMs) {
      const body = `${JSON.stringify(view())}\n`
      drawn = { body, againAtMs: againAfter(startMs, clock.monotonicMs()) }
    }
    return drawn.body
  }

  const watching = createWatching({ clock, view, eventCount: () => happenings.count })

  return {
    report,
    view,
    ready,
    observe: () => happenings.observe(clock.nowMs()),
    refused: (node, code) => happenings.refused(node, code, clock.nowMs()),
    get watchers() {
      return watching.count
    },
    answer: (request, remoteAddress) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
      const { pathname } = new URL(request.url)
      if (pathname === '/mesh.json') return healthResponse(meshBody())
      if (pathname === '/ready') return healthResponse(ready(), ready().ready ? 200 : 503)
      return pathname === '/admin.json' ? answerAdmin(request, remoteAddress) : undefined
    },
    watch: (remoteAddress) => {
      const taken = watching.admit(remoteAddress)
      return taken === 'TOO_MANY' ? text(429, 'Too many watch the mesh here\n') : taken
    },
    close: watching.close,
  }
}
