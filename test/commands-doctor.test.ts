/** The doctor: what it finds of a network that is well, of one that is not, and what it says to do. */

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../runtimes/config.ts'
import { checkStun, checkUdp } from '../runtimes/doctorchecks.ts'
import { checkClock } from '../runtimes/doctorothers.ts'
import { checkCertificates } from '../runtimes/doctortls.ts'
import { mappedAddress } from '../runtimes/doctorudp.ts'
import type { Asked, Views } from '../runtimes/doctorviews.ts'
import { startNode } from '../runtimes/start.ts'
import { silentLog } from '../src/log.ts'
import type { NodeView } from '../src/management.ts'
import { answerStun, stunRequest } from '../src/stun.ts'
import { cert, key } from './fixtures/tls.ts'
import { assert, suite } from './harness/suite.ts'
import { hostOf, ownRuntime, runCommand } from './support/command.ts'

const test = suite('doctor', { timeoutMs: 20_000 })
const runtime = await ownRuntime()
const NOBODY: Views = { own: { url: 'http://a' }, others: [] }
const closes: (() => Promise<void>)[] = []

test.afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

test('of two linked nodes it finds that each is well, STUN as the other sees it too', async () => {
  const other = await started([])
  const own = await started(['--peer', other.url])
  const argv = ['doctor', '--port', own.port, '--peer', other.url, '--json']
  let found = await findings(argv)
  // A neighbour tries STUN a second after the link.
  while (found.stun?.state !== 'ok') {
    await new Promise((resolve) => setTimeout(resolve, 100))
    found = await findings(argv)
  }
  assert.equal(
    ['node', 'peer', 'udp', 'clock'].map((check) => found[check]?.state),
    ['ok', 'ok', 'ok', 'ok'],
  )
  assert.match(found.udp?.says ?? '', /see this machine at 127\.0\.0\.1:\d+$/)
  assert.is((await runCommand(runtime, argv)).code, 0)
})

test('what is silent is wrong, ends with 3, and comes with what to do', async () => {
  const argv = [
    'doctor',
    '--port',
    '1',
    '--bootstrap',
    '127.0.0.1:1',
    '--peer',
    'ws://127.0.0.1:9',
    '--relay',
    'ws://127.0.0.1:9',
  ]
  const { code, out, err } = await runCommand(runtime, argv)
  assert.is(code, 3)
  for (const check of ['peer', 'dht', 'udp', 'relay']) {
    assert.match(out, new RegExp(`^WRONG  ${check} [^\\n]*\\n +To do: \\S`, 'm'))
  }
  assert.match(err, /^Asking over UDP …$/m)
})

test('with nobody to ask nothing is wrong, and each line says how to have more looked at', async () => {
  const { code, out } = await runCommand(runtime, ['doctor', '--port', '1', '--json'])
  assert.is(code, 0)
  const { findings: all } = JSON.parse(out) as { findings: { state: string; todo?: string }[] }
  assert.ok(all.every(({ state, todo }) => state === 'skipped' && todo !== undefined))
})

test('a DHT node that answers a ping of dht-rpc is reachable, and tells how it sees this machine', async () => {
  // What dht-rpc 6 answers: its kind, no flags, the request's number, and the asker's address.
  const dht = await runtime.openUdp?.({
    host: '127.0.0.1',
    port: 0,
    onDatagram: (datagram, { port }) => {
      const [kind, flags, ...id] = datagram.subarray(0, 4)
      if (kind !== 3 || flags !== 4 || datagram.length !== 11) return
      const reply = Uint8Array.from([0x13, 0, ...id, 192, 0, 2, 7, port & 0xff, port >>> 8])
      dht?.send(reply, { address: '127.0.0.1', port })
    },
  })
  closes.push(async () => dht?.close())
  const config = parseConfig(['--bootstrap', `127.0.0.1:${dht?.port}`], {})
  const [found, udp] = await checkUdp(config, runtime, NOBODY)
  assert.equal([found?.check, found?.state], ['dht', 'ok'])
  assert.match(udp?.says ?? '', /at 192\.0\.2\.7:\d+$/)
})

