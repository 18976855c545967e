/** What a runtime must offer for a node to run on it: sockets, a DHT, a place to keep things. */

import type { NodeId } from './identity.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'

/** Something that runs until it is closed. */
export interface Running {
  /** The port in use, also where 0 was asked for. */
  readonly port: number
  /**
   * Of a listener with TLS: takes newcomers by this certificate from now on; who is there stays.
   * @throws SignalMeshError `BAD_CONFIG` for one that cannot be used, and goes on with the one before
   */
  useTls?(tls: Tls): void
  close(): Promise<void>
}

/** A certificate chain and its private key, PEM. */
export interface Tls {
  readonly cert: string
  readonly key: string
}

/** Takes a new link; one that says so may have frames larger than those of all others. */
export type TakeLink = ((link: Link) => void) & { readonly maxFrameBytes?: number }

export interface UpgradeInfo {
  /** The address the socket comes from, without port. */
  readonly remoteAddress: string
}

export interface ListenOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly tls?: Tls
  /** Answers an HTTP request. It never throws. */
  fetch(request: Request, info: UpgradeInfo): Response | Promise<Response>
  /** Decides on a WebSocket upgrade: a Response refuses it, a function takes the new link. */
  upgrade(request: Request, info: UpgradeInfo): Response | TakeLink
}

/** Where a datagram comes from or goes to. */
export interface UdpAddress {
  /** A literal IPv4 or IPv6 address. */
  readonly address: string
  readonly port: number
}

export interface UdpOptions {
  /** A literal address; `0.0.0.0` and `::` are all addresses of both families. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** It never throws. */
  onDatagram(datagram: Uint8Array, from: UdpAddress): void
}

/** A UDP port that is open. What cannot be sent is lost, as datagrams are. */
export interface UdpPort extends Running {
  send(datagram: Uint8Array, to: UdpAddress): void
}

export interface MeshLinkInfo {
  /** Whether this side dialled: it is the initiator of the handshake. */
  readonly initiator: boolean
  /** Where the link comes from or goes to, for limits and logs. */
  readonly remoteAddress: string
  /** The DHT relay through which it goes, which then knows alone where the other end is. */
  readonly relay?: string
  /** Who is to be at the other end, where this side dialled somebody in particular. */
  readonly wanted?: NodeId
}

export interface DialOptions {
  /** Whether addresses of this machine or its network will do; else not even a name may lead there. */
  readonly allowPrivate: boolean
  /** Whether the operator has named the URL, and not another node. */
  readonly isNamed?: boolean
}

export interface Dialled {
  readonly link: Link
  /** The address that the URL's host turned out to be. */
  readonly remoteAddress: string
}

export interface JoinOptions {
  /** Those that bring the same one may share a member of the DHT. */
  readonly sharing?: object
  /** 32 bytes: where nodes of one network and version meet. */
  readonly topic: Uint8Array
  /** Name of the channel on each connection. */
  readonly protocol: string
  /** DHT bootstrap nodes as `host:port`. */
  readonly bootstrap: readonly string[]
  /** Whether the public DHT of Hyperswarm is meant, besides. */
  readonly isPublic?: boolean
  /** URLs of DHT relays, for who cannot be a member of the DHT. */
  readonly relays?: readonly string[]
  readonly host?: string
  readonly port?: number
  onLink(link: Link, info: MeshLinkInfo): void
  onError(error: Error): void
}

export interface RelayHostOptions {
  /** DHT bootstrap nodes as `host:port`. */
  readonly bootstrap: readonly string[]
  /** Address that its member of the DHT binds. */
  readonly host?: string
  readonly log: Log
}

export interface BootstrapHostOptions {
  /** The IPv4 address and UDP port under which others reach it. */
  readonly at: string
  /** Bootstrap nodes of the same DHT that run elsewhere, as `host:port`. */
  readonly others: readonly string[]
  /** The address of this machine that it binds, where that is another one. */
  readonly host?: string
  readonly log: Log
}

/** A way into the DHT for nodes that cannot be members of it. */
export interface RelayHost {
  /** Decides on a WebSocket upgrade of a client at this address. */
  upgrade(address: string): Response | TakeLink
  close(): Promise<void>
}

export interface Swarm {
  /** The key under which other nodes can dial this one on the DHT. 32 bytes. */
  readonly dhtKey: Uint8Array
  /** Opens a link to the node with this DHT key; it arrives through `onLink`. */
  connect(dhtKey: Uint8Array): void
  /** Gives up a dial made by `connect`. */
  forget(dhtKey: Uint8Array): void
  /** Goes by these bootstrap nodes from now on; only where the DHT itself runs. */
  useBootstrap?(bootstrap: readonly string[]): void
  /** Goes on to these DHT relays when the one in use ends. */
  useRelays?(urls: readonly string[]): void
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
  /**
   * Opens a UDP port; only where there is UDP.
   * @throws SignalMeshError `PORT_IN_USE`, `BAD_CONFIG`
   */
  openUdp?(options: UdpOptions): Promise<UdpPort>
  /**
   * Begins a DHT, or one more bootstrap node of it; only where the DHT itself runs.
   * @throws SignalMeshError `PORT_IN_USE`, `BAD_CONFIG`
   */
  offerBootstrap?(options: BootstrapHostOptions): Promise<Pick<Running, 'close'>>
  /** Lends the DHT to others; only where the DHT itself runs. */
  offerRelay?(options: RelayHostOptions): Promise<RelayHost>
  /**
   * Opens a WebSocket to another node and follows no redirect.
   * @throws SignalMeshError `REFUSED` for an address that is not allowed, `HOME_UNREACHABLE` for any
   * other failure
   */
  dial(url: string, options: DialOptions): Promise<Dialled>
  /** Opens the folder where identity and epochs are kept; without a folder, in memory only. */
  openStore(folder?: string): Promise<Store>
}
