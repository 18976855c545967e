/** Attacks on where nodes are told of: records made to break who reads them, and machines that crowd a local network. */

import { type Mdns, openLan } from '../../runtimes/lan.ts'
import { lanAnswer, lanPeers } from '../../runtimes/lananswer.ts'
import { utf8 } from '../../src/bytes.ts'
import { manualClock } from '../../src/clock.ts'
import { MAX_TAKEN } from '../../src/limits.ts'
import { silentLog } from '../../src/log.ts'
import { readRegistry } from '../../src/registry.ts'
import { decodeKept } from '../../src/registryrecord.ts'
import type { FoundPeer } from '../../src/urldials.ts'
import { assert, suite } from '../harness/suite.ts'

const test = suite('attacks on sources')

const SERVICE = '_signal-mesh._tcp.local'
const NETWORK = 'b2'.repeat(32)

const isAbout = [
  { key: 'type', value: { string: 'wrn:service' } },
  { key: 'service', value: { string: 'signal' } },
]
const good = { attributes: [...isAbout, { key: 'url', value: { string: 'wss://a.example' } }] }

/** How many records are taken of the good one and this. */
function takenBeside(attribute: object, more: object = {}): number | undefined {
  const bad = { attributes: [...isAbout, attribute], ...more }
  const body = JSON.stringify({ data: { queryRecords: [good, bad] } })
  return readRegistry(body, 0)?.records.length
}

test('a record whose values are no texts takes no other record off the list', () => {
  const odd = { url: 'wss://b.example', relay: { toString: 0, valueOf: 0 } }
  assert.is(takenBeside({ key: 'signal', value: { json: JSON.stringify(odd) } }), 1)
  const over = { expiryTime: { toString: 0, valueOf: 0 } }
  assert.is(takenBeside({ key: 'url', value: { string: 'wss://b.example' } }, over), 1)
  const kept = { format: 1, sources: { a: [odd, { url: 'wss://a.example' }] } }
  assert.is(decodeKept(utf8(JSON.stringify(kept)))['a']?.length, 1)
})

test('maps within maps fill no stack, and take no other record off the list', () => {
  let value = '{"string":"x"}'
  for (let i = 0; i < 90_000; i++) value = `{"map":[{"key":"a","value":${value}}]}`
  const about = JSON.stringify(isAbout).slice(1, -1)
  const bad = `{"attributes":[${about},{"key":"x","value":${value}}]}`
  const answer = readRegistry(`{"data":{"queryRecords":[${JSON.stringify(good)},${bad}]}}`, 0)
  assert.is(answer?.records.length, 1)
})

test('a packet full of records costs a look at each, and no text is read twice', () => {
  const name = `x.${SERVICE}`
  let looks = 0
  const places = Array.from({ length: 1_600 }, () => ({
    name,
    get type() {
      looks += 1
      return 'SRV'
    },
    data: { port: 1 },
  }))
  const text = {
    name,
    type: 'TXT',
    get data() {
      looks += 100
      return [utf8('id=0')]
    },
  }
  lanPeers(SERVICE, [...places, text], '192.168.0.66')
  // Each looked for among all of them, they were millions.
  assert.ok(looks < 5_000, `${looks} looks`)
})

test('one machine of the local network does not take the places of all others', async () => {
  const clock = manualClock()
  const takers: Record<string, (...args: never[]) => void> = {}
  const mdns: Mdns = {
    on: (event: string, take: (...args: never[]) => void) => {
      takers[event] = take
    },
    respond: () => undefined,
    query: () => undefined,
    destroy: (done) => done(),
  }
  let peers: readonly FoundPeer[] = []
  const onFound = (found: readonly FoundPeer[]): void => {
    peers = found
  }
  const self = { node: 'a1'.repeat(32), network: NETWORK }
  const lan = openLan({ selves: [self], port: 1, log: silentLog, onFound, clock }, () => mdns)
  const hear = (port: number, address: string): void => {
    const node = `${port}`.padStart(64, '0')
    const answers = lanAnswer(SERVICE, port, [{ node, network: NETWORK }]).map((answer) =>
      answer.type === 'TXT' ? { ...answer, data: (answer.data as string[]).map(utf8) } : answer,
    )
    takers['response']?.({ answers } as never, { address } as never)
  }
  for (let port = 1; port <= 1_000; port++) hear(port, '127.0.0.66')
  assert.is(peers.length, MAX_TAKEN)
  for (let i = 1; i < MAX_TAKEN; i++) hear(2_000 + i, `127.0.0.${i}`)
  const hosts = new Set(peers.map(({ url }) => new URL(url).hostname))
  assert.is(hosts.size, MAX_TAKEN, [...hosts].join())
  await lan.close()
})

test.run()
