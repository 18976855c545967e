/** Answers on their way: large ones wait for who reads them within a bound, and no answer for ever. */

import type { ServerResponse } from 'node:http'
import { addressGroup } from '../src/authority.ts'
import { type Clock, systemClock } from '../src/clock.ts'
import { ANSWER_TIMEOUT_MS, MAX_ANSWERS_BYTES, MAX_FREE_ANSWER_BYTES } from './limits.ts'

export interface Answers {
  /** The body of an answer; one at a time, for all at once would be there before any is refused. */
  read(response: Response): Promise<Uint8Array>
  /** Whether an answer of so many bytes may go out now; counts it until it has, and ends it where nobody reads it. */
  admit(out: Outgoing, bytes: number): boolean
}

/** What an answer goes out by, as far as it is used here. */
export type Outgoing = Pick<ServerResponse, 'once' | 'destroy'> & {
  readonly socket: { readonly remoteAddress?: string | undefined } | null
}

/** Of all that may wait; one answer each address may always have. */
const ADDRESS_SHARE = 1 / 4

export function createAnswers(clock: Clock = systemClock): Answers {
  const waiting = new Map<string, number>()
  let total = 0
  let turn: Promise<unknown> = Promise.resolve()

  const add = (group: string, bytes: number): void => {
    total += bytes
    const own = (waiting.get(group) ?? 0) + bytes
    if (own > 0) waiting.set(group, own)
    else waiting.delete(group)
  }

  const hasRoom = (group: string, bytes: number): boolean => {
    const own = waiting.get(group) ?? 0
    if (own > 0 && own + bytes > ADDRESS_SHARE * MAX_ANSWERS_BYTES) return false
    return total + bytes <= MAX_ANSWERS_BYTES
  }

  return {
    read: async (response) => {
      const reading = turn.then(() => response.arrayBuffer())
      turn = reading.catch(() => undefined)
      return new Uint8Array(await reading)
    },
    admit: (out, bytes) => {
      const group = addressGroup(out.socket?.remoteAddress ?? '')
      const counted = bytes > MAX_FREE_ANSWER_BYTES ? bytes : 0
      if (counted > 0 && !hasRoom(group, counted)) return false
      add(group, counted)
      const cancel = clock.after(ANSWER_TIMEOUT_MS, () => out.destroy())
      let isOver = false
      const over = (): void => {
        if (isOver) return
        isOver = true
        cancel()
        add(group, -counted)
      }
      // Runtimes differ in which of them comes.
      out.once('finish', over)
      out.once('close', over)
      return true
    },
  }
}
