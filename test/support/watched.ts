/** A large mesh that is watched, and sockets that take what they are told slowly. */

import { type ManualClock, manualClock } from '../../src/clock.ts'
import { type Link, linkPair } from '../../src/link.ts'
import type { MeshView, NodeView } from '../../src/management.ts'
import { createWatching, type Watching } from '../../src/watching.ts'

export const NODES = 500

export interface Watched {
  readonly clock: ManualClock
  /** What is drawn; may be changed. */
  readonly nodes: NodeView[]
  readonly watching: Watching
  open(link: Link): void
  /** How long it takes to draw it. */
  takesMs: number
  /** How often it was drawn. */
  views(): number
}

export interface StuckLink {
  readonly near: Link
  readonly link: Link
  /** What was sent to it. */
  bytes(): number
  read(): void
}

/** A large mesh that is watched. */
export function watched(): Watched {
  const clock = manualClock()
  let takenMs = 0
  const text = 'x'.repeat(10_000)
  const nodes = Array.from(
    { length: NODES },
    (_, i) => ({ id: `${i}`, urls: [text], epoch: 1 }) as unknown as NodeView,
  )
  let views = 0
  const watching = createWatching({
    clock: { ...clock, monotonicMs: () => clock.monotonicMs() + takenMs },
    view: () => {
      views += 1
      takenMs += all.takesMs
      return { nodes: [...nodes], events: [] } as unknown as MeshView
    },
    eventCount: () => 0,
  })
  const open = (link: Link): void => {
    const taken = watching.admit('192.0.2.1')
    if (taken !== 'TOO_MANY') taken(link)
  }
  const all: Watched = { clock, nodes, watching, open, takesMs: 0, views: () => views }
  return all
}

/** A socket whose other end reads nothing until it does. */
export function stuckLink(): StuckLink {
  const [near, far] = linkPair()
  let bytes = 0
  let isStuck = true
  const link: Link = Object.create(far, {
    bufferedBytes: { get: () => (isStuck ? bytes : 0) },
    send: {
      value: (frame: Uint8Array) => {
        bytes += frame.length
        far.send(frame)
      },
    },
  })
  const read = (): void => {
    isStuck = false
  }
  return { near, link, bytes: () => bytes, read }
}
