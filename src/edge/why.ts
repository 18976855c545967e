/** Why: what made an attempt fail, or a connection take the path that it takes, with what is known of both ends. */

import { type ErrorCode, SignalMeshError } from '../errors.ts'
import { whyOf } from './whyof.ts'

/** Whose side it is about; `own` is the edge that asks. */
export type WhySide = 'own' | 'peer' | 'both'

/**
 * How far an attempt came: `lookup` while the mesh is asked of the peer, `reach` until the peer is heard of,
 * `ring` until it takes the call, `path` until a path is found, `open` from then on.
 */
export type WhyPhase = 'lookup' | 'reach' | 'ring' | 'path' | 'open'

/** What one side could see of its own way to the network. */
export interface NetFacts {
  /**
   * How its NAT maps one socket towards several STUN servers: `none` without a NAT, to the same address for
   * all (`endpoint-independent`), or to another for each (`address-dependent`, also called symmetric).
   */
  readonly mapping: 'none' | 'endpoint-independent' | 'address-dependent' | 'unknown'
  /** Whom its NAT or firewall lets in; WebRTC does not show it. */
  readonly filtering: 'unknown'
  /** `blocked` if no STUN server answered, of those that were asked. */
  readonly udp: 'open' | 'blocked' | 'unknown'
  /** How many candidates it found of each kind. */
  readonly candidates: { readonly host: number; readonly srflx: number; readonly relay: number }
  /** The versions of IP that its own addresses have; none where it is not seen of all of them, as browsers may hide some. */
  readonly ipVersions: readonly (4 | 6)[]
  /** STUN servers that were asked, and those of them that failed. */
  readonly stun: { readonly asked: number; readonly failed: number }
  /** The same of TURN, and the STUN error codes with which they refused. */
  readonly turn: {
    readonly asked: number
    readonly failed: number
    readonly codes: readonly number[]
  }
  /** Whether its application allows relays alone (`iceTransportPolicy`). */
  readonly relayOnly: boolean
}

/** What the peer says of itself may be wrong; it is shown to nobody but the two, and decides nothing. */
interface Evidence {
  readonly phase: WhyPhase
  /** The same as a sentence. */
  readonly text: string
  readonly own: NetFacts | undefined
  readonly peer: NetFacts | undefined
  /** The error that it led to, for what has failed. */
  readonly error: SignalMeshError | undefined
}

/** What each code comes with, beside the evidence. */
export type WhyKind =
  /** A path without a relay was found: nothing stood in the way. */
  | { readonly code: 'none' }
  /** The path is not known yet, or not what both sides see of their networks. */
  | { readonly code: 'undecided' }
  /** The path is lost; another one is being looked for. */
  | { readonly code: 'recovering' }
  /** The peer has left, by its own word, by that of the mesh, or because it has gone silent. */
  | { readonly code: 'peer-gone'; readonly by: 'peer' | 'mesh' | 'silence' }
  /** The record of the peer named a home or session at which it is no more. */
  | { readonly code: 'stale-record' }
  /** The peer's home node cannot be reached by the mesh. */
  | { readonly code: 'home-unreachable' }
  /** This edge has no home node itself. */
  | { readonly code: 'no-home' }
  /** The mesh had too much to do for this call. */
  | { readonly code: 'busy' }
  /** The peer refused. */
  | { readonly code: 'refused'; readonly reason: string }
  /** UDP goes nowhere on that side. */
  | { readonly code: 'udp-blocked'; readonly side: WhySide }
  /** One side has addresses of IPv4 alone, the other of IPv6 alone. */
  | { readonly code: 'no-common-ip' }
  /** The mapping of that side is address-dependent. Of one side alone: and the other's filter strict, as it seems. */
  | { readonly code: 'nat-mapping'; readonly side: WhySide }
  /** The TURN server of that side refused, with these STUN error codes. */
  | { readonly code: 'turn-rejected'; readonly side: WhySide; readonly codes: readonly number[] }
  /** The application of that side allows relays alone. */
  | { readonly code: 'relay-only'; readonly side: WhySide }
  /** No pair of addresses worked, though none of the above was seen: most often a firewall. */
  | { readonly code: 'no-path' }
  /** An open connection lost its path, and none was found again in time though the peer was heard of. */
  | { readonly code: 'path-lost' }
  /** Time was up in this phase. */
  | { readonly code: 'timeout' }
  /** WebRTC does not work on that side, or something was over a bound there. */
  | { readonly code: 'unable'; readonly side: 'own' | 'peer' }
  /** It was ended on this side. */
  | { readonly code: 'closed' }

