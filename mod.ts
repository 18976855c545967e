/**
 * A node of a Signal Mesh, to embed; run as a program (`node mod.ts`), it starts one.
 *
 * @module
 */

import { isProgram, processHost } from './runtimes/host.ts'

export { type ErrorCode, SignalMeshError } from './src/errors.ts'
export type { Link } from './src/link.ts'
export { type Log, makeLog, silentLog } from './src/log.ts'
export { createNode, type MeshNode, type NodeOptions } from './src/node.ts'
export type { MeshLinkInfo, Runtime, Store, Swarm, UpgradeInfo } from './src/runtime.ts'
export { LINK_PROTOCOL, meshTopic, PROTOCOL_VERSION } from './src/topic.ts'

if (isProgram(import.meta)) {
  const { main } = await import('./runtimes/main.ts')
  const { runtime } = await import('./runtimes/node.ts')
  await main(runtime, await processHost())
}
