/** Applications beside the node: whole messages to and from linked nodes, within bounds, behind all signals. */

import { type AppPart, decodeAppPart, encodeAppPart, roomOf } from './appframes.ts'
import { concat, utf8 } from './bytes.ts'
import type { Clock } from './clock.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  APP_BYTES_BURST,
  APP_BYTES_PER_SECOND,
  BUSY_RETRY_MS,
  CARRY_AHEAD_BYTES,
  CARRY_TURN_MS,
  MAX_APP_MESSAGE_BYTES,
  MAX_APP_NAME_BYTES,
  MAX_APP_QUEUE_BYTES,
  MAX_REMEMBERED,
} from './limits.ts'
import { type Bucket, bucketsByKey, fill, spend, take } from './rate.ts'

/** What an application does with what other nodes send. */
export interface AppHandlers {
  /** Whether it reads what this node sends; what it does not is dropped before it is put together. */
  takes(node: NodeId): boolean
  /** `from` is the node that proved its key at the other end of the link. */
  onMessage(bytes: Uint8Array, from: NodeId): void
  /** A link to a node that takes application frames has come up. */
  onUp(node: NodeId): void
  /** It has gone, or was replaced, and what was under way with it. */
  onDown(node: NodeId): void
}

/** An application's place at a node. */
export interface AppPort {
  /** Linked nodes that take application frames. */
  readonly nodes: readonly NodeId[]
  /**
   * Resolves when all of it is on its way, which is no proof that it has come.
   * @throws SignalMeshError `TOO_LARGE`, `RATE_LIMITED` when too much waits, or `CLOSED` when there is no link
   */
  send(node: NodeId, bytes: Uint8Array): Promise<void>
  close(): void
}

export interface AppCounters {
  readonly sent: number
  readonly received: number
  /** Parts for nobody, from nodes that are not read, or of which one before was lost. */
  readonly dropped: number
}

export interface Apps {
  readonly counters: AppCounters
  /** @throws SignalMeshError `BAD_ARGUMENT` for a name that is taken, empty or too long */
  open(name: string, handlers: AppHandlers): AppPort
  /** @throws SignalMeshError `BAD_FRAME`, `TOO_LARGE` or `RATE_LIMITED`, which end the link */
  receive(frame: Uint8Array, from: NodeId): void
  linked(node: NodeId): void
  unlinked(node: NodeId): void
  close(): void
}

export interface AppsOptions {
  readonly clock: Clock
  /** Linked nodes that take application frames. */
  nodes(): readonly NodeId[]
  /** What waits on the link to such a node; undefined where there is none. */
  waitingBytes(node: NodeId): number | undefined
  send(node: NodeId, frame: Uint8Array): boolean
}

/** What a frame counts beside its bytes, so that empty ones are bounded too. */
export const APP_COST_BYTES = 256

interface Waiting {
  readonly app: string
  readonly bytes: Uint8Array
  at: number
  part: number
  resolve(): void
  reject(error: SignalMeshError): void
}

/** What waits for one node. */
interface Lane {
  readonly queue: Waiting[]
  bytes: number
  message: number
}

/** A message of which parts have come. */
interface Begun {
  readonly app: string
  readonly message: number
  readonly parts: Uint8Array[]
  bytes: number
}

