/** Nodes that find the mesh in the local network or by their last run, and those that were told of nobody. */

import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'
import { startProgram } from '../test/support/program.ts'
import { linked, prepare, WITHIN_MS } from './support/finding.ts'
import { untilHealth } from './support/health.ts'

const test = suite('sources-near', { timeoutMs: 60_000 })
const { nodes, start } = prepare(test)
const RUNTIMES = ['node', 'deno', 'bun'] as const
const folders: string[] = []
test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

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
  // Told of no way at all, it asks nobody; nor is anybody left who has heard of it.
  await a.kill()
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
