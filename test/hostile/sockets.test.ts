/** Hostile sockets: HTTP and WebSocket as no browser speaks them, against a node that listens. */

// Not said again here, for test/runtime-node.test.ts says it: text frames, frames over the bound whole and
// in fragments, upgrades without a key, heads that make no sense or are too large, readers that do not read.
// That slow heads and bodies are cut off in time is seen in test/limits/sockets.ts.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { runtime } from '../../runtimes/node.ts'
import { manualClock } from '../../src/clock.ts'
import { joinMesh } from '../../src/edge/mod.ts'
import { EDGE_PROOF_MS, MAX_EDGES_PER_ADDRESS, MAX_NAMED_TOPICS } from '../../src/limits.ts'
import { silentLog } from '../../src/log.ts'
import { decodeBye, FRAME } from '../../src/messages.ts'
import { createNode } from '../../src/node.ts'
import { assert, suite } from '../harness/suite.ts'
import { memoryStore } from '../support/mesh.ts'

const test = suite('hostile sockets', { timeoutMs: 40_000 })
const HEX = 'ab'.repeat(32)
/** Sockets of one flood; both ends of each are open files of this process. */
const MANY = 3_000
const UPGRADE = [
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

interface Target {
  readonly port: number
  readonly clock: ReturnType<typeof manualClock>
  /** A TCP socket that has sent this, and what came back. */
  raw(text?: string): Promise<{ socket: Socket; answer(): string; closed: Promise<unknown> }>
  edges(): number
}

/** Runs an attack on a node; an honest edge comes in during it and another after it. */
function against(name: string, attack: (target: Target) => Promise<void>): void {
  test(name, async () => {
    const clock = manualClock()
    const sockets: Socket[] = []
    const about = { network: 'test', runtime, store: memoryStore(), log: silentLog, clock }
    const node = await createNode(about)
    const { fetch, upgrade } = node
    const running = await runtime.listen({ host: '127.0.0.1', port: 0, fetch, upgrade })
    node.setUrls([`http://127.0.0.1:${running.port}`])
    try {
      await attack({
        port: running.port,
        clock,
        edges: () => node.health().edges,
        raw: async (text = '') => {
          const socket = connect(running.port, '127.0.0.1').setEncoding('latin1')
          sockets.push(socket)
          let got = ''
          socket.on('data', (data) => {
            got += data
          })
          socket.on('error', () => undefined)
          const closed = new Promise((resolve) => socket.once('close', resolve))
          await once(socket, 'connect')
          socket.write(text)
          return { socket, answer: () => got, closed }
        },
      })
      await comesIn(running.port)
    } finally {
      for (const socket of sockets) socket.destroy()
      await node.close()
      await running.close()
    }
  })
}

async function comesIn(port: number): Promise<void> {
  const edge = await joinMesh({ network: 'test', urls: [`http://127.0.0.1:${port}`] })
  assert.is(edge.home.state, 'open')
  await edge.close()
}

const head = (path: string, headers: readonly string[] = UPGRADE): string =>
  [`GET ${path} HTTP/1.1`, ...headers, '', ''].join('\r\n')

/** Until it is so; the socket's own time-out is the test's. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}

against('thousands of slow heads, half sent, keep no edge out', async ({ port, raw }) => {
  for (let i = 0; i < MANY; i++) await raw(`GET /edge HTTP/1.1\r\nX-Slow-${i}: `)
  await comesIn(port)
})

against('hundreds of bodies that never end keep no edge out', async ({ port, raw }) => {
  for (let i = 0; i < 300; i++) {
    const { socket } = await raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n')
    socket.write(new Uint8Array(1_000))
  }
  await comesIn(port)
})

against(
  'of thousands of half-open sockets so many stay as one address may have, and all are let go in time',
  async (target) => {
    const ends: Promise<unknown>[] = []
    const answers: (() => string)[] = []
    for (let i = 0; i < MANY; i++) {
      const { answer, closed, socket } = await target.raw(head('/edge'))
      answers.push(answer)
      // It reads nothing on its own account and says nothing more.
      ends.push(closed)
      socket.setNoDelay(true)
    }
    await until(() => answers.every((answer) => answer().length > 150))
    const challenged = answers.filter((answer) => answer().length > 250)
    assert.is(challenged.length, MAX_EDGES_PER_ADDRESS)
    await target.clock.advance(EDGE_PROOF_MS)
    await Promise.all(ends)
    assert.is(target.edges(), 0)
  },
)

against(
  'a first frame in so many fragments as there may be, byte by byte, is read as one',
  async ({ port }) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/edge`)
    const frames: Buffer[] = []
    ws.on('message', (data: Buffer) => frames.push(data))
    await once(ws, 'open')
    ws.send(Uint8Array.of(FRAME.proof), { fin: false })
    for (let i = 0; i < 30; i++) {
      ws.send(Uint8Array.of(i), { fin: false })
      ws.ping()
    }
    ws.send(Uint8Array.of(0), { fin: true })
    await once(ws, 'close')
    assert.is(decodeBye(new Uint8Array(frames.at(-1)!)).code, 'BAD_FRAME')
  },
)

against('a frame whose end never comes is over with its time', async ({ raw, clock, edges }) => {
  const { socket, closed, answer } = await raw(head('/edge'))
  await until(() => answer().length > 200)
  socket.write(Uint8Array.of(0x02, 0x81, 1, 2, 3, 4, FRAME.proof))
  await clock.advance(EDGE_PROOF_MS)
  socket.end()
  await closed
  assert.is(edges(), 0)
})

/** What the WebSocket standard forbids, byte by byte. */
const FORBIDDEN: Readonly<Record<string, readonly number[]>> = {
  'a frame that is not masked': [0x82, 1, FRAME.ping],
  'a frame compressed though nothing was agreed': [0xc2, 0x81, 0, 0, 0, 0, FRAME.ping],
  'a reserved bit': [0xa2, 0x81, 0, 0, 0, 0, FRAME.ping],
  'an opcode that there is not': [0x83, 0x81, 0, 0, 0, 0, FRAME.ping],
  'a continuation of nothing': [0x80, 0x81, 0, 0, 0, 0, FRAME.ping],
  'a ping in fragments': [0x09, 0x81, 0, 0, 0, 0, 1],
  'a ping over 125 bytes': [0x89, 0xfe, 0, 126, 0, 0, 0, 0],
  'a length of 2^63': [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  'a length of 4 GiB': [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
  'a frame within a frame': [0x02, 0x81, 0, 0, 0, 0, 1, 0x82, 0x81, 0, 0, 0, 0, 1],
  'a close with half a code': [0x88, 0x81, 0, 0, 0, 0, 3],
}

for (const [what, bytes] of Object.entries(FORBIDDEN)) {
  against(`${what} ends that socket alone`, async ({ raw, edges }) => {
    const { socket, closed, answer } = await raw(head('/edge'))
    await until(() => answer().length > 200)
    socket.write(Uint8Array.from(bytes))
    await closed
    assert.is(edges(), 0)
  })
}

against('ten thousand pings at once cost no other edge its turn', async ({ port }) => {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/edge`)
  ws.on('error', () => undefined)
  await once(ws, 'open')
  const _closed = once(ws, 'close')
  for (let i = 0; i < 10_000; i++) ws.ping()
  await comesIn(port)
  ws.terminate()
})

against('no trick with the path leads to a socket or a file', async ({ raw }) => {
  const statusOf = async (path: string): Promise<string> => {
    const { answer, socket } = await raw(head(path))
    await until(() => answer().length > 12)
    socket.destroy()
    return answer().slice(9, 12)
  }
  for (const path of [
    '/edge/',
    '/EDGE',
    '/%65dge',
    '//edge',
    '/edge%2f',
    '/edge%00',
    '/edge;x',
    '/a/edge',
  ]) {
    assert.is(await statusOf(path), '404', path)
  }
  // These are /edge, by what URLs mean.
  for (const path of ['/edge', '/./edge', '/x/../edge', '/.\\edge', '/edge?x=1', '/edge#x']) {
    assert.is(await statusOf(path), '101', path)
  }
  const plain = ['Host: 127.0.0.1']
  for (const path of [
    '/../../etc/passwd',
    '/..%2f..%2fetc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/src/node.ts',
  ]) {
    const { answer } = await raw(head(path, plain))
    await until(() => answer().length > 12)
    assert.is(answer().slice(9, 12), '404', path)
    assert.not(answer().includes('root:'))
  }
})

against(
  'a query that names too much or nonsense is refused with 400, a giant one with 431',
  async ({ raw }) => {
    const tag = `t=${HEX}`
    for (const [query, status] of [
      [Array(MAX_NAMED_TOPICS).fill(tag).join('&'), '101'],
      [
        Array(MAX_NAMED_TOPICS + 1)
          .fill(tag)
          .join('&'),
        '400',
      ],
      [Array(200).fill(tag).join('&'), '400'],
      [`t=${HEX.slice(1)}`, '400'],
      ['t=', '400'],
      [`t=${HEX.toUpperCase()}`, '400'],
      [`p=${HEX}&p=${HEX}`, '400'],
      ['p=%00', '400'],
      [`x=${'y'.repeat(20_000)}`, '431'],
      [`${tag}&`.repeat(2_000), '431'],
    ] as const) {
      const { answer } = await raw(head(`/edge?${query}`))
      await until(() => answer().length > 12)
      assert.is(answer().slice(9, 12), status, query.slice(0, 100))
    }
  },
)

test.run()
