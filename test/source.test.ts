/** The source archive that each node offers. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseTarGzip } from 'nanotar'
import { makePages } from '../runtimes/pages.ts'
import { packSource, SOURCE_PARTS } from '../tools/source.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('source')
const about = { name: 'signal-mesh', version: '1.2.3' }

test('holds every file of the repository, byte for byte', async () => {
  const items = await parseTarGzip(await packSource('.', 'it'))
  const packed = new Map(items.map(({ name, data }) => [name, data]))
  const tracked = trackedFiles()
  assert.ok(tracked.length > 100)
  for (const path of tracked) {
    assert.ok(Buffer.from(packed.get(`it/${path}`) ?? '').equals(readFileSync(path)), path)
  }
})

test('packs the same files into the same bytes, and unpacks with tar', async () => {
  const bytes = await packSource('.', 'it')
  assert.ok(Buffer.from(bytes).equals(await packSource('.', 'it')))
  const listing = execFileSync('tar', ['tzf', '-'], { input: bytes, encoding: 'utf8' })
  assert.match(listing, 'it/mod.ts\n')
})

test('takes in no data folder, no dependency, no build and no secret beside the source', async () => {
  const root = mkdtempSync(join(tmpdir(), 'source-'))
  try {
    for (const path of ['data/identity', 'node_modules/x/a.ts', 'dist/a.ts', 'src/seed', '.env']) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), 'secret')
    }
    writeFileSync(join(root, 'src/a.ts'), 'export {}\n')
    const items = await parseTarGzip(await packSource(root, 'it'))
    assert.equal(
      items.map(({ name }) => name),
      ['it/src/a.ts'],
    )
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('is served with its hash on the page that offers it; without one the page says how to make it', async () => {
  const bytes = await packSource('.', 'it')
  const pages = await makePages(new Map([['source.tgz', bytes]]), about)
  const hash = createHash('sha256').update(bytes).digest('hex')
  assert.match(String(await pages('/source')?.text()), hash)
  const served = pages('/source.tgz')
  assert.is(served?.headers.get('content-type'), 'application/gzip')
  assert.ok(Buffer.from(await (served as Response).arrayBuffer()).equals(bytes))

  const none = await makePages(new Map(), about)
  assert.match(String(await none('/source')?.text()), 'npm run build')
  assert.is(none('/source.tgz'), undefined)
})

/** By git where there is one; an unpacked archive has none, and is its own list. */
function trackedFiles(): string[] {
  try {
    return execFileSync('git', ['ls-files'], { encoding: 'utf8', stdio: 'pipe' }).trim().split('\n')
  } catch {
    return SOURCE_PARTS.filter((part) => /\.\w+$/.test(part))
  }
}

test.run()
