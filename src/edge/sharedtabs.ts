/** The worker's end: hands each tab of an origin its links, all over one socket to each node. */

import type { Clock } from '../clock.ts'
import { asMeshError } from '../errors.ts'
import { MAX_BUFFERED_BYTES } from '../limits.ts'
import type { Link } from '../link.ts'
import { awaitLock, holdLock } from './sharedlocks.ts'
import { listen, type Port, type PortMessage, post } from './sharedmessages.ts'
import { createSharedSockets } from './sharedsockets.ts'

export interface SharedTabsOptions {
  readonly clock: Clock
  dial(url: string): Link
  /** Absent where the page is not secure. */
  readonly locks?: LockManager | undefined
}

interface TabLink {
  readonly link: Link
  /** Posted to the tab, which has yet to say that it took them. */
  unreadBytes: number
}

/** Gives the function that takes the port of each tab that connects. */
export function createSharedTabs(options: SharedTabsOptions): (port: Port) => void {
  const { locks } = options
  const sockets = createSharedSockets(options.clock, options.dial)
  const ownLock = new Promise<string>((resolve) => holdLock(locks, resolve))

  return (port) => {
    const links = new Map<number, TabLink>()

    const open = (id: number, url: string): void => {
      if (links.has(id)) return
      post(port, ['opened', id])
      try {
        const link = sockets.open(url)
        const entry: TabLink = { link, unreadBytes: 0 }
        links.set(id, entry)
        link.subscribe((frame) => {
          entry.unreadBytes += frame.length
          // A tab that hangs or is frozen must not fill the memory with what waits for it.
          if (entry.unreadBytes > MAX_BUFFERED_BYTES) close(id, 'RATE_LIMITED')
          else post(port, ['frame', id, frame])
        })
        void link.closed.then((reason) => close(id, reason))
      } catch (error) {
        // A worker of a page over https may not dial ws:, for one.
        post(port, ['close', id, asMeshError(error).message])
      }
    }

    const close = (id: number, reason: string): void => {
      const entry = links.get(id)
      if (!entry) return
      links.delete(id)
      sockets.close(entry.link, reason)
      post(port, ['close', id, reason])
    }

    const gone = (): void => {
      for (const id of [...links.keys()]) close(id, 'GONE')
      port.onmessage = null
      port.close()
    }

    const receive = ([kind, id, value]: PortMessage): void => {
      const entry = links.get(id)
      if (kind === 'open') open(id, value)
      else if (kind === 'close') close(id, value)
      else if (kind === 'lock') awaitLock(locks, value, gone)
      else if (kind === 'read' && entry) entry.unreadBytes -= value
      else if (kind === 'frame' && entry) {
        if (entry.link.bufferedBytes > MAX_BUFFERED_BYTES) close(id, 'RATE_LIMITED')
        else entry.link.send(value)
      }
    }

    listen(port, receive)
    post(port, ['ready', 0])
    void ownLock.then((name) => post(port, ['lock', 0, name]))
  }
}
