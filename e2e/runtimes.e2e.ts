/** Meshes of any runtime: nodes that link over WebSocket alone, and pages that meet through them. */

import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { untilHealth } from './support/health.ts'
import {
  DENO_PERMISSIONS,
  endOn,
  type RuntimeName,
  type RuntimeNode,
  startOn,
} from './support/runtimes.ts'
import { chat, DONE_WITHIN_MS, visit } from './support/visitors.ts'

const test = suite('runtimes', { timeoutMs: 60_000 })
const NETWORK = 'runtimes'
/** Then they open no UDP port at all. */
const NO_UDP = ['--stun-port', '0']
const nodes: RuntimeNode[] = []
let browser: Browser | undefined

test.before(async () => {
  browser = await launchBrowser()
})
test.after(() => browser?.close())
test.afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close()
  const codes = await Promise.all(nodes.splice(0).map((node) => node.stop()))
  assert.ok(
    codes.every((code) => code === 0),
    `each ends with 0 when it is asked to: ${codes}`,
  )
})

for (const mix of [
  ['deno', 'deno', 'deno'],
  ['bun', 'bun', 'bun'],
  ['node', 'deno', 'bun'],
] as const) {
  test(`${mix.join(', ')}: pages connect, and a node that was killed is back`, async () => {
    const [a, b, c] = await startMesh(mix)
    for (const node of [a, b, c]) isAlone(node)
    const page = (node: RuntimeNode) =>
      visit(browser as Browser, node.url, { network: NETWORK, topic: 'room' })
    const [one, two] = await Promise.all([page(b), page(c)])
    await Promise.all([one.finds(two.id, c.nodeId), two.finds(one.id, b.nodeId)])
    assert.is(await one.connects(two.id), undefined)
    await two.isConnected(one.id)
    await chat(one, two)

    // The one that both others were told of.
    await a.kill()
    const startMs = performance.now()
    nodes[0] = await a.restart(['--network', NETWORK])
    assert.is(nodes[0].nodeId, a.nodeId)
    const after = await linked([a, b, c])
    note(
      `${after.map(({ runtime }) => runtime).join(', ')}: back after ${Math.round(performance.now() - startMs)} ms`,
    )
    const third = await page(a)
    await Promise.all([third.finds(two.id, c.nodeId), one.finds(third.id, a.nodeId)])
    assert.is(await third.connects(two.id), undefined)
    await two.isConnected(third.id)
    await chat(third, two)
  })
}

test('what is wrong ends each runtime with the same code and the same words', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const port = String((taken.address() as AddressInfo).port)
  const file = join(mkdtempSync(join(tmpdir(), 'mesh-')), 'file')
  writeFileSync(file, '')
  const faults: readonly (readonly [code: number, word: string, args: readonly string[]])[] = [
    [2, 'BAD_CONFIG', ['--port', 'x']],
    [2, 'BAD_CONFIG', ['--pear', 'ws://a.example']],
    [2, 'BAD_CONFIG', ['--peer', 'no URL']],
    [1, 'PORT_IN_USE', ['--port', port]],
    [1, 'DATA_UNREADABLE', ['--port', '0', '--data', file]],
  ]
  for (const [code, word, args] of faults) {
    const ends = await Promise.all(
      (['node', 'deno', 'bun'] as const).map((runtime) => endOn(runtime, args, file)),
    )
    const said = ends.map(({ err }) => err)
    const codes = ends.map((end) => end.code)
    assert.equal(codes, [code, code, code], said.join(''))
    assert.match(said[0] ?? '', word)
    assert.is(new Set(said).size, 1, said.join(''))
  }
  taken.close()
})

test('the edge client that each runtime builds is the same to the byte', async () => {
  const script = `
    import { bundleEdge } from './build.ts'
    const { code } = await bundleEdge()
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', code))
    console.log([...hash].join('.'), code.length)`
  const hashes = await Promise.all(
    [
      ['node', '--input-type=module-typescript', '-e', script],
      ['deno', 'eval', '--quiet', '--ext=ts', script],
      ['bun', '-e', script],
    ].map(async ([command = '', ...args]) => {
      const root = new URL('..', import.meta.url)
      const { stdout } = await promisify(execFile)(command, args, { cwd: root })
      return stdout.trim()
    }),
  )
  assert.match(hashes[0] ?? '', /\d/)
  assert.equal(new Set(hashes).size, 1, hashes.join('\n'))
})

test('the README names the permissions with which these tests ran', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const missing = DENO_PERMISSIONS.filter((each) => !readme.includes(each))
  assert.equal(missing, [])
})

test.run()

async function startMesh(
  mix: readonly [RuntimeName, RuntimeName, RuntimeName],
): Promise<[RuntimeNode, RuntimeNode, RuntimeNode]> {
  const a = await startOn(mix[0], ['--network', NETWORK, ...NO_UDP])
  nodes.push(a)
  const others = [mix[1], mix[2]].map((runtime) =>
    startOn(runtime, ['--network', NETWORK, ...NO_UDP, '--peer', a.url.replace('http', 'ws')]),
  )
  const [b, c] = (await Promise.all(others)) as [RuntimeNode, RuntimeNode]
  nodes.push(b, c)
  await linked([a, b, c])
  return [a, b, c]
}

function linked(all: readonly RuntimeNode[]) {
  const urls = all.map(({ url }) => url)
  return untilHealth('all are linked with all', urls, DONE_WITHIN_MS, (healths) =>
    healths.every(({ neighbours, mesh }) => neighbours === 2 && mesh.homes === 3),
  )
}

/** Its process is one of the runtime, has started no other and has no UDP socket. */
function isAlone({ runtime, process: { pid } }: RuntimeNode): void {
  if (process.platform !== 'linux') return
  assert.match(basename(readlinkSync(`/proc/${pid}/exe`)), new RegExp(`^${runtime}`))
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  assert.is(children.trim(), '')
  const inodes = ['udp', 'udp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/)[9]),
  )
  const udp = readdirSync(`/proc/${pid}/fd`)
    .map((fd) => socketOf(`/proc/${pid}/fd/${fd}`))
    .filter((inode) => inode !== undefined && inodes.includes(inode))
  assert.equal(udp, [])
}

function socketOf(fd: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(fd))?.[1]
  } catch {
    return undefined
  }
}
