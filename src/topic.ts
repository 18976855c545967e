/** Names and their hashes: a network's id, the topic where its nodes meet, an application's tags. */

import { utf8, writer } from './bytes.ts'
import { hashNames } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import { MAX_NAME_BYTES } from './limits.ts'

/** The version of everything on the wire. Nodes of another version meet elsewhere. */
export const PROTOCOL_VERSION = 1

/** Name of the Protomux channel that carries a mesh link. */
export const LINK_PROTOCOL: string = `signal-mesh/${PROTOCOL_VERSION}`

/** An application's topic: a name, which can be guessed, or a name and a secret, which cannot. */
export type Topic = string | { readonly name: string; readonly secret: string | Uint8Array }

/** How tags are made; another number would be another rule. */
export const TAG_SCHEME = 1

/** The id of a network, bound into every signature and handshake. 32 bytes. */
export function networkId(network: string): Uint8Array {
  return hashNames('network', [nameBytes(network, 'network')])
}

/** Where on the DHT the nodes of a network and version meet. 32 bytes. */
export function meshTopic(network: string, version: number = PROTOCOL_VERSION): Uint8Array {
  return hashNames('mesh-topic', [nameBytes(network, 'network'), writer(4).u32(version).done()])
}

/**
 * What nodes see of a topic: BLAKE2b-256 of its name and network, keyed with the room's secret where
 * there is one. Without a secret anybody who guesses the name has the tag. 32 bytes.
 * @throws SignalMeshError `BAD_ARGUMENT` for a name or secret that is empty or too long.
 */
export function topicTag(network: string, topic: Topic): Uint8Array {
  const name = typeof topic === 'string' ? topic : topic?.name
  const names = [networkId(network), nameBytes(name, 'topic')]
  return hashNames('topic', names, secretKey(topic))
}

/**
 * What two edges must both hold to speak under a topic: whoever has its tag can make it, unless the
 * topic has a secret; then only who knows that. 32 bytes.
 */
export function topicKey(network: string, topic: Topic): Uint8Array {
  return hashNames('topic-key', [topicTag(network, topic)], secretKey(topic))
}

function secretKey(topic: Topic): Uint8Array | undefined {
  const secret = typeof topic === 'string' ? undefined : topic?.secret
  if (secret === undefined) return undefined
  const bytes = typeof secret === 'string' ? nameBytes(secret, 'secret') : secret
  if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > MAX_NAME_BYTES) {
    throw new SignalMeshError('BAD_ARGUMENT', `Secret must be 1 to ${MAX_NAME_BYTES} bytes`)
  }
  return hashNames('topic-secret', [bytes])
}

function nameBytes(name: unknown, what: string): Uint8Array {
  if (typeof name !== 'string' || name === '') {
    throw new SignalMeshError('BAD_ARGUMENT', `The ${what} must be a non-empty string`)
  }
  const bytes = name.length > MAX_NAME_BYTES ? undefined : utf8(name)
  if (!bytes || bytes.length > MAX_NAME_BYTES) {
    throw new SignalMeshError('BAD_ARGUMENT', `The ${what} is over ${MAX_NAME_BYTES} bytes`)
  }
  // A lone surrogate would become U+FFFD, and two different names one.
  if (/\p{Surrogate}/u.test(name)) {
    throw new SignalMeshError('BAD_ARGUMENT', `The ${what} holds half of a surrogate pair`)
  }
  return bytes
}
