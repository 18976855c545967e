/** Renewed certificates: taken from their files while the node runs, and nobody is dropped for it. */

import { once } from 'node:events'
import { connect, type PeerCertificate } from 'node:tls'
import { type ClientOptions, WebSocket } from 'ws'
import { TLS_CHECK_MS } from '../runtimes/limits.ts'
import { keepTls } from '../runtimes/tlsfiles.ts'
import { manualClock } from '../src/clock.ts'
import { type Log, silentLog } from '../src/log.ts'
import type { Tls } from '../src/runtime.ts'
import { cert, key, renewed } from './fixtures/tls.ts'
import { assert, suite } from './harness/suite.ts'
import { ownRuntime } from './support/command.ts'

const test = suite('tls files')
const runtime = await ownRuntime()
const FIRST: Tls = { cert, key }
const FILES = { tlsCert: 'cert', tlsKey: 'key' }

test('a renewed certificate is taken, and who is connected stays', async () => {
  const running = await listening()
  const before = await certificateAt(running.port)
  const socket = await dial(running.port)
  await socket.hears('a')
  running.useTls?.(renewed)
  const after = await certificateAt(running.port)
  assert.is.not(after.fingerprint256, before.fingerprint256)
  assert.is(await socket.hears('b'), 'b')
  const second = await dial(running.port)
  assert.is(await second.hears('c'), 'c')
  await running.close()
})

test('a certificate that cannot be used changes nothing', async () => {
  const running = await listening()
  const before = await certificateAt(running.port)
  assert.throws(() => running.useTls?.({ cert, key: renewed.key }), /the key is not that/)
  assert.throws(() => running.useTls?.({ cert: 'no', key: 'no' }), /Cannot use the TLS/)
  assert.is((await certificateAt(running.port)).fingerprint256, before.fingerprint256)
  await running.close()
})

test('the files are read again, and what is new is handed on once', async () => {
  const { clock, files, taken, stop } = kept()
  await clock.advance(TLS_CHECK_MS)
  assert.equal(taken, [])
  Object.assign(files, renewed)
  await clock.advance(TLS_CHECK_MS - 1)
  assert.equal(taken, [])
  await clock.advance(1)
  assert.equal(taken, [renewed])
  await clock.advance(3 * TLS_CHECK_MS)
  assert.is(taken.length, 1)
  stop()
  Object.assign(files, FIRST)
  await clock.advance(2 * TLS_CHECK_MS)
  assert.is(taken.length, 1)
})

test('a pair that is half written is said once, and taken when it is whole', async () => {
  const { clock, files, taken, warned } = kept()
  files.cert = renewed.cert
  await clock.advance(3 * TLS_CHECK_MS)
  assert.equal([taken.length, warned()], [0, 1])
  files.key = renewed.key
  await clock.advance(TLS_CHECK_MS)
  assert.equal(taken, [renewed])
})

test.run()

function listening() {
  return runtime.listen({
    host: '127.0.0.1',
    port: 0,
    tls: FIRST,
    fetch: () => new Response('here'),
    upgrade: () => (link) => link.subscribe((frame) => link.send(frame)),
  })
}

/** A client that is told back what it says. */
async function dial(port: number): Promise<{ hears(text: string): Promise<string> }> {
  // Bun's own `ws` wants the second.
  const trusting = { rejectUnauthorized: false, tls: { rejectUnauthorized: false } }
  const ws = new WebSocket(`wss://127.0.0.1:${port}`, trusting as ClientOptions)
  await once(ws, 'open')
  return {
    hears: async (text) => {
      const heard = once(ws, 'message')
      ws.send(new TextEncoder().encode(text))
      return String((await heard)[0])
    },
  }
}

function certificateAt(port: number): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate())
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

/** Files in memory that are looked at on a manual clock, by a listener that takes pairs of them alone. */
function kept() {
  const clock = manualClock()
  const files = { cert, key }
  const taken: Tls[] = []
  let warnings = 0
  const log: Log = { ...silentLog, warn: () => void warnings++ }
  const host = { readText: async (path: string) => files[path as keyof typeof files] }
  const running = {
    useTls: (tls: Tls) => {
      if ((tls.cert === cert) !== (tls.key === key)) throw new Error('no pair')
      taken.push(tls)
    },
  }
  return {
    clock,
    files,
    taken,
    warned: () => warnings,
    stop: keepTls(FILES, { host, running, log, clock }, FIRST),
  }
}