if (runtime.name === 'node') {
  test('a real DHT node is found to be reachable', async () => {
    const { openBootstrap } = await import('../runtimes/dht.ts')
    const dht = await openBootstrap({ host: '127.0.0.1', port: 0 })
    closes.push(() => dht.destroy())
    const config = parseConfig(['--bootstrap', `127.0.0.1:${dht.address().port}`], {})
    assert.is((await checkUdp(config, runtime, NOBODY))[0]?.state, 'ok')
  })
}

test('its STUN is well if another node had an answer, and wrong if all that tried had none', () => {
  const at = (answers: readonly (boolean | undefined)[]) =>
    checkStun({
      own: asked(node({ isSelf: true, stunAt: 'a.example:3478' })),
      others: answers.map((stunAnswers) =>
        asked(node(stunAnswers === undefined ? {} : { stunAnswers })),
      ),
    })
  assert.is(at([false, true]).state, 'ok')
  assert.is(at([false, undefined]).state, 'wrong')
  assert.match(at([false]).todo ?? '', /--stun-public/)
  assert.is(at([undefined]).state, 'skipped')
})

test('a clock that is off from the middle of the others is wrong', () => {
  const at = (...aheadMs: number[]) =>
    checkClock({ ...NOBODY, others: aheadMs.map((ms) => ({ url: 'http://a', aheadMs: ms })) })
  assert.is(at(100, -200, 3_600_000).state, 'ok')
  assert.match(at(60_000, 61_000, 0).says, /60 s behind/)
  assert.match(at(-60_000).says, /60 s ahead of/)
})

test('a certificate is looked at for its key, its time and its names', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-'))
  const [certFile, keyFile] = [join(folder, 'c.pem'), join(folder, 'k.pem')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  const files = ['--tls-cert', certFile, '--tls-key', keyFile]
  const look = async (argv: readonly string[], nowMs: number) =>
    (await checkCertificates(parseConfig(argv, {}), hostOf([]), NOBODY, nowMs))[0]
  const endMs = Date.parse('2126-10-29T15:30:27Z')
  const day = 86_400_000
  assert.is((await look(files, endMs - 20 * day))?.state, 'ok')
  assert.match((await look(files, endMs - 5 * day))?.says ?? '', /, 5 days$/)
  assert.match((await look(files, endMs + day))?.says ?? '', /was good until/)
  assert.match((await look(files, 0))?.says ?? '', /is good from/)
  const named = await look([...files, '--public-url', 'https://other.invalid'], endMs - 20 * day)
  assert.match(named?.says ?? '', /does not name other\.invalid$/)
  writeFileSync(keyFile, 'nonsense')
  assert.match((await look(files, 0))?.says ?? '', /Cannot use the TLS certificate and key/)
})

test('reads the address in an answer of STUN, and nothing from one that makes no sense', () => {
  const id = new Uint8Array(12).fill(7)
  for (const [address, text] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '[2001:db8::1]'],
  ] as const) {
    const answer = answerStun(stunRequest(id), { address, port: 40_000 }) as Uint8Array
    assert.is(mappedAddress(answer), `${text}:40000`)
    for (let bytes = 0; bytes < answer.length; bytes++) {
      assert.is(mappedAddress(answer.subarray(0, bytes)), undefined)
    }
  }
})

test.run()

interface Found {
  readonly check: string
  readonly state: string
  readonly says: string
}

async function findings(argv: readonly string[]): Promise<Record<string, Found | undefined>> {
  const { out } = await runCommand(runtime, argv)
  const { findings: all } = JSON.parse(out) as { findings: Found[] }
  return Object.fromEntries(all.map((one) => [one.check, one]))
}

async function started(argv: readonly string[]): Promise<{ url: string; port: string }> {
  const config = parseConfig(['--port', '0', '--allow-private', ...argv], {})
  const running = await startNode(config, runtime, hostOf([]), silentLog)
  closes.push(() => running.close())
  return { url: running.urls[0] as string, port: String(running.port) }
}

function node(more: Partial<NodeView>): NodeView {
  return { id: 'ab', urls: [], isSelf: false, ...more } as NodeView
}

function asked(...nodes: NodeView[]): Asked {
  return { url: 'http://a', view: { nodes } as unknown as NonNullable<Asked['view']> }
}
