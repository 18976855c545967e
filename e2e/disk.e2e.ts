/** A full disk and a folder that cannot be written: the same words and exit code on each runtime. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'
import { endOn, type RuntimeName, startOn } from './support/runtimes.ts'

const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
/** Enough for a node's files, and soon full. */
const DISK_BYTES = 262_144

const test = suite('disk', { timeoutMs: 30_000 })
const folder = mkdtempSync(join(tmpdir(), 'mesh-disk-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder])
const hasDisk = mounted.status === 0
test.after(() => {
  if (hasDisk) spawnSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true, force: true })
})

const NO_DISK = 'a small disk cannot be mounted here: it takes root'
for (const runtime of RUNTIMES) {
  const name = `a node on ${runtime} says that the disk is full, goes on if it fills later, and loses nothing`
  if (!hasDisk) test.skip(name, NO_DISK)
  else test(name, () => onFullDisk(runtime))
}

async function onFullDisk(runtime: RuntimeName): Promise<void> {
  const data = join(folder, `${runtime}-data`)
  const node = await startOn(runtime, [], data)
  const identity = readFileSync(join(data, 'identity'))
  fill()
  const other = await endOn(runtime, ['--port', '0', '--data', join(folder, runtime)], folder)
  assert.is(other.code, 1)
  assert.match(other.err, /Cannot write .*: the disk is full \(DATA_UNREADABLE\)/)
  assert.is((await fetch(`${node.url}/health`)).status, 200)
  await node.kill()
  // It counts its starts on the disk, so that it never says a thing twice under one number.
  assert.is((await endOn(runtime, ['--port', '0', '--data', data], folder)).code, 1)
  assert.equal(readFileSync(join(data, 'identity')), identity)
  rmSync(join(folder, 'fill'))
  const again = await node.restart()
  assert.is(again.nodeId, node.nodeId)
  assert.is(await again.stop(), 0)
}

/** Writes until nothing more goes in. */
function fill(): void {
  const path = join(folder, 'fill')
  for (let bytes = DISK_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      while (true) writeFileSync(path, new Uint8Array(bytes), { flag: 'a' })
    } catch {
      // Full for pieces of this size.
    }
  }
}

test.run()
