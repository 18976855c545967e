/** The local network: nodes that ask for it find each other there by multicast DNS. */

import { networkInterfaces } from 'node:os'
import multicastDns from 'multicast-dns'
import { addressBytes } from '../src/authority.ts'
import { type Clock, repeat, systemClock } from '../src/clock.ts'
import { MAX_TAKEN } from '../src/limits.ts'
import type { Log } from '../src/log.ts'
import type { FoundPeer } from '../src/urldials.ts'
import { type LanAnswer, type LanSelf, lanAnswer, lanPeers } from './lananswer.ts'
import { LAN_ANSWER_MS, LAN_ASK_MS, LAN_GONE_MS, MAX_LAN_NODES } from './limits.ts'
import { whyOf } from './why.ts'

export interface LanOptions {
  readonly selves: readonly LanSelf[]
  /** Where this node can be reached from other machines; without it, it looks but is not found. */
  readonly port?: number
  readonly log: Log
  onFound(peers: readonly FoundPeer[]): void
  readonly clock?: Clock
}

/** Multicast DNS, as far as it is used here; tests bring their own. */
export interface Mdns {
  on(event: 'error' | 'warning', take: (error: Error) => void): unknown
  on(event: 'query', take: (packet: Packet) => void): unknown
  on(event: 'response', take: (packet: Packet, from: { readonly address: string }) => void): unknown
  respond(
    packet: { readonly answers: readonly LanAnswer[] },
    done: (error?: Error | null) => void,
  ): void
  query(
    packet: { readonly questions: readonly { readonly name: string; readonly type: 'PTR' }[] },
    done: (error?: Error | null) => void,
  ): void
  destroy(done: () => void): void
}

export interface Lan {
  close(): Promise<void>
}

const SERVICE = '_signal-mesh._tcp.local'
const ASKED_AT_START_MS = [0, 1_000, 3_000]

/** What is used of the package's packets. */
interface Packet {
  readonly questions?: readonly { readonly name: string }[]
  readonly answers: readonly LanAnswer[]
  readonly additionals?: readonly LanAnswer[]
}

export function openLan(
  options: LanOptions,
  open: () => Mdns = multicastDns as unknown as () => Mdns,
): Lan {
  const { selves, port, log, clock = systemClock } = options
  const heard = new Map<string, Heard>()
  const mdns = open()
  let answeredAtMs = Number.NEGATIVE_INFINITY
  let hasFailed = false
  let said = ''

  const fail = (error: unknown): void => {
    log[hasFailed ? 'debug' : 'warn'](
      'Cannot look for nodes in the local network (multicast DNS, UDP port 5353)',
      { why: whyOf(error) },
    )
    hasFailed = true
  }

  const answer = (): void => {
    if (port === undefined || clock.monotonicMs() - answeredAtMs < LAN_ANSWER_MS) return
    answeredAtMs = clock.monotonicMs()
    const answers = lanAnswer(SERVICE, port, selves)
    mdns.respond({ answers }, (error) => error && fail(error))
  }

  const tell = (): void => {
    const nowMs = clock.monotonicMs()
    for (const [key, { atMs }] of heard) if (nowMs - atMs >= LAN_GONE_MS) heard.delete(key)
    // Those heard of first stay, so that links do; but one machine may say that it is many.
    const peers = inTurn([...heard.values()].map((one) => [one, one.address]))
      .slice(0, MAX_TAKEN)
      .map(({ peer }) => peer)
    const text = JSON.stringify(peers)
    if (text === said) return
    said = text
    options.onFound(peers)
  }

  const ask = (): void => {
    tell()
    mdns.query({ questions: [{ name: SERVICE, type: 'PTR' }] }, (error) => error && fail(error))
  }

  mdns.on('error', fail)
  mdns.on('warning', (error: Error) => log.debug('Multicast DNS', { why: whyOf(error) }))
  mdns.on('query', ({ questions = [] }: Packet) => {
    if (questions.some(({ name }) => name === SERVICE)) answer()
  })
  mdns.on('response', (packet: Packet, { address }: { readonly address: string }) => {
    // RFC 6762, section 11: what did not come from this very network is not heard.
    if (!isOnLink(address)) return
    const answers = [...packet.answers, ...(packet.additionals ?? [])]
    for (const peer of lanPeers(SERVICE, answers, address)) {
      if (selves.some(({ node }) => node === peer.node)) continue
      if (!selves.some(({ network }) => network === peer.network)) continue
      const key = `${peer.network} ${peer.url}`
      heard.set(key, { peer, address, atMs: clock.monotonicMs() })
      if (heard.size <= MAX_LAN_NODES) continue
      // The last of the machine with the most nodes makes room.
      const over = inTurn([...heard].map(([at, one]) => [at, one.address])).at(-1)
      if (over !== undefined) heard.delete(over)
    }
    tell()
  })
  answer()
  const cancels = ASKED_AT_START_MS.map((delayMs) => clock.after(delayMs, ask))
  cancels.push(repeat(clock, LAN_ASK_MS, ask))
  return {
    close: () => {
      for (const cancel of cancels) cancel()
      return new Promise<void>((resolve) => {
        mdns.destroy(() => resolve())
        // One whose port could not be had is closed already, which the package takes for an error.
      }).catch((error: unknown) => log.debug('Multicast DNS', { why: whyOf(error) }))
    },
  }
}

/** Who was heard of, from which machine. */
interface Heard {
  readonly peer: FoundPeer
  readonly address: string
  readonly atMs: number
}

/** One of each machine, then the second of each, and so on. */
function inTurn<Item>(items: readonly (readonly [Item, string])[]): Item[] {
  const counts = new Map<string, number>()
  const turns = items.map(([item, address]) => {
    const turn = counts.get(address) ?? 0
    counts.set(address, turn + 1)
    return { item, turn }
  })
  return turns.sort((a, b) => a.turn - b.turn).map(({ item }) => item)
}

/** Whether the address is one of a network to which this machine has an interface. */
function isOnLink(address: string): boolean {
  const bytes = addressBytes(address)
  if (!bytes) return false
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .some((own) => {
      const [near, mask] = [addressBytes(own.address), addressBytes(own.netmask)]
      if (near?.length !== bytes.length || mask?.length !== bytes.length) return false
      return bytes.every((byte, i) => ((byte ^ (near[i] ?? 0)) & (mask[i] ?? 0xff)) === 0)
    })
}
