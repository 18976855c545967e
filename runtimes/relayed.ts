/** Joins the DHT through one of several relays, where the process cannot be a member of it itself. */

import { type Clock, systemClock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { JoinOptions, Swarm } from '../src/runtime.ts'
import { dhtThrough, type KeyPair, type RelaySocket, relayKeyPair } from './dhtrelay.ts'
import {
  MAX_RELAY_FRAME_BYTES,
  RELAY_ANSWERS_MS,
  RELAY_RETRY_FIRST_MS,
  RELAY_RETRY_MAX_MS,
  RELAY_STEADY_MS,
} from './limits.ts'
import { type Swarming, swarmOn } from './swarming.ts'

/** A WebSocket, as far as it is used here. */
export type Socket = RelaySocket & { readonly bufferedAmount: number }

/** What surrounds it; tests bring their own. */
export interface RelayedGround {
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly open: (url: string) => Socket
}

const GROUND: RelayedGround = {
  clock: systemClock,
  random: Math.random,
  // The package hands it plain bytes, which its type leaves open.
  open: (url) => new WebSocket(url) as Socket,
}

/** One stay at one relay. */
interface Stay {
  /** Resolves with whether others could dial this node there at all. */
  readonly ended: Promise<boolean>
  end(): void
}

/**
 * Joins the topic through the first relay that answers, and through the next when that one ends.
 * It waits for none of them: without a relay the node goes on alone. What a relay is told of this
 * node is a DHT key that was made for this process and is worth nothing elsewhere.
 */
export async function joinThroughRelay(
  options: JoinOptions,
  ground: RelayedGround = GROUND,
): Promise<Swarm> {
  const { clock, random } = ground
  let relays = (options.relays ?? []).map(dhtUrl)
  if (relays.length === 0) throw new SignalMeshError('BAD_ARGUMENT', 'No DHT relay is named')
  const keyPair = relayKeyPair()
  const wanted = new Map<string, Uint8Array>()
  let current: Swarming | undefined
  let stay: Stay | undefined
  let cancelWait = (): void => {}
  let closed = false
  let index = Math.floor(random() * relays.length)
  let failures = 0

  const visit = (): void => {
    const startMs = clock.monotonicMs()
    const url = relays[index++ % relays.length] as string
    stay = stayAt(url, options, keyPair, ground, (swarm) => {
      current = swarm
      for (const key of wanted.values()) swarm.connect(key)
    })
    void stay.ended.then((served) => {
      current = undefined
      if (closed) return
      const wasSteady = served && clock.monotonicMs() - startMs >= RELAY_STEADY_MS
      failures = wasSteady ? 0 : failures + 1
      if (failures === relays.length) options.onError(noneAnswers(relays))
      cancelWait = clock.after(retryMs(failures, relays.length, random), visit)
    })
  }
  visit()

  return {
    dhtKey: keyPair.publicKey.slice(),
    connect: (key) => {
      wanted.set(String(key), key)
      current?.connect(key)
    },
    forget: (key) => {
      wanted.delete(String(key))
      current?.forget(key)
    },
    useRelays: (urls) => {
      relays = urls.map(dhtUrl)
    },
    close: async () => {
      closed = true
      cancelWait()
      await current?.close()
      stay?.end()
    },
  }
}

/** Soon at the next relay; longer each time that none of them has held. Never all nodes at once. */
function retryMs(failures: number, relays: number, random: () => number): number {
  const rounds = Math.floor(failures / relays)
  const stepMs = Math.min(RELAY_RETRY_MAX_MS, RELAY_RETRY_FIRST_MS * 2 ** Math.min(rounds, 10))
  return Math.round(stepMs * (0.5 + random() / 2))
}

function stayAt(
  url: string,
  options: JoinOptions,
  keyPair: KeyPair,
  { clock, open }: RelayedGround,
  onServed: (swarm: Swarming) => void,
): Stay {
  let socket: Socket | undefined
  let swarm: Swarming | undefined
  let served = false
  let over = false
  let resolveEnded: (served: boolean) => void
  const ended = new Promise<boolean>((resolve) => (resolveEnded = resolve))
  const end = (): void => {
    if (over) return
    over = true
    cancelTimer()
    swarm?.drop()
    socket?.close()
    resolveEnded(served)
  }
  const cancelTimer = clock.after(RELAY_ANSWERS_MS, end)
  const listen = (at: Socket): void => {
    at.binaryType = 'arraybuffer'
    at.addEventListener('close', end)
    at.addEventListener('error', end)
    at.addEventListener('message', ({ data }) => {
      if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_RELAY_FRAME_BYTES) end()
    })
    // In the same turn, or the relay's first words would find nobody.
    at.addEventListener('open', () => {
      if (over) return
      const dht = dhtThrough(at, keyPair, end)
      const { topic, protocol, onLink } = options
      const relay = new URL(url).host
      const waitingBytes = (): number => at.bufferedAmount
      swarm = swarmOn({ topic, protocol, onLink, dht, keyPair, relay, waitingBytes })
      void swarm.listening.then(() => {
        if (over || !swarm) return
        served = true
        cancelTimer()
        onServed(swarm)
      }, end)
    })
  }
  try {
    socket = open(url)
    listen(socket)
  } catch {
    // A URL that this runtime's WebSocket does not take is a relay that does not answer.
    end()
  }
  return { ended, end }
}

/** Where a relay's sockets end: a node's URL with the scheme of sockets and the path `/dht`. */
function dhtUrl(url: string): string {
  const at = new URL(url)
  at.protocol = at.protocol.replace(/^http/, 'ws')
  at.hash = ''
  if (!at.pathname.endsWith('/dht')) at.pathname = `${at.pathname.replace(/\/$/, '')}/dht`
  return at.href
}

function noneAnswers(relays: readonly string[]): SignalMeshError {
  const list = relays.join(', ')
  return new SignalMeshError(
    'TIMEOUT',
    `No DHT relay answers of ${list}; this node goes on without`,
  )
}
