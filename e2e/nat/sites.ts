/** Sites of the laboratory: a host, or two, behind a router of some kind. */

import type { Kind, Twins } from './kinds.ts'
import { firewall6Rules, firewallRules, type NatType, natRules } from './rules.ts'
import * as world from './world.ts'

export interface Site {
  readonly name: string
  readonly kind: Kind
  /** The namespace in which its browser runs. */
  readonly host: string
  /** The namespace whose interface has the public address, and that interface. */
  readonly front: string
  readonly frontAt: string
  /** Its port of the core, and the last part of its public address. */
  readonly port: number
  /** Addresses by which the core sees it. */
  readonly addresses: readonly string[]
}

export interface Built {
  readonly sites: readonly Site[]
  readonly lines: readonly string[]
}

/** The last part of a site's first public address. */
const FIRST_HOST = 100

/** One host behind one router of a kind; `number` is unique in the laboratory. */
export function site(name: string, kind: Kind, number: number): Built {
  const host = FIRST_HOST + number
  const v4 = `${world.NET}.${host}`
  const about = (front: string, frontAt: string, addresses: readonly string[]): Site => ({
    ...{ name, kind, host: name, front, frontAt, port: host, addresses },
  })
  if (kind === 'public' || kind === 'firewall') {
    const lines = [
      ...world.namespace(name),
      ...world.plug(name, 'eth0', host),
      ...world.publicAddress(name, 'eth0', host),
      ...(kind === 'firewall' ? world.rules(name, firewallRules()) : []),
    ]
    return { sites: [about(name, 'eth0', [v4])], lines }
  }
  if (kind === 'carrier' || kind === 'carrier-symmetric') {
    const type = kind === 'carrier' ? 'port' : 'symmetric'
    const carrier = `${name}.c`
    const lines = [
      ...front(carrier, type, host, false),
      ...world.bridge(carrier, 'lan0'),
      `ip -n ${carrier} addr add 100.64.${number}.1/24 dev lan0`,
      ...home(name, number, carrier, `100.64.${number}`, 2),
    ]
    return { sites: [about(carrier, 'wan0', [v4])], lines }
  }
  const router = `${name}.r`
  const type = kind === 'dual' || kind === 'ipv6' ? 'port' : kind
  const lines = [
    ...front(router, type, host, false, kind === 'dual' || kind === 'ipv6'),
    ...world.bridge(router, 'lan0'),
    ...(kind === 'ipv6' ? [] : [`ip -n ${router} addr add 192.168.${number}.1/24 dev lan0`]),
    ...world.namespace(name, kind === 'dual' || kind === 'ipv6'),
    ...onLan(name, router, 1),
    ...(kind === 'ipv6' ? [] : lanAddress(name, number, 1)),
    ...(kind === 'dual' || kind === 'ipv6' ? ipv6(name, router, host) : []),
  ]
  const v6 = kind === 'dual' || kind === 'ipv6' ? [`2001:db8:0:${host}::10`] : []
  return { sites: [about(router, 'wan0', kind === 'ipv6' ? v6 : [v4, ...v6])], lines }
}

/** Two hosts behind one NAT: on one LAN, or each in a home of its own behind a carrier. */
export function twins(name: string, kind: Twins, number: number): Built {
  const host = FIRST_HOST + number
  const hairpin = kind.endsWith('hairpin')
  const top = `${name}.r`
  const names = [`${name}1`, `${name}2`]
  const isLan = kind.startsWith('lan')
  const lines = [
    ...front(top, 'port', host, hairpin),
    ...world.bridge(top, 'lan0'),
    `ip -n ${top} addr add ${isLan ? '192.168' : '100.64'}.${number}.1/24 dev lan0`,
    ...names.flatMap((each, i) =>
      isLan
        ? [...world.namespace(each), ...onLan(each, top, i + 1), ...lanAddress(each, number, i + 1)]
        : home(each, number + i, top, `100.64.${number}`, 2 + i),
    ),
  ]
  const sites = names.map((each) => ({
    ...{ name: each, kind: 'port' as const, host: each, front: top, frontAt: 'wan0', port: host },
    addresses: [`${world.NET}.${host}`],
  }))
  return { sites, lines }
}

/** A router with its public address; its LAN is yet to come. */
function front(name: string, type: NatType, host: number, hairpin: boolean, v6 = false): string[] {
  const address = `${world.NET}.${host}`
  return [
    ...world.namespace(name, v6),
    ...world.plug(name, 'wan0', host),
    ...world.publicAddress(name, 'wan0', host),
    ...(v6 ? world.publicAddress6(name, 'wan0', host) : []),
    ...world.forwards(name),
    ...world.rules(name, natRules({ type, wan: 'wan0', lan: 'lan0', address, hairpin })),
    ...(v6 ? world.rules(name, firewall6Rules('wan0')) : []),
  ]
}

/** A host and its port-restricted router, behind a carrier whose network begins with `net`. */
function home(name: string, number: number, carrier: string, net: string, at: number): string[] {
  const router = `${name}.r`
  const address = `${net}.${at}`
  return [
    ...world.namespace(router),
    ...world.cable(router, 'wan0', carrier, `home${at}`),
    `ip -n ${carrier} link set home${at} master lan0`,
    `ip -n ${router} addr add ${address}/24 dev wan0`,
    `ip -n ${router} route add default via ${net}.1`,
    ...world.forwards(router),
    ...world.bridge(router, 'lan0'),
    `ip -n ${router} addr add 192.168.${number}.1/24 dev lan0`,
    ...world.rules(
      router,
      natRules({ type: 'port', wan: 'wan0', lan: 'lan0', address, hairpin: false }),
    ),
    ...world.namespace(name),
    ...onLan(name, router, 1),
    ...lanAddress(name, number, 1),
  ]
}

function onLan(name: string, router: string, nth: number): string[] {
  return [
    ...world.cable(name, 'eth0', router, `lan${nth}`),
    `ip -n ${router} link set lan${nth} master lan0`,
  ]
}

function lanAddress(name: string, number: number, nth: number): string[] {
  return [
    `ip -n ${name} addr add 192.168.${number}.${9 + nth}/24 dev eth0`,
    `ip -n ${name} route add default via 192.168.${number}.1`,
  ]
}

/** A network of IPv6 of its own, which the core knows. */
function ipv6(name: string, router: string, host: number): string[] {
  const net = `2001:db8:0:${host}`
  return [
    `ip -n ${router} addr add ${net}::1/64 dev lan0 nodad`,
    `ip -n ${name} addr add ${net}::10/64 dev eth0 nodad`,
    `ip -n ${name} -6 route add default via ${net}::1`,
    `ip -n core -6 route add ${net}::/64 via ${world.NET6}::${host} dev br0`,
  ]
}
