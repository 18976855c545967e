/** The directory: which edge is at home where, and in which topics, as all homes' logs say. */

import type { Op } from './batch.ts'
import { equal } from './bytes.ts'
import { type Claim, emptyHome, type HomeState, type LastWord } from './claims.ts'
import type { NodeId, PeerId } from './identity.ts'
import { AUDIT_ONE_IN, MAX_HOMES, MAX_QUARANTINED } from './limits.ts'
import { type Advert, type EdgeRecord, isAuthentic, type Presence } from './records.ts'
import { isFromFuture, lifeMs } from './skew.ts'
import { createTopicIndex, type TopicChange } from './topics.ts'

export interface DirectoryOptions {
  /** From 0 up to 1: draws samples, and the records to audit. */
  readonly random?: (() => number) | undefined
  /** How far the wall clock, of which every `nowMs` here is a reading, is ahead of the monotonic one. */
  readonly aheadMs?: () => number
}

export interface Directory {
  readonly homes: ReadonlyMap<NodeId, HomeState>
  /** Homes that have left, so that what they once said does not bring them back. */
  readonly gone: ReadonlyMap<NodeId, LastWord>
  /** Homes in quarantine, and until when. Nothing that they say is news. */
  readonly banned: ReadonlyMap<NodeId, number>
  /** Homes of which a record turned out forged since this was last emptied. */
  readonly forgers: Set<NodeId>
  /** Edges that have a home. */
  readonly size: number
  /** Records of all homes. */
  readonly records: number
  /** Bytes of these records. */
  readonly bytes: number
  /** Different topics that edges are in. */
  readonly topics: number
  hasTopic(tag: string): boolean
  /** The state of a home, made empty where there is none. */
  open(id: NodeId, epoch: number, nowMs: number): HomeState
  /** Forgets a home and all its claims. */
  drop(id: NodeId): void
  /** Drops a home that has left; only what it says from now on brings it back. */
  expire(id: NodeId): void
  /** Notes that a home that had left is heard of again. */
  revive(id: NodeId): void
  /** Drops a home and puts it in quarantine. */
  banish(id: NodeId, untilMs: number): void
  /** Ends the quarantines whose time is up; like `untilMs` by the monotonic clock. */
  pardon(nowMs: number): void
  /** What the monotonic clock reads, by which lives are counted, when the wall clock reads `nowMs`. */
  monotonicMs(nowMs: number): number
  /** Checks one record in so many, drawn at random; false if it was drawn and is forged. */
  audit(record: EdgeRecord): boolean
  /** Changes a home's state; the outcome depends on that state and the change alone. */
  apply(home: HomeState, op: Op, nowMs: number): void
  /** What the winning home says of this edge, its signature checked; `undefined` if nobody does. */
  locate(peer: PeerId, nowMs: number): Claim | undefined
  /** A uniformly random sample of a topic's edges, and how many there are. */
  discover(tag: string, limit: number, nowMs: number): { total: number; claims: Claim[] }
  /** Calls `fn` at each join and leave of any topic. */
  onChange(fn: (change: TopicChange) => void): void
}

type Verdict = 'good' | 'absent' | 'expired' | 'forged'

interface PeerEntry {
  readonly claims: Claim[]
  winner: Claim | undefined
  /** Of the session that was told of last. */
  boxKey: Uint8Array | undefined
}

