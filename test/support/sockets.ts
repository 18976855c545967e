/** Nodes that dial each other by URL, in one process: their sockets are links in memory. */

import { type ManualClock, manualClock } from '../../src/clock.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { type Log, silentLog } from '../../src/log.ts'
import { createNode, type MeshNode, type NodeOptions } from '../../src/node.ts'
import type { DialOptions } from '../../src/runtime.ts'
import { memoryStore } from './mesh.ts'

export interface SocketWorld {
  readonly clock: ManualClock
  /** Every dial, by the host of its URL and whether a local address would do. */
  readonly dials: { readonly host: string; readonly allowPrivate: boolean; readonly atMs: number }[]
  /** Makes a node that is reached at this host, by whoever looks for it there; if `isInside`, by nobody. */
  start(host: string, options?: Partial<NodeOptions>): Promise<MeshNode>
  /** Lets the URL lead to a node, or to nobody. */
  move(host: string, node: MeshNode | undefined): void
  /** Ends all links of a node, which says nothing. */
  cut(node: MeshNode): void
  /** What a node's HTTP says of it. */
  neighbours(node: MeshNode): number
  close(): Promise<void>
}

export function socketWorld(log: Log = silentLog): SocketWorld {
  const clock = manualClock()
  const at = new Map<string, MeshNode>()
  const links = new Map<MeshNode, Set<Link>>()
  const dials: SocketWorld['dials'] = []
  const all: MeshNode[] = []
  return {
    clock,
    dials,
    start: async (host, options = {}) => {
      const open = async (url: string, { allowPrivate }: DialOptions) => {
        const { host: wanted } = new URL(url)
        dials.push({ host: wanted, allowPrivate, atMs: clock.monotonicMs() })
        const other = at.get(wanted)
        const request = new Request(url.replace(/^ws/, 'http'))
        const answer = other?.upgrade(request, { remoteAddress: '203.0.113.1' })
        if (!other || typeof answer !== 'function') {
          throw new SignalMeshError('HOME_UNREACHABLE', `Nobody at ${wanted}`)
        }
        const [near, far] = linkPair()
        links.get(node)?.add(near)
        links.get(other)?.add(far)
        answer(far)
        return { link: near, remoteAddress: '127.0.0.1' }
      }
      const node: MeshNode = await createNode({
        network: 'test',
        runtime: { name: 'node', version: 'test' },
        store: memoryStore(),
        log,
        clock,
        dial: open,
        ...options,
      })
      all.push(node)
      links.set(node, new Set())
      if (options.isInside) return node
      at.set(host, node)
      node.setUrls([`http://${host}`])
      return node
    },
    move: (host, node) => {
      if (node) at.set(host, node)
      else at.delete(host)
    },
    cut: (node) => {
      for (const link of links.get(node) ?? []) link.close('cut')
    },
    neighbours: (node) => node.health().neighbours,
    close: async () => {
      for (const node of all) await node.close()
    },
  }
}
