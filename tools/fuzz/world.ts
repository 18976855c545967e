/** The world that a hostile party comes into: two linked nodes, well-behaved edges, and what must hold after it. */

import v8 from 'node:v8'
import { reader } from '../../src/bytes.ts'
import { settle } from '../../src/clock.ts'
import { joinOn } from '../../src/edge/join.ts'
import type { Edge } from '../../src/edge/mod.ts'
import { codeOfNumber } from '../../src/errors.ts'
import { makeIdentity } from '../../src/identity.ts'
import { STANDBY_AFTER_MS } from '../../src/limits.ts'
import type { Link } from '../../src/link.ts'
import { linkPair } from '../../src/link.ts'
import type { Log } from '../../src/log.ts'
import {
  decodeBye,
  decodeHello,
  decodePush,
  decodeWelcome,
  FRAME,
  readError,
} from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { CLASS, checkSignal, classOf, readControl } from '../../src/signal.ts'
import { readWord } from '../../src/tree.ts'
import { NETWORK } from '../../test/fixtures/samples.ts'
import { during, type TestMesh, testMesh } from '../../test/support/mesh.ts'
import { rtcWorld } from '../../test/support/rtc.ts'
import { checkError, describe, Finding, must, type Target } from './target.ts'

export const TOPIC = 'room'

export interface World {
  readonly mesh: TestMesh
  readonly node: MeshNode
  /** At home at `node`, and at the other node. */
  readonly here: Edge
  readonly there: Edge
  /** What went wrong where nobody could throw it. */
  readonly troubles: Finding[]
  /** An edge's socket at `node`, its URL with this query; nobody else keeps a hold of it. */
  dial(query?: string): Link
  /** The far end of a fresh mesh link to `node`. */
  link(nodeIsInitiator: boolean): Link
  /** Waits until the hostile party must be forgotten, and looks at everything. */
  check(quietMs: number): Promise<void>
  close(): Promise<void>
}

export async function makeWorld(): Promise<World> {
  const troubles: Finding[] = []
  // What an application's listener or a frame throws at an edge goes to the page.
  globalThis.reportError = (error: unknown) => {
    troubles.push(new Finding(`Reported to the page: ${describe(error)}`, { cause: error }))
  }
  const mesh = await testMesh(2, { network: 'main', log: watchingLog(troubles) })
  const [node, other] = mesh.nodes as [MeshNode, MeshNode]
  const here = await mesh.edge(node, { identity: makeIdentity().seed })
  const there = await mesh.edge(other)
  for (const edge of [here, there]) await during(edge.advertise(TOPIC), mesh.clock)
  await mesh.clock.advance(60_000)
  const standing = stateOf(mesh)

  const info = { remoteAddress: '198.51.100.66' }
  const dial = (query = ''): Link => {
    const [near, far] = linkPair()
    const accept = node.upgrade(new Request(`${mesh.urlOf(node)}/edge${query}`), info)
    if (typeof accept !== 'function') throw new Finding('The node refused the socket')
    accept(far)
    return near
  }

  const check = async (quietMs: number): Promise<void> => {
    await mesh.clock.advance(quietMs)
    if (troubles[0]) throw troubles.splice(0)[0]
    must(here.home.state === 'open', `The edge at home here is ${here.home.state}`)
    const urls = [mesh.urlOf(node)]
    const ground = { clock: mesh.clock, makeRtc: rtcWorld(mesh.clock), dial: () => dial() }
    const newcomer = await during(joinOn(ground, { network: 'main', urls }), mesh.clock)
    for (const [seeker, ids] of [
      [newcomer, [here.id, there.id]],
      [there, [here.id]],
      [here, [there.id]],
    ] as const) {
      const { peers } = await during(seeker.discover(TOPIC), mesh.clock)
      const found = peers.map(({ id }) => id).sort()
      must(
        found.join() === [...ids].sort().join(),
        `Found ${found.length} peers, not ${ids.length}`,
      )
    }
    await newcomer.close()
    await mesh.clock.advance(1_000)
    // What happens to be under way is given time to end: an hourly signing, a standby drawn anew.
    for (let ms = 0; ms < 2 * STANDBY_AFTER_MS && stateOf(mesh) !== standing; ms += 1_000) {
      await mesh.clock.advance(1_000)
    }
    const now = stateOf(mesh)
    must(now === standing, `The world is not as it was: ${now}, before ${standing}`)
    if (troubles[0]) throw troubles.splice(0)[0]
    mesh.wire.length = 0
    for (const list of [mesh.dials, mesh.standbys, mesh.asked]) list.length = 0
  }

  return {
    mesh,
    node,
    here,
    there,
    troubles,
    dial,
    link: (initiator) => {
      const [near, far] = linkPair()
      node.addLink(far, { initiator, ...info })
      return near
    },
    check,
    close: async () => {
      await mesh.close()
      await settle()
    },
  }
}

