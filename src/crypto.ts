/** The primitives: BLAKE2b, Ed25519, X25519 and randomness, all from libsodium or its stand-in. */

import sodium from 'sodium-universal'
import { utf8, writer } from './bytes.ts'

export const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
export const HASH_BYTES = 32

export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

export function randomBytes(length: number): Uint8Array {
  const out = new Uint8Array(length)
  sodium.randombytes_buf(out)
  return out
}

/** A copy of a key in ordinary memory; the guarded memory that it came in is freed. */
export function moveKey(guarded: Uint8Array): Uint8Array {
  const key = Uint8Array.from(guarded)
  sodium.sodium_free(guarded)
  return key
}

/** BLAKE2b-256 of the parts one after another, keyed where a key of 16 to 64 bytes is given. */
export function hash(parts: readonly Uint8Array[], key?: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES)
  if (key) sodium.crypto_generichash_batch(out, [...parts], key)
  else sodium.crypto_generichash_batch(out, [...parts])
  return out
}

/** A tagged hash of names: every part goes in with its length, so that no two lists look alike. */
export function hashNames(tag: string, names: readonly Uint8Array[], key?: Uint8Array): Uint8Array {
  const input = writer().text(`signal-mesh/${tag}`)
  for (const name of names) input.block(name)
  return hash([input.done()], key)
}

/** The Ed25519 key pair of a 32-byte seed (RFC 8032, section 5.1.5). */
export function signingKeyPair(seed: Uint8Array): KeyPair {
  const publicKey = new Uint8Array(KEY_BYTES)
  const secretKey = new Uint8Array(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

/** A fresh X25519 key pair for one session or process. */
export function boxKeyPair(): KeyPair {
  const publicKey = new Uint8Array(KEY_BYTES)
  const secretKey = new Uint8Array(KEY_BYTES)
  sodium.crypto_kx_keypair(publicKey, secretKey)
  return { publicKey, secretKey }
}

/** What a signature is over; each has its own tag, so that none can be passed off as another. */
export type SignedType =
  | 'edge-proof'
  | 'node-proof'
  | 'link'
  | 'presence'
  | 'advert'
  | 'batch'
  | 'head'
  | 'report'

/** The bytes that are signed: "signal-mesh/<type>/1" 0x00, the network's id, the body. */
export function signedBytes(type: SignedType, networkId: Uint8Array, body: Uint8Array): Uint8Array {
  return writer(64 + body.length)
    .bytes(utf8(`signal-mesh/${type}/1\0`))
    .bytes(networkId)
    .bytes(body)
    .done()
}

export function sign(
  type: SignedType,
  networkId: Uint8Array,
  body: Uint8Array,
  keys: KeyPair,
): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES)
  sodium.crypto_sign_detached(signature, signedBytes(type, networkId, body), keys.secretKey)
  return signature
}

/**
 * Whether the signature is good by libsodium's rule: S < L, A and R of no small order, A canonical,
 * without the cofactor.
 */
export function verify(
  type: SignedType,
  networkId: Uint8Array,
  body: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== KEY_BYTES) return false
  return sodium.crypto_sign_verify_detached(
    signature,
    signedBytes(type, networkId, body),
    publicKey,
  )
}
