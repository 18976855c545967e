/** Servers as peers: Node, Deno and Bun with a WebRTC of a package connect with each other and with a page. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Edge } from '../src/edge/mod.ts'
import { assert, note, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { call, type Exchange, echo, exchange, topicOf } from './support/echo.ts'
import { prepareStages, type Stage, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const test = suite('servers', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

const ROOT = `${import.meta.dirname}/..`
const PROGRAM = `${import.meta.dirname}/support/server-peer.ts`
const PAGE = 'chromium'

/** The client as it is shipped, in one file. */
const CLIENT = `${ROOT}/dist/edge.min.js`

/**
 * Deno's permissions, each no wider than needed: the nodes' addresses, the native module of WebRTC, and
 * what this test imports by a path that is only known then. WebRTC's packets pass by Deno's permissions.
 */
const DENO_FLAGS = [
  '--allow-net=127.0.0.1',
  '--allow-ffi=node_modules/@roamhq',
  '--allow-read=node_modules/@roamhq,dist/edge.min.js',
]

const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  node: ['node'],
  deno: ['deno', 'run', '--quiet', '--no-check', '--no-prompt', ...DENO_FLAGS],
  bun: ['bun', 'run'],
}
const NAMES = [...Object.keys(RUNTIMES), PAGE]

/** Letting go of sockets and WebRTC's threads takes milliseconds; a machine that is busy, some more. */
const GONE_WITHIN_MS = 3_000

interface Peer {
  readonly id: string
  calls(id: string): Promise<Exchange>
}

interface Server extends Peer {
  /** Closes the edge, and waits for the process to end; gives what there is to say against its end. */
  close(): Promise<{ code: number | null; signal: string | null; errors: string; afterMs: number }>
}

const running = new Set<ChildProcess>()
test.afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

test('a page and servers of each runtime connect, in each direction, and the servers end in order', async () => {
  const stage = await openStage(2)
  const servers = new Map<string, Server>()
  for (const [index, name] of Object.keys(RUNTIMES).entries()) {
    servers.set(name, await startServer(name, stage.urls[index % 2] as string))
  }
  const page = await startPage(stage)
  const peers = new Map<string, Peer>([...servers, [PAGE, page]])
  await Promise.all(
    [...peers].map(async ([name, peer]) => {
      for (const [other, { id }] of peers) {
        if (other === name) continue
        const said = `${name} calls ${other}`
        assert.equal(await peer.calls(id), { text: true, bytes: true, large: true }, said)
      }
    }),
  )
  for (const [name, server] of servers) {
    const { afterMs, ...end } = await server.close()
    note(`${name} is gone ${afterMs} ms after it was told to close`)
    assert.equal(end, { code: 0, signal: null, errors: '' }, name)
    assert.ok(afterMs < GONE_WITHIN_MS, `${name}: ${afterMs} ms`)
  }
})

test.run()

async function startServer(name: string, url: string): Promise<Server> {
  const [command = '', ...args] = RUNTIMES[name] as readonly string[]
  const callers = NAMES.filter((other) => other !== name)
  const child = spawn(
    `${ROOT}/node_modules/.bin/${command}`,
    [...args, PROGRAM, CLIENT, url, 'e2e', name, ...callers],
    { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } },
  )
  running.add(child)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ended = new Promise<[number | null, string | null]>((resolve) =>
    child.once('exit', (code, signal) => resolve([code, signal])),
  )
  const awaited = new Map<string, (fact: Record<string, unknown>) => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const fact = JSON.parse(line) as Record<string, unknown>
    awaited.get(String(fact.called ?? ''))?.(fact)
  })
  const hear = (key: string): Promise<Record<string, unknown>> =>
    within(`${name} says something of ${key || 'itself'}`, () => errors, [
      new Promise((resolve) => awaited.set(key, resolve)),
      ended.then((end) => Promise.reject(new Error(`${name} ended with ${end}: ${errors}`))),
    ])
  const { id } = await hear('')
  return {
    id: String(id),
    calls: async (other) => {
      const heard = hear(other)
      child.stdin.write(`call ${other}\n`)
      const { called, ...outcome } = await heard
      return outcome as unknown as Exchange
    },
    close: async () => {
      const startMs = performance.now()
      child.stdin.end('close\n')
      const [code, signal] = await within(`${name} ends`, () => errors, [ended])
      running.delete(child)
      return { code, signal, errors, afterMs: Math.round(performance.now() - startMs) }
    },
  }
}

/** A page with the same edge, out of the bundle. */
async function startPage(stage: Stage): Promise<Peer> {
  const page: Page = await stage.show(0, '<title>peer</title>')
  await page.addScriptTag({ content: [topicOf, call, echo, exchange].join('\n') })
  const callers = NAMES.filter((name) => name !== PAGE)
  const id = await page.evaluate(joinInPage, { name: PAGE, callers })
  return {
    id,
    calls: (other) =>
      page.evaluate(({ id, name }) => call(globalThis.edge, name, id), { id: other, name: PAGE }),
  }
}

declare global {
  var edge: Edge
}

async function joinInPage({ name, callers }: { name: string; callers: string[] }): Promise<string> {
  const { joinMesh } = await import('/edge.min.js' as string)
  globalThis.edge = await joinMesh({ network: 'e2e' })
  globalThis.edge.on('connection', (connection) => {
    if (connection.topic !== topicOf(name)) void echo(connection)
  })
  for (const caller of callers) await globalThis.edge.advertise(topicOf(caller))
  return globalThis.edge.id
}

async function within<T>(
  what: string,
  state: () => string,
  outcomes: readonly Promise<T>[],
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    const fail = (): void =>
      reject(new Error(`Not within ${DONE_WITHIN_MS} ms: ${what}; ${state()}`))
    timer = setTimeout(fail, DONE_WITHIN_MS)
  })
  try {
    return await Promise.race([late, ...outcomes])
  } finally {
    clearTimeout(timer)
  }
}
