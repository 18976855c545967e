/** The edge: joins the mesh at a home node, finds peers by topic, connects to them. */

import { fromHex, reader, toHex, writer } from '../bytes.ts'
import { type Clock, systemClock } from '../clock.ts'
import { boxKeyPair } from '../crypto.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import { makeIdentity, type NodeId, type PeerId } from '../identity.ts'
import { CONNECT_TIMEOUT_MS, JOIN_TIMEOUT_MS, MAX_DISCOVER, MAX_TOPICS_PER_EDGE } from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeFound, type Found } from '../messages.ts'
import { decodePresence, isAuthentic, type Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { networkId, type Topic, topicTag } from '../topic.ts'
import { createCalls } from './calls.ts'
import type { Connection } from './connection.ts'
import { createEvents, report } from './events.ts'
import { createHome, type HomeStatus } from './home.ts'
import { type MakeRtc, makeRtc } from './rtc.ts'
import { dialSocket } from './socket.ts'
import { createWatches, type Change } from './watch.ts'

export type { ErrorCode } from '../errors.ts'
export { SignalMeshError } from '../errors.ts'
export type { NodeId, PeerId } from '../identity.ts'
export type { Topic } from '../topic.ts'
export type { Connection, ConnectionEvents, ConnectionState, Path } from './connection.ts'
export type { HomeState, HomeStatus } from './home.ts'
export type { Change } from './watch.ts'

export interface JoinOptions {
  /** Nodes to be at home with, the first that answers. Default: the page's own origin. */
  readonly urls?: readonly string[]
  /** Genesis name of the network. Default: `main`. */
  readonly network?: string
  /** 32 bytes of seed; without it a new PeerId for this session. */
  readonly identity?: Uint8Array
  /** STUN and TURN servers. Default: none of anybody's. */
  readonly iceServers?: readonly RTCIceServer[]
  readonly iceTransportPolicy?: RTCIceTransportPolicy
  /** An implementation of WebRTC where the runtime has none. */
  readonly wrtc?: object
  /** Aborting it closes the edge, also after joining. */
  readonly signal?: AbortSignal
  /** Decides on each call. Without it, calls in advertised topics are accepted. */
  readonly onIncoming?: (call: Incoming) => void | Promise<void>
}

/** A call by a peer, to be accepted or refused. */
export interface Incoming {
  readonly id: PeerId
  readonly topic: string
  readonly metadata: Uint8Array
  /** Aborted when the caller gives up. */
  readonly signal: AbortSignal
  accept(): void
  refuse(reason?: string): void
}

export interface Peer {
  readonly id: PeerId
  /** The node at which the peer is at home. */
  readonly home: NodeId
}

export interface ConnectOptions {
  /** The topic that both are in. */
  readonly topic: Topic
  /** Up to 4 KiB for the called application. */
  readonly metadata?: Uint8Array
  /** Default: 30,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface EdgeEvents {
  readonly connection: Connection
  readonly home: HomeStatus
  readonly error: SignalMeshError
}

export interface Edge {
  readonly id: PeerId
  /** The seed: keep it to be the same peer next time. */
  readonly identity: Uint8Array
  readonly home: HomeStatus
  /** Lets peers find this edge under the topic. */
  advertise(topic: Topic): Promise<void>
  unadvertise(topic: Topic): Promise<void>
  /** A random sample of the topic's edges, this one left out, and how many there are. */
  discover(topic: Topic, options?: { limit?: number }): Promise<{ peers: Peer[]; total: number }>
  /** First those present as joins, then each join and leave. */
  watch(topic: Topic, options?: { signal?: AbortSignal }): AsyncIterable<Change>
  connect(peer: PeerId, options: ConnectOptions): Promise<Connection>
  on<Name extends keyof EdgeEvents>(name: Name, fn: (value: EdgeEvents[Name]) => void): () => void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What an edge stands on; a test puts other ground under it. */
export interface Ground {
  readonly clock: Clock
  readonly makeRtc: MakeRtc
  dial(url: string): Link
}

/**
 * Joins the mesh. Resolves when a home node has taken this edge.
 * @throws SignalMeshError `NO_HOME` when none answers in 30 s, `BAD_ARGUMENT`, or what a node refused with
 * @example
 * const edge = await joinMesh({ urls: ['http://127.0.0.1:4680'] })
 * await edge.advertise('my-room')
 */
export function joinMesh(options: JoinOptions = {}): Promise<Edge> {
  return joinOn({ clock: systemClock, makeRtc, dial: dialSocket }, options)
}

/** `joinMesh` on other ground. */
export async function joinOn(ground: Ground, options: JoinOptions): Promise<Edge> {
  const { clock } = ground
  const network = options.network ?? 'main'
  const id = networkId(network)
  const identity = makeIdentity(options.identity)
  const boxKeys = boxKeyPair()
  const events = createEvents<EdgeEvents>()
  const topics = new Map<string, string>()
  const joined = { settle: (_error?: SignalMeshError): void => {} }

  const home = createHome({
    urls: homeUrls(options.urls),
    networkId: id,
    identity,
    boxKeys,
    clock,
    dial: ground.dial,
    onSignal: (frame) => calls.receive(frame),
    onPush: (frame) => watches.receive(frame),
    onStatus: (status) => events.emit('home', status),
    onOpen: () => {
      joined.settle()
      calls.resend()
      watches.resume()
    },
    onFatal: (error) => {
      joined.settle(error)
      events.emit('error', error)
      shut()
    },
  })
  const found = (tag: string, list: readonly Found[]): Found[] =>
    list.filter((one) => isFound(id, tag, one) && one.presence.peer !== identity.id)
  const watches = createWatches({ request: home.request, found })
  const calls = createCalls({
    networkId: id,
    identity,
    boxKeys,
    clock,
    makeRtc: ground.makeRtc,
    config: rtcConfig(options),
    wrtc: options.wrtc,
    presence: () => home.presence,
    send: home.signal,
    lookup,
    topicOf: (tag) => topics.get(tag),
    ask: (call, topic) => ask(options.onIncoming, call, topic),
    onConnection: (connection) => events.emit('connection', connection),
  })

  async function lookup(peer: PeerId): Promise<Presence> {
    const presence = decodePresence(await home.request(EDGE_METHOD.lookup, fromHex(peer)))
    if (presence.peer !== peer || !isAuthentic(id, presence)) {
      throw new SignalMeshError('BAD_SIGNATURE', `The home told a forged presence of ${peer}`)
    }
    return presence
  }

  const shut = (): void => {
    calls.close()
    watches.close()
    home.close()
    options.signal?.removeEventListener('abort', shut)
  }

  await new Promise<void>((resolve, reject) => {
    const cancelTimer = clock.after(JOIN_TIMEOUT_MS, () => joined.settle(noHome(home.lastError)))
    joined.settle = (error) => {
      cancelTimer()
      if (error) reject(error)
      else resolve()
    }
    options.signal?.addEventListener('abort', () => {
      shut()
      joined.settle(new SignalMeshError('ABORTED', 'Joining was aborted'))
    })
    if (options.signal?.aborted) joined.settle(new SignalMeshError('ABORTED', 'Joining was aborted'))
  }).catch((error: unknown) => {
    shut()
    throw error
  })

  const edge: Edge = {
    id: identity.id,
    identity: identity.seed,
    get home() {
      return home.status
    },
    advertise: async (topic) => {
      const tag = topicTag(network, topic)
      if (!topics.has(toHex(tag)) && topics.size >= MAX_TOPICS_PER_EDGE) {
        throw new SignalMeshError('TOO_MANY', `An edge has at most ${MAX_TOPICS_PER_EDGE} topics`)
      }
      topics.set(toHex(tag), nameOf(topic))
      await home.advertise(tag, new Uint8Array(0))
    },
    unadvertise: async (topic) => {
      const tag = topicTag(network, topic)
      topics.delete(toHex(tag))
      await home.unadvertise(tag)
    },
    discover: async (topic, { limit = MAX_DISCOVER } = {}) => {
      const tag = topicTag(network, topic)
      // One more than asked for, since this edge may be in the sample.
      const body = writer(33).bytes(tag).u8(Math.min(limit + 1, MAX_DISCOVER)).done()
      const list = decodeFound(await home.request(EDGE_METHOD.discover, body))
      const peers = found(toHex(tag), list.found).slice(0, limit)
      return { peers: peers.map(peerOf), total: list.total - (topics.has(toHex(tag)) ? 1 : 0) }
    },
    watch: (topic, { signal } = {}) => watches.watch(topicTag(network, topic), signal),
    connect: async (peer, request) => {
      checkPeer(peer, identity.id)
      return calls.connect({
        peer: peer.toLowerCase(),
        tag: topicTag(network, request.topic),
        topic: nameOf(request.topic),
        metadata: request.metadata ?? new Uint8Array(0),
        timeoutMs: request.timeoutMs ?? CONNECT_TIMEOUT_MS,
        signal: request.signal,
      })
    },
    on: events.on,
    close: async () => shut(),
    [Symbol.asyncDispose]: async () => shut(),
  }
  return edge
}

function peerOf({ presence }: Found): Peer {
  return { id: presence.peer, home: presence.home }
}

/** Whether the records are the peer's own, and for this topic. */
function isFound(id: Uint8Array, tag: string, { presence, advert }: Found): boolean {
  return (
    presence.peer === advert.peer &&
    advert.tag === tag &&
    isAuthentic(id, presence) &&
    isAuthentic(id, advert)
  )
}

function ask(
  onIncoming: JoinOptions['onIncoming'],
  call: { peer: PeerId; metadata: Uint8Array; signal: AbortSignal },
  topic: string,
): Promise<void> {
  if (!onIncoming) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const refuse = (reason = ''): void => reject(new SignalMeshError('REFUSED', reason))
    const { peer: id, metadata, signal } = call
    Promise.resolve()
      .then(() => onIncoming({ id, topic, metadata, signal, accept: resolve, refuse }))
      .catch((error: unknown) => {
        report(error)
        refuse('the application failed')
      })
  })
}

