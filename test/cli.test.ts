/** `npm start` and `npm run testnet` as programs: flags, pages, errors, signals, exit codes. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { finished, makePages } from '../runtimes/pages.ts'
import { joinMesh } from '../src/edge/mod.ts'
import { cert, key } from './fixtures/tls.ts'
import { assert, suite } from './harness/suite.ts'
import { killPrograms, type Program, startProgram } from './support/program.ts'

const test = suite('cli', { timeoutMs: 30_000 })
/** A node for tests that only ask it something. */
let shared: Program | undefined
test.afterEach(() => killPrograms(shared))
test.after(() => killPrograms())

function sharedUrl(): Promise<string> {
  shared ??= start(['--port', '0'])
  return urlOf(shared)
}

// --- what a node prints and serves ---

test('prints its NodeId, its URL and what to do next', async () => {
  const node = start(['--port', '0'])
  const url = await urlOf(node)
  const { nodeId } = await healthOf(url)
  assert.match(node.out, new RegExp(`^  Node +${nodeId}$`, 'm'))
  assert.match(
    node.out,
    /^ {2}Identity {2}ephemeral, ends with this process; keep it with --data DIR$/m,
  )
  assert.match(
    node.out,
    /^ {2}Mesh +this node alone; join others with --bootstrap host:port or --peer URL$/m,
  )
  assert.match(node.out, /^Next: (open http\S+ in two tabs|the demo page is not built)/m)
  const { port } = new URL(url)
  assert.match(node.out, `To open it to your LAN: npm start -- --host 0.0.0.0 --port ${port}\n`)
  assert.match(node.out, `Source and licences: ${url}/source\n`)
})

test('says in JSON, on one line, what a program wants to know', async () => {
  const node = start(['--port', '0', '--log-format', 'json', '--network', 'x'])
  await node.until(/\n/)
  const line = JSON.parse(node.out)
  assert.equal(Object.keys(line).slice(0, 3), ['time', 'level', 'message'])
  assert.is(line.network, 'x')
  assert.is((await healthOf(line.url)).nodeId, line.nodeId)
})

test('takes its flags from the environment too', async () => {
  const node = start([], { SIGNAL_MESH_PORT: '0', SIGNAL_MESH_NETWORK: 'from-env' })
  assert.is((await healthOf(await urlOf(node))).network, 'from-env')
})

test('tells its health', async () => {
  const health = await healthOf(await sharedUrl())
  assert.match(health.nodeId, /^[0-9a-f]{64}$/)
  assert.match(health.runtime, /^node/)
  assert.equal(
    [health.status, health.network, health.protocolVersion, health.neighbours, health.edges],
    ['ok', 'main', 1, 0, 0],
  )
  assert.ok(health.uptimeSeconds >= 0)
})

test('listens on this machine alone unless told otherwise', async () => {
  const url = new URL(await urlOf(start(['--port', '0'])))
  assert.is(url.hostname, '127.0.0.1')
  const open = start(['--port', '0', '--host', '0.0.0.0'])
  assert.match(await urlOf(open), /^http:\/\/127\.0\.0\.1:\d+$/)
  assert.not.match(open.out, /npm start/)
})

