/** The program beside a node that relays the DHT: all that its clients may break is this process. */

import process from 'node:process'
import { systemClock } from '../src/clock.ts'
import { asMeshError } from '../src/errors.ts'
import { openDht } from './dht.ts'
import { type LentDht, lendDht, type RelaySocket } from './dhtrelay.ts'
import { plainBytes } from './reason.ts'
import { lentTo } from './relaylent.ts'
import { createRelayTurns } from './relayturns.ts'

/** What the node says: of sockets, by their numbers. */
export type Order =
  | { readonly do: 'open'; readonly id: number }
  | { readonly do: 'close'; readonly id: number }
  | { readonly do: 'frame'; readonly id: number; readonly bytes: Uint8Array }

/** What this process says; `blame` names the socket whose frame ends it. */
export type Word =
  | { readonly say: 'frame'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly say: 'close'; readonly id: number; readonly reason: string }
  | { readonly say: 'blame'; readonly id: number }

type Listener = (event: { data?: unknown }) => void

interface Client {
  readonly socket: RelaySocket
  tell(name: 'message' | 'close', event: { data?: unknown }): void
}

const clients = new Map<number, Client>()

function say(word: Word, then?: () => void): void {
  // A parent that has gone is told of by `disconnect`.
  process.send?.(word, undefined, undefined, () => then?.())
}

/** A WebSocket as the package wants one, whose other end is the node. */
function makeClient(id: number): Client {
  const listeners = new Map<string, Set<Listener>>()
  const socket = {
    binaryType: 'arraybuffer',
    readyState: 1,
    send: (bytes: Uint8Array) => say({ say: 'frame', id, bytes: plainBytes(bytes) }),
    close: () => leave(id, 'closed'),
    addEventListener: (name: string, listener: Listener) => {
      listeners.set(name, (listeners.get(name) ?? new Set()).add(listener))
    },
    removeEventListener: (name: string, listener: Listener) => {
      listeners.get(name)?.delete(listener)
    },
  }
  const tell: Client['tell'] = (name, event) => {
    if (name === 'close') socket.readyState = 3
    for (const listener of [...(listeners.get(name) ?? [])]) listener(event)
  }
  return { socket, tell }
}

function leave(id: number, reason: string): void {
  const client = clients.get(id)
  if (!client) return
  clients.delete(id)
  say({ say: 'close', id, reason })
  client.tell('close', {})
}

function heed(dht: LentDht, order: Order): void {
  if (order.do === 'open') {
    const client = makeClient(order.id)
    clients.set(order.id, client)
    const lent = lentTo(dht, systemClock, (code) => leave(order.id, code))
    lendDht(lent, client.socket)
  } else if (order.do === 'close') leave(order.id, 'closed')
  else clients.get(order.id)?.tell('message', { data: order.bytes })
}

function end(error: unknown, reading: number | undefined): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  if (reading === undefined) process.exit(1)
  say({ say: 'blame', id: reading }, () => process.exit(1))
}

async function main(): Promise<void> {
  try {
    const [bootstrap = '', host] = process.argv.slice(2)
    const dht = await openDht({ bootstrap: bootstrap.split(','), ...(host && { host }) })
    const turns = createRelayTurns<Order>((order) => heed(dht as unknown as LentDht, order))
    process.on('uncaughtException', (error) => end(error, turns.reading))
    process.on('message', turns.push)
    process.on('disconnect', () => process.exit())
    process.on('SIGTERM', () => process.exit())
    process.stdout.write('{}\n')
  } catch (error) {
    process.stderr.write(`${asMeshError(error).message}\n`)
    process.exit(1)
  }
}

await main()
