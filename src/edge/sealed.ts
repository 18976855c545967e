/** A sealed channel: one connection's signals, sealed end to end, in order, and acknowledged. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import {
  MAX_RESENDS,
  MAX_SIGNAL_BYTES,
  MAX_UNACKED_SIGNALS,
  MAX_WAITING_SIGNALS,
  RESEND_AFTER_MS,
} from '../limits.ts'
import type { Split } from '../noise.ts'
import { counterOf, isAckOf } from '../signal.ts'
import { decodePlain, encodePlain, type Item } from './items.ts'
import { createSealing, type SealingOptions } from './sealing.ts'

export interface SealedOptions extends SealingOptions {
  readonly clock: Clock
  /** Hands a whole frame to the home; what is lost is sent again. */
  send(frame: Uint8Array): void
  /** Takes what the other side said, in its order. */
  onItems(items: readonly Item[]): void
  /** The other side said or acknowledged something new; what is only played again does not count. */
  onNews?(): void
}

export interface Sealed {
  /** Begins the attempt: the opening signal, with this edge's presence beside the sealed items. */
  open(presence: Uint8Array, items: readonly Item[]): void
  /** Answers an opening signal; both sides have their final keys after it. */
  answer(items: readonly Item[]): void
  /**
   * Says something; throws `TOO_LARGE` for more than a signal holds, as do the two above, and `TOO_MANY`
   * when too much of what was said is not acknowledged.
   */
  send(items: readonly Item[]): void
  /** Takes a frame of this connection; what was not sealed for it is ignored. */
  receive(frame: Uint8Array): void
  /** Sends at once what is not acknowledged yet: the home has changed. */
  resend(): void
  /** The same, after this long; until then further calls change nothing. */
  resendAfter(delayMs: number): void
  /** Whether both sides have their final keys. */
  readonly answered: boolean
  /** Whether the other side has said anything, be it only that it heard. */
  readonly heard: boolean
  /** Whether the other side has acknowledged all that was said. */
  readonly isAcknowledged: boolean
  /** Whether there are keys to send under. */
  readonly canSend: boolean
  /** The topic of the connection, in hex digits; empty while it is not known. */
  readonly tag: string
  /** Keys for what homes carry between the two, once both have their final ones. */
  readonly carryKeys: Split | undefined
  close(): void
}

/** What is said within this time acknowledges too, and saves a frame. */
const ACK_AFTER_MS = 100
/** A signal without what it carries beside: a presence, Noise's keys and tags. */
const MAX_PLAIN_BYTES = MAX_SIGNAL_BYTES - 1024

/** What an answer says that is empty. */
const NOT_THERE: Item = {
  kind: 'refused',
  code: 'NOT_ADVERTISED',
  reason: 'it is not in this topic',
}

