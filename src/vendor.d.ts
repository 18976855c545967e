/** Types of the packages that the core uses and that bring none (or Node's): only what is used. */

declare module 'noise-protocol' {
  interface KeyPair {
    readonly publicKey: Uint8Array
    readonly secretKey: Uint8Array
  }
  interface CipherStates {
    readonly tx: Uint8Array
    readonly rx: Uint8Array
  }
  interface State {
    symmetricState: Uint8Array
    role: symbol
    spk: Uint8Array | null
    ssk: Uint8Array | null
    epk: Uint8Array | null
    esk: Uint8Array | null
    rs: Uint8Array | null
    re: Uint8Array | null
    messagePatterns: symbol[][]
    [name: string]: unknown
  }
  /** A function that leaves in `bytes` how much it wrote. */
  interface Written<Arguments extends unknown[]> {
    (...args: Arguments): CipherStates | undefined
    readonly bytes: number
  }
  export interface Noise {
    readonly SKLEN: number
    readonly PKLEN: number
    initialize(
      pattern: string,
      initiator: boolean,
      prologue: Uint8Array,
      s?: KeyPair | null,
      e?: KeyPair | null,
      rs?: Uint8Array | null,
      re?: Uint8Array | null,
    ): State
    readonly writeMessage: Written<[state: State, payload: Uint8Array, message: Uint8Array]>
    readonly readMessage: Written<[state: State, message: Uint8Array, payload: Uint8Array]>
    destroy(state: State): void
    keygen(): KeyPair
    seedKeygen(seed: Uint8Array): KeyPair
    createHandshake(parts: object): Noise
  }
  const noise: Noise
  export default noise
}

declare module 'noise-protocol/dh.js' {
  export interface Dh {
    readonly DHLEN: number
    readonly PKLEN: number
    readonly SKLEN: number
    readonly SEEDLEN: number
    readonly ALG: string
    generateKeypair(publicKey: Uint8Array, secretKey: Uint8Array): void
    generateSeedKeypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    dh(out: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void
  }
  export default function makeDh(): Dh
}

declare module 'noise-protocol/hash.js' {
  import type { Dh } from 'noise-protocol/dh.js'
  export interface Hash {
    readonly HASHLEN: number
    readonly BLOCKLEN: number
    readonly ALG: string
    hash(out: Uint8Array, parts: readonly Uint8Array[]): void
    hkdf(
      out1: Uint8Array,
      out2: Uint8Array,
      out3: Uint8Array | null,
      chainingKey: Uint8Array,
      inputKeyMaterial: Uint8Array,
    ): void
  }
  export default function makeHash(parts: { dh: Dh }): Hash
}

declare module 'noise-protocol/cipher.js' {
  /** A function that leaves in its properties how much it read and wrote. */
  interface Transform<Arguments extends unknown[]> {
    (...args: Arguments): void
    readonly bytesRead: number
    readonly bytesWritten: number
  }
  export interface Cipher {
    readonly KEYLEN: number
    readonly NONCELEN: number
    readonly MACLEN: number
    readonly ALG: string
    readonly encrypt: Transform<
      [
        out: Uint8Array,
        key: Uint8Array,
        nonce: Uint8Array,
        data: Uint8Array | null,
        plain: Uint8Array,
      ]
    >
    readonly decrypt: Transform<
      [
        out: Uint8Array,
        key: Uint8Array,
        nonce: Uint8Array,
        data: Uint8Array | null,
        sealed: Uint8Array,
      ]
    >
    readonly rekey: Transform<[out: Uint8Array, key: Uint8Array]>
  }
  export default function makeCipher(): Cipher
}

declare module 'noise-protocol/cipher-state.js' {
  import type { Cipher } from 'noise-protocol/cipher.js'

