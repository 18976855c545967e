/** A sealed channel: one connection attempt's signals, sealed end to end, in order, and acknowledged. */

import { equal, reader, toHex, writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { SignalMeshError } from '../errors.ts'
import {
  MAX_BAD_SIGNALS,
  MAX_RECORD_BYTES,
  MAX_RESENDS,
  MAX_WAITING_SIGNALS,
  RESEND_AFTER_MS,
} from '../limits.ts'
import {
  type CipherKey,
  type Handshake,
  isRemote,
  openAt,
  prologue,
  sealAt,
  startHandshake,
  TAG_BYTES,
} from '../noise.ts'
import { decodePresence, type Presence } from '../records.ts'
import {
  CLASS,
  classOf,
  counterOf,
  encodeSignal,
  isAckOf,
  payloadOf,
  PHASE,
  phaseOf,
  sealedHeader,
  signalHeader,
} from '../signal.ts'
import { PROTOCOL_VERSION } from '../topic.ts'
import { decodePlain, encodePlain, type Item } from './items.ts'

export interface SealedOptions {
  readonly networkId: Uint8Array
  readonly clock: Clock
  readonly initiator: boolean
  readonly connection: Uint8Array
  readonly self: { readonly key: Uint8Array; readonly boxKeys: KeyPair }
  readonly remote: { readonly key: Uint8Array; readonly boxKey: Uint8Array }
  /** Hands a whole frame to the home; what is lost is sent again. */
  send(frame: Uint8Array): void
  /** Takes what the other side said, in its order. */
  onItems(items: readonly Item[]): void
}

export interface Sealed {
  /** Begins the attempt: the opening signal, with this edge's presence beside the sealed items. */
  open(presence: Uint8Array, items: readonly Item[]): void
  /** Answers an opening signal; both sides have their final keys after it. */
  answer(items: readonly Item[]): void
  send(items: readonly Item[]): void
  /** Takes a frame of this connection; what was not sealed for it is ignored. */
  receive(frame: Uint8Array): void
  /** Sends at once what is not acknowledged yet: the home has changed. */
  resend(): void
  /** Whether both sides have their final keys. */
  readonly answered: boolean
  /** Whether there are keys to send under. */
  readonly canSend: boolean
  close(): void
}

/** Ack frames are numbered apart, since they are neither ordered nor sent again. */
const ACK_COUNTERS = 2 ** 32
const ACK_AFTER_MS = 100

export function createSealed(options: SealedOptions): Sealed {
  const { clock, networkId } = options
  const handshake = startSealing(options)
  let earlyTx: CipherKey | undefined
  let earlyRx: CipherKey | undefined
  let nextCounter = 0
  let nextAckCounter = 0
  let awaited = 0
  let heardSplit = false
  let bad = 0
  let resends = 0
  let closed = false
  let cancelResend: (() => void) | undefined
  let cancelAck: (() => void) | undefined
  const unacked = new Map<number, Uint8Array>()
  const waiting = new Map<number, Uint8Array>()

  const deriveEarly = (): void => {
    const [own, other] = options.initiator
      ? (['early-initiator', 'early-responder'] as const)
      : (['early-responder', 'early-initiator'] as const)
    earlyTx = handshake.derive(own)
    earlyRx = handshake.derive(other)
  }

  const fieldsOf = (cls: number, phase: number, counter: number, ack = false) => ({
    class: cls,
    phase,
    ack,
    from: options.self.key,
    to: options.remote.key,
    connection: options.connection,
    counter,
  })

  const post = (frame: Uint8Array): void => {
    unacked.set(nextCounter, frame)
    nextCounter += 1
    // A frame that says something also acknowledges.
    cancelAck?.()
    cancelAck = undefined
    options.send(frame.slice())
    cancelResend ??= clock.after(RESEND_AFTER_MS, onResend)
  }

  const plain = (items: readonly Item[]): Uint8Array => encodePlain({ ack: awaited, items })

  /** The best keys there are for this side's next frame. */
  const txKey = (): { key: CipherKey; phase: number } => {
    if (handshake.split) return { key: handshake.split.tx, phase: PHASE.split }
    if (!earlyTx) throw new SignalMeshError('INTERNAL', 'Nothing is sealed before the opening signal')
    return { key: earlyTx, phase: PHASE.early }
  }

  const seal = (items: readonly Item[], counter: number, ack: boolean): Uint8Array => {
    const { key, phase } = txKey()
    const bytes = plain(items)
    const fields = fieldsOf(CLASS.within, phase, counter, ack)
    const header = signalHeader(networkId, fields, bytes.length + TAG_BYTES)
    const nonce = ack ? counter + ACK_COUNTERS : counter
    return encodeSignal(networkId, { ...fields, payload: sealAt(key, nonce, header, bytes) })
  }

  const sendAck = (): void => {
    cancelAck = undefined
    if (earlyTx) options.send(seal([], nextAckCounter++, true))
  }

  const onResend = (): void => {
    cancelResend = undefined
    if (closed || unacked.size === 0 || resends >= MAX_RESENDS) return
    resends += 1
    for (const frame of unacked.values()) options.send(frame.slice())
    cancelResend = clock.after(RESEND_AFTER_MS * 2 ** resends, onResend)
  }

  const acknowledge = (ack: number): void => {
    for (const counter of unacked.keys()) if (counter < ack) unacked.delete(counter)
    if (unacked.size === 0) {
      cancelResend?.()
      cancelResend = undefined
      resends = 0
    }
  }

  /** Opens the frame that is due; throws for any that was not sealed for this place. */
  const unseal = (frame: Uint8Array): Uint8Array => {
    const phase = phaseOf(frame)
    if (classOf(frame) === CLASS.open) return readOpening(frame)
    if (phase === PHASE.handshake) return handshake.read(payloadOf(frame))
    if (phase === PHASE.early && heardSplit) throw notSealed()
    const key = phase === PHASE.split ? handshake.split?.rx : earlyRx
    if (!key) throw notSealed()
    const nonce = isAckOf(frame) ? counterOf(frame) + ACK_COUNTERS : counterOf(frame)
    return openAt(key, nonce, sealedHeader(frame), payloadOf(frame))
  }

  const readOpening = (frame: Uint8Array): Uint8Array => {
    if (options.initiator || earlyRx) throw notSealed()
    const r = reader(payloadOf(frame))
    r.block(MAX_RECORD_BYTES)
    const bytes = handshake.read(r.rest())
    if (!isRemote(handshake, options.remote.boxKey)) {
      throw new SignalMeshError('BAD_SIGNATURE', 'The caller is not whose presence it shows')
    }
    deriveEarly()
    return bytes
  }

  const takeDue = (): void => {
    for (let frame = waiting.get(awaited); frame && !closed; frame = waiting.get(awaited)) {
      waiting.delete(awaited)
      const { ack, items } = decodePlain(unseal(frame))
      awaited += 1
      if (phaseOf(frame) === PHASE.split) heardSplit = true
      acknowledge(ack)
      cancelAck ??= clock.after(ACK_AFTER_MS, sendAck)
      if (items.length) options.onItems(items)
    }
  }

  return {
    open: (presence, items) => {
      const message = handshake.write(plain(items))
      deriveEarly()
      const payload = writer(presence.length + 2 + message.length).block(presence).bytes(message).done()
      post(encodeSignal(networkId, { ...fieldsOf(CLASS.open, PHASE.handshake, nextCounter), payload }))
    },
    answer: (items) => {
      const payload = handshake.write(plain(items))
      post(encodeSignal(networkId, { ...fieldsOf(CLASS.within, PHASE.handshake, nextCounter), payload }))
    },
    send: (items) => {
      if (!closed) post(seal(items, nextCounter, false))
    },
    receive: (frame) => {
      if (closed || bad > MAX_BAD_SIGNALS) return
      try {
        if (isAckOf(frame)) {
          acknowledge(decodePlain(unseal(frame)).ack)
          return
        }
        const counter = counterOf(frame)
        if (counter < awaited) {
          // The other side has not heard the acknowledgement; it gets it again.
          cancelAck ??= clock.after(ACK_AFTER_MS, sendAck)
        } else if (counter < awaited + MAX_WAITING_SIGNALS) {
          if (!waiting.has(counter)) waiting.set(counter, frame.slice())
          takeDue()
        }
      } catch (error) {
        // Anybody on the way can make up frames; they cost a count and change nothing.
        bad += 1
        if (!(error instanceof SignalMeshError)) throw error
      }
    },
    resend: () => {
      resends = 0
      cancelResend?.()
      cancelResend = undefined
      onResend()
    },
    get answered() {
      return handshake.split !== undefined
    },
    get canSend() {
      return earlyTx !== undefined && !closed
    },
    close: () => {
      if (closed) return
      closed = true
      cancelResend?.()
      cancelAck?.()
      handshake.destroy()
    },
  }
}

function startSealing(options: SealedOptions): Handshake {
  const { self, remote, initiator } = options
  const [caller, called] = initiator
    ? ([{ key: self.key, boxKey: self.boxKeys.publicKey }, remote] as const)
    : ([remote, { key: self.key, boxKey: self.boxKeys.publicKey }] as const)
  return startHandshake({
    pattern: 'IK',
    initiator,
    keys: self.boxKeys,
    ...(initiator ? { remoteStatic: remote.boxKey } : {}),
    prologue: prologue('signal', [
      writer(2).u16(PROTOCOL_VERSION).done(),
      options.networkId,
      caller.key,
      caller.boxKey,
      called.key,
      called.boxKey,
      options.connection,
    ]),
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
