/** STUN in every node and TURN beside it: coturn's own clients, and what browsers are given and make of it. */

import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { turnFrom } from '../runtimes/turn.ts'
import { manualClock, systemClock } from '../src/clock.ts'
import { decodeHello } from '../src/messages.ts'
import { createTurn } from '../src/turn.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { type Coturn, ensureCoturn, NO_COTURN, runClient, startCoturn } from './support/coturn.ts'
import { poll } from './support/poll.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'
import { prepareStages } from './support/stage.ts'
import { blankOf, openPage, visit } from './support/visitors.ts'

const test = suite('stun', { timeoutMs: 60_000 })
const openStage = prepareStages(test)
const nodes: RuntimeNode[] = []
let coturn: Coturn | undefined
let browser: Browser | undefined

/** Neighbours are tried a second after they have come, long before the first heartbeat. */
const PROBED_WITHIN_MS = 8_000
const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-stun-'))
const SECRET = 'a secret that the node and coturn share'
/** Browsers gather no candidates of loopback. */
const lan = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
const NO_LAN = 'this machine has no address but loopback'
const hasCoturn = ensureCoturn()

test.before(async () => {
  browser = await launchBrowser()
})
test.after(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})
test.afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close()
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
  await coturn?.stop()
  coturn = undefined
})

async function start(
  runtime: RuntimeNode['runtime'],
  args: readonly string[],
): Promise<RuntimeNode> {
  const node = await startOn(runtime, args)
  nodes.push(node)
  return node
}

if (!hasCoturn) test.skip('coturn’s own client is told its address by each runtime', NO_COTURN)
else {
  test('coturn’s own client is told its address by each runtime, by IPv4 and IPv6', async () => {
    const ask = async (runtime: RuntimeNode['runtime']): Promise<void> => {
      const port = String(await freePort())
      await start(runtime, ['--stun-port', port, '--stun-public', `127.0.0.1:${port}`])
      const [ipv4, ipv6] = await Promise.all(
        ['127.0.0.1', '::1'].map((at) => runClient('turnutils_stunclient', ['-p', port, at])),
      )
      assert.match(ipv4 ?? '', /reflexive addr: 127\.0\.0\.1:\d+/, runtime)
      assert.match(ipv6 ?? '', /reflexive addr: (::1|\[::1\]):\d+/, runtime)
    }
    await Promise.all((['node', 'deno', 'bun'] as const).map(ask))
  })
}

test('a page is given the STUN of its home and of the others, and no other server', async () => {
  const stage = await openStage(3)
  await poll('all three are named', PROBED_WITHIN_MS, async () => {
    const counts = await Promise.all(stage.urls.map(async (url) => (await named(url)).length))
    // Who asks too often is told less.
    await new Promise((resolve) => setTimeout(resolve, 500))
    return counts.every((count) => count === 3)
  })
  const own = await named(stage.urls[0] as string)
  const [a, b] = await Promise.all([stage.visit(0, 'room'), stage.visit(1, 'room')])
  await a.finds(b.id, stage.nodeId(1))
  assert.is(await a.connects(b.id), undefined)
  await b.isConnected(a.id)
  for (const { page } of [a, b]) {
    const configs = await page.evaluate(() => rtcConfigs)
    const given = configs.map(({ used }) =>
      (used.iceServers ?? []).flatMap(({ urls }) => urls).sort(),
    )
    const all = [...own].sort()
    // One is made only to have the browser load what all share.
    assert.ok(
      given.some((urls) => urls.join() === all.join()),
      `${given.join(' / ')}`,
    )
    assert.ok(given.every((urls) => urls.every((url) => own.includes(url))))
    assert.not(/google|twilio/i.test(JSON.stringify(configs)))
  }
})

test('a call along with joining has the STUN of its home before its first description', async () => {
  const node = await start('node', [])
  const b = await visit(browser as Browser, node.url, { network: 'main', topic: 'room' })
  const page = await openPage(browser as Browser, [])
  await page.goto(blankOf(node.url))
  const steps = await page.evaluate(callAlong, b.id)
  note(`a call along with joining: ${steps.join(', ')}`)
  const described = steps.indexOf('described')
  assert.ok(described > 0, `${steps}`)
  assert.match(steps[described - 1] as string, /^set [1-9]/)
  await b.isConnected(await page.evaluate(() => (globalThis as unknown as { ownId: string }).ownId))
})

