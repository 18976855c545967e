/**
 * A node of a Signal Mesh, to embed; run as a program (`node mod.ts`), it starts one.
 *
 * @module
 */

import { isProgram, processHost } from './runtimes/host.ts'
import type { Runtime } from './src/runtime.ts'

export { type ErrorCode, SignalMeshError } from './src/errors.ts'
export type { Link } from './src/link.ts'
export { type Log, makeLog, silentLog } from './src/log.ts'
export { createNode, type MeshNode, type NodeOptions } from './src/node.ts'
export type { MeshLinkInfo, Runtime, Store, Swarm, UpgradeInfo } from './src/runtime.ts'
export { LINK_PROTOCOL, meshTopic, PROTOCOL_VERSION } from './src/topic.ts'

/** The adapter of the runtime that this program runs on; no other is loaded. */
function ownRuntime(): Promise<{ readonly runtime: Runtime }> {
  if ('Deno' in globalThis) return import('./runtimes/deno.ts')
  if ('Bun' in globalThis) return import('./runtimes/bun.ts')
  return import('./runtimes/node.ts')
}

if (isProgram(import.meta)) {
  const { main } = await import('./runtimes/main.ts')
  const { runtime } = await ownRuntime()
  await main(runtime, await processHost())
}
