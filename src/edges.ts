/** The edges at home here: admits them, keeps their records in the home's log, tells them of changes. */

import { addressGroup } from './authority.ts'
import { equal, fromHex } from './bytes.ts'
import { type Carry, NO_CARRY } from './carry.ts'
import type { Claim } from './claims.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { type Drained, drainEdges } from './draining.ts'
import { SignalMeshError } from './errors.ts'
import type { HomeLog } from './homelog.ts'
import { type IceSource, joined, NO_ICE_SOURCE } from './icesource.ts'
import type { Identity, PeerId } from './identity.ts'
import {
  BUSY_RETRY_MS,
  EDGE_RECORDS_BURST,
  EDGE_RECORDS_PER_SECOND,
  MAX_DISCOVER,
  MAX_EDGES,
  MAX_EDGES_PER_ADDRESS,
  MAX_STANDBYS,
  MAX_TARGET_BUFFERED_BYTES,
  MAX_TOPICS_PER_EDGE,
  MAX_WATCHES_PER_EDGE,
  MOVE_WITHIN_MS,
  MOVES_PER_SECOND,
} from './limits.ts'
import { encodeFound, encodePush } from './messages.ts'
import { bucketsByKey, take } from './rate.ts'
import { type Advert, type EdgeRecord, isAuthentic, type Presence } from './records.ts'
import { createSamples, foundOf } from './samples.ts'
import type { Session, SessionHost } from './session.ts'
import { checkSkew } from './skew.ts'
import type { TopicChange } from './topics.ts'

export interface EdgesOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly clock: Clock
  readonly directory: Directory
  readonly log: HomeLog
  acceptsAuthority(authority: string): boolean
  otherHomes(authority: string): readonly string[]
  onSignal(frame: Uint8Array, session: Session): void
  /** Default: none. */
  readonly ice?: IceSource
  /** Default: none. */
  readonly carry?: Carry
}

export interface Edges {
  readonly host: SessionHost
  readonly count: number
  /** Sockets that are ready for edges at home elsewhere. */
  readonly standbys: number
  /** Edges at home here, up to so many, with what waits for each. */
  list(limit: number): readonly EdgeAtHome[]
  /** Counts a shared socket by its address, apart from its sessions; throws over the bound. */
  admitShared(remoteAddress: string): () => void
  /**
   * Hands a frame of others to an edge here; false if it is not here.
   * @throws SignalMeshError `RATE_LIMITED` if too much waits for it: that is not its own doing
   */
  deliver(peer: PeerId, frame: Uint8Array): boolean
  /** Ends sessions whose edge has a newer presence at another home, and records that have expired. */
  sweep(): void
  /** Tells edges to move while all else goes on, and waits until they have; with no other home it does nothing. */
  drain(error: SignalMeshError, withinMs: number): Promise<Drained>
  close(error: SignalMeshError): void
}

/** An edge at home here, as its operator may see it: no address, no topic's name. */
export interface EdgeAtHome {
  readonly peer: PeerId
  readonly topics: number
  readonly watches: number
  readonly waitingBytes: number
}

