/** Peers: the nodes to which a node keeps links by URL: of its flags, of records, and some that it has heard of. */

import { type Clock, repeat } from './clock.ts'
import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { DIAL_RETRY_MAX_MS, MIN_DIALLED, PEER_LOOK_MS, PEER_RETRY_MS } from './limits.ts'
import type { Log } from './log.ts'
import type { Neighbours } from './neighbours.ts'
import type { FoundPeer, UrlDials } from './urldials.ts'

export interface PeersOptions {
  readonly self: NodeId
  readonly clock: Clock
  readonly log: Log
  readonly directory: Directory
  readonly neighbours: Pick<Neighbours, 'ids' | 'linkOf' | 'has'>
  readonly dials: UrlDials
  /** URLs of nodes that the operator has named. */
  readonly named: readonly string[]
  /** Nodes that records tell of, as they now are; default: none. */
  found?(): readonly FoundPeer[]
  /** Whether nodes that were only heard of are dialled too: not where a swarm finds them. */
  keepsMore(): boolean
  admits(node: NodeId): boolean
  /** How many links it is to dial, all told; default: `MIN_DIALLED`. */
  readonly enough?: number
  /** From 0 up to 1: draws whom to dial, and when. */
  readonly random?: () => number
}

/** A node by flag or record, and how it went. */
interface Named {
  readonly url: string
  /** Of a record; one by flag has none. */
  readonly found?: FoundPeer
  /** Who was there the last time. */
  node: NodeId | undefined
  isDialling: boolean
  dueAtMs: number
  waitMs: number
  hasFailed: boolean
  isSelf: boolean
}

/** Keeps the links up until the returned function is called. */
export function keepPeers(options: PeersOptions): () => void {
  const { clock, log, neighbours, dials, enough = MIN_DIALLED, random = Math.random } = options
  const byFlag = options.named.map((url) => fresh(url))
  let byRecord: readonly Named[] = []
  let lastFound: readonly FoundPeer[] = []
  let lookDueAtMs = 0
  let lookWaitMs = PEER_LOOK_MS

  const dial = async (peer: Named): Promise<void> => {
    peer.isDialling = true
    const found = await (peer.found ? dials.dialFound(peer.found) : dials.dial(peer.url))
    peer.isDialling = false
    // Many that lost one node at once do not all come back at once.
    peer.dueAtMs = clock.monotonicMs() + peer.waitMs * (1 + random())
    peer.waitMs = Math.min(DIAL_RETRY_MAX_MS / 2, 2 * peer.waitMs)
    if (typeof found === 'string') {
      peer.node = found
      peer.hasFailed = false
      peer.isSelf = false
    } else if (found.code === 'SELF_CONNECT') {
      // Seldom, not never: who sits on the line can lead this node to itself once.
      peer.dueAtMs += DIAL_RETRY_MAX_MS
      if (!peer.isSelf && !peer.found) {
        log.warn('A peer by flag is this node itself', { url: peer.url })
      }
      peer.isSelf = true
    } else {
      const facts = { url: peer.url, code: found.code, why: found.message }
      // Once for each time that it is away.
      log[peer.hasFailed ? 'debug' : 'warn']('Could not reach a peer, will try again', facts)
      peer.hasFailed = true
    }
  }

  const lookAfter = (peer: Named): void => {
    const link = peer.node === undefined ? undefined : neighbours.linkOf(peer.node)
    if (link) {
      // Who lets this node come and then sends it away is asked ever more seldom.
      if (link.upMs >= DIAL_RETRY_MAX_MS) peer.waitMs = PEER_RETRY_MS
    } else if (!peer.isDialling && clock.monotonicMs() >= peer.dueAtMs) void dial(peer)
  }

  const dialOneMore = (): void => {
    const dialled = neighbours.ids.filter((id) => neighbours.linkOf(id)?.initiator)
    if (dialled.length >= enough || !options.keepsMore()) return
    if (clock.monotonicMs() < lookDueAtMs) return
    const others = [...options.directory.homes.keys()].filter(
      (id) => id !== options.self && !neighbours.has(id) && options.admits(id),
    )
    // Drawn, so that nobody can see to it that a node knows none but his.
    const from = Math.floor(random() * others.length)
    const order = [...others.slice(from), ...others.slice(0, from)]
    for (const id of order) {
      const dialling = dials.dialHome(id)
      if (dialling) return void dialling.then(looked)
    }
  }

  /** Homes cost nothing to make up, and all their URLs may lead to one victim: whom none leads on slows down. */
  const looked = (isLinked: boolean): void => {
    lookDueAtMs = isLinked ? 0 : clock.monotonicMs() + lookWaitMs * (1 + random())
    lookWaitMs = isLinked ? PEER_LOOK_MS : Math.min(DIAL_RETRY_MAX_MS / 2, 2 * lookWaitMs)
  }

  /** What is found anew is dialled; a link to what no record names any more may stay. */
  const lookAtFound = (): void => {
    const found = options.found?.() ?? []
    if (found !== lastFound) {
      lastFound = found
      const isOther = ({ url, node }: FoundPeer): boolean =>
        node !== options.self && !options.named.includes(url)
      byRecord = found.filter(isOther).map((record) => {
        const known = byRecord.find(
          ({ url, found }) => url === record.url && found?.node === record.node,
        )
        return known ?? fresh(record.url, record)
      })
    }
    for (const peer of byRecord) {
      const { node } = peer.found ?? {}
      if (node === undefined || options.admits(node)) lookAfter(peer)
    }
  }

  const look = (): void => {
    for (const peer of byFlag) lookAfter(peer)
    lookAtFound()
    dialOneMore()
  }
  // The first time once the node is put together.
  const cancel = clock.after(0, look)
  const stop = repeat(clock, PEER_LOOK_MS, look)
  return () => {
    cancel()
    stop()
  }
}

function fresh(url: string, found?: FoundPeer): Named {
  return {
    url,
    ...(found && { found }),
    node: found?.node,
    isDialling: false,
    dueAtMs: 0,
    waitMs: PEER_RETRY_MS,
    hasFailed: false,
    isSelf: false,
  }
}
