/** Registries as sources: both dialects by a real GraphQL server, and all that a hostile one can answer. */

import type { ServerResponse } from 'node:http'
import { usable } from '../runtimes/source.ts'
import { askHttp } from '../runtimes/sourcehttp.ts'
import { registrySource } from '../runtimes/sourceregistry.ts'
import { type Dialect, readRegistry, registryQuery } from '../src/registry.ts'
import { decodeKept, encodeKept, readTxt, recordOf, txtOf } from '../src/registryrecord.ts'
import { codeOf, rejection } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'
import { type Published, published, type Registry, startRegistry } from './support/registry.ts'

const test = suite('registry')
const DIALECTS: readonly Dialect[] = ['union', 'struct']
const NODE = 'a1'.repeat(32)
const NETWORK = 'b2'.repeat(32)
const NOW_MS = Date.parse('2026-11-23T00:00:00Z')
const SHORT_MS = 300

let registry: Registry | undefined
test.afterEach(async () => {
  await registry?.close()
  registry = undefined
})

async function ask(dialect: Dialect, records: readonly (Published | null)[], allowPrivate = false) {
  registry = await startRegistry(dialect, records)
  const source = registrySource(registry.url, { allowPrivate, clock: { nowMs: Date.now } })
  return { source, answer: await source.ask() }
}

/** What becomes of the answer that the server makes in this way. */
async function outcomeOf(behave: (response: ServerResponse) => void): Promise<string | undefined> {
  registry ??= await startRegistry('union')
  registry.behave = (_, response) => behave(response)
  const clock = { nowMs: Date.now }
  const source = registrySource(registry.url, { allowPrivate: false, clock, timeoutMs: SHORT_MS })
  return rejection(source.ask())
}

for (const dialect of DIALECTS) {
  test(`reads what a ${dialect} registry says of nodes, and leaves out what is wrong or over`, async () => {
    const good = published({
      url: 'wss://a.example/x',
      bootstrap: 'dht.example:49737',
      nodeId: NODE,
    })
    const wrong = [
      { url: 'ftp://a.example' },
      { url: 'https://user:word@a.example' },
      { url: 'https://a.example/?q' },
      { url: `https://${'a'.repeat(300)}.example` },
      { url: 7 },
      { bootstrap: 'dht.example' },
      { bootstrap: 'dht.example:0' },
      { bootstrap: 'a@b.example:1' },
      { url: 'https://a.example', nodeId: NODE.slice(1) },
      { url: 'https://a.example', network: 'main' },
      { url: null },
      {},
    ].map((fields) => published(fields))
    const over = {
      ...published({ url: 'https://b.example' }),
      expiryTime: '2020-01-01T00:00:00.000000000',
    }
    const odd = { ...published({ url: 'https://b.example' }), expiryTime: 'soon' }
    const inactive = [false, 'false', 0, 'x'.repeat(5_000)].map((active) =>
      published({ url: 'https://c.example', active }),
    )
    const nested = published({ signal: { url: 'https://d.example', active: true, more: [1] } })
    const nestedOff = published({ signal: { url: 'https://d.example', active: false } })
    const { answer } = await ask(dialect, [
      null,
      ...wrong,
      over,
      odd,
      ...inactive,
      nestedOff,
      good,
      nested,
    ])
    assert.equal(answer.records, [
      { url: 'https://a.example/x', bootstrap: 'dht.example:49737', node: NODE },
      { url: 'https://d.example' },
    ])
    assert.is(answer.dropped, 1 + wrong.length + 2 + inactive.length + 1)
  })

  test(`asks a ${dialect} registry for records without a name too`, async () => {
    const { answer } = await ask(dialect, [{ ...published({ nodeId: NODE }), names: [] }])
    assert.equal(answer.records, [{ node: NODE }])
  })
}

test('asks in the dialect of laconicd first, and after one answer of DXNS in that alone', async () => {
  const { source } = await ask('struct', [published({ nodeId: NODE })])
  assert.is(registry?.asked, 2)
  await source.ask()
  assert.is(registry?.asked, 3)
  await registry?.close()
  await ask('union', [published({ nodeId: NODE })])
  assert.is(registry?.asked, 1)
})

test('an answer that is none is refused by what it is', async () => {
  const json = (body: unknown) => (response: ServerResponse) =>
    void response.end(JSON.stringify(body))
  assert.is(await outcomeOf((response) => void response.end('<html>')), 'BAD_FRAME')
  assert.is(await outcomeOf((response) => void response.writeHead(500).end('{}')), 'BAD_FRAME')
  assert.is(await outcomeOf(json({ data: { queryRecords: {} } })), 'BAD_FRAME')
  assert.is(await outcomeOf(json(null)), 'BAD_FRAME')
  assert.is(await outcomeOf(json({ errors: [{ message: 'no' }] })), 'BAD_FRAME')
  assert.is(await outcomeOf((response) => void response.end('['.repeat(100_000))), 'BAD_FRAME')
  const many = Array.from({ length: 5_000 }, () => null)
  assert.is(await outcomeOf(json({ data: { queryRecords: many } })), 'TOO_LARGE')
  assert.is(await outcomeOf((response) => void response.destroy()), 'HOME_UNREACHABLE')
  const half = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-length': '100' }).write('{')
    setTimeout(() => response.destroy(), 20)
  }
  assert.is(await outcomeOf(half), 'HOME_UNREACHABLE')
})

test('an answer without end is cut off at its bound', async () => {
  const chunk = ' '.repeat(64 * 1024)
  const endless = (response: ServerResponse): void => {
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', more)
    more()
  }
  registry = await startRegistry('union')
  registry.behave = (_, response) => endless(response)
  const source = registrySource(registry.url, { allowPrivate: false, clock: { nowMs: Date.now } })
  assert.is(await rejection(source.ask()), 'TOO_LARGE')
})

