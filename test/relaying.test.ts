/** DHT relays at work: real ones, each in its process, on a DHT of their own; clients in this process. */

import { type Child, startChild } from '../runtimes/children.ts'
import { runtime } from '../runtimes/node.ts'
import { joinThroughRelay } from '../runtimes/relayed.ts'
import { offerRelay } from '../runtimes/relayhost.ts'
import { toHex } from '../src/bytes.ts'
import { MAX_FRAME_BYTES } from '../src/limits.ts'
import type { Link } from '../src/link.ts'
import type { Log } from '../src/log.ts'
import type { JoinOptions, MeshLinkInfo, RelayHost, Running, Swarm } from '../src/runtime.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('relaying', { timeoutMs: 30_000 })
const TOPIC = new Uint8Array(32).fill(5)

let bootstrap: Child
let address = ''
const relays: { readonly relay: RelayHost; readonly running: Running; readonly said: string[] }[] =
  []
const guests: Guest[] = []

interface Guest {
  readonly swarm: Swarm
  readonly links: {
    readonly link: Link
    readonly info: MeshLinkInfo
    readonly got: number[]
    ended?: string
  }[]
  readonly errors: string[]
}

test.beforeEach(async () => {
  bootstrap = await startChild({ program: './bootstrap.ts', args: ['--json'] })
  address = String(bootstrap.ready.address)
})
test.afterEach(async () => {
  await Promise.all(guests.splice(0).map(({ swarm }) => swarm.close()))
  for (const { relay, running } of relays.splice(0)) {
    await relay.close()
    await running.close()
  }
  await bootstrap.stop()
})

test('two nodes meet through the relay of a third, and its link carries frames of any size in order', async () => {
  const { url } = await startRelay()
  const [a, b] = [await guest([url]), await guest([url])]
  await until(() => a.links.length > 0 && b.links.length > 0)
  assert.equal(a.links[0]?.info.relay, new URL(url).host)
  assert.equal([a, b].map(({ links }) => links[0]?.info.initiator).sort(), [false, true])
  for (let i = 0; i < 12; i++) a.links[0]?.link.send(new Uint8Array(MAX_FRAME_BYTES).fill(i))
  for (let i = 12; i < 40; i++) a.links[0]?.link.send(new Uint8Array(i).fill(i))
  await until(() => b.links[0]?.got.length === 40)
  assert.equal(
    b.links[0]?.got,
    Array.from({ length: 40 }, (_, i) => i),
  )
  a.links[0]?.link.close('GOING_AWAY')
  await until(() => b.links[0]?.ended !== undefined)
  assert.is(b.links[0]?.ended, 'GOING_AWAY')
})

test('a node behind a relay and a member of the DHT link, whoever dials by the other’s key', async () => {
  const { url } = await startRelay()
  const behind = await guest([url], new Uint8Array(32).fill(6))
  const member = await memberOf()
  await until(() => {
    member.swarm.connect(behind.swarm.dhtKey)
    return behind.links.length > 0 && member.links.length > 0
  })
  assert.equal([behind.links[0]?.info.initiator, member.links[0]?.info.initiator], [false, true])
})

test('a frame that breaks the relay’s process ends that alone: it comes back, and who sent it is kept out', async () => {
  process.env.NODE_OPTIONS = `--import=${new URL('fixtures/breaks.ts', import.meta.url).pathname}`
  const { url, said } = await startRelay().finally(() => delete process.env.NODE_OPTIONS)
  const [a, b] = [await guest([url]), await guest([url])]
  await until(() => a.links.length > 0 && b.links.length > 0)
  const bad = dialFrom(url)
  bad.onopen = () => bad.send(Uint8Array.of(0xee, 0))
  assert.is(await endOf(bad), 'BAD_FRAME')
  await until(() => a.links[0]?.ended !== undefined && a.links.length > 1 && b.links.length > 1)
  assert.is(await endOf(dialFrom(url)), 'REFUSED')
  assert.ok(said.includes('A client has broken the DHT relay'))
})

