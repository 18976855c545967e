/** Via nodes: neighbours of a home that pass signals on to it from nodes that have no link of their own. */

import type { Contact } from './batch.ts'
import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { MAX_HOMES, MAX_VIAS } from './limits.ts'
import type { Neighbours } from './neighbours.ts'

export interface Vias {
  /** Which of the home's via nodes to take, among those with a link. */
  choose(home: NodeId): NodeId | undefined
  /** The home does not answer by way of `via`: takes the next one from now on, if there is one. */
  avoid(home: NodeId, via: NodeId): void
}

export function createVias(directory: Directory, isLinked: (node: NodeId) => boolean): Vias {
  const preferred = new Map<NodeId, NodeId>()

  const linkedVias = (home: NodeId): NodeId[] =>
    (directory.homes.get(home)?.contact.vias ?? []).filter((via) => via !== home && isLinked(via))

  return {
    choose: (home) => {
      const vias = linkedVias(home)
      return vias.find((via) => via === preferred.get(home)) ?? vias[0]
    },
    avoid: (home, via) => {
      const vias = linkedVias(home)
      const next = vias[(vias.indexOf(via) + 1) % vias.length]
      if (next === undefined) return
      preferred.delete(home)
      preferred.set(home, next)
      if (preferred.size > MAX_HOMES) preferred.delete(preferred.keys().next().value as NodeId)
    },
  }
}

/**
 * The via nodes that a node names for itself: of those neighbours that others can reach, the ones up
 * for longest; those that dialled it come last, for an attacker may be among them. Of one that was just
 * dialled and has yet to say how it is reached, that much is known: the node's first word names it.
 */
export function ownVias(
  directory: Directory,
  neighbours: Pick<Neighbours, 'ids' | 'linkOf'>,
): NodeId[] {
  const rank = (id: NodeId): number => (neighbours.linkOf(id)?.initiator ? 0 : 1)
  return neighbours.ids
    .filter((id) => {
      const home = directory.homes.get(id)
      // Its log may be here before its first head, and that alone says how it is reached.
      return home?.lastHead ? isReachable(home.contact) : neighbours.linkOf(id)?.initiator
    })
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, MAX_VIAS)
}

function isReachable({ dhtKey, urls }: Contact): boolean {
  return dhtKey !== undefined || urls.length > 0
}
