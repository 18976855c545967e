/** The package's files: what npm and JSR publish beside the source and the browser bundle. Run by `prepack`. */

import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { FOR_BROWSERS } from './bundle.ts'
import { nodeStandIns, standIns } from './stand-ins.ts'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, 'dist/npm')

/** The subpaths that are bundles, in `dist/npm`, with the source that says their types. */
const BUNDLES: Readonly<Record<string, string>> = {
  edge: 'src/edge/mod',
  react: 'src/react/mod',
  tab: 'runtimes/tab',
  worker: 'src/edge/worker',
}

/** The suite for authors of adapters: a bundle beside the node's modules, which it takes as they are. */
const CONFORMANCE = 'test/conformance/suite'

/** `Symbol.asyncDispose`, for users whose `lib` is older; JSR allows no such line, so it stands apart. */
const DISPOSABLE = '/// <reference lib="esnext.disposable" />\n'

/** Makes `dist/npm` from nothing. */
export async function packFiles(): Promise<void> {
  rmSync(OUT, { recursive: true, force: true })
  emit('tools/tsconfig.pack.json')
  emit('tools/tsconfig.pack-types.json')
  const declarations = globSync('**/*.d.ts', { cwd: OUT })
  for (const path of declarations) rewrite(join(OUT, path), toDeclarations)
  const typed = declarations.flatMap((path) =>
    modulesOf(path, readFileSync(join(OUT, path), 'utf8')),
  )
  for (const path of new Set(['mod.js', 'runtimes/moleculer.js', ...typed]))
    prepend(path, selfTyped(`./${basename(path, '.js')}`))
  prepend('mod.js', '#!/usr/bin/env node\n')
  await bundle('edge')
  await bundle('worker')
  await bundle('tab', { inject: ['tools/shims/node-globals.ts'], plugins: [...nodeStandIns] })
  await bundle('react', { external: ['react'], plugins: [edgeBeside] })
  await bundleConformance()
  for (const [name, types] of Object.entries(BUNDLES)) {
    prepend(`${name}.js`, selfTyped(`./${types}`))
    writeFileSync(join(OUT, `${name}.d.ts`), `${DISPOSABLE}export * from './${types}.js'\n`)
  }
}

/** Says to Deno where the types of a module are. */
function selfTyped(types: string): string {
  return `/* @ts-self-types="${types}.d.ts" */\n`
}

/** The modules whose values a declaration gives on. */
function modulesOf(path: string, declaration: string): string[] {
  const from = declaration.matchAll(/^export \{.* from\s['](\.[^']*\.js)'/gm)
  return [...from].map(([, module = '']) => join(dirname(path), module))
}

/** Emits what the configuration names, with declarations and maps; what is wrong in it, the check has said. */
function emit(config: string): void {
  const { status, error } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', config],
    { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if (status !== 0) throw error ?? new Error(`tsc -p ${config} failed`)
}

/**
 * What tsc leaves as it was, the imports of `.ts` files. Types come from declarations by their own name, as
 * Deno wants it; what is a value too comes from the module, as TypeScript wants it.
 */
export function toDeclarations(code: string): string {
  return code
    .replace(
      /^import \{([^}]*)\}/gm,
      (_, names: string) => `import type {${names.replace(/\btype /g, '')}}`,
    )
    .replace(/^(export \{.* from\s['].*)\.ts'/gm, "$1.js'")
    .replace(/((?:from |import\()['"]\.[^'"]*)\.ts(['"])/g, '$1.d.ts$2')
}

/**
 * Bundles a subpath with all that it needs. Not minified, and in the parts that esbuild makes of a dynamic
 * import: the user's bundler does both, and knows where its parts are fetched from.
 */
async function bundle(name: string, more: BuildOptions = {}): Promise<void> {
  await build({
    ...FOR_BROWSERS,
    minify: false,
    entryPoints: { [name]: `${BUNDLES[name]}.ts` },
    // Some runtimes of servers have no WebSocket to name.
    define: { global: 'globalThis', WebSocket: 'globalThis.WebSocket' },
    inject: ['tools/shims/globals.ts'],
    plugins: [...standIns],
    splitting: true,
    chunkNames: `${name}-[name]-[hash]`,
    outdir: OUT,
    sourcemap: true,
    ...more,
  })
}

/** With the little test runner that it stands on, which users of a node do not need. */
async function bundleConformance(): Promise<void> {
  await build({
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    logLevel: 'warning',
    absWorkingDir: ROOT,
    entryPoints: { conformance: `${CONFORMANCE}.ts` },
    banner: { js: selfTyped('./conformance') },
    plugins: [nodeBeside],
    outdir: OUT,
    sourcemap: true,
  })
  const types = `import type { Runtime } from './src/runtime.d.ts'
/** Adds the suite to a test file: what a \`Runtime\` has to do, whatever it is made of. */
export declare function conformance(runtime: Runtime): void
`
  writeFileSync(join(OUT, 'conformance.d.ts'), types)
}

const nodeBeside: Plugin = {
  name: 'node-beside',
  setup({ onResolve }) {
    onResolve({ filter: /^(\.\.\/)+(src|runtimes)\/.*\.ts$/ }, ({ path: source }) => {
      const path = source.replace(/^(\.\.\/)+/, './').replace(/\.ts$/, '.js')
      // What is of the client alone is no module of its own.
      return existsSync(join(OUT, path)) ? { path, external: true } : undefined
    })
  },
}

/** The hooks stand on the very module that `./edge` is: an edge of one is an edge of the other. */
const edgeBeside: Plugin = {
  name: 'edge-beside',
  setup({ onResolve }) {
    onResolve({ filter: /\/edge\/mod\.ts$/ }, () => ({ path: './edge.js', external: true }))
  },
}

/** Puts a line before an emitted file, and into its map, which knows nothing of it. */
function prepend(path: string, line: string): void {
  rewrite(join(OUT, path), (code) => line + code)
  rewrite(join(OUT, `${path}.map`), (map) => map.replace(/"mappings": ?"/, '$&;'))
}

function rewrite(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

if (import.meta.main) await packFiles()
