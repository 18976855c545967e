/** Deno as a runtime: Deno's own `node:http`, `ws`, a folder. */

import process from 'node:process'
import type { Runtime } from '../src/runtime.ts'
import { listen } from './listen.ts'
import { noDht } from './no-dht.ts'
import { openStore } from './store.ts'
import { openUdp } from './udp.ts'
import { dialMesh } from './ws.ts'

/**
 * Not `Deno.serve` and `Deno.upgradeWebSocket`: a socket of theirs can be closed but not cut, so that
 * one whose other end reads nothing more keeps what waits for it for ever, and they take messages of
 * 64 MiB (Deno 2.9). `node:http` and `ws` run on Deno's own sockets and have each bound that Node has.
 */
export const runtime: Runtime = {
  name: 'deno',
  version: process.versions.deno ?? '',
  listen: (options) => listen(options),
  // Hyperswarm is loaded for a relay alone: a HyperDHT of its own would end the process.
  join: async (options) =>
    options.relays?.length
      ? (await import('./relayed.ts')).joinThroughRelay(options)
      : noDht('Deno'),
  dial: dialMesh,
  openUdp,
  openStore,
}
