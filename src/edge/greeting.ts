/** The greeting: what an edge and its home prove to each other on a fresh socket. */

import { authorityOf } from '../authority.ts'
import { equal, writer } from '../bytes.ts'
import { randomBytes, sign, verify } from '../crypto.ts'
import { SignalMeshError } from '../errors.ts'
import type { Identity } from '../identity.ts'
import {
  decodeHello,
  decodeWelcome,
  encodeProof,
  type Hello,
  type HelloTopic,
  proofBody,
  type Welcome,
} from '../messages.ts'
import type { Presence } from '../records.ts'
import { PROTOCOL_VERSION } from '../topic.ts'
import { socketUrl } from './dialling.ts'
import type { Want } from './native.ts'
import type { OwnRecords } from './records.ts'
import { signing, verifying } from './wants.ts'

/** What a home tells before it has proved anything itself. */
export interface Told {
  readonly topics: readonly HelloTopic[]
  /** The presence of the peer that it was asked for. */
  readonly held?: Presence | undefined
}

/** An answer that is only to be signed. */
export interface GreetingDraft {
  /** To sign it. */
  wants(): readonly Want[]
  finish(): Greeting
}

export interface Greeting {
  readonly told: Told
  /** The edge's one reply to the hello. */
  readonly proof: Uint8Array
  /** To believe the home's answer; nothing for one that will be refused. */
  takingWelcome(frame: Uint8Array): readonly Want[]
  /** Reads the home's answer; throws `BAD_SIGNATURE` unless it proves its NodeId. */
  readWelcome(frame: Uint8Array): Welcome
}

/** Later than any clock shows; a number above it would outdo every record to come. */
const MAX_CLOCK_MS = 2 ** 48

/** A home's hello, and when it came by the monotonic clock. */
export interface Heard {
  readonly frame: Uint8Array
  readonly hello: Hello
  readonly atMs: number
}

/**
 * Reads a home's hello.
 * @throws SignalMeshError `VERSION_MISMATCH`, `NETWORK_MISMATCH`, `CLOCK_SKEW` or `BAD_FRAME`
 */
export function readHello(networkId: Uint8Array, bytes: Uint8Array, atMs: number): Heard {
  const frame = bytes.slice()
  const hello = decodeHello(frame)
  checkHello(hello, networkId)
  return { frame, hello, atMs }
}

/** Answers a home's hello. */
export function draftGreeting(
  about: { url: string; networkId: Uint8Array; identity: Identity; records: OwnRecords },
  { frame, hello, atMs }: Heard,
): GreetingDraft {
  const { url, networkId, identity, records } = about
  records.follow(hello.nowMs, atMs)
  const nonce = randomBytes(32)
  const chosen = {
    version: PROTOCOL_VERSION,
    features: new Uint8Array(8),
    networkId,
    peerKey: identity.keys.publicKey,
    nonce,
    authority: authorityOf(socketUrl(url)),
  }
  const body = proofBody(frame, chosen)
  const draft = records.draft(hello.nodeKey)
  const signed = writer(64).bytes(nonce).bytes(hello.challenge).done()
  return {
    wants: () => [signing('edge-proof', networkId, body, identity.keys), ...draft.wants()],
    finish: () => ({
      told: hello,
      proof: encodeProof({
        ...chosen,
        signature: sign('edge-proof', networkId, body, identity.keys),
        ...draft.sign(),
      }),
      takingWelcome: (answer) => {
        const { signature } = decodeWelcome(answer)
        return [verifying('node-proof', networkId, signed, signature, hello.nodeKey)]
      },
      readWelcome: (answer) => {
        const welcome = decodeWelcome(answer)
        if (!verify('node-proof', networkId, signed, welcome.signature, hello.nodeKey)) {
          throw new SignalMeshError('BAD_SIGNATURE', 'It did not prove its NodeId')
        }
        return welcome
      },
    }),
  }
}

function checkHello(hello: Hello, networkId: Uint8Array): void {
  if (!hello.versions.includes(PROTOCOL_VERSION)) {
    const spoken = hello.versions.join(', ')
    throw new SignalMeshError(
      'VERSION_MISMATCH',
      `It speaks version ${spoken}, not ${PROTOCOL_VERSION}`,
    )
  }
  if (!hello.networks.some((network) => equal(network, networkId))) {
    throw new SignalMeshError('NETWORK_MISMATCH', 'It serves another network')
  }
  if (hello.nowMs > MAX_CLOCK_MS) {
    throw new SignalMeshError('CLOCK_SKEW', 'Its clock is far off')
  }
}
