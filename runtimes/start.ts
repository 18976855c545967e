/** Starts a node as its configuration says: store, identity, listener, swarm. */

import { toHex } from '../src/bytes.ts'
import { systemClock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import { addressOf } from '../src/http.ts'
import type { StunPort } from '../src/icesource.ts'
import { type Log, withFields } from '../src/log.ts'
import { type Networks, serveNetworks } from '../src/networks.ts'
import { storesOf } from '../src/networkstores.ts'
import { createNode, type MeshNode, type NodeOptions } from '../src/node.ts'
import type { RelayHost, Running, Runtime, Store, Swarm, Tls, UdpPort } from '../src/runtime.ts'
import { LINK_PROTOCOL, meshTopic, networkId } from '../src/topic.ts'
import { adminTokenFrom } from './admin.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'
import { fatalWhenLast } from './lastfatal.ts'
import { createLoad } from './load.ts'
import { REGISTRY_MEMBERS, readMembers } from './members.ts'
import { finished, makePages, plain } from './pages.ts'
import { type Finding, openFinding } from './sourceuse.ts'
import { openStun } from './stun.ts'
import { keepTls, tlsTexts } from './tlsfiles.ts'
import { turnFrom } from './turn.ts'

export interface StartedNode {
  /** Of the first network. */
  readonly id: string
  /** By the networks' names: each has a key of its own. */
  readonly ids: Readonly<Record<string, string>>
  readonly port: number
  /** Where edges and pages reach it; the first is the best one on this machine. */
  readonly urls: readonly string[]
  /** That of the first network, for a program that embeds it. */
  readonly node: MeshNode
  /** Whether the identity outlives the process. */
  readonly kept: boolean
  /** Whether the demo page is there to open. */
  readonly built: boolean
  /** Lets its edges move to other nodes, for so long at most; then it is to be closed. */
  drain(withinMs: number): Promise<void>
  /** Says goodbye to edges and neighbours, then closes what it opened. */
  close(): Promise<void>
}

/** @throws SignalMeshError for whatever keeps the node from starting; nothing is left open then. */
export async function startNode(
  config: Config,
  runtime: Runtime,
  host: Host,
  log: Log,
  onFatal: (error: SignalMeshError) => void = () => {},
  more: Pick<NodeOptions, 'apps'> = {},
): Promise<StartedNode> {
  const members = await readMembers(config, host)
  const store = await runtime.openStore(config.data)
  const tls = await tlsTexts(config, host)
  const turn = await turnFrom(config, host)
  const adminToken = await adminTokenFrom(config, host)
  const load = createLoad()
  const files = await host.readBuild()
  const assets = await makePages(files, host.about)
  const nodes: MeshNode[] = []
  const stores = await storesOf(store, config.network)
  const logOf = (network: string): Log =>
    config.network.length > 1 ? withFields(log, { network }) : log
  let running: Running | undefined
  let stopTls = (): void => {}
  const swarms: Swarm[] = []
  let relay: RelayHost | undefined
  let bootstrap: Pick<Running, 'close'> | undefined
  let stun: UdpPort | undefined
  let finding: Finding | undefined
  let closing = false
  const close = async (): Promise<void> => {
    closing = true
    stopTls()
    // First, while it is known who the neighbours are.
    await finding?.close()
    await Promise.all(nodes.map((node) => node.close()))
    const left = Promise.all(swarms.map((swarm) => swarm.close()))
    // Goodbyes to clients of the relay pass through it, and those of members by the bootstrap.
    if (relay || bootstrap) await left
    await Promise.all([left, relay?.close(), running?.close(), stun?.close(), bootstrap?.close()])
  }
  try {
    const fatal = fatalWhenLast(config.network.length, onFatal)
    for (const [i, network] of config.network.entries()) {
      const node = await createNode({
        ...more,
        network,
        spoken: config.network,
        runtime,
        version: host.about.version,
        name: config.name,
        ...(adminToken !== undefined && { adminToken }),
        expectsOthers: expectsOthers(config),
        load,
        store: stores[i] as Store,
        log: logOf(network),
        dial: runtime.dial,
        peers: config.peer,
        allowPrivate: config.allowPrivate,
        publicUrls: config.publicUrl,
        trustProxy: config.trustProxy,
        members,
        lendsDht: config.dhtRelay,
        ...(turn && { turn }),
        carry: {
          on: config.meshRelay,
          bytesPerSecond: Math.floor(config.meshRelayRate / config.network.length),
        },
        assets,
        onFatal: (error) => fatal(network, error, logOf(network)),
      })
      nodes.push(node)
    }
    const listed = config.members === REGISTRY_MEMBERS ? (members.listed as Set<string>) : undefined
    finding = await openFinding({ config, nodes, store, log, listed })
    const [first] = nodes as [MeshNode]
    const served = serveNetworks(nodes as [MeshNode, ...MeshNode[]])
    bootstrap = await offerBootstrap(runtime, config, log)
    relay = await offerRelay(runtime, config, log)
    const counted = withMetrics(served, nodes, host.about.version)
    running = await listen(counted, relay, runtime, config, log, tls)
    stopTls = keepTls(config, { host, running, log, clock: systemClock }, tls)
    const urls = urlsOf(config, running.port, host.lanAddresses())
    for (const node of nodes) node.setUrls(config.publicUrl.length > 0 ? config.publicUrl : urls)
    const stunAt = {
      useStun: (port: StunPort) => {
        for (const node of nodes) node.useStun(port)
      },
      onDatagram: served.onDatagram,
    }
    stun = await openStun(stunAt, runtime, config, log, new URL(urls[0] as string).hostname)
    const sharing = {}
    const joinAll = async (found: Pick<Config, 'bootstrap' | 'relay'>): Promise<void> => {
      for (const [i, node] of nodes.entries()) {
        const network = config.network[i] as string
        const swarm = await join(node, network, runtime, config, logOf(network), sharing, found)
        if (!swarm) continue
        if (closing) await swarm.close()
        else swarms.push(swarm)
      }
    }
    await joinAll({ bootstrap: [], relay: [] })
    let joining = Promise.resolve()
    finding.listening({
      port: running.port,
      selves: nodes.map(({ id }, i) => ({
        node: id,
        network: toHex(networkId(config.network[i] as string)),
      })),
      onBootstrap: (found) => {
        // Records of DHT nodes say nothing to who cannot be one, or goes through a relay.
        if (closing || config.noDht || config.relay.length > 0 || !runtime.offerBootstrap) return
        joining = joining
          .then(async () => {
            if (swarms.length === 0) return joinAll({ bootstrap: found, relay: [] })
            for (const swarm of swarms) swarm.useBootstrap?.([...bootstrapsOf(config), ...found])
          })
          .catch((error: unknown) => log.warn('Cannot join the DHT that records name', { error }))
      },
      onRelays: (found) => {
        // Those of flags come first, and who can be on a DHT itself needs none.
        if (closing || config.noDht || config.relay.length > 0 || runtime.offerBootstrap) return
        joining = joining
          .then(async () => {
            if (swarms.length === 0) return joinAll({ bootstrap: [], relay: found })
            for (const swarm of swarms) swarm.useRelays?.(found)
          })
          .catch((error: unknown) => log.warn('Cannot join a DHT by relays of records', { error }))
      },
    })
    const built = files.has('demo/index.html')
    const drain = async (withinMs: number): Promise<void> => {
      const drained = await Promise.all(nodes.map((node) => node.drain(withinMs)))
      const sum = (key: 'moved' | 'left'): number => drained.reduce((all, one) => all + one[key], 0)
      if (sum('moved') + sum('left') > 0)
        log.info('Edges moved', { moved: sum('moved'), left: sum('left') })
    }
    const ids = Object.fromEntries(nodes.map(({ id }, i) => [config.network[i] as string, id]))
    return {
      id: first.id,
      ids,
      node: first,
      port: running.port,
      urls,
      kept: store.kept,
      built,
      drain,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Begins a DHT for others, where that was asked for. */
async function offerBootstrap(
  runtime: Runtime,
  { dhtBootstrap, bootstrap, dhtHost }: Config,
  log: Log,
): Promise<Pick<Running, 'close'> | undefined> {
  if (dhtBootstrap === undefined) return undefined
  if (!runtime.offerBootstrap) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --dht-bootstrap needs Node, since the DHT does; here name nodes by --peer URL, or one that lends its DHT by --relay URL',
    )
  }
  const others = bootstrap.filter((other) => other !== dhtBootstrap)
  const host = dhtHost === undefined ? {} : { host: dhtHost }
  return runtime.offerBootstrap({ at: dhtBootstrap, others, ...host, log })
}

/** The DHT nodes that this one starts from: its own is one like any other. */
function bootstrapsOf({ bootstrap, dhtBootstrap }: Config): readonly string[] {
  return [...new Set(dhtBootstrap === undefined ? bootstrap : [dhtBootstrap, ...bootstrap])]
}

/** Lends the DHT to others, where that was asked for. */
function offerRelay(runtime: Runtime, config: Config, log: Log): Promise<RelayHost> | undefined {
  const { dhtRelay, dhtHost } = config
  if (!dhtRelay) return undefined
  if (runtime.offerRelay) {
    const bootstrap = bootstrapsOf(config)
    return runtime.offerRelay({ bootstrap, ...(dhtHost !== undefined && { host: dhtHost }), log })
  }
  throw new SignalMeshError('BAD_CONFIG', 'Flag --dht-relay needs Node, since the DHT does')
}

/** The same listener, which answers `/metrics` too; the library for that is loaded for who asks. */
function withMetrics(served: Networks, nodes: readonly MeshNode[], version: string): Networks {
  return {
    ...served,
    fetch: async (request, info) => {
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      if (!isRead || new URL(request.url).pathname !== '/metrics') {
        return served.fetch(request, info)
      }
      const { metricsResponse } = await import('./metrics.ts')
      return metricsResponse(request, nodes, version)
    },
  }
}

function listen(
  node: Networks,
  relay: RelayHost | undefined,
  runtime: Runtime,
  config: Config,
  log: Log,
  tls: Tls | undefined,
): Promise<Running> {
  const failed = (error: unknown): Response => {
    log.error('A request failed', { error })
    return plain(500, 'Internal error')
  }
  return runtime.listen({
    host: config.host,
    port: config.port,
    ...(tls && { tls }),
    fetch: async (request, info) => {
      try {
        return await finished(request, await node.fetch(request, info))
      } catch (error) {
        return failed(error)
      }
    },
    upgrade: (request, info) => {
      try {
        if (!relay || new URL(request.url).pathname !== '/dht') return node.upgrade(request, info)
        return relay.upgrade(addressOf(request, info.remoteAddress, config.trustProxy))
      } catch (error) {
        return failed(error)
      }
    },
  })
}

async function join(
  node: MeshNode,
  network: string,
  runtime: Runtime,
  config: Config,
  log: Log,
  sharing: object,
  found: Pick<Config, 'bootstrap' | 'relay'>,
): Promise<Swarm | undefined> {
  const bootstrap = [...bootstrapsOf(config), ...found.bootstrap]
  const { noDht, publicDht } = config
  const relay = [...config.relay, ...found.relay]
  if (noDht || (bootstrap.length + relay.length === 0 && !publicDht)) return undefined
  const swarm = await runtime.join({
    topic: meshTopic(network),
    protocol: LINK_PROTOCOL,
    bootstrap,
    isPublic: publicDht,
    sharing,
    relays: relay,
    port: config.dhtPort,
    ...(config.dhtHost !== undefined && { host: config.dhtHost }),
    onLink: (link, info) => node.addLink(link, info),
    onError: (error) => log.warn('The DHT has trouble', { error }),
  })
  node.useSwarm(swarm)
  return swarm
}

/** Whether the operator has named any way to other nodes: one that has none is alone by intention. */
function expectsOthers(config: Config): boolean {
  const { peer, registry, dns, lan, publicDht, noDht, bootstrap, relay } = config
  const byDht = !noDht && (publicDht || bootstrap.length + relay.length > 0)
  return byDht || lan || peer.length + registry.length + dns.length > 0
}

/** The URLs of a listener; one on all interfaces is reached on this machine and over the LAN. */
function urlsOf(config: Config, port: number, lan: readonly string[]): readonly string[] {
  const scheme = config.tlsCert === undefined ? 'http' : 'https'
  const all = config.host === '0.0.0.0' || config.host === '::'
  const hosts = all ? ['127.0.0.1', ...lan] : [config.host]
  return hosts.map((name) => `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`)
}
