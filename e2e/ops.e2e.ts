/** What `ops` has for operators, in use: images, compose file, unit and proxies, as far as they run without a container engine. */

import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { FLAGS, parseConfig } from '../runtimes/config.ts'
import { flagName, twinName } from '../runtimes/flags.ts'
import { ADMIN_TRIES_BURST } from '../src/limits.ts'
import { cert } from '../test/fixtures/tls.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { findProgram } from './browser.ts'
import { documented } from './support/coturn.ts'
import { untilHealth } from './support/health.ts'
import {
  BIN,
  composeServices,
  type Image,
  imageOf,
  layOutImage,
  readOps,
  type Service,
  unitCommand,
} from './support/ops.ts'
import { poll } from './support/poll.ts'
import {
  ensureProxy,
  freePort,
  noProxy,
  PROXIES,
  type ProxyName,
  type RunningProxy,
  startProxy,
} from './support/proxies.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('ops', { timeoutMs: 60_000 })
const folder = mkdtempSync(join(tmpdir(), 'mesh-ops-'))
const TARGETS = ['node', 'deno', 'bun']
const START_WITHIN_MS = 15_000
const UNIT = 'signal-mesh.service'
/** Of 10; systemd calls what is below 2 "OK". */
const EXPOSED_AT_MOST = 2

const children = new Set<ChildProcess>()
let node: RuntimeNode | undefined
let proxy: RunningProxy | undefined
test.afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await proxy?.stop()
  await node?.stop()
  proxy = undefined
  node = undefined
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

test('each flag and setting that the files name is one of the program’s, and what they come to is taken', () => {
  const twins = Object.keys(FLAGS).map(twinName)
  const services = Object.values(composeServices()).filter(({ build }) => build)
  const settings = [...TARGETS.map((name) => imageOf(name).env), ...services.map(environmentOf)]
  for (const env of settings) {
    const own = Object.keys(env).filter((name) => name.startsWith('SIGNAL_MESH_'))
    assert.equal(
      own.filter((name) => !twins.includes(name)),
      [],
    )
  }
  assert.equal(
    services.map((service) => parseConfig([], environmentOf(service)).name),
    ['a', 'b', 'c'],
  )
  const unit = parseConfig(unitCommand().slice(2), {})
  assert.equal([unit.trustProxy, unit.drain, unit.logFormat], [['loopback'], 10, 'json'])
  const flags = [...Object.keys(FLAGS).map(flagName)]
  const named = ['nginx.conf', UNIT].flatMap((file) => readOps(file).match(/--[a-z-]+/g) ?? [])
  assert.equal(
    named.filter((name) => !flags.includes(name)),
    [],
  )
})

test('each image runs as a user that is not root, and the compose file has one node on each runtime', () => {
  for (const target of TARGETS) assert.is(imageOf(target).user, target)
  const targets = Object.values(composeServices()).flatMap(({ build }) => build?.target ?? [])
  assert.equal(targets, TARGETS)
})

test('the compose file’s coturn relays no further than the README says', () => {
  const settings = (text: string): string[] =>
    text.split('\n').filter((line) => /^(?!realm=)[a-z]/.test(line))
  assert.equal(settings(readOps('turnserver.conf')), settings(documented()))
})

test('the nodes of the compose file run out of what the images hold, link, are alive, and stop in order', async () => {
  const app = join(folder, 'app')
  layOutImage(app)
  const services = Object.entries(composeServices()).filter(([, { build }]) => build)
  const ports = new Map<string, number>()
  for (const [name] of services) ports.set(name, await freePort())
  const placed = (text: string, name: string): string =>
    [...ports]
      .reduce((made, [each, port]) => made.replaceAll(`${each}:4680`, `127.0.0.1:${port}`), text)
      .replaceAll('127.0.0.1:4680', `127.0.0.1:${ports.get(name)}`)
      .replaceAll(/\/(data|run\/secrets|tmp\/deno)/g, `${join(folder, name)}/$1`)
  const nodes = services.map(([name, service]) => {
    const image = imageOf(service.build?.target ?? '')
    const secrets = join(folder, name, 'run/secrets')
    mkdirSync(secrets, { recursive: true })
    mkdirSync(join(folder, name, 'data'))
    writeFileSync(join(secrets, 'turn'), 'a secret of the nodes and coturn\n')
    const env = Object.entries({ ...image.env, ...environmentOf(service) }).map(([key, value]) => [
      key,
      placed(value, name),
    ])
    const own = { PATH: `${BIN}${delimiter}${process.env.PATH}`, HOME: join(folder, name) }
    return runImage(image, (text) => placed(text, name), app, {
      ...own,
      ...Object.fromEntries(env),
      SIGNAL_MESH_PORT: String(ports.get(name)),
    })
  })
  const urls = [...ports.values()].map((port) => `http://127.0.0.1:${port}`)
  await poll(
    'all answer',
    START_WITHIN_MS,
    async () => (await Promise.all(urls.map(answers))).every((status) => status === 200),
    () => nodes.map(({ said }) => said()),
  )
  await untilHealth('all are linked', urls, START_WITHIN_MS, (all) =>
    all.every(({ mesh: { homes } }) => homes === 3),
  )
  for (const url of urls) {
    assert.is((await fetch(`${url}/ready`)).status, 200)
    assert.match(await (await fetch(url)).text(), '<!doctype html>')
  }
  const checks = (): Promise<(number | null)[]> => Promise.all(nodes.map(({ check }) => check()))
  assert.equal(await checks(), [0, 0, 0])
  assert.equal(await Promise.all(nodes.map(({ stop }) => stop())), [0, 0, 0])
  assert.equal(await checks(), [1, 1, 1])
})

