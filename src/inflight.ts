/** Signals in flight: what went to other homes is held for a while, in case it has to go again. */

import type { Clock } from './clock.ts'
import type { NodeId } from './identity.ts'
import { HELD_MS, MAX_HELD_BYTES, MAX_HELD_SIGNALS } from './limits.ts'
import { isAbout, isSameSignal, markOf } from './match.ts'

/** How a signal was sent. */
export interface Sent {
  /** The home that was meant. */
  readonly home: NodeId
  /** The neighbour that it was sent to: that home, or a via node. */
  readonly link: NodeId
  /** Whether the node sent it anew by itself, which it does once. */
  readonly isRetry: boolean
}

export interface Held extends Sent {
  readonly frame: Uint8Array
}

export interface InFlight {
  /** Takes a copy of the frame in; the eldest give way to it. */
  add(frame: Uint8Array, sent: Sent): void
  /** The same signal, as it last went out. */
  same(frame: Uint8Array): Held | undefined
  /** What a control signal is about. */
  about(control: Uint8Array): Held | undefined
  /** What was last sent over this link, in the last `withinMs`. */
  lastOver(link: NodeId, withinMs: number): Held[]
  /** Frees the memory when nothing was sent for long enough. */
  sweep(): void
}

interface Slot extends Sent {
  readonly atMs: number
  /** Where the frame begins, counted over all that was ever written. */
  readonly start: number
  readonly bytes: number
}

/**
 * Two rings, of bytes and of slots: every signal to another home is copied in here, and hardly any is
 * ever asked for, so that adding makes no garbage to speak of and finding walks backwards.
 */
export function createInFlight(clock: Clock): InFlight {
  let store: Uint8Array | undefined
  let slots: (Slot | undefined)[] = []
  const marks = new Uint32Array(MAX_HELD_SIGNALS)
  let count = 0
  let written = 0

  const ageMs = (slot: Slot): number => clock.monotonicMs() - slot.atMs

  /** The frame itself, while it has not been written over. */
  const frameOf = ({ start, bytes }: Slot): Uint8Array | undefined => {
    if (written - start > MAX_HELD_BYTES) return undefined
    const at = start % MAX_HELD_BYTES
    return store?.subarray(at, at + bytes)
  }

  const eldest = (): number => Math.max(0, count - MAX_HELD_SIGNALS)

  const find = (mark: number, isIt: (frame: Uint8Array) => boolean): Held | undefined => {
    for (let i = count - 1; i >= eldest(); i--) {
      if (marks[i % MAX_HELD_SIGNALS] !== mark) continue
      const slot = slots[i % MAX_HELD_SIGNALS]
      if (!slot || ageMs(slot) > HELD_MS) continue
      const frame = frameOf(slot)
      if (frame && isIt(frame)) return { ...slot, frame: frame.slice() }
    }
    return undefined
  }

  return {
    add: (frame, { home, link, isRetry }) => {
      store ??= new Uint8Array(MAX_HELD_BYTES)
      const room = MAX_HELD_BYTES - (written % MAX_HELD_BYTES)
      if (frame.length > room) written += room
      const at = count++ % MAX_HELD_SIGNALS
      store.set(frame, written % MAX_HELD_BYTES)
      marks[at] = markOf(frame)
      const atMs = clock.monotonicMs()
      slots[at] = { home, link, isRetry, atMs, start: written, bytes: frame.length }
      written += frame.length
    },
    same: (frame) => find(markOf(frame), (one) => isSameSignal(one, frame)),
    about: (control) => find(markOf(control), (one) => isAbout(control, one)),
    lastOver: (link, withinMs) => {
      const found: Held[] = []
      const seen = new Set<number>()
      for (let i = count - 1; i >= eldest(); i--) {
        const at = i % MAX_HELD_SIGNALS
        const slot = slots[at]
        if (!slot || ageMs(slot) > withinMs) break
        const mark = marks[at] as number
        const frame = frameOf(slot)
        // What has gone another way since is not lost with this link.
        if (frame && slot.link === link && !seen.has(mark)) {
          found.unshift({ ...slot, frame: frame.slice() })
        }
        seen.add(mark)
      }
      return found
    },
    sweep: () => {
      const last = slots[(count - 1 + MAX_HELD_SIGNALS) % MAX_HELD_SIGNALS]
      if (!last || ageMs(last) <= HELD_MS) return
      store = undefined
      slots = []
      count = 0
    },
  }
}
