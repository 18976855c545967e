/** Signatures: each is good for one type, one network, one body and one key, and for nothing else. */

import { isSignedByHome } from '../src/batch.ts'
import { fromHex, utf8 } from '../src/bytes.ts'
import { hash, hashNames, type SignedType, sign, signedBytes, verify } from '../src/crypto.ts'
import { decodeAdvert, decodePresence, type EdgeRecord, isAuthentic } from '../src/records.ts'
import { networkId } from '../src/topic.ts'
import { codeOf } from './fixtures/errors.ts'
import {
  advertOf,
  identityOf,
  NETWORK,
  presenceOf,
  sampleParts,
  tagOf,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const TYPES: readonly SignedType[] = [
  'edge-proof',
  'node-proof',
  'link',
  'presence',
  'advert',
  'batch',
  'head',
]

const test = suite('crypto')

test('takes a signature for its own type alone', () => {
  const { keys } = identityOf(1)
  const body = utf8('a body')
  for (const signed of TYPES) {
    const signature = sign(signed, NETWORK, body, keys)
    const taken = TYPES.filter((type) => verify(type, NETWORK, body, signature, keys.publicKey))
    assert.equal(taken, [signed])
  }
})

test('takes no signature of another network, body or key', () => {
  const { keys } = identityOf(1)
  const body = utf8('a body')
  const signature = sign('head', NETWORK, body, keys)
  assert.ok(verify('head', NETWORK, body, signature, keys.publicKey))
  assert.not(verify('head', networkId('test'), body, signature, keys.publicKey))
  assert.not(verify('head', NETWORK, utf8('a bodY'), signature, keys.publicKey))
  assert.not(verify('head', NETWORK, body, signature, identityOf(2).keys.publicKey))
})

test('says no to keys and signatures of odd length, and does not throw', () => {
  const { keys } = identityOf(1)
  const signature = sign('head', NETWORK, utf8('x'), keys)
  for (const odd of [0, 31, 33, 63, 65]) {
    const bytes = new Uint8Array(odd)
    assert.not(verify('head', NETWORK, utf8('x'), bytes, keys.publicKey))
    assert.not(verify('head', NETWORK, utf8('x'), signature, bytes))
  }
})

test('cannot be led to sign one type’s bytes as another’s by a clever body', () => {
  // A shorter type with the rest of a longer one in its body would begin alike without the zero.
  const [a, b] = [signedBytes('link', NETWORK, utf8('x')), signedBytes('head', NETWORK, utf8('x'))]
  assert.is.not(a.indexOf(0), -1)
  for (const type of TYPES) {
    const bytes = signedBytes(type, NETWORK, utf8('x'))
    assert.is(bytes.indexOf(0), utf8(`signal-mesh/${type}/1`).length)
    assert.equal(bytes.slice(bytes.indexOf(0) + 1, bytes.indexOf(0) + 33), NETWORK)
  }
  assert.not.equal(a, b)
})

test('refuses a record or a batch signed for another network', () => {
  const edge = identityOf(1)
  const home = identityOf(2).id
  const elsewhere = networkId('test')
  const records: EdgeRecord[] = [presenceOf(edge, home), advertOf(edge, tagOf(1))]
  for (const record of records) {
    assert.ok(isAuthentic(NETWORK, record))
    assert.not(isAuthentic(elsewhere, record))
  }
  for (const signed of [sampleParts.batch, sampleParts.head]) {
    assert.ok(isSignedByHome(NETWORK, signed))
    assert.not(isSignedByHome(elsewhere, signed))
  }
})

test('refuses a record with any single bit changed', () => {
  const edge = identityOf(1)
  for (const record of [presenceOf(edge, identityOf(2).id), advertOf(edge, tagOf(1))]) {
    const decode = record.kind === 'presence' ? decodePresence : decodeAdvert
    for (let at = 0; at < record.bytes.length; at++) {
      const bytes = record.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
      if (codeOf(() => decode(bytes)) === undefined) {
        assert.not(isAuthentic(NETWORK, decode(bytes)), `byte ${at}`)
      }
    }
  }
})

test('takes nothing for signed by the key of small order for which anybody can sign', () => {
  const identityKey = fromHex(`01${'00'.repeat(31)}`)
  const forged = fromHex(`01${'00'.repeat(63)}`)
  for (const type of TYPES) assert.not(verify(type, NETWORK, utf8('x'), forged, identityKey))
})

test('hashes lists of names so that no two lists look alike', () => {
  const [a, b, ab, none] = [utf8('a'), utf8('b'), utf8('ab'), new Uint8Array(0)]
  const hashes = [
    hashNames('topic', [a, b]),
    hashNames('topic', [ab]),
    hashNames('topic', [ab, none]),
    hashNames('topic', [none, ab]),
    hashNames('topi', [utf8('c'), a, b]),
    hash([a, b]),
  ].map((bytes) => bytes.join())
  assert.is(new Set(hashes).size, hashes.length)
  assert.equal(hash([a, b]), hash([ab]), 'a plain hash is over the parts one after another')
})

test.run()
