/** `npm run compile`: a node as one file that runs by itself, with its pages and native code inside. Run by Bun. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { builtFiles } from '../runtimes/host.ts'

const ROOT = join(import.meta.dirname, '..')
/** Stands nowhere but in the bundler's memory. */
const ENTRY = join(ROOT, 'one-file.ts')

/** The program: a node on Bun whose package is within it. */
const PROGRAM = `
  import about from './package.json'
  import { runtime } from './runtimes/bun.ts'
  import { processHost } from './runtimes/host.ts'
  import { main } from './runtimes/main.ts'
  import { files } from 'embedded:build'
  await main(runtime, await processHost({ about, files }))`

/** How packages load their native code: by a path that is known only as they run. */
const LOADS_NATIVE = /require\.addon\('\.', __filename\)|require\('node-gyp-build'\)\(__dirname\)/
/** The helper that would look for it. */
const LOOKS = "require.addon = require('require-addon')"

interface Loaded {
  readonly contents: string
  readonly loader: 'js'
}

/** What is used of `Bun.build` and its plugins. */
interface Builder {
  onResolve(on: { filter: RegExp }, take: () => { path: string; namespace: string }): void
  onLoad(
    on: { filter: RegExp; namespace?: string },
    take: (file: { path: string }) => Loaded | undefined | Promise<Loaded | undefined>,
  ): void
}

interface Bundler {
  build(options: object): Promise<{ readonly success: boolean; readonly logs: readonly unknown[] }>
  file(path: string): { text(): Promise<string> }
}

const { Bun: bun } = globalThis as unknown as { readonly Bun?: Bundler }

/** Names the native code of this machine outright, so that the file takes it in. */
function nativeNamed(text: string, path: string): string {
  const folder = join(dirname(path), 'prebuilds', `${process.platform}-${process.arch}`)
  const file = existsSync(folder) && readdirSync(folder).find((name) => name.endsWith('.node'))
  if (!file) return text
  const loads = `require(${JSON.stringify(join(folder, file))})`
  return text.replace(LOOKS, '').replace(LOADS_NATIVE, () => loads)
}

/** A module that holds the files of the build. */
function moduleOf(files: ReadonlyMap<string, Uint8Array>): string {
  const entries = [...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')])
  return `const base64 = ${JSON.stringify(entries)}
    export const files = new Map(base64.map(([path, text]) => [path, Uint8Array.fromBase64(text)]))`
}

function pluginOf(files: ReadonlyMap<string, Uint8Array>): object {
  return {
    name: 'one-file',
    setup: (builder: Builder) => {
      builder.onResolve({ filter: /^embedded:build$/ }, () => ({ path: 'it', namespace: 'built' }))
      builder.onLoad({ filter: /^/, namespace: 'built' }, () => ({
        contents: moduleOf(files),
        loader: 'js',
      }))
      builder.onLoad({ filter: /-(native|extensions)\/(index|binding)\.js$/ }, async ({ path }) => {
        const text = (await bun?.file(path).text()) ?? ''
        return { contents: nativeNamed(text, path), loader: 'js' }
      })
    },
  }
}

async function main(out: string): Promise<void> {
  if (!bun) throw new Error('Only Bun makes one file; run: npm run compile')
  const files = await builtFiles()
  if (!files.has('edge.min.js')) throw new Error('There is no build; run: npm run build')
  const { success, logs } = await bun.build({
    entrypoints: [ENTRY],
    files: { [ENTRY]: PROGRAM },
    compile: { outfile: out },
    minify: { syntax: true, whitespace: true },
    plugins: [pluginOf(files)],
  })
  if (!success) throw new Error(logs.join('\n'))
  const mib = (statSync(out).size / 1024 / 1024).toFixed(0)
  console.log(`${out}: ${mib} MiB, ${files.size} files inside`)
}

if (import.meta.main) await main(resolve(process.argv[2] ?? join(ROOT, 'dist/signal-mesh')))
