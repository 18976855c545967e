/** What sources say, put to use: peers to link to, DHT nodes to begin at, an allow-list. */

import { type Clock, systemClock } from '../src/clock.ts'
import { asMeshError } from '../src/errors.ts'
import type { NodeId } from '../src/identity.ts'
import type { Log } from '../src/log.ts'
import type { MeshNode } from '../src/node.ts'
import type { Store } from '../src/runtime.ts'
import type { FoundPeer } from '../src/urldials.ts'
import type { Config } from './config.ts'
import type { Lan } from './lan.ts'
import type { LanSelf } from './lananswer.ts'
import { NAMES_AGAIN_MS } from './limits.ts'
import { addressesOf } from './reach.ts'
import { type Found, NOTHING_FOUND, type Source } from './source.ts'
import { dnsSource } from './sourcedns.ts'
import { registrySource } from './sourceregistry.ts'
import { openSources, type Sources } from './sources.ts'

export interface FindingOptions {
  readonly config: Config
  readonly nodes: readonly Pick<MeshNode, 'useFound' | 'dismiss' | 'nearHomes'>[]
  readonly store: Store
  readonly log: Log
  /** The allow-list, where it is the registry's: kept in step with it. */
  readonly listed: Set<NodeId> | undefined
  readonly clock?: Clock
  /** The address of a DHT node that a record names; `undefined` if it may not be used, or has none. */
  readonly look?: (at: string) => Promise<string | undefined>
}

export interface Finding {
  /**
   * Begins to look in the local network, once this node listens, and hands on DHT nodes, as addresses that
   * were checked, whenever there are others.
   */
  listening(own: Listening): void
  close(): Promise<void>
}

export interface Listening {
  readonly port: number
  readonly selves: readonly LanSelf[]
  onBootstrap(bootstrap: readonly string[]): void
  /** Takes nodes that lend their DHT; their names led nowhere local when they were looked up. */
  onRelays(urls: readonly string[]): void
}

const GOOD_OR_NOT = [() => true, () => false] as const

/** What the servers of the public DHT are, and who they see. */
const PUBLIC_DHT =
  'Uses the public DHT of Hyperswarm: its servers node1, node2 and node3.hyperdht.org are Holepunch’s, not this mesh’s; they and whoever is on it see this node’s address and a hash of its network’s name'

/** A node that was told of no way to others asks nobody, those of its last run included. */
export function seeksOthers(config: Config): boolean {
  const { peer, bootstrap, dhtBootstrap, relay, registry, dns, lan, publicDht } = config
  const isTold = [peer, bootstrap, relay, registry, dns].some((list) => list.length > 0)
  return isTold || lan || publicDht || dhtBootstrap !== undefined
}

/** Begins with what was kept; waits for nobody. */
export async function openFinding(options: FindingOptions): Promise<Finding> {
  const { config, nodes, log, listed, clock = systemClock } = options
  const { look = (at: string) => checked(at, config, log) } = options
  let found = NOTHING_FOUND
  let near: readonly FoundPeer[] = []
  let lan: Lan | undefined
  let own: Listening | undefined
  let cancelLook = (): void => {}
  let cancelRelays = (): void => {}
  let lastBootstrap = ''
  let lastRelays = ''
  let round = 0
  let opening: Promise<void> | undefined
  let closed = false

  const usePeers = (): void => {
    for (const node of nodes) node.useFound([...found.peers, ...near])
  }

  const useNear = (peers: readonly FoundPeer[]): void => {
    near = peers
    usePeers()
  }

  const useMembers = (): void => {
    if (!listed) return
    listed.clear()
    for (const node of found.members) listed.add(node)
    for (const node of nodes) node.dismiss()
  }

  /** Names are looked up here, so that what was checked is what the DHT is told. */
  const useBootstrap = async (): Promise<void> => {
    cancelLook()
    round += 1
    const mine = round
    if (!own || found.bootstrap.length === 0) return
    const looked = await Promise.all(found.bootstrap.map(look))
    if (mine !== round) return
    const addresses = looked.filter((at) => at !== undefined)
    if (addresses.length < looked.length) {
      cancelLook = clock.after(NAMES_AGAIN_MS, () => void useBootstrap())
    }
    if (addresses.length === 0 || addresses.join() === lastBootstrap) return
    lastBootstrap = addresses.join()
    own.onBootstrap(addresses)
  }

  const useRelays = async (): Promise<void> => {
    const { relays } = found
    if (!own || relays.length === 0) return
    const { allowPrivate } = config
    const looked = await Promise.all(
      relays.map((url) => addressesOf(url, { allowPrivate }).then(...GOOD_OR_NOT)),
    )
    const good = relays.filter((_, i) => looked[i])
    if (closed || relays !== found.relays) return
    cancelRelays()
    if (good.length < relays.length) {
      cancelRelays = clock.after(NAMES_AGAIN_MS, () => void useRelays())
    }
    if (good.length === 0) return
    if (good.join() === lastRelays) return
    lastRelays = good.join()
    own.onRelays(good)
  }

  const useDht = (): void => {
    void useBootstrap()
    void useRelays()
  }

  const onFound = (next: Found): void => {
    found = next
    usePeers()
    useMembers()
    useDht()
  }

  if (config.publicDht) log.info(PUBLIC_DHT, {})
  const sources: Sources | undefined = seeksOthers(config)
    ? await openSources({
        sources: sourcesOf(config),
        store: options.store,
        log,
        allowPrivate: config.allowPrivate,
        refreshMs: config.refresh * 1000,
        near: () => nodes.flatMap((node) => node.nearHomes()),
        clock,
        onFound,
      })
    : undefined

  return {
    listening: (listening) => {
      own = listening
      useDht()
      if (!config.lan) return
      const isOpen = !/^(127\.|localhost$|::1$)/.test(config.host)
      const isHeard = isOpen && config.tlsCert === undefined
      const lacks = isOpen ? 'no --tls-cert, which names no address' : '--host 0.0.0.0'
      if (!isHeard) log.info('Looks in the local network, but is not found there itself', { lacks })
      const { selves, port } = listening
      const options = { selves, log, onFound: useNear, ...(isHeard && { port }) }
      // The package is loaded by who asks for it alone.
      opening = import('./lan.ts')
        .then(({ openLan }) => {
          if (!closed) lan = openLan(options)
        })
        .catch((error: unknown) => log.warn('Cannot look in the local network', { error }))
    },
    close: async () => {
      closed = true
      round += 1
      cancelLook()
      cancelRelays()
      await opening
      await Promise.all([sources?.close(), lan?.close()])
    },
  }
}

function sourcesOf({ registry, dns, dnsServer, allowPrivate }: Config): readonly Source[] {
  return [
    ...registry.map((url) => registrySource(url, { allowPrivate, clock: systemClock })),
    ...dns.map((domain) => dnsSource(domain, { servers: dnsServer })),
  ]
}

async function checked(at: string, config: Config, log: Log): Promise<string | undefined> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(at) ?? []
  try {
    const addresses = await addressesOf(`http://${host}/`, { allowPrivate: config.allowPrivate })
    const ipv4 = addresses.find(({ family }) => family === 4)
    return ipv4 && `${ipv4.address}:${port}`
  } catch (error) {
    log.warn('A DHT node of a record is not used', { at, why: asMeshError(error).message })
    return undefined
  }
}
