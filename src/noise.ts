/** Noise XX and IK over noise-protocol, with the guards that it leaves to its callers. */

import noise from 'noise-protocol'
import makeCipher from 'noise-protocol/cipher.js'
import makeCipherState from 'noise-protocol/cipher-state.js'
import { concat, equal, utf8 } from './bytes.ts'
import { hash, type KeyPair, moveKey } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import { MAX_NOISE_BYTES } from './limits.ts'

export const TAG_BYTES = 16
/** A public key in clear or sealed, and the payload's tag, stand around a message's payload. */
const MESSAGE_OVERHEAD_BYTES = 32 + 32 + TAG_BYTES + TAG_BYTES
/** Layout of noise-protocol's symmetric state: chaining key, hash, cipher. */
const CHAINING_KEY_BYTES = 64
const HASH_END = 128

const cipher = makeCipher()
const cipherState = makeCipherState({ cipher })

/** One direction of a finished handshake. */
export interface CipherKey {
  /** Key and counter as noise-protocol keeps them. */
  readonly state: Uint8Array
}

export interface Split {
  readonly tx: CipherKey
  readonly rx: CipherKey
}

export interface Handshake {
  /** Writes the next message around `payload`. */
  write(payload: Uint8Array): Uint8Array
  /** Reads the next message and gives its payload; a bad message leaves the state as it was. */
  read(message: Uint8Array): Uint8Array
  /** The other side's static key, once it is known. */
  readonly remoteStatic: Uint8Array | undefined
  /** Both directions' keys, once the last message was written or read. */
  readonly split: Split | undefined
  /** The hash over all that was said so far: equal on both sides, and on no others. */
  hash(): Uint8Array
  /** A key of its own purpose, and of this secret, from the chaining key as it now is. */
  derive(label: string, secret: Uint8Array): CipherKey
  destroy(): void
}

export interface HandshakeOptions {
  readonly pattern: 'XX' | 'IK'
  readonly initiator: boolean
  readonly prologue: Uint8Array
  readonly keys: KeyPair
  /** The responder's static key; the initiator of IK has to know it. */
  readonly remoteStatic?: Uint8Array
}

export function startHandshake(options: HandshakeOptions): Handshake {
  let state = noise.initialize(
    options.pattern,
    options.initiator,
    options.prologue,
    options.keys,
    null,
    options.remoteStatic ?? null,
  )
  let split: Split | undefined
  const keep = (result: { tx: Uint8Array; rx: Uint8Array } | undefined): void => {
    // Guarded memory takes three pages a key, and a process has so many; a link lives for long.
    if (result) split = { tx: { state: moveKey(result.tx) }, rx: { state: moveKey(result.rx) } }
  }
  const symmetric = (): Uint8Array => state.symmetricState
  return {
    write: (payload) => {
      const out = new Uint8Array(payload.length + MESSAGE_OVERHEAD_BYTES)
      if (out.length > MAX_NOISE_BYTES) throw tooLarge(payload.length)
      keep(noise.writeMessage(state, payload, out))
      return out.slice(0, noise.writeMessage.bytes)
    },
    read: (message) => {
      if (message.length > MAX_NOISE_BYTES) throw tooLarge(message.length)
      // noise-protocol changes its state before it finds a message bad; the copy undoes that.
      const before = copyState(state)
      const out = new Uint8Array(message.length)
      try {
        keep(noise.readMessage(state, message, out))
      } catch (cause) {
        release(state)
        state = before
        throw new SignalMeshError('BAD_HANDSHAKE', 'Cannot read the handshake message', { cause })
      }
      release(before)
      return out.slice(0, noise.readMessage.bytes)
    },
    get remoteStatic() {
      return state.rs ? Uint8Array.from(state.rs) : undefined
    },
    get split() {
      return split
    },
    // Not `slice`: where the state is a Buffer, that gives a view of what changes and is wiped.
    hash: () => Uint8Array.from(symmetric().subarray(CHAINING_KEY_BYTES, HASH_END)),
    derive: (label, secret) => {
      const chainingKey = symmetric().subarray(0, CHAINING_KEY_BYTES)
      return cipherKey(hash([utf8(`signal-mesh/${label}`), secret], chainingKey))
    },
    destroy: () => release(state),
  }
}

