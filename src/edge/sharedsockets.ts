/** The sockets of a shared worker: one to each node, with a session for each link of a tab. */

import type { Clock } from '../clock.ts'
import { CLOSE_TIMEOUT_MS } from '../limits.ts'
import type { Link } from '../link.ts'
import { createMux, type Mux } from '../mux.ts'

export interface SharedSockets {
  /** A link as a socket of its own with this URL would be. */
  open(url: string): Link
  /** Closes it, and gives its socket no more links if that is why. */
  close(link: Link, reason: string): void
}

/** Reasons for which the socket itself may be dead, though nothing has told it so. */
const DOUBTFUL = ['TIMEOUT', 'SILENT']

export function createSharedSockets(clock: Clock, dial: (url: string) => Link): SharedSockets {
  const byUrl = new Map<string, Mux>()
  const keyOf = new WeakMap<Link, { url: string; mux: Mux }>()

  const forget = (url: string, mux: Mux): void => {
    if (byUrl.get(url) === mux) byUrl.delete(url)
  }

  const muxTo = (url: string): Mux => {
    const known = byUrl.get(url)
    if (known?.hasRoom) return known
    const socket = dial(url)
    const mux = createMux({ socket, clock, idleMs: CLOSE_TIMEOUT_MS })
    byUrl.set(url, mux)
    void socket.closed.then(() => forget(url, mux))
    return mux
  }

  return {
    open: (url) => {
      const at = new URL(url)
      const query = at.search.slice(1)
      const network = at.searchParams.get('n')
      // Sessions of one network share a socket, for a node may be another node to each.
      at.search = network ? `?n=${network}` : ''
      at.pathname = at.pathname.replace(/\/edge$/, '/edges')
      const mux = muxTo(at.href)
      const link = mux.open(query)
      keyOf.set(link, { url: at.href, mux })
      return link
    },
    close: (link, reason) => {
      link.close(reason)
      const key = keyOf.get(link)
      if (key && DOUBTFUL.includes(reason)) forget(key.url, key.mux)
    },
  }
}
