/** A mesh node: takes part in the mesh and is home to edges. */

import type { Members } from './admission.ts'
import { type Anchor, loadAnchors } from './anchors.ts'
import { type AppCounters, type AppHandlers, type AppPort, createApps } from './apps.ts'
import { acceptsAuthority, authorityOf, insideUrl, mayDial } from './authority.ts'
import { toHex } from './bytes.ts'
import { type CarryCounters, type CarrySettings, createCarry } from './carry.ts'
import { runtimesOf } from './claims.ts'
import { type Clock, repeat, systemClock } from './clock.ts'
import type { Drained } from './draining.ts'
import { createEdges } from './edges.ts'
import { keepEpoch, loadEpoch } from './epoch.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from './errors.ts'
import { type Counters, createForward } from './forward.ts'
import { addressOf, answerHttp } from './http.ts'
import { NO_ICE } from './ice.ts'
import { createStuns, type StunPort } from './icesource.ts'
import { loadIdentity, type NodeId } from './identity.ts'
import {
  ANCHOR_AFTER_MS,
  HEARTBEAT_MS,
  MAX_ANCHORS,
  MAX_CONTACT_URLS,
  MAX_OTHER_HOMES,
  MAX_VERSION_BYTES,
  MAX_VIAS,
} from './limits.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import { createManage, type Ready } from './manage.ts'
import type { MeshView } from './management.ts'
import { createMesh, type Mesh } from './mesh.ts'
import { runShared } from './muxhost.ts'
import { nearStun } from './nearstun.ts'
import { notSpoken, refuse } from './networks.ts'
import { keepPeers } from './peers.ts'
import type { ReportFields } from './report.ts'
import type { MeshLinkInfo, Runtime, Store, Swarm, UdpAddress, UpgradeInfo } from './runtime.ts'
import { type Named, readNamed } from './samples.ts'
import { runSession } from './session.ts'
import { networkId, PROTOCOL_VERSION } from './topic.ts'
import { createTrace } from './trace.ts'
import { createTurn, type TurnOptions } from './turn.ts'
import { createUrlDials, type FoundPeer } from './urldials.ts'
import { createViaDials } from './viadials.ts'
import { ownVias } from './vias.ts'

export interface NodeOptions {
  /** Genesis name of the network; nodes and edges of another never meet. */
  readonly network: string
  /** The networks that are spoken where it listens, for who asks for another; default: its own alone. */
  readonly spoken?: readonly string[]
  readonly runtime: Pick<Runtime, 'name' | 'version'>
  /** The version of the program, for who looks at the mesh. */
  readonly version?: string
  /** What its operator calls it, for who looks at the mesh. */
  readonly name?: string
  /** What opens `/admin.json`; without it nobody does. */
  readonly adminToken?: string
  /** Whether other nodes are to be met, so that one without a link is not ready; default: with `peers`. */
  readonly expectsOthers?: boolean
  /** The share of one processor that the process takes. */
  readonly load?: () => number | undefined
  readonly store: Store
  readonly log: Log
  readonly clock?: Clock
  /** Opens links by URL; without it the node has those alone that it is given. */
  readonly dial?: Runtime['dial']
  /** URLs of nodes to keep links to. */
  readonly peers?: readonly string[]
  /** Whether addresses of this machine or its network are dialled if other nodes name them. */
  readonly allowPrivate?: boolean
  /** Where edges reach this node from outside; then also the only authorities it answers to. */
  readonly publicUrls?: readonly string[]
  /** Whether nobody reaches it but edges in its own process, at `insideUrl`; it is their only home. */
  readonly isInside?: boolean
  /** Proxies whose X-Forwarded-For is believed: addresses, or `loopback`. */
  readonly trustProxy?: readonly string[]
  /** Nodes that the operator has named: they have reserved room, or the mesh is theirs alone. */
  readonly members?: Members
  /** Whether a DHT relay is offered beside this node. */
  readonly lendsDht?: boolean
  /** TURN servers for edges that have proved themselves; default: none. */
  readonly turn?: TurnOptions
  /** What it carries between edges that have no path of their own; default: on, within the caps of src/limits.ts. */
  readonly carry?: CarrySettings
  /** Whether applications beside the node may send each other messages over its links; default: they may not. */
  readonly apps?: boolean
  /** Static files: the demo page, the edge bundle, the source offer. */
  readonly assets?: (path: string) => Response | undefined
  /** The node has stopped by itself and says why: `DUPLICATE_NODE`. */
  readonly onFatal?: (error: SignalMeshError) => void
}

