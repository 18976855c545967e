/** A room of browsers behind NATs of all kinds: one connected graph, few peers each, and a message reaches all. */

import type { Room } from '../../src/edge/mod.ts'
import { poll } from '../support/poll.ts'
import type { Sites } from './blocks.ts'
import type { Lab } from './lab.ts'
import type { LabMesh, MeshNode } from './mesh.ts'
import type { Check } from './report.ts'
import { openBrowser, type Seat } from './seats.ts'
import type { Site } from './sites.ts'

const TOPIC = 'the room'
const MAX_PEERS = 6
/** Sixteen browsers start on two cores, and what homes carry takes 2.6 s to open. */
const WITHIN_MS = 90_000
/** Members come and change places for a while. */
const STABLE_MS = 3_000

const MEMBERS = [
  ...['public', 'firewall', 'full', 'address', 'port', 'symmetric', 'carrier', 'tcp443'],
  ...['dual', 'ipv6', 'carrier-symmetric'],
] as const
/** Twice, so that those that need a relay are with their like too. */
const TWICE = ['port', 'symmetric', 'carrier', 'tcp443', 'address'] as const

/** Its sites are those of the matrix. */
export function roomSites(): Sites {
  return [
    ...MEMBERS.map((kind) => [`a-${kind}`, kind] as [string, Site['kind']]),
    ...TWICE.map((kind) => [`b-${kind}`, kind] as const),
  ]
}

interface Roomed {
  readonly room: Room
  /** All that came, by whatever way. */
  readonly heard: Set<string>
}

declare global {
  var roomed: Roomed
}

interface Member {
  readonly peers: readonly string[]
  readonly total: number
  readonly heard: number
  readonly paths: readonly string[]
}

export async function runRoom(lab: Lab, mesh: LabMesh): Promise<Check[]> {
  const sites = roomSites().map(([name]) => lab.sites.get(name) as Site)
  const browsers = await Promise.all(sites.map((site) => openBrowser(site)))
  try {
    const seats = await Promise.all(
      browsers.map((one, i) => one.sit(mesh, mesh.nodes[i % mesh.nodes.length] as MeshNode)),
    )
    const startMs = performance.now()
    await Promise.all(seats.map((seat) => seat.run(enter, { topic: TOPIC, maxPeers: MAX_PEERS })))
    const members = await settled(seats)
    const afterMs = performance.now() - startMs
    const graph = new Map(seats.map(({ id }, i) => [id, (members[i] as Member).peers]))
    const reached = reachedFrom(graph, (seats[0] as Seat).id)
    const counts = members.map(({ peers }) => peers.length)
    const paths = members.flatMap((one) => one.paths)
    const ways = ['local', 'direct', 'mesh']
      .map((path) => `${paths.filter((one) => one === path).length / 2} ${path}`)
      .join(', ')
    await Promise.all(seats.map((seat) => seat.run(say, `of ${seat.id}`)))
    const all = await settled(seats, ({ heard }) => heard === seats.length)
    return [
      {
        name: `a room of ${seats.length} behind NATs of ${MEMBERS.length} kinds is one graph`,
        passed:
          reached === seats.length && members.every(({ total }) => total === seats.length - 1),
        text: `${reached} of ${seats.length} reach each other, after ${Math.round(afterMs)} ms; connections: ${ways}`,
      },
      {
        name: `each has at most ${MAX_PEERS} peers, and both ends say so`,
        passed: Math.max(...counts) <= MAX_PEERS && isMutual(graph),
        text: `from ${Math.min(...counts)} to ${Math.max(...counts)} peers`,
      },
      {
        name: 'a message of each member, passed on by each once, reaches all others',
        passed: all.every(({ heard }) => heard === seats.length),
        text: `${all.reduce((sum, { heard }) => sum + heard - 1, 0)} of ${seats.length * (seats.length - 1)} came`,
      },
    ]
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
}

/** What the members say once all is as wanted and stays so, or in the end. */
async function settled(
  seats: readonly Seat[],
  wanted = ({ peers, total }: Member): boolean => peers.length > 0 && total === seats.length - 1,
): Promise<Member[]> {
  let members: Member[] = []
  let before = ''
  let sinceMs = 0
  const isSettled = async (): Promise<boolean> => {
    members = await Promise.all(seats.map((seat) => seat.run(member, null)))
    const graph = new Map(seats.map(({ id }, i) => [id, (members[i] as Member).peers]))
    const now = JSON.stringify([...graph])
    if (now !== before) sinceMs = performance.now()
    before = now
    const isOne = reachedFrom(graph, (seats[0] as Seat).id) === seats.length
    const isStable = performance.now() - sinceMs > STABLE_MS
    return isOne && isStable && isMutual(graph) && members.every(wanted)
  }
  await poll('the room is as it is to be', WITHIN_MS, isSettled).catch(() => undefined)
  return members
}

function reachedFrom(graph: ReadonlyMap<string, readonly string[]>, first: string): number {
  const reached = new Set([first])
  for (const id of reached) for (const peer of graph.get(id) ?? []) reached.add(peer)
  return reached.size
}

function isMutual(graph: ReadonlyMap<string, readonly string[]>): boolean {
  return [...graph].every(([id, peers]) => peers.every((peer) => graph.get(peer)?.includes(id)))
}

// --- in the pages ---

/** Goes into the room, and passes on what it has not heard before: a room itself sends to neighbours alone. */
async function enter(about: { topic: string; maxPeers: number }): Promise<void> {
  const room = await nat.edge.join(about.topic, { maxPeers: about.maxPeers })
  const heard = new Set<string>()
  room.on('message', ({ data }) => {
    if (typeof data !== 'string' || heard.has(data)) return
    heard.add(data)
    void room.send(data)
  })
  globalThis.roomed = { room, heard }
}

async function say(text: string): Promise<void> {
  roomed.heard.add(text)
  await roomed.room.send(text)
}

function member(): Member {
  const { room, heard } = roomed
  const connections = [...room.peers.values()]
  return {
    peers: [...room.peers.keys()],
    total: room.total,
    heard: heard.size,
    paths: connections.map(({ path }) => path),
  }
}
