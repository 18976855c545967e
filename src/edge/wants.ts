/** Wants: what an edge is about to verify, sign and agree on, as WebCrypto is asked for it ahead. */

import { reader, toHex } from '../bytes.ts'
import { KEY_BYTES, type KeyPair, type SignedType, signedBytes } from '../crypto.ts'
import { MAX_RECORD_BYTES } from '../limits.ts'
import { decodePush, type Found, FRAME } from '../messages.ts'
import { decodePresence, type EdgeRecord, partsOf } from '../records.ts'
import { CLASS, classOf, connectionOf, HEADER_BYTES, PHASE, payloadOf, phaseOf } from '../signal.ts'
import type { Native, Want } from './native.ts'

export function verifying(
  type: SignedType,
  networkId: Uint8Array,
  body: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array,
): Want {
  return ['verify', signature, signedBytes(type, networkId, body), publicKey]
}

export function signing(
  type: SignedType,
  networkId: Uint8Array,
  body: Uint8Array,
  { secretKey }: KeyPair,
): Want {
  return ['sign', signedBytes(type, networkId, body), secretKey]
}

/** To believe these records. */
export function believing(networkId: Uint8Array, records: readonly EdgeRecord[]): Want[] {
  return records.map((record) => {
    const { body, signature } = partsOf(record)
    return verifying(record.kind, networkId, body, signature, record.peerKey)
  })
}

export function believingFound(networkId: Uint8Array, found: readonly Found[]): Want[] {
  return believing(
    networkId,
    found.flatMap(({ presence, advert }) => [presence, advert]),
  )
}

/** The name of the key pair that is set aside for one side of a handshake. */
export function pairName(initiator: boolean, connection: Uint8Array): string {
  return `${initiator ? 'caller' : 'called'} ${toHex(connection)}`
}

/** To write an opening signal: the DHs es and ss of Noise IK. */
export function calling(
  native: Native,
  connection: Uint8Array,
  boxKeys: KeyPair,
  remoteBoxKey: Uint8Array,
): Want[] {
  const own = [boxKeys, native.pairFor(pairName(true, connection))]
  return own.flatMap((pair) => (pair ? [['dh', pair.secretKey, remoteBoxKey] as const] : []))
}

/** To take a frame of the home's; nothing for one that will be refused. */
export function taking(
  native: Native,
  about: { readonly networkId: Uint8Array; readonly boxKeys: KeyPair },
  frame: Uint8Array,
): Want[] {
  try {
    if (frame[0] === FRAME.push) {
      const push = decodePush(frame)
      return push.kind === 'join' ? believingFound(about.networkId, [push.found]) : []
    }
    const isHandshake =
      frame[0] === FRAME.signal &&
      frame.length > HEADER_BYTES + KEY_BYTES &&
      phaseOf(frame) === PHASE.handshake
    if (!isHandshake) return []
    return classOf(frame) === CLASS.open
      ? takingOpening(native, about, frame)
      : takingAnswer(native, about.boxKeys, frame)
  } catch {
    return []
  }
}

/** To believe the caller, to read its message (es, ss), and to write the answer (ee, se). */
function takingOpening(
  native: Native,
  { networkId, boxKeys }: { readonly networkId: Uint8Array; readonly boxKeys: KeyPair },
  frame: Uint8Array,
): Want[] {
  const r = reader(payloadOf(frame))
  const presence = decodePresence(r.block(MAX_RECORD_BYTES))
  const ephemeral = r.bytes(KEY_BYTES)
  const own = [boxKeys, native.pairFor(pairName(false, connectionOf(frame)))]
  return [
    ...believing(networkId, [presence]),
    ...own.flatMap((pair) => (pair ? agreeing(pair, [ephemeral, presence.boxKey]) : [])),
  ]
}

/** To read the answer (ee, se). */
function takingAnswer(native: Native, boxKeys: KeyPair, frame: Uint8Array): Want[] {
  const pair = native.knownPair(pairName(true, connectionOf(frame)))
  const ephemeral = payloadOf(frame).subarray(0, KEY_BYTES)
  return pair ? [pair, boxKeys].flatMap((own) => agreeing(own, [ephemeral])) : []
}

function agreeing({ secretKey }: KeyPair, publicKeys: readonly Uint8Array[]): Want[] {
  return publicKeys.map((publicKey) => ['dh', secretKey, publicKey])
}