export interface Health {
  readonly status: 'ok' | 'stopping'
  readonly nodeId: NodeId
  readonly network: string
  readonly protocolVersion: number
  readonly runtime: string
  readonly neighbours: number
  readonly edges: number
  /** Whether nodes may reach the DHT through this one, at `/dht`. */
  readonly dhtRelay: boolean
  readonly uptimeSeconds: number
  /** Homes and edges of the whole mesh, as this node sees it. */
  readonly mesh: {
    readonly homes: number
    readonly edges: number
    /** What homes run on, by NodeId, as each has signed it; not of all in a large mesh. */
    readonly runtimes: Readonly<Record<NodeId, string>>
  }
  readonly signals: Readonly<Counters>
  /** What it carries between edges that have no path of their own. */
  readonly carry: CarryCounters & { readonly on: boolean }
}

/** What a node has counted, for `/metrics`. */
export interface Stats {
  readonly report: Omit<ReportFields, 'epoch' | 'number'>
  readonly standbys: number
  readonly carriedPairs: number
  readonly watchers: number
  readonly directoryBytes: number
  readonly refusals: ReadonlyMap<ErrorCode, number>
  readonly ready: boolean
}

export interface MeshNode {
  readonly id: NodeId
  fetch(request: Request, info: UpgradeInfo): Response | Promise<Response>
  upgrade(request: Request, info: UpgradeInfo): Response | ((link: Link) => void)
  /**
   * Opens a place for an application, to which the same application at linked nodes sends messages.
   * @throws SignalMeshError `BAD_ARGUMENT` if the node was made without `apps`, or for the name
   */
  openApp(name: string, handlers: AppHandlers): AppPort
  /** Messages of applications, and parts that nobody took. */
  readonly appCounters: AppCounters
  /** Takes a raw link to another node. */
  addLink(link: Link, info: MeshLinkInfo): void
  /** Lets the node dial others on demand. */
  useSwarm(swarm: Swarm): void
  /** Keeps links to these too, which records tell of, in place of those given before. */
  useFound(peers: readonly FoundPeer[]): void
  /** Lets go of nodes that the list of members does not name any more. */
  dismiss(): void
  /** Its neighbours by the URLs under which others reach them, for the next start. */
  nearHomes(): readonly FoundPeer[]
  /** Gives it a UDP port for STUN; what comes to that goes to `onDatagram`. */
  useStun(port: StunPort): void
  /** Takes a datagram that came to that port. */
  onDatagram(datagram: Uint8Array, from: UdpAddress): void
  /** URLs of STUN servers of the nodes that it dialled, for who has no other. */
  nearStun(): readonly string[]
  /** Says where edges reach this node, once it listens. */
  setUrls(urls: readonly string[]): void
  health(): Health
  /** What it has counted. */
  stats(): Stats
  /** The whole mesh as this node sees it. */
  mesh(): MeshView
  /** Whether it is of use, and if not, why. */
  ready(): Ready
  /** Takes no more edges, tells those here to move, and waits for so long until they have; then it is to be closed. */
  drain(withinMs: number): Promise<Drained>
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
  const anchors = await loadAnchors(options.store, log)
  const startedAtMs = clock.nowMs()
  let swarm: Swarm | undefined
  let urls: readonly string[] = publicUrls
  let found: readonly FoundPeer[] = []
  let stopping = false
  let draining = false

