/** Mesh nodes without sockets for edges: many in one process, joined by links in memory, one manual clock. */

import { type ManualClock, manualClock, repeat } from '../../src/clock.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { HEARTBEAT_MS, MAX_BUFFERED_BYTES } from '../../src/limits.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { silentLog } from '../../src/log.ts'
import { createMesh, type Mesh, type MeshOptions } from '../../src/mesh.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  type RecordFields,
  START_MS,
} from '../fixtures/samples.ts'

export interface VirtualNode {
  readonly id: string
  readonly mesh: Mesh
  /** Puts an edge here, in these topics. */
  join(edge: number, tags: readonly Uint8Array[], fields?: RecordFields): void
  /** Takes an edge of this node away. */
  leave(edge: number): void
  /** Ends without a word, as SIGKILL does. */
  kill(): void
  stop(): void
}

export type NodeExtras = Partial<Pick<MeshOptions, 'members' | 'onSignal' | 'log'>>

export interface VirtualMesh {
  readonly clock: ManualClock
  readonly nodes: VirtualNode[]
  /** Links two nodes; the returned function cuts the link. */
  link(a: VirtualNode, b: VirtualNode): () => void
  /** Whether all links are full, so that what is sent is lost but the links stay. */
  congested: boolean
  /** Nodes that heard another speak with their key, each time that they did. */
  readonly duplicated: readonly VirtualNode[]
  /** A node more; with the number of one before it, that one started again. */
  add(number?: number, epoch?: number, more?: NodeExtras): VirtualNode
  stop(): void
}

export function virtualMesh(count: number): VirtualMesh {
  const clock = manualClock()
  const nodes: VirtualNode[] = []
  const links = new Map<VirtualNode, Set<Link>>()
  const duplicated: VirtualNode[] = []

  const add = (number = nodes.length, epoch = START_MS, more: NodeExtras = {}): VirtualNode => {
    const identity = identityOf(1_000_000 + number)
    const mesh = createMesh({
      identity,
      networkId: NETWORK,
      epoch,
      clock,
      log: silentLog,
      contact: () => ({ dhtKey: undefined, urls: [], vias: [] }),
      onSignal: () => undefined,
      onLinked: () => undefined,
      onUnlinked: () => undefined,
      onEpoch: () => undefined,
      onDuplicate: () => void duplicated.push(node),
      ...more,
    })
    const stopBeating = repeat(clock, HEARTBEAT_MS, () => {
      mesh.sweep()
      mesh.beat()
    })
    const node: VirtualNode = {
      id: identity.id,
      mesh,
      join: (edge, tags, fields = {}) => {
        mesh.log.add(put(presenceOf(identityOf(edge), identity.id, fields)))
        for (const tag of tags) mesh.log.add(put(advertOf(identityOf(edge), tag, fields)))
      },
      leave: (edge) => {
        const peer = identityOf(edge).id
        const seq = mesh.log.state.claims.get(peer)?.presence?.seq
        if (seq !== undefined) mesh.log.add({ kind: 'remove-peer', peer, seq })
      },
      kill: () => {
        stopBeating()
        for (const end of links.get(node) ?? []) end.close('killed')
        mesh.log.close()
      },
      stop: () => {
        stopBeating()
        mesh.close(new SignalMeshError('GOING_AWAY', 'This node is stopping'))
      },
    }
    links.set(node, new Set())
    nodes.push(node)
    return node
  }

  const link = (a: VirtualNode, b: VirtualNode): (() => void) => {
    const [left, right] = linkPair()
    links.get(a)?.add(left)
    links.get(b)?.add(right)
    const congestible = (end: Link): Link => ({
      ...end,
      closed: end.closed,
      get bufferedBytes() {
        return all.congested ? MAX_BUFFERED_BYTES + 1 : 0
      },
    })
    const info = { remoteAddress: '127.0.0.1' }
    void a.mesh.neighbours.add(congestible(left), { ...info, initiator: true })
    void b.mesh.neighbours.add(congestible(right), { ...info, initiator: false })
    return () => left.close('cut')
  }

  const all: VirtualMesh = {
    clock,
    nodes,
    congested: false,
    duplicated,
    link,
    add,
    stop: () => {
      for (const node of nodes) node.stop()
    },
  }
  for (let i = 0; i < count; i++) add()
  return all
}

/** Everything that a node believes, as one text: equal on nodes that agree. */
export function beliefs({ mesh: { directory } }: VirtualNode): string {
  const homes = [...directory.homes.values()].map(({ id, position, digest, claims }) => {
    const hash = digest.hash().subarray(0, 8).join('.')
    return `${id.slice(0, 8)} ${position.epoch}/${position.index} ${hash} ${claims.size}`
  })
  return `${homes.sort().join('\n')}\n${directory.size} edges, ${directory.records} records`
}

/** How many different beliefs there are among the nodes. */
export function disagreements(nodes: readonly VirtualNode[]): number {
  return new Set(nodes.map(beliefs)).size - 1
}

/** Links the nodes in a line, or in a ring. Returns the functions that cut each link. */
export function chain(
  mesh: VirtualMesh,
  nodes: readonly VirtualNode[],
  shape: 'line' | 'ring',
): (() => void)[] {
  const cuts = nodes.slice(1).map((node, i) => mesh.link(nodes[i] as VirtualNode, node))
  if (shape === 'ring') cuts.push(mesh.link(nodes.at(-1) as VirtualNode, nodes[0] as VirtualNode))
  return cuts
}
