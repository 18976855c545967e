/** The unit tests in Chromium: each file that needs nothing of a server's runtime, bundled as it is. */

import { globSync } from 'node:fs'
import { build, type Plugin } from 'esbuild'
import { assert, note, suite } from '../test/harness/suite.ts'
import { FOR_BROWSERS } from '../tools/bundle.ts'
import { nodeStandIns } from '../tools/stand-ins.ts'
import { type Browser, launchBrowser } from './browser.ts'
import type { Result } from './support/page-suite.ts'

const ROOT = `${import.meta.dirname}/..`
/** Pages at once: as many as the machines of our tests have cores. */
const PAGES = 2

const NOT_IN_PAGES: Readonly<Record<string, string>> = {
  'test/api.test.ts': 'reads the types of the package by the compiler',
  'test/bootstraphost.test.ts': 'starts a DHT',
  'test/boundaries.test.ts': 'reads the source, and builds',
  'test/buckets.test.ts': 'signs thousands of records, for minutes in a page; passes by name',
  'test/bundle.test.ts': 'builds, and serves what it has built',
  'test/cli.test.ts': 'starts programs',
  'test/commands-doctor.test.ts': 'asks over UDP, TLS and a DHT',
  'test/commands-mesh.test.ts': 'runs commands of the program',
  'test/commands.test.ts': 'runs commands of the program',
  'test/conformance.test.ts': 'tries the adapters of servers, over their sockets',
  'test/flow.test.ts': 'measures texts by Buffer.byteLength',
  'test/fuzz.test.ts': 'keeps what it finds in files, and reads requests by node:http',
  'test/harness.test.ts': 'tests the runner, which starts processes',
  'test/ice.test.ts': 'reads addresses by node:net, and secrets of TURN by node:crypto',
  'test/limits.test.ts': 'tries the bounds of the adapters too',
  'test/loading.test.ts': 'builds the client in two parts',
  'test/moleculer.test.ts': 'starts brokers of a server',
  'test/mutants.test.ts': 'tests a tool for Node',
  'test/names.test.ts': 'looks names up by node:dns',
  'test/native.test.ts': 'reads files; e2e/bundle.e2e.ts asks the page’s own WebCrypto',
  'test/noise.test.ts': 'reads its vectors from files; e2e/bundle.e2e.ts plays them in a page',
  'test/operating.test.ts': 'tries what operators of a server are shown',
  'test/package.test.ts': 'reads what npm would pack',
  'test/react.test.ts': 'waits by setImmediate; e2e/react.e2e.ts has its pages',
  'test/record.test.ts': 'checks what is published, over the network of a server',
  'test/registry.test.ts': 'asks a registry over HTTP',
  'test/relay.test.ts': 'tries the process of a relay',
  'test/relaying.test.ts': 'starts a DHT and relays on it',
  'test/relayturns.test.ts': 'the relay of a server; waits by setImmediate',
  'test/runtime-node.test.ts': 'tries the adapter of Node',
  'test/runtimes.test.ts': 'tests the runner',
  'test/shims.test.ts': 'compares the stand-ins with the packages, found by node:module',
  'test/sodium.test.ts': 'compares the stand-in with libsodium, which a page has not',
  'test/source.test.ts': 'packs the source',
  'test/sources.test.ts': 'reads flags of a program, and binds UDP',
  'test/swarm.test.ts': 'starts a DHT',
  'test/tab.test.ts': 'builds the node for pages',
  'test/tlsfiles.test.ts': 'serves TLS',
  'test/vectors.test.ts': 'reads its vectors from a file',
}

/** Files named on the command line run whatever they hold: `node e2e/unit.e2e.ts test/calls.test.ts`. */
const named = process.argv.slice(2)

const test = suite('unit tests in Chromium', { timeoutMs: named.length > 0 ? 900_000 : 170_000 })
let browser: Browser

test.before(async () => {
  browser = await launchBrowser()
})
test.after(() => browser.close())

test('every test file that needs no server passes in a page, and the others are named with the reason', async () => {
  const all = globSync('test/*.test.ts', { cwd: ROOT }).sort()
  const stray = Object.keys(NOT_IN_PAGES).filter((file) => !all.includes(file))
  assert.equal(stray, [])
  for (const [file, why] of Object.entries(NOT_IN_PAGES)) note(`not in a page: ${file} (${why})`)
  const files = named.length > 0 ? [...named] : all.filter((file) => !(file in NOT_IN_PAGES))
  const failures: string[] = []
  const wholeNodes: string[] = []
  let passed = 0
  const worker = async (): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const { code, isOfNodes } = await bundled(file)
      if (isOfNodes && named.length === 0) {
        wholeNodes.push(file)
        continue
      }
      const results = await runInPage(code)
      if (results.length === 0) failures.push(`${file} holds no test`)
      for (const { name, failure } of results) {
        if (failure) failures.push(`${file}: ${name}: ${failure}`)
        else passed += 1
      }
    }
  }
  await Promise.all(Array.from({ length: PAGES }, worker))
  // A page signs and verifies so much more slowly that these take minutes; not all of them were tried there.
  if (wholeNodes.length > 0) note(`whole nodes, run by name alone: ${wholeNodes.join(' ')}`)
  note(`${passed} tests passed in Chromium`)
  assert.ok(passed > 0)
  assert.equal(failures, [])
})

test.run()

interface Bundled {
  readonly code: string
  /** Whether whole nodes run in it: they bring the multicast along. */
  readonly isOfNodes: boolean
}

/** Bundled as a node for pages is, but with a suite for pages. */
async function bundled(file: string): Promise<Bundled> {
  const { outputFiles, metafile } = await build({
    ...FOR_BROWSERS,
    minify: false,
    logLevel: 'silent',
    entryPoints: [file],
    inject: ['tools/shims/node-globals.ts'],
    define: { global: 'globalThis' },
    plugins: [forPages, ...nodeStandIns],
    metafile: true,
    write: false,
    outfile: 'test.js',
  })
  const isOfNodes = Object.keys(metafile.inputs).some((path) => path.includes('/@dxos/broadcast/'))
  return { code: outputFiles[0]?.text ?? '', isOfNodes }
}

const forPages: Plugin = {
  name: 'for-pages',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/harness\/suite\.ts$/ }, () => ({
      path: `${import.meta.dirname}/support/page-suite.ts`,
    }))
  },
}

/** In a page of its own, on an origin that may use all of crypto. */
async function runInPage(code: string): Promise<readonly Result[]> {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    await page.route('**/*', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>tests</title>' }),
    )
    await page.goto('http://localhost/')
    return await page.evaluate(async (text) => {
      await import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))
      return globalThis.results
    }, code)
  } finally {
    await context.close()
  }
}
