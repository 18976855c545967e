/** What an application hands in, checked before anything is done with it. */

import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import {
  CONNECT_TIMEOUT_MS,
  MAX_ATTEMPTS,
  MAX_DISCOVER,
  MAX_INFO_BYTES,
  MAX_METADATA_BYTES,
  MAX_TOPICS_PER_EDGE,
  MAX_URL_BYTES,
} from '../limits.ts'
import type { Topic } from '../topic.ts'
import type { Connection } from './connection.ts'
import type { SharedSocket } from './shared.ts'

export interface JoinOptions {
  /** Nodes to be at home with, the first that answers. Default: the page's own origin. */
  readonly urls?: readonly string[]
  /** Genesis name of the network. Default: `main`. */
  readonly network?: string
  /** Topics to advertise from the first moment; some of their peers come with the node's first frame. */
  readonly topics?: readonly Topic[]
  /**
   * A peer to connect to at once: the call goes out together with this edge's proof, so that it is there
   * before joining is over. `edge.connect` with the same peer and topic waits for it.
   */
  readonly connect?: ConnectOptions & { readonly id: PeerId }
  /** 32 bytes of seed; without it a new PeerId for this session. */
  readonly identity?: Uint8Array
  /**
   * STUN and TURN servers. Default: those that the home names, of the mesh's own nodes. A list replaces
   * them, an empty one with none; a function makes a list of what is offered, for each connection.
   */
  readonly iceServers?:
    | readonly RTCIceServer[]
    | ((offered: readonly RTCIceServer[]) => readonly RTCIceServer[])
  readonly iceTransportPolicy?: RTCIceTransportPolicy
  /**
   * Whether the two homes carry a connection, sealed, while no path between the two is found. Default: true; both
   * have to agree.
   */
  readonly meshRelay?: boolean
  /** An implementation of WebRTC where the runtime has none: the default export of `@roamhq/wrtc`. */
  readonly wrtc?: object
  /**
   * One socket for all tabs of the origin, held by a SharedWorker: what `sharedSocket` of
   * `signal-mesh/worker` gives. Where that cannot be had, each tab has a socket of its own, as without.
   */
  readonly sharedWorker?: SharedSocket
  /** Aborting it closes the edge, also after joining. */
  readonly signal?: AbortSignal
  /** Decides on each call but those of rooms, which count their places. Without it, calls in advertised topics are accepted. */
  readonly onIncoming?: (call: Incoming) => unknown
}

/** A call by a peer, to be accepted or refused. */
export interface Incoming {
  readonly id: PeerId
  readonly topic: string
  readonly metadata: Uint8Array
  /** Aborted when it is over: the caller has given up, or the connection that came of it has ended. */
  readonly signal: AbortSignal
  /**
   * Takes the call; the stream is sent from the beginning. Resolves with the connection once it is open.
   * @throws SignalMeshError why there is none, such as `PEER_LEFT`, `TIMEOUT` or `RTC_FAILED`
   */
  accept(options?: { readonly stream?: MediaStream }): Promise<Connection>
  refuse(reason?: string): void
}

export interface ConnectOptions {
  /** The topic that both are in. */
  readonly topic: Topic
  /** Up to 4 KiB for the called application. */
  readonly metadata?: Uint8Array
  /** A camera or the like, sent from the beginning. */
  readonly stream?: MediaStream
  /** How long reaching the peer and connecting may take; while it rings there, nothing counts. Default: 30,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface AdvertiseOptions {
  /** Up to 256 bytes for the peers that find this edge, read by those who have the topic's key. */
  readonly info?: Uint8Array
  readonly signal?: AbortSignal
}

export interface DiscoverOptions {
  /** How many peers at most. Default and most: 50. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

export interface RoomOptions extends AdvertiseOptions {
  /** How many of the room to be connected with at most. Default: 8. */
  readonly maxPeers?: number
  /** Sent to each of them from the beginning. */
  readonly stream?: MediaStream
  /** Aborting it leaves the room. */
  readonly signal?: AbortSignal
}

