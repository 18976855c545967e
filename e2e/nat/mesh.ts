/** Meshes of the laboratory: for each mode one of three nodes, on Node, Deno and Bun, at public addresses. */

import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeHello } from '../../src/messages.ts'
import { documented, runClient } from '../support/coturn.ts'
import { untilHealth } from '../support/health.ts'
import { poll } from '../support/poll.ts'
import { commandOf, type RuntimeName, type RuntimeNode, startBy } from '../support/runtimes.ts'
import { FRONT_PORT } from './front.ts'
import { MODES, type Mode } from './kinds.ts'
import { into, NET, NET6, start } from './world.ts'

const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
/** What leaves a network that lets out nothing but TCP to 443. */
const PORT = 443
const STUN_PORT = 3478
const TURN_HOST = 30
/** A coturn that knows another secret. */
const STRANGE_TURN_HOST = 31
/** Of a minimal server that signals by the same pages, for comparison. */
export const PLAIN_HOST = 40
const SECRET = 'a secret of the laboratory'
/** Nodes probe each other's STUN at each heartbeat, of which there is one in 10 s. */
const KNOWN_WITHIN_MS = 40_000

const TURN_WITHIN_MS = 10_000

/** Where the nodes of a mode are: each has an address of its own. */
const FIRST_HOST: Readonly<Record<Mode, number>> = { stun: 10, turn: 13, mesh: 16 }

/** The last parts of the addresses of all servers. */
export const SERVERS: readonly number[] = [
  ...MODES.flatMap((mode) => RUNTIMES.map((_, i) => FIRST_HOST[mode] + i)),
  TURN_HOST,
  STRANGE_TURN_HOST,
  PLAIN_HOST,
]

export const TURN_ADDRESSES: readonly string[] = addresses(TURN_HOST)
export const STRANGE_TURN_ADDRESSES: readonly string[] = addresses(STRANGE_TURN_HOST)

export interface MeshNode extends RuntimeNode {
  readonly host: number
  /** Where pages of this family reach it. */
  origin(family: 4 | 6): string
  /** Where they reach it by TLS, once it has its front. */
  readonly front: string
  readonly addresses: readonly string[]
}

export interface LabMesh {
  readonly mode: Mode
  readonly nodes: readonly MeshNode[]
}

/** Starts the three and waits until each knows the others, and names their STUN. */
export async function startMesh(mode: Mode, more: readonly string[] = []): Promise<LabMesh> {
  const flags = ['--network', mode, ...more]
  const starting = RUNTIMES.map((runtime, i) =>
    startNode(runtime, FIRST_HOST[mode] + i, mode, flags),
  )
  const nodes = await Promise.all(starting)
  const urls = nodes.map((node) => node.origin(4))
  await untilHealth(`the nodes of "${mode}" know each other`, urls, KNOWN_WITHIN_MS, (all) =>
    all.every(({ mesh }) => mesh.homes === RUNTIMES.length),
  )
  await poll('each names the STUN of all', KNOWN_WITHIN_MS, async () => {
    const named = await Promise.all(urls.map(stunNamed))
    // Who asks too often is told less.
    await new Promise((resolve) => setTimeout(resolve, 500))
    return named.every((count) => count === RUNTIMES.length)
  })
  return { mode, nodes }
}

/** How many STUN servers a node names to whoever comes. */
async function stunNamed(url: string): Promise<number> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/edge`)
  socket.binaryType = 'arraybuffer'
  const frame = await new Promise<Uint8Array>((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(new Uint8Array(data))
    socket.onerror = () => reject(new Error(`${url} cannot be reached`))
  })
  socket.close()
  return decodeHello(frame).ice?.servers.length ?? 0
}

async function startNode(
  runtime: RuntimeName,
  host: number,
  mode: Mode,
  flags: readonly string[],
): Promise<MeshNode> {
  const data = mkdtempSync(join(tmpdir(), 'nat-node-'))
  const origin = (family: 4 | 6): string =>
    family === 4 ? `http://${NET}.${host}:${PORT}` : `http://[${NET6}::${host}]:${PORT}`
  const front = frontOf(host)
  const others = RUNTIMES.map((_, i) => FIRST_HOST[mode] + i).filter((each) => each !== host)
  const args = [
    ...['--host', '::', '--port', String(PORT), '--stun-port', String(STUN_PORT)],
    ...['--public-url', [origin(4), origin(6), front].join()],
    ...['--peer', others.map((each) => `ws://${NET}.${each}:${PORT}`).join()],
    ...flagsOf(mode, data),
    ...flags,
  ]
  const command = [...into(`srv-${host}`), ...commandOf(runtime, data)]
  const node = await startBy(command, runtime, args, data)
  return { ...node, host, origin, front, addresses: addresses(host) }
}

/** On Deno a node reads nothing but what is with its data. */
function flagsOf(mode: Mode, data: string): string[] {
  if (mode !== 'turn') return []
  const file = join(data, 'turn-secret')
  writeFileSync(file, SECRET, { mode: 0o600 })
  const [v4, v6] = TURN_ADDRESSES
  const urls = [
    `turn:${v4}:${STUN_PORT}?transport=udp`,
    `turn:${v4}:${PORT}?transport=tcp`,
    `turn:[${v6}]:${STUN_PORT}?transport=udp`,
  ]
  return ['--turn-url', urls.join(), '--turn-secret-file', file]
}

/** Coturn as the README has it, on UDP 3478 and TCP 443. */
export async function startTurn(isStrange = false): Promise<void> {
  const host = isStrange ? STRANGE_TURN_HOST : TURN_HOST
  const folder = mkdtempSync(join(tmpdir(), 'nat-coturn-'))
  const file = join(folder, 'turnserver.conf')
  const [v4 = '', v6 = ''] = addresses(host)
  const own = [
    ...[v4, v6].flatMap((each) => [`listening-ip=${each}`, `relay-ip=${each}`]),
    `listening-port=${STUN_PORT}`,
    `aux-server=${v4}:${PORT}`,
    `static-auth-secret=${isStrange ? 'another secret' : SECRET}`,
    ...['no-tls', 'no-dtls', 'log-file=stdout', `pidfile=${join(folder, 'pid')}`],
  ]
  writeFileSync(file, `${documented()}\n${own.join('\n')}\n`)
  const [first = '', ...rest] = into(`srv-${host}`)
  spawn(first, [...rest, 'turnserver', '-c', file], { stdio: 'ignore' })
  await poll('coturn answers', TURN_WITHIN_MS, async () =>
    (await runClient('turnutils_stunclient', ['-p', String(STUN_PORT), v4])).includes('reflexive'),
  )
}

export function frontOf(host: number): string {
  return `https://${NET}.${host}:${FRONT_PORT}`
}

/** Puts a front for TLS before the server. */
export async function startFront(host: number): Promise<void> {
  const program = join(import.meta.dirname, 'front.ts')
  await start(`srv-${host}`, [process.execPath, program, `${NET}.${host}`, `${PORT}`], 'listening')
}

function addresses(host: number): string[] {
  return [`${NET}.${host}`, `${NET6}::${host}`]
}
