/** The browser's stand-in for sodium behaves as sodium-native does, on good input and on bad. */

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import sodiumNative, { type Sodium } from 'sodium-universal'
import * as ofNodesInPages from '../runtimes/tabsodium.ts'
import { startNative } from '../src/edge/native.ts'
import * as standInModule from '../src/edge/sodium.ts'
import { torsionCases } from './fixtures/torsion.ts'
import { assert, suite } from './harness/suite.ts'

const standIn: Pick<Sodium, keyof typeof standInModule> = standInModule
const both = [sodiumNative, standIn] as const

interface EdgeCase {
  readonly message: string
  readonly pub_key: string
  readonly signature: string
}
const edgeCases: readonly EdgeCase[] = JSON.parse(
  readFileSync(`${import.meta.dirname}/vectors/ed25519-edge-cases.json`, 'utf8'),
).cases

/** The verdicts that the protocol holds to, whatever version of libsodium is installed. */
const pinned: { readonly edgeCases: string; readonly smallOrder: readonly string[] } = JSON.parse(
  readFileSync(`${import.meta.dirname}/vectors/ed25519-verdicts.json`, 'utf8'),
)

const test = suite('sodium stand-in', { timeoutMs: 30_000 })

/** Each backend's verdicts on both kinds of cases; asked for once, for they take their time. */
const torsion = torsionCases()
const verdicts = [...both, ofNodesInPages].map((sodium) => ({
  edges: edgeCases.map((edge) =>
    sodium.crypto_sign_verify_detached(hex(edge.signature), hex(edge.message), hex(edge.pub_key)),
  ),
  torsion: torsion.map(({ signature, message, publicKey }) =>
    sodium.crypto_sign_verify_detached(signature, message, publicKey),
  ),
}))

test('gives sodium-native’s verdict on every published edge case of Ed25519', () => {
  assert.is(edgeCases.length, 12)
  assert.equal(verdicts[1]?.edges, verdicts[0]?.edges)
  assert.equal(verdicts[2]?.edges, verdicts[0]?.edges)
})

test('gives sodium-native’s verdict on keys and signatures with a part of small order', () => {
  assert.equal(verdicts[1]?.torsion, verdicts[0]?.torsion)
  assert.equal(verdicts[2]?.torsion, verdicts[0]?.torsion)
  assert.ok(verdicts[0]?.torsion.includes(true), 'an untouched signature is among the cases')
})

test('every backend’s verdicts on both are those that were written down', () => {
  for (const one of verdicts) {
    assert.is(bits(one.edges), pinned.edgeCases)
    assert.is(bits(one.torsion), pinned.smallOrder.join(''))
  }
})

test('signs alike, and takes what the other signed but nothing altered', () => {
  fc.assert(
    fc.property(
      bytes(32),
      bytes(0, 200),
      fc.nat(63),
      fc.integer({ min: 1, max: 255 }),
      (seed, message, at, flip) => {
        const [theirs, ours] = both.map((sodium) => {
          const publicKey = new Uint8Array(32)
          const secretKey = new Uint8Array(64)
          const signature = new Uint8Array(64)
          sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
          sodium.crypto_sign_detached(signature, message, secretKey)
          return { publicKey, secretKey, signature }
        })
        assert.equal(ours, theirs)
        const { signature, publicKey } = theirs!
        assert.ok(standIn.crypto_sign_verify_detached(signature, message, publicKey))
        signature[at]! ^= flip
        assert.not(standIn.crypto_sign_verify_detached(signature, message, publicKey))
      },
    ),
    { numRuns: 25 },
  )
})

test('hashes alike at every length, with and without a key', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 16, max: 64 }),
      fc.array(bytes(0, 300), { maxLength: 4 }),
      fc.option(bytes(16, 64), { nil: undefined }),
      (length, parts, key) => {
        const [theirs, ours] = both.map((sodium) => {
          const out = new Uint8Array(length)
          sodium.crypto_generichash_batch(out, parts, ...(key ? [key] : []))
          return out
        })
        assert.equal(ours, theirs)
      },
    ),
  )
})

test('agrees on X25519 keys and shared secrets', () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), (seed, otherSeed) => {
      const [theirs, ours] = both.map((sodium) => {
        const [publicKey, secretKey] = seedPair(sodium, seed)
        const [otherPublicKey] = seedPair(sodium, otherSeed)
        const shared = new Uint8Array(32)
        sodium.crypto_scalarmult(shared, secretKey, otherPublicKey)
        return { publicKey, secretKey, shared }
      })
      assert.equal(ours, theirs)
    }),
    { numRuns: 25 },
  )
})

