/** An RTC connection over simple-peer, as the plain functions that a connection needs. */

import Peer, { type SignalData } from 'simple-peer'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { Item } from './items.ts'
import { createMedia } from './media.ts'
import { nextGeneration } from './restart.ts'
import type { NetFacts } from './why.ts'
import { gatherFacts } from './whygather.ts'

/** How data gets to the peer: on one machine or network, directly, or through a TURN server. */
export type RtcPath = 'local' | 'direct' | 'turn'

export interface RtcOptions {
  readonly initiator: boolean
  readonly config: RTCConfiguration
  /** The same as things are now, for a restart: credentials run out. */
  configNow?(): RTCConfiguration
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
  /** An open connection has lost its path, or has one again. */
  onAway(isAway: boolean): void
  /** An open connection goes another way, where the browser says so. */
  onPath?(): void
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
  /** Looks for a new path by an offer of the next generation; of the initiator alone. */
  restart(): void
  /** Of the descriptions that there are. */
  readonly generation: number
  /** What it shows of this side's network. */
  facts(): NetFacts
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
  const gathered = gatherFacts(peer._pc, options.config)
  if (options.servers) awaitServers(peer._pc, options.config, options.servers)
  outliveLostPath(peer, () => options.onAway(true))
  // It asks for the addresses before it says that it is open, and nobody asks it for them.
  peer.getStats = (done) => done(null, [{ type: 'candidate-pair', selected: true }])
  let failure: SignalMeshError | undefined
  /** Streams that came before the connection is open. */
  let early: MediaStream[] | undefined = []
  /** Of the description that the other side told last, and of the last one of this side. */
  let remoteGeneration = 0
  let generation = 0
  let toldEnd = false
  /** What was gathered for a description that has yet to be told. */
  const held: Item[] = []
  let toldGeneration = 0
  let ufrag: string | undefined

  const tell = (item: Item): void => {
    if ('generation' in item && item.kind !== 'description' && generation !== toldGeneration) {
      held.push(item)
      return
    }
    options.onItem(item)
    if (item.kind !== 'description') return
    toldGeneration = generation
    for (const one of held.splice(0)) options.onItem(one)
  }

  onDescribe(peer._pc, (sdp) => {
    const now = /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1]
    if (ufrag !== undefined && now !== ufrag) {
      generation = options.initiator ? nextGeneration(generation) : remoteGeneration
      gathered.reset()
    }
    ufrag = now
  })

  const refreshServers = (): void => {
    try {
      if (options.configNow) peer._pc.setConfiguration(options.configNow())
    } catch {
      // Some runtimes cannot change them: those that there are may still do.
    }
  }
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
    const item = toItem(signal, generation)
    if (item) tell(item)
  })
  peer.on('connect', () => {
    // Asked for its transport, the WebRTC of a server may crash the process at its end.
    const { iceTransport } = (options.wrtc ? undefined : peer._pc.sctp?.transport) ?? {}
    iceTransport?.addEventListener?.('selectedcandidatepairchange', () => options.onPath?.())
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
    if (isDone && !toldEnd) tell({ kind: 'end-of-candidates', generation })
    toldEnd = isDone
    if (state === 'connected' || state === 'completed') options.onAway(false)
  })
  peer.on('error', (cause) => {
    failure = new SignalMeshError('RTC_FAILED', `The RTC connection failed: ${cause.message}`, {
      cause,
    })
  })
  peer.on('close', () => options.onClose(failure))
  return {
    take: (item) => {
      if (item.kind === 'description') {
        // Its answer gathers anew, too.
        if (item.generation !== remoteGeneration && item.type === 'offer') refreshServers()
        remoteGeneration = item.generation
      }
      // What was gathered before a restart of ICE is of no use after it.
      else if ('generation' in item && item.generation !== remoteGeneration) return
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
    restart: () => {
      if (peer.destroyed) return
      refreshServers()
      peer._pc.restartIce?.()
      peer.negotiate()
    },
    get generation() {
      return generation
    },
    facts: gathered.facts,
    close: () => peer.destroy(),
    connection: peer._pc,
  }
}

/** A path that is lost can be found again; simple-peer would end the whole connection. */
function outliveLostPath(peer: Peer, onLost: () => void): void {
  const { _pc: connection } = peer
  const { oniceconnectionstatechange: onIceState, onconnectionstatechange: onState } = connection
  const isLost = (): boolean => {
    const { iceConnectionState: state } = connection
    return peer.connected && (state === 'failed' || state === 'disconnected')
  }
  connection.oniceconnectionstatechange = (event) => {
    if (isLost()) onLost()
    else onIceState?.call(connection, event)
  }
  connection.onconnectionstatechange = (event) => {
    if (!isLost()) onState?.call(connection, event)
  }
}

/** Hands on each local description before it is set. */
function onDescribe(connection: RTCPeerConnection, look: (sdp: string) => void): void {
  const describe = connection.setLocalDescription.bind(connection)
  connection.setLocalDescription = async (description?: RTCLocalSessionDescriptionInit) => {
    look(description?.sdp ?? '')
    return describe(description)
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

function toItem(signal: SignalData, generation: number): Item | undefined {
  switch (signal.type) {
    case 'offer':
    case 'answer':
      return { kind: 'description', generation, type: signal.type, sdp: signal.sdp }
    case 'candidate': {
      const { candidate, sdpMid, sdpMLineIndex } = signal.candidate
      // Some browsers say so that there are no more; all do by the state of gathering.
      if (!candidate) return undefined
      return {
        kind: 'candidate',
        generation,
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
