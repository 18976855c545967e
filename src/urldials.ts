/** Dials by URL: links to other nodes over WebSocket, each node and address at most once at a time. */

import { authorityOf, reachOf } from './authority.ts'
import { toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { asMeshError, type SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  DIAL_RETRY_MAX_MS,
  DIAL_RETRY_MS,
  DIAL_TIMEOUT_MS,
  MAX_HOMES,
  MAX_URL_DIALS,
} from './limits.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import type { DialOptions, MeshLinkInfo, Runtime } from './runtime.ts'

export interface UrlDialsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly directory: Directory
  /** Whether addresses of this machine or its network are dialled that others name. */
  readonly allowPrivate: boolean
  /** Named in each dial, for where several networks are spoken. */
  readonly networkId: Uint8Array
  open: Runtime['dial']
  /** Secures a link and takes it on; gives who proved to be there. */
  add(link: Link, info: MeshLinkInfo): Promise<NodeId | SignalMeshError>
  isLinked(node: NodeId): boolean
}

/** A node that a record tells of. */
export interface FoundPeer {
  readonly url: string
  /** Who is to be there. */
  readonly node?: NodeId
  /** The id of the network that is spoken there, in hex; without it, perhaps this one. */
  readonly network?: string
  /** Whether it is in this network and said so itself, from that very address. */
  readonly isNear?: boolean
}

export interface UrlDials {
  /** Dials a URL that the operator named, and gives who is there. It may be a local one. */
  dial(url: string): Promise<NodeId | SignalMeshError>
  /** The same for one that a record names: it leads to a local address only where that is allowed. */
  dialFound(peer: FoundPeer): Promise<NodeId | SignalMeshError>
  /**
   * Dials a home by the URLs that it names, one after the other, until there is a link to it;
   * undefined if there is none that may be dialled now.
   */
  dialHome(home: NodeId): Promise<boolean> | undefined
}

/** When a home or an authority failed, and for how long it is left alone. */
interface Pause {
  readonly atMs: number
  readonly waitMs: number
  /** Who proved to be there: it may be dialled all the same. */
  readonly there?: NodeId | undefined
}

export function createUrlDials(options: UrlDialsOptions): UrlDials {
  const { clock, log, directory } = options
  const homes = new Map<NodeId, Promise<boolean>>()
  const pauses = new Map<string, Pause>()

  const isPaused = (key: string, wanted?: NodeId): boolean => {
    const paused = pauses.get(key)
    if (!paused || (wanted !== undefined && paused.there === wanted)) return false
    // Who has come since, or come back, need not wait for all that failed before.
    const isBack = (directory.homes.get(wanted ?? key)?.openedAtMs ?? 0) > paused.atMs
    return clock.monotonicMs() < paused.atMs + (isBack ? DIAL_RETRY_MS : paused.waitMs)
  }

  const pause = (key: string, there?: NodeId): void => {
    const before = pauses.get(key)?.waitMs ?? DIAL_RETRY_MS / 2
    const waitMs = Math.min(DIAL_RETRY_MAX_MS, 2 * before)
    // Those that failed last stay.
    pauses.delete(key)
    pauses.set(key, { atMs: clock.monotonicMs(), waitMs, there })
    if (pauses.size > 2 * MAX_HOMES) pauses.delete(pauses.keys().next().value as string)
  }

  const dial = async (
    url: string,
    how: DialOptions,
    wanted?: NodeId,
  ): Promise<NodeId | SignalMeshError> => {
    try {
      const { link, remoteAddress } = await options.open(meshUrl(url, options.networkId), how)
      const info = { initiator: true, remoteAddress, ...(wanted !== undefined && { wanted }) }
      return await options.add(link, info)
    } catch (error) {
      return asMeshError(error, 'HOME_UNREACHABLE')
    }
  }

  const dialOne = async (home: NodeId, url: string): Promise<void> => {
    const failure = await dial(url, { allowPrivate: options.allowPrivate }, home)
    if (typeof failure === 'string') {
      pauses.delete(authorityOf(url))
      return
    }
    const { code, message, evidence } = failure
    // Whoever names a node's address must neither have all others knock there nor keep them from that node.
    pause(authorityOf(url), code === 'REFUSED' && evidence ? toHex(evidence) : undefined)
    log.debug('Could not dial a node by its URL', { node: home, url, code, why: message })
  }

  const dialAll = async (home: NodeId, urls: readonly string[]): Promise<boolean> => {
    const startMs = clock.monotonicMs()
    for (const url of urls) {
      // The others have their turn the next time: few such homes could else hold all places for long.
      if (options.isLinked(home) || clock.monotonicMs() - startMs >= DIAL_TIMEOUT_MS) break
      if (!isPaused(authorityOf(url), home)) await dialOne(home, url)
    }
    const isLinked = options.isLinked(home)
    if (isLinked) pauses.delete(home)
    else pause(home)
    return isLinked
  }

  return {
    dial: (url) => dial(url, { allowPrivate: options.allowPrivate || isLocal(url), isNamed: true }),
    dialFound: ({ url, node, isNear = false }) =>
      dial(url, { allowPrivate: options.allowPrivate || isNear }, node),
    dialHome: (home) => {
      const running = homes.get(home)
      if (running) return running
      const urls = (directory.homes.get(home)?.contact.urls ?? []).filter(
        (url) =>
          isDialable(url) &&
          (options.allowPrivate || !isLocal(url)) &&
          !isPaused(authorityOf(url), home),
      )
      if (urls.length === 0 || isPaused(home) || homes.size >= MAX_URL_DIALS) return undefined
      const dialling = dialAll(home, urls).finally(() => homes.delete(home))
      homes.set(home, dialling)
      return dialling
    },
  }
}

/** Where a node takes links of others: its URL with the scheme of sockets, the path `/mesh` and the network. */
export function meshUrl(url: string, networkId: Uint8Array): string {
  const at = new URL(url)
  at.protocol = at.protocol.replace(/^http/, 'ws')
  at.pathname = `${at.pathname.replace(/\/$/, '')}/mesh`
  at.search = `?n=${toHex(networkId)}`
  at.hash = ''
  return at.href
}

/** Whether a text of another node's is a URL of a node at all: no name and password go to whom it names. */
function isDialable(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return /^(https?|wss?):$/.test(protocol) && username + password === ''
}

function isLocal(url: string): boolean {
  return reachOf(authorityOf(url)) !== 'public'
}
