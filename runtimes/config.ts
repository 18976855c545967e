/** What a node can be told: each flag with its twin, its default, its meaning and its bounds. */

import { SignalMeshError } from '../src/errors.ts'
import { isStunAt as isAt, isTurnUrl } from '../src/ice.ts'
import {
  CARRY_BYTES_PER_SECOND,
  MAX_CONTACT_URLS,
  MAX_ICE_TEXT_BYTES,
  MAX_NAME_BYTES,
  MAX_NETWORKS,
  MAX_NODE_NAME_BYTES,
  MAX_PEERS,
  MAX_STUN_AT_BYTES,
  MAX_TURN_URLS,
  MAX_URL_BYTES,
} from '../src/limits.ts'
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../src/log.ts'
import { isPlain } from '../src/report.ts'
import { isIpv4, listThat, oneOf, onOff, textThat, wholeNumber } from './flag-values.ts'
import { type Env, type FileSettings, type Flags, helpLines, parseFlags } from './flags.ts'
import { DRAIN_MS, MAX_RELAYS, MAX_SOURCES, SOURCE_REFRESH_MS } from './limits.ts'

export interface Config {
  readonly port: number
  readonly host: string
  /** At least one; the first is that of who names none. */
  readonly network: readonly string[]
  readonly bootstrap: readonly string[]
  readonly peer: readonly string[]
  readonly registry: readonly string[]
  readonly dns: readonly string[]
  readonly dnsServer: readonly string[]
  readonly lan: boolean
  readonly publicDht: boolean
  /** Seconds. */
  readonly refresh: number
  readonly allowPrivate: boolean
  readonly dhtPort: number
  readonly dhtHost: string | undefined
  readonly noDht: boolean
  readonly relay: readonly string[]
  readonly dhtRelay: boolean
  readonly dhtBootstrap: string | undefined
  readonly stunPort: number | undefined
  readonly stunPublic: string | undefined
  readonly turnUrl: readonly string[]
  readonly turnSecretFile: string | undefined
  readonly meshRelay: boolean
  readonly meshRelayRate: number
  readonly data: string | undefined
  readonly name: string
  readonly adminTokenFile: string | undefined
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly publicUrl: readonly string[]
  readonly trustProxy: readonly string[]
  readonly members: string | undefined
  readonly membersOnly: boolean
  /** Seconds. */
  readonly drain: number
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly config: string | undefined
  readonly printConfig: boolean
  readonly json: boolean
  readonly version: boolean
  readonly help: boolean
}

/** Where a node listens unless told otherwise. */
export const DEFAULT_PORT = 4680

/** RFC 8489, section 18.6. */
export const DEFAULT_STUN_PORT = 3478

/** As many as a flag names. */
export const MAX_BOOTSTRAPS = 32
/** Below this nothing gets through in time. */
const MIN_CARRY_RATE = 1_000
/** In a file it is a boolean. */
const ON_OFF: Readonly<Record<string, boolean>> = { on: true, off: false, true: true, false: false }
const MAX_PROXIES = 32

const port = { ...wholeNumber(0, 65_535), value: 'PORT' }
const path = textThat('a path', (text) => text !== '')

const PUBLIC_URLS = listThat(
  `up to ${MAX_CONTACT_URLS} http, https, ws or wss URLs`,
  isUrl,
  MAX_CONTACT_URLS,
)

const NETWORKS = listThat(
  `up to ${MAX_NETWORKS} names of 1 to ${MAX_NAME_BYTES} bytes`,
  isName,
  MAX_NETWORKS,
)

