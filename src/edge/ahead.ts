/** Ahead: an RTC connection that is made, and makes its offer, before there is a call to make it for. */

import type { MakeRtc, Rtc, RtcOptions } from './rtc.ts'

export interface Ahead {
  /** Makes RTC connections; the first that begins a call, and sends the same streams, is the one made ahead. */
  readonly makeRtc: MakeRtc
  /** Closes it if nobody took it. */
  close(): void
}

export type AheadOptions = Pick<RtcOptions, 'config' | 'wrtc' | 'streams' | 'servers'>

/** Makes it at once; where that fails the call is told, when it makes its own. */
export function makeAhead(makeRtc: MakeRtc, options: AheadOptions): Ahead {
  const early: ((to: RtcOptions) => void)[] = []
  let owner: RtcOptions | undefined
  const tell = (news: (to: RtcOptions) => void): void => {
    if (owner) news(owner)
    else early.push(news)
  }
  let spare: Rtc | undefined
  try {
    spare = makeRtc({
      ...options,
      initiator: true,
      configNow: () => owner?.configNow?.() ?? options.config,
      onItem: (item) => tell((to) => to.onItem(item)),
      onOpen: () => tell((to) => to.onOpen()),
      onData: (data) => tell((to) => to.onData(data)),
      onStream: (stream) => tell((to) => to.onStream(stream)),
      onAway: (isAway) => tell((to) => to.onAway(isAway)),
      onClose: (error) => tell((to) => to.onClose(error)),
    })
  } catch {
    spare = undefined
  }
  return {
    makeRtc: (wanted) => {
      const taken = spare
      if (!taken || !wanted.initiator || !areSame(wanted.streams, options.streams)) {
        return makeRtc(wanted)
      }
      spare = undefined
      // As one just made would: only when its owner has it.
      queueMicrotask(() => {
        owner = wanted
        for (const news of early.splice(0)) news(wanted)
      })
      return taken
    },
    close: () => {
      spare?.close()
      spare = undefined
    },
  }
}

function areSame(a: readonly MediaStream[] = [], b: readonly MediaStream[] = []): boolean {
  return a.length === b.length && a.every((stream) => b.includes(stream))
}