  const mesh = createMesh({
    identity,
    networkId: network,
    epoch,
    clock,
    log,
    ...(options.members && { members: options.members }),
    contact: () => ({
      dhtKey: swarm?.dhtKey,
      urls: urls.slice(0, MAX_CONTACT_URLS),
      vias: viasNow(),
      runtime: options.runtime.name,
      ...(stuns.at !== undefined && { stunAt: stuns.at }),
    }),
    onSignal: (frame, from) => forward.fromNode(frame, from),
    ...(options.carry?.on !== false && { onCarry: (frame, from) => carry.fromNode(frame, from) }),
    ...(options.apps && { onApp: (frame, from) => apps.receive(frame, from) }),
    onReplaced: (node) => {
      apps.unlinked(node)
      apps.linked(node)
    },
    report: () => manage.report(),
    onRefused: (node, code) => manage.refused(node, code),
    onLinked: (node) => {
      forward.linked(node)
      stuns.linked()
      apps.linked(node)
    },
    onUnlinked: (node) => {
      apps.unlinked(node)
      if (!stopping) forward.unlinked(node)
    },
    onEpoch: (next) => {
      keepEpoch(options.store, next).catch((error: unknown) => {
        log.error('Could not keep the epoch', { why: asMeshError(error).message })
      })
    },
    onDuplicate: () => {
      if (stopping) return
      void close()
      options.onFatal?.(duplicateNode(identity.id))
    },
  })
  const { directory } = mesh
  const stuns = createStuns({ clock, directory, neighbours: mesh.neighbours })
  const turn = options.turn && createTurn(options.turn, clock)
  const viasNow = (): NodeId[] => ownVias(directory, mesh.neighbours)
  const urlDials =
    options.dial &&
    createUrlDials({
      clock,
      log,
      directory,
      networkId: network,
      allowPrivate: options.allowPrivate ?? false,
      open: options.dial,
      add: mesh.neighbours.add,
      isLinked: mesh.neighbours.has,
    })
  const dialVia =
    urlDials &&
    createViaDials({
      self: identity.id,
      directory,
      dialHome: urlDials.dialHome,
      isLinked: mesh.neighbours.has,
    })
  const carry = createCarry({
    ...options.carry,
    self: identity.id,
    clock,
    homeOf: (peer) => forward.homeOf(peer),
    reach: (home, session) => forward.reach(home, session.peer, session.remoteAddress),
    waitingBytes: mesh.neighbours.carryWaitingBytes,
    send: mesh.neighbours.send,
  })
  const apps = createApps({
    clock,
    nodes: () =>
      mesh.neighbours.ids.filter((id) => mesh.neighbours.appWaitingBytes(id) !== undefined),
    waitingBytes: mesh.neighbours.appWaitingBytes,
    send: mesh.neighbours.send,
  })
  const edges = createEdges({
    carry,
    identity,
    networkId: network,
    clock,
    directory,
    log: mesh.log,
    // Besides, the addresses at which it listens: not every local network has private ones.
    acceptsAuthority: (authority) =>
      options.isInside
        ? authority === authorityOf(insideUrl(identity.id))
        : acceptsAuthority(publicUrls, authority) ||
          urls.some((url) => authorityOf(url) === authority.toLowerCase()),
    otherHomes: (authority) =>
      options.isInside ? [] : otherHomes(directory.homes.values(), identity.id, authority),
    ice: { stun: stuns.offer, turn: (address) => turn?.(address) ?? NO_ICE },
    onSignal: (frame, session) => forward.fromEdge(frame, session.peerKey, session.remoteAddress),
  })
  const forward = createForward({
    identity,
    networkId: network,
    directory,
    clock,
    deliver: edges.deliver,
    isLinked: mesh.neighbours.has,
    isVia: (node) => viasNow().includes(node),
    admits: mesh.admits,
    send: mesh.neighbours.send,
    dial: (dhtKey) => {
      swarm?.connect(dhtKey)
      return swarm !== undefined
    },
    ...(urlDials && { dialUrl: (home) => urlDials.dialHome(home) ?? dialVia?.(home) }),
    giveUp: (dhtKey) => swarm?.forget(dhtKey),
    trace: createTrace(log),
  })
  const uptimeSeconds = (): number => Math.floor((clock.nowMs() - startedAtMs) / 1000)
  const manage = createManage({
    self: identity.id,
    network: options.network,
    clock,
    directory,
    reports: mesh.reports,
    neighbours: mesh.neighbours,
    adminToken: options.adminToken,
    expectsOthers: options.expectsOthers ?? (options.peers ?? []).length > 0,
    own: () => ({
      draining: draining || stopping,
      carries: carry.isOn,
      lendsDht: options.lendsDht ?? false,
      private: options.members?.only ?? false,
      inside: options.isInside ?? false,
      name: options.name ?? '',
      version: options.version ?? '',
      runtime: `${options.runtime.name} ${options.runtime.version}`.slice(0, MAX_VERSION_BYTES),
      turnUrls: options.turn?.urls ?? [],
      uptimeSeconds: uptimeSeconds(),
      load: options.load?.(),
      edges: edges.count,
      carriedBytes: carry.counters.bytes,
      signals: { ...forward.counters, failed: failedOf(forward.refusals) },
    }),
    edges: edges.list,
    stunAnswers: stuns.answers,
    used: () => ({ standbys: edges.standbys, carries: carry.counters.pairs }),
    refusals: () => forward.refusals,
  })
  const stopKeeping =
    urlDials &&
    keepPeers({
      self: identity.id,
      clock,
      log,
      directory,
      neighbours: mesh.neighbours,
      dials: urlDials,
      named: options.peers ?? [],
      found: () => found,
      // As many as it names as ways to it: such nodes may be many, and each link is a place that others need.
      ...(options.isInside && { enough: MAX_VIAS }),
      keepsMore: () => swarm === undefined,
      admits: mesh.admits,
    })
  const stopBeating = repeat(clock, HEARTBEAT_MS, () => {
    edges.sweep()
    mesh.sweep()
    anchors.keep(anchorsNow(mesh))
    forward.sweep()
    carry.sweep()
    stuns.sweep()
    mesh.beat()
    mesh.report()
    mesh.neighbours.probe()
    manage.observe()
  })

