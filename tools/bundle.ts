/** The bundles of the edge client: as one module, and as two of which the second comes while the first works. */

import { createHash } from 'node:crypto'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build, type Metafile, type OutputFile, type Plugin } from 'esbuild'
import { minifySync } from 'vite'
import { nodeStandIns, standIns } from './stand-ins.ts'

const ROOT: string = join(import.meta.dirname, '..')
const EDGE_ENTRY: string = `${ROOT}/src/edge/mod.ts`
const REST_ENTRY: string = `${ROOT}/src/edge/rest.ts`
const TAB_ENTRY: string = `${ROOT}/runtimes/tab.ts`
/** The page's own name for what the second part takes from the first. */
const CORE = 'core'

export const FOR_BROWSERS: BuildOptions & { readonly target: string } = {
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: ROOT,
}

const OF_CLIENT = {
  ...FOR_BROWSERS,
  inject: ['tools/shims/globals.ts'],
  define: { global: 'globalThis' },
  metafile: true,
  write: false,
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

export interface SplitEdge {
  /** What a page imports. */
  readonly first: EdgeBundle
  readonly rest: EdgeBundle
  /** The file that the first fetches from beside itself; the name changes with what is in it. */
  readonly restName: string
}

/** Bundles the edge client, or another entry, in memory; modules are named by path from the root. */
export async function bundleEdge(
  entry: string = EDGE_ENTRY,
  modules: Readonly<Record<string, string>> = {},
): Promise<EdgeBundle> {
  const { outputFiles, metafile } = await build({
    ...OF_CLIENT,
    entryPoints: [entry],
    plugins: [inPlaceOf(modules), fetchingBy(REST_INSIDE), ...standIns],
    outfile: 'edge.min.js',
  })
  return bundleOf(outputFiles[0]?.text ?? '', Object.values(metafile.outputs))
}

/** Bundles the node that runs in a page, with its edges, as one module. */
export async function bundleTab(entry: string = TAB_ENTRY): Promise<EdgeBundle> {
  const { outputFiles, metafile } = await build({
    ...OF_CLIENT,
    inject: ['tools/shims/node-globals.ts'],
    entryPoints: [entry],
    plugins: [...nodeStandIns],
    outfile: 'tab.min.js',
  })
  return bundleOf(outputFiles[0]?.text ?? '', Object.values(metafile.outputs))
}

/**
 * Bundles the edge client in two parts. What both need is in the first, which hands it to the second:
 * a third file for that would cost a page one more round trip before anything begins.
 */
export async function splitEdge(): Promise<SplitEdge> {
  const { outputFiles, metafile } = await build({
    ...OF_CLIENT,
    entryPoints: { edge: EDGE_ENTRY, rest: REST_ENTRY },
    plugins: [fetchingBy(`export { fetchRest } from '${REST_FETCHER}'`), ...standIns],
    external: [REST_FETCHER],
    splitting: true,
    outdir: '.',
  })
  const outputs = Object.entries(metafile.outputs)
  const [chunk, ...more] = outputs.filter(([path]) => /^chunk-/.test(path))
  if (!chunk || more.length > 0) throw new Error('The two parts must share one chunk')
  const textOf = (path: string): string => textEndingWith(outputFiles, path)
  const shared: Shared = { path: chunk[0], text: textOf(chunk[0]), names: chunk[1].exports }
  const of = (...paths: string[]) => paths.map((path) => metafile.outputs[path] as Output)

  const rest = bundleOf(await restOf(textOf('rest.js'), shared), of('rest.js'))
  const hash = createHash('sha256').update(rest.code).digest('hex').slice(0, 12)
  const restName = `edge-rest-${hash}.js`
  const first = await firstOf(textOf('edge.js'), shared, restName)
  return { first: bundleOf(first, of('edge.js', shared.path)), rest, restName }
}

type Output = Metafile['outputs'][string]

/** What both parts need, as esbuild has it: a file of its own. */
interface Shared {
  readonly path: string
  readonly text: string
  readonly names: readonly string[]
}

/** The second part: a function of what the first hands it. */
async function restOf(text: string, { path, names }: Shared): Promise<string> {
  const handed = `export const { ${names.join(', ')} } = ${CORE}`
  const { outputFiles } = await build({
    ...FOR_BROWSERS,
    stdin: { contents: text, resolveDir: ROOT },
    plugins: [moduleOf(path, handed)],
    format: 'iife',
    globalName: 'rest',
    write: false,
  })
  return `export default (${CORE}) => { ${outputFiles[0]?.text}; return rest }`
}

async function firstOf(text: string, shared: Shared, restName: string): Promise<string> {
  const { outputFiles } = await build({
    ...FOR_BROWSERS,
    stdin: { contents: text, resolveDir: ROOT },
    plugins: [
      moduleOf(shared.path, shared.text),
      moduleOf(REST_FETCHER, restFetcher(`./${shared.path}`, restName)),
    ],
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}

const REST_FETCHER = 'rest-fetcher'

/** Where the whole client is one file, its rest is here already. */
const REST_INSIDE = `import { joinOver } from './rest.ts'
  export const fetchRest = async () => ({ joinOver })`

/** Browsers remember that a URL failed, so each further try has one of its own. */
function restFetcher(shared: string, restName: string): string {
  return `import * as ${CORE} from '${shared}'
    let rest
    let failures = 0
    export const fetchRest = async () => {
      const url = new URL('${restName}', import.meta.url)
      if (failures) url.search = failures
      try {
        return (rest ??= (await import(url.href)).default(${CORE}))
      } catch (error) {
        failures += 1
        throw error
      }
    }`
}

function fetchingBy(contents: string): Plugin {
  return {
    name: 'fetching-by',
    setup({ onLoad }) {
      onLoad({ filter: /src\/edge\/fetching\.ts$/ }, () => ({
        contents,
        resolveDir: `${ROOT}/src/edge`,
      }))
    },
  }
}

/** A module that is no file. */
function moduleOf(path: string, contents: string): Plugin {
  const namespace = `module ${path}`
  return {
    name: namespace,
    setup({ onResolve, onLoad }) {
      const filter = new RegExp(`^(\\./)?${path.replaceAll('.', '\\.')}$`)
      onResolve({ filter }, () => ({ path, namespace, sideEffects: true }))
      onLoad({ filter: /^/, namespace }, () => ({ contents, resolveDir: ROOT }))
    },
  }
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

/** esbuild's own names for things compress worse by a twentieth than those of a second minifier. */
function bundleOf(text: string, outputs: readonly Output[]): EdgeBundle {
  const { code: minified, errors } = minifySync('edge.js', text, {
    module: true,
    compress: { target: FOR_BROWSERS.target },
  })
  if (errors.length > 0) throw new Error(errors[0]?.message)
  const code = new TextEncoder().encode(minified)
  const gzipBytes = gzipSync(code, { level: 9 }).length
  return { code, sizes: { rawBytes: code.length, gzipBytes, packages: sharesOf(outputs) } }
}

function sharesOf(outputs: readonly Output[]): Record<string, number> {
  const shares: Record<string, number> = {}
  for (const { inputs } of outputs) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
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

function textEndingWith(files: readonly OutputFile[], path: string): string {
  const file = files.find((one) => one.path.endsWith(`/${path}`))
  if (!file) throw new Error(`esbuild made no ${path}`)
  return file.text
}
