/** The carrier: an edge's connections that homes carry, over the one socket to its home, behind its signals. */

import {
  type CarryPlace,
  carriedConnection,
  carriedFrom,
  checkCarried,
  decodeCarryEnd,
  encodePlace,
} from '../carryframes.ts'
import type { Clock } from '../clock.ts'
import { asMeshError, type SignalMeshError } from '../errors.ts'
import { CARRY_TURN_MS } from '../limits.ts'
import { FRAME } from '../messages.ts'
import { EDGE_METHOD } from '../rpc.ts'
import type { Carried } from './carried.ts'

export interface CarrierOptions {
  readonly clock: Clock
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Whether a frame would hold up no signal now. */
  canSend(): boolean
  send(frame: Uint8Array): void
}

/** What takes part in a carried connection on this side. */
export interface Lane extends Pick<Carried, 'next' | 'receive' | 'resend'> {
  /** The home carries it no more. */
  onEnded(error: SignalMeshError): void
}

export interface Carrier {
  /** Asks the home to carry; from then on each new home is asked, too. Rejects with why it does not. */
  begin(place: CarryPlace, lane: Lane): Promise<void>
  end(place: CarryPlace): void
  /** Some lane has something to send. */
  wake(): void
  /** Takes a frame of the home's. @throws SignalMeshError `BAD_FRAME` */
  receive(frame: Uint8Array): void
  /** There is no home, or another one. */
  homeLost(): void
  homeOpened(): void
  close(): void
}

interface Entry {
  readonly place: CarryPlace
  readonly lane: Lane
  /** Whether the home of now has agreed. */
  isReady: boolean
}

export function createCarrier(options: CarrierOptions): Carrier {
  const { clock } = options
  /** In the order of their turns. */
  const entries = new Map<string, Entry>()
  let home = 0
  let isWoken = false
  let cancelTimer: (() => void) | undefined

  const pump = (): void => {
    let idle = 0
    while (idle < entries.size && options.canSend()) {
      const [key, entry] = entries.entries().next().value as [string, Entry]
      entries.delete(key)
      entries.set(key, entry)
      const frame = entry.isReady ? entry.lane.next() : undefined
      if (frame) options.send(frame)
      idle = frame ? 0 : idle + 1
    }
    const isBehind = idle < entries.size && [...entries.values()].some(({ isReady }) => isReady)
    // A socket does not say when it has room again.
    if (isBehind) cancelTimer ??= clock.after(CARRY_TURN_MS, onTimer)
  }
  const onTimer = (): void => {
    cancelTimer = undefined
    pump()
  }

  const ask = async (entry: Entry): Promise<void> => {
    const asked = home
    await options.request(EDGE_METHOD.carry, encodePlace(entry.place))
    // The one that has agreed is not the home any more; the next is asked by itself.
    if (asked === home) entry.isReady = true
  }

  const has = (entry: Entry): boolean => entries.get(keyOf(entry.place)) === entry

  const askAgain = async (entry: Entry): Promise<void> => {
    const asked = home
    try {
      await ask(entry)
      if (has(entry)) entry.lane.resend()
    } catch (error) {
      if (asked === home && has(entry)) ended(entry, asMeshError(error))
    }
  }

  const ended = (entry: Entry, error: SignalMeshError): void => {
    entries.delete(keyOf(entry.place))
    entry.lane.onEnded(error)
  }

  return {
    begin: async (place, lane) => {
      const entry: Entry = { place, lane, isReady: false }
      entries.set(keyOf(place), entry)
      try {
        await ask(entry)
        pump()
      } catch (error) {
        if (has(entry)) entries.delete(keyOf(place))
        throw error
      }
    },
    end: (place) => {
      if (!entries.delete(keyOf(place))) return
      // Who hears nothing of it counts it until the session ends.
      options.request(EDGE_METHOD.uncarry, encodePlace(place)).catch(() => undefined)
    },
    wake: () => {
      if (isWoken) return
      isWoken = true
      queueMicrotask(() => {
        isWoken = false
        pump()
      })
    },
    receive: (frame) => {
      if (frame[0] === FRAME.carryEnd) {
        const { error, ...place } = decodeCarryEnd(frame)
        const entry = entries.get(keyOf(place))
        if (entry) ended(entry, error)
        return
      }
      checkCarried(frame)
      const place = { peer: carriedFrom(frame), connection: carriedConnection(frame) }
      entries.get(keyOf(place))?.lane.receive(frame)
    },
    homeLost: () => {
      home += 1
      for (const entry of entries.values()) entry.isReady = false
    },
    homeOpened: () => {
      for (const entry of [...entries.values()]) if (!entry.isReady) void askAgain(entry)
    },
    close: () => {
      cancelTimer?.()
      entries.clear()
    },
  }
}

function keyOf({ peer, connection }: CarryPlace): string {
  return `${peer}/${connection}`
}
