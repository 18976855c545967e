/** What a node can be told, by flags and by the environment, and what it says to nonsense. */

import { type Config, helpText, parseConfig } from '../runtimes/config.ts'
import { flagName, twinName } from '../runtimes/flags.ts'
import { readMembers } from '../runtimes/members.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_MEMBERS } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'

/** For each setting: what it is by default, a text that is given, and what it then is. */
const SETTINGS: readonly [keyof Config, unknown, string, unknown][] = [
  ['port', 4680, '0', 0],
  ['host', '127.0.0.1', '0.0.0.0', '0.0.0.0'],
  ['network', ['main'], 'Größe, two', ['Größe', 'two']],
  ['dhtBootstrap', undefined, '192.0.2.1:49737', '192.0.2.1:49737'],
  ['bootstrap', [], '192.0.2.1:49737, dht.example.org:1', ['192.0.2.1:49737', 'dht.example.org:1']],
  ['dhtPort', 0, '49737', 49737],
  ['dhtHost', undefined, '127.0.0.1', '127.0.0.1'],
  ['relay', [], 'wss://a.example, http://b.example/x', ['wss://a.example', 'http://b.example/x']],
  ['data', undefined, './data', './data'],
  ['registry', [], 'http://localhost:9473/api', ['http://localhost:9473/api']],
  ['dns', [], 'mesh.example, b.example.', ['mesh.example', 'b.example.']],
  ['dnsServer', [], '192.0.2.1,[::1]:53,::1', ['192.0.2.1', '[::1]:53', '::1']],
  ['refresh', 600, '60', 60],
  [
    'publicUrl',
    [],
    'https://a.example,wss://b.example/x',
    ['https://a.example', 'https://b.example/x'],
  ],
  ['trustProxy', [], 'loopback,192.0.2.1,2001:db8::1', ['loopback', '192.0.2.1', '2001:db8::1']],
  ['meshRelay', true, 'off', false],
  ['meshRelayRate', 4_194_304, '100000', 100_000],
  ['members', undefined, './members.txt', './members.txt'],
  ['drain', 1, '30', 30],
  ['logLevel', 'info', 'debug', 'debug'],
  ['logFormat', 'pretty', 'json', 'json'],
]

