/** The package as npm gives it, in a project of its own: what is in it, that it runs, and that its types hold. */

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, normalize } from 'node:path'
import about from '../package.json' with { type: 'json' }
import { assert, note, suite } from '../test/harness/suite.ts'
import {
  makeProject,
  type Packed,
  type Project,
  packPackage,
  productionPackages,
  readInstalled,
} from './support/project.ts'

const ROOT = join(import.meta.dirname, '..')
/** The oldest Node that it may run on, by `engines`. */
const FLOOR = '22.18.0'
const FLOOR_PACKAGE = `node-${process.platform}-${process.arch}`
const SERVED = ['/health', '/edge.min.js', '/edge.js', '/', '/examples/chat.html', '/source.tgz']

const test = suite('package', { timeoutMs: 60_000 })
let packed: Packed
let project: Project

test.before(() => {
  packed = packPackage()
  project = makeProject(packed, ['react', 'react-dom', 'scheduler', 'moleculer'])
  const [kilobytes, unpacked] = [packed.bytes, packed.unpackedBytes].map((size) =>
    Math.round(size / 1024),
  )
  note(`the package: ${packed.paths.length} files, ${kilobytes} KB, unpacked ${unpacked} KB`)
})
test.after(() => {
  // Where packing has failed there is none of them, and that is what is to be said.
  project?.remove()
  packed?.remove()
})

test('holds every file that its manifest names, and neither tests nor tools', () => {
  const named = [
    ...Object.values(about.bin),
    ...Object.values(about.exports).flatMap((conditions) => Object.values(conditions)),
  ].map((path) => normalize(path))
  assert.equal(
    named.filter((path) => !packed.paths.includes(path)),
    [],
  )
  const strange = packed.paths.filter((path) =>
    /^(test|e2e|tools|bench|data|node_modules)\//.test(path),
  )
  // The source of `./conformance`.
  const ofConformance = /^test\/(conformance\/.*|fixtures\/samples|harness\/suite)(\.ts)?$/
  assert.equal(
    strange.filter((path) => !ofConformance.test(path)),
    [],
  )
})

test('maps lead from scripts and declarations to sources that are in it', () => {
  const maps = packed.paths.filter((path) => path.startsWith('dist/npm/') && path.endsWith('.map'))
  assert.ok(maps.length > 100)
  for (const path of maps) {
    const { sources, sourcesContent, mappings } = JSON.parse(
      readInstalled(project, path),
    ) as SourceMap
    assert.ok(mappings.length > 0, path)
    for (const [index, source] of sources.entries()) {
      const at = join(path, '..', source)
      const isThere = sourcesContent?.[index] || packed.paths.includes(at)
      assert.ok(isThere, `${path} names ${at}`)
    }
  }
})

test('imports nothing but what is in it or what npm brings along', () => {
  const known = new Set([...productionPackages(), 'react', 'moleculer'])
  const scripts = packed.paths.filter((path) => /^dist\/npm\/.*\.(js|d\.ts)$/.test(path))
  for (const path of scripts) {
    for (const name of importsOf(readInstalled(project, path))) {
      if (name.startsWith('node:')) continue
      if (name.startsWith('.')) {
        const at = join(path, '..', name)
        const found = [at, at.replace(/\.js$/, '.d.ts')].some((it) => packed.paths.includes(it))
        assert.ok(found, `${path} imports ${name}`)
      } else assert.ok(known.has(packageOf(name)), `${path} imports ${name}`)
    }
  }
})

test('holds the programs that a node starts', () => {
  const scripts = packed.paths.filter((path) => /^dist\/npm\/runtimes\/.*\.js$/.test(path))
  const programs = scripts.flatMap((path) =>
    [...readInstalled(project, path).matchAll(/\bprogram: '\.\/([\w-]+)\.ts'/g)].map(
      ([, name]) => `dist/npm/runtimes/${name}.js`,
    ),
  )
  assert.equal(
    programs.filter((path) => !packed.paths.includes(path)),
    [],
  )
})

