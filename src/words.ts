/** Words: what other nodes say of signals that edges here have sent, and what comes of it. */

import { type ErrorCode, SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import type { Held } from './inflight.ts'
import { type Passing, unknownPeer } from './passing.ts'
import { decodePresence } from './records.ts'
import type { Routes } from './routes.ts'
import { fromHomeOf, hopsLeftOf, readControl, toOf } from './signal.ts'
import type { Whereabouts } from './whereabouts.ts'

export interface WordsOptions {
  readonly where: Whereabouts
  readonly routes: Routes
  readonly passing: Passing
  deliver(peer: PeerId, frame: Uint8Array): boolean
  /** Whether this node names the other as a way to it. */
  isVia(node: NodeId): boolean
  onReceived(): void
  /** Sends a signal again, another way. */
  tryAgain(frame: Uint8Array): void
}

export interface Words {
  /** Takes a control signal; throws a typed error if it goes no further. */
  receive(frame: Uint8Array, link: NodeId): void
}

/** After these the sender's home looks for another way itself, once. */
const RETRIED: readonly ErrorCode[] = ['MOVED', 'PEER_UNKNOWN', 'HOME_UNREACHABLE']

export function createWords(options: WordsOptions): Words {
  const { where, routes } = options

  const noteEvidence = (held: Held, evidence: Uint8Array): void => {
    if (evidence.length === 0) return
    try {
      where.note(decodePresence(evidence), toOf(held.frame))
    } catch {
      // What cannot be read is no evidence; the word itself goes to the edge.
    }
  }

  const hasOtherWay = (held: Held, code: ErrorCode): boolean => {
    const home = where.homeOf(toOf(held.frame))
    // The same home again is no other way: perhaps it does not know the sender yet.
    if (home !== held.home) return home !== undefined
    return code === 'HOME_UNREACHABLE' && routes.hasOtherVia(held)
  }

  return {
    receive: (frame, link) => {
      const { code, evidence } = readControl(frame)
      const held = routes.about(frame)
      // Of another home only about what went there, or else by a way that this node names.
      const isBelieved = held
        ? held.link === link
        : fromHomeOf(frame) === link || options.isVia(link)
      // Old news too, where the signal has gone another way since: the outcome of that will come.
      if (!isBelieved) throw new SignalMeshError('REFUSED', `Nothing is heard of this from ${link}`)
      if (held && !held.isRetry && RETRIED.includes(code)) {
        noteEvidence(held, evidence)
        if (hasOtherWay(held, code)) {
          options.tryAgain(held.frame)
          return
        }
        if (code === 'HOME_UNREACHABLE' && routes.waitFor(held)) return
      }
      if (options.deliver(toOf(frame), frame)) options.onReceived()
      else if (fromHomeOf(frame) === link && hopsLeftOf(frame) > 1) {
        options.passing.passOn(frame, link)
      } else throw unknownPeer(frame)
    },
  }
}