export function createEdges(options: EdgesOptions): Edges {
  const {
    directory,
    clock,
    log,
    identity,
    networkId,
    ice = NO_ICE_SOURCE,
    carry = NO_CARRY,
  } = options
  const sessions = new Map<PeerId, Session>()
  const perAddress = new Map<string, number>()
  const standbys = new Set<Session>()
  const rateOf = bucketsByKey(EDGE_RECORDS_PER_SECOND, EDGE_RECORDS_BURST, MAX_EDGES)
  const watchers = new Map<string, Set<Session>>()
  const watches = new Map<Session, Set<string>>()

  /** `lastSeq` is the highest known of the edge. */
  const checkRecord = (session: Session, record: EdgeRecord, lastSeq?: number): void => {
    if (record.peer !== session.peer || !isAuthentic(networkId, record)) {
      throw new SignalMeshError('BAD_SIGNATURE', `A ${record.kind} that the edge did not sign`)
    }
    checkSkew(record, clock.nowMs(), lastSeq)
  }

  const checkPresence = (session: Session, presence: Presence): void => {
    const known = directory.locate(session.peer, clock.nowMs())?.presence
    checkRecord(session, presence, known?.seq)
    if (presence.home !== identity.id) {
      throw new SignalMeshError('BAD_SIGNATURE', 'The presence names another home')
    }
    if (known && known.seq >= presence.seq) throw staleRecord(known)
  }

  /** Counts changes of an edge's records, whichever of its sessions makes them. */
  const countRecords = (peer: PeerId, records: number): void => {
    const retryAfterMs = take(rateOf(peer), clock.monotonicMs(), records)
    if (retryAfterMs === 0) return
    throw new SignalMeshError('RATE_LIMITED', 'Too many records of this edge', { retryAfterMs })
  }

  const admit = (session: Session, isStandby: boolean): (() => void) => {
    if (isStandby && standbys.size >= MAX_STANDBYS) {
      throw new SignalMeshError('MESH_FULL', `This node is ready for ${MAX_STANDBYS} edges already`)
    }
    const uncount = countOf(session.remoteAddress, isStandby ? 'standby ' : '')
    if (isStandby) standbys.add(session)
    return () => {
      if (isStandby) standbys.delete(session)
      uncount()
    }
  }

  /** Counts one more of its kind at an address, until the returned function is called. */
  const countOf = (remoteAddress: string, kind: string): (() => void) => {
    const group = kind + addressGroup(remoteAddress)
    const count = perAddress.get(group) ?? 0
    if (count >= MAX_EDGES_PER_ADDRESS) {
      throw new SignalMeshError('TOO_MANY', `Over ${MAX_EDGES_PER_ADDRESS} edges from one address`)
    }
    perAddress.set(group, count + 1)
    return () => {
      const left = (perAddress.get(group) ?? 1) - 1
      if (left > 0) perAddress.set(group, left)
      else perAddress.delete(group)
    }
  }

  const join = (session: Session, presence: Presence, adverts: readonly Advert[]): void => {
    const replaced = sessions.get(session.peer)
    if (!replaced && sessions.size >= MAX_EDGES) {
      throw new SignalMeshError(
        'MESH_FULL',
        `This node has its ${MAX_EDGES} edges; try another home`,
      )
    }
    checkPresence(session, presence)
    log.checkRoom([presence, ...adverts])
    // Before their signatures are checked: a proof costs its sender one, and this node one for each advert.
    countRecords(session.peer, 1 + adverts.length)
    for (const advert of adverts) checkRecord(session, advert, presence.seq)
    if (replaced) forget(replaced)
    sessions.set(session.peer, session)
    const before = [...(log.state.claims.get(session.peer)?.adverts.keys() ?? [])]
    // The session before this one may have been in other topics.
    const tags = new Set(adverts.map((advert) => advert.tag))
    for (const tag of before) if (!tags.has(tag)) unadvertise(session, tag)
    log.add({ kind: 'put', record: presence })
    for (const advert of adverts) log.add({ kind: 'put', record: advert })
    replaced?.end(replacedBy(presence))
  }

  /** Takes the session out of every table, but leaves its records. */
  const forget = (session: Session): void => {
    if (sessions.get(session.peer) !== session) return
    sessions.delete(session.peer)
    for (const tag of watches.get(session) ?? []) unwatch(session, tag)
    watches.delete(session)
    carry.left(session)
  }

  const leave = (session: Session): void => {
    if (sessions.get(session.peer) !== session) return
    forget(session)
    const presence = log.state.claims.get(session.peer)?.presence
    if (presence) log.add({ kind: 'remove-peer', peer: session.peer, seq: presence.seq })
  }

  const advertise = (session: Session, advert: Advert): void => {
    const claim = log.state.claims.get(session.peer)
    checkRecord(session, advert, claim?.presence?.seq)
    const adverts = claim?.adverts
    if (!adverts?.has(advert.tag) && (adverts?.size ?? 0) >= MAX_TOPICS_PER_EDGE) {
      throw new SignalMeshError('TOO_MANY', `An edge has at most ${MAX_TOPICS_PER_EDGE} topics`)
    }
    log.checkRoom([advert])
    countRecords(session.peer, 1)
    log.add({ kind: 'put', record: advert })
  }

  const unadvertise = (session: Session, tag: string): void => {
    const advert = log.state.claims.get(session.peer)?.adverts.get(tag)
    if (advert) log.add({ kind: 'remove-advert', peer: session.peer, tag, seq: advert.seq })
  }

  const watch = (session: Session, tag: string): void => {
    const own = watches.get(session) ?? new Set<string>()
    if (!own.has(tag) && own.size >= MAX_WATCHES_PER_EDGE) {
      throw new SignalMeshError(
        'TOO_MANY',
        `An edge watches at most ${MAX_WATCHES_PER_EDGE} topics`,
      )
    }
    watches.set(session, own.add(tag))
    watchers.set(tag, (watchers.get(tag) ?? new Set<Session>()).add(session))
  }

  const unwatch = (session: Session, tag: string): void => {
    watches.get(session)?.delete(tag)
    const all = watchers.get(tag)
    all?.delete(session)
    if (all?.size === 0) watchers.delete(tag)
  }

  const push = (change: TopicChange): void => {
    const all = watchers.get(change.tag)
    if (!all?.size) return
    const frame = changeFrame(directory, change, clock.nowMs())
    if (!frame) return
    for (const session of all) if (session.peer !== change.peer) session.send(frame)
  }
  directory.onChange(push)

  return {
    host: {
      identity,
      networkId,
      clock,
      admit,
      acceptsAuthority: options.acceptsAuthority,
      join,
      leave,
      renew: (session, presence) => {
        checkPresence(session, presence)
        countRecords(session.peer, 1)
        log.add({ kind: 'put', record: presence })
      },
      advertise,
      unadvertise,
      sample: createSamples({ clock, directory }),
      discover: (tag, limit) => {
        const { total, claims } = directory.discover(
          tag,
          Math.min(limit, MAX_DISCOVER),
          clock.nowMs(),
        )
        return encodeFound({ total, found: claims.map((claim) => foundOf(claim, tag)) })
      },
      lookup: (peer) => {
        const presence = directory.locate(peer, clock.nowMs())?.presence
        if (!presence) throw new SignalMeshError('PEER_UNKNOWN', `No node knows of ${peer}`)
        return presence.bytes
      },
      watch,
      unwatch,
      signal: (session, frame) => options.onSignal(frame, session),
      carry,
      otherHomes: options.otherHomes,
      stun: ice.stun,
      turn: ({ remoteAddress }) => ice.turn(remoteAddress),
      ice: ({ remoteAddress }) => joined(ice.stun(), ice.turn(remoteAddress)),
    },
    get count() {
      return sessions.size
    },
    get standbys() {
      return standbys.size
    },
    list: (limit) =>
      [...sessions.values()].slice(0, limit).map((session) => ({
        peer: session.peer,
        topics: log.state.claims.get(session.peer)?.adverts.size ?? 0,
        watches: watches.get(session)?.size ?? 0,
        waitingBytes: session.link.bufferedBytes,
      })),
    admitShared: (remoteAddress) => countOf(remoteAddress, 'shared '),
    deliver: (peer, frame) => {
      const session = sessions.get(peer)
      if (!session) return false
      if (session.link.bufferedBytes > MAX_TARGET_BUFFERED_BYTES) throw slowTarget(peer)
      return session.send(frame)
    },
    sweep: () => {
      const nowMs = clock.nowMs()
      for (const claim of [...log.state.claims.values()]) sweepClaim(claim, nowMs)
    },
    drain: async ({ code, message }, withinMs) => {
      if (directory.homes.size < 2) return { moved: 0, left: sessions.size }
      // Each has its turn, and goes at once.
      const error = new SignalMeshError(code, message, { retryAfterMs: 0 })
      for (const session of [...standbys]) session.end(error)
      const hasMoved = (peer: PeerId): boolean => {
        const home = directory.locate(peer, clock.nowMs())?.home
        return home !== undefined && home !== log.state
      }
      const tell = (peer: PeerId): void => {
        const session = sessions.get(peer)
        if (!session) return
        leave(session)
        session.end(error)
      }
      return drainEdges(
        { clock, peers: [...sessions.keys()], perSecond: movesPerSecond(), tell, hasMoved },
        withinMs,
      )
    },
    close: ({ code, message }) => {
      // So that they do not all knock at one door in the same second.
      const perSecond = movesPerSecond()
      const spreadMs = Math.ceil((1000 * Math.max(0, sessions.size - 1)) / perSecond)
      const retryAfterMs = Math.min(MOVE_WITHIN_MS, spreadMs)
      const error = new SignalMeshError(code, message, { retryAfterMs })
      for (const session of [...sessions.values()]) {
        leave(session)
        session.end(error)
      }
      for (const session of [...standbys]) session.end(error)
    },
  }

  function movesPerSecond(): number {
    return MOVES_PER_SECOND * Math.max(1, directory.homes.size - 1)
  }

  function sweepClaim(claim: Claim, nowMs: number): void {
    const session = sessions.get(claim.peer)
    const winner = directory.locate(claim.peer, nowMs)
    if (winner && winner.home !== log.state) {
      session?.end(endedBy(winner.presence as Presence, claim.presence))
      if (session) leave(session)
    }
    const { presence } = claim
    if (!presence || directory.monotonicMs(nowMs) <= claim.expiresAtMs) return
    log.add({ kind: 'remove-peer', peer: claim.peer, seq: presence.seq })
    session?.end(new SignalMeshError('STALE_RECORD', 'The presence has expired'))
  }
}