test('offers its source and names the licences', async () => {
  const url = await sharedUrl()
  const response = await fetch(`${url}/source`)
  const page = await response.text()
  // Which of the two depends on whether a build was made here.
  assert.match(page, /href="\/source\.tgz"|npm run build/)
  assert.match(page, /AGPL-3\.0/)
  assert.is(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(
    String(response.headers.get('content-security-policy')),
    /connect-src 'self' ws: wss:/,
  )
})

test('answers other methods and paths with their status', async () => {
  const url = await sharedUrl()
  const post = await fetch(`${url}/health`, { method: 'POST', body: 'x' })
  assert.equal([post.status, post.headers.get('allow')], [405, 'GET, HEAD'])
  assert.is((await fetch(`${url}/nothing`)).status, 404)
  assert.is((await fetch(`${url}/../package.json`)).status, 404)
  const head = await fetch(`${url}/source`, { method: 'HEAD' })
  assert.equal([head.status, await head.text()], [200, ''])
})

test('answers a page that the browser has already without sending it again', async () => {
  const url = await sharedUrl()
  const first = await fetch(`${url}/source`)
  await first.text()
  const etag = String(first.headers.get('etag'))
  assert.is(first.headers.get('cache-control'), 'no-cache')
  const again = await fetch(`${url}/source`, { headers: { 'if-none-match': `"x", ${etag}` } })
  assert.equal([again.status, await again.text()], [304, ''])
})

test('serves the built pages at the top, and says how to build where there are none', async () => {
  const bytes = new TextEncoder().encode('x')
  const files = ['demo/index.html', 'demo/a/b.css', 'edge.min.js', 'sizes.json']
  const about = { name: 'signal-mesh', version: '1.2.3' }
  const pages = await makePages(new Map(files.map((file) => [file, bytes])), about)
  const typeOf = (path: string) => pages(path)?.headers.get('content-type')
  assert.is(typeOf('/'), 'text/html; charset=utf-8')
  assert.is(typeOf('/a/b.css'), 'text/css; charset=utf-8')
  assert.is(typeOf('/edge.min.js'), 'text/javascript; charset=utf-8')
  assert.is(pages('/edge.min.js')?.headers.get('access-control-allow-origin'), '*')
  assert.is(typeOf('/sizes.json'), undefined)
  const none = (await makePages(new Map(), about))('/')
  assert.is(none?.status, 404)
  assert.match(String(await none?.text()), /npm run build/)
})

test('serves the client in two parts too, of which the second is fetched once for good', async () => {
  const bytes = new TextEncoder().encode('x')
  const files = ['edge.js', 'edge-rest-0123456789ab.js', 'edge-rest-x.js', 'edge-other.js']
  const about = { name: 'signal-mesh', version: '1.2.3' }
  const pages = await makePages(new Map(files.map((file) => [file, bytes])), about)
  const headersOf = (path: string) =>
    ['content-type', 'access-control-allow-origin', 'cache-control'].map((name) =>
      pages(path)?.headers.get(name),
    )
  const script = ['text/javascript; charset=utf-8', '*']
  assert.equal(headersOf('/edge.js'), [...script, 'no-cache'])
  const forGood = 'public, max-age=31536000, immutable'
  assert.equal(headersOf('/edge-rest-0123456789ab.js'), [...script, forGood])
  assert.equal([pages('/edge-rest-x.js'), pages('/edge-other.js')], [undefined, undefined])
})

test('packs what is text for those who take it packed, and tells caches so', async () => {
  const text = new TextEncoder().encode('signal mesh '.repeat(100))
  const files = ['edge.js', 'source.tgz'].map((file) => [file, text] as const)
  const pages = await makePages(new Map(files), { name: 'signal-mesh', version: '1.2.3' })
  const get = async (path: string, accepted?: string, known = '') => {
    const headers = { 'if-none-match': known, ...(accepted && { 'accept-encoding': accepted }) }
    const answer = await finished(new Request(`http://a${path}`, { headers }), pages(path)!)
    const body = new Uint8Array(await answer.arrayBuffer())
    return { status: answer.status, headers: answer.headers, body }
  }
  for (const accepted of ['gzip', 'br, gzip;q=0.5', 'deflate,gzip']) {
    const { headers, body } = await get('/edge.js', accepted)
    assert.equal(
      [headers.get('content-encoding'), headers.get('vary')],
      ['gzip', 'accept-encoding'],
    )
    assert.equal(new Uint8Array(gunzipSync(body)), text)
    assert.is(headers.get('access-control-allow-origin'), '*')
  }
  for (const accepted of [undefined, 'identity', 'gzip;q=0', 'br', 'x-gzip']) {
    const { headers, body } = await get('/edge.js', accepted)
    assert.equal([headers.get('content-encoding'), headers.get('vary')], [null, 'accept-encoding'])
    assert.equal(body, text)
  }
  assert.equal((await get('/source.tgz', 'gzip')).body, text)
  const { headers } = await get('/edge.js', 'gzip')
  assert.is((await get('/edge.js', 'gzip', String(headers.get('etag')))).status, 304)
})

test('serves over TLS', async () => {
  const folder = temporary()
  const flags = ['--tls-cert', join(folder, 'c.pem'), '--tls-key', join(folder, 'k.pem')]
  writeFileSync(join(folder, 'c.pem'), cert)
  writeFileSync(join(folder, 'k.pem'), key)
  const url = await urlOf(start(['--port', '0', ...flags]))
  assert.match(url, /^https:/)
  const ws = new WebSocket(`${url.replace('http', 'ws')}/edge`, { rejectUnauthorized: false })
  await once(ws, 'open')
  ws.terminate()
})

test('prints help and version', async () => {
  const help = start(['--help'])
  assert.is(await help.ended, 0)
  assert.match(help.out, /^ {2}--public-url URL/m)
  const version = start(['--version'])
  assert.is(await version.ended, 0)
  assert.match(version.out, /^signal-mesh \d+\.\d+\.\d+\n$/)
})

// --- the identity ---

test('keeps its identity in the data folder, for its owner alone', async () => {
  const data = join(temporary(), 'data')
  const first = start(['--port', '0', '--data', data])
  const { nodeId } = await healthOf(await urlOf(first))
  assert.match(first.out, `  Identity  kept in ${data}\n`)
  first.process.kill('SIGTERM')
  assert.is(await first.ended, 0)
  assert.is(statSync(data).mode & 0o777, 0o700)
  for (const file of readdirSync(data)) assert.is(statSync(join(data, file)).mode & 0o777, 0o600)
  const second = start(['--port', '0', '--data', data])
  assert.is((await healthOf(await urlOf(second))).nodeId, nodeId)
})

test('without a data folder each start is another node', async () => {
  const nodes = [start(['--port', '0']), start(['--port', '0'])]
  const [a, b] = await Promise.all(nodes.map(async (node) => healthOf(await urlOf(node))))
  assert.is.not(a?.nodeId, b?.nodeId)
})

// --- what keeps it from starting ---

test('ends with 2 and one line for a wrong flag or value', async () => {
  await Promise.all([
    endsWith(['--prot', '1'], 2, /Unknown flag --prot; did you mean --port\?.* \(BAD_CONFIG\)$/),
    endsWith(['--port', 'x'], 2, /Flag --port takes a whole number from 0 to 65535, not "x"/),
    endsWith(['--tls-cert', '/no', '--tls-key', '/no'], 2, /Cannot read \/no: no such file/),
    endsWith([], 2, /Variable SIGNAL_MESH_PORT takes/, { SIGNAL_MESH_PORT: '-1' }),
  ])
})

test('ends with 1 and says what to do when its port is in use', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const sentence = new RegExp(
    `Cannot listen on 127.0.0.1:${port}, it is in use: .*--port.*PORT_IN_USE`,
  )
  await endsWith(['--port', String(port)], 1, sentence)
  server.close()
})

