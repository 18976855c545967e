/** Identity and epoch: kept across restarts, never overwritten when damaged. */

import { ed25519 } from '@noble/curves/ed25519.js'
import { toHex } from '../src/bytes.ts'
import { loadEpoch } from '../src/epoch.ts'
import { loadIdentity, makeIdentity } from '../src/identity.ts'
import type { Store } from '../src/runtime.ts'
import { codeOf, rejection } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('identity')

test('has as its id the public Ed25519 key of its seed', () => {
  const seed = new Uint8Array(32).fill(9)
  const identity = makeIdentity(seed)
  assert.is(identity.id, toHex(ed25519.getPublicKey(seed)))
  seed.fill(0)
  assert.is(makeIdentity(identity.seed).id, identity.id, 'its seed is a copy')
  assert.is.not(makeIdentity().id, makeIdentity().id)
})

test('refuses a seed that is not 32 bytes', () => {
  for (const seed of [new Uint8Array(31), new Uint8Array(33), 'a'.repeat(32), null]) {
    assert.is(
      codeOf(() => makeIdentity(seed as Uint8Array)),
      'BAD_ARGUMENT',
    )
  }
})

test('keeps a new identity and finds it again', async () => {
  const { store, writes } = recordingStore()
  const first = await loadIdentity(store)
  assert.is((await loadIdentity(store)).id, first.id)
  assert.is(writes.length, 1)
})

test('refuses a kept identity with any bit wrong or missing, and writes nothing over it', async () => {
  const { store, files, writes } = recordingStore()
  await loadIdentity(store)
  const good = files.get('identity') as Uint8Array
  const damaged = [
    new Uint8Array(0),
    good.slice(0, 32),
    good.slice(0, -1),
    Uint8Array.of(...good, 0),
  ]
  for (let at = 0; at < good.length; at++) {
    damaged.push(good.map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte)))
  }
  for (const bytes of damaged) {
    files.set('identity', bytes)
    assert.is(await rejection(loadIdentity(store)), 'IDENTITY_CORRUPT')
    assert.equal(files.get('identity'), bytes)
  }
  assert.is(writes.length, 1)
})

test('counts epochs up from start to start, also with a clock that was set back', async () => {
  const { store, writes } = recordingStore()
  assert.is(await loadEpoch(store, 1000), 1000)
  assert.is(await loadEpoch(store, 5000), 5000)
  assert.is(await loadEpoch(store, 2000), 5001)
  assert.is(await loadEpoch(store, 2000), 5002)
  assert.equal(writes, ['epoch', 'epoch', 'epoch', 'epoch'])
})

test('takes a kept epoch that no number can follow for none', async () => {
  for (const kept of [new Uint8Array(8).fill(0xff), Uint8Array.of(0, 31, ...Array(6).fill(255))]) {
    const { store, files } = recordingStore()
    files.set('epoch', kept)
    assert.is(await loadEpoch(store, 1000), 1000)
    assert.is(await loadEpoch(store, 1000), 1001)
  }
})

test('uses no epoch that it could not keep', async () => {
  const { store } = recordingStore()
  const full: Store = { ...store, write: () => Promise.reject(new Error('disk full')) }
  let failed = false
  await loadEpoch(full, 1000).catch(() => (failed = true))
  assert.ok(failed)
})

test.run()

function recordingStore(): { store: Store; files: Map<string, Uint8Array>; writes: string[] } {
  const files = new Map<string, Uint8Array>()
  const writes: string[] = []
  const store: Store = {
    kept: true,
    read: async (name) => files.get(name),
    write: async (name, value) => {
      writes.push(name)
      files.set(name, value)
    },
  }
  return { store, files, writes }
}
