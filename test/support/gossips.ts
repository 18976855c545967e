/** Gossip alone: nodes without directories, joined by links with delays, and every frame on record. */

import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { createGossip, type Gossip } from '../../src/gossip.ts'
import { HEARTBEAT_MS } from '../../src/limits.ts'
import { readWord, type Word } from '../../src/tree.ts'
import { identityOf } from '../fixtures/samples.ts'

/** Sorted, so that node 0 is the root as soon as it has been heard of. */
const IDS = Array.from({ length: 40 }, (_, i) => identityOf(500 + i).id).sort()

export const idAt = (node: number): string => IDS[node] as string

export interface Sent {
  readonly from: number
  readonly to: number
  /** A packet, or a word of the tree. */
  readonly kind: 'packet' | Word
  readonly bytes: Uint8Array
}

export interface GossipNet {
  readonly clock: ManualClock
  readonly nodes: readonly Gossip[]
  /** All that was sent since it was last emptied. */
  readonly sent: Sent[]
  /** Whether a frame is lost; may be set anew at any time. */
  loses: (sent: Sent) => boolean
  /** How long each frame is on its way. */
  delayMs: (from: number, to: number) => number
  /** Whether a node has no time for what a neighbour brings. */
  isBusy: (node: number, neighbour: number) => boolean
  publish(node: number, text: string): void
  /** Something that each node says again as its own once it believes it. */
  prove(node: number, text: string): void
  /** Which nodes have got it, its own among them. */
  holders(text: string): number[]
  link(a: number, b: number): void
  cut(a: number, b: number): void
  packets(): number
  /** The root says something, and what follows from it comes to rest. */
  settleTree(): Promise<void>
}

export function gossipNet(size: number, links: readonly (readonly [number, number])[]): GossipNet {
  const clock = manualClock()
  const sent: Sent[] = []
  const got = new Map<string, Set<number>>()
  const around = Array.from({ length: size }, () => new Set<number>())
  let rounds = 0

  const deliver = (one: Sent): void => {
    sent.push(one)
    const { from, to, kind, bytes } = one
    if (net.loses(one)) return
    const arrive = (): void => {
      if (!around[to]?.has(from)) return
      if (kind === 'packet') nodes[to]?.receive(bytes, idAt(from))
      else nodes[to]?.receiveWord(bytes, idAt(from))
    }
    const delayMs = net.delayMs(from, to)
    if (delayMs > 0) clock.after(delayMs, arrive)
    else queueMicrotask(arrive)
  }

  const note = (node: number, data: Uint8Array): void => {
    const [, text = ''] = fromUtf8(data).split(' ')
    got.set(text, (got.get(text) ?? new Set()).add(node))
  }

  const nodes = around.map((_, from) =>
    createGossip({
      id: idAt(from),
      clock,
      send: (id, packet) =>
        deliver({ from, to: IDS.indexOf(id), kind: 'packet', bytes: Uint8Array.from(packet) }),
      sendWord: (id, bytes) =>
        deliver({ from, to: IDS.indexOf(id), kind: readWord(bytes).word, bytes }),
      takes: () => true,
      check: (data, by) => {
        if (net.isBusy(from, IDS.indexOf(by))) return 'later'
        const [origin = '', text = ''] = fromUtf8(data).split(' ')
        if (got.get(text)?.has(from)) return 'done'
        if (origin !== 'proof') return { origin: idAt(Number(origin)) }
        net.prove(from, text)
        return 'done'
      },
      deliver: (data) => note(from, data),
    }),
  )

  const say = (node: number, words: string): void => {
    note(node, utf8(words))
    nodes[node]?.publish(utf8(words))
  }

  const show = (node: number): void =>
    nodes[node]?.setNeighbours([...(around[node] ?? [])].map(idAt))

  const net: GossipNet = {
    clock,
    nodes,
    sent,
    loses: () => false,
    delayMs: () => 0,
    isBusy: () => false,
    publish: (node, text) => say(node, `${node} ${text}`),
    prove: (node, text) => say(node, `proof ${text}`),
    holders: (text) => [...(got.get(text) ?? [])].sort((a, b) => a - b),
    link: (a, b) => {
      around[a]?.add(b)
      around[b]?.add(a)
      show(a)
      show(b)
    },
    cut: (a, b) => {
      around[a]?.delete(b)
      around[b]?.delete(a)
      show(a)
      show(b)
    },
    packets: () => sent.filter(({ kind }) => kind === 'packet').length,
    settleTree: async () => {
      net.publish(0, `round-${rounds++}`)
      await clock.advance(HEARTBEAT_MS)
      sent.length = 0
    },
  }
  for (const [a, b] of links) net.link(a, b)
  return net
}

/** Every pair of so many nodes. */
export function fullMesh(size: number): [number, number][] {
  return Array.from({ length: size }, (_, a) => a).flatMap((a) =>
    Array.from({ length: size - a - 1 }, (_, i): [number, number] => [a, a + 1 + i]),
  )
}

/** A connected graph: a line through all, and so many more links at random. */
export function randomGraph(size: number, more: number, random: () => number): [number, number][] {
  const links = new Map<string, [number, number]>()
  for (let i = 1; i < size; i++) {
    const other = Math.floor(random() * i)
    links.set(`${other} ${i}`, [other, i])
  }
  for (let i = 0; i < more; i++) {
    const [a, b] = [Math.floor(random() * size), Math.floor(random() * size)].sort((x, y) => x - y)
    if (a !== undefined && b !== undefined && a !== b) links.set(`${a} ${b}`, [a, b])
  }
  return [...links.values()]
}
