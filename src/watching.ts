/** Watching: pushes the view of the mesh to whoever opened `/mesh/events`, as far as there is room. */

import { addressGroup } from './authority.ts'
import { utf8 } from './bytes.ts'
import { type Clock, repeat } from './clock.ts'
import {
  MAX_BUFFERED_BYTES,
  MAX_PAGE_BYTES,
  MAX_WATCHERS,
  MAX_WATCHERS_PER_ADDRESS,
  WATCH_BEHIND_MS,
  WATCH_FLUSH_MS,
  WATCH_TICK_MS,
} from './limits.ts'
import type { Link } from './link.ts'
import type { MeshMessage, MeshView, NodeView } from './management.ts'

export interface Watching {
  /** How many watch. */
  readonly count: number
  /** Takes a socket, or says why not. */
  admit(remoteAddress: string): 'TOO_MANY' | ((link: Link) => void)
  close(): void
}

export interface WatchingOptions {
  readonly clock: Clock
  /** Looks what has happened since, and draws the mesh. */
  view(): MeshView
  /** How many events there were in all. */
  eventCount(): number
}

/** The mesh as it was drawn last: what of each node would be told anew, how many events, and how it is told to who comes. */
interface Drawn {
  readonly view: MeshView
  readonly states: ReadonlyMap<string, string>
  readonly events: number
  /** Not again before. */
  readonly againAtMs: number
  /** Made for the first who comes. */
  frames: readonly Uint8Array[] | undefined
}

interface Watcher {
  readonly group: string
  /** What its socket has no room for yet; the frames are the same for all. */
  readonly queue: Uint8Array[]
  /** When its queue was empty last. */
  evenAtMs: number
}

export function createWatching(options: WatchingOptions): Watching {
  const { clock } = options
  const watchers = new Map<Link, Watcher>()
  let drawn: Drawn | undefined
  let stop: (() => void) | undefined
  let cancelFlush: (() => void) | undefined

  const draw = (): Drawn => {
    const startMs = clock.monotonicMs()
    const view = options.view()
    const states = new Map(view.nodes.map((node) => [node.id, stateOf(node)]))
    const againAtMs = againAfter(startMs, clock.monotonicMs())
    drawn = { view, states, events: options.eventCount(), againAtMs, frames: undefined }
    return drawn
  }

  const flush = (): void => {
    cancelFlush?.()
    cancelFlush = undefined
    const nowMs = clock.monotonicMs()
    let isBehind = false
    for (const [link, watcher] of [...watchers]) {
      const { queue } = watcher
      while (queue.length > 0 && link.bufferedBytes < MAX_BUFFERED_BYTES) {
        link.send(queue.shift() as Uint8Array)
      }
      if (queue.length === 0) watcher.evenAtMs = nowMs
      else if (nowMs - watcher.evenAtMs >= WATCH_BEHIND_MS) link.close('RATE_LIMITED')
      else isBehind = true
    }
    if (isBehind) cancelFlush = clock.after(WATCH_FLUSH_MS, flush)
  }

  const tick = (): void => {
    // Timers may come a little early.
    if (drawn && clock.monotonicMs() < drawn.againAtMs - WATCH_TICK_MS / 2) return
    const before = drawn ?? draw()
    const { view, states, events: count } = draw()
    const changed = view.nodes.filter(({ id }) => before.states.get(id) !== states.get(id))
    const gone = [...before.states.keys()].filter((id) => !states.has(id))
    const news = count - before.events
    const events = news > 0 ? view.events.slice(-news) : []
    if (changed.length + gone.length + events.length === 0) return
    const frames = encoded([
      ...inPages(changed),
      ...(gone.length ? [{ type: 'gone', nodes: gone } as const] : []),
      ...(events.length ? [{ type: 'events', events } as const] : []),
      { type: 'totals', atMs: view.atMs, totals: view.totals },
    ])
    for (const { queue } of watchers.values()) queue.push(...frames)
    flush()
  }

  /** Drawn once in a second, however many come: the next tick tells them what has changed since. */
  const begin = (): readonly Uint8Array[] => {
    const isOld = !stop && drawn && clock.monotonicMs() >= drawn.againAtMs
    const now = !drawn || isOld ? draw() : drawn
    const { network, protocolVersion, self, nodes, events, atMs, totals } = now.view
    now.frames ??= encoded([
      { type: 'begin', network, protocolVersion, self, nodes: nodes.length },
      ...inPages(nodes),
      { type: 'events', events },
      { type: 'totals', atMs, totals },
    ])
    return now.frames
  }

  const hasRoom = (group: string): boolean => {
    const same = [...watchers.values()].filter((other) => other.group === group).length
    return watchers.size < MAX_WATCHERS && same < MAX_WATCHERS_PER_ADDRESS
  }

  const end = (): void => {
    stop?.()
    stop = undefined
    cancelFlush?.()
    cancelFlush = undefined
  }

  const take = (link: Link, group: string): void => {
    // Others may have come while the socket was opened.
    if (!hasRoom(group)) {
      link.close('TOO_MANY')
      return
    }
    const queue = [...begin()]
    stop ??= repeat(clock, WATCH_TICK_MS, tick)
    watchers.set(link, { group, queue, evenAtMs: clock.monotonicMs() })
    flush()
    // There is nothing to say to it: who does so is no watcher.
    link.subscribe(() => link.close('BAD_FRAME'))
    void link.closed.then(() => {
      watchers.delete(link)
      if (watchers.size > 0) return
      end()
    })
  }

  return {
    get count() {
      return watchers.size
    },
    admit: (remoteAddress) => {
      const group = addressGroup(remoteAddress)
      return hasRoom(group) ? (link) => take(link, group) : 'TOO_MANY'
    },
    close: () => {
      end()
      for (const link of watchers.keys()) link.close('GOING_AWAY')
    },
  }
}

/** When the mesh may be drawn again: each second, or less often where that took more than a twentieth of the time. */
export function againAfter(startMs: number, endMs: number): number {
  return Math.max(startMs + WATCH_TICK_MS, endMs + 20 * (endMs - startMs))
}

/** What of a node is worth telling; when it was heard of changes with each beat, and comes with its report. */
function stateOf({ report, isLinked, isSuspected, epoch, index, behind, edges }: NodeView): string {
  const { number } = report ?? {}
  return [epoch, index, number, isLinked, isSuspected, behind, edges].join()
}

function encoded(messages: readonly MeshMessage[]): readonly Uint8Array[] {
  return messages.map((message) => utf8(JSON.stringify(message)))
}

/** Nodes in messages of a bounded size. */
function inPages(nodes: readonly NodeView[]): MeshMessage[] {
  const pages: NodeView[][] = []
  let left = 0
  for (const node of nodes) {
    const bytes = utf8(JSON.stringify(node)).length
    if (bytes > left) {
      pages.push([])
      left = MAX_PAGE_BYTES
    }
    pages.at(-1)?.push(node)
    left -= bytes
  }
  return pages.map((page) => ({ type: 'nodes', nodes: page }))
}
