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
    static bootstrapper(port: number, host: string, options: { host: string }): HyperDHT
    /** The nodes known at present. */
    readonly nodes: { readonly length: number }
    fullyBootstrapped(): Promise<void>
    address(): { readonly host: string; readonly port: number }
    destroy(options?: { force?: boolean }): Promise<void>
  }
}

declare module 'hyperswarm' {
  import type HyperDHT from 'hyperdht'
  import type { Stream } from 'protomux'

  export interface Discovery {
    /** Looks for other nodes and announces this one again. */
    refresh(): Promise<unknown>
  }
  export default class Hyperswarm {
    constructor(options: {
      dht: HyperDHT
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
    destroy(options?: { force?: boolean }): Promise<void>
    on(name: 'connection', listener: (stream: Stream) => void): this
    on(name: 'ban', listener: (peer: { ban(banned: boolean): void }) => void): this
    on(name: 'update', listener: () => void): this
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
