/** Passing on: what a via node does for signals between two other homes, and what a home without the target says. */

import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { Identity, NodeId } from './identity.ts'
import { VIA_SIGNALS_BURST, VIA_SIGNALS_PER_SECOND } from './limits.ts'
import { createRates } from './opens.ts'
import { setHops, toOf } from './signal.ts'
import type { Whereabouts } from './whereabouts.ts'

export interface PassingOptions {
  readonly identity: Identity
  readonly clock: Clock
  readonly where: Whereabouts
  send(node: NodeId, frame: Uint8Array): boolean
  onSent(): void
}

export interface Passing {
  /** Passes a signal on to its target's home, if that is a neighbour: the one hop more that it has. */
  passOn(frame: Uint8Array, link: NodeId): void
  /** What to say of a target that is not here: where it is, as far as is known. */
  whereTo(frame: Uint8Array): SignalMeshError
}

export function createPassing(options: PassingOptions): Passing {
  const { identity, where } = options
  const passed = createRates(options.clock, VIA_SIGNALS_PER_SECOND, VIA_SIGNALS_BURST)

  const whereTo = (frame: Uint8Array): SignalMeshError => {
    const presence = where.presenceOf(toOf(frame))
    if (!presence || presence.home === identity.id) return unknownPeer(frame)
    return new SignalMeshError('MOVED', `${toOf(frame)} is at home elsewhere`, {
      evidence: presence.bytes,
    })
  }

  return {
    whereTo,
    passOn: (frame, link) => {
      const home = where.homeOf(toOf(frame))
      if (!home || home === identity.id || home === link) throw whereTo(frame)
      passed.count(link)
      setHops(frame, 1)
      if (!options.send(home, frame)) {
        throw new SignalMeshError('HOME_UNREACHABLE', `This node has no way to node ${home} either`)
      }
      options.onSent()
    },
  }
}

export function unknownPeer(frame: Uint8Array): SignalMeshError {
  return new SignalMeshError('PEER_UNKNOWN', `No node knows of ${toOf(frame)}`)
}