test('when a relay ends its clients go to the next, with their key and whom they wanted', async () => {
  const [first, second] = [await startRelay(), await startRelay()]
  const member = await memberOf()
  const topic = new Uint8Array(32).fill(6)
  const a = await guest([first.url, second.url], topic)
  const key = toHex(a.swarm.dhtKey)
  a.swarm.connect(member.swarm.dhtKey)
  await until(() => a.links.length === 1)
  const at = a.links[0]?.info.relay
  await stopRelay(at as string)
  await until(() => a.links.length === 2)
  assert.equal(
    [first, second].map(({ url }) => new URL(url).host).sort(),
    a.links.map(({ info }) => info.relay).sort(),
  )
  assert.is(toHex(a.swarm.dhtKey), key)
})

test('a node whose relays do not answer says so once and goes on, and closes quickly', async () => {
  const a = await guest(['ws://127.0.0.1:1', 'ws://127.0.0.1:2'])
  await until(() => a.errors.length > 0)
  assert.match(a.errors[0] as string, /^No DHT relay answers of .*; this node goes on without$/)
  const startMs = performance.now()
  await a.swarm.close()
  assert.ok(performance.now() - startMs < 500)
})

test.run()

async function startRelay(): Promise<{ url: string; said: string[] }> {
  const said: string[] = []
  const say = (text: string): void => void said.push(text)
  const log: Log = { debug: say, info: say, warn: say, error: say }
  const relay = offerRelay({ bootstrap: [address], log })
  const running = await runtime.listen({
    host: '127.0.0.1',
    port: 0,
    fetch: () => new Response('ok'),
    upgrade: ({ headers }, { remoteAddress }) =>
      relay.upgrade(headers.get('x-forwarded-for') ?? remoteAddress),
  })
  relays.push({ relay, running, said })
  await until(() => said.includes('The DHT relay is ready'))
  return { url: `ws://127.0.0.1:${running.port}`, said }
}

/** A socket from another address than all the others'. */
function dialFrom(url: string): WebSocket {
  return new WebSocket(`${url}/dht`, { headers: { 'x-forwarded-for': '192.0.2.66' } } as never)
}

function endOf(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.onclose = ({ reason }) => resolve(reason)
  })
}

async function stopRelay(host: string): Promise<void> {
  const one = relays.find(({ running }) => host.endsWith(`:${running.port}`))
  await one?.relay.close()
}

function optionsOf(topic: Uint8Array): { options: JoinOptions; rest: Omit<Guest, 'swarm'> } {
  const links: Guest['links'] = []
  const errors: string[] = []
  const options: JoinOptions = {
    topic,
    protocol: 'signal-mesh/test',
    bootstrap: [address],
    onLink: (link, info) => {
      const one: Guest['links'][number] = { link, info, got: [] }
      links.push(one)
      link.subscribe((frame) => one.got.push(frame[0] as number))
      void link.closed.then((ended) => Object.assign(one, { ended }))
    },
    onError: ({ message }) => void errors.push(message),
  }
  return { options, rest: { links, errors } }
}

async function guest(urls: readonly string[], topic: Uint8Array = TOPIC): Promise<Guest> {
  const { options, rest } = optionsOf(topic)
  const made = {
    swarm: await joinThroughRelay({ ...options, bootstrap: [], relays: urls }),
    ...rest,
  }
  guests.push(made)
  return made
}

/** A node that is on the DHT itself, on a topic that nobody else has. */
async function memberOf(): Promise<Guest> {
  const { options, rest } = optionsOf(new Uint8Array(32).fill(8))
  const made = { swarm: await runtime.join(options), ...rest }
  guests.push(made)
  return made
}

async function until(passes: () => boolean): Promise<void> {
  while (!passes()) await new Promise((resolve) => setTimeout(resolve, 20))
}
