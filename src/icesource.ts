/** Servers for ICE that a home names: STUN of its own and of neighbours that it has tried, and TURN. */

import { reachesAsFar } from './authority.ts'
import { toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { randomBytes } from './crypto.ts'
import type { Directory } from './directory.ts'
import { type IceOffer, type IceServer, NO_ICE, portOf } from './ice.ts'
import type { NodeId } from './identity.ts'
import {
  ICE_REFRESH_MS,
  MAX_STUN_OFFERED,
  MAX_STUN_PROBES,
  STUN_ANSWER_MS,
  STUN_LINKED_MS,
  STUN_PROBE_MAX_MS,
  STUN_PROBE_MS,
  STUN_RESEND_MS,
} from './limits.ts'
import type { Neighbours } from './neighbours.ts'
import type { UdpAddress } from './runtime.ts'
import { createStunResponder, stunAnswerId, stunRequest } from './stun.ts'

export interface IceSource {
  /** STUN servers. */
  stun(): IceOffer
  /** TURN servers for an edge at this address. */
  turn(remoteAddress: string): IceOffer
}

export const NO_ICE_SOURCE: IceSource = { stun: () => NO_ICE, turn: () => NO_ICE }

/** Where this node's own STUN is, and how its datagrams go out. */
export interface StunPort {
  /** Host and port for others; without one its STUN is not named. */
  readonly at: string | undefined
  send(datagram: Uint8Array, to: UdpAddress): void
}

export interface StunsOptions {
  readonly clock: Clock
  readonly directory: Pick<Directory, 'homes'>
  readonly neighbours: Pick<Neighbours, 'ids' | 'linkOf'>
}

export interface Stuns {
  /** Says through which port it answers and asks. */
  use(port: StunPort): void
  /** Takes a datagram that came to the port. */
  receive(datagram: Uint8Array, from: UdpAddress): void
  /** A neighbour has come. */
  linked(): void
  /** Probes neighbours whose time has come. */
  sweep(): void
  offer(): IceOffer
  /** Whether the STUN of this neighbour answers; undefined until it was tried. */
  answers(node: NodeId): boolean | undefined
  /** Its port is about to be closed. */
  close(): void
  readonly at: string | undefined
}

interface Probed {
  readonly place: UdpAddress
  /** The transaction that is not answered yet. */
  id: string | undefined
  alive: boolean
  /** Whether a try of it has come to its end. */
  tried: boolean
  waitMs: number
  nextAtMs: number
}

export function createStuns({ clock, directory, neighbours }: StunsOptions): Stuns {
  const answer = createStunResponder(clock)
  const probed = new Map<NodeId, Probed>()
  let port: StunPort | undefined

  /**
   * Where the neighbour's STUN must be: at the address of its link. A name or an address that it only
   * tells could be anybody's, who would get the probe and then the datagrams of all edges.
   */
  const placeOf = (node: NodeId): UdpAddress | undefined => {
    const address = neighbours.linkOf(node)?.remoteAddress
    const at = directory.homes.get(node)?.contact.stunAt
    return address && at ? { address, port: portOf(at) } : undefined
  }

  const probe = (place: UdpAddress, entry: Probed): void => {
    const id = randomBytes(12)
    const asked = toHex(id)
    entry.id = asked
    entry.nextAtMs = clock.monotonicMs() + entry.waitMs
    const send = (): void => {
      if (entry.id === asked) port?.send(stunRequest(id), place)
    }
    send()
    for (const afterMs of [STUN_RESEND_MS, 3 * STUN_RESEND_MS]) clock.after(afterMs, send)
    clock.after(STUN_ANSWER_MS, () => {
      if (entry.id !== asked) return
      entry.id = undefined
      entry.alive = false
      entry.tried = true
      entry.waitMs = Math.min(2 * entry.waitMs, STUN_PROBE_MAX_MS)
      entry.nextAtMs = clock.monotonicMs() + entry.waitMs
    })
  }

  const heard = (id: string, from: UdpAddress): void => {
    for (const entry of probed.values()) {
      if (entry.id !== id || !isSame(entry.place, from)) continue
      entry.id = undefined
      entry.alive = true
      entry.tried = true
      entry.waitMs = STUN_PROBE_MS
      entry.nextAtMs = clock.monotonicMs() + STUN_PROBE_MS
    }
  }

  const sweep = (): void => {
    for (const node of probed.keys()) if (!placeOf(node)) probed.delete(node)
    if (!port) return
    let probes = 0
    for (const node of neighbours.ids) {
      const place = placeOf(node)
      if (!place || probes >= MAX_STUN_PROBES) continue
      const before = probed.get(node)
      const entry = before && isSame(before.place, place) ? before : unprobed(place)
      probed.set(node, entry)
      if (entry.nextAtMs > clock.monotonicMs()) continue
      probes += 1
      probe(place, entry)
    }
  }

  return {
    use: (own) => {
      port = own
    },
    get at() {
      return port?.at
    },
    receive: (datagram, from) => {
      const id = stunAnswerId(datagram)
      if (id) return heard(toHex(id), from)
      const reply = answer(datagram, from)
      if (reply) port?.send(reply, from)
    },
    linked: () => void clock.after(STUN_LINKED_MS, sweep),
    sweep,
    close: () => {
      port = undefined
    },
    answers: (node) => {
      const entry = probed.get(node)
      return entry?.tried ? entry.alive : undefined
    },
    offer: () => {
      const alive = [...probed.values()].filter((one) => one.alive)
      const others = shuffled(alive.map(({ place }) => textOf(place)))
      const own = port?.at
      // Of what this node reaches, a private network may be its own alone.
      const all = own ? [own, ...others.filter((at) => reachesAsFar(at, own))] : others
      const urls = [...new Set(all)].slice(0, MAX_STUN_OFFERED).map((at) => `stun:${at}`)
      return { servers: urls.map((url) => ({ url })), ttlMs: urls.length ? ICE_REFRESH_MS : 0 }
    },
  }
}

/** Two offers as one, good for as long as both are. */
export function joined(a: IceOffer, b: IceOffer): IceOffer {
  const servers: readonly IceServer[] = [...a.servers, ...b.servers]
  const times = [a, b].filter((offer) => offer.servers.length > 0).map(({ ttlMs }) => ttlMs)
  return { servers, ttlMs: times.length ? Math.min(...times) : 0 }
}

function unprobed(place: UdpAddress): Probed {
  return { place, id: undefined, alive: false, tried: false, waitMs: STUN_PROBE_MS, nextAtMs: 0 }
}

function isSame(a: UdpAddress, b: UdpAddress): boolean {
  return a.address === b.address && a.port === b.port
}

function textOf({ address, port }: UdpAddress): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** In random order, so that the load and the trust spread. */
function shuffled<T>(list: readonly T[]): T[] {
  const out = [...list]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[out[i], out[j]] = [out[j] as T, out[i] as T]
  }
  return out
}
