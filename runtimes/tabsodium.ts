/** The primitives of a node in a page: an edge's, but for verifying, which it does all day and noble, once compiled, three times as fast. */

import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { equal } from '../src/bytes.ts'
import { isPlain } from '../src/edge/ed25519.ts'

export * from '../src/edge/sodium.ts'

/** Verifies by libsodium's rule; nothing in it is secret, so that it need not take the same time for all. */
export function crypto_sign_verify_detached(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (!isPlain(signature, publicKey)) return false
  const { BASE, Fn } = ed25519.Point
  const key = decodePoint(publicKey)
  if (!key) return false
  const encodedR = signature.subarray(0, 32)
  const challenge = sha512.create().update(encodedR).update(publicKey).update(message).digest()
  const h = Fn.create(littleEndian(challenge))
  const r = BASE.multiplyUnsafe(littleEndian(signature.subarray(32))).subtract(
    key.multiplyUnsafe(h),
  )
  return equal(r.toBytes(), encodedR)
}

/** The point that an encoding stands for; `undefined` where it stands for none. */
function decodePoint(encoded: Uint8Array): InstanceType<typeof ed25519.Point> | undefined {
  try {
    return ed25519.Point.fromBytes(encoded)
  } catch {
    return undefined
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}
