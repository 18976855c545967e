/** Types of the packages that the adapters use and that bring none: only what is used. */

declare module 'hyperdht' {
  export interface Options {
    bootstrap: readonly { readonly host: string; readonly port: number }[]
    host?: string
    /** A port, or the first of a range and the one after its last; an empty range: any free port. */
    port?: number | readonly [from: number, to: number]
    /** Whether another port will do if this one is taken. */
    anyPort?: boolean
    firewalled?: boolean
  }
  export default class HyperDHT {
    constructor(options: Options)
    /** The first node of a DHT. */
    static bootstrapper(
      port: number,
      host: string,
      options: { host: string; bootstrap: readonly { host: string; port: number }[] },
    ): HyperDHT
    /** The public ones, as `address@host:port`. */
    static readonly BOOTSTRAP: readonly string[]
    /** Where it begins when it knows nobody. */
    readonly bootstrapNodes: { readonly host: string; readonly port: number }[]
    /** The nodes known at present. */
    readonly nodes: { readonly length: number }
    fullyBootstrapped(): Promise<void>
    address(): { readonly host: string; readonly port: number }
    destroy(options?: { force?: boolean }): Promise<void>
  }
}

declare module 'hyperswarm' {
  import type { Stream } from 'protomux'

  export interface Discovery {
    /** Looks for other nodes and announces this one again. */
    refresh(): Promise<unknown>
  }
  /** What a swarm uses of a DHT that is handed to it. */
  export interface SwarmDht {
    destroy(options?: { force?: boolean }): Promise<void>
  }
  export default class Hyperswarm {
    constructor(options: {
      dht: SwarmDht
      keyPair?: { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
      maxPeers?: number
      /** Connections of this side's own dials, after which it dials no peer that it finds. */
      maxClientConnections?: number
      /** True refuses the dial. Those of this side come without payload. */
      firewall?(remoteKey: Uint8Array, payload: object | null): boolean
    })
    /** Dials on their way and connections. */
    readonly _allConnections: { get(remoteKey: Uint8Array): Stream | undefined }
    readonly keyPair: { readonly publicKey: Uint8Array }
    readonly connections: ReadonlySet<Stream>
    join(topic: Uint8Array, options?: { server?: boolean; client?: boolean }): Discovery
    joinPeer(publicKey: Uint8Array): void
    leavePeer(publicKey: Uint8Array): void
    /** Resolves once others can dial its key. */
    listen(): Promise<unknown>
    /** Leaves all topics. */
    clear(): Promise<unknown>
    destroy(options?: { force?: boolean }): Promise<void>
    on(name: 'connection', listener: (stream: Stream) => void): this
    on(name: 'ban', listener: (peer: { ban(banned: boolean): void }) => void): this
    on(name: 'update', listener: () => void): this
  }
}

declare module '@hyperswarm/dht-relay' {
  import type { Stream } from 'protomux'

  interface KeyPair {
    readonly publicKey: Uint8Array
    readonly secretKey: Uint8Array | null
  }
  /** A stream of whole messages that the protocol is spoken on. */
  interface Beneath {
    on(name: 'error', listener: (error: Error) => void): this
    destroy(error?: Error): void
  }
  interface Destroyed {
    readonly paired?: boolean
    readonly alias?: number
    readonly remoteAlias?: number
    readonly error?: string
  }
  export interface RelayProtocol {
    eventNames(): (string | symbol)[]
    listeners(name: string | symbol): ((said: unknown) => void)[]
    removeAllListeners(name: string | symbol): this
    on(name: string | symbol, listener: (said: unknown) => void): this
    readonly destroy: { send(said: Destroyed): boolean }
  }
  export interface RelayStream extends Stream {
    _writev(chunks: readonly Uint8Array[], done: (error: null) => void): void
  }
  export interface RelayedServer {
    listen(keyPair: KeyPair): Promise<void>
    close(): Promise<void>
    readonly _firewall: { _onIncoming(said: unknown): Promise<void> }
  }
  interface ServerOptions {
    firewall?(remoteKey: Uint8Array, payload: object): boolean | Promise<boolean>
  }
  /** What a relay uses of the DHT that it lends. */
  interface LentDht {
    connect(
      remoteKey: Uint8Array,
      options: { keyPair: KeyPair; createHandshake?: unknown; createSecretStream?: unknown },
    ): LentStream
    createServer(options: ServerOptions & { createHandshake?: unknown }): LentServer
    lookup(topic: Uint8Array): LentQuery
    announce(topic: Uint8Array, keyPair: KeyPair, ...more: unknown[]): LentQuery
    lookupAndUnannounce(topic: Uint8Array, keyPair: KeyPair, ...more: unknown[]): LentQuery
  }
  interface LentQuery {
    once(name: string, listener: () => void): unknown
    on(name: string, listener: () => void): unknown
    off(name: string, listener: () => void): unknown
  }
  interface LentStream extends LentQuery {
    write(bytes: Uint8Array): unknown
    end(): unknown
    destroy(error?: Error): unknown
  }
  interface LentServer extends LentQuery {
    on(name: string, listener: (stream: LentStream) => void): unknown
    listen(keyPair: KeyPair, ...more: unknown[]): Promise<unknown>
    close(): Promise<unknown>
    address(): { readonly host: string; readonly port: number } | null
  }
  export default class Node {
    static keyPair(): { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
    /** Lends the DHT to the client at the other end of the stream; resolves with its first words. */
    static relay(dht: LentDht, stream: Beneath): Promise<{ readonly _protocol: RelayProtocol }>
    constructor(stream: Beneath, options: { keyPair: KeyPair })
    readonly _protocol: RelayProtocol
    ready(): Promise<void>
    connect(remoteKey: Uint8Array, options?: object): RelayStream
    createServer(options?: object, onConnection?: (stream: RelayStream) => void): RelayedServer
    destroy(options?: { force?: boolean }): Promise<void>
  }
}

declare module '@hyperswarm/dht-relay/ws' {
  /** What it needs of a WebSocket. */
  export interface RelaySocket {
    binaryType: string
    readonly readyState: number
    send(bytes: Uint8Array): void
    close(): void
    addEventListener(name: string, listener: (event: { data?: unknown }) => void): void
    removeEventListener(name: string, listener: (event: { data?: unknown }) => void): void
  }
  export default class SocketStream {
    constructor(isInitiator: boolean, socket: RelaySocket)
    on(name: 'error', listener: (error: Error) => void): this
    on(name: 'close', listener: () => void): this
    destroy(error?: Error): void
  }
}

declare module 'protomux' {
  interface Events {
    close: []
    error: [error: Error]
  }
  interface Buffered {
    /** streamx offers no public way to what is queued. */
    readonly _writableState: { readonly buffered: number }
  }
  /** What a hyperswarm connection is: an encrypted stream of whole messages. */
  export interface Stream extends Buffered {
    readonly isInitiator: boolean
    readonly remotePublicKey: Uint8Array
    readonly destroyed: boolean
    readonly rawStream: { readonly remoteHost: string | null } & Buffered
    end(): void
    destroy(error?: Error): void
    on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
    once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
  }
  export interface Message {
    send(bytes: Uint8Array): boolean
  }
  export interface Channel {
    readonly closed: boolean
    open(): void
    close(): void
    addMessage(options: { onmessage(bytes: Uint8Array): void }): Message
  }
  export default class Protomux {
    static from(stream: Stream): Protomux
    readonly stream: Stream
    /** Null where the stream is gone or the channel is open already. */
    createChannel(options: { protocol: string; onclose?(remote: boolean): void }): Channel | null
    isIdle(): boolean
  }
}
