/** A node and its edges in one process: they reach it by links in memory, which nobody else can open. */

import { insideUrl } from './authority.ts'
import { type Ground, joinOn } from './edge/join.ts'
import type { Edge } from './edge/mod.ts'
import { checkObject, type JoinOptions } from './edge/options.ts'
import { SignalMeshError } from './errors.ts'
import { type Link, linkPair } from './link.ts'
import { createNode, type MeshNode, type NodeOptions } from './node.ts'

/** What an edge is joined with whose home is known. */
export type InsideJoinOptions = Omit<JoinOptions, 'urls' | 'network' | 'sharedWorker'>

export interface InsideNode {
  readonly node: MeshNode
  /** Joins an edge that is at home here. */
  join(options?: InsideJoinOptions): Promise<Edge>
  /** Ends the edges, then the node, without waiting for anything: a page that ends has no time. */
  close(): Promise<void>
}

/** Where limits by address count the edges: all of them are this process. */
const INSIDE_ADDRESS = '127.0.0.1'

/**
 * Makes the node. It has no URL, so others reach it over the links alone that it dials, by via nodes.
 * @throws SignalMeshError `IDENTITY_CORRUPT` or `DATA_UNREADABLE` from the store
 */
export async function createInside(
  options: Omit<NodeOptions, 'isInside' | 'publicUrls'>,
  ground: Pick<Ground, 'clock' | 'makeRtc' | 'hasRtc'>,
): Promise<InsideNode> {
  const { network } = options
  const node = await createNode({ ...options, clock: ground.clock, isInside: true })
  const urls = [insideUrl(node.id)]
  const closing = new AbortController()

  /** Whatever the edge asks for is here: the node has told it of no other home. */
  const dial = (url: string): Link => {
    const request = new Request(url.replace(/^ws/, 'http'))
    const answer = node.upgrade(request, { remoteAddress: INSIDE_ADDRESS })
    const [near, far] = linkPair()
    if (typeof answer === 'function') answer(far)
    else far.close(`The node answered ${answer.status}`)
    return near
  }

  return {
    node,
    join: async (own = {}) => {
      checkObject(own, 'join')
      const signals = [closing.signal, ...(own.signal ? [own.signal] : [])]
      const { sharedWorker: _, ...rest } = own as JoinOptions
      return joinOn(
        { ...ground, dial },
        { ...rest, urls, network, signal: AbortSignal.any(signals) },
      )
    },
    close: () => {
      closing.abort(new SignalMeshError('CLOSED', 'The node was closed'))
      return node.close()
    },
  }
}
