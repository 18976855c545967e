/** A node and its edges in one process: they reach it by links in memory, which nobody else can open. */

import { insideUrl } from './authority.ts'
import { type Ground, joinOn } from './edge/join.ts'
import type { Edge } from './edge/mod.ts'
import { checkObject, type JoinOptions } from './edge/options.ts'
import { SignalMeshError } from './errors.ts'
import { type Link, linkPair } from './link.ts'
import type { MeshNode } from './node.ts'

/** What an edge is joined with whose home is known. */
export type InsideJoinOptions = Omit<JoinOptions, 'urls' | 'network' | 'sharedWorker'>

export interface Inside {
  /** Joins an edge that is at home with the node. */
  join(options?: InsideJoinOptions): Promise<Edge>
  /** Ends the edges, then the node, without waiting for anything: a page that ends has no time. */
  close(): Promise<void>
}

export interface InsideGround extends Pick<Ground, 'clock' | 'makeRtc' | 'hasRtc'> {
  readonly network: string
}

type IceServers = NonNullable<JoinOptions['iceServers']>

/** Where limits by address count the edges: all of them are this process. */
const INSIDE_ADDRESS = '127.0.0.1'

/** Joins edges to a node that was made with `isInside`. */
export function insideOf(node: MeshNode, { network, ...ground }: InsideGround): Inside {
  const urls = [insideUrl(node.id)]
  const closing = new AbortController()

  /** Whatever the edge asks for is here: the node tells it of no other home. */
  const dial = (url: string): Link => {
    const request = new Request(url.replace(/^ws/, 'http'))
    const answer = node.upgrade(request, { remoteAddress: INSIDE_ADDRESS })
    const [near, far] = linkPair()
    if (typeof answer === 'function') answer(far)
    else far.close(`The node answered ${answer.status}`)
    return near
  }

  /** Asked anew for each call: at the first, the node may have had no neighbour yet. */
  const serversOf = (wanted: JoinOptions['iceServers']): IceServers => {
    if (wanted !== undefined && typeof wanted !== 'function') return wanted
    const near = (): RTCIceServer[] => node.nearStun().map((url) => ({ urls: url }))
    return wanted ? () => wanted(near()) : near
  }

  return {
    join: async (options = {}) => {
      checkObject(options, 'join')
      const signals = [closing.signal, ...(options.signal ? [options.signal] : [])]
      const { sharedWorker: _, ...own } = options as JoinOptions
      const signal = AbortSignal.any(signals)
      const iceServers = serversOf(own.iceServers)
      return joinOn({ ...ground, dial }, { ...own, iceServers, urls, network, signal })
    },
    close: () => {
      closing.abort(new SignalMeshError('CLOSED', 'The node was closed'))
      return node.close()
    },
  }
}
