/** Pages whose ICE can find no path: their homes carry the connection, until a path of its own appears. */

import { readFileSync } from 'node:fs'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { poll } from './support/poll.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const test = suite('carried', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

const MIB = 1024 * 1024
const BYTES = 10 * MIB
/** A node may take so much more for what it carries, garbage and all. */
const MAX_GROWN_BYTES = 64 * MIB

/** While it is walled, a page has no candidates at all: relays alone, and no TURN server. */
const PAGE = `<script type="module">
  globalThis.isWalled = true
  const Real = globalThis.RTCPeerConnection
  globalThis.RTCPeerConnection = class extends Real {
    constructor(config) {
      super(globalThis.isWalled ? { ...config, iceTransportPolicy: 'relay' } : config)
    }
  }
  globalThis.mostBuffered = 0
  const RealSocket = globalThis.WebSocket
  globalThis.WebSocket = class extends RealSocket {
    send(data) {
      globalThis.mostBuffered = Math.max(globalThis.mostBuffered, this.bufferedAmount)
      super.send(data)
    }
  }
  const { joinMesh } = await import('/edge.js')
  const edge = await joinMesh({ network: 'e2e', topics: ['room'] })
  const use = (connection) => {
    globalThis.connection = connection
    globalThis.heard = []
    globalThis.heardBytes = 0
    globalThis.inOrder = true
    connection.on('message', (data) => {
      if (typeof data === 'string') { heard.push(data); return }
      const number = new DataView(data.buffer, data.byteOffset).getUint32(0)
      globalThis.inOrder &&= number === globalThis.heardBytes
      globalThis.heardBytes += data.length
    })
  }
  edge.on('connection', use)
  globalThis.connectTo = async (id) => {
    const startedMs = performance.now()
    await edge.connect(id, { topic: 'room' })
    return performance.now() - startedMs
  }
  globalThis.sendBytes = async (bytes) => {
    for (let sent = 0; sent < bytes; sent += 65536) {
      const part = new Uint8Array(65536)
      new DataView(part.buffer).setUint32(0, sent)
      await connection.send(part)
    }
  }
  globalThis.id = edge.id
</script>`

declare global {
  var id: string
  var isWalled: boolean
  var heardBytes: number
  var inOrder: boolean
  var mostBuffered: number
  var heard: string[]
  var connection: {
    readonly path: string
    readonly state: string
    send(data: string): Promise<void>
    addStream(stream: unknown): void
  }
  var connectTo: (id: string) => Promise<number>
  var sendBytes: (bytes: number) => Promise<void>
}

async function showPages(stage: Stage): Promise<readonly [Page, Page]> {
  const pages = await Promise.all([stage.show(0, PAGE), stage.show(1, PAGE)])
  for (const page of pages) {
    await poll('the page has joined', DONE_WITHIN_MS, () =>
      page.evaluate(() => globalThis.id !== undefined),
    )
  }
  return pages as [Page, Page]
}

const pathOf = (page: Page): Promise<string> =>
  page.evaluate(() => globalThis.connection?.path ?? 'none')

function residentBytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
}

test('10 MB pass between two pages without any path, and move to one that appears', async () => {
  const stage = await openStage(2)
  const [a, b] = await showPages(stage)
  const bId = await b.evaluate(() => globalThis.id)
  const tookMs = await a.evaluate((id) => globalThis.connectTo(id), bId)
  assert.is(await pathOf(a), 'mesh')
  await poll('the called has it', DONE_WITHIN_MS, async () => (await pathOf(b)) === 'mesh')
  assert.ok(tookMs < 5000, `open after ${tookMs} ms`)

  const before = [0, 1].map((node) => residentBytes(stage.process(node).pid))
  const startedMs = Date.now()
  const sending = a.evaluate((bytes) => globalThis.sendBytes(bytes), BYTES)
  let grown = 0
  const isThere = async (): Promise<boolean> => {
    const now = [0, 1].map((node) => residentBytes(stage.process(node).pid))
    grown = Math.max(grown, ...now.map((bytes, i) => bytes - (before[i] ?? 0)))
    return b.evaluate((bytes) => globalThis.heardBytes === bytes, BYTES)
  }
  await poll('all bytes are there', 60_000, isThere)
  await sending
  const seconds = (Date.now() - startedMs) / 1000
  assert.ok(await b.evaluate(() => globalThis.inOrder))
  const buffered = await a.evaluate(() => globalThis.mostBuffered)
  console.log(
    `carried: open in ${Math.round(tookMs)} ms, ${(BYTES / MIB / seconds).toFixed(2)} MiB/s, ` +
      `nodes grew by ${(grown / MIB).toFixed(1)} MiB, at most ${buffered} B waited in the page`,
  )
  assert.ok(grown < MAX_GROWN_BYTES, `${grown} bytes`)
  assert.ok(buffered < 64 * 1024, `${buffered} bytes before a signal`)
  assert.is(
    await a.evaluate(() => {
      try {
        globalThis.connection.addStream(new MediaStream())
        return 'none'
      } catch (error) {
        return (error as { code: string }).code
      }
    }),
    'MEDIA_NEEDS_RTC',
  )

  for (const page of [a, b]) await page.evaluate(() => (globalThis.isWalled = false))
  const numbers = Array.from({ length: 400 }, (_, i) => `${i}`)
  const talking = a.evaluate(async (texts) => {
    for (const text of texts) {
      await globalThis.connection.send(text)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }, numbers)
  // As when the machine comes to another network.
  await a.evaluate(() => void globalThis.dispatchEvent(new Event('online')))
  for (const page of [a, b]) {
    await poll('it moves', 20_000, async () => ['local', 'direct'].includes(await pathOf(page)))
  }
  await talking
  await poll('all of it is heard', DONE_WITHIN_MS, () => b.evaluate(() => heard.length >= 400))
  assert.equal(await b.evaluate(() => heard), numbers)
  await poll('the homes are left', 20_000, async () =>
    (await stage.health()).every((health) => health.carry.pairs === 0),
  )
})

test.run()