/** Flags and what is said to them. */
const MISTAKES: readonly [readonly string[], string][] = [
  [['--prot', '1'], 'Unknown flag --prot; did you mean --port? (--help lists all)'],
  [['--bootstraps=a:1'], 'Unknown flag --bootstraps; did you mean --bootstrap? (--help lists all)'],
  [['--frobnicate'], 'Unknown flag --frobnicate (--help lists all)'],
  [['start'], 'Unknown argument "start" (--help lists all flags)'],
  [['--port'], 'Flag --port takes a whole number from 0 to 65535; none is given'],
  [['--data', '--port', '1'], 'Flag --data takes a path; none is given'],
  [['--port', '65536'], 'Flag --port takes a whole number from 0 to 65535, not "65536"'],
  [['--port', '0x10'], 'Flag --port takes a whole number from 0 to 65535, not "0x10"'],
  [['--port='], 'Flag --port takes a whole number from 0 to 65535, not ""'],
  [['--host', 'a b'], 'Flag --host takes a host name or address, not "a b"'],
  [['--network', ''], 'Flag --network takes up to 16 names of 1 to 1024 bytes, not ""'],
  [
    ['--dht-bootstrap', 'localhost:1'],
    'Flag --dht-bootstrap takes an IPv4 address and port of this machine, not "localhost:1"',
  ],
  [
    ['--dht-bootstrap', '0.0.0.0:1'],
    'Flag --dht-bootstrap takes an IPv4 address and port of this machine, not "0.0.0.0:1"',
  ],
  [
    ['--dht-bootstrap', '127.0.0.1:1', '--no-dht'],
    'Flags --dht-bootstrap and --no-dht do not go together',
  ],
  [
    ['--dht-bootstrap', '127.0.0.1:1', '--dht-port', '1'],
    'Flags --dht-bootstrap and --dht-port need two UDP ports: one is for the DHT that is begun, one for this node in it',
  ],
  [['--bootstrap', 'localhost'], 'Flag --bootstrap takes a list of host:port, not "localhost"'],
  [['--bootstrap', 'a:0'], 'Flag --bootstrap takes a list of host:port, not "a:0"'],
  [['--bootstrap', 'a:1,'], 'Flag --bootstrap takes a list of host:port, not "a:1,"'],
  [['--dht-host', 'localhost'], 'Flag --dht-host takes an IPv4 address, not "localhost"'],
  [['--no-dht=perhaps'], 'Flag --no-dht takes true or false, not "perhaps"'],
  [
    ['--relay', 'a.example'],
    'Flag --relay takes up to 16 http, https, ws or wss URLs, not "a.example"',
  ],
  ...[['--dht-relay'], ['--dht-relay', '--bootstrap', 'a:1', '--no-dht']].map(
    (flags): [readonly string[], string] => [
      flags,
      'Flag --dht-relay lends a DHT that this node has to know; give it --bootstrap, without --no-dht',
    ],
  ),
  [['--tls-cert', 'a.pem'], 'Flags --tls-cert and --tls-key go together'],
  [['--mesh-relay', 'maybe'], 'Flag --mesh-relay takes on or off, not "maybe"'],
  [['--turn-url', 'turn:a.example'], 'Flags --turn-url and --turn-secret-file go together'],
  [['--turn-secret-file', 'a'], 'Flags --turn-url and --turn-secret-file go together'],
  [
    ['--turn-url', 'stun:a.example'],
    'Flag --turn-url takes up to 4 turn: or turns: URLs, not "stun:a.example"',
  ],
  [['--stun-public', 'a.example'], 'Flag --stun-public takes host:port, not "a.example"'],
  [['--stun-port', '70000'], 'Flag --stun-port takes a whole number from 0 to 65535, not "70000"'],
  [
    ['--public-url', 'example.org'],
    'Flag --public-url takes up to 4 http, https, ws or wss URLs, not "example.org"',
  ],
  [
    ['--trust-proxy', 'all'],
    'Flag --trust-proxy takes "loopback" or a list of addresses, not "all"',
  ],
  [
    ['--members-only'],
    'Flag --members-only keeps out all but listed nodes; list them in a file and give it by --members FILE',
  ],
  [['--registry', 'ws://a'], 'Flag --registry takes up to 8 http or https URLs, not "ws://a"'],
  [['--dns', 'a b'], 'Flag --dns takes up to 8 domains, not "a b"'],
  [
    ['--dns-server', 'a.example'],
    'Flag --dns-server takes up to 8 addresses, each with :port or without, not "a.example"',
  ],
  [['--refresh', '0'], 'Flag --refresh takes a whole number from 1 to 86400, not "0"'],
  ...['--no-dht', '--relay=https://a'].map((flag): [readonly string[], string] => [
    ['--public-dht', flag],
    'Flag --public-dht goes neither with --no-dht nor with --relay: a relay is on a DHT of its own choice',
  ]),
  [
    ['--members', 'registry'],
    'Flag --members registry lists the nodes of a registry; name it by --registry URL (a file of that name is ./registry)',
  ],
  [['--members'], 'Flag --members takes a path; none is given'],
  [['--log-level', 'loud'], 'Flag --log-level takes debug, info, warn, error, not "loud"'],
  [['--log-format', 'xml'], 'Flag --log-format takes pretty, json, not "xml"'],
]

const test = suite('config')

test('every setting has a default, a flag and a twin in the environment', () => {
  const defaults = parseConfig([], {})
  for (const [key, fallback, text, value] of SETTINGS) {
    assert.equal(defaults[key], fallback, key)
    assert.equal(parseConfig([flagName(key), text], {})[key], value, flagName(key))
    assert.equal(parseConfig([`${flagName(key)}=${text}`], {})[key], value, flagName(key))
    assert.equal(parseConfig([], { [twinName(key)]: text })[key], value, twinName(key))
  }
})

test('names flags and twins as documented', () => {
  assert.is(flagName('dhtPort'), '--dht-port')
  assert.is(twinName('dhtPort'), 'SIGNAL_MESH_DHT_PORT')
})

test('a flag wins over its twin', () => {
  const env = { SIGNAL_MESH_PORT: '1', SIGNAL_MESH_NO_DHT: '1', SIGNAL_MESH_HOST: '::1' }
  const config = parseConfig(['--port', '2', '--no-dht=false'], env)
  assert.is(config.port, 2)
  assert.is(config.noDht, false)
  assert.is(config.host, '::1')
})

test('an empty variable counts as not set', () => {
  assert.is(parseConfig([], { SIGNAL_MESH_PORT: '' }).port, 4680)
})

test('a list may be given in parts', () => {
  const { bootstrap } = parseConfig(['--bootstrap', 'a:1,b:2', '--bootstrap=c:3'], {})
  assert.equal(bootstrap, ['a:1', 'b:2', 'c:3'])
})

test('a switch needs no value, and its twin may say yes or no', () => {
  assert.is(parseConfig(['--no-dht'], {}).noDht, true)
  assert.is(parseConfig([], { SIGNAL_MESH_NO_DHT: 'yes' }).noDht, true)
  assert.is(parseConfig([], { SIGNAL_MESH_NO_DHT: '0' }).noDht, false)
})

