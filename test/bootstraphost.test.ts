/** A node's DHT bootstrap: begun beside it, again when it breaks, and refused in words. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { offerBootstrap } from '../runtimes/bootstraphost.ts'
import { RELAY_RESTART_FIRST_MS } from '../runtimes/limits.ts'
import { runtime } from '../runtimes/node.ts'
import { manualClock } from '../src/clock.ts'
import type { SignalMeshError } from '../src/errors.ts'
import type { Link } from '../src/link.ts'
import { silentLog } from '../src/log.ts'
import type { Swarm } from '../src/runtime.ts'
import { LINK_PROTOCOL, meshTopic } from '../src/topic.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('bootstrap host', { timeoutMs: 20_000 })
const AT = { at: '127.0.0.1:1', others: [], log: silentLog }

test('one that ends by itself is begun anew, ever later, and none once it is closed', async () => {
  const clock = manualClock()
  const ends: (() => void)[] = []
  let stopped = 0
  const start = async () => ({
    exited: new Promise<void>((resolve) => ends.push(resolve)),
    stop: async () => {
      stopped += 1
    },
  })
  const running = await offerBootstrap(AT, { clock, start })
  for (const times of [2, 4]) {
    ends.at(-1)?.()
    await clock.advance(times * RELAY_RESTART_FIRST_MS - 1)
    const before = ends.length
    await clock.advance(1)
    assert.is(ends.length, before + 1)
  }
  ends.at(-1)?.()
  await clock.advance(0)
  await running.close()
  await clock.advance(60_000)
  assert.equal([ends.length, stopped, clock.pending], [3, 1, 0])
})

test('a port that is taken, or an address of another machine, is told as such', async () => {
  const taken = createSocket('udp4').bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const failureAt = (at: string): Promise<SignalMeshError> =>
    offerBootstrap({ ...AT, at }).then(
      () => Promise.reject(new Error('It began')),
      (error) => error,
    )
  const { port } = taken.address()
  const inUse = await failureAt(`127.0.0.1:${port}`)
  assert.is(inUse.code, 'PORT_IN_USE')
  assert.is(inUse.message, `Cannot open UDP 127.0.0.1:${port} for the DHT, it is in use`)
  assert.is((await failureAt('192.0.2.1:49737')).code, 'BAD_CONFIG')
  taken.close()
})

test('swarms that share a member of the DHT each have a key, and the last to leave ends it', async () => {
  const port = await freePort()
  const bootstrap = [`127.0.0.1:${port}`]
  const running = await offerBootstrap({ ...AT, at: bootstrap[0] as string })
  const links: string[] = []
  const open: Link[] = []
  const joinAs = (network: string, name: string, more: object): Promise<Swarm> =>
    runtime.join({
      topic: meshTopic(network),
      protocol: LINK_PROTOCOL,
      bootstrap,
      onLink: (link) => {
        links.push(name)
        open.push(link)
      },
      onError: () => {},
      ...more,
    })
  const shared = { sharing: {}, port: await freePort() }
  const one = await joinAs('one', 'one', shared)
  const two = await joinAs('two', 'two', shared)
  assert.is.not(String(one.dhtKey), String(two.dhtKey))
  await one.close()
  const far = await joinAs('two', 'far', {})
  await until(() => links.length >= 2)
  assert.equal([...new Set(links)].sort(), ['far', 'two'], 'the other network goes on')
  for (const link of open) link.close('done')
  await Promise.all([far.close(), two.close()])
  assert.is(await freePort(shared.port), shared.port, 'its UDP port is free again')
  await running.close()
})

test.run()

async function freePort(at = 0): Promise<number> {
  const socket = createSocket('udp4').bind(at, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}
