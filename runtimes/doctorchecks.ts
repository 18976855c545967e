/** The doctor's looks over UDP: the DHT, UDP itself, and STUN as others see it, each with what to do. */

import { reachOf } from '../src/authority.ts'
import type { Runtime } from '../src/runtime.ts'
import type { Config } from './config.ts'
import { askOverUdp, type Heard, type Place } from './doctorudp.ts'
import { nodesOf, type Views } from './doctorviews.ts'
import { whyOf } from './why.ts'

export interface Finding {
  readonly check: 'node' | 'peer' | 'dht' | 'udp' | 'stun' | 'relay' | 'clock' | 'tls'
  readonly state: 'ok' | 'wrong' | 'skipped'
  readonly says: string
  /** What to do where it is wrong, or to have it looked at. */
  readonly todo?: string
}

/** STUN servers that are asked. */
const MAX_STUNS = 4

/** All of it over UDP: one port asks DHT nodes and STUN. */
export async function checkUdp(
  config: Config,
  { openUdp }: Pick<Runtime, 'openUdp'>,
  views: Views,
): Promise<readonly Finding[]> {
  const dht: Place[] = config.noDht ? [] : bootstrapsOf(config).map((at) => ({ kind: 'dht', at }))
  const stuns: Place[] = stunsOf(views).map((at) => ({ kind: 'stun', at }))
  if (!openUdp) return [skipped('udp', 'This runtime has no UDP', 'use --peer or --relay')]
  try {
    const heard = await askOverUdp(openUdp, [...dht, ...stuns])
    return [
      dhtFinding(
        config,
        heard.filter(({ kind }) => kind === 'dht'),
      ),
      udpFinding(heard),
    ]
  } catch (error) {
    return [
      wrong(
        'udp',
        `This machine gives no UDP port: ${whyOf(error)}`,
        'allow UDP, or use --peer and --relay',
      ),
    ]
  }
}

function bootstrapsOf({ bootstrap, dhtBootstrap }: Config): string[] {
  return [...new Set(dhtBootstrap === undefined ? bootstrap : [dhtBootstrap, ...bootstrap])]
}

/** Those of other nodes. */
function stunsOf({ others }: Views): string[] {
  const all = others.flatMap((other) => nodesOf(other).find(({ isSelf }) => isSelf)?.stunAt ?? [])
  return [...new Set(all)].slice(0, MAX_STUNS)
}

function dhtFinding({ bootstrap, publicDht, noDht }: Config, heard: readonly Heard[]): Finding {
  if (heard.length === 0) {
    if (publicDht && !noDht)
      return skipped(
        'dht',
        'The public DHT is not asked here',
        'signal-mesh status shows whether it led to others',
      )
    return skipped('dht', 'No DHT is used', 'name one by --bootstrap to have it looked at')
  }
  const silent = heard.filter(({ seen }) => seen === undefined).map(({ at }) => at)
  if (silent.length === 0) return ok('dht', `All ${heard.length} DHT nodes answer`)
  const says = `${silent.length} of ${heard.length} DHT nodes are silent: ${silent.join(', ')}`
  const todo =
    'see that they run, that their UDP port is open, and that this network lets UDP out; or join by --peer or --relay'
  // One that answers leads to all others.
  return silent.length < heard.length && bootstrap.length > 0
    ? ok('dht', says)
    : wrong('dht', says, todo)
}

function udpFinding(heard: readonly Heard[]): Finding {
  if (heard.length === 0) {
    return skipped(
      'udp',
      'Nobody to ask over UDP is known',
      'name a node by --peer, or a DHT by --bootstrap',
    )
  }
  const seen = heard.flatMap((one) => one.seen ?? [])
  if (seen.length === 0) {
    const says = `UDP went to ${heard.length} places, and nothing came back`
    return wrong(
      'udp',
      says,
      'open UDP in the firewall for going out and for answers; without it use --relay or --peer, over WebSocket',
    )
  }
  const outside = [...new Set(seen.filter(isOutside))]
  const where = [...new Set(seen)].join(' and ')
  if (outside.length < 2) return ok('udp', `UDP is open; others see this machine at ${where}`)
  return wrong(
    'udp',
    `UDP is open, but each other end sees another address (${where}): the NAT here is symmetric`,
    'forward the UDP ports in the router (--stun-port, --dht-port), or give this machine a public address',
  )
}

/** Of IPv4 alone: without NAT an IPv6 address is another one anyway. */
function isOutside(at: string): boolean {
  return !at.startsWith('[') && reachOf(at.replace(/:\d+$/, '')) === 'public'
}

/** Whether this node's own STUN answers others, as far as they have tried it. */
export function checkStun({ own, others }: Views): Finding {
  const self = nodesOf(own).find(({ isSelf }) => isSelf)
  if (!self)
    return skipped(
      'stun',
      'The node does not run, so nobody can try its STUN',
      'start it, then ask again',
    )
  if (self.stunAt === undefined) {
    return skipped(
      'stun',
      'The node names no STUN',
      'it has one unless --stun-port is 0, or its port is taken',
    )
  }
  const told = others.flatMap(
    (other) => nodesOf(other).find(({ id }) => id === self.id)?.stunAnswers ?? [],
  )
  if (told.includes(true))
    return ok('stun', `Another node has had an answer of its STUN (${self.stunAt})`)
  if (told.length === 0) {
    return skipped(
      'stun',
      `No other node that was asked has tried its STUN (${self.stunAt}) yet`,
      'neighbours try it within a minute; name one by --peer',
    )
  }
  return wrong(
    'stun',
    `Its STUN (${self.stunAt}) does not answer other nodes`,
    `open that UDP port for coming in; behind a NAT forward it, and say where it is by --stun-public`,
  )
}

export function ok(check: Finding['check'], says: string): Finding {
  return { check, state: 'ok', says }
}

export function wrong(check: Finding['check'], says: string, todo: string): Finding {
  return { check, state: 'wrong', says, todo }
}

export function skipped(check: Finding['check'], says: string, todo: string): Finding {
  return { check, state: 'skipped', says, todo }
}