test('a private mesh needs its list, wherever each of the two is said', () => {
  const config = parseConfig(['--members-only'], { SIGNAL_MESH_MEMBERS: 'a.txt' })
  assert.equal([config.members, config.membersOnly], ['a.txt', true])
  const twin = parseConfig(['--members', 'a.txt'], { SIGNAL_MESH_MEMBERS_ONLY: '1' })
  assert.equal([twin.members, twin.membersOnly], ['a.txt', true])
  assert.match(mistakeOf([], { SIGNAL_MESH_MEMBERS_ONLY: '1' }), /--members FILE$/)
})

test('reads a NodeId from each line of the members file, and skips comments and empty lines', async () => {
  const [a, b] = ['a1'.repeat(32), 'B2'.repeat(32)]
  const text = `\uFEFF# our nodes\r\n\r\n  ${a}  # in the cellar\n${b}\n${a}`
  const { listed, only } = await membersOf(text)
  assert.equal([[...listed], only], [[a, b.toLowerCase()], true])
  assert.equal([...(await membersOf('')).listed], [])
  const none = await readMembers({ members: undefined, membersOnly: false }, { readText: fail })
  assert.equal([none.listed.size, none.only], [0, false])
})

test('says file, line and what is allowed where the members file is wrong', async () => {
  const good = 'a1'.repeat(32)
  for (const wrong of [good.slice(1), `${good}0`, 'g'.repeat(64), `${good} ${good}`]) {
    const said = await membersMistake(`# nodes\n${good}\n${wrong}\n`)
    assert.match(
      said,
      /^File m\.txt of --members, line 3: "[^"]{16}"… is no NodeId; a line is a NodeId \(64 hex digits\), or empty, or a comment that begins with #$/,
    )
  }
  const many = Array.from({ length: MAX_MEMBERS + 1 }, (_, i) => `${i}`.padStart(64, '0'))
  const said = await membersMistake(many.join('\n'))
  assert.is(
    said,
    `File m.txt of --members, line ${MAX_MEMBERS + 1}: up to ${MAX_MEMBERS} nodes can be listed`,
  )
})

test('the list of a registry is empty until that answers, and has its room all the same', async () => {
  const config = { members: 'registry', membersOnly: true }
  const { listed, only, reserves } = await readMembers(config, { readText: fail })
  assert.equal([listed.size, only, reserves], [0, true, true])
})

test('certificate and key come together', () => {
  const { tlsCert, tlsKey } = parseConfig(['--tls-cert', 'c.pem'], { SIGNAL_MESH_TLS_KEY: 'k.pem' })
  assert.equal([tlsCert, tlsKey], ['c.pem', 'k.pem'])
})

for (const [argv, sentence] of MISTAKES) {
  test(`says what is wrong with ${JSON.stringify(argv.join(' '))} and what is allowed`, () => {
    assert.is(mistakeOf(argv, {}), sentence)
  })
}

test('names the variable when it is that which is wrong', () => {
  assert.is(
    mistakeOf([], { SIGNAL_MESH_PORT: 'x' }),
    'Variable SIGNAL_MESH_PORT takes a whole number from 0 to 65535, not "x"',
  )
})

test('a name that is over its bound in bytes is refused', () => {
  assert.match(mistakeOf(['--network', 'ß'.repeat(513)], {}), /1 to 1024 bytes/)
})

test('the help lists every flag', () => {
  const help = helpText()
  const flags = [
    ...SETTINGS.map(([key]) => key),
    'noDht',
    'membersOnly',
    'tlsCert',
    'tlsKey',
    'lan',
    'publicDht',
    'version',
    'help',
  ]
  for (const key of flags) assert.match(help, new RegExp(`^  ${flagName(key)}\\b`, 'm'))
  assert.is(parseConfig(['-h'], {}).help, true)
})

test.run()

function membersOf(text: string) {
  const host = { readText: async () => text }
  return readMembers({ members: 'm.txt', membersOnly: true }, host)
}

async function membersMistake(text: string): Promise<string> {
  try {
    await membersOf(text)
  } catch (error) {
    assert.is((error as SignalMeshError).code, 'BAD_CONFIG')
    return (error as SignalMeshError).message
  }
  throw new Error('Nothing was found wrong')
}

function fail(): never {
  throw new Error('It read a file')
}

function mistakeOf(argv: readonly string[], env: Readonly<Record<string, string>>): string {
  try {
    parseConfig(argv, env)
  } catch (error) {
    assert.instance(error, SignalMeshError)
    const { code, message } = error as SignalMeshError
    assert.is(code, 'BAD_CONFIG')
    assert.not.match(message, /\n/)
    return message
  }
  throw new Error('Nothing was found wrong')
}
