/** Joining: makes an edge of its parts, and waits for its first home. */

import { fromHex, toHex, writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { boxKeyPair } from '../crypto.ts'
import { SignalMeshError } from '../errors.ts'
import { type Identity, makeIdentity, type PeerId } from '../identity.ts'
import { JOIN_TIMEOUT_MS, MAX_DISCOVER, MAX_TOPICS_PER_EDGE } from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeFound, type Found } from '../messages.ts'
import { decodePresence, isAuthentic, type Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { networkId, type Topic, topicKey, topicTag } from '../topic.ts'
import { abortedError, orAborted } from './abort.ts'
import { type AheadOptions, makeAhead } from './ahead.ts'
import { noHomeError } from './asking.ts'
import { createCalls } from './calls.ts'
import type { Call } from './calltypes.ts'
import { createCarrier } from './carrier.ts'
import type { Connection } from './connection.ts'
import { createEvents, report } from './events.ts'
import type { Told } from './greeting.ts'
import { createHome } from './home.ts'
import { createIce, type Ice } from './ice.ts'
import { openInfo, sealInfo } from './info.ts'
import { createKnown, type Known } from './known.ts'
import type { Edge, EdgeEvents, Peer } from './mod.ts'
import { prepare } from './native.ts'
import {
  checkAbortSignal,
  checkAdvertise,
  checkConnect,
  checkJoin,
  checkLimit,
  checkObject,
  checkReason,
  checkRoom,
  checkStreamOf,
  homeUrls,
  type Incoming,
  type JoinOptions,
} from './options.ts'
import { createRooms } from './rooms.ts'
import type { MakeRtc } from './rtc.ts'
import type { Wakes } from './waking.ts'
import { believing, believingFound } from './wants.ts'
import { createWatches } from './watch.ts'

/** What an edge stands on; a test puts other ground under it. */
export interface Ground {
  readonly clock: Clock
  readonly makeRtc: MakeRtc
  /** Whether there is WebRTC without `wrtc`; without this one there is. */
  hasRtc?(): boolean
  dial(url: string): Link
  /** The edge's, where it is made already. */
  readonly identity?: Identity
  /** Signs that the machine or the network may have been away. */
  readonly wakes?: Wakes
  /**
   * Told of the peers that a home names in its first frame, of topics that the edge is in. The edge
   * has no home yet, but may call them: the offers go out right behind its proof.
   */
  onSample?(edge: Edge, topic: Topic, peers: readonly Peer[]): void
}

/** `joinMesh` on other ground. */
export async function joinOn(ground: Ground, options: JoinOptions): Promise<Edge> {
  checkJoin(options)
  if (options.signal?.aborted) throw abortedError('Joining', options.signal)
  const { clock } = ground
  const { network = 'main' } = options
  const id = networkId(network)
  const identity = ground.identity ?? makeIdentity(options.identity)
  const boxKeys = boxKeyPair()
  const events = createEvents<EdgeEvents>(['connection', 'home', 'error'])
  const topics = new Map<string, OwnTopic>()
  for (const topic of options.topics ?? []) {
    topics.set(toHex(topicTag(network, topic)), ownTopic(network, topic))
  }
  const known = createKnown(id)
  /** The peer to call as soon as there is a home to call by. */
  let first = options.connect
  /** What the home's first frame told of topics and of the peer to call; it had yet to prove itself. */
  let told: Told = { topics: [] }
  const joined = { settle: (_error?: SignalMeshError): void => {} }

  const found = (tag: string, list: readonly Found[]): Found[] => {
    const others = list.filter(
      (one) => isFound(id, known, tag, one) && one.presence.peer !== identity.id,
    )
    // Each once: a home could name one edge in the place of all others.
    return [...new Map(others.map((one) => [one.presence.peer, one])).values()]
  }
  const watches = createWatches({
    ready: (list) => prepare(() => believingFound(id, list)),
    request: (method, body) => home.request(method, body),
    found,
    isIn: (tag) => topics.has(tag),
  })
  const ice = createIce({
    clock,
    wanted: options.iceServers,
    request: (method, body) => home.request(method, body),
    url: () => home.status.url,
  })
  const rooms = createRooms(identity.id, clock)
  const carrier = createCarrier({
    clock,
    request: (method, body) => home.request(method, body),
    canSend: () => home.canCarry,
    send: (frame) => home.carry(frame),
  })
  const home = createHome({
    urls: homeUrls(options.urls),
    networkId: id,
    identity,
    boxKeys,
    clock,
    tags: [...topics.keys()].map(fromHex),
    dial: ground.dial,
    wakes: ground.wakes,
    onWake: () => calls.woken(),
    watched: () => watches.tags,
    wanted: () => first?.id.toLowerCase(),
    onSignal: (frame) => calls.receive(frame),
    onPush: (frame) => watches.receive(frame),
    onCarried: carrier.receive,
    onStun: ice.greeted,
    onTurn: ice.welcomed,
    onStatus: (status) => {
      if (status.state !== 'open') {
        told = { topics: [] }
        carrier.homeLost()
      }
      events.emit('home', status)
    },
    onGreeted: (by) => {
      told = by
      calls.resend()
      tellSample()
      callFirst()
    },
    onOpen: () => {
      joined.settle()
      watches.resume(told.topics)
      carrier.homeOpened()
    },
    onFatal: (error) => {
      joined.settle(error)
      events.emit('error', error)
      shut()
    },
  })
  // Its offer is ready by the time that the socket is open.
  const ahead =
    first && makeAhead(ground.makeRtc, { ...aheadOptions(options, ice), servers: ice.named })
  const calls = createCalls({
    networkId: id,
    identity,
    boxKeys,
    clock,
    makeRtc: ahead?.makeRtc ?? ground.makeRtc,
    get config() {
      return rtcConfig(options, ice)
    },
    wrtc: options.wrtc,
    hasRtc: () => options.wrtc !== undefined || (ground.hasRtc?.() ?? true),
    presence: () => home.presence,
    isHome: () => home.canSignal,
    send: home.signal,
    carrier: options.meshRelay === false ? undefined : carrier,
    lookup,
    known: heardOf,
    isAuthentic: known.isAuthentic,
    topicOf: (tag) => (topics.get(tag) as OwnTopic).name,
    topicKey: (tag) => topics.get(tag)?.key,
    ask: (call, topic) => rooms.ask(call) ?? ask(options.onIncoming, call, topic),
    onConnection: (connection, tag) => {
      rooms.connected(connection, tag)
      events.emit('connection', connection)
    },
  })

  const callFirst = (): void => {
    if (!first) return
    const { id: peer, ...request } = first
    first = undefined
    // The application hears of it when it asks for the connection itself.
    const closeAhead = (): void => ahead?.close()
    edge.connect(peer, request).then(closeAhead, closeAhead)
  }

  const tellSample = (): void => {
    for (const { tag, found: list } of told.topics) {
      const topic = topics.get(toHex(tag))?.topic
      const peers = topic && ground.onSample ? found(toHex(tag), list) : []
      if (topic && peers.length) ground.onSample?.(edge, topic, peers.map(peerIn(topic)))
    }
  }

  /** What the home told is checked only when it is wanted: for most of it that never comes. */
  function heardOf(peer: PeerId): Presence | undefined {
    if (home.status.state === 'closed') return undefined
    const all = told.topics.flatMap(({ found }) => found.map(({ presence }) => presence))
    const one = [told.held, ...all].find((presence) => presence?.peer === peer)
    if (one) known.isAuthentic(one)
    return known.get(peer)
  }

  async function lookup(peer: PeerId): Promise<Presence> {
    const presence = decodePresence(await home.request(EDGE_METHOD.lookup, fromHex(peer)))
    await prepare(() => (known.has(presence) ? [] : believing(id, [presence])))
    if (presence.peer !== peer || !known.isAuthentic(presence)) {
      throw new SignalMeshError('BAD_SIGNATURE', `The home told a forged presence of ${peer}`)
    }
    return presence
  }

  const shut = (): void => {
    options.signal?.removeEventListener('abort', onAbort)
    rooms.close()
    calls.close()
    ahead?.close()
    watches.close()
    carrier.close()
    ice.close()
    home.close()
  }
  const onAbort = (): void => {
    shut()
    joined.settle(abortedError('Joining', options.signal))
  }
  options.signal?.addEventListener('abort', onAbort)

  const peerIn = (topic: Topic): ((found: Found) => Peer) => {
    const key = topicKey(network, topic)
    return ({ presence, advert }) => ({
      id: presence.peer,
      home: presence.home,
      info: openInfo(key, advert),
    })
  }

  const advertise = async (own: OwnTopic, info: Uint8Array): Promise<void> => {
    const tag = toHex(own.tag)
    const isNew = !topics.has(tag)
    if (isNew && topics.size >= MAX_TOPICS_PER_EDGE) {
      throw new SignalMeshError('TOO_MANY', `An edge has at most ${MAX_TOPICS_PER_EDGE} topics`)
    }
    topics.set(tag, own)
    const place = { peerKey: identity.keys.publicKey, tag }
    try {
      await home.advertise(own.tag, (seq) => sealInfo(own.key, { ...place, seq }, info))
    } catch (error) {
      if (isNew) topics.delete(tag)
      throw error
    }
  }

  const edge: Edge = {
    id: identity.id,
    identity: identity.seed,
    get home() {
      return home.status
    },
    advertise: async (topic, request = {}) => {
      const { info, signal } = checkAdvertise(request)
      const own = ownTopic(network, topic)
      const isNew = !topics.has(toHex(own.tag)) && !signal?.aborted
      await orAborted('Advertising', signal, () => advertise(own, info)).catch((error) => {
        // What was there before stays; only the info may be either.
        if (isNew && signal?.aborted) edge.unadvertise(topic).catch(() => undefined)
        throw error
      })
    },
    unadvertise: async (topic) => {
      const tag = topicTag(network, topic)
      topics.delete(toHex(tag))
      await home.unadvertise(tag)
    },
    discover: async (topic, request = {}) => {
      checkObject(request, 'discover')
      const tag = topicTag(network, topic)
      const limit = checkLimit(request.limit)
      checkAbortSignal(request.signal)
      // One more than asked for, since this edge may be in the sample.
      const body = writer(33)
        .bytes(tag)
        .u8(Math.min(limit + 1, MAX_DISCOVER))
        .done()
      const ask = () => home.request(EDGE_METHOD.discover, body)
      const list = decodeFound(await orAborted('Discovering', request.signal, ask))
      await prepare(() => believingFound(id, list.found))
      const peers = found(toHex(tag), list.found).slice(0, limit)
      const others = list.total - (topics.has(toHex(tag)) ? 1 : 0)
      return { peers: peers.map(peerIn(topic)), total: Math.max(peers.length, others) }
    },
    watch: (topic, request = {}) => {
      checkObject(request, 'watch')
      const { signal } = request
      checkAbortSignal(signal)
      return watches.watch(ownTopic(network, topic), signal)
    },
    join: async (topic, request = {}) => {
      const checked = checkRoom(request)
      const own = ownTopic(network, topic)
      calls.checkRtc()
      return rooms.join(
        {
          name: own.name,
          tag: toHex(own.tag),
          advertise: (info) => advertise(own, info),
          unadvertise: () => edge.unadvertise(topic),
          follow: (take) => watches.follow(own, take),
          connect: (peer, signal) =>
            edge.connect(peer, {
              topic,
              signal,
              ...(checked.stream && { stream: checked.stream }),
            }),
        },
        checked,
      )
    },
    connect: async (peer, request) =>
      calls.connect({
        ...checkConnect(peer, request, identity.id),
        tag: topicTag(network, request.topic),
        topicKey: topicKey(network, request.topic),
        topic: nameOf(request.topic),
        signal: request.signal,
        stream: request.stream,
      }),
    on: events.on,
    close: async () => shut(),
    [Symbol.asyncDispose]: async () => shut(),
  }

  await new Promise<void>((resolve, reject) => {
    const cancelTimer = clock.after(JOIN_TIMEOUT_MS, () =>
      joined.settle(noHomeError(home.lastError)),
    )
    joined.settle = (error) => {
      cancelTimer()
      if (error) reject(error)
      else resolve()
    }
  }).catch((error: unknown) => {
    shut()
    throw error
  })

  return edge
}

/** Whether the records are the peer's own, and for this topic. */
function isFound(id: Uint8Array, known: Known, tag: string, { presence, advert }: Found): boolean {
  return (
    presence.peer === advert.peer &&
    advert.tag === tag &&
    known.isAuthentic(presence) &&
    isAuthentic(id, advert)
  )
}

function ask(
  onIncoming: JoinOptions['onIncoming'],
  call: Call,
  topic: string,
): Promise<MediaStream | undefined> {
  if (!onIncoming) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const take = async (options: { stream?: MediaStream } = {}): Promise<Connection> => {
      const stream = checkStreamOf(options, 'accept')
      if (stream && call.taken) call.addStream(stream)
      resolve(stream)
      return call.opened
    }
    const accept: Incoming['accept'] = (options) => {
      const opened = take(options)
      // Who does not wait for it hears of it elsewhere.
      opened.catch(() => undefined)
      return opened
    }
    const refuse = (reason = ''): void =>
      reject(new SignalMeshError('REFUSED', checkReason(reason)))
    const { peer: id, metadata, signal } = call
    Promise.resolve()
      .then(() => onIncoming({ id, topic, metadata, signal, accept, refuse }))
      .catch((error: unknown) => {
        // That a call which was taken has failed is no failure of the application.
        if (!call.taken || !(error instanceof SignalMeshError)) report(error)
        refuse('the application failed')
      })
  })
}

function aheadOptions(options: JoinOptions, ice: Ice): AheadOptions {
  const { connect, wrtc } = options
  const streams = connect?.stream ? [connect.stream] : []
  return { config: rtcConfig(options, ice), wrtc, streams }
}

function rtcConfig(options: JoinOptions, { servers }: Ice): RTCConfiguration {
  return {
    iceServers: servers,
    ...(options.iceTransportPolicy ? { iceTransportPolicy: options.iceTransportPolicy } : {}),
  }
}

/** A topic that this edge is in. */
interface OwnTopic {
  readonly topic: Topic
  readonly name: string
  readonly tag: Uint8Array
  readonly key: Uint8Array
}

function ownTopic(network: string, topic: Topic): OwnTopic {
  const tag = topicTag(network, topic)
  return { topic, name: nameOf(topic), tag, key: topicKey(network, topic) }
}

function nameOf(topic: Topic): string {
  return typeof topic === 'string' ? topic : topic.name
}
