/** A mesh node: wires the home's log, the directory, gossip, links, edges and forwarding together. */

import { acceptsAuthority } from './authority.ts'
import { decodeBatch, decodeHead, isSignedByHome } from './batch.ts'
import { concat } from './bytes.ts'
import { type Clock, repeat, systemClock } from './clock.ts'
import { createDirectory } from './directory.ts'
import { createEdges } from './edges.ts'
import { loadEpoch } from './epoch.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import { type Counters, createForward } from './forward.ts'
import { createGossip } from './gossip.ts'
import { createHomeLog } from './homelog.ts'
import { addressOf, answerHttp } from './http.ts'
import { loadIdentity, type NodeId } from './identity.ts'
import { HEARTBEAT_MS, HOME_EXPIRES_MS, MAX_CONTACT_URLS, MAX_OTHER_HOMES } from './limits.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import { FRAME } from './messages.ts'
import { createNeighbours } from './neighbours.ts'
import { applyBatch, applyHead, isFresh, isNews } from './replica.ts'
import type { MeshLinkInfo, Runtime, Store, Swarm, UpgradeInfo } from './runtime.ts'
import { runSession } from './session.ts'
import { createSync } from './sync.ts'
import { networkId, PROTOCOL_VERSION } from './topic.ts'

export interface NodeOptions {
  /** Genesis name of the network; nodes and edges of another never meet. */
  readonly network: string
  readonly runtime: Pick<Runtime, 'name' | 'version'>
  readonly store: Store
  readonly log: Log
  readonly clock?: Clock
  /** Where edges reach this node from outside; then also the only authorities it answers to. */
  readonly publicUrls?: readonly string[]
  /** Proxies whose X-Forwarded-For is believed: addresses, or `loopback`. */
  readonly trustProxy?: readonly string[]
  /** Static files: the demo page, the edge bundle, the source offer. */
  readonly assets?: (path: string) => Response | undefined
}

export interface Health {
  readonly status: 'ok' | 'stopping'
  readonly nodeId: NodeId
  readonly network: string
  readonly protocolVersion: number
  readonly runtime: string
  readonly neighbours: number
  readonly edges: number
  readonly uptimeSeconds: number
  /** Homes and edges of the whole mesh, as this node sees it. */
  readonly mesh: { readonly homes: number; readonly edges: number }
  readonly signals: Readonly<Counters>
}

export interface MeshNode {
  readonly id: NodeId
  fetch(request: Request, info: UpgradeInfo): Response | Promise<Response>
  upgrade(request: Request, info: UpgradeInfo): Response | ((link: Link) => void)
  /** Takes a raw link to another node. */
  addLink(link: Link, info: MeshLinkInfo): void
  /** Lets the node dial others on demand. */
  useSwarm(swarm: Swarm): void
  /** Says where edges reach this node, once it listens. */
  setUrls(urls: readonly string[]): void
  health(): Health
  /** Says goodbye to edges and neighbours. */
  close(): Promise<void>
}

/**
 * Makes a node. It is a whole mesh by itself until links are added.
 * @throws SignalMeshError `IDENTITY_CORRUPT` or `DATA_UNREADABLE` from the store
 */
