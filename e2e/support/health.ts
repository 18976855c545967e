/** What nodes say of themselves at `/health`, now and compared with before. */

import type { Health } from '../../src/node.ts'
import { poll } from './poll.ts'

export type { Health } from '../../src/node.ts'

export async function healthOf(url: string): Promise<Health> {
  return (await fetch(new URL('/health', url))).json() as Promise<Health>
}

/** Asks all nodes until what they say is as wanted. */
export async function untilHealth(
  what: string,
  urls: readonly string[],
  boundMs: number,
  wanted: (all: readonly Health[]) => boolean,
): Promise<readonly Health[]> {
  let all: readonly Health[] = []
  return poll(
    what,
    boundMs,
    async () => {
      all = await Promise.all(urls.map(healthOf))
      return wanted(all) && all
    },
    () => all.map(({ neighbours, edges, mesh, signals }) => ({ neighbours, edges, mesh, signals })),
  )
}

/** What each node did with signals between two looks. */
export function signalsSince(
  before: readonly Health[],
  after: readonly Health[],
): Health['signals'][] {
  return after.map(({ signals }, node) => {
    const known = before[node]?.signals
    const since = Object.entries(signals).map(([name, count]) => [
      name,
      count - (known?.[name as keyof Health['signals']] ?? 0),
    ])
    return Object.fromEntries(since)
  })
}
