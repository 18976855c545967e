/** What a runtime must offer for a node to run on it: sockets, a DHT, a place to keep things. */

import type { Link } from './link.ts'

/** Something that runs until it is closed. */
export interface Running {
  /** The port in use, also where 0 was asked for. */
  readonly port: number
  close(): Promise<void>
}

export interface UpgradeInfo {
  /** The address the socket comes from, without port. */
  readonly remoteAddress: string
}

export interface ListenOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Answers an HTTP request. It never throws. */
  fetch(request: Request, info: UpgradeInfo): Response | Promise<Response>
  /** Decides on a WebSocket upgrade: a Response refuses it, a function takes the new link. */
  upgrade(request: Request, info: UpgradeInfo): Response | ((link: Link) => void)
}

export interface MeshLinkInfo {
  /** Whether this side dialled: it is the initiator of the handshake. */
  readonly initiator: boolean
  /** Where the link comes from or goes to, for limits and logs. */
  readonly remoteAddress: string
}

export interface JoinOptions {
  /** 32 bytes: where nodes of one network and version meet. */
  readonly topic: Uint8Array
  /** Name of the channel on each connection. */
  readonly protocol: string
  /** DHT bootstrap nodes as `host:port`. */
  readonly bootstrap: readonly string[]
  readonly host?: string
  readonly port?: number
  onLink(link: Link, info: MeshLinkInfo): void
  onError(error: Error): void
}

export interface Swarm {
  /** The key under which other nodes can dial this one on the DHT. 32 bytes. */
  readonly dhtKey: Uint8Array
  /** Opens a link to the node with this DHT key; it arrives through `onLink`. */
  connect(dhtKey: Uint8Array): void
  /** Gives up a dial made by `connect`. */
  forget(dhtKey: Uint8Array): void
  close(): Promise<void>
}

/** Kept across restarts; `undefined` where nothing was kept. */
export interface Store {
  readonly kept: boolean
  read(name: string): Promise<Uint8Array | undefined>
  write(name: string, value: Uint8Array): Promise<void>
}

export interface Runtime {
  readonly name: 'node' | 'deno' | 'bun' | 'browser'
  readonly version: string
  listen(options: ListenOptions): Promise<Running>
  join(options: JoinOptions): Promise<Swarm>
  /** Opens the folder where identity and epochs are kept; without a folder, in memory only. */
  openStore(folder?: string): Promise<Store>
}
