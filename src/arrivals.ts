/** Arrivals: signals that other nodes bring, for edges here or, by way of this node, for edges elsewhere. */

import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import type { Opens } from './opens.ts'
import type { Passing } from './passing.ts'
import { CLASS, classOf, fromHomeOf, fromOf, hopsLeftOf } from './signal.ts'
import type { Whereabouts } from './whereabouts.ts'

export interface ArrivalsOptions {
  readonly where: Whereabouts
  readonly opens: Opens
  readonly passing: Passing
  /** Hands a signal to its target; false if that is not here. `via`: who brings it for another home. */
  deliver(frame: Uint8Array, via: NodeId | undefined): boolean
  /** Whether this node names the other as a way to it. */
  isVia(node: NodeId): boolean
  onReceived(): void
}

/** Makes what takes a signal that came over a link; it throws a typed error if it goes no further. */
export function createArrivals(
  options: ArrivalsOptions,
): (frame: Uint8Array, link: NodeId) => void {
  const { where, opens, passing } = options

  /** A signal is believed only of its sender's home, over its own link or by a way that this node names. */
  const checkSender = (frame: Uint8Array, link: NodeId): void => {
    const home = fromHomeOf(frame)
    const isVia = home !== link
    if (isVia && (hopsLeftOf(frame) !== 1 || !options.isVia(link))) {
      throw new SignalMeshError('HOME_UNREACHABLE', `Node ${link} is no way to this one`)
    }
    // Before any signature is checked, for that is the work.
    if (classOf(frame) === CLASS.open) opens.fromNode(link, isVia)
    if (where.isSentFrom(frame, home)) return
    // Perhaps it has just moved there: the same bytes are believed once gossip has told of it.
    throw new SignalMeshError('MOVED', `${fromOf(frame)} is not known to be at home with ${home}`)
  }

  return (frame, link) => {
    checkClass(frame)
    checkSender(frame, link)
    const via = fromHomeOf(frame) === link ? undefined : link
    if (options.deliver(frame, via)) options.onReceived()
    else if (hopsLeftOf(frame) > 1) passing.passOn(frame, link)
    else throw passing.whereTo(frame)
  }
}

/** Classes of later versions are refused by name, so that their senders can do without. */
export function checkClass(frame: Uint8Array): void {
  const cls = classOf(frame)
  if (cls === CLASS.open || cls === CLASS.within) return
  throw new SignalMeshError('BAD_FRAME', `A signal of unknown class ${cls}`)
}
