/** Slots: which nodes may take a place among the neighbours, so that strangers never take all. */

import type { Admission } from './admission.ts'
import { addressGroup, reachOf } from './authority.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  MAX_INCOMING,
  MAX_INCOMING_HANDSHAKES,
  MAX_LINK_HANDSHAKES,
  MAX_LINKS_PER_GROUP,
  MAX_NEIGHBOURS,
  RESERVED_SHARE,
} from './limits.ts'
import type { MeshLinkInfo } from './runtime.ts'

/** A link to a node that has proved its NodeId. */
export interface Slot extends MeshLinkInfo {
  readonly remote: NodeId
}

/** Whether a link may begin its handshake beside those that are at it: nobody is known by then. */
export function mayHandshake(added: MeshLinkInfo, others: ReadonlySet<MeshLinkInfo>): boolean {
  if (others.size >= MAX_LINK_HANDSHAKES) return false
  if (added.initiator) return true
  const incoming = [...others].filter(({ initiator }) => !initiator)
  if (incoming.length >= MAX_INCOMING_HANDSHAKES) return false
  const group = groupOf(added)
  const near = incoming.filter((other) => groupOf(other) === group)
  return group === undefined || near.length < MAX_LINKS_PER_GROUP
}

/**
 * Looks whether there is a place for one neighbour more. Who is there stays.
 * @throws SignalMeshError `MESH_FULL`
 */
export function checkSlot(
  added: Slot,
  taken: readonly Slot[],
  { isListed, reserves }: Pick<Admission, 'isListed' | 'reserves'>,
): void {
  if (taken.length >= MAX_NEIGHBOURS) throw full('This node takes no more links')
  if (isListed(added.remote)) return
  const strangers = taken.filter(({ remote }) => !isListed(remote))
  if (reserves && strangers.length >= MAX_NEIGHBOURS * (1 - RESERVED_SHARE)) {
    throw full('This node takes no more links to nodes that are not listed')
  }
  const incoming = strangers.filter(({ initiator }) => !initiator)
  if (!added.initiator && incoming.length >= MAX_INCOMING) {
    throw full('This node takes no more links that others dial')
  }
  const group = groupOf(added)
  if (group === undefined) return
  const near = strangers.filter((other) => groupOf(other) === group)
  if (near.length >= MAX_LINKS_PER_GROUP) throw full(`This node takes no more links to ${group}`)
}

/**
 * What a link counts with. Those through one DHT relay are one group, wherever it stands: it could
 * have made up the nodes at their other ends.
 */
function groupOf({ remoteAddress, relay }: MeshLinkInfo): string | undefined {
  return relay === undefined ? linkGroup(remoteAddress) : `the DHT relay ${relay}`
}

/**
 * What counts as one neighbourhood: an IPv4 /24 or an IPv6 /48, which is what one customer gets.
 * Local addresses count as none, for all nodes of a mesh on one machine or in one office share
 * theirs. Links of unknown origin count as one.
 */
export function linkGroup(address: string): string | undefined {
  if (reachOf(address) !== 'public') return undefined
  const group = addressGroup(address)
  if (group === '') return 'an unknown address'
  return group.includes(':')
    ? `${group.split(':').slice(0, 3).join(':')}::/48`
    : `${group.split('.').slice(0, 3).join('.')}.0/24`
}

function full(why: string): SignalMeshError {
  return new SignalMeshError('MESH_FULL', why)
}
