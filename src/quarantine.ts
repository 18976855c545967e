/** Quarantine: keeps homes out that lied, for a bounded time, and tells the mesh where it can be proved. */

import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { decodeProof, isProved, type Proof, peekProof } from './equivocation.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { DOUBT_MS, MAX_HOMES, QUARANTINE_MS } from './limits.ts'
import type { Log } from './log.ts'

export interface QuarantineOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  readonly log: Log
  readonly self: NodeId
  /** Tells all neighbours. */
  publish(proof: Uint8Array): void
}

export interface Quarantine {
  /** Keeps out a home that was caught here; with evidence the neighbours are told as well. */
  accuse(home: NodeId, error: SignalMeshError): void
  /**
   * Takes a proof from a neighbour and, if it is news and holds, acts on it and passes it on.
   * @throws SignalMeshError `BAD_FRAME` or `BAD_SIGNATURE` if it proves nothing
   */
  hear(proof: Uint8Array): void
  /** Ends what is over, and looks into forged records found since. */
  sweep(): void
}

export function createQuarantine(options: QuarantineOptions): Quarantine {
  const { networkId, directory, clock, log, self, publish } = options
  /** The latest life in which each was proved to lie: a proof of it works no second time. */
  const judged = new Map<NodeId, number>()

  const judge = ({ home, epoch }: Pick<Proof, 'home' | 'epoch'>): void => {
    judged.delete(home)
    judged.set(home, epoch)
    if (judged.size > MAX_HOMES) judged.delete(judged.keys().next().value as NodeId)
  }

  const isNews = ({ home, epoch }: Pick<Proof, 'home' | 'epoch'>): boolean => {
    // Of strangers any number of proofs can be made up, by making up strangers.
    const known = directory.homes.get(home) ?? directory.gone.get(home)
    if (!known) return false
    if (epoch > (judged.get(home) ?? -1)) return true
    // It is back and lives on in the very epoch in which it lied.
    return home !== self && !directory.banned.has(home) && known.position.epoch === epoch
  }

  const banish = (home: NodeId, forMs: number): void => {
    directory.banish(home, clock.monotonicMs() + forMs)
  }

  return {
    accuse: (home, { code, message, evidence }) => {
      log.warn('A home lied and is kept out', { node: home, code, why: message })
      banish(home, evidence ? QUARANTINE_MS : DOUBT_MS)
      if (!evidence) return
      judge(peekProof(evidence))
      publish(evidence)
    },
    hear: (bytes) => {
      if (!isNews(peekProof(bytes))) return
      const proof = decodeProof(bytes)
      if (!isProved(networkId, proof)) {
        throw new SignalMeshError('BAD_SIGNATURE', `Nothing is proved against home ${proof.home}`)
      }
      judge(proof)
      if (proof.home === self) {
        log.error('Somebody else signs with this node’s key; the mesh keeps it out for a while', {})
        return
      }
      log.warn('A home was proved to lie and is kept out', { node: proof.home })
      banish(proof.home, QUARANTINE_MS)
      publish(bytes)
    },
    sweep: () => {
      directory.pardon(clock.monotonicMs())
      for (const home of directory.forgers) {
        if (home === self || !directory.homes.has(home)) continue
        log.warn('A home brought a forged record and is kept out', { node: home })
        banish(home, DOUBT_MS)
      }
      directory.forgers.clear()
    },
  }
}
