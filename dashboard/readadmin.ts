/** Reading the operator's view: cut to what the page will hold. */

import { LISTED, SHOWN_ROWS, TEXT_CHARS } from './bounds.ts'

export interface AdminShown {
  readonly edges: readonly {
    readonly peer: string
    readonly topics: number
    readonly watches: number
    readonly waitingBytes: number
  }[]
  readonly edgeCount: number
  readonly limits: readonly (readonly [string, { readonly used: number; readonly limit: number }])[]
  readonly refusals: readonly (readonly [string, number])[]
}

export function readAdmin(value: unknown): AdminShown {
  const { edges, edgeCount, limits, refusals } = object(value)
  return {
    edges: (Array.isArray(edges) ? edges.slice(0, SHOWN_ROWS) : []).map((edge) => {
      const { peer, topics, watches, waitingBytes } = object(edge)
      return {
        peer: cut(String(peer)),
        topics: count(topics),
        watches: count(watches),
        waitingBytes: count(waitingBytes),
      }
    }),
    edgeCount: count(edgeCount),
    limits: pairs(limits).map(([name, of]) => {
      const { used, limit } = object(of)
      return [name, { used: count(used), limit: count(limit) }]
    }),
    refusals: pairs(refusals).map(([code, times]) => [code, count(times)]),
  }
}

function pairs(value: unknown): [string, unknown][] {
  return Object.entries(object(value))
    .slice(0, LISTED)
    .map(([name, of]) => [cut(name), of])
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

function cut(text: string): string {
  return text.slice(0, TEXT_CHARS)
}
