/** Cases of the adapters' waits for other programs and nodes, and the named tests that hold the rest. */

import { setTimeout as delay } from 'node:timers/promises'
import { startChild } from '../../runtimes/children.ts'
import { makeDials } from '../../runtimes/dials.ts'
import { LINKED_CHECK_MS } from '../../runtimes/limits.ts'
import { untilLinked } from '../../runtimes/local-mesh.ts'
import { keepLooking } from '../../runtimes/looks.ts'
import { main } from '../../runtimes/main.ts'
import { fewAtOnce } from '../../runtimes/names.ts'
import { runtime } from '../../runtimes/node.ts'
import { manualClock } from '../../src/clock.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, caps, changesAfter, changesAt, holds, outcomeOf } from './case.ts'
import { hurried, timersOf } from './hurried.ts'

const DEAF = '../test/fixtures/deaf.ts'

export const runtimeWaits: Cases = {
  START_TIMEOUT_MS: holds('is how long a child may take to be ready', 'INTERNAL', (ms) =>
    hurried(ms, () => outcomeOf(() => startChild({ program: DEAF }))),
  ),
  STOP_TIMEOUT_MS: holds('is how long a child may take to end', 'SIGKILL', async (ms) => {
    const child = await startChild({ program: DEAF, args: ['--ready'] })
    await hurried(ms, () => child.stop())
    return `${child.process.signalCode}`
  }),
  EXIT_MS: holds('is how long a node may take to stop', '0 in time', (ms) => exitOf(ms)),
  LINKED_TIMEOUT_MS: changesAfter('waited for', 'given up', (ms) => metWithin(ms)),
  LINKED_CHECK_MS: holds('parts two questions', 'asked again', async (ms) => {
    const { delays } = await timersOf(() => metWithin(0))
    return delays.includes(ms) ? 'asked again' : `${delays}`
  }),
  MAX_LOOKUPS: caps((count) => {
    let running = 0
    const lookUp = fewAtOnce(() => {
      running += 1
      return new Promise(() => undefined)
    }, manualClock())
    for (let i = 0; i < count; i++) lookUp('a.example').catch(() => undefined)
    return `${running}`
  }),
  DIAL_SETTLES_MS: changesAt('refused', 'made', (ms) => {
    const { now } = Date
    const dials = makeDials(() => ({
      keyPair: { publicKey: Uint8Array.of(9) },
      connections: { has: () => false },
      _allConnections: { get: () => undefined },
    }))
    const [first, second] = [Uint8Array.of(5), Uint8Array.of(6)]
    try {
      Date.now = () => 1_000
      dials.refuse(first, {})
      Date.now = () => 1_000 + ms
      // What others do meanwhile makes old dials be forgotten.
      dials.refuse(second, {})
      return dials.refuse(first, null) ? 'refused' : 'made'
    } finally {
      Date.now = now
    }
  }),
  LOOK_FIRST_MS: holds('is the wait before the first look again', 'the first', (ms) =>
    looksOf(0, 12).delays[0] === ms ? 'the first' : 'another',
  ),
  LOOK_MAX_MS: holds('is the longest wait between looks', 'the longest', (ms) => {
    const { delays } = looksOf(0, 12)
    assert.equal(delays.slice(0, 3), [250, 500, 1_000])
    return Math.max(...delays) === ms ? 'the longest' : `${delays}`
  }),
  LOOKS_AT_START: holds(
    'is how often a linked node looks, a lone one more often',
    'so',
    (count) => {
      assert.is(looksOf(0, 20).looks, 20)
      return looksOf(1, 20).looks === count ? 'so' : `${looksOf(1, 20).looks}`
    },
  ),
}

/** Bounds that need a DHT or processes of their own, by the test that does: its file and its title. */
export const elsewhere: Readonly<Record<string, readonly [file: string, title: string]>> = {
  MAX_BODY_BYTES: [
    'test/conformance/suite.ts',
    'throws the body of a request away, and refuses one over its bound',
  ],
  TLS_CHECK_MS: [
    'test/tlsfiles.test.ts',
    'the files are read again, and what is new is handed on once',
  ],
  DRAIN_MS: [
    'test/config.test.ts',
    'every setting has a default, a flag and a twin in the environment',
  ],
  MAX_VIEW_BYTES: ['test/commands-mesh.test.ts', 'status refuses an answer that is over its bound'],
  MAX_BACKLOG_BYTES: [
    'test/conformance/suite.ts',
    'lets go of one that is sent more than may ever wait, without leaving a frame out',
  ],
  LEAVE_MS: ['test/swarm.test.ts', 'says that no bootstrap answers, and still closes quickly'],
  DHT_ANSWERS_MS: [
    'test/swarm.test.ts',
    'says that no bootstrap answers, and still closes quickly',
  ],
  SIGNAL_ECHO_MS: [
    'test/cli.test.ts',
    'takes one Ctrl-C that arrives twice, as it does under npm, for one',
  ],
  PARENT_CHECK_MS: [
    'test/cli.test.ts',
    'started by npm, ends when the shell between them is killed',
  ],
}

/** Lets a node look so often, with so many links. */
function looksOf(links: number, times: number): { delays: number[]; looks: number } {
  const real = globalThis.setTimeout
  const delays: number[] = []
  let next = (): void => {}
  let looks = 0
  globalThis.setTimeout = ((fn: () => void, ms: number) => {
    delays.push(ms)
    next = fn
  }) as unknown as typeof setTimeout
  try {
    const refresh = async (): Promise<void> => {
      looks += 1
    }
    keepLooking({ connections: { size: links } }, { refresh })
    for (let i = 0; i < times; i++) next()
  } finally {
    globalThis.setTimeout = real
  }
  return { delays, looks }
}

/** Nodes that never meet, when so much time has passed since they were started. */
async function metWithin(ms: number): Promise<string> {
  const { now } = Date
  const startMs = now()
  let looks = 0
  Date.now = () => startMs + (looks === 0 ? 0 : ms)
  const onProgress = (): void => {
    looks += 1
  }
  // Nothing listens at port 1, and so no node has a neighbour.
  const urls = ['http://127.0.0.1:1', 'http://127.0.0.1:1']
  const met = untilLinked(urls, [], { onProgress }).then(
    () => 'met',
    (error) => (error.code === 'TIMEOUT' ? 'given up' : String(error)),
  )
  try {
    return await Promise.race([met, delay(LINKED_CHECK_MS * 2.5, 'waited for')])
  } finally {
    Date.now = () => startMs + 10 * 60_000
    await met
    Date.now = now
  }
}

/** How a program ends at a signal whose node never stops. */
function exitOf(ms: number): Promise<string> {
  return hurried(
    ms,
    () =>
      new Promise<string>((resolve) => {
        let stop: (cause: string, exitCode: number) => void = () => undefined
        const never = new Promise<void>(() => undefined)
        const listen = async (): Promise<{ port: number; close: () => Promise<void> }> => ({
          port: 1,
          close: () => never,
        })
        void main(
          { ...runtime, listen },
          {
            argv: ['--no-dht', '--log-level', 'error'],
            env: {},
            about: { name: 'a test', version: '0' } as never,
            out: () => stop('a test', 1),
            err: () => {},
            exit: (code) => resolve(`${code} in time`),
            onStop: (call) => {
              stop = call
            },
            readText: async () => '',
            readBuild: async () => new Map(),
            lanAddresses: () => [],
          },
        )
      }),
  )
}
