/** Cases of sources: how much a registry, a domain, a list and a local network may bring, and when they are asked. */

import { parseConfig } from '../../runtimes/config.ts'
import { type Mdns, openLan } from '../../runtimes/lan.ts'
import { lanAnswer } from '../../runtimes/lananswer.ts'
import { LAN_GONE_MS } from '../../runtimes/limits.ts'
import { takeFew } from '../../runtimes/source.ts'
import { askHttp } from '../../runtimes/sourcehttp.ts'
import { openSources } from '../../runtimes/sources.ts'
import { openFinding } from '../../runtimes/sourceuse.ts'
import { utf8 } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { silentLog } from '../../src/log.ts'
import { readRegistry } from '../../src/registry.ts'
import { decodeKept, encodeKept, type MeshRecord, readTxt } from '../../src/registryrecord.ts'
import type { FoundPeer } from '../../src/urldials.ts'
import { assert } from '../harness/suite.ts'
import { memoryStore } from '../support/mesh.ts'
import { startRegistry } from '../support/registry.ts'
import { type Cases, caps, changesAt, drops, holds, outcomeOf, refuses } from './case.ts'
import { hurried } from './hurried.ts'

const SERVICE = '_signal-mesh._tcp.local'
const NETWORK = 'b2'.repeat(32)
const URL_TEXT = 'https://a.example'
const FIELDS = { type: 'wrn:service', service: 'signal', url: URL_TEXT }

/** Of `src/limits.ts`. */
export const sources: Cases = {
  MAX_REGISTRY_BYTES: refuses('TOO_LARGE', (bytes) =>
    outcomeOf(() => readRegistry('{"data":{"queryRecords":[]}}'.padEnd(bytes), 0)),
  ),
  MAX_RECORD_ATTRIBUTES: drops((count) => {
    const rest = Array.from({ length: count - 3 }, (_, i) => [`k${i}`, 'v'] as const)
    return readsOne({ ...FIELDS, ...Object.fromEntries(rest) })
  }),
  MAX_RECORD_TEXT_BYTES: drops((bytes) => {
    const json = JSON.stringify({ active: true, url: URL_TEXT }).padEnd(bytes)
    return readsOne(
      { type: FIELDS.type, service: FIELDS.service },
      { key: 'signal', value: { json } },
    )
  }),
  MAX_TXT_BYTES: drops((bytes) =>
    readTxt(`v=signal-mesh1 url=${URL_TEXT} `.padEnd(bytes, 'x')) ? 'taken' : 'dropped',
  ),
  MAX_TAKEN: caps((count) => {
    const all = Array.from({ length: count }, (_, i) => ({ url: `https://n${i}.example` }))
    return `${takeFew(all, [], Math.random).length}`
  }),
  MAX_KEPT_BYTES: refuses('DATA_UNREADABLE', (bytes) =>
    outcomeOf(() => decodeKept(utf8('{"format":1,"sources":{}}'.padEnd(bytes)))),
  ),
  MAX_REMEMBERED_URLS: caps(async (count) => {
    const near = Array.from({ length: count }, (_, i) => ({ url: `https://n${i}.example` }))
    const { store, running } = await opened({ near })
    await running.close()
    const kept = decodeKept((await store.read('sources')) as Uint8Array)
    return `${kept['last run']?.length}`
  }),
}

