/** A browser as a runtime: its own WebSocket and storage; nobody can dial it, and there is no DHT. */

import { SignalMeshError } from '../src/errors.ts'
import type { Runtime } from '../src/runtime.ts'
import { makeDial } from './browser-dial.ts'
import { openStore } from './browser-store.ts'

export const runtime: Runtime = {
  name: 'browser',
  version: globalThis.navigator?.userAgent ?? '',
  listen: () => Promise.reject(cannot('listen')),
  join: () => Promise.reject(cannot('be a member of the DHT')),
  dial: makeDial(),
  openStore,
}

function cannot(what: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', `A page cannot ${what}; name nodes by their URLs`)
}
