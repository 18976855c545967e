/** Two edges whose ICE finds no path for now, each at its own node, so that the homes carry what they say. */

import type { Connection, Edge, JoinOptions } from '../../src/edge/mod.ts'
import type { MakeRtc, Rtc } from '../../src/edge/rtc.ts'
import { SignalMeshError } from '../../src/errors.ts'
import type { NodeOptions } from '../../src/node.ts'
import { during, type TestMesh, testMesh } from './mesh.ts'
import { rtcWorld } from './rtc.ts'

export interface Walled {
  readonly mesh: TestMesh
  readonly a: Edge
  readonly b: Edge
  readonly told: { readonly a: Connection[]; readonly b: Connection[] }
  readonly wall: Wall
  /** Both ends, once `a` has called `b` and it is open. */
  connect(): Promise<readonly [Connection, Connection]>
}

export interface Wall {
  readonly makeRtc: MakeRtc
  /** How many RTC connections were made. */
  readonly made: number
  /** From now on those that there are, and those that come, find a path. */
  open(): void
  /** ICE has failed on all that there are. */
  fail(): void
}

/** Between all RTC connections: candidates reach nobody until it is opened. */
export function createWall(world: () => MakeRtc): Wall {
  let isOpen = false
  const held: (() => void)[] = []
  const failing = new Set<() => void>()
  let made = 0
  return {
    get made() {
      return made
    },
    makeRtc: (options) => {
      made += 1
      let hasEnded = false
      const inner = world()({
        ...options,
        onClose: (error) => {
          hasEnded = true
          failing.delete(fail)
          options.onClose(error)
        },
      })
      const fail = (): void => {
        if (hasEnded) return
        hasEnded = true
        inner.close()
        options.onClose(new SignalMeshError('RTC_FAILED', 'Ice connection failed.'))
      }
      failing.add(fail)
      const rtc: Rtc = {
        ...inner,
        take: (item) => {
          if (hasEnded) return
          if (item.kind !== 'candidate' || isOpen) inner.take(item)
          else held.push(() => inner.take(item))
        },
        close: () => {
          failing.delete(fail)
          inner.close()
        },
        get generation() {
          return inner.generation
        },
      }
      return rtc
    },
    open: () => {
      isOpen = true
      for (const go of held.splice(0)) go()
    },
    fail: () => {
      held.length = 0
      for (const fail of [...failing]) fail()
      failing.clear()
    },
  }
}

export async function walled(
  options: {
    a?: JoinOptions
    b?: JoinOptions
    nodes?: number
    /** Both edges at the first node. */
    oneHome?: boolean
    carry?: NodeOptions['carry']
    delayMs?: number
  } = {},
): Promise<Walled> {
  let world: MakeRtc | undefined
  const wall = createWall(() => world as MakeRtc)
  const { carry } = options
  const mesh = await testMesh(options.nodes ?? 2, {
    makeRtc: wall.makeRtc,
    linked: false,
    ...(carry && { carry }),
  })
  for (const [i, node] of mesh.nodes.entries()) {
    for (const other of mesh.nodes.slice(i + 1)) mesh.link(node, other, options.delayMs)
  }
  world = rtcWorld(mesh.clock)
  await mesh.clock.advance(1000)
  const a = await mesh.edge(mesh.nodes[0]!, options.a)
  const b = await mesh.edge(mesh.nodes[options.oneHome ? 0 : 1]!, options.b)
  for (const edge of [a, b]) await during(edge.advertise('room'), mesh.clock)
  await mesh.clock.advance(1000)
  const told: Walled['told'] = { a: [], b: [] }
  a.on('connection', (connection) => told.a.push(connection))
  b.on('connection', (connection) => told.b.push(connection))
  return {
    mesh,
    a,
    b,
    told,
    wall,
    connect: async () => {
      const own = await during(a.connect(b.id, { topic: 'room' }), mesh.clock)
      await mesh.clock.advance(100)
      return [own, told.b[0]!]
    },
  }
}
