/** STUN for edges of a node that has no UDP itself, such as a tab's: that of nodes which it dialled. */

import { reachOf } from './authority.ts'
import type { Directory } from './directory.ts'
import { MAX_STUN_OFFERED } from './limits.ts'
import type { Neighbours } from './neighbours.ts'

/**
 * The URLs, of those up longest first: nodes that were named before nodes that were drawn. Where they are is
 * their own word, as it is to the edges of any home; private ones only where the mesh itself is.
 */
export function nearStun(
  directory: Pick<Directory, 'homes'>,
  neighbours: Pick<Neighbours, 'ids' | 'linkOf'>,
  allowPrivate: boolean,
): string[] {
  const dialled = neighbours.ids.filter((id) => neighbours.linkOf(id)?.initiator)
  const all = dialled.flatMap((id) => directory.homes.get(id)?.contact.stunAt ?? [])
  const near = all.filter((at) => allowPrivate || reachOf(at) === 'public')
  return [...new Set(near)].slice(0, MAX_STUN_OFFERED).map((at) => `stun:${at}`)
}
