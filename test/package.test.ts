/** The package as its manifests say it: npm's and JSR's are twins, and name what the build makes of which source. */

import { existsSync } from 'node:fs'
import jsr from '../deno.json' with { type: 'json' }
import npm from '../package.json' with { type: 'json' }
import lock from '../package-lock.json' with { type: 'json' }
import { toDeclarations } from '../tools/pack.ts'
import { readSources } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('package')
const subpaths = Object.entries(npm.exports)

test('npm and JSR give the same subpaths of the same version, under one licence', () => {
  assert.is(jsr.version, npm.version)
  assert.is(jsr.license, npm.license)
  const files = subpaths.map(([subpath, { default: file }]) => [subpath, file])
  assert.equal(Object.entries(jsr.exports), files)
})

test('each subpath has its source here, its types first, and nothing but a build for users', () => {
  for (const [subpath, conditions] of subpaths) {
    assert.equal(Object.keys(conditions), ['signal-mesh:source', 'types', 'default'], subpath)
    assert.ok(existsSync(conditions['signal-mesh:source']), subpath)
    for (const file of [conditions.types, conditions.default])
      assert.match(file, /^\.\/dist\/npm\//)
  }
})

test('the program is the module that one embeds', () => {
  assert.equal(npm.bin, { [npm.name]: npm.exports['.'].default.slice('./'.length) })
})

test('React is asked for only by those who use the hooks, and imported by one file', () => {
  assert.ok(npm.peerDependenciesMeta.react.optional)
  assert.not.ok('react' in npm.dependencies)
  const importers = readSources('src/**/*.ts').filter(({ imports }) => imports.includes('react'))
  assert.equal(
    importers.map(({ path }) => path),
    ['src/react/mod.ts'],
  )
})

test('the lock file knows what the manifest asks for, or npm ci fails', () => {
  const { dependencies, devDependencies, peerDependencies, bin } = lock.packages['']
  const asked = { dependencies, devDependencies, peerDependencies, bin }
  assert.equal(asked, {
    dependencies: npm.dependencies,
    devDependencies: npm.devDependencies,
    peerDependencies: npm.peerDependencies,
    bin: npm.bin,
  })
})

test('declarations import types from declarations, and values from modules', () => {
  const emitted = `import type { A } from './a.ts';
import { type B, C } from '../b.ts';
export type { D } from './d.ts';
export { type E, F } from './f.ts';
export declare const g: import("./g.ts").G;
import { H } from 'h';
`
  assert.is(
    toDeclarations(emitted),
    `import type { A } from './a.d.ts';
import type { B, C } from '../b.d.ts';
export type { D } from './d.d.ts';
export { type E, F } from './f.js';
export declare const g: import("./g.d.ts").G;
import type { H } from 'h';
`,
  )
})

test.run()
