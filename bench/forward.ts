/** How much server CPU a forwarded 2 KB signal costs, against bare `ws` in the same interleaved run. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { randomBytes, sign, signingKeyPair } from '../src/crypto.ts'
import { decodeHello, encodeProof, FRAME, proofBody } from '../src/messages.ts'
import { signPresence } from '../src/records.ts'
import { CLASS, encodeSignal, PHASE } from '../src/signal.ts'
import { networkId, PROTOCOL_VERSION } from '../src/topic.ts'

const EDGES = 400
const SIGNALS_PER_EDGE = 100
const PAYLOAD_BYTES = 2048 - 144
const ROUNDS = 7
/** Linux counts a process's time in ticks of this many microseconds. */
const TICK_US = 10_000
const NETWORK = networkId('main')

interface Server {
  readonly name: string
  readonly child: ChildProcess
  readonly url: string
}

interface Client {
  readonly key: Uint8Array
  readonly socket: WebSocket
}

const args = process.argv.slice(2)
const servers = [
  await start('raw ws', ['bench/raw-ws.ts']),
  await start('signal-mesh', [
    'mod.ts',
    '--port',
    '0',
    '--log-level',
    'error',
    '--log-format',
    'json',
  ]),
]
const clients = new Map<Server, Client[]>()
for (const server of servers) {
  console.log(`Joining ${EDGES} edges to ${server.name} …`)
  clients.set(server, await joinAll(server))
}
const costs = new Map<string, number[]>(servers.map(({ name }) => [name, []]))
for (let round = 1; round <= ROUNDS; round++) {
  for (const server of servers) {
    const us = await forwardAll(server, clients.get(server) as Client[])
    costs.get(server.name)?.push(us)
    console.log(`round ${round}/${ROUNDS}  ${server.name.padEnd(12)} ${us.toFixed(1)} µs a signal`)
  }
}
for (const { child } of servers) child.kill('SIGKILL')
const [raw, ours] = servers.map(({ name }) => median(costs.get(name) as number[])) as [
  number,
  number,
]
const result = {
  bench: 'forward',
  runtime: `node ${process.version}`,
  rawUs: raw,
  oursUs: ours,
  ratio: ours / raw,
}
console.log(
  `signal-mesh ${ours.toFixed(1)} µs, raw ws ${raw.toFixed(1)} µs: ratio ${result.ratio.toFixed(2)}`,
)
mkdirSync('bench/results', { recursive: true })
if (args.includes('--write'))
  writeFileSync('bench/results/forward.json', `${JSON.stringify(result, null, 2)}\n`)
process.exit(0)

async function start(name: string, command: readonly string[]): Promise<Server> {
  // Servers share one core, the load has the other.
  const child = spawn('taskset', ['-c', '0', process.execPath, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const url = /(ws|http):\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (url) return { name, child, url: url.replace('http', 'ws') }
  }
  throw new Error(`${name} did not start`)
}

async function joinAll(server: Server): Promise<Client[]> {
  const joined: Client[] = []
  for (let i = 0; i < EDGES; i++) joined.push(await join(server))
  return joined
}

async function join(server: Server): Promise<Client> {
  const keys = signingKeyPair(randomBytes(32))
  const path = server.name === 'raw ws' ? '' : '/edge'
  const socket = new WebSocket(server.url + path, { perMessageDeflate: false })
  if (server.name === 'raw ws') {
    await once(socket, 'open')
    socket.send(keys.publicKey)
    return { key: keys.publicKey, socket }
  }
  const [helloFrame] = (await once(socket, 'message')) as [Buffer]
  const hello = decodeHello(helloFrame)
  const proof = {
    version: PROTOCOL_VERSION,
    features: new Uint8Array(8),
    networkId: NETWORK,
    peerKey: keys.publicKey,
    nonce: randomBytes(32),
    authority: new URL(server.url).host,
  }
  const signature = sign('edge-proof', NETWORK, proofBody(helloFrame, proof), keys)
  const fields = {
    homeKey: hello.nodeKey,
    boxKey: randomBytes(32),
    seq: Date.now(),
    ttlMs: 3_600_000,
  }
  const presence = signPresence(NETWORK, keys, fields)
  socket.send(encodeProof({ ...proof, signature, presence, adverts: [] }))
  const [welcome] = (await once(socket, 'message')) as [Buffer]
  if (welcome[0] !== FRAME.welcome) throw new Error('The node refused an edge')
  return { key: keys.publicKey, socket }
}

/** Each edge sends to the next, a few signals at a time; gives the server's CPU time per signal. */
async function forwardAll(server: Server, all: readonly Client[]): Promise<number> {
  const before = cpuTicks(server)
  const perTurn = 10
  for (let turn = 0; turn < SIGNALS_PER_EDGE / perTurn; turn++) {
    const arrived = Promise.all(all.map((client) => receive(client, perTurn)))
    for (const [i, client] of all.entries()) {
      const to = all[(i + 1) % all.length] as Client
      for (let n = 0; n < perTurn; n++) client.socket.send(signal(client, to, turn * perTurn + n))
    }
    await arrived
  }
  return ((cpuTicks(server) - before) * TICK_US) / (EDGES * SIGNALS_PER_EDGE)
}

function receive({ socket }: Client, count: number): Promise<void> {
  let left = count
  return new Promise((resolve) => {
    const onMessage = (frame: Buffer): void => {
      if (frame[0] === FRAME.signal && --left === 0) {
        socket.off('message', onMessage)
        resolve()
      }
    }
    socket.on('message', onMessage)
  })
}

function signal(from: Client, to: Client, counter: number): Uint8Array {
  return encodeSignal(NETWORK, {
    class: CLASS.within,
    phase: PHASE.split,
    from: from.key,
    to: to.key,
    connection: new Uint8Array(16),
    counter,
    payload: new Uint8Array(PAYLOAD_BYTES),
  })
}

/** User and kernel time of the process, with its threads (proc(5), fields 14 and 15 of stat). */
function cpuTicks({ child }: Server): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}
