/** An RTC connection over simple-peer, as the plain functions that a connection needs. */

import Peer, { type SignalData } from 'simple-peer'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { Item } from './items.ts'
import { createMedia } from './media.ts'

/** How data gets to the peer: on one machine or network, directly, or through a TURN server. */
export type RtcPath = 'local' | 'direct' | 'turn'

export interface RtcOptions {
  readonly initiator: boolean
  readonly config: RTCConfiguration
  /** Servers that are not known yet: the first description waits for them. */
  readonly servers?: Promise<RTCIceServer[]> | undefined
  /** An implementation of WebRTC where the runtime has none. */
  readonly wrtc?: object | undefined
  /** Streams to send from the first description on. */
  readonly streams?: readonly MediaStream[]
  /** What has to be told to the other side. */
  onItem(item: Item): void
  onOpen(): void
  onData(data: string | Uint8Array): void
  /** The other side sends a stream; told once the connection is open. */
  onStream(stream: MediaStream): void
  /** The other side can be reached no more for the moment, or again. */
  onAway(isAway: boolean): void
  /** The connection is over; `error` where it did not end in order. */
  onClose(error: SignalMeshError | undefined): void
}

export interface Rtc {
  /** Takes what the other side told. */
  take(item: Item): void
  /** Resolves when the channel has room for more. */
  send(data: string | Uint8Array): Promise<void>
  /** Sends a stream, or what it has gained since. */
  addStream(stream: MediaStream): void
  removeStream(stream: MediaStream): void
  path(): Promise<RtcPath | undefined>
  close(): void
  readonly connection: RTCPeerConnection
}

export type MakeRtc = (options: RtcOptions) => Rtc

/** Whether the runtime has WebRTC of its own; workers have none. */
export const hasRtc = (): boolean => typeof globalThis.RTCPeerConnection === 'function'

export const makeRtc: MakeRtc = (options) => {
  const peer = new Peer({
    initiator: options.initiator,
    // Always given: without it simple-peer asks servers of companies that nobody chose.
    config: { iceServers: [], ...options.config },
    // Keeps the bounds of messages, and text apart from bytes.
    objectMode: true,
    // Nobody waits for it, as candidates trickle, but a process would: simple-peer never clears it.
    iceCompleteTimeout: 1,
    ...(options.wrtc ? { wrtc: options.wrtc } : {}),
  })
  if (options.servers) awaitServers(peer._pc, options.config, options.servers)
  // It asks for the addresses before it says that it is open, and nobody asks it for them.
  peer.getStats = (done) => done(null, [{ type: 'candidate-pair', selected: true }])
  let failure: SignalMeshError | undefined
  /** Streams that came before the connection is open. */
  let early: MediaStream[] | undefined = []
  /** Of the description that the other side told last. */
  let generation = 0
  let toldEnd = false
  const media = createMedia({
    connection: peer._pc,
    negotiate: () => peer.negotiate(),
    onStream: (stream) => {
      if (early) early.push(stream)
      else if (!peer.destroyed) options.onStream(stream)
    },
  })
  // Before the microtask in which the first negotiation begins, so that they are part of it.
  for (const stream of options.streams ?? []) media.add(stream)
  peer.on('signal', (signal) => {
    const item = toItem(signal)
    if (item) options.onItem(item)
  })
  peer.on('connect', () => {
    options.onOpen()
    // The peer's first messages may be here before simple-peer says that it is connected; without a
    // listener they wait.
    peer.on('data', (chunk) =>
      options.onData(typeof chunk === 'string' ? chunk : new Uint8Array(chunk)),
    )
    const streams = early ?? []
    early = undefined
    for (const stream of streams) options.onStream(stream)
  })
  peer.on('iceStateChange', (state, gathering) => {
    const isDone = gathering === 'complete'
    if (isDone && !toldEnd) options.onItem({ kind: 'end-of-candidates', generation: 0 })
    toldEnd = isDone
    if (state === 'disconnected') options.onAway(true)
    else if (state === 'connected' || state === 'completed') options.onAway(false)
  })
  peer.on('error', (cause) => {
    failure = new SignalMeshError('RTC_FAILED', `The RTC connection failed: ${cause.message}`, {
      cause,
    })
  })
  peer.on('close', () => options.onClose(failure))
  return {
    take: (item) => {
      if (item.kind === 'description') generation = item.generation
      // What was gathered before a restart of ICE is of no use after it.
      else if ('generation' in item && item.generation !== generation) return
      const signal = toSignal(item)
      if (signal && !peer.destroyed) peer.signal(signal)
    },
    send: (data) =>
      new Promise((resolve, reject) => {
        if (peer.destroyed) reject(closedError())
        else peer.write(data, (error) => (error ? reject(closedError(error)) : resolve()))
      }),
    addStream: (stream) => {
      let isNew: boolean
      try {
        isNew = media.add(stream)
      } catch (cause) {
        throw asMeshError(cause, 'BAD_ARGUMENT')
      }
      if (isNew) peer.negotiate()
    },
    removeStream: media.remove,
    path: () => pathOf(peer._pc),
    close: () => peer.destroy(),
    connection: peer._pc,
  }
}