test('ends with 1 when the data folder is unusable, and leaves it alone', async () => {
  const file = join(temporary(), 'file')
  writeFileSync(file, 'mine')
  await endsWith(['--port', '0', '--data', file], 1, /it is not a folder \(DATA_UNREADABLE\)$/)
  assert.is(readFileSync(file, 'utf8'), 'mine')
})

test('ends with 1 when the kept identity is damaged or open to others, and leaves it alone', async () => {
  const data = temporary()
  const identity = join(data, 'identity')
  writeFileSync(identity, 'damaged', { mode: 0o600 })
  await endsWith(['--port', '0', '--data', data], 1, /\(IDENTITY_CORRUPT\)$/)
  chmodSync(identity, 0o644)
  await endsWith(['--port', '0', '--data', data], 1, /chmod 600 .*\(DATA_UNREADABLE\)$/)
  assert.is(readFileSync(identity, 'utf8'), 'damaged')
  assert.equal(readdirSync(data), ['identity'])
})

// --- how it stops ---

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`stops at ${signal} with 0 within two seconds, though a socket does not answer`, async () => {
    const node = start(['--port', '0'])
    const ws = new WebSocket(`${(await urlOf(node)).replace('http', 'ws')}/edge`)
    ws.on('error', () => {})
    await once(ws, 'open')
    ws.pause()
    const startMs = performance.now()
    node.process.kill(signal)
    assert.is(await node.ended, 0)
    assert.ok(performance.now() - startMs < 2_000)
    ws.terminate()
  })
}

