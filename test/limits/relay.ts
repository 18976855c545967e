/** Cases of DHT relaying: what a client may take of a relay, and how long either waits for what. */

import { startChild } from '../../runtimes/children.ts'
import { parseConfig } from '../../runtimes/config.ts'
import * as limits from '../../runtimes/limits.ts'
import { joinThroughRelay, type Socket } from '../../runtimes/relayed.ts'
import { lentTo } from '../../runtimes/relaylent.ts'
import { createRelayQuotas, paced } from '../../runtimes/relayquotas.ts'
import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import { assert } from '../harness/suite.ts'
import { fateOf, hostStage, KEYS, openHandedDht } from '../support/relays.ts'
import {
  type Case,
  type Cases,
  changesAt,
  FORGOT,
  forgets,
  holds,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

const KEY = new Uint8Array(32)

export const relay: Cases = {
  MAX_RELAY_CONNECTIONS: refuses('TOO_MANY', (count) => {
    const quotas = createRelayQuotas(manualClock())
    return outcomeOf(() => {
      for (let i = 0; i < count; i++) quotas.enter(`192.0.${i}.1`)
    })
  }),
  MAX_RELAY_CONNECTIONS_PER_ADDRESS: refuses('TOO_MANY', async (count) => {
    const quotas = createRelayQuotas(manualClock())
    const outcome = await outcomeOf(() => {
      for (let i = 0; i < count; i++) quotas.enter(`2001:db8:0:1::${i}`)
    })
    quotas.enter('2001:db8:0:2::1')
    return outcome
  }),
  MAX_RELAY_STREAMS: refuses('TOO_MANY', async (count) => {
    const { dht, opened } = openHandedDht()
    const clock = manualClock()
    const lent = lentTo(dht, clock, () => {})
    const dials = []
    for (let i = 0; i < count; i++) {
      await clock.advance(1_000)
      dials.push(lent.connect(KEY, { keyPair: KEYS }))
    }
    const fate = await fateOf(dials.at(-1))
    opened[0]?.destroy()
    assert.is(await fateOf(opened[1]), TAKEN)
    await clock.advance(1_000)
    assert.is(await fateOf(lent.connect(KEY, { keyPair: KEYS })), TAKEN)
    return fate
  }),
  MAX_RELAY_QUERIES: refuses('TOO_MANY', (count) =>
    lookedUp(async (look) => {
      for (let i = 0; i < count; i++) look()
    }),
  ),
  RELAY_DIALS_BURST: refuses('RATE_LIMITED', (count) => dialled(count, 0)),
  RELAY_DIALS_PER_SECOND: refuses('RATE_LIMITED', (count) =>
    dialled(limits.RELAY_DIALS_BURST, count),
  ),
  RELAY_BYTES_BURST: holds('passes at once, and a byte more waits', 'so', async (bytes) => {
    const { push, passed } = pacing()
    push(bytes)
    assert.is(passed(), bytes)
    push(1)
    return passed() === bytes ? 'so' : 'it passes too'
  }),
  RELAY_BYTES_PER_SECOND: holds('passes in each second after that', 'so', async (bytes) => {
    const { push, passed, clock } = pacing()
    push(limits.RELAY_BYTES_BURST)
    push(bytes - limits.MAX_RELAY_FRAME_BYTES)
    push(limits.MAX_RELAY_FRAME_BYTES)
    await clock.advance(999)
    assert.is(passed(), limits.RELAY_BYTES_BURST + bytes - limits.MAX_RELAY_FRAME_BYTES)
    await clock.advance(1)
    return passed() === limits.RELAY_BYTES_BURST + bytes ? 'so' : `${passed()}`
  }),
  MAX_RELAY_WAITING_BYTES: refuses('RATE_LIMITED', async (bytes) => {
    const { push, excess } = pacing()
    push(limits.RELAY_BYTES_BURST)
    push(bytes)
    return excess()
  }),
  MAX_RELAY_FRAME_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const { push, excess } = pacing()
    push(bytes, bytes)
    return excess()
  }),
  MAX_RELAY_BACKLOG_BYTES: changesAtBytes(),
  RELAY_IDLE_MS: changesAt('open', 'TIMEOUT', async (ms) => {
    const clock = manualClock()
    const { dial } = await hostStage(clock)
    const link = dial()
    await clock.advance(1_000)
    link.send(new Uint8Array(1))
    await clock.advance(ms)
    return Promise.race([link.closed, settle().then(() => 'open')])
  }),
  RELAY_BAN_MS: changesAt('REFUSED', TAKEN, async (ms) => {
    const clock = manualClock()
    const quotas = createRelayQuotas(clock)
    quotas.ban('192.0.2.1')
    quotas.enter('192.0.2.2')
    await clock.advance(ms)
    return outcomeOf(() => quotas.enter('192.0.2.1'))
  }),
  MAX_RELAY_BANS: forgets(async (count) => {
    const quotas = createRelayQuotas(manualClock())
    for (let i = 0; i < count; i++) quotas.ban(`10.0.${i >> 8}.${i & 255}`)
    assert.is(await outcomeOf(() => quotas.enter('10.0.0.1')), 'REFUSED')
    return (await outcomeOf(() => quotas.enter('10.0.0.0'))) === TAKEN ? FORGOT : KEPT
  }),
  RELAY_HEAP_MIB: holds('is what the objects of its process may take', 'so', async (mib) => {
    const child = await startChild({ program: '../test/fixtures/heap.ts', heapMiB: mib })
    await child.exited
    const heapMiB = Number(child.ready.heapBytes) / 2 ** 20
    // The young objects have room of their own beside it.
    return heapMiB >= mib && heapMiB <= mib + 192 ? 'so' : `${heapMiB}`
  }),
  RELAY_RESTART_FIRST_MS: holds('is doubled as long as it ends at once', 'so', async (ms) => {
    const waits = await restarts(0)
    return waits[0] === 2 * ms && waits[1] === 4 * ms ? 'so' : `${waits}`
  }),
  RELAY_RESTART_MAX_MS: holds('is the longest wait', 'so', async (ms) => {
    const waits = await restarts(0)
    return Math.max(...waits) === ms ? 'so' : `${waits}`
  }),
  RELAY_STEADY_MS: changesAt('a failure', 'well', async (ms) => {
    const waits = await restarts(ms)
    return waits.every((wait) => wait === limits.RELAY_RESTART_FIRST_MS) ? 'well' : 'a failure'
  }),
  RELAY_ANSWERS_MS: changesAt('waited for', 'given up', async (ms) => {
    const stage = await joining(false)
    await stage.clock.advance(ms)
    return stage.closed() > 0 ? 'given up' : 'waited for'
  }),
  RELAY_RETRY_FIRST_MS: holds(
    'is waited before the next, and doubled each round',
    'so',
    async (ms) => {
      const waits = await retries()
      return String(waits.slice(0, 4)) === String([ms, 2 * ms, 2 * ms, 4 * ms]) ? 'so' : `${waits}`
    },
  ),
  RELAY_RETRY_MAX_MS: holds('is the longest wait', 'so', async (ms) => {
    const waits = await retries()
    return Math.max(...waits) === ms ? 'so' : `${waits}`
  }),
  MAX_RELAYS: refuses('BAD_CONFIG', (count) =>
    outcomeOf(() => {
      const urls = Array.from({ length: count }, (_, i) => `wss://relay${i}.example`)
      parseConfig(['--relay', urls.join(',')], {})
    }),
  ),
}

