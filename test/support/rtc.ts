/** Pretend RTC: offers, answers and candidates as a browser makes them, a channel and streams in memory. */

import type { Clock } from '../../src/clock.ts'
import type { Item } from '../../src/edge/items.ts'
import type { MakeRtc, Rtc, RtcOptions } from '../../src/edge/rtc.ts'
import { SignalMeshError } from '../../src/errors.ts'

interface End {
  readonly options: RtcOptions
  readonly name: string
  /** What this end sends, and which of the other's it has told of. */
  readonly streams: Set<MediaStream>
  told: Set<MediaStream>
  other: End | undefined
  candidates: number
  /** An offer of this end is out. */
  isNegotiating: boolean
  /** There is to be another one once it is answered. */
  isDue: boolean
  isOpen: boolean
  closed: boolean
}

/** A stream as far as the mesh looks at one. */
export function pretendStream(id: string): MediaStream {
  return { id, getTracks: () => [] } as unknown as MediaStream
}

/**
 * A world in which RTC connections find each other by what their descriptions say. As in simple-peer,
 * only the initiator makes offers, one at a time; the other asks for them.
 */
export function rtcWorld(clock: Clock, candidates = 3): MakeRtc {
  const ends = new Map<string, End>()
  let count = 0
  return (options): Rtc => {
    const end: End = {
      options,
      name: `end-${count++}`,
      streams: new Set(options.streams),
      told: new Set(),
      other: undefined,
      candidates: 0,
      isNegotiating: false,
      isDue: false,
      isOpen: false,
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
        options.onItem({ kind: 'description', generation: 0, type, sdp: `v=0 secret-${end.name}` })
        if (end.isOpen) return
        for (let i = 0; i < candidates; i++) soon(() => options.onItem(candidate(end.name, i)))
        soon(() => options.onItem({ kind: 'end-of-candidates', generation: 0 }))
      })
    const negotiate = (): void => {
      if (!options.initiator) soon(() => options.onItem({ kind: 'renegotiate' }))
      else if (end.isNegotiating) end.isDue = true
      else {
        end.isNegotiating = true
        describe('offer')
      }
    }
    const openIfReady = (): void => {
      const { other } = end
      if (!other || other.other !== end) return
      if (end.candidates < candidates || other.candidates < candidates) return
      for (const side of [end, other]) clock.after(1, () => openNow(side))
    }
    const takeDescription = (type: 'offer' | 'answer'): void => {
      if (type === 'offer') describe('answer')
      else {
        end.isNegotiating = false
        if (end.isDue) negotiate()
        end.isDue = false
      }
      tell(end)
    }
    if (options.initiator) negotiate()
    return {
      take: (item) => {
        if (item.kind === 'description') {
          end.other = ends.get(item.sdp.replace('v=0 secret-', ''))
          takeDescription(item.type)
        } else if (item.kind === 'candidate') end.candidates += 1
        else if (item.kind === 'renegotiate' && options.initiator) negotiate()
        openIfReady()
      },
      addStream: (stream) => {
        if (end.streams.has(stream)) return
        end.streams.add(stream)
        negotiate()
      },
      removeStream: (stream) => {
        if (end.streams.delete(stream)) negotiate()
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

function openNow(end: End): void {
  if (end.closed || end.isOpen) return
  end.isOpen = true
  end.options.onOpen()
  tell(end)
}

/** Tells an end of what the other one sends by now, as its descriptions would. */
function tell(end: End): void {
  if (!end.isOpen || !end.other) return
  const news = [...end.other.streams].filter((stream) => !end.told.has(stream))
  end.told = new Set(end.other.streams)
  for (const stream of news) end.options.onStream(stream)
}

function candidate(name: string, i: number): Item {
  const text = `candidate:${i} 1 udp 1 198.51.100.7 ${4000 + i} typ host secret-${name}`
  return { kind: 'candidate', generation: 0, candidate: text, sdpMid: '0', sdpMLineIndex: 0 }
}
