/** The rooms of an edge: one for a topic, which gets the topic's news, calls and connections. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { abortedError } from './abort.ts'
import type { Connection } from './connection.ts'
import type { CheckedRoom } from './options.ts'
import { createRoom, type Room, type RoomSource } from './room.ts'
import type { Change, Following } from './watch.ts'

/** A topic as the rooms see it. */
export interface RoomTopic {
  readonly name: string
  /** Its tag in hex digits. */
  readonly tag: string
  /** Lets peers find this edge in it. */
  advertise(info: Uint8Array): Promise<void>
  unadvertise(): Promise<void>
  follow(take: (change: Change) => void): Following
  connect(peer: PeerId, signal: AbortSignal): Promise<Connection>
}

export interface Rooms {
  join(topic: RoomTopic, options: CheckedRoom): Promise<Room>
  /** Lets the topic's room decide on a call; `undefined` where there is no room. */
  ask(call: {
    peer: PeerId
    tag: string
    signal: AbortSignal
  }): Promise<MediaStream | undefined> | undefined
  connected(connection: Connection, tag: string): void
  /** Ends all of them: the edge is closing. */
  close(): void
}

export function createRooms(self: PeerId, clock: Clock): Rooms {
  const rooms = new Map<string, RoomSource & { readonly stream: MediaStream | undefined }>()

  const enter = async (topic: RoomTopic, source: RoomSource, info: Uint8Array): Promise<void> => {
    let isEarly = true
    const advertised = topic.advertise(info)
    // Asked for behind the advert, so that the count that comes has this edge in it.
    const following = topic.follow((change) => source.changed(change, isEarly))
    source.following(following)
    await Promise.all([advertised, following.started.then(() => (isEarly = false))])
  }

  const join = async (topic: RoomTopic, options: CheckedRoom): Promise<Room> => {
    const { maxPeers, info, signal } = options
    if (signal?.aborted) throw abortedError('Joining the room', signal)
    if (rooms.has(topic.tag)) {
      throw new SignalMeshError(
        'BAD_ARGUMENT',
        `This edge is in the room ${JSON.stringify(topic.name)} already: use that one, or leave it first`,
      )
    }
    const source = createRoom({
      self,
      clock,
      maxPeers,
      random: Math.random,
      connect: topic.connect,
      leave: async () => {
        rooms.delete(topic.tag)
        signal?.removeEventListener('abort', leave)
        await topic.unadvertise()
      },
    })
    // The home forgets an edge that it cannot be told of.
    const leave = (): void => void source.room.leave().catch(() => undefined)
    rooms.set(topic.tag, { ...source, stream: options.stream })
    signal?.addEventListener('abort', leave)
    try {
      await source.unlessOver(enter(topic, source, info))
    } catch (error) {
      leave()
      throw signal?.aborted ? abortedError('Joining the room', signal) : error
    }
    return source.room
  }

  return {
    join,
    ask: ({ peer: id, tag, signal }) => {
      const room = rooms.get(tag)
      if (!room) return undefined
      return new Promise((accept, reject) => {
        const refuse = (reason: string): void => reject(new SignalMeshError('REFUSED', reason))
        room.incoming({ id, signal, accept: () => accept(room.stream), refuse })
      })
    },
    connected: (connection, tag) => rooms.get(tag)?.connected(connection),
    close: () => {
      for (const room of rooms.values()) room.close()
      rooms.clear()
    },
  }
}
