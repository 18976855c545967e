/** A carried channel: pieces between two edges by way of their homes, sealed, in order, each once, within a window. */

import { badFrame, concat, reader, writer } from '../bytes.ts'
import {
  CARRY_HEADER_BYTES,
  carriedCounter,
  carriedSealed,
  carryHeader,
  isWord,
} from '../carryframes.ts'
import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import {
  CARRY_DEAD_MS,
  CARRY_SILENT_MS,
  CARRY_WINDOW_BYTES,
  MAX_BAD_CARRIED,
  RESEND_AFTER_MS,
} from '../limits.ts'
import { openAt, type Split, sealAt } from '../noise.ts'

export interface CarriedOptions {
  readonly clock: Clock
  readonly keys: Split
  /** This edge's key, the peer's, and the connection's id. */
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly connection: Uint8Array
  /** There is something to send. */
  wake(): void
  /** The first frame of the peer's has come: the homes do carry. */
  onHeard(): void
  onPiece(piece: Uint8Array): void
  onFailed(error: SignalMeshError): void
}

/** A piece that has to go another way. */
export interface Left {
  readonly piece: Uint8Array
  done(): void
}

export interface Carried {
  /** Sends a piece; resolves when it is within the window. */
  send(piece: Uint8Array): Promise<void>
  /** The next frame for the home, if there is one; by turns with other connections. */
  next(): Uint8Array | undefined
  receive(frame: Uint8Array): void
  /** Asks the other side for a word. */
  knock(): void
  /** Sends again what has not come: there is another home. */
  resend(): void
  /** Sends no more pieces; gives those that may not have come, and the number of the first. */
  leave(): { first: number; pieces: readonly Left[] }
  close(): void
}

/** Words are numbered apart from pieces, under the same key. */
const WORDS = 2 ** 52
/** What is said within this time saves a word of its own. */
const WORD_AFTER_MS = 50
/** Pieces after which a word is due at once, so that the window never closes for want of one. */
const WORD_AFTER_PIECES = 3
/** What a piece costs beside its bytes, as the homes count it: its header, its seal, its place in a queue. */
const COST_BYTES = CARRY_HEADER_BYTES + 8 + 16 + 256
/** How often it is looked for signs of life. */
const LOOK_MS = CARRY_SILENT_MS / 4
const MAX_DOUBLED = 3

interface Waiting extends Left {
  fail(error: SignalMeshError): void
}

