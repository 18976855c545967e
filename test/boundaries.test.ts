/** The rules of the house that a machine can see: who imports what, and what the core never names. */

import { bundleEdge } from '../build.ts'
import { packageOf, parseSource, readJson, readSources, type SourceFile } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'

const core = readSources('src/**/*.ts').filter(isCode)
const shipped = [
  ...core,
  ...readSources(
    ...['runtimes/**/*.ts', 'mod.ts', 'dashboard/**/*.ts', 'demo/**/*.ts', 'build.ts'],
  ).filter(isCode),
]
const endToEnd = readSources('e2e/**/*.ts')
const all = [
  ...shipped,
  ...endToEnd,
  ...readSources('test/**/*.ts', 'tools/**/*.ts').filter(isCode),
]

const test = suite('boundaries')

test('reads imports of every kind, and names in code alone', () => {
  const { imports, code } = parseSource(
    'a.ts',
    `import a from 'a'; import type { B } from 'b'; export * from './c.ts'; await import('d')
    import 'e' // from 'no'
    /* Buffer */ const f = 'process' + \`Deno \${Bun.version}\``,
  )
  assert.equal(imports, ['a', 'b', './c.ts', 'd', 'e'])
  assert.equal(forbiddenNames(code), ['Bun'])
})

test('each third-party package is imported by exactly one file', () => {
  const importers: Record<string, string[]> = {}
  for (const { path, imports } of [...shipped, ...endToEnd.filter(isNoTest)]) {
    for (const name of new Set(imports.map(packageOf))) {
      if (name) importers[name] = [...(importers[name] ?? []), path]
    }
  }
  assert.ok(importers.esbuild, 'imports are found at all')
  const shared = Object.entries(importers).filter(([, files]) => files.length > 1)
  assert.equal(shared, [])
})

test('every package imported is one that package.json names', () => {
  const manifest = readJson('package.json') as Record<string, Record<string, string>>
  const named = { ...manifest.dependencies, ...manifest.devDependencies }
  const unnamed = all.flatMap(({ path, imports }) =>
    imports
      .map(packageOf)
      .filter((name) => name && !(name in named))
      .map((name) => `${path}: ${name}`),
  )
  assert.equal(unnamed, [])
})

test('the core imports neither runtimes nor what only one of them has', () => {
  const forbidden = /^node:|^(hyperswarm|hyperdht|protomux|ws)(\/|$)|\/runtimes\//
  const found = core.flatMap(({ path, imports }) =>
    imports.filter((specifier) => forbidden.test(specifier)).map((it) => `${path}: ${it}`),
  )
  assert.equal(found, [])
})

test('the core never names process, Deno, Bun or Buffer', () => {
  const found = core.flatMap(({ path, code }) => forbiddenNames(code).map((it) => `${path}: ${it}`))
  assert.equal(found, [])
})

test('the browser bundle contains nothing of @dxos', async () => {
  const { sizes } = await bundleEdge()
  const names = Object.keys(sizes.packages)
  assert.ok(names.includes('noise-protocol'), 'packages are found at all')
  assert.equal(
    names.filter((name) => name.startsWith('@dxos/')),
    [],
  )
})

test('every file begins by saying in one sentence what it is', () => {
  const silent = all.filter(({ text }) => !/^\/\*\*\s[^\n]*\S/.test(text))
  assert.equal(
    silent.map(({ path }) => path),
    [],
  )
})

test('the lock file holds the packages of every platform, or npm ci fails on some', () => {
  const { packages } = readJson('package-lock.json') as { packages: Record<string, LockEntry> }
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
    ),
  )
  assert.equal(missing, [])
})

test.run()

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Declarations of other people's types declare what a package is; they do not use it. */
function isCode({ path }: SourceFile): boolean {
  return !path.endsWith('.d.ts')
}

function isNoTest({ path }: SourceFile): boolean {
  return !path.endsWith('.e2e.ts')
}

function forbiddenNames(code: string): string[] {
  return [...code.matchAll(/\b(process|Deno|Bun|Buffer)\b/g)].map(([name]) => name)
}
