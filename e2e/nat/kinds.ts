/** The kinds of site in the laboratory, and what theory says of each pair of them. */

export const KINDS = [
  'public',
  'firewall',
  'full',
  'address',
  'port',
  'symmetric',
  'carrier',
  'carrier-symmetric',
  'tcp443',
  'dual',
  'ipv6',
] as const

export type Kind = (typeof KINDS)[number]

/** What helps where two do not reach each other: nothing but STUN, coturn, or the mesh itself. */
export const MODES = ['stun', 'turn', 'mesh'] as const
export type Mode = (typeof MODES)[number]

/**
 * How a site looks to a peer, in one family of addresses: who may answer it, and whether its port is the
 * same for all. `none`: no UDP at all.
 */
type Face = 'open' | 'address' | 'port' | 'symmetric' | 'none'

interface About {
  readonly v4: Face
  readonly v6: Face
  /** What the STUN check must find, as RFC 5780 names mapping and filtering. */
  readonly proof: string
  readonly about: string
}

const EIM = 'endpoint-independent mapping'
const APDF = 'address-and-port-dependent filtering'

export const ABOUT: Readonly<Record<Kind, About>> = {
  public: {
    v4: 'open',
    v6: 'none',
    proof: `no NAT, ${EIM}, endpoint-independent filtering`,
    about: 'a public address',
  },
  firewall: {
    v4: 'port',
    v6: 'none',
    proof: `no NAT, ${EIM}, ${APDF}`,
    about: 'a public address behind a stateful firewall',
  },
  full: {
    v4: 'open',
    v6: 'none',
    proof: `NAT, ${EIM}, endpoint-independent filtering`,
    about: 'full cone',
  },
  address: {
    v4: 'address',
    v6: 'none',
    proof: `NAT, ${EIM}, address-dependent filtering`,
    about: 'address-restricted cone',
  },
  port: { v4: 'port', v6: 'none', proof: `NAT, ${EIM}, ${APDF}`, about: 'port-restricted cone' },
  symmetric: {
    v4: 'symmetric',
    v6: 'none',
    proof: `NAT, address-and-port-dependent mapping, ${APDF}`,
    about: 'symmetric NAT',
  },
  carrier: {
    v4: 'port',
    v6: 'none',
    proof: `NAT, ${EIM}, ${APDF}`,
    about: 'port-restricted behind a carrier’s port-restricted NAT',
  },
  'carrier-symmetric': {
    v4: 'symmetric',
    v6: 'none',
    proof: `NAT, address-and-port-dependent mapping, ${APDF}`,
    about: 'port-restricted behind a carrier’s symmetric NAT',
  },
  tcp443: { v4: 'none', v6: 'none', proof: 'no UDP', about: 'nothing leaves but TCP to port 443' },
  dual: {
    v4: 'port',
    v6: 'port',
    proof: `NAT, ${EIM}, ${APDF}; no NAT6, ${EIM}, ${APDF}`,
    about: 'port-restricted IPv4 and firewalled IPv6',
  },
  ipv6: {
    v4: 'none',
    v6: 'port',
    proof: `no NAT6, ${EIM}, ${APDF}`,
    about: 'firewalled IPv6 alone',
  },
}

/** Two hosts that share a NAT: how they are placed, and whether they reach each other without a relay. */
export const TWINS = {
  lan: { direct: true, about: 'two hosts on one LAN, a router without hairpin' },
  'lan-hairpin': { direct: true, about: 'two hosts on one LAN, a router with hairpin' },
  carried: { direct: false, about: 'two homes behind one carrier’s NAT, without hairpin' },
  'carried-hairpin': { direct: true, about: 'two homes behind one carrier’s NAT, with hairpin' },
} as const

export type Twins = keyof typeof TWINS

/**
 * Whether two such sites reach each other with STUN alone: a port that is another for each peer is
 * reached only by who lets in the whole address.
 */
export function isDirect(a: Kind, b: Kind): boolean {
  return (['v4', 'v6'] as const).some((family) => {
    const faces = [ABOUT[a][family], ABOUT[b][family]]
    if (faces.includes('none')) return false
    if (!faces.includes('symmetric')) return true
    return faces.includes('open') || faces.includes('address')
  })
}

/** What `why()` says of two who do not reach each other directly, as the first of them sees it. */
export function causeOf(a: Kind, b: Kind): string {
  const sides = (is: (kind: Kind) => boolean): string =>
    is(a) && is(b) ? 'both' : is(a) ? 'own' : is(b) ? 'peer' : ''
  const blocked = sides((kind) => kind === 'tcp443')
  if (blocked) return `udp-blocked ${blocked}`
  const common = (['v4', 'v6'] as const).some(
    (family) => ABOUT[a][family] !== 'none' && ABOUT[b][family] !== 'none',
  )
  if (!common) return 'no-common-ip'
  const mapping = sides((kind) => ABOUT[kind].v4 === 'symmetric')
  return mapping ? `nat-mapping ${mapping}` : 'no-path'
}

export interface Expected {
  readonly opens: boolean
  /** Where the data goes in the end. */
  readonly way: 'direct' | 'turn' | 'mesh' | 'none'
}

export function expected(direct: boolean, mode: Mode): Expected {
  if (direct) return { opens: true, way: 'direct' }
  return mode === 'stun' ? { opens: false, way: 'none' } : { opens: true, way: mode }
}
