/** Joining: makes an edge of its parts, and waits for its first home. */

import { fromHex, toHex, writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { boxKeyPair } from '../crypto.ts'
import { SignalMeshError } from '../errors.ts'
import { makeIdentity, type PeerId } from '../identity.ts'
import { JOIN_TIMEOUT_MS, MAX_DISCOVER, MAX_TOPICS_PER_EDGE } from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeFound, type Found, type HelloTopic } from '../messages.ts'
import { decodePresence, isAuthentic, type Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { networkId, type Topic, topicKey, topicTag } from '../topic.ts'
import { noHomeError } from './asking.ts'
import { createCalls } from './calls.ts'
import { createEvents, report } from './events.ts'
import { createHome } from './home.ts'
import type { Edge, EdgeEvents, Peer } from './mod.ts'
import {
  checkAbortSignal,
  checkConnect,
  checkJoin,
  checkLimit,
  homeUrls,
  type JoinOptions,
} from './options.ts'
import type { MakeRtc } from './rtc.ts'
import { createWatches } from './watch.ts'

/** What an edge stands on; a test puts other ground under it. */
export interface Ground {
  readonly clock: Clock
  readonly makeRtc: MakeRtc
  dial(url: string): Link
  /**
   * Told of the peers that a home names in its first frame, of topics that the edge is in. The edge
   * has no home yet, but may call them: the offers go out right behind its proof.
   */
  onSample?(edge: Edge, topic: Topic, peers: readonly Peer[]): void
}

/** `joinMesh` on other ground. */
export async function joinOn(ground: Ground, options: JoinOptions): Promise<Edge> {
  checkJoin(options)
  if (options.signal?.aborted) throw abortedError(options.signal)
  const { clock } = ground
  const network = options.network ?? 'main'
  const id = networkId(network)
  const identity = makeIdentity(options.identity)
  const boxKeys = boxKeyPair()
  const events = createEvents<EdgeEvents>()
  const topics = new Map<string, OwnTopic>()
  for (const topic of options.topics ?? []) {
    topics.set(toHex(topicTag(network, topic)), ownTopic(network, topic))
  }
  /** Of the first frame of a home that has yet to prove itself. */
  let sample: readonly HelloTopic[] = []
  const joined = { settle: (_error?: SignalMeshError): void => {} }

  const found = (tag: string, list: readonly Found[]): Found[] =>
    list.filter((one) => isFound(id, tag, one) && one.presence.peer !== identity.id)
  const watches = createWatches({ request: (method, body) => home.request(method, body), found })
  const home = createHome({
    urls: homeUrls(options.urls),
    networkId: id,
    identity,
    boxKeys,
    clock,
    tags: [...topics.keys()].map(fromHex),
    dial: ground.dial,
    watched: () => watches.tags,
    onSignal: (frame) => calls.receive(frame),
    onPush: (frame) => watches.receive(frame),
    onStatus: (status) => {
      if (status.state !== 'open') sample = []
      events.emit('home', status)
    },
    onGreeted: (told) => {
      sample = told
      calls.resend()
      tellSample()
    },
    onOpen: () => {
      const told = sample
      sample = []
      joined.settle()
      watches.resume(told)
    },
    onFatal: (error) => {
      joined.settle(error)
      events.emit('error', error)
      shut()
    },
  })
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
    topicOf: (tag) => (topics.get(tag) as OwnTopic).name,
    topicKey: (tag) => topics.get(tag)?.key,
    ask: (call, topic) => ask(options.onIncoming, call, topic),
    onConnection: (connection) => events.emit('connection', connection),
  })

  const tellSample = (): void => {
    for (const { tag, found: list } of sample) {
      const topic = topics.get(toHex(tag))?.topic
      const peers = topic && ground.onSample ? found(toHex(tag), list) : []
      if (topic && peers.length) ground.onSample?.(edge, topic, peers.map(peerOf))
    }
  }

  async function lookup(peer: PeerId): Promise<Presence> {
    // As fresh as an answer of the same home could be, and here before any could be asked for.
    for (const { tag, found: list } of sample) {
      const [told] = found(
        toHex(tag),
        list.filter(({ presence }) => presence.peer === peer),
      )
      if (told) return told.presence
    }
    const presence = decodePresence(await home.request(EDGE_METHOD.lookup, fromHex(peer)))
    if (presence.peer !== peer || !isAuthentic(id, presence)) {
      throw new SignalMeshError('BAD_SIGNATURE', `The home told a forged presence of ${peer}`)
    }
    return presence
  }

  const shut = (): void => {
    options.signal?.removeEventListener('abort', onAbort)
    calls.close()
    watches.close()
    home.close()
  }
  const onAbort = (): void => {
    shut()
    joined.settle(abortedError(options.signal))
  }
  options.signal?.addEventListener('abort', onAbort)

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
      const isNew = !topics.has(toHex(tag))
      topics.set(toHex(tag), ownTopic(network, topic))
      try {
        await home.advertise(tag, new Uint8Array(0))
      } catch (error) {
        if (isNew) topics.delete(toHex(tag))
        throw error
      }
    },
    unadvertise: async (topic) => {
      const tag = topicTag(network, topic)
      topics.delete(toHex(tag))
      await home.unadvertise(tag)
    },
    discover: async (topic, request = {}) => {
      const tag = topicTag(network, topic)
      const limit = checkLimit(request.limit)
      // One more than asked for, since this edge may be in the sample.
      const body = writer(33)
        .bytes(tag)
        .u8(Math.min(limit + 1, MAX_DISCOVER))
        .done()
      const list = decodeFound(await home.request(EDGE_METHOD.discover, body))
      const peers = found(toHex(tag), list.found).slice(0, limit)
      const others = list.total - (topics.has(toHex(tag)) ? 1 : 0)
      return { peers: peers.map(peerOf), total: Math.max(peers.length, others) }
    },
    watch: (topic, { signal } = {}) => {
      checkAbortSignal(signal)
      return watches.watch(topicTag(network, topic), signal)
    },
    connect: async (peer, request) =>
      calls.connect({
        ...checkConnect(peer, request, identity.id),
        tag: topicTag(network, request.topic),
        topicKey: topicKey(network, request.topic),
        topic: nameOf(request.topic),
        signal: request.signal,
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

function rtcConfig(options: JoinOptions): RTCConfiguration {
  return {
    iceServers: [...(options.iceServers ?? [])],
    ...(options.iceTransportPolicy ? { iceTransportPolicy: options.iceTransportPolicy } : {}),
  }
}

/** A topic that this edge is in. */
interface OwnTopic {
  readonly topic: Topic
  readonly name: string
  readonly key: Uint8Array
}

function ownTopic(network: string, topic: Topic): OwnTopic {
  return { topic, name: nameOf(topic), key: topicKey(network, topic) }
}

function nameOf(topic: Topic): string {
  return typeof topic === 'string' ? topic : topic.name
}

function abortedError(signal: AbortSignal | undefined): SignalMeshError {
  return new SignalMeshError('ABORTED', 'Joining was aborted', { cause: signal?.reason })
}
