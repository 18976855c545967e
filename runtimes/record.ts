/** `signal-mesh record`: the record to publish for one's own node, and whether a published one is right. */

import { toHex } from '../src/bytes.ts'
import { systemClock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import { loadIdentity } from '../src/identity.ts'
import { MAX_NAME_BYTES, MAX_NETWORKS } from '../src/limits.ts'
import { storesOf } from '../src/networkstores.ts'
import { type MeshRecord, publicPart, recordOf } from '../src/registryrecord.ts'
import type { Runtime } from '../src/runtime.ts'
import { networkId } from '../src/topic.ts'
import type { Command } from './commands.ts'
import { isHostPort, isServer, isUrl } from './config.ts'
import { listThat, onOff, textThat } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import { MAX_SOURCES } from './limits.ts'
import { checkRecord } from './recordcheck.ts'
import { publishable, recordText } from './recordtext.ts'
import type { Source } from './source.ts'
import { dnsSource } from './sourcedns.ts'
import { registrySource } from './sourceregistry.ts'

interface Settings {
  readonly data: string | undefined
  readonly network: readonly string[]
  readonly publicUrl: readonly string[]
  readonly bootstrap: string | undefined
  readonly dhtRelay: boolean
  readonly check: string | undefined
  readonly dnsServer: readonly string[]
  readonly allowPrivate: boolean
  readonly json: boolean
  readonly help: boolean
}

/** A node of this process, in one of its networks. */
export interface OwnRecord {
  readonly network: string
  readonly record: MeshRecord
}

/** Exit codes, besides those of the program: the record is not there, or not what it should be. */
const NOT_RIGHT = 3

const text = textThat('a text', (value) => value !== '')

const FLAGS: Flags<Settings> = {
  data: {
    ...text,
    value: 'DIR',
    fallback: undefined,
    about: 'Folder that keeps the identity of the node; one that has none yet gets it now',
  },
  network: {
    ...listThat(
      `up to ${MAX_NETWORKS} names of 1 to ${MAX_NAME_BYTES} bytes`,
      isName,
      MAX_NETWORKS,
    ),
    value: 'NAME,…',
    fallback: ['main'],
    about: 'Networks of the node, as it is started with. Default: main',
  },
  publicUrl: {
    ...listThat('http, https, ws or wss URLs', isUrl, MAX_SOURCES),
    value: 'URL',
    fallback: [],
    about: 'Where others reach the node; of several the first is published',
  },
  bootstrap: {
    ...textThat('host:port', isHostPort),
    value: 'HOST:PORT',
    fallback: undefined,
    twin: false,
    about: 'Where others reach the DHT that the node begins (--dht-bootstrap). Default: none',
  },
  dhtRelay: { ...onOff, about: 'The node lends its DHT to others, as it is started with' },
  check: {
    ...text,
    value: 'URL|DOMAIN',
    fallback: undefined,
    twin: false,
    about: 'Looks whether the record is published there as it should be: a registry, or a domain',
  },
  dnsServer: {
    ...listThat('addresses, each with :port or without', isServer, MAX_SOURCES),
    value: 'ADDRESS,…',
    fallback: [],
    about: 'Name servers to ask. Default: those of this machine',
  },
  allowPrivate: { ...onOff, about: 'Local addresses in records are right' },
  json: { ...onOff, twin: false, about: 'Prints JSON' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

export const record: Command = async (runtime, host) => {
  const { settings, rest } = parseFlags(FLAGS, host.argv, host.env)
  if (settings.help) {
    host.out(helpText())
    return 0
  }
  if (rest.length > 0) throw bad(`Unknown argument ${JSON.stringify(rest[0])} (record --help)`)
  const own = await ownRecords(settings, runtime)
  if (settings.check !== undefined) {
    const source = sourceOf(settings.check, settings)
    const { records } = await source.ask()
    const findings = await checkRecord(own, records, settings.allowPrivate)
    const isRight = findings.every(({ isWrong }) => !isWrong)
    if (settings.json) host.out(`${JSON.stringify({ right: isRight, findings })}\n`)
    else
      for (const { isWrong, says } of findings) host.out(`${isWrong ? 'wrong' : 'ok'}  ${says}\n`)
    return isRight ? 0 : NOT_RIGHT
  }
  if (settings.json) {
    const list = own.map(({ network, record }) => ({ network, ...record, ...publishable(record) }))
    host.out(`${JSON.stringify({ records: list })}\n`)
  } else host.out(own.map(({ network, record }) => recordText(network, record)).join('\n'))
  if (!settings.allowPrivate && own.some(({ record }) => isCut(record))) {
    host.err('Others do not use local addresses of a record, unless they have --allow-private\n')
  }
  return 0
}

async function ownRecords(settings: Settings, runtime: Runtime): Promise<readonly OwnRecord[]> {
  const { data, network: networks, publicUrl, bootstrap, dhtRelay } = settings
  if (data === undefined)
    throw bad('A record names a node; say by --data DIR where its identity is')
  if (publicUrl.length === 0 && bootstrap === undefined) {
    throw bad(
      'A record says where a node is; give --public-url URL, --bootstrap HOST:PORT, or both',
    )
  }
  const stores = await storesOf(await runtime.openStore(data), networks)
  return Promise.all(
    networks.map(async (network, i) => {
      const { id } = await loadIdentity(stores[i] as (typeof stores)[number])
      const record = recordOf({
        url: publicUrl[0],
        bootstrap,
        relay: dhtRelay,
        node: id,
        network: toHex(networkId(network)),
      })
      if (record) return { network, record }
      throw bad('The URL of a record has neither a name and password nor a query')
    }),
  )
}

function sourceOf(at: string, { allowPrivate, dnsServer }: Settings): Source {
  if (/^https?:\/\//i.test(at) && URL.canParse(at)) {
    return registrySource(at, { allowPrivate, clock: systemClock })
  }
  if (/^[\w.-]+$/.test(at)) return dnsSource(at, { servers: dnsServer })
  throw bad(`Flag --check takes the URL of a registry or a domain, not ${JSON.stringify(at)}`)
}

/** Whether others would leave something of it out. */
function isCut(own: MeshRecord): boolean {
  return JSON.stringify(publicPart(own)) !== JSON.stringify(own)
}

function isName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length
  return bytes > 0 && bytes <= MAX_NAME_BYTES
}

function helpText(): string {
  return `Prints the record to publish for a node: for laconicd, for DXNS, and as a TXT line of a domain.

Usage: signal-mesh record --data DIR --public-url URL [--bootstrap HOST:PORT] [--json] [--check URL|DOMAIN]

${helpLines(FLAGS)}

Exit codes: 0 printed, or published as it should be; 1 nobody answered; 2 told something wrong;
3 not published, or not as it should be.
`
}

function bad(sentence: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence)
}