function homeUrls(urls: readonly string[] | undefined): readonly string[] {
  const own = globalThis.location?.origin
  const all = urls ?? (own ? [own] : [])
  if (all.length === 0) {
    throw new SignalMeshError('BAD_ARGUMENT', 'Name a home node: joinMesh({ urls: ["https://…"] })')
  }
  for (const url of all) {
    if (!URL.canParse(url) || !/^(https?|wss?):$/.test(new URL(url).protocol)) {
      throw new SignalMeshError('BAD_ARGUMENT', `Not the URL of a home node: ${JSON.stringify(url)}`)
    }
  }
  return all
}

function rtcConfig(options: JoinOptions): RTCConfiguration {
  return {
    iceServers: [...(options.iceServers ?? [])],
    ...(options.iceTransportPolicy ? { iceTransportPolicy: options.iceTransportPolicy } : {}),
  }
}

function nameOf(topic: Topic): string {
  return typeof topic === 'string' ? topic : topic.name
}

function checkPeer(peer: unknown, self: PeerId): void {
  if (typeof peer !== 'string' || !/^[0-9a-f]{64}$/i.test(peer)) {
    throw new SignalMeshError('BAD_ARGUMENT', `Not a PeerId: ${JSON.stringify(peer)}`)
  }
  if (peer.toLowerCase() === self) {
    throw new SignalMeshError('SELF_CONNECT', 'An edge cannot connect to itself')
  }
}

function noHome(cause: SignalMeshError | undefined): SignalMeshError {
  const why = cause ? `: ${asMeshError(cause).message}` : ''
  return new SignalMeshError('NO_HOME', `No home node answered; check its URL and that it runs${why}`, {
    cause,
  })
}
