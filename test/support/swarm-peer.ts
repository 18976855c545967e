/** A program for tests: joins a topic, echoes, does what its parent says and tells what happens. */

import { runtime } from '../../runtimes/node.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import type { Link } from '../../src/link.ts'

/** What the parent may say. */
export type Order =
  | { readonly do: 'connect' | 'forget'; readonly key: string }
  | { readonly do: 'send'; readonly bytes: number; readonly count: number }
  | { readonly do: 'close'; readonly reason: string }
  | { readonly do: 'leave' }

/** What this process tells: how many links it has, what came, why a link ended. */
export interface Fact {
  readonly key?: string
  readonly links?: number
  readonly initiator?: boolean
  readonly frames?: number
  readonly bytes?: number
  readonly inOrder?: boolean
  readonly ended?: string
  readonly left?: boolean
}

const [topic = '', bootstrap = ''] = process.argv.slice(2)
const links = new Set<Link>()
const tell = (fact: Fact): void => void process.send?.(fact)
process.on('disconnect', () => process.exit())

const swarm = await runtime.join({
  topic: fromHex(topic),
  protocol: 'signal-mesh/test',
  bootstrap: [bootstrap],
  onError: (error) => console.error(error.message),
  onLink: (link, { initiator }) => {
    links.add(link)
    tell({ links: links.size, initiator })
    let frames = 0
    let bytes = 0
    let inOrder = true
    link.subscribe((frame) => {
      inOrder &&= frame[0] === frames++ % 256
      bytes += frame.length
      tell({ frames, bytes, inOrder })
    })
    void link.closed.then((ended) => {
      links.delete(link)
      tell({ links: links.size, ended })
    })
  },
})

process.on('message', (order: Order) => {
  if (order.do === 'connect') swarm.connect(fromHex(order.key))
  if (order.do === 'forget') swarm.forget(fromHex(order.key))
  if (order.do === 'send') {
    for (const link of links) {
      for (let i = 0; i < order.count; i++) link.send(new Uint8Array(order.bytes).fill(i % 256))
    }
  }
  if (order.do === 'close') for (const link of links) link.close(order.reason)
  if (order.do === 'leave') void swarm.close().then(() => tell({ left: true }))
})
tell({ key: toHex(swarm.dhtKey) })