/** What must be the same before and after: sizes, and the timers, since every wait has one. */
function stateOf(mesh: TestMesh): string {
  const nodes = mesh.nodes.map((node) => {
    const { edges, neighbours, mesh: whole } = node.health()
    return `${edges} edges, ${neighbours} neighbours, ${whole.homes}/${whole.edges} in the mesh`
  })
  return `${nodes.join('; ')}; ${mesh.clock.pending} timers`
}

/** A log that takes a caught exception of ours for a finding. */
function watchingLog(troubles: Finding[]): Log {
  const look = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    // A hostile party may say INTERNAL itself, but hardly in an engine's own words.
    if (fields.code !== 'INTERNAL' || !ENGINE.test(String(fields.why))) return
    troubles.push(new Finding(`${message}: ${fields.why}`))
  }
  return { debug: look, info: look, warn: look, error: look }
}

const ENGINE = /is not|cannot|invalid|undefined|null|maximum|must be|out of|convert/i

/** Codes with which a node may end a session or a link, or refuse what came over it. */
const REFUSALS = [
  'BAD_FRAME',
  'BAD_SIGNATURE',
  'BAD_HANDSHAKE',
  'BAD_AUTHORITY',
  'VERSION_MISMATCH',
  'NETWORK_MISMATCH',
  'CLOCK_SKEW',
  'STALE_RECORD',
  'REPLACED',
  'TOO_LARGE',
  'TOO_MANY',
  'RATE_LIMITED',
  'MESH_FULL',
  'REFUSED',
  'PEER_UNKNOWN',
  'MOVED',
  'HOME_UNREACHABLE',
  'TIMEOUT',
  'GOING_AWAY',
]

/** Reads what a node sends, which has to be well formed whatever it was sent. */
export function checkSent(frame: Uint8Array): void {
  try {
    readSent(frame)
  } catch (error) {
    if (error instanceof Finding) throw error
    throw new Finding(`A node sent what cannot be read: ${describe(error)}`, { cause: error })
  }
}

function readSent(frame: Uint8Array): void {
  const kind = frame[0]
  if (kind === FRAME.hello) decodeHello(frame)
  else if (kind === FRAME.welcome) decodeWelcome(frame)
  else if (kind === FRAME.push) decodePush(frame)
  else if (kind === FRAME.bye) checkError(decodeBye(frame), REFUSALS)
  else if (kind === FRAME.rpc) {
    const isAnswer = reader(frame.subarray(1)).u32() % 2 === 1
    if (isAnswer && frame[5] === 1) checkError(readError(reader(frame.subarray(6))), REFUSALS)
  } else if (kind === FRAME.signal) {
    checkSignal(NETWORK, frame)
    if (classOf(frame) !== CLASS.control) return
    const { code } = readControl(frame)
    must(REFUSALS.includes(code), `A control signal says ${code}`)
  } else if (kind === FRAME.tree) readWord(frame)
  else must(kind === FRAME.ping || kind === FRAME.pong || kind === FRAME.gossip, `Kind ${kind}`)
}

export const codeOfArg = (arg: number): ReturnType<typeof codeOfNumber> => codeOfNumber(arg % 70)

/** Maps and sets more than this in one world mean that a table of tables is never emptied. */
const MAX_MORE_TABLES = 40

/** Runs inputs in one world for a while, then sees that nothing has gathered, and takes a fresh one. */
export function inWorld(
  turnsPerWorld: number,
  play: (world: World, input: Uint8Array) => Promise<void>,
): Required<Pick<Target, 'run' | 'reset'>> {
  let world: World | undefined
  let turns = 0
  let tables = 0
  const reset = async (): Promise<void> => {
    const old = world
    world = undefined
    turns = 0
    await old?.close()
  }
  return {
    reset,
    run: async (input) => {
      world ??= await makeWorld()
      try {
        await play(world, input)
        turns += 1
        // What is made once, at first use, is there by now.
        if (turns === WARM_TURNS) tables = await tablesNow()
        if (turns < turnsPerWorld) return
        const more = (await tablesNow()) - tables
        must(more <= MAX_MORE_TABLES, `${more} maps and sets more after ${turns} inputs`)
      } catch (error) {
        await reset()
        throw error
      }
      await reset()
    },
  }
}

const WARM_TURNS = 20

/** How many maps and sets are alive; where the runtime cannot tell, none. */
async function tablesNow(): Promise<number> {
  // What the last input left is let go first.
  await new Promise((resolve) => setImmediate(resolve))
  if (typeof v8.queryObjects !== 'function') return 0
  return Number(v8.queryObjects(Map)) + Number(v8.queryObjects(Set))
}
