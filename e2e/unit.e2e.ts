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
  'test/boundaries.test.ts': 'reads the source, and builds',
  'test/bundle.test.ts': 'builds, and serves what it has built',
  'test/cli.test.ts': 'starts programs',
  'test/conformance.test.ts': 'tries the adapters of servers, over their sockets',
  'test/fuzz.test.ts': 'keeps what it finds in files, and reads requests by node:http',
  'test/harness.test.ts': 'tests the runner, which starts processes',
  'test/ice.test.ts': 'reads addresses by node:net, and secrets of TURN by node:crypto',
  'test/limits.test.ts': 'tries the bounds of the adapters too',
  'test/loading.test.ts': 'builds the client in two parts',
  'test/mutants.test.ts': 'tests a tool for Node',
  'test/names.test.ts': 'looks names up by node:dns',
  'test/noise.test.ts': 'reads its vectors from files; e2e/bundle.e2e.ts plays them in a page',
  'test/package.test.ts': 'reads what npm would pack',
  'test/relay.test.ts': 'tries the process of a relay',
  'test/relaying.test.ts': 'starts a DHT and relays on it',
  'test/runtime-node.test.ts': 'tries the adapter of Node',
  'test/runtimes.test.ts': 'tests the runner',
  'test/sodium.test.ts': 'compares the stand-in with libsodium, which a page has not',
  'test/source.test.ts': 'packs the source',
  'test/swarm.test.ts': 'starts a DHT',
  'test/tab.test.ts': 'builds the node for pages',
  'test/vectors.test.ts': 'reads its vectors from a file',
}

const test = suite('unit tests in Chromium', { timeoutMs: 170_000 })
let browser: Browser

test.before(async () => {
  browser = await launchBrowser()
})
test.after(() => browser.close())

test('every test file that needs no server passes in a page, and the others are named with the reason', async () => {
  const all = globSync('test/*.test.ts', { cwd: ROOT }).sort()
  assert.equal(
    Object.keys(NOT_IN_PAGES).filter((file) => !all.includes(file)),
    [],
  )
  for (const [file, why] of Object.entries(NOT_IN_PAGES)) note(`not in a page: ${file} (${why})`)
  const files = all.filter((file) => !(file in NOT_IN_PAGES))
  const failures: string[] = []
  let passed = 0
  const worker = async (): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const results = await runInPage(file).catch((error): Result[] => [
        { name: `${file}`, failure: `${error}` },
      ])
      if (results.length === 0) failures.push(`${file} holds no test`)
      for (const { name, failure } of results) {
        if (failure) failures.push(`${file}: ${name}: ${failure}`)
        else passed += 1
      }
    }
  }
  await Promise.all(Array.from({ length: PAGES }, worker))
  note(`${passed} tests passed in Chromium`)
  assert.equal(failures, [])
})

test.run()

/** Bundled as a node for pages is, but with a suite for pages. */
async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    ...FOR_BROWSERS,
    minify: false,
    logLevel: 'silent',
    entryPoints: [file],
    inject: ['tools/shims/node-globals.ts'],
    define: { global: 'globalThis' },
    plugins: [forPages, ...nodeStandIns],
    write: false,
    outfile: 'test.js',
  })
  return outputFiles[0]?.text ?? ''
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
async function runInPage(file: string): Promise<readonly Result[]> {
  const source = await bundled(file)
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
    }, source)
  } finally {
    await context.close()
  }
}
