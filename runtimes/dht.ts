/** The DHT: a member of one, and the first node of a new one. */

import { createSocket } from 'node:dgram'
import HyperDHT from 'hyperdht'
import { SignalMeshError } from '../src/errors.ts'
import { whyOf } from './why.ts'

export type Dht = HyperDHT

export interface DhtOptions {
  /** Whether the public DHT of Hyperswarm is meant, besides. */
  readonly isPublic?: boolean | undefined
  /** DHT nodes to start from, as `host:port`. */
  readonly bootstrap: readonly string[]
  readonly host?: string | undefined
  /** Default: any free port. */
  readonly port?: number | undefined
}

/**
 * Opens a member of the DHT that the bootstrap nodes belong to. It does not wait for them.
 * @throws SignalMeshError `BAD_ARGUMENT` without bootstrap nodes, `PORT_IN_USE`, `BAD_CONFIG`.
 */
export async function openDht(options: DhtOptions): Promise<Dht> {
  const bootstrap = bootstrapOf(options)
  // Without a list HyperDHT would turn to its public one, which nobody asked for.
  if (bootstrap.length === 0) {
    throw new SignalMeshError('BAD_ARGUMENT', 'Cannot join a DHT without a bootstrap node')
  }
  // On loopback, sockets bound to all interfaces open connections that carry no bytes, and the guess
  // at what kind of NAT this is goes wrong as often as not, where there is none.
  const local = bootstrap.every(({ host }) => host.startsWith('127.'))
  const host = options.host ?? (local ? '127.0.0.1' : '0.0.0.0')
  const { port = 0 } = options
  await usablePort(host, port)
  return new HyperDHT({
    bootstrap,
    host,
    // A port that was asked for is that one or none; an empty range is any free one.
    ...(port ? { port: [port, port + 1], anyPort: false } : { port: [0, 0] }),
    ...(local && { firewalled: false }),
  })
}

export interface BootstrapOptions {
  /** An IPv4 address of this machine, under which others reach it. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The address that it binds, where that is another one. Default: `host`. */
  readonly bind?: string | undefined
  /** Others that belong to the same DHT, as `host:port`. */
  readonly others?: readonly string[]
}

/** Starts a DHT of its own: the node that others are given as their bootstrap. */
export async function openBootstrap(options: BootstrapOptions): Promise<Dht> {
  const { host, bind = host, others = [] } = options
  // The first node cannot ask others for its address, so it has to know it beforehand.
  const port = await usablePort(bind, options.port)
  const dht = HyperDHT.bootstrapper(port, host, { host: bind, bootstrap: others.map(addressOf) })
  // Those elsewhere may come later: this one is there without them.
  if (others.length === 0) await dht.fullyBootstrapped()
  return dht
}

/**
 * The UDP port, or a free one for 0, once it was bound and released again: a HyperDHT that cannot
 * bind is hard to tell from one that still tries, and cannot be closed.
 */
async function usablePort(host: string, port: number): Promise<number> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, host, resolve)
    })
    return socket.address().port
  } catch (cause) {
    const inUse = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const where = `Cannot open UDP ${host}:${port} for the DHT`
    if (inUse) throw new SignalMeshError('PORT_IN_USE', `${where}, it is in use`, { cause })
    throw new SignalMeshError('BAD_CONFIG', `${where}: ${whyOf(cause)}`, { cause })
  } finally {
    socket.close()
  }
}

/** Where to begin: at the nodes that were named, and at the public ones only if those were asked for. */
export function bootstrapOf({ bootstrap, isPublic = false }: DhtOptions): DhtAddress[] {
  return [...bootstrap, ...(isPublic ? HyperDHT.BOOTSTRAP : [])].map(addressOf)
}

/** From now on a DHT that finds nobody turns to these. */
export function useBootstrap(dht: Pick<Dht, 'bootstrapNodes'>, options: DhtOptions): void {
  dht.bootstrapNodes.splice(0, dht.bootstrapNodes.length, ...bootstrapOf(options))
}

interface DhtAddress {
  readonly host: string
  readonly port: number
}

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}
