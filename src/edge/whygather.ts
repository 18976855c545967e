/** Gathering: what an RTC connection shows of this side's network while it asks the servers for ICE. */

import { reachOf } from '../authority.ts'
import { systemClock } from '../clock.ts'
import { iceHost } from '../ice.ts'
import { ICE_OVER_MS, ICE_SILENT_MS } from '../limits.ts'
import type { NetFacts } from './why.ts'

export interface Gathered {
  /** As far as it is seen by now. */
  facts(): NetFacts
  /** Candidates are gathered anew. */
  reset(): void
}

interface Found {
  readonly type: string
  readonly url: string
  /** What tells its socket from others, as far as the browser lets it be seen. */
  readonly socket: string
  readonly at: string
  readonly isUdp: boolean
}

/** Could not be reached (W3C webrtc); all others are STUN error codes of the server itself. */
const UNREACHED = 701

/** Looks on only: whatever is missing in a runtime is `unknown`. `nowMs` is monotonic. */
export function gatherFacts(
  connection: RTCPeerConnection,
  config: RTCConfiguration,
  nowMs: () => number = systemClock.monotonicMs,
): Gathered {
  const found: Found[] = []
  const failed = new Map<string, number>()
  let startedAtMs = nowMs()
  let endedAtMs: number | undefined

  connection.addEventListener?.('icecandidate', ({ candidate }) => {
    if (candidate?.candidate) found.push(foundOf(candidate))
  })
  connection.addEventListener?.('icecandidateerror', ({ url, errorCode }) => {
    // Of several sockets one may do; a refusal says more than silence.
    if (failed.get(url) === undefined || errorCode !== UNREACHED) failed.set(url, errorCode)
  })
  connection.addEventListener?.('icegatheringstatechange', () => {
    endedAtMs = connection.iceGatheringState === 'complete' ? nowMs() : undefined
  })

  const facts = (): NetFacts => {
    const { iceServers = [], iceTransportPolicy } = connection.getConfiguration?.() ?? config
    const relayOnly = iceTransportPolicy === 'relay'
    const urls = [...new Set(iceServers.flatMap(({ urls }) => urls))]
    const serversOf = (scheme: RegExp): Servers => {
      const asked = urls.filter((url) => scheme.test(url) && mayAsk(url))
      return { asked, failed: asked.filter(hasFailed) }
    }
    const [stun, turn] = [serversOf(/^stuns?:/i), serversOf(/^turns?:/i)]
    // Who allows relays alone asks no other server.
    const asked = relayOnly ? 0 : stun.asked.length
    const count = (type: string): number => found.filter((one) => one.type === type).length
    const codes = turn.failed.map((url) => failed.get(url) as number)
    const seen = { asked, failed: relayOnly ? 0 : stun.failed.length }
    const mapping = mappingOf(seen)
    return {
      mapping,
      filtering: 'unknown',
      udp: udpOf(mapping, seen),
      candidates: { host: count('host'), srflx: count('srflx'), relay: count('relay') },
      ipVersions: ipVersions(),
      stun: seen,
      turn: {
        asked: turn.asked.length,
        failed: turn.failed.length,
        codes: [...new Set(codes.filter((code) => code !== UNREACHED))],
      },
      relayOnly,
    }
  }

  /** A host without IPv4 does not ask at an address of IPv4, nor the other way round. */
  const mayAsk = (url: string): boolean => {
    const hosts = found.filter(({ type }) => type === 'host').map(({ at }) => familyOf(at))
    const family = familyOf(iceHost(url) ?? '')
    return !family || hosts.length === 0 || hosts.includes(family) || hosts.includes(undefined)
  }
  /** A name hides an address of which a server may still tell; of one that none told, nothing is known. */
  const ipVersions = (): NetFacts['ipVersions'] => {
    const own = found.filter(({ type, isUdp }) => isUdp && (type === 'host' || type === 'srflx'))
    const reflexive = own.filter(({ type }) => type === 'srflx')
    const hidden = own.filter(({ type, at }) => type === 'host' && !familyOf(at))
    if (hidden.length > new Set(reflexive.map(({ socket }) => socket)).size) return []
    const versions = own.map(({ at }) => familyOf(at))
    return ([4, 6] as const).filter((version) => versions.includes(version))
  }
  const hasFailed = (url: string): boolean =>
    failed.has(url) && !found.some((one) => one.url === url)
  const tookMs = (): number => (endedAtMs ?? nowMs()) - startedAtMs
  const isOver = (): boolean => endedAtMs !== undefined || tookMs() > ICE_OVER_MS
  /**
   * Firefox does not say which server failed, and Chromium does so only in the end, which comes late where
   * packets are dropped without a word; that it waited for some shows. Gathering also ends
   * once there is a path: but who answers a private address tells it of another.
   */
  const allFailed = (stun: Seen): boolean => {
    const shown = found.filter(({ type }) => type === 'host' || type === 'srflx')
    if (shown.length > 0 && shown.every(({ at }) => isPrivate(at))) return true
    return 'onicecandidateerror' in connection && endedAtMs !== undefined
      ? stun.failed === stun.asked
      : tookMs() > ICE_SILENT_MS
  }

  const mappingOf = (stun: Seen): NetFacts['mapping'] => {
    const reflexive = found.filter(({ type }) => type === 'srflx')
    const isDependent = reflexive.some((one) =>
      reflexive.some(({ socket, at }) => socket === one.socket && at !== one.at),
    )
    if (isDependent) return 'address-dependent'
    if (!isOver() || stun.asked === 0 || allFailed(stun)) return 'unknown'
    // A browser leaves out a candidate that is the same as one before.
    if (reflexive.length === 0) return 'none'
    return stun.asked - stun.failed >= 2 ? 'endpoint-independent' : 'unknown'
  }

  const udpOf = (mapping: NetFacts['mapping'], stun: Seen): NetFacts['udp'] => {
    const came = found.some(({ type, isUdp }) => isUdp && type !== 'host')
    if (came || mapping === 'none') return 'open'
    return stun.asked > 0 && isOver() && allFailed(stun) ? 'blocked' : 'unknown'
  }

  return {
    facts,
    reset: () => {
      found.length = 0
      failed.clear()
      startedAtMs = nowMs()
      endedAtMs = undefined
    },
  }
}

