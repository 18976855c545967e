/** Rooms of real pages, and files between two of them: nobody has too much of anything. */

import type { Connection, Edge, Room } from '../src/edge/mod.ts'
import { CHANNEL_PART_BYTES, CHANNEL_WINDOW_BYTES } from '../src/limits.ts'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { poll } from './support/poll.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'

const test = suite('rooms', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

const PAGES = 12
const MAX_PEERS = 4
/** Twelve pages on two cores. */
const WHOLE_WITHIN_MS = 45_000
const CHUNK_BYTES = 65_536
/** 200 MB take 25 s on a busy machine: `FILE_MB=200 npm run e2e -- rooms` sends as much. */
const FILE_MB = Number(process.env.FILE_MB ?? 50)
const FILE_BYTES = FILE_MB * 2 ** 20

declare global {
  var guest: { edge: Edge; room?: Room; most: number }
  var flow: {
    arrivedBytes: number
    readBytes: number
    mostUnreadBytes: number
    mostHeapBytes: number
  }
  var reading: Promise<string>
  var startReading: () => void
}

/** Joins the room in the page, and notes the most connections that it has had there at once. */
async function enterRoom(maxPeers: number): Promise<string> {
  const { joinMesh } = await import('/edge.min.js' as string)
  const edge: Edge = await joinMesh({ network: 'e2e' })
  const room = await edge.join('lobby', { maxPeers })
  globalThis.guest = { edge, room, most: 0 }
  room.on('change', (peers) => {
    guest.most = Math.max(guest.most, peers.size)
  })
  return edge.id
}

interface Guest {
  readonly page: Page
  readonly id: string
}

async function open(stage: Stage, node: number): Promise<Guest> {
  const page = await stage.show(node, '<title>room</title>')
  return { page, id: await page.evaluate(enterRoom, MAX_PEERS) }
}

/** Whether all guests are one graph of connections that both ends have, and nobody else is in it. */
async function isWhole(guests: readonly Guest[]): Promise<boolean> {
  const peersOf = new Map<string, string[]>()
  for (const { page, id } of guests) {
    peersOf.set(id, await page.evaluate(() => [...(guest.room?.peers.keys() ?? [])]))
  }
  const reached = new Set([...peersOf.keys()].slice(0, 1))
  for (const id of reached) {
    for (const peer of peersOf.get(id) ?? []) {
      if (!peersOf.get(peer)?.includes(id)) return false
      reached.add(peer)
    }
  }
  return reached.size === guests.length
}

test('twelve pages with four connections each are one room, mended after two have gone', async () => {
  const stage = await openStage(3)
  const startMs = performance.now()
  const guests: Guest[] = []
  for (let i = 0; i < PAGES; i += 3) {
    guests.push(...(await Promise.all([0, 1, 2].map((node) => open(stage, node)))))
  }
  const openMs = performance.now()
  await poll('the room is whole', WHOLE_WITHIN_MS, () => isWhole(guests))
  const wholeMs = performance.now()

  const left = await Promise.all(
    guests.splice(3, 2).map(async ({ page, id }) => {
      await page.context().close()
      return id
    }),
  )
  await poll('the room is mended', WHOLE_WITHIN_MS, () => isWhole(guests))
  const totals = (): Promise<(number | undefined)[]> =>
    Promise.all(guests.map(({ page }) => page.evaluate(() => guest.room?.total)))
  await poll('all count nine others', WHOLE_WITHIN_MS, async () =>
    (await totals()).every((total) => total === PAGES - left.length - 1),
  )
  const mendedMs = performance.now()
  const most = await Promise.all(guests.map(({ page }) => page.evaluate(() => guest.most)))
  const took = [openMs - startMs, wholeMs - openMs, mendedMs - wholeMs].map(Math.round)
  console.log(
    `room: pages in ${took[0]} ms, whole ${took[1]} ms, mended ${took[2]} ms; most ${most}`,
  )
  assert.ok(
    most.every((count) => count <= MAX_PEERS),
    `${most}`,
  )

  const heard = guests[1] as Guest
  const word = heard.page.evaluate(
    () => new Promise<unknown>((resolve) => guest.room?.on('message', ({ data }) => resolve(data))),
  )
  for (const { page, id } of guests) {
    if (id !== heard.id) await page.evaluate(() => guest.room?.send('hello'))
  }
  assert.is(await word, 'hello')
})

test('a large file passes at the pace of its reader, with little memory on both sides', async () => {
  const stage = await openStage(1)
  const [sender, receiver] = [
    await stage.show(0, '<title>sender</title>'),
    await stage.show(0, '<title>receiver</title>'),
  ]
  const id = await receiver.evaluate(receive)
  const startMs = performance.now()
  const sending = sender.evaluate(send, { id, fileBytes: FILE_BYTES, chunkBytes: CHUNK_BYTES })
  // Nobody reads yet: what is under way comes to a stop.
  const atRest = await untilAtRest(receiver)
  const bound = CHANNEL_WINDOW_BYTES + 2 * CHANNEL_PART_BYTES + CHUNK_BYTES
  assert.ok(atRest > CHANNEL_WINDOW_BYTES / 2 && atRest <= bound, `${atRest} bytes at rest`)
  await receiver.evaluate(() => startReading())
  const sent = await sending
  const hash = await receiver.evaluate(() => reading)
  const tookMs = performance.now() - startMs
  const flow = await receiver.evaluate(() => globalThis.flow)
  const figures = { tookMs: Math.round(tookMs), atRest, ...flow, senderHeap: sent.mostHeapBytes }
  console.log(`${FILE_MB} MB: ${JSON.stringify(figures)}`)
  assert.is(hash, sent.hash)
  assert.is(flow.readBytes, FILE_BYTES)
  assert.ok(flow.mostUnreadBytes <= bound, `${flow.mostUnreadBytes} bytes unread`)
})

/** What came to the page and was not read, once no more comes. */
async function untilAtRest(page: Page): Promise<number> {
  let before = -1
  return poll('nothing more comes', 15_000, async () => {
    await page.waitForTimeout(500)
    const now = await page.evaluate(() => globalThis.flow.arrivedBytes)
    const isAtRest = now > 0 && now === before
    before = now
    return isAtRest && now
  })
}

/** In the page that receives: counts what comes, reads when it is told to, gives a chained hash. */
async function receive(): Promise<string> {
  globalThis.flow = { arrivedBytes: 0, readBytes: 0, mostUnreadBytes: 0, mostHeapBytes: 0 }
  const count = ({ data }: MessageEvent): void => {
    flow.arrivedBytes += data.byteLength ?? data.length
    flow.mostUnreadBytes = Math.max(flow.mostUnreadBytes, flow.arrivedBytes - flow.readBytes)
  }
  const Real = globalThis.RTCPeerConnection
  globalThis.RTCPeerConnection = class extends Real {
    constructor(config?: RTCConfiguration) {
      super(config)
      this.addEventListener('datachannel', ({ channel }) =>
        channel.addEventListener('message', count),
      )
    }
  }
  const { joinMesh } = await import('/edge.min.js' as string)
  const edge: Edge = await joinMesh({ network: 'e2e' })
  await edge.advertise('files')
  const told = new Promise<void>((resolve) => {
    globalThis.startReading = resolve
  })
  const read = async (connection: Connection): Promise<string> => {
    await told
    let chain = new Uint8Array(32)
    const reader = connection.readable.getReader()
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const chunk = next.value as Uint8Array<ArrayBuffer>
      flow.readBytes += chunk.length
      const { memory } = performance as { memory?: { usedJSHeapSize: number } }
      flow.mostHeapBytes = Math.max(flow.mostHeapBytes, memory?.usedJSHeapSize ?? 0)
      const both = new Uint8Array(32 + chunk.length)
      both.set(chain)
      both.set(chunk, 32)
      chain = new Uint8Array(await crypto.subtle.digest('SHA-256', both))
    }
    return Array.from(chain, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  globalThis.reading = new Promise((resolve, reject) => {
    edge.on('connection', (connection) => read(connection).then(resolve, reject))
  })
  return edge.id
}

/** In the page that sends: random bytes as a stream, which closes the connection at its end. */
async function send(file: {
  id: string
  fileBytes: number
  chunkBytes: number
}): Promise<{ hash: string; mostHeapBytes: number }> {
  const { joinMesh } = await import('/edge.min.js' as string)
  const edge: Edge = await joinMesh({ network: 'e2e' })
  const connection = await edge.connect(file.id, { topic: 'files' })
  let chain = new Uint8Array(32)
  let leftBytes = file.fileBytes
  let mostHeapBytes = 0
  const source = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const chunk = crypto.getRandomValues(new Uint8Array(Math.min(leftBytes, file.chunkBytes)))
      const both = new Uint8Array(32 + chunk.length)
      both.set(chain)
      both.set(chunk, 32)
      chain = new Uint8Array(await crypto.subtle.digest('SHA-256', both))
      const { memory } = performance as { memory?: { usedJSHeapSize: number } }
      mostHeapBytes = Math.max(mostHeapBytes, memory?.usedJSHeapSize ?? 0)
      controller.enqueue(chunk)
      leftBytes -= chunk.length
      if (leftBytes === 0) controller.close()
    },
  })
  await source.pipeTo(connection.writable)
  const hash = Array.from(chain, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return { hash, mostHeapBytes }
}

test.run()
