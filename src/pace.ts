/** Pace: how much gossip and how many pulls a node takes in a time, from each neighbour and of each home. */

import type { Batch, Head } from './batch.ts'
import type { Clock } from './clock.ts'
import type { NodeId } from './identity.ts'
import {
  GOSSIP_BYTES_BURST,
  GOSSIP_BYTES_PER_SECOND,
  GOSSIP_HEADS_BURST,
  GOSSIP_HEADS_PER_SECOND,
  GOSSIP_RECORDS_BURST,
  GOSSIP_RECORDS_PER_SECOND,
  HOME_BYTES_BURST,
  HOME_BYTES_PER_SECOND,
  HOME_HEADS_BURST,
  HOME_HEADS_PER_SECOND,
  HOME_PULL_BYTES_PER_SECOND,
  HOME_RECORDS_BURST,
  HOME_RECORDS_PER_SECOND,
  MAX_HOMES,
  MAX_REMEMBERED,
  NEW_HOMES_BURST,
  NEW_HOMES_PER_SECOND,
  OLD_WORDS_BURST,
  OLD_WORDS_PER_SECOND,
  PULL_BYTES_BURST,
  PULL_BYTES_PER_SECOND,
} from './limits.ts'
import { bucketsByKey, fill, spend, take } from './rate.ts'

/**
 * What is over a rate is dropped before it counts as seen: another neighbour's copy, or a pull after
 * the next head, brings it. Signals pass by none of this.
 */
export interface Pace {
  /** Whether to read a packet of gossip at all. */
  takesPacket(neighbour: NodeId, bytes: number): boolean
  /** Whether to hear of a home that is unknown so far. */
  takesHome(neighbour: NodeId): boolean
  /** Whether to look at what a neighbour says is news. */
  takesNews(neighbour: NodeId, said: Batch | Head): boolean
  /** Whether to look at words that are no news, but other than those kept: they may prove a lie. */
  takesOld(neighbour: NodeId): boolean
  /** Whether to take what a home did sign, and what is news. */
  takesOfHome(said: Batch | Head): boolean
  /** Waits until the neighbour may name one more home that is unknown so far. */
  homeTurn(neighbour: NodeId): Promise<void>
  /** Waits until more of the home may be pulled from the neighbour. */
  pullTurn(neighbour: NodeId, home: NodeId): Promise<void>
  /** Counts what a pull has brought. */
  pulled(neighbour: NodeId, home: NodeId, bytes: number): void
}

export function createPace(clock: Clock): Pace {
  const ofNeighbour = {
    bytes: bucketsByKey(GOSSIP_BYTES_PER_SECOND, GOSSIP_BYTES_BURST, MAX_REMEMBERED),
    homes: bucketsByKey(NEW_HOMES_PER_SECOND, NEW_HOMES_BURST, MAX_REMEMBERED),
    old: bucketsByKey(OLD_WORDS_PER_SECOND, OLD_WORDS_BURST, MAX_REMEMBERED),
    heads: bucketsByKey(GOSSIP_HEADS_PER_SECOND, GOSSIP_HEADS_BURST, MAX_REMEMBERED),
    records: bucketsByKey(GOSSIP_RECORDS_PER_SECOND, GOSSIP_RECORDS_BURST, MAX_REMEMBERED),
    pulls: bucketsByKey(PULL_BYTES_PER_SECOND, PULL_BYTES_BURST, MAX_REMEMBERED),
  }
  const ofHome = {
    bytes: bucketsByKey(HOME_BYTES_PER_SECOND, HOME_BYTES_BURST, MAX_HOMES),
    heads: bucketsByKey(HOME_HEADS_PER_SECOND, HOME_HEADS_BURST, MAX_HOMES),
    records: bucketsByKey(HOME_RECORDS_PER_SECOND, HOME_RECORDS_BURST, MAX_HOMES),
    pulls: bucketsByKey(HOME_PULL_BYTES_PER_SECOND, PULL_BYTES_BURST, MAX_HOMES),
  }
  const nowMs = clock.monotonicMs
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

  return {
    takesPacket: (neighbour, bytes) => take(ofNeighbour.bytes(neighbour), nowMs(), bytes) === 0,
    takesHome: (neighbour) => take(ofNeighbour.homes(neighbour), nowMs()) === 0,
    takesNews: (neighbour, said) =>
      said.kind === 'head'
        ? take(ofNeighbour.heads(neighbour), nowMs()) === 0
        : take(ofNeighbour.records(neighbour), nowMs(), said.ops.length) === 0,
    takesOld: (neighbour) => take(ofNeighbour.old(neighbour), nowMs()) === 0,
    takesOfHome: (said) =>
      said.kind === 'head'
        ? take(ofHome.heads(said.home), nowMs()) === 0
        : take(ofHome.records(said.home), nowMs(), said.ops.length) === 0 &&
          take(ofHome.bytes(said.home), nowMs(), said.bytes.length) === 0,
    homeTurn: async (neighbour) => {
      for (;;) {
        const waitMs = take(ofNeighbour.homes(neighbour), nowMs())
        if (waitMs === 0) return
        await sleep(waitMs)
      }
    },
    pullTurn: async (neighbour, home) => {
      for (;;) {
        const waitMs = Math.max(
          fill(ofNeighbour.pulls(neighbour), nowMs()),
          fill(ofHome.pulls(home), nowMs()),
        )
        if (waitMs === 0) return
        await sleep(waitMs)
      }
    },
    pulled: (neighbour, home, bytes) => {
      spend(ofNeighbour.pulls(neighbour), nowMs(), bytes)
      spend(ofHome.pulls(home), nowMs(), bytes)
    },
  }
}
