/** A stand-in for sodium-universal in the browser bundle: the functions we use, over audited noble. */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { sha512 } from '@noble/hashes/sha2.js'

// A larger table of the base point takes longer to make than it saves: a page signs a few times, and at first.
ed25519.Point.BASE.precompute(3)

export const crypto_aead_chacha20poly1305_ietf_KEYBYTES: number = 32
export const crypto_aead_chacha20poly1305_ietf_NPUBBYTES: number = 12
export const crypto_aead_chacha20poly1305_ietf_ABYTES: number = 16
export const crypto_generichash_BYTES: number = 32
export const crypto_kx_SEEDBYTES: number = 32
export const crypto_scalarmult_BYTES: number = 32
export const crypto_scalarmult_SCALARBYTES: number = 32
export const crypto_sign_PUBLICKEYBYTES: number = 32
export const crypto_sign_SECRETKEYBYTES: number = 64
export const crypto_sign_SEEDBYTES: number = 32
export const crypto_sign_BYTES: number = 64

/** The most that `crypto.getRandomValues` gives at once. */
const MAX_RANDOM_BYTES = 65_536

/** Plain memory: a page cannot lock or guard any. */
export function sodium_malloc(length: number): Uint8Array {
  return new Uint8Array(length)
}

export function sodium_memzero(buffer: Uint8Array): void {
  buffer.fill(0)
}

export function sodium_free(buffer: Uint8Array): void {
  buffer.fill(0)
}

/** Whether the two hold the same bytes, in a time that does not depend on which. */
export function sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) throw new RangeError('Cannot compare buffers of unequal length')
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}

export function sodium_is_zero(buffer: Uint8Array): boolean {
  let bits = 0
  for (const byte of buffer) bits |= byte
  return bits === 0
}

/** Adds one to a little-endian counter. */
export function sodium_increment(counter: Uint8Array): void {
  let carry = 1
  for (let i = 0; i < counter.length; i++) {
    carry += counter[i] ?? 0
    counter[i] = carry & 0xff
    carry >>= 8
  }
}

export function randombytes_buf(out: Uint8Array): void {
  for (let start = 0; start < out.length; start += MAX_RANDOM_BYTES) {
    const part = out.subarray(start, start + MAX_RANDOM_BYTES)
    part.set(crypto.getRandomValues(new Uint8Array(part.length)))
  }
}

export function crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void {
  crypto_generichash_batch(out, [input], key)
}

export function crypto_generichash_batch(
  out: Uint8Array,
  parts: readonly Uint8Array[],
  key?: Uint8Array,
): void {
  const state = blake2b.create(key ? { dkLen: out.length, key } : { dkLen: out.length })
  for (const part of parts) state.update(part)
  out.set(state.digest())
}

/** Seals into `out`; gives the number of bytes written. The data may be `null`. */
export function crypto_aead_chacha20poly1305_ietf_encrypt(
  out: Uint8Array,
  plain: Uint8Array,
  data: Uint8Array | null,
  _secretNonce: null,
  nonce: Uint8Array,
  key: Uint8Array,
): number {
  const sealed = chacha20poly1305(key, nonce, data ?? undefined).encrypt(plain)
  out.set(sealed)
  return sealed.length
}

/** Opens into `out`, which stays as it was where the tag is wrong; then it throws. */
export function crypto_aead_chacha20poly1305_ietf_decrypt(
  out: Uint8Array,
  _secretNonce: null,
  sealed: Uint8Array,
  data: Uint8Array | null,
  nonce: Uint8Array,
  key: Uint8Array,
): number {
  const plain = chacha20poly1305(key, nonce, data ?? undefined).decrypt(sealed)
  out.set(plain)
  return plain.length
}

export function crypto_kx_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void {
  randombytes_buf(secretKey)
  crypto_scalarmult_base(publicKey, secretKey)
}

export function crypto_kx_seed_keypair(
  publicKey: Uint8Array,
  secretKey: Uint8Array,
  seed: Uint8Array,
): void {
  crypto_generichash(secretKey, seed)
  crypto_scalarmult_base(publicKey, secretKey)
}

export function crypto_scalarmult_base(publicKey: Uint8Array, secretKey: Uint8Array): void {
  publicKey.set(x25519.getPublicKey(secretKey))
}

/** X25519; noble throws, as libsodium's caller does, where the shared secret would be all zeros. */
export function crypto_scalarmult(
  shared: Uint8Array,
  secretKey: Uint8Array,
  publicKey: Uint8Array,
): void {
  shared.set(x25519.getSharedSecret(secretKey, publicKey))
}

export function crypto_sign_seed_keypair(
  publicKey: Uint8Array,
  secretKey: Uint8Array,
  seed: Uint8Array,
): void {
  publicKey.set(ed25519.getPublicKey(seed))
  secretKey.set(seed)
  secretKey.set(publicKey, seed.length)
}

export function crypto_sign_detached(
  signature: Uint8Array,
  message: Uint8Array,
  secretKey: Uint8Array,
): void {
  signature.set(ed25519.sign(message, secretKey.subarray(0, 32)))
}

/**
 * Verifies by libsodium's rule, which noble's own verify is not: S < L, A and R not of small order,
 * A canonical, and R compared byte for byte without the cofactor, so that a mixed-order key or R
 * passes here exactly where it does there.
 */
export function crypto_sign_verify_detached(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  const { Point } = ed25519
  const encodedR = signature.subarray(0, 32)
  const s = littleEndian(signature.subarray(32, 64))
  if (s >= Point.Fn.ORDER) return false
  const a = decodePoint(publicKey)
  if (!a || a.isSmallOrder()) return false
  const challenge = sha512.create().update(encodedR).update(publicKey).update(message).digest()
  const h = Point.Fn.create(littleEndian(challenge))
  const r = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(h))
  return !r.isSmallOrder() && sodium_memcmp(r.toBytes(), encodedR)
}

type Point = InstanceType<typeof ed25519.Point>

/** The point that a canonical encoding stands for; `undefined` for any other bytes. */
function decodePoint(encoded: Uint8Array): Point | undefined {
  try {
    return ed25519.Point.fromBytes(encoded)
  } catch {
    return undefined
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let hex = ''
  for (const byte of bytes) hex = byte.toString(16).padStart(2, '0') + hex
  return BigInt(`0x${hex}`)
}