export function createDirectory(networkId: Uint8Array, options: DirectoryOptions = {}): Directory {
  const { random = Math.random, aheadMs = () => 0 } = options
  const homes = new Map<NodeId, HomeState>()
  const gone = new Map<NodeId, LastWord>()
  const banned = new Map<NodeId, number>()
  const forgers = new Set<NodeId>()
  const peers = new Map<PeerId, PeerEntry>()
  const topics = createTopicIndex(random)
  const good = new WeakSet<EdgeRecord>()
  const bad = new WeakSet<EdgeRecord>()
  const monotonicMs = (nowMs: number): number => nowMs - aheadMs()
  let records = 0
  let bytes = 0
  let size = 0

  const authentic = (record: EdgeRecord): boolean => {
    if (good.has(record)) return true
    if (bad.has(record) || !isAuthentic(networkId, record)) {
      bad.add(record)
      return false
    }
    good.add(record)
    return true
  }

  /** The same of what a home says, which answers for it. */
  const holds = (claim: Claim, record: EdgeRecord): boolean => {
    if (authentic(record)) return true
    forgers.add(claim.home.id)
    return false
  }

  /** Whether the claim may stand: nothing is known against it. */
  const standing = (claim: Claim, nowMs: number): boolean => {
    const { presence } = claim
    return (
      presence !== undefined &&
      !bad.has(presence) &&
      presence.home === claim.home.id &&
      monotonicMs(nowMs) <= claim.expiresAtMs &&
      (claim.isTimely || !isFromFuture(presence, nowMs))
    )
  }

  const shows = (claim: Claim, tag: string): boolean => {
    const advert = currentAdvert(claim, tag)
    return advert !== undefined && !bad.has(advert)
  }

  const visibleTags = (claim: Claim): string[] =>
    [...claim.adverts.keys()].filter((tag) => shows(claim, tag))

  /** Whether `claim` takes the edge from `holder`: nobody erases another's edge unchecked. */
  const displaces = (claim: Claim, holder: Claim): boolean => {
    const ahead = (claim.presence as Presence).seq - (holder.presence as Presence).seq
    // Of two presences with one seq, every node has to choose the same.
    if (ahead < 0 || (ahead === 0 && claim.home.id > holder.home.id)) return false
    return holds(claim, claim.presence as Presence)
  }

  /** `tag`: the one topic that may have changed, where nothing else did. */
  const settle = (entry: PeerEntry, peer: PeerId, nowMs: number, tag?: string): void => {
    let winner = entry.winner && entry.claims.includes(entry.winner) ? entry.winner : undefined
    if (winner && !standing(winner, nowMs)) winner = undefined
    for (const claim of entry.claims) {
      if (claim === winner || !standing(claim, nowMs)) continue
      // Who came first is checked too as soon as another contends, or a forgery could hide the edge.
      if (winner && !holds(winner, winner.presence as Presence)) winner = undefined
      if (!winner || displaces(claim, winner)) winner = claim
    }
    size += Number(winner !== undefined) - Number(entry.winner !== undefined)
    const isSame = winner === entry.winner
    entry.winner = winner
    // Not all of its topics for each advert: a home may bring as many as an edge may have at once.
    if (isSame && tag !== undefined)
      topics.turn(peer, tag, winner !== undefined && shows(winner, tag))
    else topics.set(peer, winner ? visibleTags(winner) : [])
    const { boxKey } = entry
    entry.boxKey = winner?.presence?.boxKey
    if (boxKey && entry.boxKey && !equal(boxKey, entry.boxKey)) topics.renew(peer)
    if (entry.claims.length === 0) peers.delete(peer)
  }

  const claimOf = (home: HomeState, peer: PeerId): Claim => {
    const known = home.claims.get(peer)
    if (known) return known
    const claim: Claim = {
      home,
      peer,
      presence: undefined,
      adverts: new Map(),
      expiresAtMs: 0,
      isTimely: false,
    }
    home.claims.set(peer, claim)
    const entry = peers.get(peer) ?? { claims: [], winner: undefined, boxKey: undefined }
    entry.claims.push(claim)
    peers.set(peer, entry)
    return claim
  }

  const removeClaim = (claim: Claim): void => {
    claim.home.claims.delete(claim.peer)
    const entry = peers.get(claim.peer)
    const at = entry?.claims.indexOf(claim) ?? -1
    if (entry && at >= 0) entry.claims.splice(at, 1)
  }

  const count = (home: HomeState, change: () => void): void => {
    records -= home.digest.size
    bytes -= home.bytes
    change()
    records += home.digest.size
    bytes += home.bytes
  }

  /** Weighs a presence by both clocks as it comes, so that no later jump of the wall clock undoes it. */
  const date = (claim: Claim, presence: Presence, nowMs: number): void => {
    const livesMs = lifeMs(presence, nowMs)
    claim.expiresAtMs = monotonicMs(nowMs) + livesMs
    claim.isTimely = claim.home.isOwn || !isFromFuture(presence, nowMs)
    if (!claim.isTimely || livesMs < 0) claim.home.skewMs = presence.seq - nowMs
  }

  const put = (home: HomeState, record: EdgeRecord, nowMs: number): void => {
    const claim = claimOf(home, record.peer)
    if (record.kind === 'presence') {
      if (claim.presence && claim.presence.seq >= record.seq) return
      home.bytes += record.bytes.length - (claim.presence?.bytes.length ?? 0)
      claim.presence = record
      date(claim, record, nowMs)
      home.digest.set(record.peer, record.hash)
    } else {
      const known = claim.adverts.get(record.tag)
      if (known && known.seq >= record.seq) return
      home.bytes += record.bytes.length - (known?.bytes.length ?? 0)
      claim.adverts.set(record.tag, record)
      home.digest.set(record.peer + record.tag, record.hash)
    }
  }

  const removePeer = (home: HomeState, peer: PeerId, seq: number): void => {
    const claim = home.claims.get(peer)
    if (!claim || (claim.presence && claim.presence.seq > seq)) return
    home.digest.set(peer, undefined)
    home.bytes -= claim.presence?.bytes.length ?? 0
    for (const [tag, advert] of claim.adverts) {
      home.digest.set(peer + tag, undefined)
      home.bytes -= advert.bytes.length
    }
    removeClaim(claim)
  }

  const removeAdvert = (home: HomeState, peer: PeerId, tag: string, seq: number): void => {
    const claim = home.claims.get(peer)
    const known = claim?.adverts.get(tag)
    if (!claim || !known || known.seq > seq) return
    claim.adverts.delete(tag)
    home.bytes -= known.bytes.length
    home.digest.set(peer + tag, undefined)
    // Or a home could fill the memory of others with claims that count as no record.
    if (!claim.presence && claim.adverts.size === 0) removeClaim(claim)
  }

  /** Whether a claim may be handed out, alone or in a topic. */
  const verdict = (claim: Claim, tag: string | undefined, nowMs: number): Verdict => {
    const { presence } = claim
    const advert = tag === undefined ? undefined : currentAdvert(claim, tag)
    if (!presence || (tag !== undefined && !advert)) return 'absent'
    if (monotonicMs(nowMs) > claim.expiresAtMs) return 'expired'
    return holds(claim, presence) && (!advert || holds(claim, advert)) ? 'good' : 'forged'
  }

  /** The winning claim; a forged or expired one gives way to the next, until one holds or none is left. */
  const locate = (peer: PeerId, tag: string | undefined, nowMs: number): Claim | undefined => {
    for (;;) {
      const entry = peers.get(peer)
      const winner = entry?.winner
      if (!winner) return undefined
      const found = verdict(winner, tag, nowMs)
      if (found === 'good') return winner
      if (found !== 'absent') settle(entry, peer, nowMs)
      if (entry.winner === winner) return undefined
    }
  }

  const expire = (id: NodeId): void => {
    const home = homes.get(id)
    if (!home) return
    gone.set(id, { position: home.position, beat: home.beat })
    if (gone.size > MAX_HOMES) gone.delete(gone.keys().next().value as NodeId)
    drop(id)
  }

  const drop = (id: NodeId): void => {
    const home = homes.get(id)
    if (!home) return
    homes.delete(id)
    records -= home.digest.size
    bytes -= home.bytes
    for (const claim of [...home.claims.values()]) {
      removeClaim(claim)
      const entry = peers.get(claim.peer)
      if (entry) settle(entry, claim.peer, home.heardAtMs + aheadMs())
    }
  }

  return {
    homes,
    gone,
    banned,
    forgers,
    get size() {
      return size
    },
    get records() {
      return records
    },
    get bytes() {
      return bytes
    },
    get topics() {
      return topics.size
    },
    hasTopic: (tag) => topics.count(tag) > 0,
    open: (id, epoch, nowMs) => {
      const known = homes.get(id)
      if (known) return known
      const home = emptyHome(id, epoch, monotonicMs(nowMs))
      homes.set(id, home)
      gone.delete(id)
      return home
    },
    drop,
    expire,
    revive: (id) => {
      gone.delete(id)
    },
    banish: (id, untilMs) => {
      expire(id)
      banned.delete(id)
      banned.set(id, untilMs)
      if (banned.size > MAX_QUARANTINED) banned.delete(banned.keys().next().value as NodeId)
    },
    pardon: (nowMs) => {
      for (const [id, untilMs] of banned) if (untilMs <= nowMs) banned.delete(id)
    },
    monotonicMs,
    audit: (record) => random() * AUDIT_ONE_IN >= 1 || authentic(record),
    apply: (home, op, nowMs) => {
      count(home, () => {
        if (op.kind === 'put') put(home, op.record, nowMs)
        else if (op.kind === 'remove-peer') removePeer(home, op.peer, op.seq)
        else removeAdvert(home, op.peer, op.tag, op.seq)
      })
      const change = op.kind === 'put' ? op.record : op
      const entry = peers.get(change.peer)
      if (entry) settle(entry, change.peer, nowMs, 'tag' in change ? change.tag : undefined)
    },
    locate: (peer, nowMs) => locate(peer, undefined, nowMs),
    discover: (tag, limit, nowMs) => {
      const claims: Claim[] = []
      const fallen: PeerId[] = []
      for (const peer of topics.sample(tag)) {
        if (claims.length >= limit) break
        const winner = peers.get(peer)?.winner
        const found = winner && verdict(winner, tag, nowMs)
        if (found === 'good') claims.push(winner as Claim)
        if (found === 'forged' || found === 'expired') fallen.push(peer)
      }
      // Only now, for it changes the list that the sample is drawn from.
      for (const peer of fallen) {
        const claim = locate(peer, tag, nowMs)
        if (claim && claims.length < limit) claims.push(claim)
      }
      return { total: topics.count(tag), claims }
    },
    onChange: topics.onChange,
  }
}

/**
 * The advert of a topic, unless it was over when its edge signed the presence: of what an edge has not
 * renewed, its home can keep nothing alive. Both numbers are the edge's, so that every node finds the same.
 */
function currentAdvert({ presence, adverts }: Claim, tag: string): Advert | undefined {
  const advert = adverts.get(tag)
  const isOver = advert && presence && presence.seq > advert.seq + advert.ttlMs
  return isOver ? undefined : advert
}