test('told to stop, it lets its edges move to another node before it goes', async () => {
  const first = start(['--port', '0'])
  const url = await urlOf(first)
  const second = start(['--port', '0', '--peer', url, '--allow-private'])
  const otherUrl = await urlOf(second)
  const edge = await joinMesh({ urls: [url, otherUrl] })
  while ((await healthOf(otherUrl)).mesh.homes < 2 || (await healthOf(url)).mesh.homes < 2) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  first.process.kill('SIGTERM')
  assert.is(await first.ended, 0)
  assert.match(first.err, /Edges moved moved=1 left=0/)
  assert.is((await healthOf(otherUrl)).edges, 1)
  await edge.close()
})

test('stops at once at a second signal', async () => {
  const node = start(['--port', '0'])
  const ws = new WebSocket(`${(await urlOf(node)).replace('http', 'ws')}/edge`)
  ws.on('error', () => {})
  await once(ws, 'open')
  ws.pause()
  node.process.kill('SIGINT')
  await node.until(/Stopping cause=SIGINT/)
  node.process.kill('SIGTERM')
  assert.is(await node.ended, 143)
  ws.terminate()
})

test('takes one Ctrl-C that arrives twice, as it does under npm, for one', async () => {
  const node = start(['--port', '0'])
  await urlOf(node)
  node.process.kill('SIGINT')
  node.process.kill('SIGINT')
  assert.is(await node.ended, 0)
})

test('started by npm, ends when the shell between them is killed', async () => {
  const program = `"${process.execPath}" mod.ts --port 0; true`
  const shell = spawn('sh', ['-c', program], { env: { npm_lifecycle_event: 'start' } })
  let out = ''
  for await (const chunk of shell.stdout) {
    out += chunk
    if (out.includes('Ctrl-C')) break
  }
  shell.kill('SIGTERM')
  await untilRefused(String(out.match(/URL +(\S+)/)?.[1]))
})

test('ends with a goodbye when the program that started it was killed', async () => {
  const parent = startProgram('test/support/parent.ts')
  const [, url = ''] = await parent.until(/(http\S+)\n/)
  const ws = new WebSocket(`${url.replace('http', 'ws')}/edge`)
  await once(ws, 'open')
  parent.process.kill('SIGKILL')
  assert.is((await once(ws, 'close'))[0], 1001)
  await untilRefused(url)
})

// --- a private mesh ---

test('says what is wrong with a members file, with its line, and starts no node', async () => {
  const file = join(temporary(), 'members.txt')
  writeFileSync(file, `# ours\n${'a1'.repeat(32)}\nsomebody\n`)
  await Promise.all([
    endsWith(
      ['--members', file],
      2,
      /members\.txt of --members, line 3: "somebody" is no NodeId; .*\(BAD_CONFIG\)$/,
    ),
    endsWith(['--members', `${file}.no`], 2, /Cannot read \S+members\.txt\.no: .*\(BAD_CONFIG\)$/),
    endsWith(['--members-only'], 2, /give it by --members FILE \(BAD_CONFIG\)$/),
  ])
})

