/** How long two pages of Chromium take to open a connection, against PeerJS in the same interleaved run. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { bundleEdge } from '../build.ts'
import { type Browser, launchBrowser, type Page } from '../e2e/browser.ts'
import { type Place, prepareOurs, preparePeerJs } from './open/page.ts'
import { startProxy } from './open/proxy.ts'

const ROUNDS = 15
/** Before anything is timed a page and its servers come to rest for so long. */
const REST_MS = 400
const ONE_WAY_MS = [0, 25]

/** What the issue allows beside PeerJS, by the way to the servers. */
const ALLOWED_MS = { 0: { warm: 10, cold: 25 }, 25: { warm: 0, cold: 0 } } as const

const args = process.argv.slice(2)
const rounds = Number(flagOf('--rounds') ?? ROUNDS)
const isTraced = args.includes('--trace')
const profiled = flagOf('--profile')

interface System {
  readonly name: string
  readonly port: number
  readonly prepare: () => Promise<void>
}

/** Cold: from joining to open, asked for with it by ours. Join: joining alone. First: from `connect` of a page that never did. Again: of one that did. */
type Figure = 'cold' | 'first' | 'again'
type Series = Record<Figure | 'join' | 'crypto' | 'cryptoCalled', number[]>

const children: ChildProcess[] = []
const peerPort = await freePort()
const systems: System[] = [
  {
    name: 'PeerJS',
    port: await start(
      'node_modules/peer/dist/bin/peerjs.js',
      ['--port', String(peerPort), '--host', '127.0.0.1'],
      /port: (\d+)/,
    ),
    prepare: preparePeerJs,
  },
  {
    name: 'Signal Mesh',
    port: await start(
      'mod.ts',
      ['--port', '0', '--log-level', 'error', '--log-format', 'json'],
      /127\.0\.0\.1:(\d+)/,
    ),
    prepare: prepareOurs,
  },
]
const origin = await servePages()
const browser = await launchBrowser()
const loadBefore = loadavg()[0]
const all = new Map<string, Series>()
let topics = 0

for (let round = 1; round <= rounds; round++) {
  for (const oneWayMs of ONE_WAY_MS) {
    // Who goes first has the quieter machine, or the busier: so they take turns.
    for (const system of round % 2 ? systems : systems.toReversed()) {
      const series = seriesOf(system, oneWayMs)
      await measure(browser, system, oneWayMs, series)
      const last = (figure: Figure): string => `${figure} ${series[figure].at(-1)?.toFixed(1)} ms`
      const said = (['cold', 'first', 'again'] as const).map(last).join(', ')
      console.log(`round ${round}/${rounds}  ${oneWayMs} ms  ${system.name.padEnd(12)} ${said}`)
    }
  }
}
await browser.close()
for (const child of children) child.kill('SIGKILL')
report()
process.exit(0)

async function measure(
  chromium: Browser,
  system: System,
  oneWayMs: number,
  series: Series,
): Promise<void> {
  const proxy = await startProxy(system.port, oneWayMs)
  // On loopback there is nothing between.
  const port = oneWayMs ? proxy.port : system.port
  const topic = `bench-${topics++}`
  const place = (id: string): Place => ({ port, topic, id: `${topic}-${id}` })
  const called = await openPage(chromium, system)
  const calledId = await called.evaluate(async (at) => (await join(at)).end.id, place('called'))
  const times = async (page: Page): Promise<{ sum: number; parts: string }> =>
    page.evaluate(() => {
      const all = Object.values(globalThis.cryptoTimes ?? {})
      const sum = all.reduce((ms, one) => ms + one.ms, 0)
      const parts = Object.entries(globalThis.cryptoTimes ?? {})
        .map(([name, { ms, calls }]) => `${calls} × ${name} ${ms.toFixed(1)} ms`)
        .join(', ')
      for (const one of all) Object.assign(one, { ms: 0, calls: 0 })
      return { sum, parts }
    })

  const cold = await openPage(chromium, system)
  await pause(REST_MS)
  await times(cold)
  await times(called)
  proxy.passed()
  const coldCalled = called.evaluate(() => end.nextOpen())
  const stopProfile = profiled ? await profile(cold, called) : undefined
  const { startMs, openMs } = await cold.evaluate(
    async ({ at, peer }) => {
      const { startMs, openMs } = await join(at, peer)
      return { startMs, openMs }
    },
    { at: place('cold'), peer: calledId },
  )
  const bothMs = Math.max(openMs, await coldCalled)
  await stopProfile?.(`${profiled}/${system.name}-${oneWayMs}`)
  series.cold.push(bothMs - startMs)
  const [crypto, cryptoCalled] = [await times(cold), await times(called)]
  series.crypto.push(crypto.sum)
  series.cryptoCalled.push(cryptoCalled.sum)
  if (isTraced && crypto.sum) {
    console.log(`caller: ${crypto.parts}`)
    console.log(`called: ${cryptoCalled.parts}`)
  }
  if (isTraced && oneWayMs) trace(`${system.name}, cold`, startMs, bothMs, proxy.passed())
  await hangUp(cold, called)
  await cold.context().close()

  const warm = await openPage(chromium, system)
  const joinMs = await warm.evaluate(async (at) => {
    const { startMs, joinedMs } = await join(at)
    return joinedMs - startMs
  }, place('warm'))
  series.join.push(joinMs)
  for (const figure of ['first', 'again'] as const) {
    await pause(REST_MS)
    proxy.passed()
    const opened = called.evaluate(() => end.nextOpen())
    const own = await warm.evaluate(async (peer) => {
      const startMs = performance.timeOrigin + performance.now()
      return { startMs, openMs: await end.connect(peer) }
    }, calledId)
    const untilMs = Math.max(own.openMs, await opened)
    series[figure].push(untilMs - own.startMs)
    if (isTraced && oneWayMs)
      trace(`${system.name}, ${figure}`, own.startMs, untilMs, proxy.passed())
    await hangUp(warm, called)
  }
  await warm.context().close()
  await called.context().close()
  proxy.close()
}

