/** The byte vectors: our code still makes them, and other people's cryptography agrees with them. */

import { readFileSync } from 'node:fs'
import { ed25519 } from '@noble/curves/ed25519.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { concat, fromHex, toHex, utf8 } from '../src/bytes.ts'
import { protocolVectors, type Vectors } from './fixtures/vectors.ts'
import { assert, suite } from './harness/suite.ts'

const kept: Vectors = JSON.parse(
  readFileSync(`${import.meta.dirname}/vectors/protocol.json`, 'utf8'),
)
const structure = (name: string): Uint8Array => fromHex(kept.structures[name] as string)

const test = suite('vectors')

test('makes every vector again, byte for byte', () => {
  const made = protocolVectors()
  assert.is(made.names.meshTopic.out, kept.names.meshTopic.out)
  assert.equal(made, kept)
})

test('hashes names as the rule says: tag and parts, each behind its length, under BLAKE2b-256', () => {
  const { networkId, meshTopic, topicTag, topicTagWithSecret, topicKey, topicKeyWithSecret } =
    kept.names
  const version = Uint8Array.of(0, 0, 0, meshTopic.version ?? 0)
  assert.is(networkId.out, named('network', [utf8('main')]))
  assert.is(meshTopic.out, named('mesh-topic', [utf8('main'), version]))
  const parts = [fromHex(networkId.out), utf8('chat')]
  assert.is(topicTag.out, named('topic', parts))
  const key = fromHex(named('topic-secret', [utf8('swordfish')]))
  assert.is(topicTagWithSecret.out, named('topic', parts, key))
  assert.is(topicKey.out, named('topic-key', [fromHex(topicTag.out)]))
  assert.is(topicKeyWithSecret.out, named('topic-key', [fromHex(topicTagWithSecret.out)], key))
})

test('signs each structure under its own type and the network, as another library sees it', () => {
  const { edgeKey, homeKey } = kept.keys
  assert.is(toHex(ed25519.getPublicKey(fromHex(kept.keys.edgeSeed))), edgeKey)
  for (const [name, type, key] of [
    ['presence', 'presence', edgeKey],
    ['advert', 'advert', edgeKey],
    ['batch', 'batch', homeKey],
    ['head', 'head', homeKey],
    ['report', 'report', homeKey],
  ] as const) {
    const bytes = structure(name)
    assert.ok(isSigned(type, bytes.subarray(0, -64), bytes.subarray(-64), key), name)
    assert.not(isSigned('link', bytes.subarray(0, -64), bytes.subarray(-64), key), name)
  }
})

test('signs the whole hello and the edge’s choices in a proof', () => {
  const { edgeKey } = kept.keys
  const body = structure('edgeProofBody')
  const hello = structure('hello')
  assert.is(toHex(body.subarray(2, 2 + hello.length)), toHex(hello))
  const authority = utf8(kept.fields.authority)
  assert.is(toHex(body.subarray(-authority.length)), toHex(authority))
  const proof = structure('proof')
  // Kind, version, features, network, key, nonce, authority with its length.
  const at = 1 + 2 + 8 + 32 + 32 + 32 + 2 + authority.length
  assert.ok(isSigned('edge-proof', body, proof.subarray(at, at + 64), edgeKey))
})

test('keeps every field of a signal’s header at its offset', () => {
  const header = structure('signalHeader')
  const at = (from: number, length: number): string => toHex(header.subarray(from, from + length))
  assert.is(header.length, 144)
  assert.is(at(0, 8), '0501010000000000', 'kind, version, class, flags, hops, phase, two spare')
  assert.is(at(8, 8), kept.names.networkId.out.slice(0, 16), 'network')
  assert.is(at(16, 32), kept.keys.edgeKey, 'from')
  assert.is(at(48, 32), kept.keys.otherEdgeKey, 'to')
  assert.is(at(80, 32), '00'.repeat(32), 'home of the sender, not stamped yet')
  assert.is(at(128, 4), '00000005', 'counter')
  assert.is(at(132, 4), '00000010', 'length of the payload')
  assert.is(at(136, 8), '00'.repeat(8), 'reserved')
  assert.is(toHex(structure('signal').subarray(0, 144)), toHex(header))
})

test('has the fields of a presence where PROTOCOL.md says', () => {
  const { edgeKey, homeKey, boxKey } = kept.keys
  const presence = kept.structures.presence as string
  const seq = kept.fields.seq.toString(16).padStart(16, '0')
  const ttl = kept.fields.ttlMs.toString(16).padStart(8, '0')
  const signed = `01${edgeKey}01${homeKey}${boxKey}${seq}${ttl}010000`
  assert.is(presence.slice(0, -128), signed, 'format … tag scheme, no extensions')
})

test.run()

function named(tag: string, parts: readonly Uint8Array[], key?: Uint8Array): string {
  const blocks = [utf8(`signal-mesh/${tag}`), ...parts].map((part) =>
    concat(Uint8Array.of(part.length >> 8, part.length & 0xff), part),
  )
  return toHex(blake2b(concat(...blocks), { dkLen: 32, ...(key ? { key } : {}) }))
}

function isSigned(type: string, body: Uint8Array, signature: Uint8Array, key: string): boolean {
  const network = fromHex(kept.names.networkId.out)
  const bytes = concat(utf8(`signal-mesh/${type}/1\0`), network, body)
  return ed25519.verify(signature, bytes, fromHex(key))
}
