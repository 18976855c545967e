/** A whole node for a program that embeds it, as the flags of `signal-mesh` say: listener, DHT, data folder. */

import { makeLog } from '../src/log.ts'
import type { MeshNode } from '../src/node.ts'
import type { Runtime } from '../src/runtime.ts'
import { parseConfig } from './config.ts'
import { processHost } from './host.ts'
import { startNode as start } from './start.ts'

/** A node with its listener. */
export interface EmbeddedNode extends MeshNode {
  /** Where edges and pages reach it; the first is the best one on this machine. */
  readonly urls: readonly string[]
}

/**
 * Starts a node in this process, which may be one of Node, Deno or Bun. It takes no signals of the process: close it.
 * @param flags as of the program, such as `['--peer', 'https://mesh.example.org', '--port', '0']`
 * @throws SignalMeshError for whatever keeps it from starting
 */
export async function startNode(flags: readonly string[] = []): Promise<EmbeddedNode> {
  const host = await processHost()
  const config = parseConfig(flags, host.env)
  const { logLevel: level, logFormat: format } = config
  const log = makeLog({ level, format, write: host.err, nowMs: Date.now })
  const { runtime } = await ownRuntime()
  const started = await start(config, runtime, host, log, undefined, { apps: true })
  return { ...started.node, urls: started.urls, close: started.close }
}

/** The adapter of the runtime that this program runs on; no other is loaded. */
function ownRuntime(): Promise<{ readonly runtime: Runtime }> {
  if ('Deno' in globalThis) return import('./deno.ts')
  if ('Bun' in globalThis) return import('./bun.ts')
  return import('./node.ts')
}
