/** What an application hands in, checked before anything is done with it. */

import { SignalMeshError } from '../errors.ts'
import type { PeerId } from '../identity.ts'
import { CONNECT_TIMEOUT_MS, MAX_DISCOVER, MAX_TOPICS_PER_EDGE } from '../limits.ts'
import type { Topic } from '../topic.ts'
import { MAX_METADATA_BYTES } from './items.ts'

export interface JoinOptions {
  /** Nodes to be at home with, the first that answers. Default: the page's own origin. */
  readonly urls?: readonly string[]
  /** Genesis name of the network. Default: `main`. */
  readonly network?: string
  /** Topics to advertise from the first moment; some of their peers come with the node's first frame. */
  readonly topics?: readonly Topic[]
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

export interface ConnectOptions {
  /** The topic that both are in. */
  readonly topic: Topic
  /** Up to 4 KiB for the called application. */
  readonly metadata?: Uint8Array
  /** Default: 30,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Refuses options that joining could not work with. */
export function checkJoin(options: JoinOptions): void {
  checkObject(options, 'joinMesh')
  const { iceServers, onIncoming, signal, topics = [] } = options
  if (!Array.isArray(topics)) throw bad('topics', 'a list of topics')
  if (topics.length > MAX_TOPICS_PER_EDGE) {
    throw new SignalMeshError('TOO_MANY', `An edge has at most ${MAX_TOPICS_PER_EDGE} topics`)
  }
  if (iceServers !== undefined && !Array.isArray(iceServers)) throw bad('iceServers', 'a list')
  if (onIncoming !== undefined && typeof onIncoming !== 'function') {
    throw bad('onIncoming', 'a function')
  }
  checkAbortSignal(signal)
}

/** The homes to try; in a page, its own origin where none is named. */
export function homeUrls(urls: readonly string[] | undefined): readonly string[] {
  const own = globalThis.location?.origin
  const all = urls ?? (own ? [own] : [])
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
  self: PeerId,
): { peer: PeerId; metadata: Uint8Array; timeoutMs: number } {
  if (typeof peer !== 'string' || !/^[0-9a-f]{64}$/i.test(peer)) {
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
  // The caller may write over its bytes before they are sealed.
  return { peer: peer.toLowerCase(), metadata: metadata.slice(), timeoutMs }
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

/** Timers take a delay of 31 bits (HTML, section 8.6). */
const MAX_TIMER_MS = 2 ** 31 - 1

function checkObject(options: unknown, of: string): void {
  if (typeof options !== 'object' || options === null) throw bad(of, 'given an object')
}

function isHomeUrl(url: string): boolean {
  return URL.canParse(url) && /^(https?|wss?):$/.test(new URL(url).protocol)
}

/** A value as part of a sentence: never long, and never one that throws. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : `a ${typeof value}`
}

function bad(name: string, what: string): SignalMeshError {
  return new SignalMeshError('BAD_ARGUMENT', `"${name}" must be ${what}`)
}