test('makes X25519 keys at random, each with its public half', () => {
  const [publicKey, secretKey, again] = [0, 0, 0].map(() => new Uint8Array(32)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  standIn.crypto_kx_keypair(publicKey, secretKey)
  sodiumNative.crypto_scalarmult_base(again, secretKey)
  assert.equal(publicKey, again)
  standIn.crypto_kx_keypair(again, new Uint8Array(32))
  assert.not.equal(publicKey, again)
})

test('throws, as sodium-native does, where a shared secret would be all zeros', () => {
  for (const publicKey of SMALL_ORDER_U) {
    for (const sodium of both) {
      const secretKey = new Uint8Array(32).fill(7)
      assert.throws(() => sodium.crypto_scalarmult(new Uint8Array(32), secretKey, hex(publicKey)))
    }
  }
})

test('seals and opens what the other sealed, and refuses anything altered', () => {
  fc.assert(
    fc.property(
      bytes(32),
      bytes(12),
      fc.option(bytes(0, 80)),
      bytes(0, 300),
      fc.nat(),
      (key, nonce, data, plain, at) => {
        const [theirs, ours] = both.map((sodium) => seal(sodium, key, nonce, data, plain))
        assert.equal(ours, theirs)
        for (const sodium of both) {
          assert.equal(open(sodium, key, nonce, data, ours!), plain)
          const altered = ours!.slice()
          altered[at % altered.length]! ^= 1
          assert.throws(() => open(sodium, key, nonce, data, altered))
        }
      },
    ),
  )
})

test('takes what WebCrypto answered ahead, and only that', async () => {
  const native = startNative()
  assert.ok(native, 'this runtime has WebCrypto')
  const [good] = torsion
  const { signature, message, publicKey } = good!
  const other = Uint8Array.of(99)
  await native.prepare([
    ['verify', signature, message, publicKey],
    ['verify', signature, other, publicKey],
  ])
  const verify = standIn.crypto_sign_verify_detached
  assert.not(verify(signature, other, publicKey))
  assert.ok(verify(signature, message, publicKey))
  assert.is(native.take(['verify', signature, message, publicKey]), undefined, 'it was taken')
  assert.not(verify(signature, other, publicKey), 'and is computed the next time')

  const seed = new Uint8Array(32).fill(5)
  await native.prepare([['public', seed]])
  const [key, secretKey] = [new Uint8Array(32), new Uint8Array(64)]
  standIn.crypto_sign_seed_keypair(key, secretKey, seed)
  assert.is(native.take(['public', seed]), undefined)
  await native.prepare([['sign', message, secretKey]])
  const signed = new Uint8Array(64)
  standIn.crypto_sign_detached(signed, message, secretKey)
  assert.is(native.take(['sign', message, secretKey]), undefined)
  assert.ok(verify(signed, message, key))
  const box = new Uint8Array(32)
  const shared = new Uint8Array(32)
  standIn.crypto_kx_keypair(box, shared)
  await native.prepare([['dh', seed, box]])
  standIn.crypto_scalarmult(shared, seed, box)
  assert.is(native.take(['dh', seed, box]), undefined)
  const theirs = new Uint8Array(32)
  sodiumNative.crypto_scalarmult(theirs, seed, box)
  assert.equal(shared, theirs)
})

test('counts, compares and clears alike', () => {
  fc.assert(
    fc.property(bytes(1, 16), bytes(1, 16), (a, b) => {
      const [theirs, ours] = both.map((sodium) => {
        const counter = a.slice()
        sodium.sodium_increment(counter)
        return {
          counter,
          zero: sodium.sodium_is_zero(a),
          same: sodium.sodium_memcmp(a, a.slice()),
          alike: a.length === b.length && sodium.sodium_memcmp(a, b),
        }
      })
      assert.equal(ours, theirs)
    }),
  )
  const counter = new Uint8Array(8).fill(0xff)
  standIn.sodium_increment(counter)
  assert.ok(standIn.sodium_is_zero(counter), 'the carry runs through and off the end')
  for (const sodium of both) {
    assert.throws(() => sodium.sodium_memcmp(new Uint8Array(1), new Uint8Array(2)))
    const memory = sodium.sodium_malloc(4).fill(1)
    sodium.sodium_memzero(memory)
    assert.ok(sodium.sodium_is_zero(memory))
  }
})

test('fills more random bytes than a browser gives at once', () => {
  const out = new Uint8Array(200_000)
  standIn.randombytes_buf(out)
  assert.not(standIn.sodium_is_zero(out.subarray(199_968)))
})

/** Every u-coordinate of small order on Curve25519, canonical or not, as sodium's own list has them. */
const SMALL_ORDER_U = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]

function seedPair(sodium: typeof standIn, seed: Uint8Array): [Uint8Array, Uint8Array] {
  const publicKey = new Uint8Array(32)
  const secretKey = new Uint8Array(32)
  sodium.crypto_kx_seed_keypair(publicKey, secretKey, seed)
  return [publicKey, secretKey]
}

type Aead = [key: Uint8Array, nonce: Uint8Array, data: Uint8Array | null, text: Uint8Array]

function seal(sodium: typeof standIn, ...[key, nonce, data, plain]: Aead): Uint8Array {
  const out = new Uint8Array(plain.length + 16)
  const written = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
    out,
    plain,
    data,
    null,
    nonce,
    key,
  )
  assert.is(written, out.length)
  return out
}

function open(sodium: typeof standIn, ...[key, nonce, data, sealed]: Aead): Uint8Array {
  const out = new Uint8Array(sealed.length - 16)
  const written = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
    out,
    null,
    sealed,
    data,
    nonce,
    key,
  )
  assert.is(written, out.length)
  return out
}

function bytes(minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength })
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

test.run()

function bits(verdicts: readonly boolean[]): string {
  return verdicts.map(Number).join('')
}
