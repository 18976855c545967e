/** Ringing: a peer that was reached and has yet to take the call is asked for a sign of life now and then. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import { RING_GONE_MS, RING_KNOCK_MS, RING_SILENT_MS } from '../limits.ts'

export interface RingingOptions {
  readonly clock: Clock
  /** Says something that the peer acknowledges. */
  knock(): void
  onGone(error: SignalMeshError): void
}

export interface Ringing {
  /** Something was heard of the peer; `isAll` if it has acknowledged all that was said to it. */
  heard(isAll: boolean): void
  /** The mesh says that it cannot reach the peer, which may only be on its way to another home. */
  missed(error: SignalMeshError): void
  stop(): void
}

/** The peer's application may think for minutes, so its silence says nothing of whether it is there. */
export function createRinging({ clock, knock, onGone }: RingingOptions): Ringing {
  let cancel: (() => void) | undefined
  let cancelGone: (() => void) | undefined
  let isAsked = false

  const found = (): void => {
    cancelGone?.()
    cancelGone = undefined
  }

  const stop = (): void => {
    found()
    cancel?.()
    cancel = undefined
    isAsked = false
  }

  const gone = (error: SignalMeshError): void => {
    stop()
    onGone(error)
  }

  const ask = (): void => {
    isAsked = true
    const dueMs = clock.nowMs() + RING_SILENT_MS
    cancel = clock.after(RING_SILENT_MS, () => {
      // After a sleep the timer runs before what has come meanwhile is handed over.
      if (clock.nowMs() >= dueMs + RING_KNOCK_MS) ask()
      else gone(new SignalMeshError('PEER_LEFT', 'The peer was reached, but has gone silent since'))
    })
    knock()
  }

  return {
    heard: (isAll) => {
      if (isAll) found()
      // What anybody made up is no answer.
      if (cancel && !(isAsked && isAll)) return
      stop()
      cancel = clock.after(RING_KNOCK_MS, ask)
    },
    missed: (error) => {
      cancelGone ??= clock.after(RING_GONE_MS, () => gone(error))
    },
    stop,
  }
}