/** A cause for programs, told apart by `code`, with its evidence. */
export type Why = WhyKind & Evidence
export type WhyCode = Why['code']

export interface WhyEvidence {
  readonly phase: WhyPhase
  readonly own: NetFacts | undefined
  readonly peer: NetFacts | undefined
  /** What a node said last of this attempt. */
  readonly word?: ErrorCode | undefined
  /** Who said so, where it was not this edge itself. */
  readonly by?: 'peer' | 'mesh' | undefined
  /** Whether the peer said that it found no path. */
  readonly peerGaveUp?: boolean
}

/** Why an error has ended an attempt or a connection. */
export function whyFailed(error: SignalMeshError, evidence: WhyEvidence): Why {
  return made(kindOf(error, evidence), evidence, error)
}

/** The error with its cause, unless it has one. Why an application gave up is its own business. */
export function explained(error: SignalMeshError, evidence: WhyEvidence): SignalMeshError {
  if (error.code === 'ABORTED' || whyOf(error)) return error
  const { code, message, retryAfterMs, evidence: proof } = error
  return new SignalMeshError(code, message, {
    cause: whyFailed(error, evidence),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(proof && { evidence: proof }),
  })
}

/** Why an open connection takes the path that it takes. */
export function whyPath(path: string, evidence: WhyEvidence): Why {
  if (path !== 'turn' && path !== 'mesh') {
    return made({ code: path === 'unknown' ? 'undecided' : 'none' }, evidence)
  }
  const kind = relayedBy(evidence)
  const { own, peer } = evidence
  // A browser takes ten seconds to say that nobody answers.
  const isEarly = [own, peer].some((one) => !one || (one.udp === 'unknown' && one.stun.asked > 0))
  const isSure = kind.code !== 'no-path' && kind.code !== 'no-common-ip'
  return made(isEarly && !isSure ? { code: 'undecided' } : kind, evidence)
}

/** Why an open connection has no path for the moment. */
export function whyRecovering(evidence: WhyEvidence): Why {
  return made({ code: 'recovering' }, evidence)
}

function made(kind: WhyKind, evidence: WhyEvidence, error?: SignalMeshError): Why {
  const { phase, own, peer } = evidence
  return { ...kind, phase, text: textOf(kind, phase), own, peer, error }
}

function kindOf(error: SignalMeshError, evidence: WhyEvidence): WhyKind {
  const { phase, word, by } = evidence
  if (by === 'peer' && error.code === 'PEER_LEFT') {
    return evidence.peerGaveUp ? lostBy(evidence) : { code: 'peer-gone', by }
  }
  if (by === 'peer') {
    const isUnable = error.code === 'RTC_FAILED' || error.code === 'TOO_LARGE'
    return isUnable ? { code: 'unable', side: by } : { code: 'refused', reason: error.message }
  }
  switch (error.code) {
    case 'PEER_UNKNOWN':
      // Who was looked up has a record; its home knows better.
      return phase === 'lookup' ? { code: 'peer-gone', by: 'mesh' } : { code: 'stale-record' }
    case 'PEER_LEFT':
      return { code: 'peer-gone', by: 'silence' }
    case 'MOVED':
    case 'STALE_RECORD':
      return { code: 'stale-record' }
    case 'HOME_UNREACHABLE':
      return { code: 'home-unreachable' }
    case 'NO_HOME':
      return { code: 'no-home' }
    case 'RATE_LIMITED':
    case 'MESH_FULL':
      return { code: 'busy' }
    case 'RTC_FAILED':
      return lostBy(evidence)
    case 'TIMEOUT':
      if (phase === 'path') return lostBy(evidence)
      if (word === 'MOVED') return { code: 'stale-record' }
      return word === 'RATE_LIMITED' ? { code: 'busy' } : { code: 'timeout' }
    case 'CLOSED':
    case 'ABORTED':
    case 'REPLACED':
      return { code: 'closed' }
    default:
      return { code: 'unable', side: 'own' }
  }
}

