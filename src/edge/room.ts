/** A room: all who are in a topic, connected, each with at most so many others, and mended as they go. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { createAttendance } from './attendance.ts'
import { type Connection, checkMessage } from './connection.ts'
import { createEvents } from './events.ts'
import { wantedPeers } from './overlay.ts'
import { createSetbacks } from './setbacks.ts'
import type { Change, Following } from './watch.ts'

export interface RoomEvents {
  /** A connection to a peer has opened. */
  readonly peer: Connection
  /** The connection to this peer has ended. */
  readonly leave: PeerId
  readonly message: { readonly from: PeerId; readonly data: string | Uint8Array }
  /** The connected peers, after each of these. */
  readonly change: ReadonlyMap<PeerId, Connection>
}

/** A topic's edges, connected to each other. */
export interface Room {
  /** Those connected to this edge: a new Map at each change. */
  readonly peers: ReadonlyMap<PeerId, Connection>
  /** How many others are in the room, connected or not, as far as this edge has heard. */
  readonly total: number
  /**
   * Sends to those connected; they do not pass it on. Resolves when all have room for more, so the
   * slowest reader sets the pace.
   * @throws SignalMeshError `CLOSED`, `BAD_ARGUMENT` or `TOO_LARGE`
   */
  send(data: string | Uint8Array): Promise<void>
  on<Name extends keyof RoomEvents>(name: Name, fn: (value: RoomEvents[Name]) => void): () => void
  /** Leaves: closes the connections and is found here no more. */
  leave(): Promise<void>
}

/** What a room asks of its edge. */
export interface RoomGround {
  readonly self: PeerId
  readonly clock: Clock
  readonly maxPeers: number
  /** From 0 to 1, to spread what many would do at once. */
  random(): number
  connect(peer: PeerId, signal: AbortSignal): Promise<Connection>
  /** Takes the edge out of the topic, and the topic's calls from this room. */
  leave(): Promise<void>
}

/** A call that somebody in the room makes. */
export interface RoomCall {
  readonly id: PeerId
  readonly signal: AbortSignal
  accept(): void
  refuse(reason: string): void
}

export interface RoomSource {
  readonly room: Room
  /** From now on this tells of the topic. */
  following(following: Pick<Following, 'unseen' | 'stop'>): void
  /** The outcome, unless the room is left before it is there. */
  unlessOver<T>(outcome: Promise<T>): Promise<T>
  /** Takes a join or leave of the topic; `early` are those who were there first. */
  changed(change: Change, early: boolean): void
  incoming(call: RoomCall): void
  connected(connection: Connection): void
  /** Ends it without a word to the home: the edge is closing. */
  close(): void
}

/** A peer that was here first waits for the newcomer's call before it makes one of its own. */
const CALLBACK_MS = 3_000
const FULL = 'this peer has all the connections that it takes'