export function createCarried(options: CarriedOptions): Carried {
  const { clock, keys } = options
  /** Pieces with what stands before them, by number; a number names one ciphertext for ever. */
  const unacked = new Map<number, Uint8Array>()
  const pending: Waiting[] = []
  const due = new Set<number>()
  const early = new Map<number, Uint8Array>()
  let unackedBytes = 0
  let earlyBytes = 0
  let staleBytes = 0
  let nextCounter = 0
  let nextWord = 0
  let lastWord = -1
  let awaited = 0
  let unsaid = 0
  let isWordDue = false
  let asks = false
  let bad = 0
  let resends = 0
  let isHeard = false
  let hasLeft = false
  let closed = false
  let heardAtMs = clock.monotonicMs()
  let progressAtMs = heardAtMs
  let lookedAtMs = heardAtMs
  let cancelWord: (() => void) | undefined
  let cancelResend: (() => void) | undefined

  const close = (): void => {
    if (closed) return
    closed = true
    cancelWord?.()
    cancelResend?.()
    cancelLook()
    const error = new SignalMeshError('CLOSED', 'It is carried no more')
    for (const one of pending.splice(0)) one.fail(error)
  }

  const fail = (error: SignalMeshError): void => {
    if (closed) return
    close()
    options.onFailed(error)
  }

  // --- what this side sends ---

  const word = (asking = false): void => {
    isWordDue = true
    asks ||= asking
    cancelWord?.()
    cancelWord = undefined
    options.wake()
  }

  const wordSoon = (): void => {
    cancelWord ??= clock.after(WORD_AFTER_MS, () => word())
  }

  /** Takes pieces into the window, for as long as it is open. */
  const fill = (): void => {
    while (pending.length > 0 && unackedBytes < CARRY_WINDOW_BYTES && !hasLeft) {
      const { piece, done } = pending.shift() as Waiting
      if (unacked.size === 0) progressAtMs = clock.monotonicMs()
      unacked.set(nextCounter, concat(writer(8).u64(awaited).done(), piece))
      due.add(nextCounter)
      nextCounter += 1
      unackedBytes += piece.length + COST_BYTES
      done()
    }
    if (due.size > 0) options.wake()
  }

  const onResend = (): void => {
    cancelResend = undefined
    const first = unacked.keys().next().value
    if (first === undefined || closed || hasLeft) return
    resends = Math.min(resends + 1, MAX_DOUBLED)
    due.add(first)
    word(true)
    resendLater()
  }

  const resendLater = (): void => {
    cancelResend ??= clock.after(RESEND_AFTER_MS * 2 ** resends, onResend)
  }

  const sealedFrame = (counter: number, plain: Uint8Array, isWord: boolean): Uint8Array => {
    const { from, to, connection } = options
    const header = carryHeader({ from, to, connection, isWord, counter })
    return concat(header, sealAt(keys.tx, isWord ? WORDS + counter : counter, header, plain))
  }

  const nextWordFrame = (): Uint8Array => {
    const plain = writer(9)
      .u64(awaited)
      .u8(asks ? 1 : 0)
      .done()
    isWordDue = false
    asks = false
    unsaid = 0
    return sealedFrame(nextWord++, plain, true)
  }

  // --- what the other side sends ---

  const acknowledged = (ack: number): void => {
    if (ack > nextCounter) throw badFrame('more has come than was sent')
    let isProgress = false
    for (const [counter, plain] of unacked) {
      if (counter >= ack) break
      unacked.delete(counter)
      due.delete(counter)
      unackedBytes -= plain.length - 8 + COST_BYTES
      isProgress = true
    }
    if (!isProgress) return
    progressAtMs = clock.monotonicMs()
    cancelResend?.()
    cancelResend = undefined
    // What was sent behind a piece that was lost may be lost like it.
    if (resends > 0) for (const counter of unacked.keys()) due.add(counter)
    resends = 0
    if (unacked.size > 0) resendLater()
    fill()
  }

  const heard = (): void => {
    heardAtMs = clock.monotonicMs()
    if (isHeard) return
    isHeard = true
    options.onHeard()
  }

  const takeWord = (counter: number, body: Uint8Array): void => {
    lastWord = counter
    const r = reader(body)
    const ack = r.u64()
    const isAsked = r.u8() === 1
    if (isAsked) word()
    acknowledged(ack)
  }

  const takePiece = (counter: number, body: Uint8Array): void => {
    early.set(counter, body)
    earlyBytes += body.length + COST_BYTES
    if (earlyBytes > 2 * CARRY_WINDOW_BYTES) {
      throw new SignalMeshError('TOO_MANY', 'More was carried here than there is room for')
    }
    acknowledged(reader(body).u64())
    for (let one = early.get(awaited); one && !closed; one = early.get(awaited)) {
      early.delete(awaited)
      earlyBytes -= one.length + COST_BYTES
      awaited += 1
      unsaid += 1
      staleBytes = 0
      options.onPiece(one.subarray(8))
    }
    if (unsaid >= WORD_AFTER_PIECES) word()
    else wordSoon()
  }

  /** What came before is answered, not opened: its sender may have missed the word. */
  const takeStale = (frame: Uint8Array): void => {
    staleBytes += frame.length + COST_BYTES
    wordSoon()
    if (staleBytes <= 8 * CARRY_WINDOW_BYTES) return
    throw new SignalMeshError('TOO_MANY', 'A home brings the same again and again')
  }

  const open = (frame: Uint8Array, counter: number): Uint8Array | undefined => {
    const header = frame.subarray(0, CARRY_HEADER_BYTES)
    try {
      const nonce = isWord(frame) ? WORDS + counter : counter
      return openAt(keys.rx, nonce, header, carriedSealed(frame))
    } catch {
      bad += 1
      if (bad < MAX_BAD_CARRIED) return undefined
      throw badFrame('a home alters what it carries')
    }
  }

  const take = (frame: Uint8Array): void => {
    const counter = carriedCounter(frame)
    if (counter >= WORDS) throw badFrame(`a carried frame of number ${counter}`)
    if (!isWord(frame) && (counter < awaited || early.has(counter))) {
      takeStale(frame)
      return
    }
    // Played again, or overtaken by a later one: no sign that its sender is still there.
    if (isWord(frame) && counter <= lastWord) return
    const plain = open(frame, counter)
    if (!plain) return
    heard()
    if (isWord(frame)) takeWord(counter, plain)
    else takePiece(counter, plain)
  }

  const onLook = (): void => {
    const nowMs = clock.monotonicMs()
    // After a sleep: what was said meanwhile is still to come.
    if (nowMs - lookedAtMs > 2 * LOOK_MS) heardAtMs = progressAtMs = nowMs
    lookedAtMs = nowMs
    const silentMs = nowMs - heardAtMs
    const stuckMs = unacked.size > 0 && !hasLeft ? nowMs - progressAtMs : 0
    if (Math.max(silentMs, stuckMs) >= CARRY_DEAD_MS) {
      fail(new SignalMeshError('TIMEOUT', `Nothing was carried for ${CARRY_DEAD_MS} ms`))
      return
    }
    if (silentMs >= CARRY_SILENT_MS) word(true)
    cancelLook = clock.after(LOOK_MS, onLook)
  }
  let cancelLook = clock.after(LOOK_MS, onLook)

  return {
    send: (piece) =>
      new Promise((done, reject) => {
        if (closed) return reject(new SignalMeshError('CLOSED', 'It is carried no more'))
        pending.push({ piece, done, fail: reject })
        fill()
      }),
    next: () => {
      if (closed) return undefined
      if (isWordDue) return nextWordFrame()
      const counter = due.values().next().value
      if (counter === undefined) return undefined
      due.delete(counter)
      resendLater()
      return sealedFrame(counter, unacked.get(counter) as Uint8Array, false)
    },
    receive: (frame) => {
      if (closed) return
      try {
        take(frame)
      } catch (error) {
        if (!(error instanceof SignalMeshError)) throw error
        fail(error)
      }
    },
    knock: () => word(true),
    resend: () => {
      if (!hasLeft) for (const counter of unacked.keys()) due.add(counter)
      word(true)
    },
    leave: () => {
      hasLeft = true
      due.clear()
      const first = unacked.keys().next().value ?? nextCounter
      const sent = [...unacked.values()].map((plain) => ({
        piece: plain.subarray(8),
        done: () => undefined,
      }))
      unacked.clear()
      unackedBytes = 0
      return { first, pieces: [...sent, ...pending.splice(0)] }
    },
    close,
  }
}
