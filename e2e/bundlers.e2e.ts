/** Users' own builds of the packed client, as each bundler makes them by default: their pages connect through a node. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build as esbuild } from 'esbuild'
import webpack from 'webpack'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { makeProject, type Packed, type Project, packPackage } from './support/project.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const ROOT = join(import.meta.dirname, '..')
/** What a page without a build imports; the package's `exports` says so too. */
const EDGE_FILE = '/node_modules/signal-mesh/dist/npm/edge.js'

/** A user's page: greets everybody in a room, and shows what it hears. */
const MAIN = `import { joinMesh } from 'signal-mesh/edge'
const query = new URLSearchParams(location.search)
async function main() {
  const edge = await joinMesh({ urls: [query.get('node')], network: 'e2e' })
  const room = await edge.join('the room')
  room.on('peer', (connection) => connection.send('hello from ' + query.get('name')))
  room.on('message', ({ data }) => document.body.append(data))
}
main()
`

/** The same with the hooks. */
const REACT = `import { createElement, StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useMesh, useRoom } from 'signal-mesh/react'
const query = new URLSearchParams(location.search)
function App() {
  const [text, setText] = useState('')
  const { edge } = useMesh({ urls: [query.get('node')], network: 'e2e' })
  const onMessage = ({ data }) => setText(text + data)
  const { peers } = useRoom(edge, 'the room', { onMessage })
  useEffect(() => {
    for (const peer of peers.values()) peer.send('hello from ' + query.get('name'))
  }, [peers])
  return text
}
const root = document.body.appendChild(document.createElement('div'))
createRoot(root).render(createElement(StrictMode, null, createElement(App)))
`

const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript' }

const test = suite('bundlers', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)
let packed: Packed
let project: Project
let server: Server

test.before(async () => {
  packed = packPackage()
  project = makeProject(packed, ['react', 'react-dom', 'scheduler'])
  project.write('src/main.js', MAIN)
  project.write('src/react.js', REACT)
  project.write('bare/index.html', pageOf(MAIN.replace('signal-mesh/edge', EDGE_FILE)))
  server = await serve(project.folder)
})
test.after(() => {
  server?.close()
  server?.closeAllConnections()
  // Where packing has failed there is none of them, and that is what is to be said.
  project?.remove()
  packed?.remove()
})

test('no build at all: a module script that imports the package’s file', async () => {
  await connectsTo('bare', 'bare')
})

test('Vite builds it, and its page connects to another', async () => {
  project.write('index.html', '<!doctype html><script type="module" src="/src/main.js"></script>')
  const vite = join(ROOT, 'node_modules/.bin/vite')
  execFileSync(vite, ['build', '--base', './', '--logLevel', 'warn'], {
    cwd: project.folder,
    stdio: 'pipe',
  })
  await connectsTo('dist', 'bare')
})

test('webpack builds it, and its page connects to another', async () => {
  const folder = join(project.folder, 'webpack')
  await new Promise<void>((resolve, reject) => {
    const settings = { context: project.folder, entry: './src/main.js', output: { path: folder } }
    webpack({ ...settings, mode: 'production' }, (error, stats) => {
      const problems = stats?.toJson({ errors: true, warnings: true })
      const said = [...(problems?.errors ?? []), ...(problems?.warnings ?? [])]
      const failure = error ?? (said[0] && new Error(said[0].message))
      if (failure) reject(failure)
      else resolve()
    })
  })
  project.write('webpack/index.html', '<!doctype html><script src="./main.js"></script>')
  await connectsTo('webpack', 'bare')
})

test('esbuild builds it, React hooks and all, and its page connects to another', async () => {
  const { warnings } = await esbuild({
    absWorkingDir: project.folder,
    entryPoints: ['src/main.js', 'src/react.js'],
    bundle: true,
    outdir: 'esbuild',
  })
  assert.equal(warnings, [])
  project.write('esbuild/index.html', '<!doctype html><script src="./main.js"></script>')
  project.write(
    'hooks/index.html',
    '<!doctype html><body><script src="../esbuild/react.js"></script>',
  )
  await connectsTo('esbuild', 'hooks')
})

test.run()

/** Shows two of the project's pages, from another origin than the node's, until each is connected to the other. */
async function connectsTo(folder: string, other: string): Promise<void> {
  const stage = await openStage(1)
  const { port } = server.address() as AddressInfo
  const pages = await Promise.all(
    [folder, other].map(async (name) => {
      const page = await stage.show(0, '<!doctype html>')
      const query = new URLSearchParams({ node: stage.urls[0] as string, name })
      await page.goto(`http://127.0.0.1:${port}/${name}/index.html?${query}`)
      return page
    }),
  )
  await Promise.all([hears(pages[0] as Page, other), hears(pages[1] as Page, folder)])
}

async function hears(page: Page, name: string): Promise<void> {
  await page.locator('body', { hasText: `hello from ${name}` }).waitFor({ timeout: DONE_WITHIN_MS })
}

/** Serves a folder, as any host of static files would. */
async function serve(folder: string): Promise<Server> {
  const files = createServer(({ url = '/' }, answer) => {
    const path = new URL(url, 'http://localhost').pathname
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)]
    try {
      const body = readFileSync(join(folder, path))
      answer.writeHead(200, { 'content-type': type ?? 'application/octet-stream' }).end(body)
    } catch {
      answer.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
  return files
}

function pageOf(script: string): string {
  return `<!doctype html><body><script type="module">${script}</script>`
}
