/** The edge's primitives with sealing switched off: what is "encrypted" stays as it is. */

export * from '../../src/edge/sodium.ts'

const TAG_BYTES = 16

/** In place of ChaCha20-Poly1305: the plaintext and a tag of zeros. Returns the bytes written. */
export function crypto_aead_chacha20poly1305_ietf_encrypt(
  out: Uint8Array,
  message: Uint8Array,
): number {
  out.set(message)
  out.fill(0, message.length, message.length + TAG_BYTES)
  return message.length + TAG_BYTES
}

export function crypto_aead_chacha20poly1305_ietf_decrypt(
  out: Uint8Array,
  _secretNonce: null,
  sealed: Uint8Array,
): number {
  const length = sealed.length - TAG_BYTES
  out.set(sealed.subarray(0, length))
  return length
}