/** Options of a room that were found good. */
export interface CheckedRoom {
  readonly maxPeers: number
  readonly info: Uint8Array
  readonly stream: MediaStream | undefined
  readonly signal: AbortSignal | undefined
}

/** Refuses options that joining could not work with. */
export function checkJoin(options: JoinOptions): void {
  checkObject(options, 'joinMesh')
  const { iceServers = [], iceTransportPolicy = 'all', onIncoming, signal, topics = [] } = options
  if (!Array.isArray(topics)) throw bad('topics', 'a list of topics')
  if (topics.length > MAX_TOPICS_PER_EDGE) {
    throw new SignalMeshError('TOO_MANY', `An edge has at most ${MAX_TOPICS_PER_EDGE} topics`)
  }
  if (typeof iceServers !== 'function') checkIceServers(iceServers)
  if (iceTransportPolicy !== 'all' && iceTransportPolicy !== 'relay') {
    throw bad('iceTransportPolicy', '"all" or "relay"')
  }
  if (options.meshRelay !== undefined && typeof options.meshRelay !== 'boolean') {
    throw bad('meshRelay', 'true or false')
  }
  if (options.wrtc !== undefined) checkWrtc(options.wrtc)
  if (options.sharedWorker !== undefined && typeof options.sharedWorker !== 'function') {
    throw bad('sharedWorker', 'given by sharedSocket() of signal-mesh/worker')
  }
  if (onIncoming !== undefined && typeof onIncoming !== 'function') {
    throw bad('onIncoming', 'a function')
  }
  checkAbortSignal(signal)
  if (options.connect !== undefined) checkConnect(options.connect?.id, options.connect)
}

export function checkIceServers(iceServers: unknown): void {
  if (!Array.isArray(iceServers) || !iceServers.every(isIceServer)) {
    throw bad('iceServers', 'a list of objects with "urls", or a function that makes one')
  }
}

/** simple-peer takes these from it. */
const WRTC_PARTS = ['RTCPeerConnection', 'RTCSessionDescription', 'RTCIceCandidate']

function checkWrtc(wrtc: object): void {
  checkObject(wrtc, 'wrtc')
  const lacks = WRTC_PARTS.filter((name) => !(name in wrtc))
  // As does a namespace, of `import * as wrtc`, where the package only has a default.
  if (lacks.length) throw bad('wrtc', `an implementation of WebRTC; it lacks ${lacks.join(', ')}`)
}

/** The homes to try; in a page, its own origin where none is named. */
export function homeUrls(urls: readonly string[] | undefined): readonly string[] {
  const own = globalThis.location?.origin
  const all = urls === undefined ? (own ? [own] : []) : urls
  if (!Array.isArray(all)) throw bad('urls', 'a list of URLs')
  if (all.length === 0) {
    throw new SignalMeshError('BAD_ARGUMENT', 'Name a home node: joinMesh({ urls: ["https://…"] })')
  }
  for (const url of all) {
    if (typeof url !== 'string' || !isHomeUrl(url)) {
      throw new SignalMeshError('BAD_ARGUMENT', `Not the URL of a home node: ${shown(url)}`)
    }
  }
  return [...all]
}

/** Checks what `connect` is given; the peer comes back as the mesh writes it. */
export function checkConnect(
  peer: unknown,
  options: ConnectOptions,
  self: PeerId = '',
): { peer: PeerId; metadata: Uint8Array; timeoutMs: number } {
  if (typeof peer !== 'string' || peer.length !== 64 || !/^[0-9a-f]{64}$/i.test(peer)) {
    throw new SignalMeshError('BAD_ARGUMENT', `Not a PeerId: ${shown(peer)}`)
  }
  if (peer.toLowerCase() === self) {
    throw new SignalMeshError('SELF_CONNECT', 'An edge cannot connect to itself')
  }
  checkObject(options, 'connect')
  const { metadata = new Uint8Array(0), timeoutMs = CONNECT_TIMEOUT_MS } = options
  if (!(metadata instanceof Uint8Array)) throw bad('metadata', 'a Uint8Array')
  if (metadata.length > MAX_METADATA_BYTES) {
    throw new SignalMeshError('TOO_LARGE', `Metadata holds at most ${MAX_METADATA_BYTES} bytes`)
  }
  if (!(typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS)) {
    throw bad('timeoutMs', 'a number above 0')
  }
  checkAbortSignal(options.signal)
  checkStreamOf(options, 'connect')
  // The caller may write over its bytes before they are sealed.
  return { peer: peer.toLowerCase(), metadata: metadata.slice(), timeoutMs }
}

