/** Tabs: pages of either browser, each with an edge that gives back what it hears and shows what it sees. */

import type { Connection, Edge, Room } from '../../src/edge/mod.ts'
import type { Page } from '../browser.ts'
import type { FirefoxContext } from '../firefox.ts'
import { call, echo, exchange, topicOf } from './echo.ts'
import type { Stage } from './stage.ts'
import { blankOf, DONE_WITHIN_MS } from './visitors.ts'

/** The names of the tabs of a test: each is found in the topics of the others, and calls in its own. */
const NAMES = ['fox', 'vixen', 'chrome'] as const
type Name = (typeof NAMES)[number]

/** What a page of either browser can be asked. */
export interface Tab {
  readonly id: string
  run<Argument, Result>(
    fn: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>
}

/** What a tab has beside its page. */
export interface Own {
  readonly name: string
  readonly edge: Edge
  /** The newest connection to each peer. */
  readonly connections: Map<string, Connection>
  /** Its own cameras that were turned on. */
  readonly cameras: MediaStream[]
  /** Whether calls are answered with a camera. */
  answersWithCamera: boolean
  room?: Room
  /** Who was heard in the room. */
  readonly heard: Set<string>
  /** Each state of the home. */
  readonly homes: string[]
  camera(): Promise<MediaStream>
  /** Video frames of the peer's that were decoded so far. */
  frames(peer: string): Promise<number>
  until(what: string, ask: () => unknown): Promise<void>
}

declare global {
  var own: Own
}

/** Firefox reports as an error of the page what the page hears as an event of its socket. */
const SOCKET_FAILED = /can’t establish a connection|connection to ws:.* was interrupted/

const SCRIPT = [topicOf, call, echo, exchange].join('\n')

/** Opens a page of the node in Chromium. */
export async function chromiumTab(stage: Stage, node: number, name: Name): Promise<Tab> {
  const page: Page = await stage.show(node, '<!doctype html>')
  await page.addScriptTag({ content: SCRIPT })
  const id = await page.evaluate(startTab, { name, names: NAMES, boundMs: DONE_WITHIN_MS })
  // Playwright's types look into what is handed over, which is not known here.
  const evaluate = page.evaluate.bind(page) as (fn: unknown, argument: unknown) => Promise<never>
  return { id, run: evaluate }
}

/** Opens one in Firefox; errors that nobody caught there go to `errors`. */
export async function firefoxTab(
  context: FirefoxContext,
  url: string,
  name: Name,
  errors: string[],
): Promise<Tab> {
  const page = await context.newPage()
  page.on('pageerror', (error) => {
    if (!SOCKET_FAILED.test(String(error))) errors.push(String(error))
  })
  await page.goto(blankOf(url))
  await page.addScriptTag({ content: SCRIPT })
  const id = await page.evaluate(startTab, { name, names: NAMES, boundMs: DONE_WITHIN_MS })
  const evaluate = page.evaluate.bind(page) as (fn: unknown, argument: unknown) => Promise<never>
  return { id, run: evaluate }
}

/** Runs in the page. */
async function startTab({
  name,
  names,
  boundMs,
}: {
  name: string
  names: readonly string[]
  boundMs: number
}): Promise<string> {
  const others = names.filter((other) => other !== name).map(topicOf)
  const { joinMesh } = await import('/edge.min.js' as string)
  const edge: Edge = await joinMesh({
    network: 'e2e',
    onIncoming: async (incoming: { accept(options: object): Promise<unknown> }) =>
      incoming.accept(globalThis.own.answersWithCamera ? { stream: await own.camera() } : {}),
  })
  const own: Own = {
    name,
    edge,
    connections: new Map(),
    cameras: [],
    answersWithCamera: false,
    heard: new Set(),
    homes: [],
    camera: async () => {
      const size = { width: 320, height: 240 }
      const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: size })
      own.cameras.push(camera)
      return camera
    },
    frames: async (peer) => {
      let frames = 0
      const reports = await own.connections.get(peer)?.rtc.getStats()
      reports?.forEach((report) => {
        if (report.type === 'inbound-rtp') frames += report.framesDecoded ?? 0
      })
      return frames
    },
    until: async (what, ask) => {
      const endMs = performance.now() + boundMs
      while (!(await ask())) {
        if (performance.now() > endMs) throw new Error(`Not within ${boundMs} ms: ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
  globalThis.own = own
  edge.on('home', ({ state }) => own.homes.push(state))
  edge.on('connection', (connection) => {
    own.connections.set(connection.id, connection)
    if (others.includes(connection.topic)) void echo(connection)
    connection.on('stream', (stream) => {
      const video = document.createElement('video')
      video.muted = true
      video.srcObject = stream
      document.body.append(video)
      video.play().catch(() => undefined)
    })
  })
  for (const topic of others) await edge.advertise(topic)
  return edge.id
}