  const close = async (): Promise<void> => {
    if (stopping) return
    stopping = true
    stopBeating()
    stopKeeping?.()
    stuns.close()
    manage.close()
    const bye = goingAway()
    // First, for edges hear of nothing once their sessions have ended.
    forward.close()
    edges.close(bye)
    carry.close()
    mesh.close(bye)
    apps.close()
  }

  const drain = (withinMs: number): Promise<Drained> => {
    draining = true
    // So that others see it before it is gone.
    mesh.report()
    return edges.drain(goingAway(), withinMs)
  }

  const { spoken = [options.network] } = options
  const ownId = toHex(network)
  const checkNetwork = ({ network: asked = ownId }: Named): void => {
    if (asked !== ownId) throw notSpoken(spoken)
  }

  const health = (): Health => ({
    status: draining || stopping ? 'stopping' : 'ok',
    nodeId: identity.id,
    network: options.network,
    protocolVersion: PROTOCOL_VERSION,
    runtime: `${options.runtime.name} ${options.runtime.version}`,
    neighbours: mesh.neighbours.ids.length,
    edges: edges.count,
    dhtRelay: options.lendsDht ?? false,
    uptimeSeconds: uptimeSeconds(),
    mesh: {
      homes: directory.homes.size,
      edges: directory.size,
      runtimes: runtimesOf(directory.homes.values()),
    },
    signals: forward.counters,
    carry: { on: carry.isOn, ...carry.counters },
  })

