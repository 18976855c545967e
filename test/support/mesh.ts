/** A mesh in one process: nodes joined by links in memory, edges with pretend RTC, one manual clock. */

import type { CarrySettings } from '../../src/carry.ts'
import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import { type Ground, joinOn } from '../../src/edge/join.ts'
import type { Edge, JoinOptions } from '../../src/edge/mod.ts'
import type { MakeRtc } from '../../src/edge/rtc.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { type Log, silentLog } from '../../src/log.ts'
import { createNode, type MeshNode } from '../../src/node.ts'
import type { Store } from '../../src/runtime.ts'
import { rtcWorld } from './rtc.ts'

export interface TestMesh {
  readonly clock: ManualClock
  readonly nodes: MeshNode[]
  /** Every frame that crossed between nodes, as it went over the raw link. */
  readonly wire: Uint8Array[]
  /** Every dial of an edge: where to, and when by the mesh's clock. */
  readonly dials: {
    readonly url: string
    readonly atMs: number
    /** The edge's end. */
    readonly link: Link
    /** The node's end: what is sent here comes to the edge as from its home. */
    readonly far: Link
  }[]
  /** The same, where a node was only asked for what it holds of the edge. */
  readonly asked: TestMesh['dials'][number][]
  /** The same, where it was only to be ready. */
  readonly standbys: TestMesh['dials'][number][]
  /** Sees each frame between an edge and its home, and says what goes on in its place. */
  tap: Tap | undefined
  /** How long frames take one way between an edge that dials from now on and its home. */
  legMs: number
  /** The pretend RTC that all edges share. */
  readonly makeRtc: MakeRtc
  /** Frames that went out or came in over a node's links so far. */
  crossedAt(node: MeshNode): number
  /** Links two nodes; `delayMs` each way. */
  link(a: MeshNode, b: MeshNode, delayMs?: number): readonly [Link, Link]
  /** Takes a node off as SIGKILL would: its links end and it says nothing. */
  kill(node: MeshNode): void
  edge(
    node: MeshNode | readonly MeshNode[],
    options?: JoinOptions,
    ground?: Partial<Ground>,
  ): Promise<Edge>
  /** An edge's raw socket to a node, as from this address. */
  dial(url: string, remoteAddress?: string): Link
  urlOf(node: MeshNode): string
  /** Takes on a node that the test has made, at this URL. */
  adopt(node: MeshNode, url: string): void
  close(): Promise<void>
}

export type Tap = (frame: Uint8Array, way: 'up' | 'down', url: string) => readonly Uint8Array[]

export function memoryStore(): Store {
  const kept = new Map<string, Uint8Array>()
  return {
    kept: false,
    read: async (name) => kept.get(name),
    write: async (name, value) => void kept.set(name, value),
  }
}

