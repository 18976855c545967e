/** Sources of nodes: what each of them gives, and what comes of all of them together. */

import type { NodeId } from '../src/identity.ts'
import { MAX_TAKEN } from '../src/limits.ts'
import { type MeshRecord, publicPart } from '../src/registryrecord.ts'
import type { FoundPeer } from '../src/urldials.ts'

export interface Answer {
  readonly records: readonly MeshRecord[]
  /** Records that were left out, since they are over, inactive, or make no sense. */
  readonly dropped: number
}

export interface Source {
  /** Under which its answer is kept and spoken of. */
  readonly key: string
  /** Whether the nodes that it names are an allow-list. */
  readonly listsMembers?: boolean
  /** @throws SignalMeshError where it gave no answer, or none that can be used */
  ask(): Promise<Answer>
}

/** What is known of the mesh, by all sources. */
export interface Found {
  readonly peers: readonly FoundPeer[]
  /** DHT nodes as `host:port`. */
  readonly bootstrap: readonly string[]
  /** URLs of nodes that lend their DHT. */
  readonly relays: readonly string[]
  readonly members: readonly NodeId[]
}

export const NOTHING_FOUND: Found = { peers: [], bootstrap: [], relays: [], members: [] }

/** What may be used of records that others have written. */
export function usable(
  records: readonly MeshRecord[],
  allowPrivate: boolean,
): readonly MeshRecord[] {
  return allowPrivate ? records : records.flatMap((record) => publicPart(record) ?? [])
}

/**
 * Takes a few records that lead somewhere: those taken before stay, so that links do, and the others are
 * drawn, so that not all nodes go to the first.
 */
export function takeFew(
  records: readonly MeshRecord[],
  before: readonly MeshRecord[],
  random: () => number,
): readonly MeshRecord[] {
  const leading = new Map(
    records
      .filter(({ url, bootstrap }) => url !== undefined || bootstrap !== undefined)
      .map((record) => [JSON.stringify(record), record]),
  )
  const stay = before.filter((record) => leading.delete(JSON.stringify(record)))
  return [...stay, ...shuffled([...leading.values()], random)].slice(0, MAX_TAKEN)
}

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[items[i], items[j]] = [items[j] as T, items[i] as T]
  }
  return items
}

/** Each URL and each DHT node once. */
export function merged(taken: readonly MeshRecord[], members: readonly MeshRecord[]): Found {
  const peers = new Map<string, FoundPeer>()
  for (const { url, node, network } of taken) {
    const key = `${network} ${url}`
    if (url === undefined || peers.has(key)) continue
    peers.set(key, { url, ...(node && { node }), ...(network && { network }) })
  }
  return {
    peers: [...peers.values()],
    bootstrap: [...new Set(taken.flatMap(({ bootstrap }) => bootstrap ?? []))],
    relays: [...new Set(taken.flatMap(({ relay, url = [] }) => (relay ? url : [])))],
    members: [...new Set(members.flatMap(({ node }) => node ?? []))],
  }
}
