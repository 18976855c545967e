/** Links: what the two ends of each say of it, as one. */

import type { NodeView } from '../src/management.ts'
import { BAD_MS, SLOW_MS } from './bounds.ts'

/** How a link, a node or the whole mesh is; never told by colour alone. */
export type Tone = 'ok' | 'busy' | 'bad'

export interface MeshLink {
  readonly id: string
  readonly a: string
  readonly b: string
  /** The longer of what the two ends have measured. */
  readonly rttMs: number | null
  readonly relayed: boolean
  /** Whether only one of two nodes that report names it. */
  readonly isDoubted: boolean
  readonly tone: Tone
}

export function linksOf(nodes: ReadonlyMap<string, NodeView>): MeshLink[] {
  const found = new Map<string, { rttMs: number | null; relayed: boolean; by: string[] }>()
  for (const { id, report } of nodes.values()) {
    for (const { node, rttMs, relayed } of report?.links ?? []) {
      if (node === id || !nodes.has(node)) continue
      const key = id < node ? `${id} ${node}` : `${node} ${id}`
      const link = found.get(key) ?? { rttMs: null, relayed: false, by: [] }
      if (rttMs !== null) link.rttMs = Math.max(rttMs, link.rttMs ?? 0)
      link.relayed ||= relayed
      link.by.push(id)
      found.set(key, link)
    }
  }
  return [...found].map(([key, { rttMs, relayed, by }]) => {
    const [a, b] = key.split(' ') as [string, string]
    const ends = [nodes.get(a), nodes.get(b)]
    const isDoubted = new Set(by).size < 2 && ends.every((end) => end?.report)
    const isSilent = ends.some((end) => end?.isSuspected)
    return { id: key, a, b, rttMs, relayed, isDoubted, tone: isSilent ? 'bad' : rttTone(rttMs) }
  })
}

export function rttTone(rttMs: number | null): Tone {
  if (rttMs === null || rttMs < SLOW_MS) return 'ok'
  return rttMs < BAD_MS ? 'busy' : 'bad'
}