function changeFrame(
  directory: Directory,
  change: TopicChange,
  nowMs: number,
): Uint8Array | undefined {
  const tag = fromHex(change.tag)
  if (change.kind === 'leave') return encodePush({ tag, peer: fromHex(change.peer) })
  const claim = directory.locate(change.peer, nowMs)
  return claim?.adverts.has(change.tag)
    ? encodePush({ tag, found: foundOf(claim, change.tag) })
    : undefined
}

function slowTarget(peer: PeerId): SignalMeshError {
  return new SignalMeshError('RATE_LIMITED', `Too much waits for ${peer} already`, {
    retryAfterMs: BUSY_RETRY_MS,
  })
}

function staleRecord(newer: Presence): SignalMeshError {
  return new SignalMeshError('STALE_RECORD', 'A newer presence of this edge is known', {
    evidence: newer.bytes,
  })
}

/** Why a session ends when its edge is at home elsewhere: it moved, or another session is it now. */
function endedBy(newer: Presence, older: Presence | undefined): SignalMeshError {
  if (older && !equal(newer.boxKey, older.boxKey)) return replacedBy(newer)
  return new SignalMeshError('MOVED', 'The edge is at home elsewhere now')
}

/** The newer presence proves it: a home that only says so must not end a session for good. */
function replacedBy(presence: Presence): SignalMeshError {
  return new SignalMeshError('REPLACED', 'Another session of this edge took over', {
    evidence: presence.bytes,
  })
}
