/** What a node can be told: each flag with its twin, its default, its meaning and its bounds. */

import { SignalMeshError } from '../src/errors.ts'
import { isStunAt as isAt, isTurnUrl } from '../src/ice.ts'
import {
  MAX_CONTACT_URLS,
  MAX_ICE_TEXT_BYTES,
  MAX_NAME_BYTES,
  MAX_PEERS,
  MAX_STUN_AT_BYTES,
  MAX_TURN_URLS,
  MAX_URL_BYTES,
} from '../src/limits.ts'
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../src/log.ts'
import { isIpv4, listThat, oneOf, onOff, textThat, wholeNumber } from './flag-values.ts'
import { type Env, type Flags, helpLines, parseFlags } from './flags.ts'
import { MAX_RELAYS } from './limits.ts'

export interface Config {
  readonly port: number
  readonly host: string
  readonly network: string
  readonly bootstrap: readonly string[]
  readonly peer: readonly string[]
  readonly allowPrivate: boolean
  readonly dhtPort: number
  readonly dhtHost: string | undefined
  readonly noDht: boolean
  readonly relay: readonly string[]
  readonly dhtRelay: boolean
  readonly stunPort: number | undefined
  readonly stunPublic: string | undefined
  readonly turnUrl: readonly string[]
  readonly turnSecretFile: string | undefined
  readonly data: string | undefined
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly publicUrl: readonly string[]
  readonly trustProxy: readonly string[]
  readonly members: string | undefined
  readonly membersOnly: boolean
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly version: boolean
  readonly help: boolean
}

/** Where a node listens unless told otherwise. */
export const DEFAULT_PORT = 4680

/** RFC 8489, section 18.6. */
export const DEFAULT_STUN_PORT = 3478

const MAX_BOOTSTRAPS = 32
const MAX_PROXIES = 32

const port = { ...wholeNumber(0, 65_535), value: 'PORT' }
const path = textThat('a path', (text) => text !== '')

const PUBLIC_URLS = listThat(
  `up to ${MAX_CONTACT_URLS} http, https, ws or wss URLs`,
  isUrl,
  MAX_CONTACT_URLS,
)

