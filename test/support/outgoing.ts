/** An answer on its way as the count of answers sees it: from somewhere, until it ends or is cut. */

import { EventEmitter } from 'node:events'
import type { Outgoing } from '../../runtimes/answers.ts'

export interface PretendOutgoing {
  readonly out: Outgoing
  readonly isCut: boolean
  finish(): void
}

export function outgoing(remoteAddress: string): PretendOutgoing {
  const events = new EventEmitter()
  let isCut = false
  const out = Object.assign(events, {
    socket: { remoteAddress },
    destroy: () => {
      isCut = true
      events.emit('close')
    },
  }) as unknown as Outgoing
  return {
    out,
    get isCut() {
      return isCut
    },
    finish: () => void events.emit('finish'),
  }
}
