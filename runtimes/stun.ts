/** The port of a node's STUN: which one it is, and what happens where it cannot be had. */

import { isIP } from 'node:net'
import { reachOf } from '../src/authority.ts'
import { asMeshError } from '../src/errors.ts'
import { isStunAt } from '../src/ice.ts'
import { MAX_STUN_AT_BYTES } from '../src/limits.ts'
import type { Log } from '../src/log.ts'
import type { MeshNode } from '../src/node.ts'
import type { Runtime, UdpPort } from '../src/runtime.ts'
import { type Config, DEFAULT_STUN_PORT } from './config.ts'

type StunConfig = Pick<Config, 'host' | 'publicUrl' | 'stunPort' | 'stunPublic'>

/**
 * Opens the port and gives it to the node. A node without STUN is a good one, so this fails with a line
 * in the log alone. `ownHost` is where this node is reached without a public URL.
 */
export async function openStun(
  node: Pick<MeshNode, 'useStun' | 'onDatagram'>,
  runtime: Pick<Runtime, 'openUdp'>,
  config: StunConfig,
  log: Log,
  ownHost: string,
): Promise<UdpPort | undefined> {
  if (config.stunPort === 0 || !runtime.openUdp) return undefined
  const open = runtime.openUdp
  const at = (port: number): Promise<UdpPort> =>
    open({ host: bindHost(config), port, onDatagram: node.onDatagram })
  try {
    const port = await (config.stunPort === undefined
      ? at(DEFAULT_STUN_PORT).catch(() => at(0))
      : at(config.stunPort))
    const publicAt = publicPlace(config, ownHost, port.port)
    node.useStun({ at: publicAt, send: port.send })
    const isOther = config.stunPort === undefined && port.port !== DEFAULT_STUN_PORT
    // On one machine that is as it should be; firewalls know the usual port alone.
    const level = isOther && config.publicUrl.length > 0 ? 'warn' : 'debug'
    log[level]('STUN answers', { port: port.port, at: publicAt, isOther })
    return port
  } catch (error) {
    log.warn('Goes on without STUN', { why: asMeshError(error).message })
    return undefined
  }
}

/** Who is to be reached from outside is so by UDP, also where a proxy of this machine takes the pages. */
function bindHost({ host, publicUrl, stunPublic }: StunConfig): string {
  if (publicUrl.length > 0 || stunPublic !== undefined) return '0.0.0.0'
  if (isIP(host)) return host
  return reachOf(host) === 'loopback' ? '127.0.0.1' : '0.0.0.0'
}

function publicPlace(
  { publicUrl, stunPublic }: StunConfig,
  ownHost: string,
  port: number,
): string | undefined {
  if (stunPublic !== undefined) return stunPublic
  const [first] = publicUrl
  const at = `${first === undefined ? ownHost : new URL(first).hostname}:${port}`
  return isStunAt(at) && at.length <= MAX_STUN_AT_BYTES ? at : undefined
}