const NO_SYSTEMD = 'no systemd-analyze here'
if (!findProgram(['systemd-analyze'])) {
  test.skip('systemd finds nothing wrong with the unit, and little that it could reach', NO_SYSTEMD)
} else {
  test('systemd finds nothing wrong with the unit, and little that it could reach', () => {
    const file = join(folder, UNIT)
    const [program = '', main = ''] = unitCommand()
    assert.equal([program, main], ['/usr/bin/node', '/opt/signal-mesh/mod.ts'])
    writeFileSync(file, readOps(UNIT).replace(program, process.execPath))
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    })
    const { status, stderr } = verified
    // It looks at what is installed here as well.
    assert.equal([status, stderr.split('\n').filter((line) => line.includes(UNIT))], [0, []])
    const security = ['security', '--offline=true', `--threshold=${EXPOSED_AT_MOST * 10}`, file]
    execFileSync('systemd-analyze', security, { stdio: 'pipe' })
  })
}

for (const name of PROXIES) {
  const title = `${name} with the example before a node passes pages and edges, and says truly where they come from`
  if (!ensureProxy(name)) test.skip(title, noProxy(name))
  else test(title, () => behind(name))
}

async function behind(name: ProxyName): Promise<void> {
  const ports = { tls: await freePort(), plain: await freePort() }
  const url = `https://127.0.0.1:${ports.tls}`
  const token = join(folder, 'token')
  writeFileSync(token, 'a-token-of-the-operator\n')
  const told = ['--trust-proxy', 'loopback', '--public-url', url, '--admin-token-file', token]
  node = await startOn('node', [...told, '--stun-port', '0'])
  const running = startProxy(name, node.url, ports)
  proxy = running
  await poll(
    `${name} serves`,
    START_WITHIN_MS,
    async () => (await ask(`${url}/health`).catch(() => 0)) === 200,
    running.said,
  )
  assert.equal(await edgesAt(url), { found: true, home: node.nodeId })
  // Who guesses at the token is counted by the address that the proxy saw, whatever the client says.
  const guess = (from: string, claim: string): Promise<number> =>
    ask(`${url}/admin.json`, from, { authorization: 'Bearer wrong', 'x-forwarded-for': claim })
  let last = 401
  for (let i = 0; i <= ADMIN_TRIES_BURST + 5 && last === 401; i++) {
    last = await guess('127.0.0.5', `192.0.2.${i}`)
  }
  assert.is(last, 429)
  assert.is(await guess('127.0.0.6', '192.0.2.1'), 401)
  if (name === 'nginx') {
    const moved = await redirected(`http://127.0.0.1:${ports.plain}/mesh`)
    assert.equal(moved, [301, 'https://127.0.0.1/mesh'])
  }
}

/** Two edges in a process of their own, which trusts the certificate: one finds the other. */
async function edgesAt(url: string): Promise<unknown> {
  const trusted = join(folder, 'cert.pem')
  writeFileSync(trusted, cert)
  const bundle = join(import.meta.dirname, '../dist/edge.min.js')
  const program = `
    import { joinMesh } from ${JSON.stringify(bundle)}
    const urls = [${JSON.stringify(url)}]
    const one = await joinMesh({ urls, topics: ['room'] })
    const two = await joinMesh({ urls })
    let found = false
    for await (const { kind, id } of two.watch('room')) {
      found = kind === 'join' && id === one.id
      break
    }
    console.log(JSON.stringify({ found, home: two.home.nodeId }))
    await Promise.all([one.close(), two.close()])
  `
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted }
  const args = ['--input-type=module', '-e', program]
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env, timeout: START_WITHIN_MS }, (error, out, err) =>
      error ? reject(new Error(`${error.message}: ${err}`)) : resolve(JSON.parse(out)),
    )
  })
}

/** Asks from an address of this machine; gives the status. */
function ask(
  url: string,
  from = '127.0.0.1',
  headers: Record<string, string> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { ca: cert, localAddress: from, headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }).on('error', reject)
  })
}

function redirected(url: string): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    getPlain(url, { agent: false }, (response) => {
      response.resume()
      resolve([response.statusCode, response.headers.location])
    }).on('error', reject)
  })
}

function answers(url: string): Promise<number> {
  return fetch(`${url}/health`).then(
    ({ status }) => status,
    () => 0,
  )
}

function environmentOf({ environment = {} }: Service): Readonly<Record<string, string>> {
  return environment
}

interface Running {
  said(): string
  /** What the image's health check exits with. */
  check(): Promise<number | null>
  stop(): Promise<number | null>
}

/** Runs the image's own commands, with its paths in the folder of this test. */
function runImage(
  { entrypoint, healthcheck }: Image,
  placed: (text: string) => string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Running {
  const start = ([command = '', ...args]: readonly string[]): ChildProcess => {
    const child = spawn(join(BIN, command), args.map(placed), { cwd, env, stdio: 'pipe' })
    children.add(child)
    return child
  }
  const child = start(entrypoint)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  return {
    said: () => said,
    check: () => codeOf(start(healthcheck)),
    stop: () => {
      const ended = codeOf(child)
      child.kill('SIGTERM')
      return ended
    },
  }
}

function codeOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve))
}

test.run()