/** Gathering begins with the first description, and asks those servers that are known by then. */
function awaitServers(
  connection: RTCPeerConnection,
  config: RTCConfiguration,
  servers: Promise<RTCIceServer[]>,
): void {
  const set = servers
    .then((iceServers) => connection.setConfiguration({ ...config, iceServers }))
    // Some runtimes cannot change them: then it has those that it was made with.
    .catch(() => undefined)
  const describe = connection.setLocalDescription.bind(connection)
  connection.setLocalDescription = async (description?: RTCLocalSessionDescriptionInit) => {
    await set
    return describe(description)
  }
}

function toItem(signal: SignalData): Item | undefined {
  switch (signal.type) {
    case 'offer':
    case 'answer':
      return { kind: 'description', generation: 0, type: signal.type, sdp: signal.sdp }
    case 'candidate': {
      const { candidate, sdpMid, sdpMLineIndex } = signal.candidate
      // Some browsers say so that there are no more; all do by the state of gathering.
      if (!candidate) return undefined
      return {
        kind: 'candidate',
        generation: 0,
        candidate,
        sdpMid: sdpMid ?? null,
        sdpMLineIndex: sdpMLineIndex ?? null,
      }
    }
    case 'renegotiate':
      return { kind: 'renegotiate' }
    case 'transceiverRequest':
      return { kind: 'transceiver', media: signal.transceiverRequest.kind }
    default:
      return undefined
  }
}

function toSignal(item: Item): SignalData | undefined {
  switch (item.kind) {
    case 'description':
      return { type: item.type, sdp: item.sdp }
    case 'candidate': {
      const { candidate, sdpMid, sdpMLineIndex } = item
      return { type: 'candidate', candidate: { candidate, sdpMid, sdpMLineIndex } }
    }
    case 'end-of-candidates':
      // Of the first section, by whose path all others go.
      return { type: 'candidate', candidate: { candidate: '', sdpMid: null, sdpMLineIndex: 0 } }
    case 'renegotiate':
      return { type: 'renegotiate', renegotiate: true }
    case 'transceiver':
      return { type: 'transceiverRequest', transceiverRequest: { kind: item.media } }
    default:
      return undefined
  }
}

/** Reads the selected candidate pair (W3C webrtc-stats); `undefined` while there is none. */
async function pathOf(connection: RTCPeerConnection): Promise<RtcPath | undefined> {
  const stats = new Map<string, Record<string, unknown>>()
  const reports = await connection.getStats()
  reports.forEach((report) => {
    stats.set(report.id, report)
  })
  const all = [...stats.values()]
  const selected = all.find((report) => report['type'] === 'transport')?.['selectedCandidatePairId']
  const pair =
    stats.get(String(selected)) ??
    // Firefox names no transport but marks the pair.
    all.find((report) => report['type'] === 'candidate-pair' && report['selected'] === true)
  if (!pair) return undefined
  const types = ['localCandidateId', 'remoteCandidateId'].map(
    (end) => stats.get(String(pair[end]))?.['candidateType'],
  )
  if (types.includes('relay')) return 'turn'
  return types.every((type) => type === 'host') ? 'local' : 'direct'
}

function closedError(cause?: unknown): SignalMeshError {
  return new SignalMeshError('CLOSED', 'Cannot send: the connection is closed', { cause })
}
