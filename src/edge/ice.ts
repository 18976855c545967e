/** Servers for ICE on an edge: those that its home names, or what the application makes of them. */

import { authorityOf, reachesAsFar } from '../authority.ts'
import type { Clock } from '../clock.ts'
import { decodeIce, type IceOffer, type IceServer, iceHost, isTurnUrl } from '../ice.ts'
import { ICE_AGAIN_MS, ICE_FEW_MS, ICE_REFRESH_MS } from '../limits.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { socketUrl } from './dialling.ts'
import { report } from './events.ts'
import { checkIceServers, type JoinOptions } from './options.ts'

export interface IceOptions {
  readonly clock: Clock
  readonly wanted: JoinOptions['iceServers']
  /** Asks the home that the edge has. */
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** URL of that home. */
  url(): string
}

export interface Ice {
  /** As things are now. */
  readonly servers: RTCIceServer[]
  /** The same once a home has named its own; `undefined` where the application names all. */
  readonly named: Promise<RTCIceServer[]> | undefined
  /** Takes what a node's hello says of STUN. */
  greeted(offer: IceOffer, url: string): void
  /** Takes what the welcome says of TURN. */
  welcomed(offer: IceOffer, url: string): void
  close(): void
}

/** Servers of one kind, until they run out. */
interface Kept {
  readonly servers: readonly IceServer[]
  readonly ttlMs: number
  readonly untilMs: number
}

export function createIce({ clock, wanted, request, url }: IceOptions): Ice {
  const isOwn = typeof wanted === 'object'
  const named = Promise.withResolvers<RTCIceServer[]>()
  let kept: readonly Kept[] = []
  let cancel = (): void => {}
  let isClosed = false
  let fewMs = ICE_FEW_MS

  const keep = (offer: IceOffer, home: string, ofTurn: boolean): Kept => {
    const authority = authorityOf(socketUrl(home))
    // A page on the internet must not be made to knock at addresses of its user's own network.
    const servers = offer.servers.filter(
      ({ url }) => isTurnUrl(url) === ofTurn && reachesAsFar(iceHost(url) as string, authority),
    )
    return { servers, ttlMs: offer.ttlMs, untilMs: clock.monotonicMs() + offer.ttlMs }
  }

  const refresh = async (): Promise<void> => {
    try {
      const offer = decodeIce(await request(EDGE_METHOD.ice, new Uint8Array(0)))
      kept = [false, true].map((ofTurn) => keep(offer, url(), ofTurn))
    } finally {
      again()
    }
  }

  /** Before they run out, so that no call is left without. */
  const again = (): void => {
    cancel()
    if (isClosed) return
    const times = kept.flatMap(({ servers, ttlMs }) => (servers.length ? [0.75 * ttlMs] : []))
    const usualMs = Math.max(ICE_AGAIN_MS, Math.min(ICE_REFRESH_MS, ...times))
    const areFew = (kept[0]?.servers.length ?? 0) < 2
    const inMs = areFew ? Math.min(fewMs, usualMs) : usualMs
    if (areFew) fewMs = 2 * inMs
    cancel = clock.after(inMs, () => void refresh().catch(() => undefined))
  }

  const serversNow = (): RTCIceServer[] => {
    if (isOwn) return [...wanted]
    const offered = kept
      .filter(({ untilMs }) => clock.monotonicMs() < untilMs)
      .flatMap(({ servers }) => servers.map(({ url, ...rest }) => ({ urls: url, ...rest })))
    return wanted ? madeOf(wanted, offered) : offered
  }

  return {
    get servers() {
      return serversNow()
    },
    named: isOwn ? undefined : named.promise,
    greeted: (offer, home) => {
      if (isOwn) return
      kept = [keep(offer, home, false), ...kept.slice(1)]
      named.resolve(serversNow())
    },
    welcomed: (offer, home) => {
      if (isOwn) return
      kept = [...kept.slice(0, 1), keep(offer, home, true)]
      fewMs = ICE_FEW_MS
      again()
    },
    close: () => {
      isClosed = true
      cancel()
    },
  }
}

/** What the application makes of the offer; nothing, rather than what it may not want, where it fails. */
function madeOf(
  wanted: (offered: readonly RTCIceServer[]) => readonly RTCIceServer[],
  offered: readonly RTCIceServer[],
): RTCIceServer[] {
  try {
    const made = wanted(offered)
    checkIceServers(made)
    return [...made]
  } catch (error) {
    report(error)
    return []
  }
}
