/** The build: the edge client for browsers, as one ES module and as two; the demo page; the source that nodes offer. */

import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { build, type Plugin } from 'esbuild'
import about from './package.json' with { type: 'json' }
import budgets from './tools/budgets.json' with { type: 'json' }
import { bundleEdge, bundleTab, type EdgeBundle, FOR_BROWSERS, splitEdge } from './tools/bundle.ts'
import { packSource } from './tools/source.ts'

export { bundleEdge, bundleTab, type EdgeBundle, splitEdge } from './tools/bundle.ts'

const ROOT: string = import.meta.dirname
const DIST = `${ROOT}/dist`
const WORKER_ENTRY = `${ROOT}/src/edge/worker.ts`

/** The page takes the edge client from the node that serves it, as any other page would. */
const edgeFromNode: Plugin = {
  name: 'edge-from-node',
  setup({ onResolve }) {
    onResolve({ filter: /\/edge\/mod\.ts$|^signal-mesh\/edge$/ }, () => ({
      path: '/edge.js',
      external: true,
    }))
  },
}

/** Bundles the demo page beside the files that it is made of. */
async function buildDemo(restName: string): Promise<void> {
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
  // The page tells the browser of the second part before the first can ask for it.
  const page = `${DIST}/demo/index.html`
  writeFileSync(page, readFileSync(page, 'utf8').replaceAll('/edge-rest.js', `/${restName}`))
}

/** Bundles the dashboard, which lies in a folder beside the demo and shares its colours. */
async function buildDashboard(): Promise<void> {
  const folder = `${DIST}/demo/mesh`
  mkdirSync(folder, { recursive: true })
  for (const name of ['index.html', 'mesh.css']) {
    cpSync(`${ROOT}/dashboard/${name}`, `${folder}/${name}`)
  }
  await build({ ...FOR_BROWSERS, entryPoints: ['dashboard/page.ts'], outfile: `${folder}/page.js` })
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
    // What an example imports of this package, it takes from the source; "module" is there by default.
    conditions: ['signal-mesh:source', 'module'],
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

type Parts = Readonly<Record<'whole' | 'first' | 'rest', EdgeBundle>>
/** The figures that may not grow, by their names in tools/budgets.json; bytes, gzipped. */
export type Figures = Readonly<Record<keyof typeof budgets.edgeGzipBytes, number>>

function figuresOf({ whole, first, rest }: Parts): Figures {
  return {
    beforeTheFirstConnection: first.sizes.gzipBytes,
    allTold: first.sizes.gzipBytes + rest.sizes.gzipBytes,
    inOneFile: whole.sizes.gzipBytes,
  }
}

function printSizes(parts: Parts): void {
  const names = Object.keys({ ...parts.first.sizes.packages, ...parts.rest.sizes.packages })
  console.log('   first     rest    whole  bytes minified, of')
  for (const name of names) {
    const columns = [parts.first, parts.rest, parts.whole].map(({ sizes }) =>
      String(sizes.packages[name] ?? 0).padStart(8),
    )
    console.log(`${columns.join(' ')}  ${name}`)
  }
  for (const [name, bytes] of Object.entries(figuresOf(parts))) {
    const [committed, target] = [budgets.edgeGzipBytes, budgets.edgeGzipTargetBytes].map(
      (figures) => figures[name as keyof Figures],
    )
    const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    console.log(`${words}: ${bytes} B gzipped (committed: ${committed}, target: ${target})`)
  }
}

/** Says of each figure that has grown by more than is let pass. */
export function grown(figures: Figures, committed: Figures = budgets.edgeGzipBytes): string[] {
  const names = Object.keys(figures) as (keyof Figures)[]
  return names.flatMap((name) => {
    const percent = (100 * (figures[name] - committed[name])) / committed[name]
    const was = `${committed[name]} B in tools/budgets.json`
    const text = `The edge client has grown by ${percent.toFixed(1)} % (${name}: ${figures[name]} B, was ${was})`
    return percent > budgets.edgeGrowthPercent ? [text] : []
  })
}

async function main(quiet: boolean): Promise<void> {
  mkdirSync(DIST, { recursive: true })
  const [whole, { first, rest, restName }, tab] = await Promise.all([
    bundleEdge(),
    splitEdge(),
    bundleTab(),
  ])
  // A page that runs a build before this one has fetched its second part, or is told to load anew.
  for (const old of globSync('edge-rest-*.js', { cwd: DIST })) rmSync(`${DIST}/${old}`)
  writeFileSync(`${DIST}/edge.min.js`, whole.code)
  writeFileSync(`${DIST}/edge.js`, first.code)
  writeFileSync(`${DIST}/${restName}`, rest.code)
  writeFileSync(`${DIST}/tab.min.js`, tab.code)
  const sizes = { whole: whole.sizes, first: first.sizes, rest: rest.sizes, tab: tab.sizes }
  writeFileSync(`${DIST}/sizes.json`, `${JSON.stringify(sizes, null, 2)}\n`)
  writeFileSync(`${DIST}/edge-worker.js`, (await bundleEdge(WORKER_ENTRY)).code)
  if (existsSync(`${ROOT}/demo/page.ts`)) await buildDemo(restName)
  if (existsSync(`${ROOT}/dashboard`)) await buildDashboard()
  if (existsSync(`${ROOT}/examples`)) await buildExamples()
  writeFileSync(`${DIST}/source.tgz`, await packSource(ROOT, `${about.name}-${about.version}`))
  const parts = { whole, first, rest }
  if (!quiet) {
    printSizes(parts)
    console.log(`a node in a tab, with its edges: ${tab.sizes.gzipBytes} B gzipped`)
  }
  for (const text of grown(figuresOf(parts))) {
    console.error(text)
    process.exitCode = 1
  }
}

if (import.meta.main) await main(process.argv.includes('--quiet'))