/** All that a node can be told. */
export const FLAGS: Flags<Config> = {
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
    ...NETWORKS,
    // One that is named twice is one mistake, and not two networks.
    read: (texts) => NETWORKS.read(texts)?.filter(isFirst),
    value: 'NAME,…',
    fallback: ['main'],
    about: 'Genesis names of the meshes served, each apart from all others. Default: main',
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
  registry: {
    ...listThat(`up to ${MAX_SOURCES} http or https URLs`, isHttp, MAX_SOURCES),
    value: 'URL,…',
    fallback: [],
    about: 'Registries (DXNS, laconicd) whose records name nodes. Default: none',
  },
  dns: {
    ...listThat(`up to ${MAX_SOURCES} domains`, isDomain, MAX_SOURCES),
    value: 'DOMAIN,…',
    fallback: [],
    about: 'Domains whose TXT records at _signal-mesh.DOMAIN name nodes. Default: none',
  },
  dnsServer: {
    ...listThat(
      `up to ${MAX_SOURCES} addresses, each with :port or without`,
      isServer,
      MAX_SOURCES,
    ),
    value: 'ADDRESS,…',
    fallback: [],
    about: 'Name servers that --dns asks. Default: those of this machine',
  },
  lan: {
    ...onOff,
    about: 'Finds other nodes with --lan in the local network, by multicast DNS',
  },
  publicDht: {
    ...onOff,
    about: 'Meets others on the public DHT of Hyperswarm, by servers of Holepunch. Node only',
  },
  refresh: {
    ...wholeNumber(1, 86_400),
    value: 'SECONDS',
    fallback: SOURCE_REFRESH_MS / 1000,
    about: `How often --registry and --dns are asked again. Default: ${SOURCE_REFRESH_MS / 1000}`,
  },
  allowPrivate: {
    ...onOff,
    about:
      'Dials local addresses that nodes and records name; one that --peer names is always dialled',
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
  dhtBootstrap: {
    ...textThat('an IPv4 address and port of this machine', isOwnHostPort),
    value: 'ADDRESS:PORT',
    fallback: undefined,
    about: 'Begins a DHT there, UDP, for others to name by --bootstrap. Node only. Default: none',
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
  meshRelay: {
    takes: 'on or off',
    read: (texts) => ON_OFF[texts.at(-1) ?? ''],
    value: 'on|off',
    fallback: true,
    about: 'Whether it carries sealed bytes between edges that find no path. Default: on',
  },
  meshRelayRate: {
    ...wholeNumber(MIN_CARRY_RATE, 999_999_999),
    value: 'BYTES',
    fallback: CARRY_BYTES_PER_SECOND,
    about: `Bytes that it carries so in a second. Default: ${CARRY_BYTES_PER_SECOND}`,
  },
  data: {
    ...path,
    value: 'DIR',
    fallback: undefined,
    about: 'Folder that keeps the identity. Default: none, the identity ends with the process',
  },
  name: {
    ...textThat(`up to ${MAX_NODE_NAME_BYTES} bytes of letters that can be shown`, isNodeName),
    value: 'NAME',
    fallback: '',
    about: 'What the views of the mesh call this node; anybody can read it. Default: its NodeId',
  },
  adminTokenFile: {
    ...path,
    value: 'FILE',
    fallback: undefined,
    about: 'The token that opens /admin.json, of at least 16 letters. Default: none, it stays shut',
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
    value: 'FILE|registry',
    fallback: undefined,
    about:
      'Nodes with room of their own: a NodeId on each line, # begins a comment; read at start. "registry": those of --registry, as they change',
  },
  membersOnly: { ...onOff, about: 'Keeps out all nodes that --members does not list' },
  drain: {
    ...wholeNumber(0, 600),
    value: 'SECONDS',
    fallback: DRAIN_MS / 1000,
    about: `How long one that is told to stop waits for its edges to move to others. Default: ${DRAIN_MS / 1000}`,
  },
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
  config: {
    ...path,
    value: 'FILE',
    key: false,
    fallback: undefined,
    about: 'Settings in JSON, by flags without "--": {"port": 4680}. Flags and environment win',
  },
  printConfig: {
    ...onOff,
    twin: false,
    about: 'Prints what all of it comes to, as such a file without secrets, and starts nothing',
  },
  json: { ...onOff, twin: false, about: 'For programs: JSON on standard output, and in the log' },
  version: { ...onOff, twin: false, about: 'Prints the version' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

/**
 * Reads flags, environment and file; a flag wins over its twin, and both over the file.
 * @throws SignalMeshError `BAD_CONFIG` with one sentence saying what is wrong and what is allowed.
 */
export function parseConfig(argv: readonly string[], env: Env, file?: FileSettings): Config {
  const { settings: given, rest } = parseFlags(FLAGS, argv, env, file)
  const settings: Config = given.json ? { ...given, logFormat: 'json' } : given
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
  const { dhtBootstrap } = settings
  if (dhtBootstrap !== undefined && settings.noDht) {
    throw new SignalMeshError('BAD_CONFIG', 'Flags --dht-bootstrap and --no-dht do not go together')
  }
  if (dhtBootstrap !== undefined && settings.dhtPort === Number(dhtBootstrap.split(':')[1])) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flags --dht-bootstrap and --dht-port need two UDP ports: one is for the DHT that is begun, one for this node in it',
    )
  }
  const knowsDht = settings.bootstrap.length > 0 || dhtBootstrap !== undefined
  if (settings.dhtRelay && (settings.noDht || !knowsDht)) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --dht-relay lends a DHT that this node has to know; give it --bootstrap, without --no-dht',
    )
  }
  if (settings.publicDht && (settings.noDht || settings.relay.length > 0)) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --public-dht goes neither with --no-dht nor with --relay: a relay is on a DHT of its own choice',
    )
  }
  if (settings.members === 'registry' && settings.registry.length === 0) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      'Flag --members registry lists the nodes of a registry; name it by --registry URL (a file of that name is ./registry)',
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

Usage: signal-mesh [start] [flags], or npm start -- [flags]

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

function isNodeName(text: string): boolean {
  return isPlain(text) && new TextEncoder().encode(text).length <= MAX_NODE_NAME_BYTES
}

function isFirst(text: string, i: number, all: readonly string[]): boolean {
  return all.indexOf(text) === i
}

function isOwnHostPort(text: string): boolean {
  const [address = ''] = text.split(':')
  return isHostPort(text) && isIpv4(address) && address !== '0.0.0.0'
}

export function isHostPort(text: string): boolean {
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

export function isUrl(text: string): boolean {
  return /^(https?|wss?):\/\//i.test(text) && URL.canParse(text) && text.length <= MAX_URL_BYTES
}

function isHttp(text: string): boolean {
  return isUrl(text) && /^http/i.test(text)
}

function isDomain(text: string): boolean {
  return /^(?=.{1,240}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i.test(text)
}

/** A literal address: a name server cannot be looked up. */
export function isServer(text: string): boolean {
  const [, address = text, port = '53'] = /^(.+\]|[^:]+):(\d{1,5})$/.exec(text) ?? []
  const isAddress = isIpv4(address) || isIpv6(address.replace(/^\[(.*)\]$/, '$1'))
  return isAddress && Number(port) >= 1 && Number(port) <= 65_535
}
