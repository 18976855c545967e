/** Who dials whom: nodes that find each other at the same moment must not both dial. */

import { compare, toHex } from '../src/bytes.ts'
import { DIAL_SETTLES_MS } from './limits.ts'

interface Stream {
  readonly isInitiator: boolean
}

/** What is asked of a Hyperswarm. */
interface Connections {
  readonly keyPair: { readonly publicKey: Uint8Array }
  /** Those that are open. */
  readonly connections: { has(stream: Stream): boolean }
  /** Those, and dials on their way. */
  readonly _allConnections: { get(remoteKey: Uint8Array): Stream | undefined }
}

export interface Dials {
  /** Hyperswarm's `firewall`: whether to refuse a dial; those of this node come without payload. */
  refuse(remoteKey: Uint8Array, payload: object | null): boolean
  opened(stream: Stream): void
}

/**
 * Hyperswarm drops one of two connections that cross, but not always the same one at both ends: a
 * node is then left with a connection that the other has dropped. So dials are kept from crossing:
 * the node with the higher key refuses the other's dial while its own is on its way or fresh, and
 * no node dials another whose dial has just come in.
 */
export function makeDials(swarm: () => Connections): Dials {
  const incomingAtMs = new Map<string, number>()
  const openedAtMs = new WeakMap<Stream, number>()
  const isFresh = (atMs: number | undefined): boolean =>
    atMs !== undefined && Date.now() - atMs < DIAL_SETTLES_MS
  const isDialling = (remoteKey: Uint8Array): boolean => {
    const stream = swarm()._allConnections.get(remoteKey)
    if (!stream?.isInitiator) return false
    return !swarm().connections.has(stream) || isFresh(openedAtMs.get(stream))
  }
  return {
    refuse: (remoteKey, payload) => {
      const key = toHex(remoteKey)
      for (const [old, atMs] of incomingAtMs) if (!isFresh(atMs)) incomingAtMs.delete(old)
      if (payload === null) return incomingAtMs.has(key)
      if (compare(swarm().keyPair.publicKey, remoteKey) > 0 && isDialling(remoteKey)) return true
      incomingAtMs.set(key, Date.now())
      return false
    },
    opened: (stream) => void openedAtMs.set(stream, Date.now()),
  }
}