if (!lan) test.skip('Chromium gathers a server-reflexive candidate by the STUN of a node', NO_LAN)
else {
  test('Chromium gathers a server-reflexive candidate by the STUN of a node', async () => {
    const port = await freePort()
    const at = `${lan}:${port}`
    const node = await start('node', ['--stun-port', String(port), '--stun-public', at])
    assert.equal(await named(node.url), [`stun:${at}`])
    const { types } = await gather(node.url, [{ urls: `stun:${at}` }], 'all')
    assert.ok(types.includes('srflx'), `${types}`)
  })
}

if (!lan || !hasCoturn)
  test.skip('coturn lets in edges by what the node minted', lan ? NO_COTURN : NO_LAN)
else {
  test('coturn lets in edges by what the node minted, and nobody by what is wrong or over', async () => {
    const port = await freePort()
    coturn = await startCoturn(lan, port, SECRET)
    const url = `turn:${lan}:${port}?transport=udp`
    const node = await start('node', [...secretFile(SECRET), '--turn-url', url])
    const page = await visit(browser as Browser, node.url, { network: 'main', topic: 'room' })
    const other = await visit(browser as Browser, node.url, { network: 'main', topic: 'room' })
    await page.finds(other.id, node.nodeId)
    assert.is(await page.connects(other.id), undefined)
    const configs = await page.page.evaluate(() => rtcConfigs)
    const server = configs.at(-1)?.used.iceServers?.find(({ username }) => username)
    assert.match(server?.username ?? '', /^\d{10}:[0-9a-f]{16}$/)
    assert.not((server?.username ?? '').includes(page.id.slice(0, 16)))

    const [good, wrong, over] = await Promise.all([
      gather(node.url, [server as RTCIceServer], 'relay'),
      gather(node.url, [{ ...(server as RTCIceServer), credential: 'x' }], 'relay'),
      gather(node.url, [await minted(SECRET, url, -601)], 'relay'),
    ])
    assert.equal([...new Set(good.types)], ['relay'])
    assert.equal([wrong.types, wrong.codes.includes(401)], [[], true])
    assert.equal([over.types, over.codes.includes(401)], [[], true])
  })

  test('an edge is given TURN by UDP, TCP and TLS, and coturn takes it by each', async () => {
    const [port, tlsPort] = [await freePort(), await freePort()]
    const tls = { port: tlsPort, ...selfSigned() }
    coturn = await startCoturn(lan, port, SECRET, tls)
    const urls = [
      `turn:${lan}:${port}?transport=udp`,
      `turn:${lan}:${port}?transport=tcp`,
      `turns:${lan}:${tlsPort}?transport=tcp`,
    ]
    const flags = urls.flatMap((url) => ['--turn-url', url])
    const node = await start('node', [...secretFile(SECRET), ...flags])
    const page = await visit(browser as Browser, node.url, { network: 'main', topic: 'room' })
    const other = await visit(browser as Browser, node.url, { network: 'main', topic: 'room' })
    await page.finds(other.id, node.nodeId)
    assert.is(await page.connects(other.id), undefined)
    const configs = await page.page.evaluate(() => rtcConfigs)
    const given = configs.at(-1)?.used.iceServers?.filter(({ username }) => username) ?? []
    assert.equal(
      given.flatMap(({ urls }) => urls),
      urls,
    )
    for (const server of given.slice(0, 2)) {
      assert.equal([...new Set((await gather(node.url, [server], 'relay')).types)], ['relay'])
    }
    // No browser takes the certificate of a test.
    const { username, credential } = given[2] as RTCIceServer
    const who = ['-u', String(username), '-w', String(credential), '-p', String(tlsPort)]
    const said = await runClient('turnutils_uclient', [
      ...['-v', '-t', '-S', '-n', '1', '-m', '1', '-c'],
      ...who,
      ...['-e', '198.51.100.9', lan],
    ])
    assert.match(said, /allocate response received[\s\S]*success/)
  })

  test('coturn as the README has it relays into no private, carrier or local network', async () => {
    const port = await freePort()
    coturn = await startCoturn(lan, port, SECRET)
    const reach = async (peer: string): Promise<string> => {
      // Of its own, for coturn counts what one name has open.
      const { username, credential } = await minted(SECRET, `turn:${lan}:${port}`, 0)
      const who = ['-u', String(username), '-w', String(credential), '-p', String(port)]
      return runClient('turnutils_uclient', [
        '-v',
        '-n',
        '1',
        '-m',
        '1',
        '-c',
        ...who,
        '-e',
        peer,
        lan,
      ])
    }
    const near = ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '100.64.0.1']
    const denied = async (peer: string): Promise<void> =>
      assert.match(await reach(peer), /403 \(Forbidden IP\)/, peer)
    const [allowed] = await Promise.all([
      reach('198.51.100.9'),
      ...[...near, '169.254.169.254'].map(denied),
    ])
    assert.match(allowed ?? '', /channel bind sent[\s\S]*success/)
    assert.not(/403/.test(allowed ?? ''))
  })
}