export async function createNode(options: NodeOptions): Promise<MeshNode> {
  const { log, clock = systemClock, publicUrls = [] } = options
  const network = networkId(options.network)
  const identity = await loadIdentity(options.store)
  const epoch = await loadEpoch(options.store, clock.nowMs())
  const startedAtMs = clock.nowMs()
  const directory = createDirectory(network)
  let swarm: Swarm | undefined
  let urls: readonly string[] = publicUrls
  let stopping = false

  const gossip = createGossip({
    id: identity.id,
    send: (neighbour, packet) =>
      void neighbours.send(neighbour, concat(Uint8Array.of(FRAME.gossip), packet)),
    check: checkGossip,
    deliver: deliverGossip,
  })
  const homeLog = createHomeLog({
    identity,
    networkId: network,
    directory,
    clock,
    epoch,
    publish: (bytes) => gossip.publish(concat(Uint8Array.of(GOSSIP.batch), bytes)),
  })
  const neighbours = createNeighbours({
    identity,
    networkId: network,
    clock,
    log,
    serve: () => sync.serve,
    onGossip: gossip.receive,
    onSignal: (frame, from) => forward.fromNode(frame, from),
    onUp: (id) => {
      gossip.setNeighbours(neighbours.ids)
      forward.linked(id)
      beat()
      sync.meet(id).catch((error: unknown) => {
        log.debug('Could not compare homes', { node: id, why: asMeshError(error).message })
      })
    },
    onDown: () => gossip.setNeighbours(neighbours.ids),
  })
  const sync = createSync({
    networkId: network,
    directory,
    clock,
    log,
    self: identity.id,
    request: neighbours.request,
    flush: homeLog.flush,
  })
  const edges = createEdges({
    identity,
    networkId: network,
    clock,
    directory,
    log: homeLog,
    acceptsAuthority: (authority) => acceptsAuthority(publicUrls, authority),
    otherHomes: () => otherHomes(directory.homes.values(), identity.id),
    onSignal: (frame, session) => forward.fromEdge(frame, session.peerKey),
  })
  const forward = createForward({
    identity,
    networkId: network,
    directory,
    clock,
    deliver: edges.deliver,
    send: neighbours.send,
    dial: (dhtKey) => {
      swarm?.connect(dhtKey)
      return swarm !== undefined
    },
    giveUp: (dhtKey) => swarm?.forget(dhtKey),
  })

  /** Says who signed the data if it is news, so that only that is passed on. */
  function checkGossip(data: Uint8Array): NodeId | undefined {
    const bytes = data.subarray(1)
    const signed = data[0] === GOSSIP.batch ? decodeBatch(bytes) : decodeHead(bytes)
    if (signed.home === identity.id) return undefined
    const known = directory.homes.get(signed.home)
    const news =
      signed.kind === 'batch'
        ? isNews(directory, signed.home, signed)
        : !known || isFresh(signed, known)
    if (!news) return undefined
    if (!isSignedByHome(network, signed)) {
      throw new SignalMeshError(
        'BAD_SIGNATURE',
        `A ${signed.kind} that home ${signed.home} did not sign`,
      )
    }
    return signed.home
  }

  function deliverGossip(data: Uint8Array, from: NodeId): void {
    const bytes = data.subarray(1)
    try {
      if (data[0] === GOSSIP.batch) {
        const batch = decodeBatch(bytes)
        if (applyBatch(directory, batch, clock.nowMs()) === 'gap') void sync.pull(from, batch.home)
        return
      }
      const head = decodeHead(bytes)
      if (applyHead(directory, head, clock.nowMs()).behind) void sync.pull(from, head.home)
    } catch (error) {
      const { code, message } = asMeshError(error)
      log.warn('Refused what a home says', { code, why: message })
    }
  }

  function beat(): void {
    const head = homeLog.head({ dhtKey: swarm?.dhtKey, urls: urls.slice(0, MAX_CONTACT_URLS) })
    gossip.publish(concat(Uint8Array.of(GOSSIP.head), head.bytes))
  }

  const stopBeating = repeat(clock, HEARTBEAT_MS, () => {
    edges.sweep()
    for (const home of [...directory.homes.values()]) {
      if (home.id === identity.id || clock.nowMs() - home.heardAtMs <= HOME_EXPIRES_MS) continue
      log.info('Home has left the mesh', { node: home.id, edges: home.claims.size })
      directory.drop(home.id)
    }
    beat()
  })

  const health = (): Health => ({
    status: stopping ? 'stopping' : 'ok',
    nodeId: identity.id,
    network: options.network,
    protocolVersion: PROTOCOL_VERSION,
    runtime: `${options.runtime.name} ${options.runtime.version}`,
    neighbours: neighbours.ids.length,
    edges: edges.count,
    uptimeSeconds: Math.floor((clock.nowMs() - startedAtMs) / 1000),
    mesh: { homes: directory.homes.size, edges: directory.size },
    signals: forward.counters,
  })

  return {
    id: identity.id,
    fetch: (request) => answerHttp(request, health, options.assets),
    upgrade: (request, info) => {
      if (new URL(request.url).pathname !== '/edge')
        return new Response('Not found\n', { status: 404 })
      if (stopping) return new Response('Stopping\n', { status: 503 })
      const address = addressOf(request, info.remoteAddress, options.trustProxy ?? [])
      return (link) => void runSession(link, address, edges.host)
    },
    addLink: (link, info) => void neighbours.add(link, info),
    useSwarm: (joined) => {
      swarm = joined
      beat()
    },
    setUrls: (at) => {
      urls = publicUrls.length ? publicUrls : at
      beat()
    },
    health,
    close: async () => {
      if (stopping) return
      stopping = true
      stopBeating()
      const bye = new SignalMeshError('GOING_AWAY', 'This node is stopping')
      edges.close(bye)
      homeLog.flush()
      neighbours.close(bye)
      forward.close()
      homeLog.close()
      gossip.close()
    },
  }
}

/** The first byte of multicast data. */
const GOSSIP = { batch: 1, head: 2 } as const

function otherHomes(
  homes: Iterable<{ id: NodeId; contact: { urls: readonly string[] } }>,
  self: NodeId,
): string[] {
  const urls = [...homes]
    .filter(({ id }) => id !== self)
    .flatMap(({ contact }) => contact.urls.slice(0, 1))
  // Shuffled, so that the edges of a node that stops spread over the others.
  for (let i = urls.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[urls[i], urls[j]] = [urls[j] as string, urls[i] as string]
  }
  return urls.slice(0, MAX_OTHER_HOMES)
}
