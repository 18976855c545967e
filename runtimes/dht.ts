/** The DHT: a member of one, and the first node of a new one. */

import { createSocket } from 'node:dgram'
import HyperDHT from 'hyperdht'
import { SignalMeshError } from '../src/errors.ts'

export type Dht = HyperDHT

export interface DhtOptions {
  /** DHT nodes to start from, as `host:port`; empty for the first node of a new DHT. */
  readonly bootstrap: readonly string[]
  readonly host?: string | undefined
  /** Default: any free port. */
  readonly port?: number | undefined
}

/**
 * Opens a member of the DHT that the bootstrap nodes belong to. It does not wait for them.
 * @throws SignalMeshError `BAD_ARGUMENT` without bootstrap nodes, `PORT_IN_USE`.
 */
export async function openDht(options: DhtOptions): Promise<Dht> {
  // Without a list HyperDHT would turn to its public one, which nobody asked for.
  if (options.bootstrap.length === 0) {
    throw new SignalMeshError('BAD_ARGUMENT', 'Cannot join a DHT without a bootstrap node')
  }
  const bootstrap = options.bootstrap.map(addressOf)
  // On loopback, sockets bound to all interfaces open connections that carry no bytes, and the guess
  // at what kind of NAT this is goes wrong as often as not, where there is none.
  const local = bootstrap.every(({ host }) => host.startsWith('127.'))
  const host = options.host ?? (local ? '127.0.0.1' : '0.0.0.0')
  const { port } = options
  const dht = new HyperDHT({
    bootstrap,
    host,
    // A port that was asked for is that one or none; an empty range is any free one.
    ...(port ? { port: [port, port + 1], anyPort: false } : { port: [0, 0] }),
    ...(local && { firewalled: false }),
  })
  return bound(dht, `${host}:${port || 'any port'}`)
}

export interface BootstrapOptions {
  /** An IPv4 address of this machine, under which others reach it. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

/** Starts a DHT of its own: the node that others are given as their bootstrap. */
export async function openBootstrap(options: BootstrapOptions): Promise<Dht> {
  const { host } = options
  // The first node cannot ask others for its address, so it has to know it beforehand.
  const port = options.port || (await freePort(host))
  const dht = await bound(HyperDHT.bootstrapper(port, host, { host }), `${host}:${port}`)
  await dht.fullyBootstrapped()
  return dht
}

async function freePort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, host, resolve)
    })
    return socket.address().port
  } catch (cause) {
    throw new SignalMeshError('BAD_CONFIG', `This machine has no address ${host}`, { cause })
  } finally {
    socket.close()
  }
}

async function bound(dht: Dht, where: string): Promise<Dht> {
  const listening = new Promise<void>((resolve) => dht.once('listening', resolve))
  try {
    await Promise.race([listening, dht.fullyBootstrapped()])
    return dht
  } catch (cause) {
    // Its sockets never came to be, so that closing them fails too.
    await dht.destroy({ force: true }).catch(() => {})
    const advice = 'it is in use, or this machine has no such address'
    throw new SignalMeshError('PORT_IN_USE', `Cannot open UDP ${where} for the DHT: ${advice}`, {
      cause,
    })
  }
}

function addressOf(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}
