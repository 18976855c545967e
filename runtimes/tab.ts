/** A node in a browser's tab: a member of the mesh like any other, with edges of its own in the same page. */

import { authorityOf, reachOf } from '../src/authority.ts'
import type { Edge, JoinOptions } from '../src/edge/mod.ts'
import { checkObject } from '../src/edge/options.ts'
import { hasRtc, makeRtc } from '../src/edge/rtc.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { NodeId } from '../src/identity.ts'
import { insideOf } from '../src/inside.ts'
import { lateClock } from '../src/lateclock.ts'
import { MAX_PEERS } from '../src/limits.ts'
import { type Log, makeLog } from '../src/log.ts'
import { createNode } from '../src/node.ts'
import { runtime } from './browser.ts'
import { makeDial } from './browser-dial.ts'
import { type Kept, keepIn } from './tabkeep.ts'

export { SignalMeshError } from '../src/errors.ts'

export interface TabNodeOptions {
  /** URLs of nodes to keep links to. Default: the page's own origin. It finds more by itself. */
  readonly peers?: readonly string[]
  /** Genesis name of the network. Default: `main`. */
  readonly network?: string
  /**
   * The name under which this origin keeps the node's identity. Default: a new identity each time, as also
   * in a second tab with the same name, and where the page is not secure.
   */
  readonly keep?: string
  /** Takes warnings, line by line. Default: the console. */
  readonly onWarning?: (line: string) => void
}

/** What an edge is joined with (see `signal-mesh/edge`) whose home is this page's own node. */
export type TabJoinOptions = Omit<JoinOptions, 'urls' | 'network' | 'sharedWorker'>

export interface TabNode {
  readonly id: NodeId
  /** How many nodes it has links to. */
  readonly neighbours: number
  /** Homes and edges of the whole mesh, as this node knows it. */
  readonly mesh: { readonly homes: number; readonly edges: number }
  /** Whether its identity is there the next time. */
  readonly kept: boolean
  /**
   * Joins an edge that is at home in this page.
   * @throws SignalMeshError `BAD_ARGUMENT`, or `ABORTED` where the node is closed
   */
  join(options?: TabJoinOptions): Promise<Edge>
  /** Says goodbye and ends its edges; so does the page when it goes. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a node in this page. It is a whole mesh by itself until it has its first link.
 * @throws SignalMeshError `BAD_ARGUMENT`, or `IDENTITY_CORRUPT` or `DATA_UNREADABLE` for what was kept
 * @example
 * const node = await startNode({ peers: ['https://node.example'] })
 * const edge = await node.join({ topics: ['my-room'] })
 */
export async function startNode(options: TabNodeOptions = {}): Promise<TabNode> {
  checkObject(options, 'startNode')
  const { network = 'main', keep, onWarning = (line) => console.warn(line) } = options
  if (keep !== undefined && typeof keep !== 'string') {
    throw new SignalMeshError('BAD_ARGUMENT', '"keep" must be a name')
  }
  const peers = checkPeers(options.peers)
  const log = logTo(onWarning)
  const kept = keep === undefined ? undefined : await keepIn(keep, globalThis.navigator?.locks)
  try {
    return await startKept({ network, peers, log }, kept)
  } catch (error) {
    kept?.release()
    throw error
  }
}

interface Checked {
  readonly network: string
  readonly peers: readonly string[]
  readonly log: Log
}

async function startKept(
  { network, peers, log }: Checked,
  kept: Kept | undefined,
): Promise<TabNode> {
  const clock = lateClock()
  const store = await runtime.openStore(kept?.name)
  const node = await createNode({
    network,
    runtime,
    store,
    log,
    clock,
    dial: makeDial(clock.catchUp),
    peers,
    // A page that names a node of the internet is not led into its user's own network by that.
    allowPrivate: peers.every(isLocal),
    isInside: true,
    onFatal: (error) => {
      log.error('The node has stopped', { error })
      void end()
    },
  })
  const { join, close } = insideOf(node, { network, clock, makeRtc, hasRtc })
  const end = async (): Promise<void> => {
    globalThis.removeEventListener?.('pagehide', onPageHide)
    await close()
    kept?.release()
  }
  /** What is sent here still leaves; a page that may come back only loses its links for a while. */
  const onPageHide = ({ persisted }: PageTransitionEvent): void => {
    if (!persisted) void end()
  }
  globalThis.addEventListener?.('pagehide', onPageHide)
  return {
    id: node.id,
    get neighbours() {
      return node.health().neighbours
    },
    get mesh() {
      const { homes, edges } = node.health().mesh
      return { homes, edges }
    },
    kept: store.kept,
    join,
    close: end,
    [Symbol.asyncDispose]: end,
  }
}

function checkPeers(peers: unknown = [globalThis.location?.origin]): readonly string[] {
  const isPeers = Array.isArray(peers) && peers.length > 0 && peers.length <= MAX_PEERS
  if (isPeers && peers.every(isNodeUrl)) return [...peers]
  throw new SignalMeshError(
    'BAD_ARGUMENT',
    `"peers" must be 1 to ${MAX_PEERS} URLs of nodes: startNode({ peers: ["https://…"] })`,
  )
}

function isNodeUrl(url: unknown): boolean {
  return (
    typeof url === 'string' && URL.canParse(url) && /^(https?|wss?):$/.test(new URL(url).protocol)
  )
}

function isLocal(url: string): boolean {
  return reachOf(authorityOf(url)) !== 'public'
}

function logTo(onWarning: (line: string) => void): Log {
  const write = (line: string): void => onWarning(`signal-mesh: ${line.trimEnd()}`)
  return makeLog({ level: 'warn', format: 'pretty', write, nowMs: () => Date.now() })
}
