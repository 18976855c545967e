/** One socket for all tabs of an origin: the script of the SharedWorker that holds it, and the way of a page to it. */

import { systemClock } from '../clock.ts'
import { type SharedSocket, type SharedWorkerSource, sharedDial } from './shared.ts'
import { createSharedTabs } from './sharedtabs.ts'
import { dialSocket } from './socket.ts'

export type { SharedSocket, SharedWorkerSource } from './shared.ts'

/**
 * The socket that all tabs of this origin share, for `joinMesh`. By default this module itself is the
 * worker's script, which must then be of the page's own origin. Where a bundler makes the worker, give
 * a function that starts it, from a module that imports `signal-mesh/worker`.
 * @example
 * import { joinMesh } from '/edge.min.js'
 * import { sharedSocket } from '/edge-worker.js'
 * const edge = await joinMesh({ sharedWorker: sharedSocket() })
 */
export function sharedSocket(source: SharedWorkerSource = import.meta.url): SharedSocket {
  return (ground) => sharedDial(source, ground)
}

// In a page, and on a server, this is only a module.
if (typeof globalThis.addEventListener === 'function' && 'onconnect' in globalThis) {
  const connect = createSharedTabs({
    clock: systemClock,
    dial: dialSocket,
    locks: globalThis.navigator?.locks,
  })
  globalThis.addEventListener('connect', (event) => {
    const [port] = (event as MessageEvent).ports
    if (port) connect(port)
  })
}
