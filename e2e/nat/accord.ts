/** Accord: which way data goes, by what both browsers say, what the edges say, and what the core has carried. */

import type { Expected } from './kinds.ts'
import type { Flows } from './lab.ts'
import { TURN_ADDRESSES } from './mesh.ts'
import type { End, Way } from './page.ts'
import type { Seat } from './seats.ts'

/** Far more than all checks of connectivity together. */
export const PAYLOAD_BYTES = 100_000

/** The values of `connection.path` for each way. */
export const PATHS: Readonly<Record<Expected['way'], readonly string[]>> = {
  direct: ['direct', 'local'],
  turn: ['turn'],
  mesh: ['mesh'],
  none: [],
}

export function wayOf({ path, local, remote }: Way): Expected['way'] {
  if (path === 'mesh') return 'mesh'
  if (!local || !remote) return 'none'
  return [local, remote].some(({ type }) => type === 'relay') ? 'turn' : 'direct'
}

/** Bytes that the core carried both ways, by each way. */
export interface Carried {
  readonly direct: number
  readonly turn: number
  readonly mesh: number
}

export function carriedBy(flows: Flows, from: Seat, to: Seat): Carried {
  const [a, b] = [from.site.addresses, to.site.addresses]
  const both = (one: readonly string[], other: readonly string[], proto: 'tcp' | 'udp'): number =>
    Math.min(flows(one, other, proto), flows(other, one, proto))
  const each = (server: readonly string[], proto: 'tcp' | 'udp'): number =>
    Math.max(...[a, b].flatMap((one) => [flows(one, server, proto), flows(server, one, proto)]))
  return {
    direct: both(a, b, 'udp'),
    turn: Math.max(each(TURN_ADDRESSES, 'udp'), each(TURN_ADDRESSES, 'tcp')),
    mesh: Math.min(both(a, from.home.addresses, 'tcp'), both(b, to.home.addresses, 'tcp')),
  }
}

/** What two behind one router tell each other does not pass by the core. */
export function isNear(from: Seat, to: Seat): boolean {
  return from.site.port === to.site.port
}

/** All that the two ends and the core do not agree on, or that theory has otherwise. */
export function discords(
  want: Expected,
  ways: readonly Way[],
  carried: Carried,
  near: boolean,
): string[] {
  const wrong: string[] = []
  if (!want.opens) wrong.push('opened, which it cannot')
  const [said, peerSaid] = ways.map(wayOf) as [Expected['way'], Expected['way']]
  if (said !== peerSaid) {
    const ends = ways.map(({ local, remote }) => `${textOf(local)} to ${textOf(remote)}`)
    wrong.push(`the caller says ${ends[0]}, the called ${ends[1]}`)
  }
  if (said !== want.way) wrong.push(`went ${said}, not ${want.way}`)
  for (const { path } of ways) {
    if (!PATHS[said].includes(path)) wrong.push(`"path" is ${path} where the browser goes ${said}`)
  }
  for (const way of ['direct', 'turn', 'mesh'] as const) {
    const went = carried[way] >= PAYLOAD_BYTES
    const should = way === said && !(near && way === 'direct')
    if (went !== should)
      wrong.push(`the core carried ${carried[way]} bytes ${way}, said is ${said}`)
  }
  return wrong
}

function textOf(end: End | undefined): string {
  return `${end?.type} ${end?.address}`
}
