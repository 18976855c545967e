/** Words: numbers, times and names as people read them. */

import type { NodeView } from '../src/management.ts'
import type { Tone } from './links.ts'

const ID_CHARS = 8

export function shortId(id: string): string {
  return id.slice(0, ID_CHARS)
}

/** The name that it gives itself, if any: two nodes may give the same. */
export function nameOf(node: NodeView | undefined, id: string = node?.id ?? ''): string {
  return node?.report?.name ? `${node.report.name} · ${shortId(id)}` : shortId(id)
}

/** Exact up to a thousand times a thousand, so that it can be compared; with a letter beyond. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 1e12) return `${(value / 1e12).toFixed(1)} T`
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} G`
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  const rounded = value < 10 ? Math.round(value * 100) / 100 : Math.round(value)
  return String(rounded).replace(/\B(?=(\d{3})+$)/g, ' ')
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`
  const unit = Math.min(4, Math.floor(Math.log2(value) / 10))
  return `${(value / 1024 ** unit).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}

export function offset(ms: number | null): string {
  if (ms === null) return '–'
  const sign = ms > 0 ? '+' : ms < 0 ? '−' : ''
  const size = Math.abs(ms)
  return size < 10_000 ? `${sign}${Math.round(size)} ms` : `${sign}${duration(size / 1000)}`
}

export function rtt(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–'
  return ms < 1 ? '< 1 ms' : `${Math.round(ms)} ms`
}

export function percent(share: number | null): string {
  return share === null ? '–' : `${Math.round(share * 100)} %`
}

/** The time of day by the reader's clock. */
export function clock(atMs: number): string {
  const date = new Date(atMs)
  return Number.isNaN(date.getTime()) ? '–' : date.toTimeString().slice(0, 8)
}

export function countOf(count: number, one: string, many: string): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

export interface NodeState {
  readonly word: string
  readonly tone: Tone
}

/** How a node is, in a word. */
export function stateOf(node: NodeView): NodeState {
  if (node.isSuspected) return { word: 'silent', tone: 'bad' }
  if (node.report?.draining) return { word: 'stopping', tone: 'busy' }
  const behind = node.behind + (node.report?.homesBehind ?? 0)
  if (behind > 0) return { word: 'catching up', tone: 'busy' }
  if (!node.report) return { word: 'no report', tone: 'busy' }
  return { word: 'well', tone: 'ok' }
}
