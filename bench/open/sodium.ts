/** The edge's primitives with a clock beside them: what they take is added up in the page. */

import * as sodium from '../../src/edge/sodium.ts'

export * from '../../src/edge/sodium.ts'

declare global {
  /** Milliseconds and calls in each primitive since the page has loaded. */
  var cryptoTimes: Record<string, { ms: number; calls: number }>
}

globalThis.cryptoTimes = {}

function timed<Args extends unknown[], Result>(
  name: string,
  primitive: (...args: Args) => Result,
): (...args: Args) => Result {
  const times = { ms: 0, calls: 0 }
  globalThis.cryptoTimes[name] = times
  return (...args) => {
    const startMs = performance.now()
    try {
      return primitive(...args)
    } finally {
      times.ms += performance.now() - startMs
      times.calls += 1
    }
  }
}

export const crypto_generichash_batch: typeof sodium.crypto_generichash_batch = timed(
  'hash',
  sodium.crypto_generichash_batch,
)
export const crypto_generichash: typeof sodium.crypto_generichash = timed(
  'hash of one',
  sodium.crypto_generichash,
)
export const crypto_aead_chacha20poly1305_ietf_encrypt: typeof sodium.crypto_aead_chacha20poly1305_ietf_encrypt =
  timed('encrypt', sodium.crypto_aead_chacha20poly1305_ietf_encrypt)
export const crypto_aead_chacha20poly1305_ietf_decrypt: typeof sodium.crypto_aead_chacha20poly1305_ietf_decrypt =
  timed('decrypt', sodium.crypto_aead_chacha20poly1305_ietf_decrypt)
export const crypto_kx_keypair: typeof sodium.crypto_kx_keypair = timed(
  'X25519 key pair',
  sodium.crypto_kx_keypair,
)
export const crypto_scalarmult: typeof sodium.crypto_scalarmult = timed(
  'X25519',
  sodium.crypto_scalarmult,
)
export const crypto_sign_seed_keypair: typeof sodium.crypto_sign_seed_keypair = timed(
  'Ed25519 key pair',
  sodium.crypto_sign_seed_keypair,
)
export const crypto_sign_detached: typeof sodium.crypto_sign_detached = timed(
  'Ed25519 sign',
  sodium.crypto_sign_detached,
)
export const crypto_sign_verify_detached: typeof sodium.crypto_sign_verify_detached = timed(
  'Ed25519 verify',
  sodium.crypto_sign_verify_detached,
)