  return {
    id: identity.id,
    fetch: (request, info) => {
      const address = addressOf(request, info.remoteAddress, options.trustProxy ?? [])
      return manage.answer(request, address) ?? answerHttp(request, health, options.assets)
    },
    upgrade: (request, info) => {
      const { pathname } = new URL(request.url)
      if (!['/edge', '/edges', '/mesh', '/mesh/events'].includes(pathname)) {
        return new Response('Not found\n', { status: 404 })
      }
      if (stopping) return new Response('Stopping\n', { status: 503 })
      const isEdge = pathname === '/edge' || pathname === '/edges'
      if (draining && isEdge) return new Response('Stopping\n', { status: 503 })
      const address = addressOf(request, info.remoteAddress, options.trustProxy ?? [])
      if (pathname === '/mesh') {
        const asked = new URL(request.url).searchParams.get('n')
        if ((asked ?? ownId) !== ownId) {
          return new Response(`${notSpoken(spoken).message}\n`, { status: 421 })
        }
        return (link) =>
          void mesh.neighbours.add(link, { initiator: false, remoteAddress: address })
      }
      if (pathname === '/mesh/events') return manage.watch(address)
      if (pathname === '/edges') {
        return (socket) =>
          runShared(socket, address, {
            edges,
            clock,
            checkNetwork,
            isStopping: () => draining || stopping,
          })
      }
      try {
        const named = readNamed(request.url)
        if ((named.network ?? ownId) !== ownId) return (link) => refuse(link, notSpoken(spoken))
        return (link) => void runSession(link, address, edges.host, named)
      } catch (error) {
        return new Response(`${asMeshError(error).message}\n`, { status: 400 })
      }
    },
    openApp: (name, handlers) => {
      if (options.apps) return apps.open(name, handlers)
      throw new SignalMeshError('BAD_ARGUMENT', 'Make the node with `apps: true` for applications')
    },
    appCounters: apps.counters,
    addLink: (link, info) => void mesh.neighbours.add(link, info),
    useSwarm: (joined) => {
      swarm = joined
      for (const { node, dhtKey } of anchors.kept) if (mesh.admits(node)) joined.connect(dhtKey)
      mesh.beat()
    },
    useFound: (peers) => {
      found = peers.filter((peer) => (peer.network ?? ownId) === ownId)
    },
    dismiss: mesh.dismiss,
    nearHomes: () =>
      mesh.neighbours.ids.flatMap((node) => {
        const [url] = directory.homes.get(node)?.contact.urls ?? []
        return url === undefined ? [] : [{ url, node, network: ownId }]
      }),
    useStun: (port) => {
      stuns.use(port)
      mesh.beat()
    },
    onDatagram: stuns.receive,
    nearStun: () => nearStun(directory, mesh.neighbours, options.allowPrivate ?? false),
    setUrls: (at) => {
      urls = publicUrls.length ? publicUrls : at
      mesh.beat()
    },
    health,
    stats: () => ({
      report: manage.report(),
      standbys: edges.standbys,
      carriedPairs: carry.counters.pairs,
      watchers: manage.watchers,
      directoryBytes: directory.bytes,
      refusals: forward.refusals,
      ready: manage.ready().ready,
    }),
    mesh: manage.view,
    ready: manage.ready,
    drain,
    close,
  }
}

function goingAway(): SignalMeshError {
  return new SignalMeshError('GOING_AWAY', 'This node is stopping')
}

/** Signals for which no way was found, or no target. */
const FAILURES: readonly ErrorCode[] = ['HOME_UNREACHABLE', 'PEER_UNKNOWN', 'MOVED', 'GOING_AWAY']

function failedOf(refusals: ReadonlyMap<ErrorCode, number>): number {
  return FAILURES.reduce((sum, code) => sum + (refusals.get(code) ?? 0), 0)
}

/** Neighbours that could be dialled again, those up longest first; an attacker's own dials come last. */
function anchorsNow({ neighbours, directory }: Mesh): Anchor[] {
  const settled = neighbours.ids.flatMap((node) => {
    const link = neighbours.linkOf(node)
    const dhtKey = directory.homes.get(node)?.contact.dhtKey
    const isOld = link !== undefined && link.upMs >= ANCHOR_AFTER_MS
    return isOld && dhtKey ? [{ node, dhtKey, rank: link.initiator ? 0 : 1 }] : []
  })
  return settled.sort((a, b) => a.rank - b.rank).slice(0, MAX_ANCHORS)
}

function duplicateNode(id: NodeId): SignalMeshError {
  return new SignalMeshError(
    'DUPLICATE_NODE',
    `Another process runs with the identity of node ${id}; give each process a data folder of its own`,
  )
}

/** Where else an edge could be at home, in random order, so that a stopping node's edges spread. */
function otherHomes(
  homes: Iterable<{ id: NodeId; contact: { urls: readonly string[] } }>,
  self: NodeId,
  authority: string,
): string[] {
  const others = [...homes].filter(({ id }) => id !== self)
  const reachable = others.flatMap(({ contact }) =>
    // A node with several addresses names the one that this edge can reach.
    contact.urls.filter((url) => mayDial(`ws://${authority}`, url)).slice(0, 1),
  )
  // Each place once: homes cost nothing to make up, and all of them could name one.
  const urls = [...new Map(reachable.map((url) => [authorityOf(url), url])).values()]
  for (let i = urls.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[urls[i], urls[j]] = [urls[j] as string, urls[i] as string]
  }
  return urls.slice(0, MAX_OTHER_HOMES)
}