async function lookedUp(body: (look: () => void) => Promise<void>): Promise<string> {
  let outcome: string = TAKEN
  const { dht } = openHandedDht()
  const lent = lentTo(dht, manualClock(), (code) => {
    outcome = code
  })
  await body(() => void lent.lookup(KEY))
  return outcome
}

/** So many dials at once and, after a second, so many more; each ends at once. */
async function dialled(atOnce: number, later: number): Promise<string> {
  const clock = manualClock()
  const { dht, opened } = openHandedDht()
  const lent = lentTo(dht, clock, () => {})
  const dial = async (): Promise<string> => {
    const fate = await fateOf(lent.connect(KEY, { keyPair: KEYS }))
    opened.at(-1)?.destroy()
    return fate
  }
  let fate: string = TAKEN
  for (let i = 0; i < atOnce; i++) fate = await dial()
  if (later === 0) return fate
  await clock.advance(1_000)
  for (let i = 0; i < later; i++) fate = await dial()
  return fate
}

/** Frames of at most the largest size, and how many of their bytes have passed. */
function pacing() {
  const clock = manualClock()
  let passedBytes = 0
  let code: string = TAKEN
  const frames = paced(
    clock,
    (frame) => {
      passedBytes += frame.length
    },
    (excess) => {
      code = excess
    },
  )
  return {
    clock,
    push: (bytes: number, frameBytes = limits.MAX_RELAY_FRAME_BYTES) => {
      for (let left = bytes; left > 0; left -= frameBytes) {
        frames.push(new Uint8Array(Math.min(left, frameBytes)))
      }
    },
    passed: () => passedBytes,
    excess: () => code,
  }
}

