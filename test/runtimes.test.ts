/** The adapters as sources: what each loads, and what Deno is told of packages. */

import { build } from 'esbuild'
import { readJson } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('runtimes')

/** What ends a process that is not Node's as soon as a HyperDHT is made. */
const DEADLY = /(^|\/)(hyperswarm|hyperdht|dht-rpc|udx-native)(\/|$)/

interface Graph {
  /** Our own files, by import. */
  readonly files: readonly string[]
  readonly packages: readonly string[]
}

/** All that a module brings along; with `isWhole` also what it may import later. */
async function graphOf(entry: string, isWhole = false): Promise<Graph> {
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'silent',
  })
  const packages = new Set<string>()
  const files = new Set<string>([entry])
  for (const file of files) {
    for (const { path, kind, external } of metafile.inputs[file]?.imports ?? []) {
      if (kind === 'dynamic-import' && !isWhole) continue
      if (external) packages.add(path)
      else files.add(path)
    }
  }
  return { files: [...files], packages: [...packages] }
}

test('neither Deno nor Bun loads what would end its process', async () => {
  for (const entry of ['runtimes/deno.ts', 'runtimes/bun.ts', 'mod.ts']) {
    const { files, packages } = await graphOf(entry)
    assert.ok(files.length > 5, 'files are found at all')
    assert.equal(
      packages.filter((name) => DEADLY.test(name)),
      [],
      entry,
    )
    assert.not.ok(files.includes('runtimes/node.ts'), entry)
  }
  const node = await graphOf('runtimes/node.ts', true)
  assert.ok(
    node.packages.some((name) => DEADLY.test(name)),
    'they are found where they are',
  )
})

test('nothing that Deno or Bun may load later makes a HyperDHT of its own', async () => {
  for (const entry of ['runtimes/deno.ts', 'runtimes/bun.ts']) {
    const { files, packages } = await graphOf(entry, true)
    const own = ['runtimes/dht.ts', 'runtimes/swarm.ts', 'runtimes/bootstrap.ts']
    assert.equal(
      files.filter((file) => own.includes(file)),
      [],
      entry,
    )
    assert.not.ok(packages.includes('hyperdht'), entry)
  }
})

test('Bun does not load the sockets of Node, nor Deno those of Bun', async () => {
  const [deno, bun] = [await graphOf('runtimes/deno.ts'), await graphOf('runtimes/bun.ts')]
  assert.not.ok(bun.packages.includes('ws'))
  assert.not.ok(deno.files.some((file) => file.startsWith('runtimes/bun')))
})

test('deno.json maps each package on which package.json depends, to the same version', () => {
  const { dependencies } = readJson('package.json') as { dependencies: Record<string, string> }
  const wanted = Object.entries(dependencies).flatMap(([name, version]) => [
    [name, `npm:${name}@${version}`],
    [`${name}/`, `npm:/${name}@${version}/`],
  ])
  assert.equal(readJson('deno.json').imports, Object.fromEntries(wanted))
})

test.run()
