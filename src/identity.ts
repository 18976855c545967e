/** An identity: the Ed25519 key that a node or an edge signs with, known by its public half. */

import { equal, toHex } from './bytes.ts'
import { hashNames, type KeyPair, randomBytes, signingKeyPair } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import type { Store } from './runtime.ts'

/** A node's public key as 64 hex digits. */
export type NodeId = string
/** An edge's public key as 64 hex digits. */
export type PeerId = string

export const SEED_BYTES = 32

export interface Identity {
  /** The public key as hex digits: a `NodeId` or a `PeerId`. */
  readonly id: string
  readonly seed: Uint8Array
  readonly keys: KeyPair
}

/**
 * A seed for an identity: this one if it is one, or a new one.
 * @throws SignalMeshError `BAD_ARGUMENT` if the seed is not 32 bytes.
 */
export function checkSeed(seed: Uint8Array = randomBytes(SEED_BYTES)): Uint8Array {
  if (!(seed instanceof Uint8Array) || seed.length !== SEED_BYTES) {
    throw new SignalMeshError('BAD_ARGUMENT', `An identity is ${SEED_BYTES} bytes of seed`)
  }
  return seed
}

/**
 * The identity of a seed; without one, a new identity.
 * @throws SignalMeshError `BAD_ARGUMENT` if the seed is not 32 bytes.
 */
export function makeIdentity(given?: Uint8Array): Identity {
  const seed = checkSeed(given)
  const keys = signingKeyPair(seed)
  return { id: toHex(keys.publicKey), seed: seed.slice(), keys }
}

const IDENTITY_FILE = 'identity'
const CHECK_BYTES = 8

/**
 * The node's kept identity, made and kept where there is none.
 * @throws SignalMeshError `IDENTITY_CORRUPT` if what is kept is not one; nothing is overwritten.
 */
export async function loadIdentity(store: Store): Promise<Identity> {
  const kept = await store.read(IDENTITY_FILE)
  if (!kept) {
    const identity = makeIdentity()
    await store.write(IDENTITY_FILE, withCheck(identity.seed))
    return identity
  }
  const seed = kept.slice(0, SEED_BYTES)
  if (!equal(kept, withCheck(seed))) {
    throw new SignalMeshError(
      'IDENTITY_CORRUPT',
      'Cannot read the kept identity: it is damaged; restore it from a copy, or move the file ' +
        `"${IDENTITY_FILE}" away to start as a new node`,
    )
  }
  return makeIdentity(seed)
}

/** A few bytes of hash behind the seed tell a damaged file from a good one. */
function withCheck(seed: Uint8Array): Uint8Array {
  const out = new Uint8Array(seed.length + CHECK_BYTES)
  out.set(seed)
  out.set(hashNames('identity-check', [seed]).subarray(0, CHECK_BYTES), seed.length)
  return out
}