/** Of `runtimes/limits.ts`. */
export const sourceTimes: Cases = {
  MAX_SOURCES: refuses('BAD_CONFIG', (count) => {
    const list = Array.from({ length: count }, (_, i) => `https://n${i}.example`)
    return outcomeOf(() => parseConfig(['--registry', list.join()], {}))
  }),
  SOURCE_TIMEOUT_MS: holds('is how long an answer may take', 'TIMEOUT', async (ms) => {
    const registry = await startRegistry('union')
    registry.behave = () => undefined
    const question = { body: '', maxBytes: 1, allowPrivate: true }
    const outcome = await hurried(ms, () => outcomeOf(() => askHttp(registry.url, question)))
    await registry.close()
    return outcome
  }),
  SOURCE_REFRESH_MS: changesAt('still', 'asked again', async (ms) => {
    const refreshMs = parseConfig([], {}).refresh * 1000
    const { clock, asks } = await opened({ refreshMs })
    await clock.advance(ms)
    return asks() > 1 ? 'asked again' : 'still'
  }),
  SOURCE_RETRY_MS: changesAt('still', 'asked again', async (ms) => {
    const { clock, asks } = await opened({ records: [] })
    await clock.advance(ms)
    return asks() > 1 ? 'asked again' : 'still'
  }),
  NAMES_AGAIN_MS: changesAt('still', 'looked up again', async (ms) => {
    const clock = manualClock()
    const store = memoryStore()
    const url = 'http://127.0.0.1:9/api'
    await store.write(
      'sources',
      encodeKept({ [`registry ${url}`]: [{ bootstrap: 'a.example:1' }] }),
    )
    let looked = 0
    const finding = await openFinding({
      config: parseConfig(['--registry', url], {}),
      nodes: [],
      store,
      log: silentLog,
      listed: undefined,
      clock,
      look: async () => {
        looked += 1
        return undefined
      },
    })
    finding.listening({
      port: 1,
      selves: [],
      onBootstrap: () => undefined,
      onRelays: () => undefined,
    })
    await clock.advance(0)
    await clock.advance(ms)
    await finding.close()
    return looked > 1 ? 'looked up again' : 'still'
  }),
  LAN_ASK_MS: changesAt('still', 'asked again', async (ms) => {
    const clock = manualClock()
    const { sent } = lanWorld(clock)
    await clock.advance(ms)
    return sent.questions > 3 ? 'asked again' : 'still'
  }),
  LAN_ANSWER_MS: changesAt('silent', 'answered', async (ms) => {
    const clock = manualClock()
    const { sent, ask } = lanWorld(clock)
    await clock.advance(ms)
    ask()
    return sent.answers > 1 ? 'answered' : 'silent'
  }),
  LAN_GONE_MS: changesAt('there', 'gone', async (ms) => {
    const clock = manualClock()
    const { hear, peers } = lanWorld(clock)
    hear(7)
    assert.is(peers().length, 1)
    await clock.advance(ms)
    hear(0)
    return peers().length > 0 ? 'there' : 'gone'
  }),
  MAX_LAN_NODES: drops(async (count) => {
    const clock = manualClock()
    const { hear, peers } = lanWorld(clock)
    // One from elsewhere takes no place.
    hear(1, '203.0.113.7')
    for (let port = 1; port < count; port++) hear(port)
    await clock.advance(LAN_GONE_MS - 1)
    hear(count)
    await clock.advance(1)
    hear(0)
    return peers().length === 1 ? 'taken' : 'dropped'
  }),
  REMEMBER_MS: changesAt('not yet', 'noted', async (ms) => {
    const { clock, store } = await opened({ near: [{ url: URL_TEXT }], records: [] })
    await clock.advance(ms)
    return (await store.read('sources')) ? 'noted' : 'not yet'
  }),
}

function lanWorld(clock: ManualClock) {
  const takers: Record<string, (...args: never[]) => void> = {}
  const sent = { questions: 0, answers: 0 }
  let peers: readonly FoundPeer[] = []
  const mdns: Mdns = {
    on: (event: string, take: (...args: never[]) => void) => {
      takers[event] = take
    },
    respond: () => {
      sent.answers += 1
    },
    query: () => {
      sent.questions += 1
    },
    destroy: (done) => done(),
  }
  const self = { node: 'a1'.repeat(32), network: NETWORK }
  const onFound = (found: readonly FoundPeer[]): void => {
    peers = found
  }
  openLan({ selves: [self], port: 1, log: silentLog, onFound, clock }, () => mdns)
  return {
    sent,
    peers: () => peers,
    ask: () => takers['query']?.({ questions: [{ name: SERVICE }] } as never),
    hear: (port: number, address = '127.0.0.1') => {
      const node = `${port}`.padStart(64, '0')
      const answers = lanAnswer(SERVICE, port, [{ node, network: NETWORK }]).map((answer) =>
        answer.type === 'TXT' ? { ...answer, data: (answer.data as string[]).map(utf8) } : answer,
      )
      takers['response']?.({ answers } as never, { address } as never)
    },
  }
}

function readsOne(fields: Readonly<Record<string, string>>, ...more: readonly object[]): string {
  const texts = Object.entries(fields).map(([key, string]) => ({ key, value: { string } }))
  const queryRecords = [{ attributes: [...texts, ...more] }]
  const { records } = readRegistry(JSON.stringify({ data: { queryRecords } }), 0) ?? { records: [] }
  return records.length === 1 ? 'taken' : 'dropped'
}

interface Made {
  readonly records?: readonly MeshRecord[]
  readonly near?: readonly FoundPeer[]
  readonly refreshMs?: number
}

async function opened({ records = [{ url: URL_TEXT }], near = [], refreshMs = 3_600_000 }: Made) {
  const clock: ManualClock = manualClock()
  const store = memoryStore()
  let asked = 0
  const ask = async () => {
    asked += 1
    return { records, dropped: 0 }
  }
  const running = await openSources({
    sources: [{ key: 'a', ask }],
    store,
    log: silentLog,
    allowPrivate: true,
    refreshMs,
    near: () => near,
    onFound: () => undefined,
    clock,
    random: () => 0.5,
  })
  await clock.advance(0)
  return { clock, store, running, asks: () => asked }
}
