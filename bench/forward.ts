/** How much server CPU a forwarded 2 KB signal costs, against the runtime's own forwarder in the same interleaved run. */

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

/** How each runtime is started, and its own forwarder. */
const RUNTIMES: Readonly<Record<string, { readonly by: readonly string[]; readonly raw: string }>> =
  {
    node: { by: [process.execPath], raw: 'bench/raw-ws.ts' },
    deno: { by: ['deno', 'run', '--quiet', '--no-prompt', '-A'], raw: 'bench/raw-deno.ts' },
    bun: { by: ['bun'], raw: 'bench/raw-bun.ts' },
  }
const NODE_FLAGS = ['--port', '0', '--log-level', 'error', '--log-format', 'json']
const RESULTS = 'bench/results/forward.json'

interface Server {
  readonly isRaw: boolean
  readonly child: ChildProcess
  readonly url: string
  /** Name and version, if it says so. */
  readonly runtime: string
}

interface Result {
  readonly runtime: string
  readonly rawUs: number
  readonly oursUs: number
  readonly ratio: number
}

interface Client {
  readonly key: Uint8Array
  readonly socket: WebSocket
}

// Behind the bench's own name: names of runtimes, default all, and --write.
const args = process.argv.slice(2).filter((arg) => arg !== 'forward')
const asked = args.filter((arg) => !arg.startsWith('--'))
const unknown = asked.filter((name) => !(name in RUNTIMES))
if (unknown.length > 0) throw new Error(`No runtime: ${unknown}; ${Object.keys(RUNTIMES)}`)
const results: Record<string, Result> = {}
for (const name of asked.length > 0 ? asked : Object.keys(RUNTIMES)) {
  results[name] = await measure(name)
}
for (const { runtime, rawUs, oursUs, ratio } of Object.values(results)) {
  const figures = `${oursUs.toFixed(1)} µs, raw ${rawUs.toFixed(1)} µs: ratio ${ratio.toFixed(2)}`
  console.log(`signal-mesh on ${runtime} ${figures}`)
}
if (args.includes('--write')) {
  mkdirSync('bench/results', { recursive: true })
  // What was not measured now stays as it was measured last.
  const before = JSON.parse(readFileSync(RESULTS, 'utf8')) as { runtimes: typeof results }
  const all = { bench: 'forward', runtimes: { ...before.runtimes, ...results } }
  writeFileSync(RESULTS, `${JSON.stringify(all, null, 2)}\n`)
}
process.exit(0)

/** A node on the runtime and the runtime's own forwarder, a round of each in turn. */
async function measure(name: string): Promise<Result> {
  const { by, raw } = RUNTIMES[name] as (typeof RUNTIMES)[string]
  const pair = [
    await start(true, [...by, raw]),
    await start(false, [...by, 'mod.ts', ...NODE_FLAGS]),
  ] as const
  const rounds: [number, number][] = []
  try {
    console.log(`Joining ${EDGES} edges to each of two servers on ${name} …`)
    const clients = [await joinAll(pair[0]), await joinAll(pair[1])] as const
    for (let round = 1; round <= ROUNDS; round++) {
      const us: [number, number] = [
        await forwardAll(pair[0], clients[0]),
        await forwardAll(pair[1], clients[1]),
      ]
      rounds.push(us)
      const [rawUs, oursUs] = us.map((each) => `${each.toFixed(1)} µs`)
      console.log(`${name} ${round}/${ROUNDS}  raw ${rawUs}, signal-mesh ${oursUs} a signal`)
    }
    for (const { socket } of clients.flat()) socket.terminate()
  } finally {
    for (const { child } of pair) child.kill('SIGKILL')
  }
  const [rawUs, oursUs] = [median(rounds.map(([us]) => us)), median(rounds.map(([, us]) => us))]
  return { runtime: pair[1].runtime, rawUs, oursUs, ratio: oursUs / rawUs }
}

async function start(isRaw: boolean, command: readonly string[]): Promise<Server> {
  // Servers share one core, the load has the other.
  const child = spawn('taskset', ['-c', '0', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const said = JSON.parse(line) as { url: string; runtime?: string }
    return { isRaw, child, url: said.url.replace('http', 'ws'), runtime: said.runtime ?? '' }
  }
  throw new Error(`${command.join(' ')} did not start`)
}

async function joinAll(server: Server): Promise<Client[]> {
  const joined: Client[] = []
  for (let i = 0; i < EDGES; i++) joined.push(await join(server))
  return joined
}

async function join(server: Server): Promise<Client> {
  const keys = signingKeyPair(randomBytes(32))
  const path = server.isRaw ? '' : '/edge'
  const socket = new WebSocket(server.url + path, { perMessageDeflate: false })
  if (server.isRaw) {
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