  interface Transform<Arguments extends unknown[]> {
    (...args: Arguments): void
    readonly bytesRead: number
    readonly bytesWritten: number
  }
  export interface CipherState {
    readonly STATELEN: number
    readonly NONCELEN: number
    readonly MACLEN: number
    initializeKey(state: Uint8Array, key: Uint8Array | null): void
    hasKey(state: Uint8Array): boolean
    setNonce(state: Uint8Array, nonce: Uint8Array): void
    readonly encryptWithAd: Transform<
      [state: Uint8Array, out: Uint8Array, data: Uint8Array | null, plain: Uint8Array]
    >
    readonly decryptWithAd: Transform<
      [state: Uint8Array, out: Uint8Array, data: Uint8Array | null, sealed: Uint8Array]
    >
    rekey(state: Uint8Array): void
  }
  export default function makeCipherState(parts: { cipher: Cipher }): CipherState
}

declare module 'noise-protocol/symmetric-state.js' {
  import type { CipherState } from 'noise-protocol/cipher-state.js'
  import type { Hash } from 'noise-protocol/hash.js'
  export interface SymmetricState {
    readonly STATELEN: number
    mixKey(state: Uint8Array, inputKeyMaterial: Uint8Array): void
    mixHash(state: Uint8Array, data: Uint8Array): void
    getHandshakeHash(state: Uint8Array, out: Uint8Array): void
    split(state: Uint8Array, first: Uint8Array, second: Uint8Array): void
  }
  export default function makeSymmetricState(parts: {
    hash: Hash
    cipherState: CipherState
  }): SymmetricState
}

declare module 'noise-protocol/handshake-state.js' {
  import type { Noise } from 'noise-protocol'
  import type { Cipher } from 'noise-protocol/cipher.js'
  import type { CipherState } from 'noise-protocol/cipher-state.js'
  import type { Dh } from 'noise-protocol/dh.js'
  import type { Hash } from 'noise-protocol/hash.js'
  import type { SymmetricState } from 'noise-protocol/symmetric-state.js'
  export default function createHandshake(parts: {
    dh: Dh
    hash: Hash
    cipher: Cipher
    cipherState: CipherState
    symmetricState: SymmetricState
  }): Noise
}

declare module 'sodium-universal' {
  export interface Sodium {
    readonly crypto_aead_chacha20poly1305_ietf_KEYBYTES: number
    readonly crypto_aead_chacha20poly1305_ietf_NPUBBYTES: number
    readonly crypto_aead_chacha20poly1305_ietf_ABYTES: number
    crypto_aead_chacha20poly1305_ietf_encrypt(
      out: Uint8Array,
      plain: Uint8Array,
      data: Uint8Array | null,
      secretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number
    crypto_aead_chacha20poly1305_ietf_decrypt(
      out: Uint8Array,
      secretNonce: null,
      sealed: Uint8Array,
      data: Uint8Array | null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number
    readonly crypto_generichash_BYTES: number
    /** Without a key, the argument itself must be absent: `undefined` throws. */
    crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void
    crypto_generichash_batch(out: Uint8Array, parts: readonly Uint8Array[], key?: Uint8Array): void
    readonly crypto_kx_SEEDBYTES: number
    crypto_kx_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void
    crypto_kx_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    readonly crypto_scalarmult_BYTES: number
    readonly crypto_scalarmult_SCALARBYTES: number
    crypto_scalarmult_base(publicKey: Uint8Array, secretKey: Uint8Array): void
    /** Throws where the shared secret would be all zeros. */
    crypto_scalarmult(shared: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void
    readonly crypto_sign_PUBLICKEYBYTES: number
    readonly crypto_sign_SECRETKEYBYTES: number
    readonly crypto_sign_SEEDBYTES: number
    readonly crypto_sign_BYTES: number
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array,
    ): boolean
    randombytes_buf(out: Uint8Array): void
    sodium_malloc(length: number): Uint8Array
    sodium_free(buffer: Uint8Array): void
    sodium_memzero(buffer: Uint8Array): void
    sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean
    sodium_is_zero(buffer: Uint8Array): boolean
    sodium_increment(counter: Uint8Array): void
  }
  const sodium: Sodium
  export default sodium
}

declare module 'nanomessage' {
  interface Message {
    readonly id: number
    readonly response: boolean
    readonly data: Uint8Array
  }
  interface Codec {
    encode(message: Message): Uint8Array
    decode(frame: Uint8Array): Message
  }
  interface Options {
    send?(frame: Uint8Array): Promise<void>
    onMessage?(data: Uint8Array): Promise<Uint8Array>
    requestEncoding?(): Codec
    concurrency?: number
  }
  interface PendingRequest extends Promise<Uint8Array> {
    cancel(error: Error): void
  }
  export class Nanomessage {
    constructor(options?: Options)
    open(): Promise<void>
    close(): Promise<void>
    readonly closed: boolean
    readonly closing: boolean
    request(data: Uint8Array): PendingRequest
    processIncomingMessage(frame: Uint8Array): Promise<unknown>
  }
}

declare module 'simple-peer' {
  export type SignalData =
    | { type: 'offer' | 'answer' | 'pranswer' | 'rollback'; sdp: string }
    | { type: 'candidate'; candidate: RTCIceCandidateInit }
    | { type: 'renegotiate'; renegotiate: true }
    | {
        type: 'transceiverRequest'
        transceiverRequest: { kind: 'audio' | 'video'; init?: RTCRtpTransceiverInit }
      }
  export interface Options {
    initiator?: boolean
    channelConfig?: RTCDataChannelInit
    channelName?: string
    config?: RTCConfiguration
    offerOptions?: RTCOfferOptions
    answerOptions?: RTCAnswerOptions
    sdpTransform?(sdp: string): string
    stream?: MediaStream
    streams?: readonly MediaStream[]
    trickle?: boolean
    allowHalfTrickle?: boolean
    iceCompleteTimeout?: number
    objectMode?: boolean
    wrtc?: object
  }
  interface Events {
    signal: [data: SignalData]
    connect: []
    data: [chunk: Uint8Array | string]
    stream: [stream: MediaStream]
    track: [track: MediaStreamTrack, stream: MediaStream]
    iceStateChange: [connection: RTCIceConnectionState, gathering: RTCIceGatheringState]
    signalingStateChange: [state: RTCSignalingState]
    negotiated: []
    drain: []
    end: []
    close: []
    error: [error: Error & { code?: string }]
  }
  export default class Peer {
    constructor(options?: Options)
    static readonly WEBRTC_SUPPORT: boolean
    /** The connection beneath; simple-peer offers no public way to it. */
    readonly _pc: RTCPeerConnection
    readonly _channel: RTCDataChannel | null
    readonly connected: boolean
    readonly destroyed: boolean
    readonly destroying: boolean
    readonly bufferSize: number
    /** Asked once both the connection and the channel are there, until a selected pair is among them. */
    getStats: (done: (error: Error | null, items: readonly object[]) => void) => void
    signal(data: SignalData | string): void
    send(chunk: Uint8Array | ArrayBuffer | string): void
    write(chunk: Uint8Array | string, done: (error?: Error | null) => void): boolean
    addTrack(track: MediaStreamTrack, stream: MediaStream): void
    removeTrack(track: MediaStreamTrack, stream: MediaStream): void
    addStream(stream: MediaStream): void
    removeStream(stream: MediaStream): void
    negotiate(): void
    destroy(error?: Error): void
    on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
    once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
    removeAllListeners(name?: keyof Events): this
  }
}

declare module 'simple-websocket' {
  interface Events {
    connect: []
    data: [chunk: Uint8Array]
    drain: []
    close: []
    error: [error: Error]
  }
  export default class Socket {
    constructor(options: string | { url: string } | { socket: WebSocket })
    static readonly WEBSOCKET_SUPPORT: boolean
    /** The socket beneath; simple-websocket offers no public way to it. */
    readonly _ws: WebSocket | null
    readonly url: string
    readonly connected: boolean
    readonly destroyed: boolean
    send(chunk: Uint8Array | string): void
    write(chunk: Uint8Array): boolean
    destroy(error?: Error): void
    removeAllListeners(name: 'finish'): this
    on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
    once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): this
  }
}

declare module '@dxos/broadcast' {
  /** Ids and payloads have to be Buffers where the runtime has them; the package asserts it. */
  export interface Peer {
    id: Uint8Array
  }
  export interface Packet {
    seqno: Uint8Array
    origin: Uint8Array
    from: Uint8Array
    data: Uint8Array
  }
  export interface Middleware<P extends Peer> {
    send(packet: Uint8Array, peer: P, options: unknown): Promise<void>
    subscribe(
      onPacket: (packet: Uint8Array) => Packet | undefined,
      updatePeers: (peers: P[]) => void,
    ): (() => void) | undefined
  }
  export interface Options {
    id?: Uint8Array
    /** How long a packet is remembered, in ms. Default: 10,000. */
    maxAge?: number
    /** How many packets are remembered. Default: 1,000. */
    maxSize?: number
  }
  interface Event<Data> {
    on(listener: (data: Data) => void): () => void
  }
  export class Broadcast<P extends Peer = Peer> {
    constructor(middleware: Middleware<P>, options?: Options)
    readonly packet: Event<Packet>
    readonly sendError: Event<Error>
    readonly subscribeError: Event<Error>
    publish(data: Uint8Array, options?: { seqno?: Uint8Array }): Promise<Packet | undefined>
    updatePeers(peers: P[]): void
    updateCache(options?: { maxAge?: number; maxSize?: number }): void
    pruneCache(): void
    open(): void
    close(): void
  }
}

declare module 'b4a' {
  /** A Buffer where the runtime has them, over the same memory where `offset` is given. */
  export function from(source: ArrayBufferLike, offset: number, length: number): Uint8Array
  export function from(source: Uint8Array | string, encoding?: string): Uint8Array
  const b4a: { from: typeof from }
  export default b4a
}
