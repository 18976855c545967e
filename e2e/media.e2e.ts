/** Cameras: pages of real browsers send each other streams, and the frames that arrive are counted. */

import type { Connection, Edge, Incoming } from '../src/edge/mod.ts'
import { RTC_AWAY_MS } from '../src/limits.ts'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const TOPIC = 'media'
/** Half a second of a camera: more than a key frame that came by chance. */
const ENOUGH_FRAMES = 10
/** Turning the camera on so often comes over the bound of a signal, if each time takes a new section. */
const TIMES_ON = 6
/** Chromium takes so long to see that a peer does not answer. */
const SEEN_AWAY_MS = 10_000
const FAKE_DEVICES = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']

const test = suite('media', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test, FAKE_DEVICES)

interface Media {
  readonly edge: Edge
  readonly streams: MediaStream[]
  camera(): Promise<MediaStream>
  connection: Connection
  /** Video frames that were decoded so far. */
  frames(): Promise<number>
  until(what: string, ask: () => unknown): Promise<void>
}

declare global {
  var media: Media
  /** Whether calls are taken with the camera on. */
  var answersWithCamera: boolean
}

test('frames of a stream given at connect arrive', async () => {
  const { a, b, idOfB } = await twoPages()
  await a.evaluate(connectWithCamera, { id: idOfB, topic: TOPIC })
  await arrives(b, 1)
  assert.equal(await kinds(b), [['audio', 'video']])
  assert.is(await a.evaluate(() => media.streams.length), 0)
})

test('frames of a stream given at accept arrive, besides those of the caller', async () => {
  const { a, b, idOfB } = await twoPages()
  await b.evaluate(() => {
    globalThis.answersWithCamera = true
  })
  await a.evaluate(connectWithCamera, { id: idOfB, topic: TOPIC })
  await Promise.all([arrives(a, 1), arrives(b, 1)])
})

test('a called that sends a stream where the caller sends none is seen too', async () => {
  const { a, b, idOfB } = await twoPages()
  await b.evaluate(() => {
    globalThis.answersWithCamera = true
  })
  await connect(a, b, idOfB)
  await arrives(a, 1)
})

for (const [who, adders] of [
  ['the caller adds', ['a']],
  ['the called adds', ['b']],
  ['both add at once', ['a', 'b']],
] as const) {
  test(`frames of a stream that ${who} later arrive`, async () => {
    const { a, b, idOfB } = await twoPages()
    await connect(a, b, idOfB)
    const pages = { a: { own: a, other: b }, b: { own: b, other: a } }
    await Promise.all(adders.map((name) => pages[name].own.evaluate(addCamera)))
    await Promise.all(adders.map((name) => arrives(pages[name].other, 1)))
  })
}

test('a stream that is removed and added again, often, stops and comes, and no description grows', async () => {
  const { a, b, idOfB } = await twoPages()
  await connect(a, b, idOfB)
  await b.evaluate(addCamera)
  for (let times = 1; times <= TIMES_ON; times++) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await from.evaluate(addCamera)
      await to.evaluate(() =>
        media.until('a stream', () => media.streams.at(-1)?.getTracks().length),
      )
    }
    await Promise.all([arrives(a, 1), arrives(b, 1)])
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await from.evaluate(removeCameras)
      await to.evaluate(() =>
        media.until('no track', () => !media.streams.at(-1)?.getTracks().length),
      )
    }
  }
  const before = await Promise.all([a, b].map((page) => page.evaluate(() => media.frames())))
  await a.waitForTimeout(500)
  const after = await Promise.all([a, b].map((page) => page.evaluate(() => media.frames())))
  assert.equal(after, before, 'nothing is sent any more')
  const bytes = await a.evaluate(() => media.connection.rtc.localDescription?.sdp.length ?? 0)
  const sections = await a.evaluate(() => media.connection.rtc.getTransceivers().length)
  console.log(`camera on and off ${TIMES_ON} times: ${sections} sections, ${bytes} bytes`)
  // Two as a rule; a change that crosses the other side's may take one more, and the next reuses it.
  assert.ok(sections < TIMES_ON, `${sections} sections`)
  assert.is(await a.evaluate(() => media.connection.state), 'open')
})

