/** A mesh on this machine, for tests and demos: each node and a DHT bootstrap as a process. */

import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { asMeshError, SignalMeshError } from '../src/errors.ts'
import { type Child, type RunBy, startChild } from './children.ts'
import { LINKED_CHECK_MS, LINKED_TIMEOUT_MS } from './limits.ts'

export type RuntimeName = 'node' | 'deno' | 'bun'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The others, each with no more than a node needs that keeps nothing; the README names the same. */
const RUN_BY: Readonly<Record<Exclude<RuntimeName, 'node'>, RunBy>> = {
  deno: {
    command: 'deno',
    args: [
      ...['run', '--quiet', '--no-prompt', '--allow-net', '--allow-ffi=node_modules'],
      ...['--allow-read=package.json,dist,node_modules', '--ignore-read=/etc/alpine-release'],
      ...['--allow-sys=networkInterfaces', '--allow-env=SIGNAL_MESH_*', '--ignore-env'],
    ],
    cwd: ROOT,
  },
  bun: { command: 'bun', args: [], cwd: ROOT },
}

export interface TestnetOptions {
  readonly nodes: number
  /**
   * What each node runs on, the first on Node. Others have no DHT: they link over WebSocket.
   * Default: Node.
   */
  readonly runtimes?: readonly RuntimeName[]
  readonly network?: string
  /** The first node's port, the next ones follow; default: any free ones. */
  readonly port?: number
  /** Where the nodes listen. Default: 127.0.0.1. */
  readonly host?: string
  /** More flags for every node. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** What a node logs, line by line or several at once. */
  onLog?(node: number, text: string): void
  /** A node could not be started on its runtime, and is started on Node. */
  onFallback?(node: number, runtime: RuntimeName, why: string): void
  /** Called as nodes find each other. */
  onProgress?(links: number, wanted: number): void
}

export interface Testnet {
  readonly urls: readonly string[]
  readonly nodeIds: readonly string[]
  /** Name and version of what each runs on. */
  readonly runtimes: readonly string[]
  readonly processes: readonly ChildProcess[]
  /** The address of the DHT bootstrap, for more nodes. */
  readonly bootstrap: string
  /** Kills a node without a goodbye. */
  kill(node: number): Promise<void>
  /** Stops every node, then the bootstrap. */
  stop(): Promise<void>
}

/** Starts the nodes and waits until each has all others as neighbours. */
export async function startTestnet(options: TestnetOptions): Promise<Testnet> {
  const bootstrapChild = await startChild({ program: './bootstrap.ts', args: ['--json'] })
  const bootstrap = String(bootstrapChild.ready.address)
  const started: Child[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((child) => child.stop()))
    await bootstrapChild.stop()
  }
  try {
    const first = startNodeChild(options, 0, ['--bootstrap', bootstrap])
    const starts = Array.from({ length: options.nodes }, async (_, index) => {
      const child = await (index === 0 ? first : startOther(options, index, bootstrap, first))
      started.push(child)
      return child
    })
    // All have to settle, so that none comes up after the others were stopped.
    const failed = (await Promise.allSettled(starts)).find(({ status }) => status === 'rejected')
    if (failed) throw (failed as PromiseRejectedResult).reason
    const nodes = await Promise.all(starts)
    const urls = nodes.map(({ ready }) => String(ready.url))
    await untilLinked(urls, nodes, options)
    return {
      urls,
      nodeIds: nodes.map(({ ready }) => String(ready.nodeId)),
      runtimes: nodes.map(({ ready }) => String(ready.runtime)),
      processes: nodes.map((child) => child.process),
      bootstrap,
      kill: async (node) => {
        nodes[node]?.process.kill('SIGKILL')
        await nodes[node]?.exited
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startOther(
  options: TestnetOptions,
  index: number,
  bootstrap: string,
  first: Promise<Child>,
): Promise<Child> {
  const byDht = ['--bootstrap', bootstrap]
  const runtime = options.runtimes?.[index] ?? 'node'
  if (runtime === 'node') return startNodeChild(options, index, byDht)
  const { ready } = await first
  try {
    // The addresses that such nodes name each other are this machine's.
    const byUrl = ['--peer', String(ready.url).replace('http', 'ws'), '--allow-private']
    return await startNodeChild(options, index, byUrl, RUN_BY[runtime])
  } catch (error) {
    options.onFallback?.(index, runtime, asMeshError(error).message)
    return startNodeChild(options, index, byDht)
  }
}

function startNodeChild(
  options: TestnetOptions,
  index: number,
  ways: readonly string[],
  runBy?: RunBy,
): Promise<Child> {
  const settings: Readonly<Record<string, string>> = {
    '--port': String(options.port ? options.port + index : 0),
    '--host': options.host ?? '127.0.0.1',
    '--network': options.network ?? 'testnet',
    '--log-level': 'warn',
    '--log-format': 'json',
  }
  return startChild({
    program: '../mod.ts',
    args: [...Object.entries(settings).flat(), ...ways, ...(options.args ?? [])],
    env: { ...(runBy && { PATH: `${ROOT}node_modules/.bin:${process.env.PATH}` }), ...options.env },
    ...(runBy && { runBy }),
    onErrorText: (text) => options.onLog?.(index, text),
  })
}

/** Waits until each node has all others as neighbours. */
export async function untilLinked(
  urls: readonly string[],
  nodes: readonly Child[],
  options: Pick<TestnetOptions, 'onProgress'>,
): Promise<void> {
  const wanted = urls.length * (urls.length - 1)
  const endMs = Date.now() + LINKED_TIMEOUT_MS
  let before = -1
  for (;;) {
    const neighbours = await Promise.all(urls.map(neighboursOf))
    const links = neighbours.reduce((sum, count) => sum + Math.min(count, urls.length - 1), 0)
    if (links !== before) options.onProgress?.(links / 2, wanted / 2)
    before = links
    if (links === wanted) return
    const gone = nodes.findIndex((child) => child.process.exitCode !== null)
    if (gone >= 0) throw new SignalMeshError('INTERNAL', `Node ${gone} has ended by itself`)
    if (Date.now() > endMs) {
      const counts = neighbours.join(', ')
      throw new SignalMeshError('TIMEOUT', `The nodes have not all met; neighbours: ${counts}`)
    }
    await new Promise((resolve) => setTimeout(resolve, LINKED_CHECK_MS))
  }
}

async function neighboursOf(url: string): Promise<number> {
  try {
    const health = (await (await fetch(new URL('/health', url))).json()) as { neighbours: number }
    return health.neighbours
  } catch {
    return 0
  }
}