export function createApps(options: AppsOptions): Apps {
  const { clock } = options
  const handlers = new Map<string, AppHandlers>()
  const lanes = new Map<NodeId, Lane>()
  const begun = new Map<NodeId, Begun>()
  const ratesOut = bucketsByKey(APP_BYTES_PER_SECOND, APP_BYTES_BURST, MAX_REMEMBERED)
  // Twice what a node sends itself: links hold up what then comes at once.
  const ratesIn = bucketsByKey(2 * APP_BYTES_PER_SECOND, 2 * APP_BYTES_BURST, MAX_REMEMBERED)
  const counters = { sent: 0, received: 0, dropped: 0 }
  let cancelTimer: (() => void) | undefined

  const sendPart = (node: NodeId, lane: Lane, first: Waiting, rate: Bucket): boolean => {
    const end = Math.min(first.bytes.length, first.at + roomOf(first.app))
    const isLast = end === first.bytes.length
    const frame = encodeAppPart({
      app: first.app,
      message: lane.message,
      part: first.part,
      isLast,
      bytes: first.bytes.subarray(first.at, end),
    })
    if (!options.send(node, frame)) return false
    spend(rate, clock.monotonicMs(), frame.length + APP_COST_BYTES)
    first.at = end
    first.part += 1
    if (!isLast) return true
    lane.queue.shift()
    lane.bytes -= costOf(first.bytes)
    lane.message = (lane.message + 1) >>> 0
    counters.sent += 1
    first.resolve()
    return true
  }

  /** Hands the link what it has room for: a signal never stands behind more than that. */
  const pumpLane = (node: NodeId, lane: Lane): void => {
    const rate = ratesOut(node)
    for (let first = lane.queue[0]; first; first = lane.queue[0]) {
      const waitingBytes = options.waitingBytes(node)
      if (waitingBytes === undefined || waitingBytes >= CARRY_AHEAD_BYTES) return
      if (fill(rate, clock.monotonicMs()) > 0) return
      if (!sendPart(node, lane, first, rate)) return
    }
  }

  const pump = (): void => {
    cancelTimer?.()
    cancelTimer = undefined
    for (const [node, lane] of lanes) pumpLane(node, lane)
    const isLeft = [...lanes.values()].some(({ queue }) => queue.length > 0)
    if (isLeft) cancelTimer = clock.after(CARRY_TURN_MS, pump)
  }

  const drop = (node: NodeId): void => {
    begun.delete(node)
    const lane = lanes.get(node)
    lanes.delete(node)
    for (const { reject } of lane?.queue ?? []) reject(noLink(node))
  }

  const send = async (app: string, node: NodeId, bytes: Uint8Array): Promise<void> => {
    if (bytes.length > MAX_APP_MESSAGE_BYTES) throw tooLarge(bytes.length)
    if (options.waitingBytes(node) === undefined) throw noLink(node)
    const lane = lanes.get(node) ?? { queue: [], bytes: 0, message: 0 }
    if (lane.bytes + costOf(bytes) > MAX_APP_QUEUE_BYTES) throw tooMuchWaits(node)
    lanes.set(node, lane)
    const gone = new Promise<void>((resolve, reject) => {
      lane.queue.push({ app, bytes, at: 0, part: 0, resolve, reject })
    })
    lane.bytes += costOf(bytes)
    if (!cancelTimer) pump()
    return gone
  }

  /** Puts a part to those before it; gives the whole once it is. */
  const join = (part: AppPart, from: NodeId): Uint8Array | undefined => {
    let before = begun.get(from)
    if (part.part === 0) before = { app: part.app, message: part.message, parts: [], bytes: 0 }
    const follows =
      before?.message === part.message &&
      before.app === part.app &&
      before.parts.length === part.part
    begun.delete(from)
    if (!before || !follows) {
      // One was lost with a link that another has replaced.
      counters.dropped += 1
      return undefined
    }
    before.bytes += part.bytes.length
    if (before.bytes > MAX_APP_MESSAGE_BYTES) throw tooLarge(before.bytes)
    // A copy, or the whole frame stays alive that it came in.
    before.parts.push(part.bytes.slice())
    if (part.isLast) return concat(...before.parts)
    if (part.bytes.length === 0) {
      throw new SignalMeshError('BAD_FRAME', 'An empty part of a message that goes on')
    }
    begun.set(from, before)
    return undefined
  }

  return {
    counters,
    open: (name, own) => {
      const length = utf8(name).length
      if (length === 0 || length > MAX_APP_NAME_BYTES || handlers.has(name)) {
        const text = `An application cannot be named ${JSON.stringify(name)}: that is taken, empty or over ${MAX_APP_NAME_BYTES} bytes`
        throw new SignalMeshError('BAD_ARGUMENT', text)
      }
      handlers.set(name, own)
      const isOpen = (): boolean => handlers.get(name) === own
      return {
        get nodes() {
          return isOpen() ? options.nodes() : []
        },
        send: (node, bytes) => (isOpen() ? send(name, node, bytes) : Promise.reject(noLink(node))),
        close: () => {
          if (isOpen()) handlers.delete(name)
        },
      }
    },
    receive: (frame, from) => {
      if (take(ratesIn(from), clock.monotonicMs(), frame.length + APP_COST_BYTES) > 0) {
        throw new SignalMeshError('RATE_LIMITED', "More of an application's frames than agreed on")
      }
      const part = decodeAppPart(frame)
      const own = handlers.get(part.app)
      if (!own?.takes(from)) {
        counters.dropped += 1
        return
      }
      const whole = join(part, from)
      if (!whole) return
      counters.received += 1
      own.onMessage(whole, from)
    },
    linked: (node) => {
      drop(node)
      if (options.waitingBytes(node) === undefined) return
      for (const own of [...handlers.values()]) own.onUp(node)
    },
    unlinked: (node) => {
      drop(node)
      for (const own of [...handlers.values()]) own.onDown(node)
    },
    close: () => {
      cancelTimer?.()
      for (const node of [...lanes.keys()]) drop(node)
      handlers.clear()
    },
  }
}

function costOf(bytes: Uint8Array): number {
  return bytes.length + APP_COST_BYTES
}

function tooLarge(bytes: number): SignalMeshError {
  const text = `A message of ${bytes} bytes is over ${MAX_APP_MESSAGE_BYTES}; send it as a stream`
  return new SignalMeshError('TOO_LARGE', text)
}

function noLink(node: NodeId): SignalMeshError {
  return new SignalMeshError('CLOSED', `There is no link to node ${node} for applications`)
}

function tooMuchWaits(node: NodeId): SignalMeshError {
  const text = `More than ${MAX_APP_QUEUE_BYTES} bytes wait for node ${node}`
  return new SignalMeshError('RATE_LIMITED', text, { retryAfterMs: BUSY_RETRY_MS })
}
