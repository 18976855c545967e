/** A mesh in one process: nodes joined by links in memory, edges with pretend RTC, one manual clock. */

import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import { type Edge, type JoinOptions, joinOn } from '../../src/edge/mod.ts'
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
  link(a: MeshNode, b: MeshNode): readonly [Link, Link]
  /** Takes a node off as SIGKILL would: its links end and it says nothing. */
  kill(node: MeshNode): void
  edge(node: MeshNode | readonly MeshNode[], options?: JoinOptions): Promise<Edge>
  urlOf(node: MeshNode): string
  close(): Promise<void>
}

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
  options: { linked?: boolean; network?: string; makeRtc?: MakeRtc; log?: Log } = {},
): Promise<TestMesh> {
  const clock = manualClock()
  const nodes: MeshNode[] = []
  const byUrl = new Map<string, MeshNode>()
  const sockets = new Map<MeshNode, Set<Link>>()
  const wire: Uint8Array[] = []
  const edges: Edge[] = []
  const makeRtc = options.makeRtc ?? rtcWorld(clock)

  const link = (a: MeshNode, b: MeshNode): readonly [Link, Link] => {
    const pair = linkPair()
    const [left, right] = pair.map((end) => recorded(end, wire)) as [Link, Link]
    sockets.get(a)?.add(left)
    sockets.get(b)?.add(right)
    a.addLink(left, { initiator: true, remoteAddress: '127.0.0.1' })
    b.addLink(right, { initiator: false, remoteAddress: '127.0.0.1' })
    return [left, right]
  }

  for (let i = 0; i < count; i++) {
    const node = await createNode({
      network: options.network ?? 'test',
      runtime: { name: 'node', version: 'test' },
      store: memoryStore(),
      log: options.log ?? silentLog,
      clock,
    })
    const url = `http://127.0.0.1:${5000 + i}`
    nodes.push(node)
    sockets.set(node, new Set())
    byUrl.set(url, node)
    node.setUrls([url])
  }
  for (const [i, a] of nodes.entries()) {
    for (const b of nodes.slice(i + 1)) if (options.linked !== false) link(a, b)
  }
  await clock.advance(100)

  const dial = (url: string): Link => {
    const [near, far] = linkPair()
    const at = new URL(url)
    const node = byUrl.get(`http://${at.host}`)
    const accept = node?.upgrade(new Request(`http://${at.host}${at.pathname}`), {
      remoteAddress: '127.0.0.1',
    })
    if (node && typeof accept === 'function' && sockets.has(node)) {
      sockets.get(node)?.add(far)
      accept(far)
    } else near.close('refused')
    return near
  }

  return {
    clock,
    nodes,
    wire,
    link,
    kill: (node) => {
      const ends = sockets.get(node) ?? new Set()
      sockets.delete(node)
      for (const end of ends) end.close('killed')
      void node.close()
    },
    edge: async (at, extra = {}) => {
      const homes = Array.isArray(at) ? at : [at]
      const urls = homes.map((node) => urlOf(byUrl, node))
      const joining = joinOn(
        { clock, makeRtc, dial },
        { network: options.network ?? 'test', urls, ...extra },
      )
      const edge = await during(joining, clock)
      edges.push(edge)
      return edge
    },
    urlOf: (node) => urlOf(byUrl, node),
    close: async () => {
      for (const edge of edges) await edge.close()
      for (const node of nodes) await node.close()
      await settle()
    },
  }
}

/** Turns the clock until the promise is settled. */
export async function during<T>(promise: Promise<T>, clock: ManualClock, stepMs = 50): Promise<T> {
  let done = false
  const finished = promise.finally(() => (done = true))
  finished.catch(() => undefined)
  for (let step = 0; step < 4000 && !done; step++) await clock.advance(stepMs)
  if (!done) throw new Error('Nothing came of it in the time that was given')
  return finished
}

function urlOf(byUrl: ReadonlyMap<string, MeshNode>, node: MeshNode): string {
  const url = [...byUrl].find(([, other]) => other === node)?.[0]
  if (!url) throw new Error('No such node')
  return url
}

function recorded(link: Link, wire: Uint8Array[]): Link {
  return {
    ...link,
    send: (frame) => {
      wire.push(frame.slice())
      link.send(frame)
    },
    get bufferedBytes() {
      return link.bufferedBytes
    },
    closed: link.closed,
  }
}
