/** What runs inside a page of the bench: one of the two systems behind the same few functions. */

import type { Connection, Edge, JoinOptions } from '../../src/edge/mod.ts'

export interface Place {
  /** The server's port, or that of the proxy before it. */
  readonly port: number
  readonly id: string
  readonly topic: string
}

/** One end of a system, and the moments at which its connections were open. */
export interface End {
  readonly id: string
  /** Connects to that peer; gives the moment at which it is open here. */
  connect(peer: string): Promise<number>
  /** The moment at which the next connection that a peer makes is open here. */
  nextOpen(): Promise<number>
  hangUp(): Promise<void>
}

/** An end that has joined, and the moment at which it began to. */
export interface Joined {
  readonly end: End
  readonly startMs: number
  /** When the application was told that it has. */
  readonly joinedMs: number
  /** When the connection that was asked for with the joining is open. */
  readonly openMs: number
}

interface PeerConnection {
  on(name: 'open' | 'close', fn: () => void): void
  close(): void
}

interface PeerJs {
  on(name: 'open', fn: () => void): void
  on(name: 'connection', fn: (connection: PeerConnection) => void): void
  on(name: 'error', fn: (error: Error) => void): void
  connect(peer: string): PeerConnection
}

declare global {
  var end: End
  var prepare: () => Promise<void>
  /** Joins, and connects at once to the peer if one is named. */
  var join: (place: Place, peer?: string) => Promise<Joined>
  var peerjs: { Peer: new (id: string, options: object) => PeerJs }
}

/** Loads Signal Mesh; nothing of it runs yet but its modules. */
export async function prepareOurs(): Promise<void> {
  const nowMs = (): number => performance.timeOrigin + performance.now()
  const { joinMesh } = (await import('/edge.js' as string)) as {
    joinMesh(options: JoinOptions): Promise<Edge>
  }
  globalThis.join = async ({ port, topic }, peer) => {
    const startMs = nowMs()
    const edge = await joinMesh({
      urls: [`http://127.0.0.1:${port}`],
      network: 'main',
      topics: [topic],
      ...(peer && { connect: { id: peer, topic } }),
    })
    const joinedMs = nowMs()
    const open = new Set<Connection>()
    const waiting: ((atMs: number) => void)[] = []
    edge.on('connection', (connection) => {
      open.add(connection)
      for (const resolve of waiting.splice(0)) resolve(nowMs())
    })
    const end: End = {
      id: edge.id,
      connect: async (other) => {
        await edge.connect(other, { topic })
        return nowMs()
      },
      nextOpen: () => new Promise((resolve) => waiting.push(resolve)),
      hangUp: async () => {
        await Promise.all([...open].map((connection) => connection.close()))
        open.clear()
      },
    }
    globalThis.end = end
    return { end, startMs, joinedMs, openMs: peer ? await end.connect(peer) : 0 }
  }
}

/** Loads PeerJS, whose module makes an RTC connection to see what the browser can. */
export async function preparePeerJs(): Promise<void> {
  const nowMs = (): number => performance.timeOrigin + performance.now()
  await import('/peerjs.js' as string)
  globalThis.join = async ({ port, id }, peer) => {
    const startMs = nowMs()
    const own = new peerjs.Peer(id, {
      host: '127.0.0.1',
      port,
      path: '/',
      config: { iceServers: [] },
      debug: 0,
    })
    const open = new Set<PeerConnection>()
    const waiting: ((atMs: number) => void)[] = []
    own.on('connection', (connection) =>
      connection.on('open', () => {
        open.add(connection)
        for (const resolve of waiting.splice(0)) resolve(nowMs())
      }),
    )
    await new Promise<void>((resolve, reject) => {
      own.on('open', resolve)
      own.on('error', reject)
    })
    const joinedMs = nowMs()
    const end: End = {
      id,
      connect: (other) =>
        new Promise((resolve) => {
          const connection = own.connect(other)
          open.add(connection)
          connection.on('open', () => resolve(nowMs()))
        }),
      nextOpen: () => new Promise((resolve) => waiting.push(resolve)),
      hangUp: async () => {
        for (const connection of open) connection.close()
        open.clear()
      },
    }
    globalThis.end = end
    return { end, startMs, joinedMs, openMs: peer ? await end.connect(peer) : 0 }
  }
}
