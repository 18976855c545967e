/** Samples: what a node's first frame tells of the topics and the edge that the upgrade names. */

import { addressGroup } from './authority.ts'
import { fromHex, toHex } from './bytes.ts'
import type { Claim } from './claims.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import type { PeerId } from './identity.ts'
import {
  MAX_COUNTED,
  MAX_NAMED_TOPICS,
  MAX_SAMPLE,
  SAMPLES_BURST,
  SAMPLES_PER_SECOND,
} from './limits.ts'
import type { Found, Hello, HelloTopic } from './messages.ts'
import { type Bucket, createBucket, take } from './rate.ts'
import type { Advert, Presence } from './records.ts'

/**
 * What the URL of an upgrade asks for: `n`, the network's id; `t`, a topic's tag, up to four times; `p`, a
 * PeerId; `s=1`, to wait with the proof until the edge has lost its home.
 */
export interface Named {
  /** In hex digits; without it, whatever this node speaks. */
  readonly network?: string | undefined
  readonly tags: readonly Uint8Array[]
  readonly peer: PeerId | undefined
  readonly isStandby?: boolean
}

export type Sample = Pick<Hello, 'topics' | 'held'>

/**
 * Reads what an upgrade names.
 * @throws SignalMeshError `BAD_FRAME` for too many, or values that none of them has
 */
export function readNamed(url: string): Named {
  const query = new URL(url).searchParams
  const [tags, peers, standby] = [query.getAll('t'), query.getAll('p'), query.getAll('s')]
  const networks = query.getAll('n')
  if (tags.length > MAX_NAMED_TOPICS || peers.length > 1 || networks.length > 1) {
    throw badUpgrade(`at most ${MAX_NAMED_TOPICS} topics (t), one edge (p) and one network (n)`)
  }
  if (![...tags, ...peers, ...networks].every((name) => /^[0-9a-f]{64}$/.test(name))) {
    throw badUpgrade('topics (t), an edge (p) and a network (n) by 64 lower-case hex digits each')
  }
  if (standby.length > 0 && standby.join() !== '1') throw badUpgrade('a standby by s=1')
  return {
    network: networks[0],
    tags: tags.map(fromHex),
    peer: peers[0],
    isStandby: standby.length > 0,
  }
}

function badUpgrade(what: string): SignalMeshError {
  return new SignalMeshError('BAD_FRAME', `An upgrade names ${what}`)
}

/**
 * Makes the source of one node's samples. They are given before anything was proved, so each is
 * small, and each address gets only so many: above that a first frame tells of no topic and no edge.
 */
export function createSamples(options: {
  readonly clock: Clock
  readonly directory: Pick<Directory, 'discover' | 'locate'>
}): (address: string, named: Named) => Sample {
  const { clock, directory } = options
  const buckets = new Map<string, Bucket>()

  const isOver = (address: string): boolean => {
    const group = addressGroup(address)
    const bucket = buckets.get(group) ?? createBucket(SAMPLES_PER_SECOND, SAMPLES_BURST)
    // The longest unheard of is forgotten first; by then it has its burst again.
    buckets.delete(group)
    buckets.set(group, bucket)
    if (buckets.size > MAX_COUNTED) buckets.delete(buckets.keys().next().value as string)
    return take(bucket, clock.nowMs()) > 0
  }

  return (address, { tags, peer }) => {
    if ((tags.length === 0 && peer === undefined) || isOver(address)) {
      return { topics: [], held: undefined }
    }
    const nowMs = clock.nowMs()
    const held = peer === undefined ? undefined : directory.locate(peer, nowMs)
    const limit = Math.floor(MAX_SAMPLE / Math.max(1, tags.length))
    const topics = tags.map((tag): HelloTopic => {
      const name = toHex(tag)
      const { total, claims } = directory.discover(name, limit, nowMs)
      const found = claims.map((claim) => foundOf(claim, name))
      return { tag, hasPeer: held?.adverts.has(name) ?? false, total, found }
    })
    return { topics, held: held?.presence }
  }
}

/** The records of an edge that was found in a topic. */
export function foundOf(claim: Claim, tag: string): Found {
  return { presence: claim.presence as Presence, advert: claim.adverts.get(tag) as Advert }
}
