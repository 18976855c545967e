/** Addresses: how far one reaches, what counts as one, and which a node answers to. */

/** How far an address reaches: this machine, this network, or everywhere. */
export type Reach = 'loopback' | 'private' | 'public'

/** The reach of a host name or literal address, with or without a port. */
export function reachOf(authority: string): Reach {
  const host = hostOf(authority)
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback'
  if (/^(127|0)(\.\d{1,3}){3}$/.test(host) || ['::1', '::'].includes(host)) return 'loopback'
  const wrapped = wrappedIpv4(host)
  if (wrapped !== undefined) return reachOf(wrapped)
  if (isPrivateIpv4(host) || isPrivateIpv6(host) || host.endsWith('.local')) return 'private'
  return 'public'
}

/**
 * Whether a node answers to this authority: exactly those of its public URLs, or, where it has none,
 * any literal local one. Otherwise a hostile home could pass another home's challenge on.
 */
export function acceptsAuthority(publicUrls: readonly string[], authority: string): boolean {
  if (publicUrls.length === 0) {
    // Only what is an address as a whole: others' URLs are compared with it.
    return URL.canParse(`ws://${authority}`) && reachOf(authority) !== 'public'
  }
  return publicUrls.some((url) => authorityOf(url) === authority.toLowerCase())
}

/**
 * Where edges of a node's own process reach it: a name that leads nowhere (RFC 6761), no node's but its.
 * In two parts, for a label of a name has 63 characters at most.
 */
export function insideUrl(node: string): string {
  return `https://${node.slice(0, 32)}.${node.slice(32)}.invalid`
}

/** Host and port of a URL, the port also where it is the scheme's own. */
export function authorityOf(url: string): string {
  const { hostname, port, protocol } = new URL(url)
  const usual = protocol === 'https:' || protocol === 'wss:' ? '443' : '80'
  return `${hostname.toLowerCase()}:${port || usual}`
}

/**
 * Whether a page whose home is at `home` may dial a URL that it was told of: a page on the internet
 * must not be made to knock at addresses of its user's own network.
 */
export function mayDial(home: string, url: string): boolean {
  return URL.canParse(url) && reachesAsFar(authorityOf(url), authorityOf(home))
}

/** Whether the one authority reaches as far as the other. */
export function reachesAsFar(authority: string, other: string): boolean {
  const rank = { loopback: 0, private: 1, public: 2 }
  return rank[reachOf(authority)] >= rank[reachOf(other)]
}

/** What counts as one address: an IPv4 address, or the first half of an IPv6 one. */
export function addressGroup(literal: string): string {
  const address = canonical(literal)
  return address.includes(':') ? partsOf(address).slice(0, 4).join(':') : address
}

/** A literal address as 4 or 16 bytes, IPv4 also where IPv6 wraps it; `undefined` for any other text. */
export function addressBytes(literal: string): Uint8Array | undefined {
  const address = canonical(literal)
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
    const bytes = address.split('.').map(Number)
    return bytes.every((byte) => byte < 256) ? Uint8Array.from(bytes) : undefined
  }
  if (!URL.canParse(`http://[${address}]`)) return undefined
  const numbers = partsOf(address).map((part) => Number.parseInt(part, 16))
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 0xff]))
}

/** The eight parts of an IPv6 address. */
function partsOf(address: string): readonly string[] {
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros =
    tail === undefined ? [] : Array(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back]
}

/** The host of an authority, a literal address in its one spelling. */
function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority)
  if (bracketed) return canonical(bracketed[1] as string)
  // More than one colon, and no brackets: an IPv6 address without a port.
  const host = /:.*:/.test(authority) ? authority : authority.replace(/:\d*$/, '')
  return canonical(host)
}

/** A literal address in its one spelling, IPv4 where IPv6 only wraps it; any other text in lower case. */
function canonical(text: string): string {
  // A dot at the end only says that a name is whole.
  const host = text.toLowerCase().replace(/%.*$/, '').replace(/\.$/, '')
  if (!host.includes(':') || !URL.canParse(`http://[${host}]`)) return host
  const address = new URL(`http://[${host}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(address)
  if (!mapped) return address
  const [high = 0, low = 0] = mapped.slice(1).map((part) => Number.parseInt(part, 16))
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** Whole addresses only: a public name may begin with the same digits. */
function isPrivateIpv4(host: string): boolean {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return false
  if (/^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host)) return true
  // Of providers and VPNs (RFC 6598), for protocols, for benchmarks (RFC 6890), and to many at once.
  if (/^(100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])|192\.0\.0|198\.1[89])\./.test(host)) return true
  return Number.parseInt(host, 10) >= 224
}

/** Whatever is no global unicast address (RFC 4291): those of one site, one link, or many at once. */
function isPrivateIpv6(host: string): boolean {
  return host.includes(':') && !/^[23][0-9a-f]{3}:/.test(host)
}

/** The IPv4 address to which a gateway takes an IPv6 one: by NAT64 (RFC 6052) or 6to4 (RFC 3056). */
function wrappedIpv4(host: string): string | undefined {
  if (!/^(64:ff9b::|2002:)/.test(host)) return undefined
  const bytes = addressBytes(host)
  const at = host.startsWith('2002:') ? 2 : 12
  return bytes && [...bytes.subarray(at, at + 4)].join('.')
}
