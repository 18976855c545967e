/** A node in one file: it runs where nothing else of the package is, and is home to pages like any other. */

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser } from './browser.ts'
import { healthOf, untilHealth } from './support/health.ts'
import { type RuntimeNode, startBy, startOn } from './support/runtimes.ts'
import { chat, DONE_WITHIN_MS, visit } from './support/visitors.ts'

const ROOT = join(import.meta.dirname, '..')
const NETWORK = 'compiled'
const run = promisify(execFile)

const test = suite('compile', { timeoutMs: 30_000 })
const nodes: RuntimeNode[] = []
let browsers: Browser[] = []
let folder = ''

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compile-'))
  browsers = await Promise.all([launchBrowser(), launchBrowser()])
})
test.after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()))
  const codes = await Promise.all(nodes.map((node) => node.stop()))
  rmSync(folder, { recursive: true, force: true })
  assert.ok(
    codes.every((code) => code === 0),
    `each ends with 0 when it is asked to: ${codes}`,
  )
})

test('one file is a whole node: two pages connect through it and a node of Node', async () => {
  const file = join(folder, 'signal-mesh')
  const { stdout } = await run('bun', ['tools/compile.ts', file], { cwd: ROOT })
  note(stdout.trim().replace(`${folder}/`, ''))
  const other = await startOn('node', ['--network', NETWORK])
  nodes.push(other)
  const peer = ['--network', NETWORK, '--peer', other.url.replace('http', 'ws')]
  const single = await startBy([file], 'bun', peer, join(folder, 'data'), folder)
  nodes.push(single)
  bringsItsOwn(single)

  const knowsBoth = ({ mesh }: { mesh: { homes: number } }): boolean => mesh.homes === 2
  const urls = [single.url, other.url]
  await untilHealth('both are linked', urls, DONE_WITHIN_MS, (all) => all.every(knowsBoth))
  assert.is((await healthOf(other.url)).mesh.runtimes[single.nodeId], 'bun')

  const [one, two] = await Promise.all(
    nodes.map((node, i) =>
      visit(browsers[i] as Browser, node.url, { network: NETWORK, topic: 'room' }),
    ),
  )
  if (!one || !two) throw new Error('There are two')
  await Promise.all([one.finds(two.id, single.nodeId), two.finds(one.id, other.nodeId)])
  assert.is(await one.connects(two.id), undefined)
  await two.isConnected(one.id)
  await chat(one, two)
})

test('it serves the pages, the client and the source that were built, from within itself', async () => {
  const single = nodes[1] as RuntimeNode
  const paths = {
    '/': 'demo/index.html',
    '/edge.min.js': 'edge.min.js',
    '/source.tgz': 'source.tgz',
  }
  for (const [path, built] of Object.entries(paths)) {
    const response = await fetch(new URL(path, single.url))
    assert.is(response.status, 200, path)
    const body = Buffer.from(await response.arrayBuffer())
    assert.ok(body.equals(readFileSync(join(ROOT, 'dist', built))), path)
  }
})

test('it ends like any other where it is told something wrong, and knows its version', async () => {
  const file = join(folder, 'signal-mesh')
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  assert.is((await run(file, ['--version'])).stdout, `signal-mesh ${version}\n`)
  const failure = await run(file, ['--port', 'x']).catch((error) => error)
  assert.is(failure.code, 2)
  assert.match(failure.stderr, 'BAD_CONFIG')
})

test.run()

/** Its native code is there, and nothing that it has open or mapped is in the package's folder. */
function bringsItsOwn({ process: { pid } }: RuntimeNode): void {
  const maps = `/proc/${pid}/maps`
  if (!existsSync(maps)) return
  const files = readFileSync(maps, 'utf8').match(/\/\S+/g) ?? []
  assert.equal(
    files.filter((path) => path.startsWith(`${ROOT}/`)),
    [],
  )
  assert.ok(
    files.some((path) => path.includes('.node')),
    'native code is there',
  )
}