export function createRoom(ground: RoomGround): RoomSource {
  const { self, clock, maxPeers } = ground
  const events = createEvents<RoomEvents>(['peer', 'leave', 'message', 'change'])
  const over = new AbortController()
  const attendance = createAttendance(clock, (peer) => {
    setbacks.forget(peer)
    arrange()
  })
  const { present } = attendance
  const calling = new Set<PeerId>()
  /** Accepted, and not connected yet. */
  const expected = new Map<PeerId, RoomCall>()
  let watching: Pick<Following, 'unseen' | 'stop'> | undefined
  let isArranging = false
  let isListening = false
  let peers: ReadonlyMap<PeerId, Connection> = new Map()

  const used = (): number => new Set([...peers.keys(), ...calling, ...expected.keys()]).size
  const wanted = (): ReadonlySet<PeerId> =>
    wantedPeers(
      self,
      // Who is connected is there, unless the mesh told otherwise some time ago.
      [
        ...[...peers.keys()].filter((peer) => !attendance.isGone(peer)),
        ...[...present].filter((peer) => !setbacks.isHopeless(peer)),
      ],
      maxPeers,
    )

  const setPeers = (change: (next: Map<PeerId, Connection>) => void): void => {
    const next = new Map(peers)
    change(next)
    peers = next
  }

  /** Makes room for a peer that is wanted, at the cost of one that is not. */
  const makeRoom = (want: ReadonlySet<PeerId>): boolean => {
    if (used() < maxPeers) return true
    const spare = [...peers.values()].find(({ id }) => !want.has(id))
    if (!spare) return false
    // It is out of the count with the event of its end, which comes at once.
    void spare.close('the room is arranged anew')
    return used() < maxPeers
  }

  /** In a moment, once for all that happens in this one. */
  const arrange = (): void => {
    if (isArranging) return
    isArranging = true
    queueMicrotask(() => {
      isArranging = false
      if (!over.signal.aborted) callWanted()
    })
  }

  const callWanted = (): void => {
    const want = wanted()
    for (const peer of want) {
      if (peers.has(peer) || calling.has(peer) || expected.has(peer)) continue
      if (setbacks.isWaiting(peer) || !makeRoom(want)) continue
      call(peer)
    }
  }

  const call = (peer: PeerId): void => {
    calling.add(peer)
    ground.connect(peer, over.signal).then(
      (connection) => {
        calling.delete(peer)
        // The application may have had it before it joined the room.
        if (connection.state === 'open') connected(connection)
        else setbacks.later(peer, false)
        arrange()
      },
      () => {
        calling.delete(peer)
        if (!over.signal.aborted) setbacks.later(peer, true)
        arrange()
      },
    )
  }

  const setbacks = createSetbacks(clock, ground.random, arrange)

  const listen = (connection: Connection): void => {
    connection.on('message', (data) => events.emit('message', { from: connection.id, data }))
  }

  const connected = (connection: Connection): void => {
    const { id } = connection
    const hasPlace = peers.has(id) || calling.has(id) || expected.has(id) || used() < maxPeers
    expected.delete(id)
    if (over.signal.aborted) return void connection.close('left the room')
    if (!hasPlace) return void connection.close(FULL)
    if (peers.get(id) === connection) return
    setPeers((next) => next.set(id, connection))
    setbacks.forget(id)
    if (isListening) listen(connection)
    connection.on('close', () => ended(connection))
    events.emit('peer', connection)
    events.emit('change', peers)
  }

  const ended = (connection: Connection): void => {
    if (peers.get(connection.id) !== connection) return
    setPeers((next) => next.delete(connection.id))
    attendance.ended(connection.id)
    events.emit('leave', connection.id)
    events.emit('change', peers)
    if (over.signal.aborted) return
    if (present.has(connection.id)) setbacks.later(connection.id, false)
    arrange()
  }

  const close = (): void => {
    if (over.signal.aborted) return
    over.abort(new SignalMeshError('CLOSED', 'The room was left'))
    setbacks.close()
    watching?.stop()
    attendance.close()
    for (const connection of [...peers.values()]) void connection.close('left the room')
  }

  const room: Room = {
    get peers() {
      return peers
    },
    get total() {
      return Math.max(peers.size, attendance.count + (watching?.unseen() ?? 0))
    },
    send: async (data) => {
      checkMessage(data)
      if (over.signal.aborted) throw over.signal.reason
      const sent = [...peers.values()].map((connection) =>
        connection.send(data).catch((error: unknown) => {
          // One that has just ended is nobody's failure; bad data is.
          if (connection.state === 'open') throw error
        }),
      )
      await Promise.all(sent)
    },
    on: (name, fn) => {
      const off = events.on(name, fn)
      // Only now: what comes before anybody listens waits in the connections.
      if (name === 'message' && !isListening) {
        isListening = true
        for (const connection of peers.values()) listen(connection)
      }
      return off
    },
    leave: async () => {
      if (over.signal.aborted) return
      close()
      await ground.leave()
    },
  }

  return {
    room,
    following: (following) => {
      watching = following
      if (over.signal.aborted) following.stop()
    },
    unlessOver: (outcome) =>
      new Promise((resolve, reject) => {
        const onOver = (): void => reject(over.signal.reason)
        if (over.signal.aborted) onOver()
        else over.signal.addEventListener('abort', onOver, { once: true })
        outcome.then(resolve, reject)
      }),
    changed: ({ kind, id }, early) => {
      if (id === self || over.signal.aborted) return
      if (kind === 'leave') attendance.left(id, peers.has(id))
      // Who comes later calls first; both at once would only have to agree whose call counts.
      else if (attendance.joined(id) && !early) setbacks.hold(id, CALLBACK_MS)
      arrange()
    },
    incoming: (incoming) => {
      const { id } = incoming
      if (incoming.signal.aborted) return
      const want = wantedPeers(self, [...peers.keys(), ...present, id], maxPeers)
      const isKnown = peers.has(id) || calling.has(id) || expected.has(id)
      if (over.signal.aborted) return incoming.refuse('left the room')
      if (!isKnown && used() >= maxPeers && !(want.has(id) && makeRoom(want))) {
        return incoming.refuse(FULL)
      }
      expected.set(id, incoming)
      incoming.signal.addEventListener('abort', () => {
        if (expected.get(id) === incoming) expected.delete(id)
        arrange()
      })
      incoming.accept()
    },
    connected,
    close,
  }
}
