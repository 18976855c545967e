/** Pretend RTC: offers, answers and candidates as a browser makes them, a channel and streams in memory. */

import type { Clock } from '../../src/clock.ts'
import type { Item } from '../../src/edge/items.ts'
import { nextGeneration } from '../../src/edge/restart.ts'
import type { MakeRtc, Rtc, RtcOptions } from '../../src/edge/rtc.ts'
import type { NetFacts, Why } from '../../src/edge/why.ts'
import { NO_FACTS } from '../../src/edge/whyfacts.ts'
import { SignalMeshError } from '../../src/errors.ts'

interface End {
  readonly options: RtcOptions
  readonly name: string
  /** What this end sends, and which of the other's it has told of. */
  readonly streams: Set<MediaStream>
  told: Set<MediaStream>
  other: End | undefined
  candidates: number
  /** Of the descriptions that it said and heard last; the next offer is of another. */
  generation: number
  remoteGeneration: number
  isRestarting: boolean
  /** Whether its path is lost; what is sent meanwhile waits. */
  isAway: boolean
  readonly waiting: (() => void)[]
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

/** An RTC connection of which only the path counts. */
export const pathOnly = {
  restart: (): void => undefined,
  generation: 0,
  facts: (): NetFacts => NO_FACTS,
}

export interface RtcWorld extends MakeRtc {
  /** All paths die; each side notices after so long. */
  cut(noticedAfterMs?: number): void
  /** Paths can be found again, by new addresses. */
  heal(): void
  /** How many offers were made, by their generations. */
  readonly offers: number[]
  /** What the ends show of their networks, in the order in which they were made. */
  readonly facts: NetFacts[]
}

/**
 * A world in which RTC connections find each other by what their descriptions say. As in simple-peer,
 * only the initiator makes offers, one at a time; the other asks for them.
 */
export function rtcWorld(clock: Clock, candidates = 3): RtcWorld {
  const ends = new Map<string, End>()
  let count = 0
  let isCut = false
  const offers: number[] = []
  const facts: NetFacts[] = []
  const cut = (noticedAfterMs = 5_000): void => {
    isCut = true
    for (const end of ends.values()) {
      if (!end.isOpen || end.closed) continue
      end.isAway = true
      clock.after(noticedAfterMs, () => end.isAway && !end.closed && end.options.onAway(true))
    }
  }
  const heal = (): void => {
    isCut = false
  }
  const closed = (end: End): void => {
    end.closed = true
    ends.delete(end.name)
  }
  const makeRtc = (options: RtcOptions): Rtc => {
    const index = count
    const end: End = {
      options,
      name: `end-${count++}`,
      streams: new Set(options.streams),
      told: new Set(),
      other: undefined,
      candidates: 0,
      generation: 0,
      remoteGeneration: 0,
      isRestarting: false,
      isAway: false,
      waiting: [],
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
        const before = end.generation
        if (type === 'answer') end.generation = end.remoteGeneration
        else if (end.isRestarting) end.generation = nextGeneration(end.generation)
        end.isRestarting = false
        const { generation } = end
        if (type === 'offer') offers.push(generation)
        options.onItem({ kind: 'description', generation, type, sdp: `v=0 secret-${end.name}` })
        if (end.isOpen && generation === before) return
        for (let i = 0; i < candidates; i++) {
          soon(() => options.onItem({ ...candidate(end.name, i), generation } as Item))
        }
        soon(() => options.onItem({ kind: 'end-of-candidates', generation }))
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
      if (end.generation !== other.generation || isCut) return
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
          if (item.generation !== end.remoteGeneration) end.candidates = 0
          end.remoteGeneration = item.generation
          takeDescription(item.type)
        } else if (item.kind === 'candidate') {
          if (item.generation === end.remoteGeneration) end.candidates += 1
        } else if (item.kind === 'renegotiate' && options.initiator) negotiate()
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
        const bring = (): void => {
          clock.after(1, () => other && !other.closed && other.options.onData(data))
        }
        if (end.isAway) end.waiting.push(bring)
        else bring()
      },
      path: async () => 'local',
      restart: () => {
        end.isRestarting = true
        negotiate()
      },
      get generation() {
        return end.generation
      },
      facts: () => facts[index] ?? NO_FACTS,
      close: () => {
        if (end.closed) return
        closed(end)
        const { other } = end
        clock.after(1, () => {
          // Over a path that is lost nobody hears of it.
          if (!other || other.closed || end.isAway) return
          closed(other)
          other.options.onClose(undefined)
        })
      },
      connection: {} as RTCPeerConnection,
    }
  }
  return Object.assign(makeRtc, { cut, heal, offers, facts })
}

/** For connections of which the test asks no cause. */
export const noWhy = (): Why => {
  const evidence = { phase: 'open', text: '', own: undefined, peer: undefined } as const
  return { code: 'none', ...evidence, error: undefined }
}

function openNow(end: End): void {
  if (end.closed) return
  if (end.isAway) {
    end.isAway = false
    end.options.onAway(false)
    for (const bring of end.waiting.splice(0)) bring()
  }
  if (end.isOpen) return
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
