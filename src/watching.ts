/** Watching: pushes the view of the mesh to whoever opened `/mesh/events`, as far as there is room. */

import { addressGroup } from './authority.ts'
import { utf8 } from './bytes.ts'
import { type Clock, repeat } from './clock.ts'
import {
  MAX_BUFFERED_BYTES,
  MAX_PAGE_BYTES,
  MAX_WATCHERS,
  MAX_WATCHERS_PER_ADDRESS,
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

/** What the watchers were told last: by node what of it would be told anew, and how many events. */
interface Told {
  readonly nodes: Map<string, string>
  events: number
}

export function createWatching(options: WatchingOptions): Watching {
  const { clock } = options
  const watchers = new Map<Link, string>()
  let told: Told = { nodes: new Map(), events: 0 }
  let stop: (() => void) | undefined

  const say = (to: Iterable<Link>, messages: readonly MeshMessage[]): void => {
    const frames = messages.map((message) => utf8(JSON.stringify(message)))
    for (const link of to) {
      // Who reads too slowly begins anew, rather than with holes.
      if (link.bufferedBytes > MAX_BUFFERED_BYTES) link.close('RATE_LIMITED')
      else for (const frame of frames) link.send(frame)
    }
  }

  const tick = (): void => {
    const view = options.view()
    const count = options.eventCount()
    const changed = view.nodes.filter((node) => told.nodes.get(node.id) !== stateOf(node))
    const here = new Set(view.nodes.map(({ id }) => id))
    const gone = [...told.nodes.keys()].filter((id) => !here.has(id))
    const news = count - told.events
    const events = news > 0 ? view.events.slice(-news) : []
    told = { nodes: new Map(view.nodes.map((node) => [node.id, stateOf(node)])), events: count }
    if (changed.length + gone.length + events.length === 0) return
    say(watchers.keys(), [
      ...inPages(changed),
      ...(gone.length ? [{ type: 'gone', nodes: gone } as const] : []),
      ...(events.length ? [{ type: 'events', events } as const] : []),
      { type: 'totals', atMs: view.atMs, totals: view.totals },
    ])
  }

  const begin = (link: Link): void => {
    const { network, protocolVersion, self, nodes, events, atMs, totals } = options.view()
    say(
      [link],
      [
        { type: 'begin', network, protocolVersion, self, nodes: nodes.length },
        ...inPages(nodes),
        { type: 'events', events },
        { type: 'totals', atMs, totals },
      ],
    )
  }

  const hasRoom = (group: string): boolean => {
    const same = [...watchers.values()].filter((other) => other === group).length
    return watchers.size < MAX_WATCHERS && same < MAX_WATCHERS_PER_ADDRESS
  }

  const take = (link: Link, group: string): void => {
    // Others may have come while the socket was opened.
    if (!hasRoom(group)) {
      link.close('TOO_MANY')
      return
    }
    // Told what is new until now, so that nobody hears of it twice.
    if (stop) tick()
    else {
      const { nodes } = options.view()
      told = {
        nodes: new Map(nodes.map((node) => [node.id, stateOf(node)])),
        events: options.eventCount(),
      }
      stop = repeat(clock, WATCH_TICK_MS, tick)
    }
    watchers.set(link, group)
    begin(link)
    // There is nothing to say to it: who does so is no watcher.
    link.subscribe(() => link.close('BAD_FRAME'))
    void link.closed.then(() => {
      watchers.delete(link)
      if (watchers.size > 0) return
      stop?.()
      stop = undefined
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
      stop?.()
      stop = undefined
      for (const link of watchers.keys()) link.close('GOING_AWAY')
    },
  }
}

/** What of a node is worth telling; when it was heard of changes with each beat, and comes with its report. */
function stateOf({ report, isLinked, isSuspected, epoch, index, behind, edges }: NodeView): string {
  const { number } = report ?? {}
  return [epoch, index, number, isLinked, isSuspected, behind, edges].join()
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