/** The STUN URLs that a node names to whoever comes. */
async function named(url: string): Promise<string[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/edge`)
  socket.binaryType = 'arraybuffer'
  const frame = await new Promise<Uint8Array>((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(new Uint8Array(data))
    socket.onerror = () => reject(new Error(`${url} cannot be reached`))
  })
  socket.close()
  return (decodeHello(frame).ice?.servers ?? []).map((server) => server.url)
}

function secretFile(secret: string): string[] {
  const file = join(folder, 'turn.secret')
  writeFileSync(file, secret, { mode: 0o600 })
  return ['--turn-secret-file', file]
}

/** Credentials of the node's making, made so many seconds from now. */
async function minted(secret: string, url: string, inSeconds: number): Promise<RTCIceServer> {
  const host = { readText: async () => secret }
  const options = await turnFrom({ turnUrl: [url], turnSecretFile: 'f' }, host)
  assert.ok(options)
  const clock = manualClock(systemClock.nowMs() + 1000 * inSeconds)
  const [server] = createTurn(options, clock)('203.0.113.1').servers
  return { urls: url, username: server?.username ?? '', credential: server?.credential ?? '' }
}

/** The candidates that a page gathers with these servers, and the codes of what failed. */
async function gather(
  url: string,
  iceServers: RTCIceServer[],
  iceTransportPolicy: RTCIceTransportPolicy,
): Promise<{ types: string[]; codes: number[] }> {
  const page = await openPage(browser as Browser, [])
  await page.goto(blankOf(url))
  return page.evaluate(
    async (config) => {
      const rtc = new RTCPeerConnection(config)
      const types: string[] = []
      const codes: number[] = []
      rtc.onicecandidate = ({ candidate }) => candidate?.type && types.push(candidate.type)
      rtc.onicecandidateerror = ({ errorCode }) => codes.push(errorCode)
      rtc.createDataChannel('')
      await rtc.setLocalDescription()
      const done = new Promise<void>((resolve) => {
        rtc.onicegatheringstatechange = () => rtc.iceGatheringState === 'complete' && resolve()
      })
      await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 3_000))])
      rtc.close()
      return { types, codes }
    },
    { iceServers, iceTransportPolicy },
  )
}

/** In a page: joins with a call, and notes what its RTC connection is told, in order. */
async function callAlong(peer: string): Promise<string[]> {
  const steps: string[] = []
  const Real = RTCPeerConnection
  globalThis.RTCPeerConnection = class extends Real {
    override setConfiguration(config?: RTCConfiguration): void {
      steps.push(`set ${config?.iceServers?.length}`)
      super.setConfiguration(config)
    }

    override async setLocalDescription(
      description?: RTCLocalSessionDescriptionInit,
    ): Promise<void> {
      steps.push('described')
      return super.setLocalDescription(description)
    }
  }
  const { joinMesh } = await import('/edge.min.js' as string)
  const call = { id: peer, topic: 'room' }
  const edge = await joinMesh({ topics: ['room'], connect: call })
  await edge.connect(peer, { topic: 'room' })
  Object.assign(globalThis, { ownId: edge.id, edge })
  return steps
}

/** A certificate and its key for coturn, in files. */
function selfSigned(): { cert: string; key: string } {
  const [cert, key] = [join(folder, 'turn.pem'), join(folder, 'turn.key')] as const
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=turn']
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { cert, key }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '0.0.0.0', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

test.run()