type NoiseState = ReturnType<typeof noise.initialize>

const copies = new WeakSet<NoiseState>()

/** Wipes a state. noise-protocol can free only what it allocated itself, and so no copy. */
function release(state: NoiseState): void {
  if (!copies.has(state)) {
    noise.destroy(state)
    return
  }
  for (const value of Object.values(state)) if (value instanceof Uint8Array) value.fill(0)
}

function copyState(state: NoiseState): NoiseState {
  const copy: NoiseState = Object.create(Object.getPrototypeOf(state))
  for (const [name, value] of Object.entries(state)) {
    copy[name] = value instanceof Uint8Array ? Uint8Array.from(value) : value
  }
  copy.messagePatterns = state.messagePatterns.map((pattern: readonly symbol[]) => [...pattern])
  copies.add(copy)
  return copy
}

function tooLarge(bytes: number): SignalMeshError {
  return new SignalMeshError('TOO_LARGE', `A handshake message cannot hold ${bytes} bytes`)
}

/** A cipher key of 32 bytes, its counter at 0. */
export function cipherKey(key: Uint8Array): CipherKey {
  const state = new Uint8Array(cipherState.STATELEN)
  cipherState.initializeKey(state, key)
  return { state }
}

/** The key that only those have who hold both this one and the secret. */
export function mixKey(key: CipherKey, secret: Uint8Array): CipherKey {
  return cipherKey(hash([utf8('signal-mesh/mixed'), secret], keyOf(key)))
}

/** A key of another purpose that only those have who hold this one. */
export function subKey(key: CipherKey, label: string): CipherKey {
  return cipherKey(hash([utf8(`signal-mesh/${label}`)], keyOf(key)))
}

/** Seals under the key's own counter, which moves on. */
export function sealNext(key: CipherKey, plaintext: Uint8Array): Uint8Array {
  const out = new Uint8Array(plaintext.length + TAG_BYTES)
  cipherState.encryptWithAd(key.state, out, null, plaintext)
  return out
}

/** Opens the frame that the other side sealed next; throws `BAD_FRAME` for any other. */
export function openNext(key: CipherKey, sealed: Uint8Array): Uint8Array {
  if (sealed.length < TAG_BYTES) throw unopened()
  const out = new Uint8Array(sealed.length - TAG_BYTES)
  try {
    cipherState.decryptWithAd(key.state, out, null, sealed)
  } catch (cause) {
    throw unopened(cause)
  }
  return out
}

/** Seals under a counter that the caller names and never uses twice. */
export function sealAt(
  key: CipherKey,
  counter: number,
  header: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const out = new Uint8Array(plaintext.length + TAG_BYTES)
  cipher.encrypt(out, keyOf(key), nonceOf(counter), header, plaintext)
  return out
}

export function openAt(
  key: CipherKey,
  counter: number,
  header: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  if (sealed.length < TAG_BYTES) throw unopened()
  const out = new Uint8Array(sealed.length - TAG_BYTES)
  try {
    cipher.decrypt(out, keyOf(key), nonceOf(counter), header, sealed)
  } catch (cause) {
    throw unopened(cause)
  }
  return out
}

function keyOf(key: CipherKey): Uint8Array {
  return key.state.subarray(0, cipher.KEYLEN)
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(cipher.NONCELEN)
  new DataView(nonce.buffer).setBigUint64(0, BigInt(counter), true)
  return nonce
}

function unopened(cause?: unknown): SignalMeshError {
  return new SignalMeshError(
    'BAD_FRAME',
    'Cannot open the sealed frame: it was not sealed for us',
    {
      cause,
    },
  )
}

/** A prologue: what both sides must hold alike for the handshake to succeed. */
export function prologue(tag: string, parts: readonly Uint8Array[]): Uint8Array {
  return concat(utf8(`signal-mesh/${tag}/1\0`), ...parts)
}

/** Whether a handshake's proven static key is the one expected; IK and XX leave that to us. */
export function isRemote(handshake: Handshake, expected: Uint8Array): boolean {
  return handshake.remoteStatic !== undefined && equal(handshake.remoteStatic, expected)
}