/** The process is ended above so many bytes that it does not take. */
function changesAtBytes(): Case {
  const run = async (bytes: number): Promise<string> => {
    const clock = manualClock()
    const { dial, processes } = await hostStage(clock)
    const [process] = processes
    if (!process) throw new Error('No process')
    process.isStuck = true
    const perClient = limits.RELAY_BYTES_BURST
    for (let left = bytes; left > 0; left -= perClient) {
      const link = dial(`192.0.${left % 251}.${Math.ceil(left / perClient)}`)
      for (let i = 0; i < Math.min(left, perClient); i += limits.MAX_RELAY_FRAME_BYTES) {
        const size = Math.min(limits.MAX_RELAY_FRAME_BYTES, Math.min(left, perClient) - i)
        link.send(new Uint8Array(size))
      }
      await settle()
    }
    return process.wasStopped ? 'ended' : 'left alone'
  }
  return {
    run,
    trials: (limit) => [
      { title: `is left alone with ${limit}`, amount: limit, outcome: 'left alone' },
      { title: `is ended with ${limit + 1}`, amount: limit + 1, outcome: 'ended' },
    ],
  }
}

/** How long a relay waits before each new process, where each lives for so long. */
async function restarts(livedMs: number): Promise<number[]> {
  const clock = manualClock()
  const { processes } = await hostStage(clock)
  const waits: number[] = []
  for (let i = 0; i < 10; i++) {
    await clock.advance(livedMs)
    processes.at(-1)?.end()
    const before = processes.length
    let waitMs = 0
    for (await settle(); processes.length === before; await clock.advance(50)) waitMs += 50
    waits.push(waitMs)
  }
  return waits
}

/** A node before two relays that never answer, or end its sockets at once. */
async function joining(ends: boolean) {
  const clock: ManualClock = manualClock()
  const openedAtMs: number[] = []
  let closed = 0
  const open = (): Socket => {
    openedAtMs.push(clock.monotonicMs())
    const onClose = new Set<() => void>()
    if (ends) queueMicrotask(() => [...onClose].map((listener) => listener()))
    return {
      binaryType: '',
      readyState: 0,
      bufferedAmount: 0,
      send: () => {},
      close: () => {
        closed += 1
      },
      addEventListener: (name, listener) =>
        void (name === 'close' && onClose.add(() => listener({}))),
      removeEventListener: () => {},
    }
  }
  const relays = ['ws://a', 'ws://b']
  const options = {
    topic: KEY,
    protocol: '',
    bootstrap: [],
    relays,
    onLink: () => {},
    onError: () => {},
  }
  await joinThroughRelay(options, { clock, random: () => 1, open })
  await settle()
  return { clock, openedAtMs, closed: () => closed }
}

async function retries(): Promise<number[]> {
  const { clock, openedAtMs } = await joining(true)
  for (let i = 0; i < 60; i++) await clock.advance(10_000)
  return openedAtMs.slice(1).map((atMs, i) => atMs - (openedAtMs[i] as number))
}
