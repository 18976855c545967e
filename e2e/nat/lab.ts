/** The laboratory: its sites and servers on the core, what the core has counted, and faults to order. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Kind, TWINS, type Twins } from './kinds.ts'
import type { Found } from './natcheck.ts'
import { coreRules } from './rules.ts'
import { type Built, type Site, site, twins } from './sites.ts'
import * as world from './world.ts'

const run = promisify(execFile)

/** Of the laboratory's own STUN, by the last part of their addresses. */
const STUN_HOSTS = [20, 21] as const

export interface Lab {
  readonly sites: ReadonlyMap<string, Site>
  /** What the site is behind, by STUN. */
  prove(site: Site): Promise<Found[]>
  /** What the core has carried so far. */
  flows(): Promise<Flows>
  /** Unplugs a site or server from the core, and plugs it in again. */
  cut(port: number): void
  heal(port: number): void
  /** Gives the site another public address: all its mappings are gone. */
  renumber(site: Site): void
  /** Has the core drop what `rule` says; gives what ends that. `verdict` may be another one. */
  drop(rule: string, verdict?: string): () => void
  /** The core sends what is for one address to another; gives what ends that. */
  redirect(from: string, to: string): () => void
}

/** Bytes that went from one address to another, by `tcp` or `udp`. */
export type Flows = (from: readonly string[], to: readonly string[], proto: 'tcp' | 'udp') => number

/** Builds it; servers are namespaces `srv-N` at the public addresses `.N` of both families. */
export async function buildLab(
  kinds: readonly (readonly [name: string, kind: Kind | Twins])[],
  servers: readonly number[],
): Promise<Lab> {
  const built: Built[] = []
  let number = 1
  for (const [name, kind] of kinds) {
    built.push(isTwins(kind) ? twins(name, kind, number) : site(name, kind, number))
    number += isTwins(kind) ? 2 : 1
  }
  const lines = [
    ...world.core(coreRules()),
    ...world.plugSelf(),
    ...server('stun', STUN_HOSTS),
    ...servers.flatMap((host) => server(`srv-${host}`, [host])),
    ...built.flatMap(({ lines }) => lines),
  ]
  world.runLines(lines)
  await world.start('stun', [process.execPath, here('stund.ts'), ...stunPairs()], 'STUN answers')
  const sites = new Map(built.flatMap(({ sites }) => sites.map((each) => [each.name, each])))
  const onPort = (port: number, state: 'up' | 'down'): void =>
    void world.runLines([`ip -n core link set port${port} ${state}`])
  return {
    sites,
    prove: async ({ host }) => {
      const [first = '', ...rest] = [
        ...world.into(host),
        process.execPath,
        here('natcheck.ts'),
        ...stunPairs(),
      ]
      return JSON.parse((await run(first, rest)).stdout)
    },
    flows,
    cut: (port) => onPort(port, 'down'),
    heal: (port) => onPort(port, 'up'),
    renumber: ({ front, frontAt, port }) => {
      world.runLines([
        `ip -n ${front} addr del ${world.NET}.${port}/32 dev ${frontAt}`,
        ...world.publicAddress(front, frontAt, port + 60),
        `ip netns exec ${front} nft flush map ip lab mapped || true`,
        `ip netns exec ${front} nft flush set ip lab peers || true`,
      ])
    },
    drop: (rule, verdict = 'drop') =>
      fault('chain forward { type filter hook forward priority -10;', `${rule} ${verdict}`),
    redirect: (from, to) =>
      fault(
        'chain pre { type nat hook prerouting priority -100;',
        `ip daddr ${from} dnat ip to ${to}`,
      ),
  }
}

export function isTwins(kind: Kind | Twins): kind is Twins {
  return kind in TWINS
}

let faults = 0

/** A rule of the core's, in a table of its own so that it can go alone. */
function fault(chain: string, rule: string): () => void {
  const table = `inet fault${faults++}`
  world.runLines(world.rules('core', `table ${table} {\n${chain}\n${rule}\n}\n}\n`))
  return () => void world.runLines([`ip netns exec core nft delete table ${table}`])
}

function server(name: string, hosts: readonly number[]): string[] {
  return [
    ...world.namespace(name, true),
    ...world.plug(name, 'eth0', hosts[0] as number),
    ...hosts.flatMap((host) => [
      ...world.publicAddress(name, 'eth0', host),
      ...world.publicAddress6(name, 'eth0', host),
    ]),
  ]
}

function stunPairs(): string[] {
  return [world.NET, `${world.NET6}:`].map((net, i) =>
    STUN_HOSTS.map((host) => `${net}${i ? ':' : '.'}${host}`).join(','),
  )
}

interface Counted {
  readonly elem: {
    readonly val: { readonly concat: readonly string[] }
    readonly counter: { bytes: number }
  }
}

async function flows(): Promise<Flows> {
  const tables = ['ip', 'ip6'].map(async (family) => {
    const [first = '', ...rest] = [
      ...world.into('core'),
      'nft',
      '-j',
      'list',
      'set',
      family,
      'lab',
      'flows',
    ]
    const { stdout } = await run(first, rest, { maxBuffer: 2 ** 26 })
    const parts = JSON.parse(stdout).nftables as { set?: { elem?: Counted[] } }[]
    return parts.flatMap(({ set }) => set?.elem ?? [])
  })
  const all = (await Promise.all(tables)).flat().map(({ elem }) => elem)
  return (from, to, proto) =>
    all
      .filter(({ val: { concat } }) => {
        const [source = '', destination = '', by] = concat
        return from.includes(source) && to.includes(destination) && by === proto
      })
      .reduce((sum, { counter }) => sum + counter.bytes, 0)
}

function here(file: string): string {
  return `${import.meta.dirname}/${file}`
}