test('a connection whose page is gone without a word ends in time, and says why', async () => {
  const { a, b, idOfB } = await twoPages()
  await connect(a, b, idOfB)
  const ending = a.evaluate(
    () =>
      new Promise<{ code: string; cause: string; afterMs: number }>((resolve) => {
        const startMs = performance.now()
        const { signal } = media.connection
        signal.addEventListener('abort', () => {
          const { code, cause } = signal.reason
          resolve({ code, cause: cause?.code, afterMs: Math.round(performance.now() - startMs) })
        })
      }),
  )
  await b.context().close()
  const { code, cause, afterMs } = await ending
  console.log(`a page is gone: ${code} of ${cause} after ${afterMs} ms`)
  assert.is(code, 'CLOSED')
  assert.ok(['RTC_FAILED', 'PEER_LEFT'].includes(cause), cause)
  assert.ok(afterMs < RTC_AWAY_MS + SEEN_AWAY_MS, `${afterMs} ms`)
})

test.run()

async function twoPages(): Promise<{ a: Page; b: Page; idOfB: string }> {
  const stage: Stage = await openStage(2)
  const pages: { page: Page; id: string }[] = []
  for (const node of [0, 1]) {
    const page = await stage.show(node, '<!doctype html>')
    const id = await page.evaluate(startMedia, {
      topic: TOPIC,
      network: 'e2e',
      boundMs: DONE_WITHIN_MS,
    })
    pages.push({ page, id })
  }
  const [a, b] = pages as [(typeof pages)[0], (typeof pages)[0]]
  // The other home has to have heard of it.
  await a.page.evaluate(
    async ({ id, topic }) => {
      const found = async (): Promise<boolean> =>
        (await media.edge.discover(topic)).peers.some((peer) => peer.id === id)
      await media.until('the peer is found', found)
    },
    { id: b.id, topic: TOPIC },
  )
  return { a: a.page, b: b.page, idOfB: b.id }
}

/** Runs in a page: joins, and takes calls as the test says. */
async function startMedia(options: {
  topic: string
  network: string
  boundMs: number
}): Promise<string> {
  const { joinMesh } = await import('/edge.min.js' as string)
  const media = {
    streams: [] as MediaStream[],
    camera: () =>
      navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } }),
    frames: async () => {
      let frames = 0
      const reports = await globalThis.media.connection.rtc.getStats()
      reports.forEach((report) => {
        if (report.type === 'inbound-rtp') frames += report.framesDecoded ?? 0
      })
      return frames
    },
    until: async (what: string, ask: () => unknown) => {
      const endMs = performance.now() + options.boundMs
      while (!(await ask())) {
        if (performance.now() > endMs) throw new Error(`Not within ${options.boundMs} ms: ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
  globalThis.media = media as unknown as Media
  const edge: Edge = await joinMesh({
    network: options.network,
    onIncoming: async (call: Incoming) => {
      const camera = globalThis.answersWithCamera && { stream: await media.camera() }
      await call.accept(camera || {})
    },
  })
  edge.on('connection', (connection) => {
    globalThis.media.connection = connection
    connection.on('stream', (stream) => {
      media.streams.push(stream)
      const video = document.createElement('video')
      video.muted = true
      video.srcObject = stream
      document.body.append(video)
      video.play().catch(() => undefined)
    })
  })
  Object.assign(media, { edge })
  await edge.advertise(options.topic)
  return edge.id
}

async function connectWithCamera({ id, topic }: { id: string; topic: string }): Promise<void> {
  const stream = await media.camera()
  await media.edge.connect(id, { topic, stream })
}

async function addCamera(): Promise<void> {
  const known = globalThis as { ownCamera?: MediaStream }
  known.ownCamera ??= await media.camera()
  media.connection.addStream(known.ownCamera)
}

function removeCameras(): void {
  const { ownCamera } = globalThis as { ownCamera?: MediaStream }
  if (ownCamera) media.connection.removeStream(ownCamera)
}

async function connect(a: Page, b: Page, idOfB: string): Promise<void> {
  await a.evaluate(({ id, topic }) => media.edge.connect(id, { topic }).then(() => undefined), {
    id: idOfB,
    topic: TOPIC,
  })
  await b.evaluate(() => media.until('the connection is told', () => media.connection))
}

/** Waits until more frames of a stream have come, and there are so many streams. */
async function arrives(page: Page, streams: number): Promise<void> {
  await page.evaluate(
    async ({ frames, streams }) => {
      await media.until('a stream comes', () => media.streams.length >= streams)
      const before = await media.frames()
      await media.until('frames come', async () => (await media.frames()) >= before + frames)
    },
    { frames: ENOUGH_FRAMES, streams },
  )
}

async function kinds(page: Page): Promise<string[][]> {
  return page.evaluate(() =>
    media.streams.map((stream) =>
      stream
        .getTracks()
        .map(({ kind }) => kind)
        .sort(),
    ),
  )
}
