/** Openings: how many attempts to connect may begin, by sender, target, node and address. */

import { addressGroup } from './authority.ts'
import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId, PeerId } from './identity.ts'
import {
  ADDRESS_OPENS_BURST,
  ADDRESS_OPENS_PER_SECOND,
  MAX_COUNTED,
  NODE_OPENS_BURST,
  NODE_OPENS_PER_SECOND,
  OPENS_BURST,
  OPENS_PER_SECOND,
  TARGET_OPENS_BURST,
  TARGET_OPENS_PER_SECOND,
  VIA_OPENS_BURST,
  VIA_OPENS_PER_SECOND,
} from './limits.ts'
import { type Bucket, createBucket, take } from './rate.ts'

/** Each throws `RATE_LIMITED` over its rate. */
export interface Opens {
  /** Counts one of an edge here, by its address: what a swarm of PeerIds behind one has in common. */
  fromAddress(address: string): void
  /** Counts one that another node brings, before anything is checked; `isVia`: for another home. */
  fromNode(node: NodeId, isVia: boolean): void
  /** Counts one that is about to reach an edge here. */
  toEdge(sender: PeerId, target: PeerId, via: NodeId | undefined): void
}

/**
 * An opening makes its target work and perhaps asks a person, so it is limited where the target is
 * at home: there no choice of another home gets a sender around it.
 */
export function createOpens(clock: Clock): Opens {
  const addresses = createRates(clock, ADDRESS_OPENS_PER_SECOND, ADDRESS_OPENS_BURST)
  const nodes = createRates(clock, NODE_OPENS_PER_SECOND, NODE_OPENS_BURST)
  const vias = createRates(clock, VIA_OPENS_PER_SECOND, VIA_OPENS_BURST)
  const senders = createRates(clock, OPENS_PER_SECOND, OPENS_BURST)
  const targets = createRates(clock, TARGET_OPENS_PER_SECOND, TARGET_OPENS_BURST)
  return {
    fromAddress: (address) => addresses.count(addressGroup(address)),
    fromNode: (node, isVia) => (isVia ? vias : nodes).count(node),
    toEdge: (sender, target, via) => {
      // Counted apart: what a via node makes up must not use up the sender's own.
      senders.count(via === undefined ? sender : `${via}/${sender}`)
      // Last, so that what was refused for its sender takes nothing from the target's other callers.
      targets.count(target)
    },
  }
}

export interface Rates {
  /** Counts one; throws `RATE_LIMITED` over the rate. */
  count(key: string): void
}

/**
 * A rate for each of any number of keys. Two generations: when the younger is full, the elder is
 * dropped as a whole, so that memory is bounded and no count takes longer for how many there are.
 * Who is forgotten has its burst again; that takes as many newcomers as a generation holds.
 */
export function createRates(clock: Clock, perSecond: number, burst: number): Rates {
  let younger = new Map<string, Bucket>()
  let elder = new Map<string, Bucket>()
  return {
    count: (key) => {
      let bucket = younger.get(key)
      if (!bucket) {
        if (younger.size >= MAX_COUNTED) {
          elder = younger
          younger = new Map()
        }
        bucket = elder.get(key) ?? createBucket(perSecond, burst)
        younger.set(key, bucket)
      }
      const retryAfterMs = take(bucket, clock.monotonicMs())
      if (retryAfterMs === 0) return
      throw new SignalMeshError('RATE_LIMITED', 'Too many attempts begin', { retryAfterMs })
    },
  }
}
