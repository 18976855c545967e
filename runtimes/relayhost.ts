/** A node's DHT relay: sockets at `/dht`, within quotas, handed on to a process that may break. */

import { type Clock, systemClock } from '../src/clock.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { MAX_BUFFERED_BYTES } from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import type { RelayHost, RelayHostOptions, TakeLink } from '../src/runtime.ts'
import { type Child, startChild } from './children.ts'
import {
  MAX_RELAY_BACKLOG_BYTES,
  MAX_RELAY_FRAME_BYTES,
  RELAY_HEAP_MIB,
  RELAY_RESTART_FIRST_MS,
  RELAY_RESTART_MAX_MS,
  RELAY_STEADY_MS,
} from './limits.ts'
import { plain } from './pages.ts'
import { plainBytes } from './reason.ts'
import type { Order, Word } from './relaychild.ts'
import { createRelayQuotas, idleWatch, type Paced, type Place, paced } from './relayquotas.ts'

/** What a relay's process is to its node. */
export interface RelayProcess {
  send(order: Order, sent: () => void): void
  onWord(heed: (word: Word) => void): void
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/** What surrounds it; tests bring their own. */
export interface RelayGround {
  readonly clock: Clock
  start(): Promise<RelayProcess>
}

/** One client's socket. */
interface Client {
  readonly place: Place
  readonly link: Link
  readonly down: Paced
  /** Ends it here, with a word to the client. */
  end(reason: string): void
}

/** Offers the relay. It does not wait for its process. */
export function offerRelay(
  options: RelayHostOptions,
  ground: RelayGround = { clock: systemClock, start: () => startProcess(options) },
): RelayHost {
  const { clock } = ground
  const { log } = options
  const quotas = createRelayQuotas(clock)
  const clients = new Map<number, Client>()
  let current: RelayProcess | undefined
  let backlogBytes = 0
  let nextId = 1
  let failures = 0
  let closed = false
  let cancelWait = (): void => {}

  const start = async (): Promise<void> => {
    const startMs = clock.monotonicMs()
    try {
      const started = await ground.start()
      if (closed) return void started.stop()
      current = started
      backlogBytes = 0
      started.onWord(heed)
      log.info('The DHT relay is ready')
      await started.exited
    } catch (error) {
      log.warn('The DHT relay could not be started', { error: asMeshError(error) })
    }
    current = undefined
    for (const client of [...clients.values()]) client.end('GOING_AWAY')
    if (closed) return
    failures = clock.monotonicMs() - startMs >= RELAY_STEADY_MS ? 0 : failures + 1
    const waitMs = Math.min(
      RELAY_RESTART_MAX_MS,
      RELAY_RESTART_FIRST_MS * 2 ** Math.min(failures, 10),
    )
    log.warn('The DHT relay has ended and is started again; this node goes on', { waitMs })
    cancelWait = clock.after(waitMs, () => void start())
  }

  const heed = (word: Word): void => {
    const client = clients.get(word.id)
    if (!client) return
    if (word.say === 'frame') client.down.push(plainBytes(word.bytes))
    else if (word.say === 'close') client.end(word.reason)
    else {
      quotas.ban(client.place.address)
      log.warn('A client has broken the DHT relay', { address: client.place.address })
      client.end('BAD_FRAME')
    }
  }

  /** What the process does not take, it is stuck with: a new one is better. */
  const tell = (order: Order, bytes = 0): void => {
    const told = current
    if (!told) return
    backlogBytes += bytes
    told.send(order, () => {
      if (told === current) backlogBytes -= bytes
    })
    if (backlogBytes > MAX_RELAY_BACKLOG_BYTES) void told.stop()
  }

  const take = (link: Link, place: Place): void => {
    const id = nextId++
    const onExcess = (code: ErrorCode): void => end(code)
    const up = paced(clock, (bytes) => tell({ do: 'frame', id, bytes }, bytes.length), onExcess)
    const down = paced(
      clock,
      (bytes) => {
        link.send(bytes)
        if (link.bufferedBytes > MAX_BUFFERED_BYTES) end('TOO_MANY')
      },
      onExcess,
    )
    const idle = idleWatch(clock, () => end('TIMEOUT'))
    const end = (reason: string): void => {
      if (!clients.delete(id)) return
      for (const part of [up, down, idle]) part.stop()
      place.leave()
      tell({ do: 'close', id })
      link.close(reason)
    }
    clients.set(id, { place, link, down, end })
    tell({ do: 'open', id })
    void link.closed.then(end)
    link.subscribe((frame) => {
      idle.heard()
      up.push(frame)
    })
  }

  const enter = (link: Link, address: string): void => {
    try {
      // The process may have ended since the socket was asked for.
      if (!current) throw new SignalMeshError('GOING_AWAY', 'The DHT relay has ended')
      take(link, quotas.enter(address))
    } catch (error) {
      const { code, message } = asMeshError(error)
      log.debug('Refused a client of the DHT relay', { address, code, why: message })
      link.close(code)
    }
  }

  void start()
  return {
    upgrade: (address) => {
      if (!current || closed) return plain(503, 'The DHT relay is not ready')
      const accept: TakeLink = (link) => enter(link, address)
      return Object.assign(accept, { maxFrameBytes: MAX_RELAY_FRAME_BYTES })
    },
    close: async () => {
      closed = true
      cancelWait()
      for (const client of [...clients.values()]) client.end('GOING_AWAY')
      await current?.stop()
    },
  }
}

async function startProcess({ bootstrap, host, log }: RelayHostOptions): Promise<RelayProcess> {
  const child: Child = await startChild({
    program: './relaychild.ts',
    args: [bootstrap.join(','), ...(host === undefined ? [] : [host])],
    heapMiB: RELAY_HEAP_MIB,
    binary: true,
    onErrorText: (text) => log.debug('The DHT relay says', { text: text.trim() }),
  })
  return {
    send: (order, sent) => void child.process.send(order, undefined, undefined, sent),
    onWord: (heed) => void child.process.on('message', heed),
    exited: child.exited,
    stop: child.stop,
  }
}