test(`runs on Node ${FLOOR}: every subpath, a node, and the whole conformance suite`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-node-'))
  try {
    const wanted = `${FLOOR_PACKAGE}@${FLOOR}`
    run(['npm'], ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, wanted])
    const node = join(folder, 'node_modules', FLOOR_PACKAGE, 'bin/node')
    assert.is(run([node], ['--version']).trim(), `v${FLOOR}`)
    project.write('import.mjs', IMPORT_ALL)
    assert.match(run([node], ['import.mjs']), /^\.: .*createNode/m)
    project.write('conformance.mjs', CONFORMANCE)
    assert.match(run([node], ['conformance.mjs']), /Total: +(\d+)\s+Passed: +\1\s/)
    assert.match(run([node], ['mod.ts', '--version'], ROOT), about.version)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('brings no runtime and no browser with it', () => {
  const unwanted =
    /^(node|bun|deno|playwright.*|puppeteer.*|@roamhq\/.*|react|moleculer|esbuild|typescript)$/
  assert.equal(
    productionPackages().filter((name) => unwanted.test(name)),
    [],
  )
})

for (const [name, command] of Object.entries({
  Node: ['node'],
  Deno: ['deno', 'run', '--allow-all'],
  Bun: ['bun', 'run'],
})) {
  test(`${name} imports every subpath, and renders the hooks as on a server`, () => {
    project.write('import.mjs', IMPORT_ALL)
    const printed = run(command, ['import.mjs'])
    assert.match(printed, /^\.: .*createNode/m)
    assert.match(printed, /^\.\/edge: SignalMeshError,joinMesh,whyOf$/m)
    assert.match(printed, /^\.\/react: useMesh,useRoom$/m)
    assert.match(printed, /^\.\/tab: SignalMeshError,startNode$/m)
    assert.match(printed, /^\.\/worker: sharedSocket$/m)
    assert.match(printed, /^\.\/conformance: conformance$/m)
    assert.match(
      printed,
      /^\.\/moleculer: MeshTransporter,encodePacket,meshService,onMesh,startNode$/m,
    )
    assert.match(printed, /^<p>connecting, connecting<\/p>$/m)
  })
}

const PROGRAM = join('node_modules', about.name, about.bin[about.name as 'signal-mesh'])

for (const [name, command] of Object.entries({
  npx: ['npx', '--no-install', about.name],
  Deno: ['deno', 'run', '--allow-all', PROGRAM],
  Bun: ['bun', 'run', PROGRAM],
})) {
  test(`${name} starts a node, which serves the browser bundle, its page and its source`, async () => {
    const [program = '', ...args] = command
    const child = spawn(program, [...args, '--port', '0', '--log-format', 'json'], {
      cwd: project.folder,
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    try {
      const { url, version, runtime } = JSON.parse(await firstLine(child.stdout)) as Started
      assert.is(version, about.version)
      assert.match(runtime, name === 'npx' ? 'node' : name.toLowerCase())
      const answers = await Promise.all(
        SERVED.map(async (path) => `${path} ${(await fetch(new URL(path, url))).status}`),
      )
      assert.equal(
        answers,
        SERVED.map((path) => `${path} 200`),
      )
    } finally {
      const ended = new Promise((resolve) => child.once('close', resolve))
      process.kill(-(child.pid as number), 'SIGTERM')
      await ended
    }
  })
}

for (const [name, options] of Object.entries({
  'Node’s own': { module: 'nodenext' },
  'a bundler’s': { module: 'esnext', moduleResolution: 'bundler' },
})) {
  test(`its types hold strictly, without Node’s, under ${name} resolution`, () => {
    project.write('types/use.ts', USE_TYPES)
    const compilerOptions = {
      ...{ strict: true, noEmit: true, skipLibCheck: false, types: [] },
      ...{ target: 'es2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'] },
      ...options,
    }
    const config = { compilerOptions, files: ['use.ts'] }
    project.write('types/tsconfig.json', JSON.stringify(config))
    run([bin('tsc')], ['-p', 'types'])
  })
}

test('its types fit those of Moleculer, which need Node’s', () => {
  project.write('types/moleculer.ts', USE_MOLECULER)
  const compilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, module: 'nodenext', target: 'es2022' },
    ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
  }
  const config = { compilerOptions, files: ['moleculer.ts'] }
  project.write('types/tsconfig.json', JSON.stringify(config))
  run([bin('tsc')], ['-p', 'types'])
})

