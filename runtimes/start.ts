/** Starts a node as its configuration says: store, identity, listener, swarm. */

import { SignalMeshError } from '../src/errors.ts'
import { addressOf } from '../src/http.ts'
import type { Log } from '../src/log.ts'
import { createNode, type MeshNode } from '../src/node.ts'
import type { RelayHost, Running, Runtime, Swarm, UdpPort } from '../src/runtime.ts'
import { LINK_PROTOCOL, meshTopic } from '../src/topic.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'
import { readMembers } from './members.ts'
import { finished, makePages, plain } from './pages.ts'
import { openStun } from './stun.ts'
import { turnFrom } from './turn.ts'

export interface StartedNode {
  readonly id: string
  readonly port: number
  /** Where edges and pages reach it; the first is the best one on this machine. */
  readonly urls: readonly string[]
  /** Whether the identity outlives the process. */
  readonly kept: boolean
  /** Whether the demo page is there to open. */
  readonly built: boolean
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
): Promise<StartedNode> {
  const members = await readMembers(config, host)
  const store = await runtime.openStore(config.data)
  const tls = await readTls(config, host)
  const turn = await turnFrom(config, host)
  const files = await host.readBuild()
  const node = await createNode({
    network: config.network,
    runtime,
    store,
    log,
    dial: runtime.dial,
    peers: config.peer,
    allowPrivate: config.allowPrivate,
    publicUrls: config.publicUrl,
    trustProxy: config.trustProxy,
    members,
    lendsDht: config.dhtRelay,
    ...(turn && { turn }),
    assets: await makePages(files, host.about),
    onFatal,
  })
  let running: Running | undefined
  let swarm: Swarm | undefined
  let relay: RelayHost | undefined
  let stun: UdpPort | undefined
  const close = async (): Promise<void> => {
    await node.close()
    const left = swarm?.close()
    // Goodbyes to clients of the relay pass through it.
    if (relay) await left
    await Promise.all([left, relay?.close(), running?.close(), stun?.close()])
  }
  try {
    relay = await offerRelay(runtime, config, log)
    running = await listen(node, relay, runtime, config, log, tls)
    const urls = urlsOf(config, running.port, host.lanAddresses())
    node.setUrls(config.publicUrl.length > 0 ? config.publicUrl : urls)
    stun = await openStun(node, runtime, config, log, new URL(urls[0] as string).hostname)
    swarm = await join(node, runtime, config, log)
    const built = files.has('demo/index.html')
    return { id: node.id, port: running.port, urls, kept: store.kept, built, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Lends the DHT to others, where that was asked for. */
function offerRelay(
  runtime: Runtime,
  { dhtRelay, bootstrap, dhtHost }: Config,
  log: Log,
): Promise<RelayHost> | undefined {
  if (!dhtRelay) return undefined
  if (runtime.offerRelay) {
    return runtime.offerRelay({ bootstrap, ...(dhtHost !== undefined && { host: dhtHost }), log })
  }
  throw new SignalMeshError('BAD_CONFIG', 'Flag --dht-relay needs Node, since the DHT does')
}

function listen(
  node: MeshNode,
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
  runtime: Runtime,
  config: Config,
  log: Log,
): Promise<Swarm | undefined> {
  if (config.noDht || config.bootstrap.length + config.relay.length === 0) return undefined
  const swarm = await runtime.join({
    topic: meshTopic(config.network),
    protocol: LINK_PROTOCOL,
    bootstrap: config.bootstrap,
    relays: config.relay,
    port: config.dhtPort,
    ...(config.dhtHost !== undefined && { host: config.dhtHost }),
    onLink: (link, info) => node.addLink(link, info),
    onError: (error) => log.warn('The DHT has trouble', { error }),
  })
  node.useSwarm(swarm)
  return swarm
}

interface Tls {
  readonly cert: string
  readonly key: string
}

async function readTls(config: Config, host: Host): Promise<Tls | undefined> {
  if (config.tlsCert === undefined || config.tlsKey === undefined) return undefined
  return { cert: await host.readText(config.tlsCert), key: await host.readText(config.tlsKey) }
}

/** The URLs of a listener; one on all interfaces is reached on this machine and over the LAN. */
function urlsOf(config: Config, port: number, lan: readonly string[]): readonly string[] {
  const scheme = config.tlsCert === undefined ? 'http' : 'https'
  const all = config.host === '0.0.0.0' || config.host === '::'
  const hosts = all ? ['127.0.0.1', ...lan] : [config.host]
  return hosts.map((name) => `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`)
}
