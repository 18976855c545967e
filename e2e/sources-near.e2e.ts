/** Nodes that find the mesh by a domain, in the local network, or by their last run; and records, printed and checked. */

import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'
import { killPrograms, startProgram } from '../test/support/program.ts'
import { published, startRegistry } from '../test/support/registry.ts'
import { untilHealth } from './support/health.ts'
import { ensureDnsmasq, NO_DNSMASQ, startNameServer } from './support/nameserver.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'

const test = suite('sources-near', { timeoutMs: 60_000 })
const nodes: RuntimeNode[] = []
const others: { stop(): Promise<unknown> }[] = []
const folders: string[] = []
const WITHIN_MS = 15_000
const RUNTIMES = ['node', 'deno', 'bun'] as const
const dnsmasq = ensureDnsmasq()

test.afterEach(async () => {
  killPrograms()
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
  await Promise.all(others.splice(0).map((other) => other.stop()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function start(
  args: readonly string[] = [],
  runtime: RuntimeNode['runtime'] = 'node',
): Promise<RuntimeNode> {
  const node = await startOn(runtime, args)
  nodes.push(node)
  return node
}

const linked = (count: number) => (all: readonly { neighbours: number }[]) =>
  all.every(({ neighbours }) => neighbours === count)

if (!dnsmasq) test.skip('a domain’s TXT records bring nodes of each runtime together', NO_DNSMASQ)
else {
  test('a domain’s TXT records bring nodes of each runtime together', async () => {
    const a = await start()
    const text = `v=signal-mesh1 url=${a.url} node=${a.nodeId}`
    const rubbish = ['v=spf1 -all', 'v=signal-mesh1 url=ftp://a.example', `${text} url=b`]
    const names = await startNameServer(dnsmasq, {
      '_signal-mesh.mesh.test': [...rubbish, text],
      '_signal-mesh.long.test': [`${text} bootstrap=${'x'.repeat(200)}.example:49737`],
    })
    others.push(names)
    const args = ['--dns-server', names.at, '--dns']
    const more = await Promise.all([
      ...RUNTIMES.map((runtime) => start([...args, 'mesh.test'], runtime)),
      start([...args, 'nowhere.test,long.test']),
    ])
    const urls = [a, ...more].map(({ url }) => url)
    await untilHealth('all know each other', urls, WITHIN_MS, (all) =>
      all.every(({ mesh }) => mesh.homes === 5),
    )
  })

  test('a node’s record is printed, and what is published of it is checked, on each runtime', async () => {
    const a = await start()
    const data = mkdtempSync(join(tmpdir(), 'record-'))
    folders.push(data)
    const own = ['record', '--data', data, '--public-url', a.url, '--allow-private']
    const printed = startProgram('mod.ts', [...own, '--json'])
    assert.is(await printed.ended, 0)
    const [record] = JSON.parse(printed.out).records
    const { laconicd, node, txt } = record
    const registries = await Promise.all(
      (['union', 'struct'] as const).map((dialect) =>
        startRegistry(dialect, [published(laconicd.record)]),
      ),
    )
    others.push(...registries.map(({ close }) => ({ stop: close })))
    const text = /"(.*)"/.exec(txt)?.[1]?.replaceAll('" "', '') ?? ''
    const names = await startNameServer(dnsmasq, { '_signal-mesh.mesh.test': [text] })
    others.push(names)
    const places = [...registries.map(({ url }) => url), 'mesh.test']
    const checks = places.map((place) =>
      startProgram('mod.ts', [...own, '--check', place, '--dns-server', names.at]),
    )
    assert.equal(await Promise.all(checks.map(({ ended }) => ended)), [3, 3, 3])
    for (const { out } of checks) {
      // All of it is right but for who is at that URL: the node there has another key.
      assert.match(out, new RegExp(`^ok  url: ${a.url}$`, 'm'))
      assert.match(out, /^wrong {2}.*\/health is not this node$/m)
      assert.is(out.match(/^wrong/gm)?.length, 1, out)
    }
    // Now that key has the node there.
    const { port } = new URL(a.url)
    await a.kill()
    const there = startProgram('mod.ts', ['--port', port, '--data', data, '--log-format', 'json'])
    await there.until(new RegExp(`"nodeId":"${node}"`))
    const again = places.map((place) =>
      startProgram('mod.ts', [...own, '--check', place, '--dns-server', names.at]),
    )
    assert.equal(await Promise.all(again.map(({ ended }) => ended)), [0, 0, 0])
    const absent = startProgram('mod.ts', [
      ...own,
      '--network',
      'other',
      '--check',
      places[0] ?? '',
    ])
    assert.is(await absent.ended, 3)
    await registries[0]?.close()
    const silent = startProgram('mod.ts', [...own, '--check', places[0] ?? ''])
    assert.is(await silent.ended, 1)
    assert.match(silent.err, /HOME_UNREACHABLE/)
  })
}

test('nodes of each runtime find each other in the local network, and those of another mesh do not', async () => {
  const args = ['--lan', '--host', '0.0.0.0', '--network']
  const network = `lan ${process.pid}`
  const [other, ...ours] = await Promise.all([
    start([...args, `${network} other`]),
    ...RUNTIMES.map((runtime) => start([...args, network], runtime)),
  ])
  await untilHealth(
    'all three link',
    ours.map(({ url }) => url),
    WITHIN_MS,
    linked(2),
  )
  await untilHealth('the other is alone', [other.url], 0, linked(0))
})

test('a node finds its neighbours of the last run, though nothing names them any more', async () => {
  const [a, b] = await Promise.all([start(), start()])
  const one = await start(['--peer', b.url])
  await untilHealth('they link', [b.url, one.url], WITHIN_MS, linked(1))
  const restart = async (args: readonly string[]): Promise<void> => {
    const ended = new Promise((resolve) => one.process.once('exit', resolve))
    if (one.process.exitCode === null && one.process.kill('SIGTERM')) await ended
    for (const node of nodes.splice(2)) await node.kill()
    // The other has no memory of it, or would dial it by itself.
    await b.kill()
    nodes.push(await b.restart(), await one.restart(args))
  }
  await restart(['--peer', a.url])
  await untilHealth('it has both', [one.url], WITHIN_MS, linked(2))
  // Told of no way at all, it asks nobody.
  await restart([])
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await untilHealth('it is alone', [one.url, b.url], 0, linked(0))
})

test('by default nothing is looked up, connected to or sent, and no socket leaves the machine', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'watch-'))
  folders.push(folder)
  const file = join(folder, 'log')
  const preload = `--import=${new URL('../test/support/watch-net.ts', import.meta.url)}`
  const env = { NODE_OPTIONS: preload, WATCH_NET_FILE: file }
  const args = ['--port', '0', '--data', join(folder, 'data'), '--log-format', 'json']
  const node = startProgram('mod.ts', args, env)
  await node.until(/"Started"/)
  await new Promise((resolve) => setTimeout(resolve, 4_000))
  // An address to listen on is looked up as well, which asks nobody.
  const isAsked = (line: string): boolean => !line.includes('[\\"127.0.0.1\\"')
  const lines = readFileSync(file, 'utf8').trim().split('\n').filter(isAsked)
  assert.equal(lines, ['{"what":"watching"}'])
  if (process.platform === 'linux') assert.equal(peersOf(node.process.pid as number), [])
  // The same eyes see what is asked for.
  const asking = ['--registry', 'http://localhost:9/api', '--dns', 'mesh.test']
  const seen = startProgram('mod.ts', [...args, ...asking, '--dns-server', '127.0.0.1:9'], env)
  await seen.until(/gave no list/)
  const said = readFileSync(file, 'utf8')
  for (const it of ['connect', 'lookup', 'resolveTxt']) assert.match(said, `"what":"${it}"`)
})

test.run()

/** The other ends of the sockets that a process has, as the kernel knows them; those of its native code too. */
function peersOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`
  const links = readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(join(folder, fd))
    } catch {
      return ''
    }
  })
  const inodes = links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote = ':0000', , , , , , , inode = '']) => {
        return inodes.includes(inode) && !remote.endsWith(':0000')
      })
      .map(([, , remote]) => `${table} ${remote}`),
  )
}
