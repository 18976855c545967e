/** Visitors: pages of real browsers, each with an edge at home with one node, driven from the test. */

import type { Browser, Page } from '../browser.ts'
import { type Failure, type KitOptions, startKit, watchPage } from './page-kit.ts'

/** Everything that two pages do with each other is done by then, on a machine that is busy too. */
export const DONE_WITHIN_MS = 15_000

export interface Visitor {
  readonly page: Page
  readonly id: string
  /** The origins of all that the page has asked for or opened a socket to. */
  readonly reached: ReadonlySet<string>
  /** Waits until the topic's watch shows the peer at that home. */
  finds(peer: string, home: string): Promise<void>
  /** Asks once who is in the topic: each peer's home by its id. */
  discovers(): Promise<Record<string, string>>
  /** Connects; gives the failure, if it comes to that. */
  connects(peer: string, timeoutMs?: number): Promise<Failure | undefined>
  /** Waits until there is an open connection, whoever called. */
  isConnected(peer: string): Promise<void>
  says(peer: string, text: string): Promise<void>
  hears(peer: string, text: string): Promise<void>
  /** The state of the connection, and how many there have been to this peer. */
  connectionTo(peer: string): Promise<{ state: string; count: number }>
  /** From now on, or no more, sockets that the page opens reach nothing. */
  cutOff(is: boolean): Promise<void>
  /** This end's session description, once it has all candidates and the home has got them. */
  descriptionTo(peer: string): Promise<string>
  /** The NodeId of the home; empty while there is none. */
  home(): Promise<string>
  losesHome(): Promise<void>
  /** Waits for a home; gives its NodeId. */
  comesHome(): Promise<string>
  close(): Promise<void>
}

/** Opens a page of the node and joins there. Errors of the page nobody caught go to `errors`. */
export async function visit(
  browser: Browser,
  nodeUrl: string,
  { client, ...options }: KitOptions & { readonly client?: Uint8Array },
  errors: string[] = [],
): Promise<Visitor> {
  const page = await openPage(browser, errors)
  if (client) {
    const body = Buffer.from(client)
    await page.route('**/edge.min.js', (route) =>
      route.fulfill({ contentType: 'text/javascript', body }),
    )
  }
  const reached = originsOf(page)
  await page.goto(blankOf(nodeUrl))
  const id = await page.evaluate(startKit, options)
  if (typeof id !== 'string') throw new Error(`The page cannot join: ${JSON.stringify(id)}`)
  return visitorOf(page, id, options.topic, reached)
}

/** Tries to join where that must fail, and gives the failure. */
export async function visitInVain(
  browser: Browser,
  nodeUrl: string,
  options: KitOptions,
): Promise<Failure> {
  const page = await openPage(browser, [])
  await page.goto(blankOf(nodeUrl))
  const failure = await page.evaluate(startKit, options)
  await page.context().close()
  if (typeof failure === 'string') throw new Error(`The page joined as ${failure}`)
  return failure
}

/** Opens an empty page that is watched. */
export async function openPage(browser: Browser, errors: string[]): Promise<Page> {
  const context = await browser.newContext()
  const page = await context.newPage()
  page.on('pageerror', ({ message }) => errors.push(message))
  await page.addInitScript(watchPage)
  return page
}

/** A page of the node's own origin that holds nothing of ours yet. */
export function blankOf(nodeUrl: string): string {
  return new URL('/health', nodeUrl).href
}

function originsOf(page: Page): Set<string> {
  const origins = new Set<string>()
  page.on('request', (request) => origins.add(new URL(request.url()).origin))
  page.on('websocket', (socket) => origins.add(new URL(socket.url()).origin))
  return origins
}

function visitorOf(page: Page, id: string, topic: string, reached: ReadonlySet<string>): Visitor {
  const boundMs = DONE_WITHIN_MS
  return {
    page,
    id,
    reached,
    finds: (peer, home) =>
      page.evaluate(
        async ({ peer, home, boundMs }) => {
          const what = `${peer} is seen at ${home}`
          await kit.until(what, boundMs, () => kit.present.get(peer) === home)
        },
        { peer, home, boundMs },
      ),
    discovers: () =>
      page.evaluate(async (topic) => {
        const { peers } = await kit.edge.discover(topic)
        return Object.fromEntries(peers.map(({ id, home }) => [id, home]))
      }, topic),
    connects: (peer, timeoutMs) =>
      page.evaluate(
        async ({ peer, topic, timeoutMs }) => {
          const startMs = performance.now()
          try {
            const limit = timeoutMs === undefined ? {} : { timeoutMs }
            await kit.edge.connect(peer, { topic, ...limit })
            return undefined
          } catch (caught) {
            const { code, message } = caught as Failure
            return { code, message, afterMs: Math.round(performance.now() - startMs) }
          }
        },
        { peer, topic, timeoutMs },
      ),
    isConnected: (peer) =>
      page.evaluate(
        async ({ peer, boundMs }) => {
          const isOpen = () => kit.friends.get(peer)?.connection.state === 'open'
          await kit.until(`there is a connection to ${peer}`, boundMs, isOpen)
        },
        { peer, boundMs },
      ),
    says: (peer, text) =>
      page.evaluate(({ peer, text }) => kit.friends.get(peer)?.connection.send(text), {
        peer,
        text,
      }),
    hears: (peer, text) =>
      page.evaluate(
        async ({ peer, text, boundMs }) => {
          const heard = () => kit.friends.get(peer)?.heard.includes(text)
          await kit.until(`${peer} says "${text}"`, boundMs, heard)
        },
        { peer, text, boundMs },
      ),
    connectionTo: (peer) =>
      page.evaluate((peer) => {
        const friend = kit.friends.get(peer)
        return { state: friend?.connection.state ?? 'none', count: friend?.count ?? 0 }
      }, peer),
    cutOff: (is) =>
      page.evaluate((is) => {
        globalThis.cutOff = is
      }, is),
    descriptionTo: (peer) =>
      page.evaluate(
        async ({ peer, topic }) => {
          const rtc = kit.friends.get(peer)?.connection.rtc as RTCPeerConnection
          while (rtc.iceGatheringState !== 'complete') {
            await new Promise((resolve) =>
              rtc.addEventListener('icegatheringstatechange', resolve, { once: true }),
            )
          }
          // Comes behind the candidates on the way to the home.
          await kit.edge.discover(topic)
          return rtc.localDescription?.sdp ?? ''
        },
        { peer, topic },
      ),
    home: () => page.evaluate(() => kit.edge.home.nodeId),
    losesHome: () =>
      page.evaluate(async (boundMs) => {
        await kit.until('the home is lost', boundMs, () => kit.edge.home.nodeId === '')
      }, boundMs),
    comesHome: () =>
      page.evaluate(
        (boundMs) => kit.until('there is a home', boundMs, () => kit.edge.home.nodeId || undefined),
        boundMs,
      ),
    close: () => page.context().close(),
  }
}

/** Both say something that only the other hears. */
export async function chat(a: Visitor, b: Visitor): Promise<void> {
  const word = crypto.randomUUID().slice(0, 8)
  await Promise.all([a.says(b.id, `ping ${word}`), b.says(a.id, `pong ${word}`)])
  await Promise.all([b.hears(a.id, `ping ${word}`), a.hears(b.id, `pong ${word}`)])
}
