/** Somebody on the line: sees each frame of a link both ways, and decides what comes of it. */

import type { ManualClock } from '../../../src/clock.ts'
import type { Link } from '../../../src/link.ts'

/** `up`: from the end that is meddled with; `down`: to it. */
export type Way = 'up' | 'down'
export type Put = (way: Way, frame: Uint8Array) => void
export type Meddle = (frame: Uint8Array, way: Way, put: Put) => void

export interface Line {
  readonly link: Link
  readonly put: Put
}

/** The link with somebody on it; what `meddle` does not put on goes no further. */
export function meddled(link: Link, meddle: Meddle): Line {
  let onFrame: ((frame: Uint8Array) => void) | undefined
  const put: Put = (way, frame) => {
    if (way === 'up') link.send(frame)
    else onFrame?.(frame)
  }
  const end: Link = {
    send: (frame) => meddle(frame.slice(), 'up', put),
    subscribe: (subscriber) => {
      onFrame = subscriber
      const unsubscribe = link.subscribe((frame) => meddle(frame.slice(), 'down', put))
      return () => {
        if (onFrame === subscriber) onFrame = undefined
        unsubscribe()
      }
    },
    get bufferedBytes() {
      return link.bufferedBytes
    },
    close: link.close,
    closed: link.closed,
  }
  return { link: end, put }
}

/** One frame in the hands of who meddles. */
export interface Hit {
  readonly frame: Uint8Array
  readonly way: Way
  readonly put: Put
  readonly clock: ManualClock
  /** Sends on another frame once the next has gone this way. */
  afterNext(frame: Uint8Array): void
  /** Puts a frame into the sessions of others, the same way. */
  elsewhere(frame: Uint8Array): void
}

export type Tampering = (hit: Hit) => void

const opposite = (way: Way): Way => (way === 'up' ? 'down' : 'up')

/** One bit of a frame changed, so far behind its start as `part` of its length says. */
export function flipped(frame: Uint8Array, part: number): Uint8Array {
  const out = frame.slice()
  const at = Math.min(out.length - 1, Math.floor(out.length * part))
  out[at] = (out[at] as number) ^ 1
  return out
}

/** What the one on the line may do with a frame. */
export const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  'with a bit in its midst changed': ({ frame, way, put }) => put(way, flipped(frame, 0.5)),
  'with its last bit changed': ({ frame, way, put }) => put(way, flipped(frame, 1)),
  'cut short': ({ frame, way, put }) => put(way, frame.slice(0, -1)),
  'made longer': ({ frame, way, put }) => put(way, Uint8Array.of(...frame, 0)),
  repeated: ({ frame, way, put }) => {
    for (let i = 0; i < 3; i++) put(way, frame)
  },
  'swapped with the next': ({ frame, afterNext }) => afterNext(frame),
  delayed: ({ frame, way, put, clock }) => void clock.after(3_000, () => put(way, frame)),
  withheld: () => undefined,
  'reflected to its sender': ({ frame, way, put }) => {
    put(opposite(way), frame)
    put(way, frame)
  },
  'replayed into another session': ({ frame, way, put, elsewhere }) => {
    elsewhere(frame)
    put(way, frame)
  },
  'passed off as every other kind': ({ frame, way, put }) => {
    // The true one first, so that there is a state to spoil.
    put(way, frame)
    for (let kind = 0; kind <= 11; kind++) if (kind !== frame[0]) put(way, relabelled(frame, kind))
  },
}

function relabelled(frame: Uint8Array, kind: number): Uint8Array {
  const out = frame.slice()
  out[0] = kind
  return out
}

/** Lies in wait for the first frame that fits, or for all of them. */
export function lieInWait(options: {
  readonly clock: ManualClock
  readonly fits: (frame: Uint8Array, way: Way) => boolean
  readonly tampering: Tampering
  readonly always?: boolean
  readonly elsewhere?: (frame: Uint8Array, way: Way) => void
}): Meddle & { readonly hits: () => number } {
  let hits = 0
  const held: Record<Way, Uint8Array[]> = { up: [], down: [] }
  const meddle: Meddle = (frame, way, put) => {
    if ((hits === 0 || options.always) && options.fits(frame, way)) {
      hits += 1
      options.tampering({
        frame,
        way,
        put,
        clock: options.clock,
        afterNext: (later) => void held[way].push(later),
        elsewhere: (copy) => options.elsewhere?.(copy, way),
      })
      return
    }
    put(way, frame)
    for (const later of held[way].splice(0)) put(way, later)
  }
  return Object.assign(meddle, { hits: () => hits })
}
