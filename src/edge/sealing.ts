/** Sealing: one connection's keys, and which frame may stand under which of them. */

import { concat, equal, fromHex, reader, toHex, utf8, writer } from '../bytes.ts'
import { HASH_BYTES, hash, type KeyPair } from '../crypto.ts'
import { SignalMeshError } from '../errors.ts'
import { MAX_BAD_SIGNALS, MAX_RECORD_BYTES } from '../limits.ts'
import {
  type CipherKey,
  cipherKey,
  type Handshake,
  isRemote,
  mixKey,
  openAt,
  prologue,
  type Split,
  sealAt,
  startHandshake,
  subKey,
  TAG_BYTES,
} from '../noise.ts'
import { decodePresence, type Presence } from '../records.ts'
import {
  CLASS,
  counterOf,
  encodeSignal,
  isAckOf,
  PHASE,
  payloadOf,
  phaseOf,
  sealedHeader,
  signalHeader,
} from '../signal.ts'
import { PROTOCOL_VERSION } from '../topic.ts'
import { forgetPair, prepare, usePair } from './native.ts'
import { calling, pairName } from './wants.ts'

export interface SealingOptions {
  readonly networkId: Uint8Array
  readonly initiator: boolean
  readonly connection: Uint8Array
  readonly self: { readonly key: Uint8Array; readonly boxKeys: KeyPair }
  readonly remote: { readonly key: Uint8Array; readonly boxKey: Uint8Array }
  /** The topic that the initiator calls in; the other learns it from the opening signal. */
  readonly tag?: Uint8Array | undefined
  /** The key of a topic that this edge is in, by its tag in hex digits. */
  topicKey(tag: string): Uint8Array | undefined
}

export interface Sealing {
  /** Whether the opening signal was written or read: there are early keys. */
  readonly opened: boolean
  /** Whether it was answered: there are the final keys. */
  readonly answered: boolean
  /** Whether the called has not the key of the topic, which is all that its answer says. */
  readonly declined: boolean
  /** The topic of the connection, in hex digits; empty while it is not known. */
  readonly tag: string
  /** The opening signal: this edge's presence, and the first message of the handshake. */
  sealOpening(presence: Uint8Array, plain: Uint8Array): Uint8Array
  /** The answer to it: the second message. */
  sealAnswer(plain: Uint8Array): Uint8Array
  /** The answer of one who has not the topic's key: the second message, empty. */
  sealDecline(): Uint8Array
  /** A frame under the best keys there are. Acknowledgements are numbered apart. */
  seal(plain: Uint8Array, counter: number, ack: boolean): Uint8Array
  /** Opens a frame; throws for any that was not sealed for this place. */
  unseal(frame: Uint8Array): Uint8Array
  /** Keys for what homes carry between the two, once there are the final ones. */
  readonly carryKeys: Split | undefined
  destroy(): void
}

/** Acknowledgements count from here, since they are neither ordered nor sent again. */
const ACK_COUNTERS = 2 ** 32
/** A handshake's payloads need no header beside them: Noise binds them to their place. */
const NO_HEADER = new Uint8Array(0)