export function createSealed(options: SealedOptions): Sealed {
  const { clock } = options
  const sealing = createSealing(options)
  const unacked = new Map<number, Uint8Array>()
  const waiting = new Map<number, Uint8Array>()
  let nextCounter = 0
  let nextAckCounter = 0
  let awaited = 0
  let resends = 0
  let heard = false
  let closed = false
  let cancelResend: (() => void) | undefined
  let cancelRetry: (() => void) | undefined
  let cancelAck: (() => void) | undefined

  // --- what this side says ---

  const plain = (items: readonly Item[]): Uint8Array => {
    const bytes = encodePlain({ ack: awaited, items })
    // Checked before the handshake moves on, so that a refusal can still be said.
    if (bytes.length <= MAX_PLAIN_BYTES) return bytes
    throw new SignalMeshError('TOO_LARGE', `A signal holds at most ${MAX_PLAIN_BYTES} bytes`)
  }

  const post = (frame: Uint8Array): void => {
    unacked.set(nextCounter, frame)
    nextCounter += 1
    // A frame that says something also acknowledges.
    cancelAck?.()
    cancelAck = undefined
    options.send(frame.slice())
    if (cancelResend) return
    // News begins the count anew, also for what was given up: the other side waits for that first.
    resends = 0
    cancelResend = clock.after(RESEND_AFTER_MS, onResend)
  }

  const onResend = (): void => {
    cancelResend = undefined
    if (closed || unacked.size === 0) return
    // An attempt ends by itself; but what two edges have with each other may last, and the other one
    // come back to the mesh at any time.
    if (resends < MAX_RESENDS) resends += 1
    else if (!sealing.answered) return
    for (const frame of unacked.values()) options.send(frame.slice())
    cancelResend = clock.after(RESEND_AFTER_MS * 2 ** resends, onResend)
  }

  const resend = (): void => {
    resends = 0
    cancelResend?.()
    onResend()
  }

  const acknowledge = (): void => {
    cancelAck?.()
    cancelAck = undefined
    if (sealing.opened) options.send(sealing.seal(plain([]), nextAckCounter++, true))
  }

  const acknowledgeSoon = (): void => {
    cancelAck ??= clock.after(ACK_AFTER_MS, acknowledge)
  }

  // --- what the other side says ---

  const acknowledged = (ack: number): void => {
    heard = true
    let isNews = false
    for (const counter of unacked.keys()) {
      if (counter < ack) isNews = unacked.delete(counter)
    }
    if (isNews) options.onNews?.()
    if (unacked.size > 0) return
    cancelResend?.()
    cancelResend = undefined
    resends = 0
  }

  const take = (frame: Uint8Array): void => {
    const counter = counterOf(frame)
    if (isAckOf(frame)) acknowledged(decodePlain(sealing.unseal(frame)).ack)
    else if (counter < awaited) acknowledgeSoon()
    else if (counter < awaited + MAX_WAITING_SIGNALS) {
      if (!waiting.has(counter)) waiting.set(counter, frame.slice())
      takeDue()
    }
  }

  const takeDue = (): void => {
    for (let frame = waiting.get(awaited); frame && !closed; frame = waiting.get(awaited)) {
      waiting.delete(awaited)
      const bytes = sealing.unseal(frame)
      if (sealing.declined) {
        options.onItems([NOT_THERE])
        return
      }
      const { ack, items } = decodePlain(bytes)
      awaited += 1
      options.onNews?.()
      acknowledged(ack)
      acknowledgeSoon()
      options.onItems(items)
    }
  }

  /** Says no, and is done: nothing is kept of who calls in a topic that is not known here. */
  const decline = (): void => {
    closed = true
    options.send(sealing.sealDecline())
  }

  return {
    open: (presence, items) => post(sealing.sealOpening(presence, plain(items))),
    answer: (items) => post(sealing.sealAnswer(plain(items))),
    send: (items) => {
      if (closed) return
      if (unacked.size >= MAX_UNACKED_SIGNALS) {
        throw new SignalMeshError('TOO_MANY', 'The peer acknowledges nothing of what it is told')
      }
      post(sealing.seal(plain(items), nextCounter, false))
    },
    receive: (frame) => {
      if (closed) return
      try {
        take(frame)
      } catch (error) {
        // Anybody on the way can make up frames: what does not open changes nothing.
        if (!(error instanceof SignalMeshError)) throw error
        if (sealing.declined && !closed) decline()
      }
    },
    resend,
    resendAfter: (delayMs) => {
      cancelRetry ??= clock.after(delayMs, () => {
        cancelRetry = undefined
        resend()
      })
    },
    get answered() {
      return sealing.answered
    },
    get heard() {
      return heard
    },
    get isAcknowledged() {
      return unacked.size === 0
    },
    get canSend() {
      return sealing.opened && !closed
    },
    get tag() {
      return sealing.tag
    },
    get carryKeys() {
      return sealing.carryKeys
    },
    close: () => {
      if (closed) return
      closed = true
      // Or the other side would send again what ended this one.
      if (cancelAck) acknowledge()
      cancelResend?.()
      cancelRetry?.()
      sealing.destroy()
    },
  }
}