/** Names tell nothing. */
function isPrivate(at: string): boolean {
  const [address = ''] = at.split(' ')
  return familyOf(address) !== undefined && reachOf(address) !== 'public'
}

/** Of a literal address; names, also those that hide an address, have none. */
function familyOf(text: string): 4 | 6 | undefined {
  if (text.includes('[') || /^[\da-f]*:.*:/i.test(text)) return 6
  return /^\d+(\.\d+){3}\b/.test(text) ? 4 : undefined
}

interface Servers {
  readonly asked: readonly string[]
  readonly failed: readonly string[]
}
type Seen = NetFacts['stun']

function foundOf(candidate: RTCIceCandidate): Found {
  // Not each implementation parses it: "candidate:1 1 udp 1 192.0.2.1 4000 typ srflx raddr …".
  const words = candidate.candidate.split(' ')
  const after = (name: string): string => words[words.indexOf(name) + 1] ?? ''
  const address = words[4] ?? ''
  const network = words.includes('network-id') ? after('network-id') : ''
  const port = after('rport') === '0' || !words.includes('rport') ? '' : after('rport')
  const family = address.includes(':') ? 6 : 4
  const { url, relayProtocol } = candidate as { url?: string | null; relayProtocol?: string | null }
  return {
    type: after('typ'),
    url: url ?? '',
    socket: [candidate.sdpMid ?? '', family, network, port].join('/'),
    at: `${address} ${words[5] ?? ''}`,
    isUdp: (relayProtocol ?? words[2] ?? '').toLowerCase() === 'udp',
  }
}
