/** Pretend RTC: offers, answers and candidates as a browser makes them, and a channel in memory. */

import type { Clock } from '../../src/clock.ts'
import type { Item } from '../../src/edge/items.ts'
import type { MakeRtc, Rtc, RtcOptions } from '../../src/edge/rtc.ts'
import { SignalMeshError } from '../../src/errors.ts'

interface End {
  readonly options: RtcOptions
  readonly name: string
  other: End | undefined
  candidates: number
  closed: boolean
}

/** A world in which RTC connections find each other by what their descriptions say. */
export function rtcWorld(clock: Clock, candidates = 3): MakeRtc {
  const ends = new Map<string, End>()
  let count = 0
  return (options): Rtc => {
    const end: End = {
      options,
      name: `end-${count++}`,
      other: undefined,
      candidates: 0,
      closed: false,
    }
    ends.set(end.name, end)
    const soon = (fn: () => void): void => {
      clock.after(1, () => {
        if (!end.closed) fn()
      })
    }
    const describe = (type: 'offer' | 'answer'): void =>
      soon(() => {
        options.onItem({ kind: 'description', type, sdp: `v=0 secret-${end.name}` })
        for (let i = 0; i < candidates; i++) soon(() => options.onItem(candidate(end.name, i)))
      })
    const openIfReady = (): void => {
      const { other } = end
      if (!other || other.other !== end) return
      if (end.candidates < candidates || other.candidates < candidates) return
      for (const side of [end, other]) clock.after(1, () => side.closed || side.options.onOpen())
    }
    if (options.initiator) describe('offer')
    return {
      take: (item) => {
        if (item.kind === 'description') {
          end.other = ends.get(item.sdp.replace('v=0 secret-', ''))
          if (item.type === 'offer') describe('answer')
        } else if (item.kind === 'candidate') end.candidates += 1
        openIfReady()
      },
      send: async (data) => {
        if (end.closed) throw new SignalMeshError('CLOSED', 'closed')
        const { other } = end
        clock.after(1, () => other && !other.closed && other.options.onData(data))
      },
      path: async () => 'local',
      close: () => {
        if (end.closed) return
        end.closed = true
        const { other } = end
        clock.after(1, () => {
          if (!other || other.closed) return
          other.closed = true
          other.options.onClose(undefined)
        })
      },
      connection: {} as RTCPeerConnection,
    }
  }
}

function candidate(name: string, i: number): Item {
  const text = `candidate:${i} 1 udp 1 198.51.100.7 ${4000 + i} typ host secret-${name}`
  return { kind: 'candidate', candidate: text, sdpMid: '0', sdpMLineIndex: 0 }
}
