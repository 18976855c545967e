/** The build: the edge client as one ES module for browsers, the demo page, the source that nodes offer. */

import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'
import about from './package.json' with { type: 'json' }
import budgets from './tools/budgets.json' with { type: 'json' }
import { packSource } from './tools/source.ts'

const ROOT: string = import.meta.dirname
const DIST = `${ROOT}/dist`
const EDGE_ENTRY = `${ROOT}/src/edge/mod.ts`

/** What stands in for a package, or for a part of one that is never reached, in a browser. */
const STAND_INS: readonly { readonly name: RegExp; readonly contents: string }[] = [
  {
    name: /^sodium-universal(\/|$)/,
    contents: `import * as sodium from './src/edge/sodium.ts'
      export * from './src/edge/sodium.ts'
      export default sodium`,
  },
  { name: /^debug$/, contents: 'module.exports = () => () => {}' },
  { name: /^(safe-)?buffer$/, contents: `export { Buffer } from './tools/shims/buffer.ts'` },
  { name: /^node:events$/, contents: `export { EventEmitter } from 'events'` },
  // Of readable-stream a duplex of bytes is used, and nothing else of it is ever called.
  {
    name: /^string_decoder\/$|\/streams\/(async_iterator|pipeline)(\.js)?$|\/_stream_(transform|passthrough)\.js$/,
    contents: 'module.exports = {}',
  },
  // noise-protocol clones nothing but nested lists of symbols.
  {
    name: /^clone$/,
    contents: `module.exports = function clone(x) { return Array.isArray(x) ? x.map(clone) : x }`,
  },
]

const standIns: Plugin = {
  name: 'stand-ins',
  setup({ onResolve, onLoad }) {
    for (const { name, contents } of STAND_INS) {
      const namespace = `stand-in for ${name.source}`
      onResolve({ filter: name }, () => ({ path: 'it', namespace }))
      onLoad({ filter: /^/, namespace }, () => ({ contents, resolveDir: ROOT }))
    }
  },
}

/** The page takes the edge client from the node that serves it, as any other page would. */
const edgeFromNode: Plugin = {
  name: 'edge-from-node',
  setup({ onResolve }) {
    onResolve({ filter: /src\/edge\/mod\.ts$|^signal-mesh\/edge$/ }, () => ({
      path: '/edge.min.js',
      external: true,
    }))
  },
}

const FOR_BROWSERS = {
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: ROOT,
} as const satisfies BuildOptions

export interface EdgeBundle {
  readonly code: Uint8Array
  readonly sizes: Sizes
}

export interface Sizes {
  readonly rawBytes: number
  readonly gzipBytes: number
  /** Bytes of the minified bundle that came from each package, the largest first. */
  readonly packages: Readonly<Record<string, number>>
}

/** Puts other modules in the place of our own, so that a test can see what each of them is for. */
function inPlaceOf(modules: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'in-place-of',
    setup({ onResolve }) {
      onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir, importer }) => {
        const other = modules[relative(ROOT, join(resolveDir, path))]
        return other && importer !== join(ROOT, other) ? { path: join(ROOT, other) } : undefined
      })
    },
  }
}

/** Bundles the edge client, or another entry, in memory; modules are named by path from the root. */
export async function bundleEdge(
  entry: string = EDGE_ENTRY,
  modules: Readonly<Record<string, string>> = {},
): Promise<EdgeBundle> {
  const { outputFiles, metafile } = await build({
    ...FOR_BROWSERS,
    entryPoints: [entry],
    plugins: [inPlaceOf(modules), standIns],
    inject: ['tools/shims/globals.ts'],
    define: { global: 'globalThis' },
    outfile: 'edge.min.js',
    metafile: true,
    write: false,
  })
  const code = outputFiles[0]?.contents ?? new Uint8Array()
  const gzipBytes = gzipSync(code, { level: 9 }).length
  return { code, sizes: { rawBytes: code.length, gzipBytes, packages: sharesOf(metafile) } }
}

function sharesOf(metafile: Metafile): Record<string, number> {
  const shares: Record<string, number> = {}
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = packageOf(path)
      shares[name] = (shares[name] ?? 0) + bytesInOutput
    }
  }
  return Object.fromEntries(Object.entries(shares).sort(([, a], [, b]) => b - a))
}

/** The package that a file belongs to; the innermost, where packages nest. */
function packageOf(path: string): string {
  const [, name] = path.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)/) ?? []
  return name ?? (path.startsWith('stand-in') ? 'stand-ins' : 'signal-mesh')
}

/** Bundles the demo page beside the files that it is made of. */
async function buildDemo(): Promise<void> {
  mkdirSync(`${DIST}/demo`, { recursive: true })
  cpSync(`${ROOT}/demo`, `${DIST}/demo`, {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  })
  await build({
    ...FOR_BROWSERS,
    entryPoints: ['demo/page.ts'],
    plugins: [edgeFromNode],
    outfile: 'dist/demo/page.js',
  })
}

/** Bundles the examples that have a page, beside the demo, each under its name. */
async function buildExamples(): Promise<void> {
  const folder = `${DIST}/demo/examples`
  const names = readdirSync(`${ROOT}/examples`).filter((name) =>
    existsSync(`${ROOT}/examples/${name}/index.html`),
  )
  await build({
    ...FOR_BROWSERS,
    entryPoints: names.map((name) => ({ in: `./examples/${name}/main`, out: name })),
    plugins: [edgeFromNode],
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    outdir: folder,
  })
  cpSync(`${ROOT}/examples/style.css`, `${folder}/style.css`)
  for (const name of names) {
    cpSync(`${ROOT}/examples/${name}/index.html`, `${folder}/${name}.html`)
  }
}

function printSizes({ rawBytes, gzipBytes, packages }: Sizes): void {
  for (const [name, bytes] of Object.entries(packages)) {
    const percent = ((100 * bytes) / rawBytes).toFixed(1)
    console.log(`${String(bytes).padStart(8)} B ${percent.padStart(5)} %  ${name}`)
  }
  const budget = budgets.edgeBundleGzipBytes
  console.log(`dist/edge.min.js: ${rawBytes} B, ${gzipBytes} B gzipped (budget: ${budget} B)`)
}

async function main(quiet: boolean): Promise<void> {
  mkdirSync(DIST, { recursive: true })
  const { code, sizes } = await bundleEdge()
  writeFileSync(`${DIST}/edge.min.js`, code)
  writeFileSync(`${DIST}/sizes.json`, `${JSON.stringify(sizes, null, 2)}\n`)
  if (existsSync(`${ROOT}/demo/page.ts`)) await buildDemo()
  if (existsSync(`${ROOT}/examples`)) await buildExamples()
  writeFileSync(`${DIST}/source.tgz`, await packSource(ROOT, `${about.name}-${about.version}`))
  if (!quiet) printSizes(sizes)
  if (sizes.gzipBytes > budgets.edgeBundleGzipBytes) {
    console.error(
      `The edge bundle is over its budget by ${sizes.gzipBytes - budgets.edgeBundleGzipBytes} B`,
    )
    process.exitCode = 1
  }
}

if (import.meta.main) await main(process.argv.includes('--quiet'))
