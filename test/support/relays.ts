/** Stand-ins for what a DHT relay and its client stand between: a DHT, a process, sockets. */

import { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'
import type { KeyPair, LentDht, RelaySocket } from '../../runtimes/dhtrelay.ts'
import type { Order, Word } from '../../runtimes/relaychild.ts'
import type { Socket } from '../../runtimes/relayed.ts'
import { offerRelay, type RelayProcess } from '../../runtimes/relayhost.ts'
import { type ManualClock, settle } from '../../src/clock.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { type Log, silentLog } from '../../src/log.ts'
import type { RelayHost } from '../../src/runtime.ts'

export const KEYS: KeyPair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) }

/** A DHT that opens whatever is asked for, and remembers it. */
export function openHandedDht(): { readonly dht: LentDht; readonly opened: Duplex[] } {
  const opened: Duplex[] = []
  const open = (): Duplex => {
    const stream = new Duplex({ read: () => {}, write: (_, __, done) => done() })
    opened.push(stream)
    return stream
  }
  const server = (): never =>
    Object.assign(new EventEmitter(), {
      listen: async () => {},
      close: async () => {},
      address: () => null,
    }) as never
  const dht = {
    connect: open,
    createServer: server,
    lookup: open,
    announce: open,
    lookupAndUnannounce: open,
  }
  return { dht: dht as unknown as LentDht, opened }
}

/** How a stream that was asked for fares: `taken`, or what it was refused with. */
export async function fateOf(stream: unknown): Promise<string> {
  let fate = 'taken'
  ;(stream as Duplex).on('error', (error) => {
    fate = error.message
  })
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  return fate
}

export interface FakeProcess extends RelayProcess {
  readonly orders: Order[]
  /** Whether what it is told arrives. */
  isStuck: boolean
  say(word: Word): void
  end(): void
  readonly wasStopped: boolean
}

export function fakeProcess(): FakeProcess {
  let heed: (word: Word) => void = () => {}
  let end: () => void = () => {}
  const exited = new Promise<void>((resolve) => (end = resolve))
  let wasStopped = false
  const self: FakeProcess = {
    orders: [],
    isStuck: false,
    send: (order, sent) => {
      self.orders.push(order)
      if (!self.isStuck) queueMicrotask(sent)
    },
    onWord: (fn) => {
      heed = fn
    },
    exited,
    stop: async () => {
      wasStopped = true
      end()
    },
    say: (word) => heed(word),
    end: () => end(),
    get wasStopped() {
      return wasStopped
    },
  }
  return self
}

export interface HostStage {
  readonly relay: RelayHost
  readonly processes: FakeProcess[]
  /** A client's end of a new socket from this address. */
  dial(address?: string): Link
}

/** A relay of a node, on processes that are none. */
export async function hostStage(clock: ManualClock, log: Log = silentLog): Promise<HostStage> {
  const processes: FakeProcess[] = []
  const start = async (): Promise<FakeProcess> => {
    const made = fakeProcess()
    processes.push(made)
    return made
  }
  const relay = offerRelay({ bootstrap: ['a:1'], log }, { clock, start })
  await settle()
  return {
    relay,
    processes,
    dial: (address = '192.0.2.1') => {
      const decision = relay.upgrade(address)
      const [near, far] = linkPair()
      if (typeof decision === 'function') decision(far)
      else near.close(`${decision.status}`)
      return near
    },
  }
}

/** Both ends of a WebSocket in memory; `alter` says what becomes of each message of the first end. */
export function socketPair(
  alter: (bytes: Uint8Array) => readonly Uint8Array[] = (bytes) => [bytes],
): readonly [Socket, RelaySocket & { destroy(): void }] {
  const ends: ReturnType<typeof makeEnd>[] = []
  ends.push(
    makeEnd(
      (bytes) => {
        for (const one of alter(bytes)) ends[1]?.hear(one)
      },
      () => ends[1]?.end(),
    ),
    makeEnd(
      (bytes) => ends[0]?.hear(bytes),
      () => ends[0]?.end(),
    ),
  )
  const [near, far] = ends as [ReturnType<typeof makeEnd>, ReturnType<typeof makeEnd>]
  return [near.socket, Object.assign(far.socket, { destroy: () => far.socket.close() })]
}

type Listener = (event: { data?: unknown }) => void

function makeEnd(onSend: (bytes: Uint8Array) => void, onClose: () => void) {
  const listeners = new Map<string, Set<Listener>>()
  const emit = (name: string, event: { data?: unknown }): void => {
    for (const listener of [...(listeners.get(name) ?? [])]) listener(event)
  }
  const end = (): void => {
    if (socket.readyState === 3) return
    socket.readyState = 3
    setImmediate(emit, 'close', {})
  }
  const socket = {
    binaryType: 'arraybuffer',
    readyState: 1,
    bufferedAmount: 0,
    send: (bytes: Uint8Array) => onSend(Uint8Array.from(bytes)),
    close: () => {
      end()
      onClose()
    },
    addEventListener: (name: string, listener: Listener) => {
      listeners.set(name, (listeners.get(name) ?? new Set()).add(listener))
      if (name === 'open') setImmediate(() => listener({}))
    },
    removeEventListener: (name: string, listener: Listener) => {
      listeners.get(name)?.delete(listener)
    },
  }
  const hear = (bytes: Uint8Array): void => {
    const data = Uint8Array.from(bytes).buffer
    setImmediate(() => {
      if (socket.readyState === 1) emit('message', { data })
    })
  }
  return { socket, hear, end }
}