async function openPage(chromium: Browser, system: System): Promise<Page> {
  const context = await chromium.newContext()
  const page = await context.newPage()
  page.on('pageerror', (error) => console.error(`${system.name}: ${error.message}`))
  await page.goto(origin)
  await page.evaluate(system.prepare)
  return page
}

async function hangUp(...pages: Page[]): Promise<void> {
  await Promise.all(pages.map((page) => page.evaluate(() => end.hangUp())))
}

/** Each frame on the way, by when it left the proxy. */
function trace(
  what: string,
  startMs: number,
  endMs: number,
  passed: readonly { atMs: number; direction: string; bytes: number }[],
): void {
  const lines = passed
    .filter(({ atMs }) => atMs <= endMs)
    .map(({ atMs, direction, bytes }) => `${(atMs - startMs).toFixed(1)} ${direction} ${bytes} B`)
  console.log(`${what}: ${lines.join(' | ')} | open ${(endMs - startMs).toFixed(1)}`)
}

/** Records what both pages' processors do until the returned function writes it down. */
async function profile(...pages: Page[]): Promise<(path: string) => Promise<void>> {
  const sessions = await Promise.all(pages.map((page) => page.context().newCDPSession(page)))
  for (const session of sessions) {
    await session.send('Profiler.enable')
    await session.send('Profiler.setSamplingInterval', { interval: 200 })
    await session.send('Profiler.start')
  }
  return async (path) => {
    for (const [i, session] of sessions.entries()) {
      const { profile } = await session.send('Profiler.stop')
      writeFileSync(`${path}-${['caller', 'called'][i]}.cpuprofile`, JSON.stringify(profile))
    }
  }
}

function report(): void {
  const result = {
    bench: 'open',
    runtime: `node ${process.version}, Chromium ${browser.version()}`,
    rounds,
    load: { before: loadBefore, after: loadavg()[0] },
    ways: ONE_WAY_MS.map((oneWayMs) => {
      const [theirs, ours] = systems.map((system) => seriesOf(system, oneWayMs)) as [Series, Series]
      const allowed = ALLOWED_MS[oneWayMs as keyof typeof ALLOWED_MS]
      const above = (figure: Figure): number =>
        round1(median(ours[figure]) - median(theirs[figure]))
      return {
        oneWayMs,
        peerjs: summary(theirs),
        ours: summary(ours),
        oursAboveMs: { cold: above('cold'), first: above('first'), again: above('again') },
        allowedAboveMs: allowed,
        holds: above('cold') <= allowed.cold && above('first') <= allowed.warm,
      }
    }),
  }
  console.log(JSON.stringify(result, null, 2))
  if (!args.includes('--write')) return
  mkdirSync('bench/results', { recursive: true })
  writeFileSync('bench/results/open.json', `${JSON.stringify(result, null, 2)}\n`)
}

function summary(series: Series): Record<string, unknown> {
  const shown = Object.entries(series).filter(([, values]) => values.some((value) => value > 0))
  return Object.fromEntries(shown.map(([name, values]) => [`${name}Ms`, spread(values)]))
}

/** The median, the quarters beside it, and the very first. */
function spread(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number): number => round1(sorted[Math.floor(part * sorted.length)] as number)
  return {
    median: at(0.5),
    least: at(0),
    quarter: at(0.25),
    threeQuarters: at(0.75),
    first: round1(values[0] as number),
  }
}

function seriesOf(system: System, oneWayMs: number): Series {
  const key = `${system.name} ${oneWayMs}`
  const series = all.get(key) ?? {
    cold: [],
    join: [],
    first: [],
    again: [],
    crypto: [],
    cryptoCalled: [],
  }
  all.set(key, series)
  return series
}

/** Pages of one origin, with both systems' code; isolated, so that their clocks are fine. */
async function servePages(): Promise<string> {
  const { code } = await bundleEdge(undefined, { 'src/edge/sodium.ts': 'bench/open/sodium.ts' })
  const files = new Map<string, string | Uint8Array>([
    ['/edge.js', code],
    ['/peerjs.js', readFileSync('node_modules/peerjs/dist/peerjs.min.js')],
  ])
  const server = createServer((request, response) => {
    const file = files.get(request.url ?? '')
    response.setHeader('Content-Type', file ? 'text/javascript' : 'text/html')
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
    response.end(file ?? '<!doctype html><title>bench</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Starts a server; gives the port that it names in a line of its own. */
async function start(program: string, rest: readonly string[], portOf: RegExp): Promise<number> {
  const child = spawn(process.execPath, [program, ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const port = portOf.exec(line)?.[1]
      if (port) resolve(Number(port))
    })
    lines.on('close', () => reject(new Error(`${program} did not start`)))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

function flagOf(flag: string): string | undefined {
  const at = args.indexOf(flag)
  return at < 0 ? undefined : args[at + 1]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

function round1(ms: number): number {
  return Math.round(10 * ms) / 10
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
