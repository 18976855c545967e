/** Whom the doctor asks: the node itself if it runs, and others, each with what it tells of the mesh. */

import { authorityOf } from '../src/authority.ts'
import { asMeshError } from '../src/errors.ts'
import type { MeshView, NodeView } from '../src/management.ts'
import type { Config } from './config.ts'
import { askNode } from './nodeurl.ts'

/** A node that was asked. */
export interface Asked {
  readonly url: string
  /** Why there is no view. */
  readonly error?: string
  readonly view?: MeshView
  /** How far its clock is ahead of this machine's. */
  readonly aheadMs?: number
  readonly lendsDht?: boolean
}

export interface Views {
  /** The node with this configuration, where it runs on this machine. */
  readonly own: Asked
  /** Nodes that flags name, and some of which the node knows. */
  readonly others: readonly Asked[]
}

/** Others that are asked: enough to tell whose fault it is. */
const MAX_OTHERS = 4
const ASK_MS = 5_000

export async function lookAround(config: Config): Promise<Views> {
  const own = await askOne(ownUrl(config))
  const known = nodesOf(own).filter(({ isSelf, isLinked }) => !isSelf && isLinked)
  const urls = [
    ...config.peer,
    ...config.relay,
    ...known.flatMap(({ urls: [first] }) => first ?? []),
  ]
  const httpUrls = urls.map(httpOf)
  const others = [...new Map(httpUrls.map((url) => [authorityOf(url), url])).values()]
  const asked = await Promise.all(
    others.slice(0, config.peer.length + config.relay.length + MAX_OTHERS).map(askOne),
  )
  return { own, others: asked }
}

/** A node's URL as its pages have it. */
export function httpOf(url: string): string {
  return url.replace(/^ws/i, 'http').replace(/\/$/, '')
}

/** Where it listens by its configuration; on all interfaces it is on this machine too. */
function ownUrl({ host, port, tlsCert, publicUrl: [first] }: Config): string {
  // Its certificate names that, and not an address of this machine.
  if (tlsCert !== undefined && first !== undefined) return httpOf(first)
  const at = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host
  const name = at.includes(':') && !at.startsWith('[') ? `[${at}]` : at
  return `${tlsCert === undefined ? 'http' : 'https'}://${name}:${port}`
}

async function askOne(url: string): Promise<Asked> {
  try {
    const health = await askNode(url, '/health', ASK_MS)
    const startMs = Date.now()
    const { status, json } = await askNode(url, '/mesh.json', ASK_MS)
    const lendsDht = health.json.dhtRelay === true
    if (status !== 200) return { url, lendsDht, error: `${url} tells nothing of the mesh` }
    const view = json as unknown as MeshView
    const { atMs } = view
    const isTime = typeof atMs === 'number'
    const aheadMs = isTime ? Math.round(atMs - (startMs + Date.now()) / 2) : undefined
    return { url, lendsDht, view, ...(aheadMs !== undefined && { aheadMs }) }
  } catch (error) {
    return { url, error: asMeshError(error).message }
  }
}

/** What it knows of; nothing where it tells nothing that makes sense. */
export function nodesOf({ view }: Asked): readonly NodeView[] {
  const nodes: unknown = view?.nodes
  if (!Array.isArray(nodes)) return []
  return nodes.filter((node) => typeof node?.id === 'string' && Array.isArray(node.urls))
}
