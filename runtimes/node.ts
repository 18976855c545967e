/** Node as a runtime: `node:http`, `ws`, hyperswarm, a folder. */

import type { Runtime } from '../src/runtime.ts'
import { listen } from './listen.ts'
import { openStore } from './store.ts'
import { openUdp } from './udp.ts'
import { dialMesh } from './ws.ts'

export const runtime: Runtime = {
  name: 'node',
  version: process.versions.node,
  listen: (options) => listen(options),
  // A node without a DHT does not load the native code that a DHT needs.
  join: async (options) =>
    options.relays?.length
      ? (await import('./relayed.ts')).joinThroughRelay(options)
      : (await import('./swarm.ts')).join(options),
  offerBootstrap: async (options) => (await import('./bootstraphost.ts')).offerBootstrap(options),
  offerRelay: async (options) => (await import('./relayhost.ts')).offerRelay(options),
  dial: dialMesh,
  openUdp,
  openStore,
}