test('publint finds nothing, and neither does are-the-types-wrong', () => {
  run([bin('publint')], ['run', packed.file, '--strict'])
  run([bin('attw')], [packed.file, '--profile', 'esm-only'])
})

test('JSR would take its twin, slow types and all', () => {
  const printed = run([bin('deno'), 'publish'], ['--dry-run', '--allow-dirty'], ROOT)
  assert.match(printed, 'Success')
})

test.run()

interface SourceMap {
  readonly sources: readonly string[]
  readonly sourcesContent?: readonly string[]
  readonly mappings: string
}

interface Started {
  readonly url: string
  readonly version: string
  readonly runtime: string
}

/** Runs a command to its end; fails with what it said. */
function run(command: readonly string[], args: readonly string[], cwd = project.folder): string {
  const [program = '', ...first] = command
  try {
    const env = { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' }
    const printed = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', program, ...first, ...args], {
      ...{ cwd, env, encoding: 'utf8' as const },
    })
    return printed
  } catch (error) {
    throw new Error(`${program}: ${String((error as { stdout?: string }).stdout).slice(0, 3_000)}`)
  }
}

function bin(name: string): string {
  const path = join(ROOT, 'node_modules/.bin', name)
  assert.ok(existsSync(path), path)
  return path
}

async function firstLine(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk)
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'))
  }
  throw new Error(`It ended, saying: ${text}`)
}

function importsOf(code: string): string[] {
  const from = /^(?:import|export)\s[^'";]*?\bfrom\s*["']([^"'\n]+)["']/gm
  const bare = /^import\s*["']([^"'\n]+)["']|\bimport\(["']([^"'\n]+)["']\)/gm
  return [from, bare].flatMap((kind) =>
    [...code.matchAll(kind)].map(([, name, dynamic]) => name ?? dynamic ?? ''),
  )
}

function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')
}

const IMPORT_ALL = `
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
for (const path of ${JSON.stringify(Object.keys(about.exports))}) {
  const module = await import('${about.name}' + path.slice(1))
  console.log(path + ': ' + Object.keys(module).sort())
}
const { useMesh, useRoom } = await import('${about.name}/react')
function App() {
  const { edge, state } = useMesh()
  return createElement('p', null, state + ', ' + useRoom(edge, 'topic').state)
}
console.log(renderToString(createElement(App)))
`

const CONFORMANCE = `
import { runtime } from './node_modules/${about.name}/dist/npm/runtimes/node.js'
import { conformance } from '${about.name}/conformance'
conformance(runtime)
`

const USE_TYPES = `
import { createNode, type NodeOptions, SignalMeshError } from '${about.name}'
import { type Edge, joinMesh, type Room } from '${about.name}/edge'
import { type Mesh, useMesh, useRoom } from '${about.name}/react'
export const node = (options: NodeOptions) => createNode(options)
export async function join(): Promise<string> {
  const edge: Edge = await joinMesh({ urls: ['https://mesh.example.org'] })
  const room: Room = await edge.join('topic', { maxPeers: 4 })
  room.on('message', ({ from }) => from satisfies string)
  return edge.id
}
export function count(): number {
  const mesh: Mesh = useMesh({ onConnection: ({ id }) => id satisfies string })
  return useRoom(mesh.edge, 'topic').peers.size
}
export const isMeshError = (error: unknown): boolean => error instanceof SignalMeshError
// @ts-expect-error types are there at all
joinMesh({ urls: 1 })
// @ts-expect-error types are there at all
useRoom(1, 2)
`

const USE_MOLECULER = `
import { ServiceBroker } from 'moleculer'
import { type EmbeddedNode, meshService, onMesh, startNode } from '${about.name}/moleculer'
export async function start(): Promise<readonly string[]> {
  const node: EmbeddedNode = await startNode(['--port', '0'])
  const broker = new ServiceBroker(onMesh(node, { nodes: 'all' }))
  broker.createService(meshService(node))
  return node.urls
}
// @ts-expect-error types are there at all
onMesh(1, { nodes: 'all' })
`