/** `count` nodes, each linked to each unless `linked` is false. */
export async function testMesh(
  count: number,
  options: {
    linked?: boolean
    network?: string
    makeRtc?: MakeRtc
    log?: Log
    carry?: CarrySettings
    apps?: boolean
  } = {},
): Promise<TestMesh> {
  const clock = manualClock()
  const nodes: MeshNode[] = []
  const byUrl = new Map<string, MeshNode>()
  const sockets = new Map<MeshNode, Set<Link>>()
  const wire: Uint8Array[] = []
  const dials: TestMesh['dials'] = []
  const crossed = new Map<MeshNode, number>()
  const edges: Edge[] = []
  const makeRtc = options.makeRtc ?? rtcWorld(clock)

  const link = (a: MeshNode, b: MeshNode, delayMs?: number): readonly [Link, Link] => {
    const later = (deliver: () => void): void => void clock.after(delayMs ?? 0, deliver)
    const pair = delayMs === undefined ? linkPair() : linkPair(later)
    const [left, right] = pair.map((end) =>
      recorded(end, (frame) => {
        wire.push(frame.slice())
        for (const node of [a, b]) crossed.set(node, (crossed.get(node) ?? 0) + 1)
      }),
    ) as [Link, Link]
    hold(a, left)
    hold(b, right)
    a.addLink(left, { initiator: true, remoteAddress: '127.0.0.1' })
    b.addLink(right, { initiator: false, remoteAddress: '127.0.0.1' })
    return [left, right]
  }

  /** For as long as it is open: a killed node's are cut, and the fuzzer counts what is kept. */
  const hold = (node: MeshNode, end: Link): void => {
    const ends = sockets.get(node)
    ends?.add(end)
    void end.closed.then(() => ends?.delete(end))
  }

  const adopt = (node: MeshNode, url: string): void => {
    nodes.push(node)
    sockets.set(node, new Set())
    byUrl.set(url, node)
    node.setUrls([url])
  }

  for (let i = 0; i < count; i++) {
    const node = await createNode({
      network: options.network ?? 'test',
      runtime: { name: 'node', version: 'test' },
      store: memoryStore(),
      log: options.log ?? silentLog,
      clock,
      ...(options.carry && { carry: options.carry }),
      ...(options.apps && { apps: true }),
    })
    adopt(node, `http://127.0.0.1:${5000 + i}`)
  }
  for (const [i, a] of nodes.entries()) {
    for (const b of nodes.slice(i + 1)) if (options.linked !== false) link(a, b)
  }
  await clock.advance(100)

  const dial = (url: string, remoteAddress = '127.0.0.1'): Link => {
    const { legMs } = mesh
    const later = (deliver: () => void): void => void clock.after(legMs, deliver)
    const [near, far] = legMs === 0 ? linkPair() : linkPair(later)
    const at = new URL(url)
    const node = byUrl.get(`http://${at.host}`)
    const accept = node?.upgrade(new Request(`http://${at.host}${at.pathname}${at.search}`), {
      remoteAddress,
    })
    if (node && typeof accept === 'function' && sockets.has(node)) {
      hold(node, far)
      accept(far)
    } else near.close('refused')
    const link = tapped(near, (frame, way) => {
      return mesh.tap?.(frame, way, `http://${at.host}`) ?? [frame]
    })
    const { searchParams: named } = at
    const other = named.has('s') ? mesh.standbys : dials
    const list = named.has('p') ? mesh.asked : other
    list.push({ url, atMs: clock.nowMs(), link, far })
    return link
  }

  const mesh: TestMesh = {
    clock,
    nodes,
    wire,
    dials,
    asked: [],
    standbys: [],
    tap: undefined,
    legMs: 0,
    makeRtc,
    crossedAt: (node) => crossed.get(node) ?? 0,
    dial,
    link,
    kill: (node) => {
      const ends = sockets.get(node) ?? new Set()
      sockets.delete(node)
      for (const end of ends) end.close('killed')
      void node.close()
    },
    edge: async (at, extra = {}, ground = {}) => {
      const homes = Array.isArray(at) ? at : [at]
      const urls = homes.map((node) => urlOf(byUrl, node))
      const joining = joinOn(
        { clock, makeRtc, dial, ...ground },
        { network: options.network ?? 'test', urls, ...extra },
      )
      const edge = await during(joining, clock)
      edges.push(edge)
      return edge
    },
    urlOf: (node) => urlOf(byUrl, node),
    adopt,
    close: async () => {
      for (const edge of edges) await edge.close()
      for (const node of nodes) await node.close()
      await settle()
    },
  }
  return mesh
}

/** Turns the clock until the promise is settled. */
export async function during<T>(promise: Promise<T>, clock: ManualClock, stepMs = 50): Promise<T> {
  let done = false
  const finished = promise.finally(() => (done = true))
  finished.catch(() => undefined)
  // Small steps first: most things take no time here, and what follows may have to be quick.
  for (let step = 0; step < 4000 && !done; step++) await clock.advance(step < 20 ? 1 : stepMs)
  if (!done) throw new Error('Nothing came of it in the time that was given')
  return finished
}

function urlOf(byUrl: ReadonlyMap<string, MeshNode>, node: MeshNode): string {
  const url = [...byUrl].find(([, other]) => other === node)?.[0]
  if (!url) throw new Error('No such node')
  return url
}

function recorded(link: Link, onSend: (frame: Uint8Array) => void): Link {
  return {
    ...link,
    send: (frame) => {
      onSend(frame)
      link.send(frame)
    },
    get bufferedBytes() {
      return link.bufferedBytes
    },
    closed: link.closed,
  }
}

/** An edge's end of a link, with somebody on the line. */
function tapped(
  link: Link,
  tap: (frame: Uint8Array, way: 'up' | 'down') => readonly Uint8Array[],
): Link {
  return {
    ...recorded(link, () => {}),
    send: (frame) => {
      for (const one of tap(frame.slice(), 'up')) link.send(one)
    },
    subscribe: (onFrame) =>
      link.subscribe((frame) => {
        for (const one of tap(frame, 'down')) onFrame(one)
      }),
  }
}
