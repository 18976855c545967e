/** What runs inside a page: its edge, what came of each peer, and waiting for it without looking twice. */

import type { Connection, Edge, SignalMeshError } from '../../src/edge/mod.ts'

export interface KitOptions {
  readonly network: string
  readonly topic: string
  readonly urls?: readonly string[]
  /** Over the one socket of all tabs of the origin. */
  readonly shared?: boolean
  /** Whether homes may carry what finds no path; as the client has it without this. */
  readonly meshRelay?: boolean
}

/** A failure as a page can hand it out. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly causeCode?: string
  readonly afterMs: number
}

interface Friend {
  connection: Connection
  /** How many connections to this peer there have been. */
  count: number
  readonly heard: string[]
}

export interface Kit {
  readonly edge: Edge
  readonly friends: Map<string, Friend>
  /** Each state of the home, as `state nodeId`. */
  readonly homes: string[]
  /** The homes of the topic's peers that have not left. */
  readonly present: Map<string, string>
  /** Resolves when `ask` gives something; asked again after everything that happens here. */
  until<T>(what: string, boundMs: number, ask: () => T | undefined | false): Promise<T>
}

declare global {
  var kit: Kit
  /** What each RTCPeerConnection was given, and made of it. */
  var rtcConfigs: { given: RTCConfiguration | null; used: RTCConfiguration }[]
  /** While set, RTC connections do not say that they are there; nobody is told then that they are open. */
  var isHeld: boolean
  var release: () => void
  /** How many messages have come in channels that the other page opened. */
  var rtcMessages: number
  /** While set, no socket that the page opens reaches anything. */
  var cutOff: boolean
}

/** Runs before any script of the page: notes what RTC connections do, and can hold them and sockets up. */
export function watchPage(): void {
  globalThis.rtcConfigs = []
  globalThis.rtcMessages = 0
  globalThis.cutOff = false
  globalThis.isHeld = false
  const held: RTCPeerConnection[] = []
  globalThis.release = () => {
    globalThis.isHeld = false
    for (const rtc of held) rtc.dispatchEvent(new Event('iceconnectionstatechange'))
  }
  const RealSocket = globalThis.WebSocket
  globalThis.WebSocket = class extends RealSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      // No browser opens this port.
      super(globalThis.cutOff ? 'ws://127.0.0.1:1/' : url, protocols)
    }
  }
  const Real = globalThis.RTCPeerConnection
  globalThis.RTCPeerConnection = class extends Real {
    constructor(config?: RTCConfiguration) {
      super(config)
      held.push(this)
      globalThis.rtcConfigs.push({ given: config ?? null, used: this.getConfiguration() })
      this.addEventListener('datachannel', ({ channel }) => {
        channel.addEventListener('message', () => {
          globalThis.rtcMessages += 1
        })
      })
    }

    override get iceConnectionState(): RTCIceConnectionState {
      return globalThis.isHeld ? 'checking' : super.iceConnectionState
    }
  }
}

/** Joins the mesh, advertises and watches the topic. Gives the PeerId, or why there is none. */
export async function startKit(options: KitOptions): Promise<string | Failure> {
  const startMs = performance.now()
  const { joinMesh } = await import('/edge.min.js' as string)
  const { sharedSocket } = options.shared ? await import('/edge-worker.js' as string) : {}
  let edge: Edge
  try {
    edge = await joinMesh({
      network: options.network,
      ...(options.urls ? { urls: options.urls } : {}),
      ...(sharedSocket ? { sharedWorker: sharedSocket() } : {}),
      ...(options.meshRelay === undefined ? {} : { meshRelay: options.meshRelay }),
    })
  } catch (caught) {
    const { code, message, cause } = caught as SignalMeshError
    const { code: causeCode } = (cause ?? {}) as SignalMeshError
    return { code, message, causeCode, afterMs: Math.round(performance.now() - startMs) }
  }
  const waiting = new Set<() => void>()
  const happened = (): void => {
    for (const look of [...waiting]) look()
  }
  const kit: Kit = {
    edge,
    friends: new Map(),
    homes: [],
    present: new Map(),
    until: (what, boundMs, ask) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const answer = ask()
          if (answer === undefined || answer === false) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(answer)
        }
        const timer = setTimeout(() => {
          waiting.delete(look)
          const friends = [...kit.friends].map(([id, { connection, heard }]) => [
            id.slice(0, 8),
            connection.state,
            heard,
          ])
          const seen = JSON.stringify({ friends, homes: kit.homes, present: [...kit.present] })
          reject(new Error(`Not within ${boundMs} ms: ${what}; last seen: ${seen}`))
        }, boundMs)
        waiting.add(look)
        look()
      }),
  }
  globalThis.kit = kit
  edge.on('home', ({ state, nodeId }) => {
    kit.homes.push(`${state} ${nodeId}`)
    happened()
  })
  edge.on('connection', (connection) => {
    const known = kit.friends.get(connection.id)
    const friend = known ?? { connection, count: 0, heard: [] }
    friend.connection = connection
    friend.count += 1
    kit.friends.set(connection.id, friend)
    connection.on('message', (message) => {
      friend.heard.push(String(message))
      happened()
    })
    connection.on('close', happened)
    happened()
  })
  const follow = async (): Promise<void> => {
    for await (const change of edge.watch(options.topic)) {
      if (change.kind === 'join') kit.present.set(change.id, change.home)
      else kit.present.delete(change.id)
      happened()
    }
  }
  follow().catch((error) => reportError(error))
  await edge.advertise(options.topic)
  return edge.id
}
