/** Commands, the configuration file and completion: what they print, and what they say to nonsense. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COMMANDS, commandLines, commandOf, startFlags } from '../runtimes/commands.ts'
import { FLAGS, parseConfig } from '../runtimes/config.ts'
import { printedConfig, readConfigFile } from '../runtimes/configfile.ts'
import { flagName } from '../runtimes/flags.ts'
import { runtime } from '../runtimes/node.ts'
import { table } from '../runtimes/say.ts'
import { SignalMeshError } from '../src/errors.ts'
import { assert, suite } from './harness/suite.ts'
import { hostOf, runCommand, runProgram } from './support/command.ts'

const test = suite('commands', { timeoutMs: 20_000 })

// --- which command ---

test('start is what no command is, and a word that is none is refused with the nearest', () => {
  assert.equal(startFlags(['start', '--port', '0']), ['--port', '0'])
  assert.equal(startFlags(['--port', '0']), ['--port', '0'])
  assert.equal(startFlags([]), [])
  assert.match(
    mistake(() => startFlags(['strat'])),
    /^Unknown command "strat"; did you mean start\?/,
  )
  assert.match(
    mistake(() => startFlags(['frobnicate'])),
    /^Unknown command "frobnicate" \(--help/,
  )
})

test('the help lists every command, and what the program ends with', () => {
  const lines = commandLines()
  for (const name of Object.keys(COMMANDS)) assert.match(lines, new RegExp(`^  ${name} +\\S`, 'm'))
  for (const code of ['0', '1', '2', '3', '130']) assert.match(lines, new RegExp(`\\b${code}\\b`))
})

test('every command explains itself, and refuses a flag that it does not know by its name', async () => {
  const names = Object.keys(COMMANDS).filter((name) => commandOf([name]))
  for (const name of names) {
    const { code, out } = await runCommand(runtime, [name, '--help'])
    assert.is(code, 0, name)
    assert.match(out, /--json/, name)
    const refused = await runCommand(runtime, [name, '--jsn'])
    assert.match(
      `${refused.err}${refused.error?.message}`,
      /Unknown flag --jsn; did you mean --json\?/,
      name,
    )
  }
})

test('a mesh of its own needs Node, and elsewhere it is said what to do', async () => {
  const { offerBootstrap: _, ...elsewhere } = runtime
  for (const name of ['testnet', 'demo']) {
    const { error } = await runCommand({ ...elsewhere, name: 'deno' }, [name])
    assert.match(String(error?.message), /needs Node\.js and not deno; .* --peer URL/)
  }
})

// --- the configuration file ---

test('a file sets what flags and environment leave open', async () => {
  const settings = { port: 1, host: '::1', peer: ['wss://a.example', 'wss://b.example'], lan: true }
  const path = fileOf(
    JSON.stringify({ ...settings, 'mesh-relay': false, 'dht-port': '7', relay: [] }),
  )
  const env = { SIGNAL_MESH_HOST: '0.0.0.0' }
  const config = await configOf(['--config', path, '--port', '2'], env)
  assert.equal([config.port, config.host, config.dhtPort], [2, '0.0.0.0', 7])
  assert.equal(config.peer, settings.peer)
  assert.equal([config.lan, config.meshRelay, config.relay], [true, false, []])
  assert.is((await configOf([], { SIGNAL_MESH_CONFIG: path })).port, 1)
  assert.is((await configOf([`--config=${path}`], {})).port, 1)
})

const FILES: readonly [string, RegExp][] = [
  ['{"prot": 1}', /^Unknown key "prot" in \S+; did you mean port\?$/],
  ['{"frobnicate": 1}', /^Unknown key "frobnicate" in \S+json$/],
  ['{"__proto__": 1}', /^Unknown key "__proto__"/],
  ['{"dhtPort": 1}', /^Unknown key "dhtPort" in \S+; did you mean dht-port\?$/],
  ['{"config": "x"}', /^Unknown key "config"/],
  ['{"help": true}', /^Unknown key "help"/],
  ['{"port": "x"}', /^Key "port" of \S+ takes a whole number from 0 to 65535, not "x"$/],
  ['{"port": null}', /^Key "port" of \S+ takes a text, number, true, false, or a list$/],
  ['{"peer": [{}]}', /^Key "peer" of \S+ takes a text/],
  ['[1]', /is to hold one object of settings/],
  ['{"port": 1', /is no JSON: /],
]
for (const [text, sentence] of FILES) {
  test(`says what is wrong with a file that holds ${text}`, async () => {
    const error = await configOf(['--config', fileOf(text)], {}).catch((it: unknown) => it)
    assert.instance(error, SignalMeshError)
    assert.is((error as SignalMeshError).code, 'BAD_CONFIG')
    assert.match((error as SignalMeshError).message, sentence)
  })
}

test('what is printed of a configuration is a file that says the same', async () => {
  const argv = [
    '--port',
    '9',
    '--peer',
    'wss://a.example,wss://b.example',
    '--mesh-relay',
    'off',
    '--lan',
  ]
  const config = await configOf(argv, {})
  const again = await configOf(['--config', fileOf(printedConfig(config))], {})
  assert.equal({ ...again, config: undefined }, config)
})

test('what is printed of a configuration shows no secret', async () => {
  const secrets = 'https://user:hunter2@a.example/x?token=hunter2#hunter2'
  const config = await configOf(
    ['--registry', secrets, '--tls-cert', 'c', '--tls-key', 'k.pem'],
    {},
  )
  const printed = printedConfig(config)
  assert.not.match(printed, /hunter2/)
  assert.equal(JSON.parse(printed).registry, ['https://***@a.example/x?***#***'])
  assert.is(JSON.parse(printed)['tls-key'], 'k.pem')
})

test('the program prints its configuration and starts nothing, or says what is wrong in JSON', async () => {
  const path = fileOf('{"port": 7}')
  const printed = await runProgram(['start', '--config', path, '--print-config'])
  assert.is(printed.code, 0)
  assert.is(JSON.parse(printed.out).port, 7)
  const wrong = await runProgram(['--config', fileOf('{"prot": 7}'), '--json'])
  assert.is(wrong.code, 2)
  const { error } = JSON.parse(wrong.err)
  assert.equal([error.code, /did you mean port/.test(error.message)], ['BAD_CONFIG', true])
  const command = await runProgram(['status', 'http://127.0.0.1:9', '--json'])
  assert.equal([command.code, JSON.parse(command.err).error.code], [1, 'HOME_UNREACHABLE'])
  const version = await runProgram(['--version', '--json'])
  assert.equal(JSON.parse(version.out), { name: 'signal-mesh', version: '0.0.0' })
})

// --- keygen ---

test('keygen makes an identity once, for its owner alone, and prints nothing secret', async () => {
  const data = join(temporary(), 'data')
  const argv = ['keygen', '--data', data, '--network', 'main,other', '--json']
  const [first, second] = [await runCommand(runtime, argv), await runCommand(runtime, argv)]
  assert.is(first.code, 0)
  assert.is(first.out, second.out)
  const { identities } = JSON.parse(first.out)
  assert.equal(
    identities.map(({ network }: { network: string }) => network),
    ['main', 'other'],
  )
  assert.is.not(identities[0].nodeId, identities[1].nodeId)
  const identity = join(data, 'identity')
  assert.is(statSync(identity).mode & 0o777, 0o600)
  assert.not.match(first.out, new RegExp(readFileSync(identity).subarray(0, 32).toString('hex')))
})

test('keygen writes a secret for its owner alone, and never over a file', async () => {
  const token = join(temporary(), 'token')
  assert.is((await runCommand(runtime, ['keygen', '--token', token])).code, 0)
  const secret = readFileSync(token, 'utf8')
  assert.match(secret, /^[0-9a-f]{64}\n$/)
  assert.is(statSync(token).mode & 0o777, 0o600)
  const { error } = await runCommand(runtime, ['keygen', '--token', token])
  assert.match(String(error?.message), /it is there already/)
  assert.is(readFileSync(token, 'utf8'), secret)
})

// --- completion ---

test('bash completes commands, flags and shells by the script', async () => {
  const { out } = await runCommand(runtime, ['completion', 'bash'])
  const complete = (...words: string[]): string[] => {
    const at = words.length - 1
    const script = `${out}\nCOMP_WORDS=(${words.join(' ')}${words[at] === '' ? "''" : ''})\nCOMP_CWORD=${at}\n_signal_mesh; printf '%s\\n' "\${COMPREPLY[@]}"`
    return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split('\n')
  }
  assert.equal(complete('signal-mesh', 'te'), ['testnet'])
  assert.equal(complete('signal-mesh', ''), Object.keys(COMMANDS))
  assert.equal(complete('signal-mesh', '--stun-p'), ['--stun-port', '--stun-public'])
  assert.equal(complete('signal-mesh', 'completion', 'z'), ['zsh'])
})

test('the scripts of all shells know every command and flag', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { out } = await runCommand(runtime, ['completion', shell, '--json'])
    const { script } = JSON.parse(out)
    for (const name of Object.keys(COMMANDS)) assert.ok(script.includes(name), `${shell}: ${name}`)
    for (const key of Object.keys(FLAGS)) {
      const name = flagName(key)
      assert.ok(
        script.includes(shell === 'fish' ? `-l ${name.slice(2)} ` : name),
        `${shell}: ${name}`,
      )
    }
  }
  const { error } = await runCommand(runtime, ['completion', 'tcsh'])
  assert.match(String(error?.message), /takes one of bash, zsh, fish/)
})

// --- what is shown ---

test('a table shows the text of others as letters, whatever is in it', () => {
  const rows = [
    ['A', 'B'],
    ['\x1b[2Jx', 'y'],
    ['\u202e', 'z'],
  ]
  assert.is(table(rows), 'A      B\n\ufffd[2Jx  y\n\ufffd      z\n')
})

test.run()

function mistake(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'mesh-'))
}

function fileOf(text: string): string {
  const path = join(temporary(), 'mesh.json')
  writeFileSync(path, text)
  return path
}

async function configOf(argv: readonly string[], env: Readonly<Record<string, string>>) {
  return parseConfig(argv, env, await readConfigFile({ ...hostOf(argv), env }))
}
