/** The name of a node's runtime: signed in its heads, shown by others, skipped where it is none. */

import { decodeHead, isSignedByHome, signHead } from '../src/batch.ts'
import { concat, utf8, writer } from '../src/bytes.ts'
import { SIGNATURE_BYTES, sign } from '../src/crypto.ts'
import { HEARTBEAT_MS, MAX_EXTENSION_BYTES } from '../src/limits.ts'
import type { MeshNode } from '../src/node.ts'
import { codeOf } from './fixtures/errors.ts'
import { NETWORK, testHome } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { testMesh } from './support/mesh.ts'

const CONTACT = { dhtKey: undefined, urls: [], vias: [] }
const home = testHome(50)
const { keys } = home.identity

const test = suite('runtimenames')

test('each node shows what the others run on, as they signed it', async () => {
  const mesh = await testMesh(2)
  const [one, two] = mesh.nodes as [MeshNode, MeshNode]
  await mesh.clock.advance(HEARTBEAT_MS)
  for (const node of [one, two]) {
    assert.equal(node.health().mesh.runtimes, { [one.id]: 'node', [two.id]: 'node' })
  }
  await mesh.close()
})

test('a head says on what its home runs, under the home’s signature', () => {
  const head = signHead(NETWORK, keys, home.log.head({ ...CONTACT, runtime: 'deno' }))
  assert.is(head.contact.runtime, 'deno')
  assert.ok(isSignedByHome(NETWORK, head))
  const other = head.bytes.slice()
  other.set(utf8('node'), other.length - SIGNATURE_BYTES - 4)
  assert.is(decodeHead(other).contact.runtime, 'node')
  assert.not(isSignedByHome(NETWORK, decodeHead(other)))
})

test('what is no name of a runtime is skipped, and the head taken', () => {
  for (const value of ['', 'Node', 'no de', '<b>', 'nöde', 'x'.repeat(17), '\0\0\0\0']) {
    const { contact } = decodeHead(headWith(extension(1, utf8(value))))
    assert.equal(contact, CONTACT, JSON.stringify(value))
  }
})

test('what a head holds besides is kept and skipped, but not what is critical, cut off or too much', () => {
  const runtime = extension(1, utf8('bun'))
  const unknown = extension(77, utf8('to come'))
  assert.is(decodeHead(headWith(concat(unknown, runtime))).contact.runtime, 'bun')
  const refused = [extension(128, utf8('x')), runtime.subarray(0, 4), Uint8Array.of(1)]
  for (const area of [...refused, new Uint8Array(MAX_EXTENSION_BYTES + 2)]) {
    assert.is(
      codeOf(() => decodeHead(headWith(area))),
      'BAD_FRAME',
    )
  }
})

test.run()

function extension(type: number, value: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type, value.length), value)
}

/** A head of the home with this extension area. */
function headWith(area: Uint8Array): Uint8Array {
  const plain = signHead(NETWORK, keys, home.log.head(CONTACT)).bytes
  const fields = plain.subarray(0, plain.length - SIGNATURE_BYTES - 2)
  const body = writer().bytes(fields).block(area).done()
  return concat(body, sign('head', NETWORK, body, keys))
}