const FLAGS: Flags<Config> = {
  port: {
    ...port,
    fallback: DEFAULT_PORT,
    about: `Port of pages and edges; 0: any free one. Default: ${DEFAULT_PORT}`,
  },
  host: {
    ...textThat('a host name or address', isHost),
    value: 'HOST',
    fallback: '127.0.0.1',
    about: 'Address to listen on; 0.0.0.0 opens it to the LAN. Default: 127.0.0.1',
  },
  network: {
    ...textThat(`a name of 1 to ${MAX_NAME_BYTES} bytes`, isName),
    value: 'NAME',
    fallback: 'main',
    about: 'Genesis name of the mesh; meshes of other names never meet. Default: main',
  },
  bootstrap: {
    ...listThat('a list of host:port', isHostPort, MAX_BOOTSTRAPS),
    value: 'HOST:PORT,…',
    fallback: [],
    about: 'DHT nodes through which to meet other nodes. Default: none, no DHT is used',
  },
  peer: {
    ...listThat(`up to ${MAX_PEERS} http, https, ws or wss URLs`, isUrl, MAX_PEERS),
    value: 'URL,…',
    fallback: [],
    about: 'Nodes to keep links to over WebSocket, e.g. wss://node.example. Default: none',
  },
  allowPrivate: {
    ...onOff,
    about: 'Dials local addresses that other nodes name; one that --peer names is always dialled',
  },
  dhtPort: { ...port, fallback: 0, about: 'UDP port of the DHT; 0: any free one. Default: 0' },
  dhtHost: {
    ...textThat('an IPv4 address', isIpv4),
    value: 'ADDRESS',
    fallback: undefined,
    about: 'Address that the DHT binds. Default: 127.0.0.1 if all bootstraps are, else 0.0.0.0',
  },
  noDht: { ...onOff, about: 'Uses no DHT, whatever --bootstrap and --relay say' },
  relay: {
    ...listThat(`up to ${MAX_RELAYS} http, https, ws or wss URLs`, isUrl, MAX_RELAYS),
    value: 'URL,…',
    fallback: [],
    about: 'Nodes that lend their DHT, to meet others where UDP or Node is missing. Default: none',
  },
  dhtRelay: {
    ...onOff,
    about: 'Lends the DHT of --bootstrap to nodes that name this one by --relay',
  },
  stunPort: {
    ...port,
    fallback: undefined,
    about: `UDP port of STUN; 0: none. Default: ${DEFAULT_STUN_PORT}, or any free one if that is taken`,
  },
  stunPublic: {
    ...textThat('host:port', isStunAt),
    value: 'HOST:PORT',
    fallback: undefined,
    about: 'Where others reach its STUN. Default: the host of the first --public-url',
  },
  turnUrl: {
    ...listThat(`up to ${MAX_TURN_URLS} turn: or turns: URLs`, isTurn, MAX_TURN_URLS),
    value: 'URL,…',
    fallback: [],
    about: 'TURN servers to which edges of this node are let in. Default: none',
  },
  turnSecretFile: {
    ...path,
    value: 'FILE',
    fallback: undefined,
    about: 'The secret of the TURN servers (static-auth-secret of coturn)',
  },
  data: {
    ...path,
    value: 'DIR',
    fallback: undefined,
    about: 'Folder that keeps the identity. Default: none, the identity ends with the process',
  },
  tlsCert: { ...path, value: 'FILE', fallback: undefined, about: 'Certificate chain (PEM)' },
  tlsKey: { ...path, value: 'FILE', fallback: undefined, about: 'Its private key (PEM)' },
  publicUrl: {
    ...PUBLIC_URLS,
    // Nodes name each other by http(s) URLs; the socket's scheme follows from that.
    read: (texts) => PUBLIC_URLS.read(texts)?.map((url) => url.replace(/^ws/i, 'http')),
    value: 'URL,…',
    fallback: [],
    about: 'Where edges reach this node, e.g. behind a proxy; edges of other URLs are refused',
  },
  trustProxy: {
    ...listThat('"loopback" or a list of addresses', isProxy, MAX_PROXIES),
    value: 'ADDRESS,…',
    fallback: [],
    about: 'Proxies whose X-Forwarded-For is believed; "loopback": those on this machine',
  },
  members: {
    ...path,
    value: 'FILE',
    fallback: undefined,
    about: 'Nodes with room of their own: a NodeId on each line, # begins a comment; read at start',
  },
  membersOnly: { ...onOff, about: 'Keeps out all nodes that --members does not list' },
  logLevel: {
    ...oneOf(LOG_LEVELS),
    value: 'LEVEL',
    fallback: 'info',
    about: `Least level that is logged: ${LOG_LEVELS.join(', ')}. Default: info`,
  },
  logFormat: {
    ...oneOf(LOG_FORMATS),
    value: 'FORMAT',
    fallback: 'pretty',
    about: `Form of log lines: ${LOG_FORMATS.join(', ')}. Default: pretty`,
  },
  version: { ...onOff, twin: false, about: 'Prints the version' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

/**
 * Reads flags and environment; a flag wins over its twin.
 * @throws SignalMeshError `BAD_CONFIG` with one sentence saying what is wrong and what is allowed.
 */
export function parseConfig(argv: readonly string[], env: Env): Config {
  const { settings, rest } = parseFlags(FLAGS, argv, env)
  if (rest.length > 0) {
    const what = JSON.stringify(rest[0])
    throw new SignalMeshError('BAD_CONFIG', `Unknown argument ${what} (--help lists all flags)`)
  }
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    throw new SignalMeshError('BAD_CONFIG', 'Flags --tls-cert and --tls-key go together')
  }
  if (settings.turnUrl.length > 0 !== (settings.turnSecretFile !== undefined)) {
    throw new SignalMeshError('BAD_CONFIG', 'Flags --turn-url and --turn-secret-file go together')
  }
  if (settings.dhtRelay && (settings.noDht || settings.bootstrap.length === 0)) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --dht-relay lends a DHT that this node has to know; give it --bootstrap, without --no-dht',
    )
  }
  if (settings.membersOnly && settings.members === undefined) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --members-only keeps out all but listed nodes; list them in a file and give it by --members FILE',
    )
  }
  return settings
}

/** What `--help` prints. */
export function helpText(): string {
  return `Starts one node of a Signal Mesh; with no flags it is a whole mesh on this machine alone.

Usage: npm start -- [flags]

${helpLines(FLAGS)}

Each has a twin in the environment: --dht-port is SIGNAL_MESH_DHT_PORT. The flag wins.
`
}

function isHost(text: string): boolean {
  return /^[\w.:-]+$/.test(text)
}

function isName(text: string): boolean {
  const bytes = new TextEncoder().encode(text).length
  return bytes > 0 && bytes <= MAX_NAME_BYTES
}

function isHostPort(text: string): boolean {
  const match = /^[\w.-]+:(\d{1,5})$/.exec(text)
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535
}

function isStunAt(text: string): boolean {
  return isAt(text) && text.length <= MAX_STUN_AT_BYTES
}

function isTurn(text: string): boolean {
  return isTurnUrl(text) && text.length <= MAX_ICE_TEXT_BYTES
}

function isIpv6(text: string): boolean {
  return text.includes(':') && URL.canParse(`http://[${text}]`)
}

function isProxy(text: string): boolean {
  return text === 'loopback' || isIpv4(text) || isIpv6(text)
}

function isUrl(text: string): boolean {
  return /^(https?|wss?):\/\//i.test(text) && URL.canParse(text) && text.length <= MAX_URL_BYTES
}
