/** The room: advertised, watched, and a connection kept to each page that is in it. */

import { type Change, type Connection, type Edge, type PeerId, whyOf } from '../src/edge/mod.ts'
import { addLine, type PageState, type PeerView, peerOf, shortId } from './state.ts'

/** The page with the higher id waits for the other's call before it calls by itself. */
const CALL_AFTER_MS = 3_000
const CONNECT_TIMEOUT_MS = 15_000
const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 30_000
/** A chat of more pages wants somebody to pass messages on; here each sends to each. */
const MAX_CALLED = 8

/** What is on its way between this page and a peer. */
export type Travel = 'call' | 'answer' | 'sent' | 'received'

export interface RoomEvents {
  changed(): void
  travelled(peer: PeerId, what: Travel): void
}

export interface Room {
  /** Sends to all connected pages and adds the line to the chat. */
  say(text: string): Promise<void>
}

export function enterRoom(edge: Edge, state: PageState, events: RoomEvents): Room {
  const topic = state.room
  const connections = new Map<PeerId, Connection>()
  const calling = new Map<PeerId, ReturnType<typeof setTimeout> | 'now'>()
  const failures = new Map<PeerId, number>()

  const note = (text: string): void => addLine(state, { kind: 'note', from: '', text }, Date.now())

  const follow = (change: Change): void => {
    const peer = peerOf(state, change.id)
    peer.present = change.kind === 'join'
    if (change.kind === 'join') peer.home = change.home
    if (peer.present) plan(peer)
    else if (!connections.has(peer.id) && calling.get(peer.id) !== 'now') forget(peer)
    events.changed()
  }

  const forget = (peer: PeerView): void => {
    const timer = calling.get(peer.id)
    if (timer && timer !== 'now') clearTimeout(timer)
    calling.delete(peer.id)
    failures.delete(peer.id)
    state.peers.delete(peer.id)
  }

  /** Calls the peer, now or later, unless that is under way or done. */
  const plan = (peer: PeerView): void => {
    const isMany = calling.size + connections.size >= MAX_CALLED
    if (connections.has(peer.id) || calling.has(peer.id) || isMany) return
    const failed = failures.get(peer.id) ?? 0
    const firstMs = edge.id < peer.id ? 0 : CALL_AFTER_MS
    const waitMs = failed ? Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failed) : firstMs
    calling.set(
      peer.id,
      setTimeout(() => void call(peer), waitMs),
    )
  }

  const call = async (peer: PeerView): Promise<void> => {
    if (!connections.has(peer.id)) {
      calling.set(peer.id, 'now')
      peer.state = 'connecting'
      events.changed()
      events.travelled(peer.id, 'call')
      await edge
        .connect(peer.id, { topic, timeoutMs: CONNECT_TIMEOUT_MS })
        .catch((error: Error) => {
          failures.set(peer.id, (failures.get(peer.id) ?? 0) + 1)
          const why = whyOf(error)
          if (!connections.has(peer.id))
            Object.assign(peer, { state: 'failed', error: error.message, why: () => why })
        })
    }
    calling.delete(peer.id)
    if (peer.present) plan(peer)
    else if (!connections.has(peer.id)) forget(peer)
    events.changed()
  }

  const adopt = (connection: Connection): void => {
    const { id } = connection
    const peer = peerOf(state, id)
    connections.set(id, connection)
    failures.delete(id)
    const { path, why } = connection
    Object.assign(peer, { state: 'connected', path, error: '', why })
    connection.on('path', (path) => {
      peer.path = path
      events.changed()
    })
    connection.on('message', (data) => heard(peer, data))
    connection.on('close', () => {
      // The peer may have connected anew before the old connection was given up.
      if (connections.get(id) === connection) lost(peer)
    })
    note(`${shortId(id)} is connected`)
    events.changed()
    events.travelled(id, 'answer')
  }

  const lost = (peer: PeerView): void => {
    connections.delete(peer.id)
    peer.state = 'lost'
    note(`${shortId(peer.id)} has gone`)
    if (!peer.present) forget(peer)
    // There may be room for another one now.
    for (const other of state.peers.values()) if (other.present) plan(other)
    events.changed()
  }

  const heard = (peer: PeerView, data: string | Uint8Array): void => {
    if (typeof data !== 'string') return
    peer.received += 1
    addLine(state, { kind: 'peer', from: peer.id, text: data }, Date.now())
    events.changed()
    events.travelled(peer.id, 'received')
  }

  const say = async (text: string): Promise<void> => {
    const sends = [...connections].map(async ([id, connection]) => {
      await connection.send(text)
      peerOf(state, id).sent += 1
      events.travelled(id, 'sent')
    })
    const results = await Promise.allSettled(sends)
    const reached = results.filter(({ status }) => status === 'fulfilled').length
    addLine(state, { kind: 'own', from: edge.id, text, reached }, Date.now())
    events.changed()
  }

  const watch = async (): Promise<void> => {
    while (edge.home.state !== 'closed') {
      try {
        for await (const change of edge.watch(topic)) follow(change)
      } catch {
        // Without a home now; the status line says so.
        await new Promise((resolve) => setTimeout(resolve, RETRY_FIRST_MS))
      }
    }
  }

  edge.on('connection', adopt)
  edge.advertise(topic).catch((error: Error) => {
    note(`Others may not find this page yet: ${error.message}`)
    events.changed()
  })
  void watch()
  return { say }
}