test('an answer that comes byte by byte, or never, ends with its time', async () => {
  const startMs = performance.now()
  assert.is(await outcomeOf(() => undefined), 'TIMEOUT')
  const drip = (response: ServerResponse): void => {
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  }
  assert.is(await outcomeOf(drip), 'TIMEOUT')
  assert.ok(performance.now() - startMs < 10 * SHORT_MS)
})

test('neither a redirect nor a packed answer is followed', async () => {
  const away = { location: 'http://127.0.0.1:1/' }
  for (const status of [301, 302, 307, 308]) {
    assert.is(await outcomeOf((response) => void response.writeHead(status, away).end()), 'REFUSED')
  }
  const packed = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
  }
  assert.is(await outcomeOf(packed), 'REFUSED')
})

test('a public name that leads to a local address is not asked, and what was checked is what is asked', async () => {
  registry = await startRegistry('union', [published({ nodeId: NODE })])
  const { port } = new URL(registry.url)
  const url = `http://registry.example:${port}/api`
  let lookedUp = 0
  const lookUp = async () => {
    lookedUp += 1
    // Whoever asks a second time is led elsewhere.
    return [{ address: lookedUp % 2 ? '127.0.0.1' : '192.0.2.9', family: 4 }]
  }
  const question = {
    body: JSON.stringify({ query: registryQuery('union') }),
    maxBytes: 10_000,
    lookUps: { own: lookUp, others: lookUp },
  }
  assert.is(await rejection(askHttp(url, { ...question, allowPrivate: false })), 'REFUSED')
  lookedUp = 0
  assert.is((await askHttp(url, { ...question, allowPrivate: true })).status, 200)
  assert.is(lookedUp, 1)
})

test('local addresses of records are used only where that is allowed', () => {
  const locals = [
    '127.0.0.1',
    '10.1.2.3',
    'localhost',
    '169.254.169.254',
    'printer.local',
    '[::1]',
    '[fd00::1]',
  ]
  const records = locals.flatMap((host) => recordOf({ url: `http://${host}:80` }) ?? [])
  assert.is(records.length, locals.length)
  const bootstrap = { bootstrap: '192.168.0.1:49737' }
  const mixed = { url: 'https://a.example', ...bootstrap, node: NODE }
  const all = [...records, bootstrap, mixed, { url: 'http://10.0.0.1', node: NODE }]
  assert.equal(usable(all, false), [{ url: 'https://a.example', node: NODE }, { node: NODE }])
  assert.equal(usable(all, true), all)
})

test('records of another service, and times as Go writes them, are told apart', () => {
  const read = (attributes: unknown, expiryTime?: string) =>
    readRegistry(JSON.stringify({ data: { queryRecords: [{ attributes, expiryTime }] } }), NOW_MS)
      ?.records.length
  const of = (fields: Record<string, string>) =>
    Object.entries(fields).map(([key, string]) => ({ key, value: { string } }))
  const good = of({ type: 'wrn:service', service: 'signal', url: 'https://a.example' })
  assert.is(read(good), 1)
  assert.is(read(of({ type: 'wrn:service', service: 'ipfs', url: 'https://a.example' })), 0)
  assert.is(read(of({ service: 'signal', url: 'https://a.example' })), 0)
  assert.is(read(Array(65).fill(good[0])), 0)
  for (const time of [
    '2026-11-23T00:00:01.123456789Z',
    '2026-11-23T00:00:01.1',
    '2026-11-23 01:00:01 +0100 CET',
    '',
  ]) {
    assert.is(read(good, time), 1, time)
  }
  for (const time of [
    '2026-11-22T23:59:59Z',
    '2026-11-23 00:30:00 +0100 CET',
    '2026-11-23T00:00:00Z',
    'x',
  ]) {
    assert.is(read(good, time), 0, time)
  }
})

test('a TXT record says the same as it was written from, and one that says a thing twice is refused', () => {
  const record = {
    url: 'https://a.example',
    bootstrap: 'b.example:1',
    relay: true as const,
    node: NODE,
    network: NETWORK,
  }
  assert.equal(readTxt(txtOf(record)), record)
  assert.is(recordOf({ url: 'https://a.example', relay: 'perhaps' }), undefined)
  assert.equal(recordOf({ bootstrap: 'b.example:1', relay: true }), { bootstrap: 'b.example:1' })
  assert.equal(readTxt('  v=signal-mesh1   url=wss://a.example  later=x '), {
    url: 'https://a.example',
  })
  const wrong = [
    'v=spf1 url=https://a.example',
    'url=https://a.example v=signal-mesh1',
    'v=signal-mesh1',
    'v=signal-mesh1 url=https://a.example url=https://b.example',
    'v=signal-mesh1 url=https://a.example active=false',
    'v=signal-mesh1 node=1 url=https://a.example',
    `v=signal-mesh1 url=https://a.example ${'x'.repeat(1_024)}`,
  ]
  assert.equal(
    wrong.map(readTxt),
    wrong.map(() => undefined),
  )
})

test('lists are kept whole, and a damaged file is refused', async () => {
  const kept = { 'dns a.example': [{ url: 'https://a.example', node: NODE }], 'last run': [] }
  assert.equal(decodeKept(encodeKept(kept)), kept)
  const bytes = encodeKept(kept)
  for (const damaged of [
    bytes.subarray(1),
    bytes.subarray(0, 20),
    new Uint8Array(0),
    Uint8Array.of(255),
  ]) {
    assert.is(
      codeOf(() => decodeKept(damaged)),
      'DATA_UNREADABLE',
    )
  }
})

test.run()