export function checkRoom(options: RoomOptions): CheckedRoom {
  const { info, signal } = checkAdvertise(options, 'join')
  const { maxPeers = ROOM_PEERS } = options
  if (!Number.isInteger(maxPeers) || maxPeers < 1 || maxPeers > MAX_ATTEMPTS) {
    throw bad('maxPeers', `a whole number from 1 to ${MAX_ATTEMPTS}`)
  }
  return { maxPeers, info, signal, stream: checkStreamOf(options, 'join') }
}

/** What an application may say of itself in one topic: the rest of an advert's info is its seal. */
const MAX_OWN_INFO_BYTES = MAX_INFO_BYTES - 16

/** Checks what `advertise` is given; the info comes back as a copy, for it is sealed again and again. */
export function checkAdvertise(
  options: AdvertiseOptions,
  of = 'advertise',
): { info: Uint8Array; signal: AbortSignal | undefined } {
  checkObject(options, of)
  const { info = new Uint8Array(0), signal } = options
  if (!(info instanceof Uint8Array)) throw bad('info', 'a Uint8Array')
  if (info.length > MAX_OWN_INFO_BYTES) {
    throw new SignalMeshError('TOO_LARGE', `"info" holds at most ${MAX_OWN_INFO_BYTES} bytes`)
  }
  checkAbortSignal(signal)
  return { info: info.slice(), signal }
}

/** How many peers `discover` answers with. */
export function checkLimit(limit: number = MAX_DISCOVER): number {
  if (!Number.isInteger(limit) || limit < 1) throw bad('limit', 'a whole number above 0')
  return Math.min(limit, MAX_DISCOVER)
}

export function checkAbortSignal(signal: unknown): void {
  if (signal === undefined) return
  if (typeof (signal as AbortSignal | null)?.addEventListener !== 'function') {
    throw bad('signal', 'an AbortSignal')
  }
}

/** Connections in a room where the application names no number: enough to lose some, few for a phone. */
const ROOM_PEERS = 8

export function checkStream(stream: unknown): void {
  if (typeof (stream as MediaStream | null)?.getTracks !== 'function') {
    throw bad('stream', 'a MediaStream')
  }
}

export function checkReason(reason: unknown): string {
  if (typeof reason === 'string') return reason
  throw bad('reason', 'a string')
}

/** The stream of such options, if there is one. */
export function checkStreamOf(
  options: { readonly stream?: MediaStream },
  of: string,
): MediaStream | undefined {
  checkObject(options, of)
  if (options.stream !== undefined) checkStream(options.stream)
  return options.stream
}

/** Timers take a delay of 31 bits (HTML, section 8.6). */
const MAX_TIMER_MS = 2 ** 31 - 1

export function checkObject(options: unknown, of: string): void {
  if (typeof options !== 'object' || options === null) throw bad(of, 'given an object')
}

function isIceServer(server: unknown): boolean {
  const urls = [(server as RTCIceServer | null)?.urls].flat()
  return urls.length > 0 && urls.every((url) => typeof url === 'string')
}

function isHomeUrl(url: string): boolean {
  return (
    url.length <= MAX_URL_BYTES &&
    URL.canParse(url) &&
    /^(https?|wss?):$/.test(new URL(url).protocol)
  )
}

/** A value as part of a sentence: never long, and never one that throws. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : `a ${typeof value}`
}

function bad(name: string, what: string): SignalMeshError {
  return new SignalMeshError('BAD_ARGUMENT', `"${name}" must be ${what}`)
}
