/** How a room of 100 edges gets whole: real nodes and sockets, the edges in this process with pretend RTC. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { startTestnet } from '../runtimes/local-mesh.ts'
import { systemClock } from '../src/clock.ts'
import { joinOn } from '../src/edge/join.ts'
import type { Edge, Room } from '../src/edge/mod.ts'
import { dialSocket } from '../src/edge/socket.ts'
import type { Link } from '../src/link.ts'
import { FRAME } from '../src/messages.ts'
import { rtcWorld } from '../test/support/rtc.ts'

const EDGES = 100
const NODES = 3
const MAX_PEERS = 8
/** So many edges join at once, each batch behind the other. */
const BATCH = 10
const ASK_EVERY_MS = 20
const GIVE_UP_MS = 120_000
/** A room that is whole should be left alone: what is sent in this time is counted apart. */
const REST_MS = 10_000

interface Member {
  readonly edge: Edge
  readonly room: Room
}

const sent = { signals: 0, requests: 0, frames: 0 }
let most = 0
const testnet = await startTestnet({ nodes: NODES, network: 'main' })
const makeRtc = rtcWorld(systemClock)
const members: Member[] = []

const startMs = performance.now()
for (let i = 0; i < EDGES; i += BATCH) {
  members.push(...(await Promise.all(Array.from({ length: BATCH }, (_, j) => join(i + j)))))
}
const joinedMs = performance.now() - startMs
while (reached() < EDGES && performance.now() - startMs < GIVE_UP_MS) await pause(ASK_EVERY_MS)
const isWhole = reached() === EDGES
const wholeMs = performance.now() - startMs
const byWhole = { ...sent }
await pause(REST_MS)
const result = {
  bench: 'room',
  runtime: `node ${process.version}`,
  rtc: 'pretended in this process; nodes and sockets are real',
  edges: EDGES,
  nodes: NODES,
  maxPeers: MAX_PEERS,
  joinedMs: Math.round(joinedMs),
  isWhole,
  wholeMs: Math.round(wholeMs),
  mostPeers: most,
  signalsPerEdge: perEdge(byWhole.signals),
  requestsPerEdge: perEdge(byWhole.requests),
  signalsPerEdgeAtRest: perEdge(sent.signals - byWhole.signals),
  requestsPerEdgeAtRest: perEdge(sent.requests - byWhole.requests),
  stillWhole: reached() === EDGES,
  rightTotals: members.filter(({ room }) => room.total === EDGES - 1).length,
}
console.log(JSON.stringify(result, null, 2))
if (process.argv.includes('--write')) {
  mkdirSync('bench/results', { recursive: true })
  writeFileSync('bench/results/room.json', `${JSON.stringify(result, null, 2)}\n`)
}
await testnet.stop()
process.exit(isWhole && most <= MAX_PEERS ? 0 : 1)

async function join(number: number): Promise<Member> {
  const urls = [testnet.urls[number % NODES] as string]
  const edge = await joinOn({ clock: systemClock, makeRtc, dial }, { urls })
  const room = await edge.join('bench', { maxPeers: MAX_PEERS })
  room.on('change', (peers) => {
    most = Math.max(most, peers.size)
  })
  return { edge, room }
}

/** A socket whose frames to the home are counted. */
function dial(url: string): Link {
  const link = dialSocket(url)
  return {
    ...link,
    closed: link.closed,
    get bufferedBytes() {
      return link.bufferedBytes
    },
    send: (frame) => {
      sent.frames += 1
      if (frame[0] === FRAME.signal) sent.signals += 1
      if (frame[0] === FRAME.rpc) sent.requests += 1
      link.send(frame)
    },
  }
}

/** How many are reached from the first over connections that both ends have. */
function reached(): number {
  const rooms = new Map(members.map(({ edge, room }) => [edge.id, room]))
  const found = new Set([...rooms.keys()].slice(0, 1))
  for (const id of found) {
    for (const peer of rooms.get(id)?.peers.keys() ?? []) {
      if (rooms.get(peer)?.peers.has(id)) found.add(peer)
    }
  }
  return found.size
}

function perEdge(count: number): number {
  return Math.round((10 * count) / EDGES) / 10
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
