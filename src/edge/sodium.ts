/** A stand-in for sodium-universal in the browser bundle: the functions we use, over stablelib's constant-time code. */

import { BLAKE2b } from '@stablelib/blake2b'
import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305'
import { generateKeyPairFromSeed, sign, verify } from '@stablelib/ed25519'
import { scalarMult, scalarMultBase } from '@stablelib/x25519'
import { isPlain } from './ed25519.ts'
import { nativeForFallback } from './native.ts'

/** What WebCrypto was asked ahead, and has answered, is not computed here. */
const native = nativeForFallback()

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
  const state = new BLAKE2b(out.length, key && { key })
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
  const sealed = new ChaCha20Poly1305(key).seal(nonce, plain, data ?? undefined)
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
  const plain = new ChaCha20Poly1305(key).open(nonce, sealed, data ?? undefined)
  if (!plain) throw new Error('could not verify data')
  out.set(plain)
  return plain.length
}

export function crypto_kx_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void {
  const pair = native.now?.takePair()
  if (pair) {
    publicKey.set(pair.publicKey)
    secretKey.set(pair.secretKey)
    return
  }
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
  publicKey.set(scalarMultBase(secretKey))
}

/** X25519; throws, as libsodium's caller does, where the shared secret would be all zeros. */
export function crypto_scalarmult(
  shared: Uint8Array,
  secretKey: Uint8Array,
  publicKey: Uint8Array,
): void {
  const secret = native.now?.take(['dh', secretKey, publicKey]) ?? scalarMult(secretKey, publicKey)
  if (sodium_is_zero(secret)) throw new Error('could not make a shared secret')
  shared.set(secret)
}

export function crypto_sign_seed_keypair(
  publicKey: Uint8Array,
  secretKey: Uint8Array,
  seed: Uint8Array,
): void {
  publicKey.set(native.now?.take(['public', seed]) ?? generateKeyPairFromSeed(seed).publicKey)
  secretKey.set(seed)
  secretKey.set(publicKey, seed.length)
}

export function crypto_sign_detached(
  signature: Uint8Array,
  message: Uint8Array,
  secretKey: Uint8Array,
): void {
  signature.set(native.now?.take(['sign', message, secretKey]) ?? sign(secretKey, message))
}

/** Verifies by libsodium's rule: what stablelib lets pass besides is sorted out by its bytes. */
export function crypto_sign_verify_detached(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (!isPlain(signature, publicKey)) return false
  const verdict = native.now?.take(['verify', signature, message, publicKey])
  return verdict ? verdict[0] === 1 : verify(publicKey, message, signature)
}