export function createSealing(options: SealingOptions): Sealing {
  const { networkId, initiator, self, remote, connection } = options
  const about = sealedAbout(options)
  const handshake = startSealing(options, about)
  const pair = pairName(initiator, connection)
  if (initiator) {
    void prepare((native) => calling(native, connection, self.boxKeys, remote.boxKey))
  }
  let tag = options.tag ? toHex(options.tag) : ''
  let topicKey = options.topicKey(tag)
  let declined = false
  let earlyTx: CipherKey | undefined
  let earlyRx: CipherKey | undefined
  let splitTx: CipherKey | undefined
  let splitRx: CipherKey | undefined
  let heardSplit = false
  let bad = 0
  let released = false

  const deriveEarly = (): void => {
    const [own, other] = initiator
      ? (['early-initiator', 'early-responder'] as const)
      : (['early-responder', 'early-initiator'] as const)
    earlyTx = handshake.derive(own, secret())
    earlyRx = handshake.derive(other, secret())
  }

  const deriveSplit = (): void => {
    const { tx, rx } = handshake.split as NonNullable<Handshake['split']>
    splitTx = mixKey(tx, secret())
    splitRx = mixKey(rx, secret())
  }

  const secret = (): Uint8Array => {
    if (topicKey) return topicKey
    throw new SignalMeshError('NOT_ADVERTISED', 'This edge is not in the topic')
  }

  /** Noise alone would show an offer to whoever is called; under this, to who knows the topic too. */
  const payloadKey = (name: 'open' | 'answer'): CipherKey =>
    cipherKey(hash([utf8(`signal-mesh/topic-${name}`), about], secret()))

  /** Only the keys are needed once there are the final ones; a handshake takes locked memory. */
  const letGo = (): void => {
    if (released) return
    released = true
    forgetPair(pair)
    handshake.destroy()
  }

  const route = { from: self.key, to: remote.key, connection }

  /** A message of the handshake; each side writes one, as its first frame. */
  const message = (cls: number, payload: Uint8Array): Uint8Array =>
    encodeSignal(networkId, { ...route, class: cls, phase: PHASE.handshake, counter: 0, payload })

  const writeMessage = (payload: Uint8Array): Uint8Array => {
    usePair(pair)
    return handshake.write(payload)
  }

  const readMessage = (frame: Uint8Array): Uint8Array => {
    const isDue = initiator ? earlyTx && !handshake.split : !earlyTx
    // Noise binds no header to a message, but in these only the length is free.
    if (!isDue || bad >= MAX_BAD_SIGNALS || !equal(sealedHeader(frame), headerDue(frame))) {
      throw notSealed()
    }
    try {
      return initiator ? readAnswer(frame) : readOpening(frame)
    } catch (error) {
      bad += 1
      throw error
    }
  }

  const headerDue = (frame: Uint8Array): Uint8Array =>
    signalHeader(
      networkId,
      {
        class: initiator ? CLASS.within : CLASS.open,
        phase: PHASE.handshake,
        from: remote.key,
        to: self.key,
        connection,
        counter: 0,
      },
      payloadOf(frame).length,
    )

  const readOpening = (frame: Uint8Array): Uint8Array => {
    const r = reader(payloadOf(frame))
    r.block(MAX_RECORD_BYTES)
    const bytes = handshake.read(r.rest())
    if (!isRemote(handshake, remote.boxKey)) {
      throw new SignalMeshError('BAD_SIGNATURE', 'The caller is not whose presence it shows')
    }
    const named = toHex(bytes.subarray(0, HASH_BYTES))
    topicKey = options.topicKey(named)
    // Whether the topic is unknown here or its secret there, the answer is the same.
    declined = true
    const plain = openAt(payloadKey('open'), 0, NO_HEADER, bytes.subarray(HASH_BYTES))
    declined = false
    tag = named
    deriveEarly()
    return plain
  }

  const readAnswer = (frame: Uint8Array): Uint8Array => {
    const bytes = handshake.read(payloadOf(frame))
    letGo()
    declined = bytes.length === 0
    if (declined) return bytes
    const plain = openAt(payloadKey('answer'), 0, NO_HEADER, bytes)
    deriveSplit()
    return plain
  }

  return {
    get opened() {
      return earlyTx !== undefined
    },
    get answered() {
      return splitTx !== undefined
    },
    get declined() {
      return declined
    },
    get tag() {
      return tag
    },
    sealOpening: (presence, plain) => {
      const bound = sealAt(payloadKey('open'), 0, NO_HEADER, plain)
      const sealed = writeMessage(concat(fromHex(tag), bound))
      deriveEarly()
      return message(
        CLASS.open,
        writer(presence.length + 2 + sealed.length)
          .block(presence)
          .bytes(sealed)
          .done(),
      )
    },
    sealAnswer: (plain) => {
      const sealed = writeMessage(sealAt(payloadKey('answer'), 0, NO_HEADER, plain))
      deriveSplit()
      letGo()
      return message(CLASS.within, sealed)
    },
    sealDecline: () => {
      const sealed = writeMessage(new Uint8Array(0))
      letGo()
      return message(CLASS.within, sealed)
    },
    seal: (plain, counter, ack) => {
      const key = splitTx ?? earlyTx
      if (!key) throw new SignalMeshError('INTERNAL', 'No keys yet')
      const phase = splitTx ? PHASE.split : PHASE.early
      const fields = { ...route, class: CLASS.within, phase, counter, ack }
      const header = signalHeader(networkId, fields, plain.length + TAG_BYTES)
      const payload = sealAt(key, ack ? counter + ACK_COUNTERS : counter, header, plain)
      return encodeSignal(networkId, { ...fields, payload })
    },
    unseal: (frame) => {
      const phase = phaseOf(frame)
      if (phase === PHASE.handshake) return readMessage(frame)
      const key = phase === PHASE.split ? splitRx : earlyRx
      if (!key || (phase !== PHASE.split && heardSplit)) throw notSealed()
      const nonce = isAckOf(frame) ? counterOf(frame) + ACK_COUNTERS : counterOf(frame)
      const plain = openAt(key, nonce, sealedHeader(frame), payloadOf(frame))
      heardSplit ||= phase === PHASE.split && !isAckOf(frame)
      return plain
    },
    get carryKeys() {
      return splitTx && splitRx && { tx: subKey(splitTx, 'carry'), rx: subKey(splitRx, 'carry') }
    },
    destroy: letGo,
  }
}

/** What a connection is about: who calls whom, in which session, network and version. */
function sealedAbout(options: SealingOptions): Uint8Array {
  const { networkId, initiator, connection, self, remote } = options
  const own = { key: self.key, boxKey: self.boxKeys.publicKey }
  const [caller, called] = initiator ? [own, remote] : [remote, own]
  return concat(
    writer(2).u16(PROTOCOL_VERSION).done(),
    networkId,
    caller.key,
    caller.boxKey,
    called.key,
    called.boxKey,
    connection,
  )
}

function startSealing(options: SealingOptions, about: Uint8Array): Handshake {
  const { initiator, self, remote } = options
  return startHandshake({
    pattern: 'IK',
    initiator,
    keys: self.boxKeys,
    ...(initiator ? { remoteStatic: remote.boxKey } : {}),
    prologue: prologue('signal', [about]),
  })
}

/** The presence that an opening signal carries, if it is the sender's own. */
export function presenceOfOpening(frame: Uint8Array, fromKey: Uint8Array): Presence {
  const presence = decodePresence(reader(payloadOf(frame)).block(MAX_RECORD_BYTES))
  if (!equal(presence.peerKey, fromKey)) {
    throw new SignalMeshError('BAD_SIGNATURE', `${toHex(fromKey)} shows another edge's presence`)
  }
  return presence
}

function notSealed(): SignalMeshError {
  return new SignalMeshError('BAD_FRAME', 'A signal that was not sealed for this place')
}