function lostBy(evidence: WhyEvidence): WhyKind {
  const { phase } = evidence
  if (phase === 'open') return { code: 'path-lost' }
  return phase === 'path' ? failedBy(evidence) : { code: 'unable', side: 'own' }
}

/** What kept two edges from finding any path. */
function failedBy(evidence: WhyEvidence): WhyKind {
  const { own, peer } = evidence
  const side = sideOf(evidence, ({ turn, candidates }) => {
    return turn.codes.length > 0 && candidates.relay === 0
  })
  const hasRelay = [own, peer].some((facts) => facts && facts.candidates.relay > 0)
  if (side && !hasRelay) {
    const codes = [own, peer].flatMap((facts) => facts?.turn.codes ?? [])
    return { code: 'turn-rejected', side, codes: [...new Set(codes)] }
  }
  return relayedBy(evidence)
}

/** What kept two edges from finding a path without a relay. */
function relayedBy(evidence: WhyEvidence): WhyKind {
  const relayOnly = sideOf(evidence, (facts) => facts.relayOnly)
  if (relayOnly) return { code: 'relay-only', side: relayOnly }
  const blocked = sideOf(evidence, ({ udp }) => udp === 'blocked')
  if (blocked) return { code: 'udp-blocked', side: blocked }
  // Whatever their NATs do: no packet of the one could even be addressed to the other.
  if (!mayShareIp(evidence)) return { code: 'no-common-ip' }
  const mapped = sideOf(evidence, ({ mapping }) => mapping === 'address-dependent')
  return mapped ? { code: 'nat-mapping', side: mapped } : { code: 'no-path' }
}

function mayShareIp({ own, peer }: WhyEvidence): boolean {
  const [one, other] = [own?.ipVersions ?? [], peer?.ipVersions ?? []]
  const areKnown = one.length > 0 && other.length > 0
  return !areKnown || one.some((version) => other.includes(version))
}

function sideOf(
  { own, peer }: WhyEvidence,
  test: (facts: NetFacts) => boolean,
): WhySide | undefined {
  const [isOwn, isPeer] = [own, peer].map((facts) => facts !== undefined && test(facts))
  if (isOwn && isPeer) return 'both'
  if (isOwn) return 'own'
  return isPeer ? 'peer' : undefined
}

const SIDES: Readonly<Record<WhySide, string>> = {
  own: 'on this side',
  peer: 'on the peer’s side',
  both: 'on both sides',
}

const PHASES: Readonly<Record<WhyPhase, string>> = {
  lookup: 'the mesh was asked of the peer',
  reach: 'waiting for the peer to be reached',
  ring: 'waiting for the peer to take the call',
  path: 'looking for a path',
  open: 'connected',
}

function textOf(kind: WhyKind, phase: WhyPhase): string {
  const where = 'side' in kind ? SIDES[kind.side] : ''
  switch (kind.code) {
    case 'none':
      return 'Nothing stands in the way of a direct path'
    case 'undecided':
      return 'It is not known yet'
    case 'recovering':
      return 'The path is lost; another one is being looked for'
    case 'peer-gone':
      return kind.by === 'silence' ? 'The peer has gone silent' : 'The peer has left'
    case 'stale-record':
      return 'The peer is no longer where the mesh has it'
    case 'home-unreachable':
      return 'The home node of the peer cannot be reached'
    case 'no-home':
      return 'This edge has no home node'
    case 'busy':
      return 'The mesh had too much to do'
    case 'refused':
      return kind.reason
    case 'udp-blocked':
      return `UDP is blocked ${where}`
    case 'no-common-ip':
      return 'One side has IPv4 alone, the other IPv6 alone'
    case 'nat-mapping':
      return `The NAT ${where} takes another port for each destination`
    case 'turn-rejected':
      return `The TURN server refused ${where} (${kind.codes.join(', ')})`
    case 'relay-only':
      return `The application allows relays alone ${where}`
    case 'no-path':
      return 'No pair of addresses worked, as behind a strict firewall'
    case 'path-lost':
      return 'The path was lost, and no other was found in time'
    case 'timeout':
      return `Time was up, ${PHASES[phase]}`
    case 'unable':
      return `WebRTC failed ${where}`
    case 'closed':
      return 'It was ended here'
  }
}