test('a private mesh links with listed nodes alone, and does not hear of others from them', async () => {
  const bootstrap = startProgram('runtimes/bootstrap.ts', ['--json'])
  await bootstrap.until(/\n/)
  const { address } = JSON.parse(bootstrap.out)
  const flags = ['--port', '0', '--bootstrap', address]
  const [friend, stranger] = [start(flags), start(flags)]
  const [friendUrl, strangerUrl] = await Promise.all([urlOf(friend), urlOf(stranger)])
  const file = join(temporary(), 'members.txt')
  writeFileSync(file, `${(await healthOf(friendUrl)).nodeId}\n`)
  const member = start([...flags, '--members', file, '--members-only'])
  const memberUrl = await urlOf(member)
  const strangerId = (await healthOf(strangerUrl)).nodeId
  await member.until(new RegExp(`Refused a link .*${strangerId}`))
  const until = async (url: string, neighbours: number, homes: number): Promise<void> => {
    for (;;) {
      const { neighbours: links, mesh } = await healthOf(url)
      if (links === neighbours && mesh.homes === homes) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await Promise.all([until(friendUrl, 2, 3), until(memberUrl, 1, 2), until(strangerUrl, 1, 3)])
})

// --- the testnet ---

test('a testnet prints one line once all are linked, and ends with Ctrl-C', async () => {
  const testnet = startProgram('runtimes/testnet.ts', ['3', '--json'])
  await testnet.until(/\n/)
  const { urls } = JSON.parse(testnet.out) as { urls: string[] }
  const healths = await Promise.all(urls.map(healthOf))
  assert.equal(
    healths.map(({ neighbours }) => neighbours),
    [2, 2, 2],
  )
  testnet.process.kill('SIGINT')
  assert.is(await testnet.ended, 0)
  assert.is(testnet.out.trim().split('\n').length, 1)
  for (const url of urls) assert.ok(await isRefused(url))
})

test('a testnet that is killed takes its nodes with it', async () => {
  const testnet = startProgram('runtimes/testnet.ts', ['2', '--json'])
  await testnet.until(/\n/)
  const { urls } = JSON.parse(testnet.out) as { urls: string[] }
  testnet.process.kill('SIGKILL')
  await Promise.all(urls.map(untilRefused))
})

test('a testnet says what is wrong with its arguments', async () => {
  const mistakes = [['0'], ['three'], ['2', '3'], ['--jsn']]
  const testnets = mistakes.map((args) => startProgram('runtimes/testnet.ts', args))
  for (const testnet of testnets) {
    assert.is(await testnet.ended, 2)
    assert.match(testnet.err, /^testnet: .*\(BAD_CONFIG\)\n$/)
  }
})

test('a testnet whose ports are taken says so and leaves nothing running', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const testnet = startProgram('runtimes/testnet.ts', ['2', '--port', String(port - 1)])
  assert.is(await testnet.ended, 1)
  assert.match(testnet.err, /it is in use/)
  assert.ok(await isRefused(`http://127.0.0.1:${port - 1}`))
  server.close()
})

test.run()

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  return startProgram('mod.ts', args, env)
}

async function urlOf(node: Program): Promise<string> {
  const [, url] = await node.until(/URL +(\S+)[\s\S]*Ctrl-C/)
  return String(url)
}

interface Health {
  readonly status: string
  readonly nodeId: string
  readonly network: string
  readonly protocolVersion: number
  readonly runtime: string
  readonly neighbours: number
  readonly edges: number
  readonly uptimeSeconds: number
  readonly mesh: { readonly homes: number }
}

async function healthOf(url: string): Promise<Health> {
  return (await (await fetch(`${url}/health`)).json()) as Health
}

function temporary(): string {
  return mkdtempSync(join(tmpdir(), 'mesh-'))
}

async function endsWith(
  args: readonly string[],
  code: number,
  line: RegExp,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const node = start(args, env)
  assert.is(await node.ended, code)
  assert.is(node.out, '')
  assert.match(node.err, /^signal-mesh: [^\n]*\n$/)
  assert.match(node.err.trimEnd(), line)
}

async function isRefused(url: string): Promise<boolean> {
  return fetch(`${url}/health`).then(
    () => false,
    () => true,
  )
}

/** Waits until nothing listens there; a process that has ended may stay listed for longer. */
async function untilRefused(url: string): Promise<void> {
  const endMs = performance.now() + 3_000
  while (!(await isRefused(url))) assert.ok(performance.now() < endMs, 'The node is still there')
}
