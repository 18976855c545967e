/** The protocol of DHT relays, both ends: a member of the DHT lends itself to who cannot be one. */

import RelayedNode, {
  type RelayedServer,
  type RelayProtocol,
  type RelayStream,
} from '@hyperswarm/dht-relay'
import SocketStream, { type RelaySocket } from '@hyperswarm/dht-relay/ws'
import { MAX_FRAME_BYTES } from '../src/limits.ts'

export type { RelaySocket } from '@hyperswarm/dht-relay/ws'

export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/** What the relay itself does for its client, as a HyperDHT does it. */
export type LentDht = Parameters<typeof RelayedNode.relay>[0]

/** A HyperDHT on top of a relay. */
export type RelayedDht = RelayedNode

/** What a relay may say to a client; the rest belongs to a mode that 0.4.3 does not get to work. */
const SAID_TO_CLIENTS = [
  ...['listening', 'closed', 'connection', 'incoming', 'destroy'],
  ...['open', 'end', 'data', 'result', 'finished'],
]

export function relayKeyPair(): KeyPair {
  return RelayedNode.keyPair()
}

/**
 * The client's end, on a socket that is open. Whatever the relay says that makes no sense ends it: the
 * package itself would let that end the process.
 */
export function dhtThrough(socket: RelaySocket, keyPair: KeyPair, onEnd: () => void): RelayedDht {
  const stream = new SocketStream(true, socket)
  stream.on('error', () => {})
  stream.on('close', onEnd)
  const dht = new RelayedNode(stream, { keyPair })
  // Whatever hinders it ends the stream too, and that is what is told.
  dht.ready().catch(() => {})
  const giveUp = (): void => void stream.destroy()
  guard(dht._protocol, giveUp)
  const { connect, createServer } = dht
  dht.connect = (key, options) => fitted(connect.call(dht, key, options))
  dht.createServer = (options, onConnection) => {
    const server = createServer.call(dht, options, (stream) => onConnection?.(fitted(stream)))
    guardFirewall(server, giveUp)
    return server
  }
  return dht
}

/** The relay's end: lends the DHT to the client at the other end of the socket. */
export function lendDht(dht: LentDht, socket: RelaySocket): void {
  const stream = new SocketStream(false, socket)
  stream.on('error', () => {})
  void RelayedNode.relay(dht, stream).then(({ _protocol: { destroy } }) => {
    // Of connections that came in, the package leaves out by which name the client knows them, throws,
    // and the client would never hear that they have failed.
    const send = destroy.send
    destroy.send = (said) =>
      send({ ...said, paired: said.paired || said.remoteAlias === undefined })
  })
}

function guard(protocol: RelayProtocol, giveUp: () => void): void {
  for (const name of protocol.eventNames()) {
    const heed = protocol.listeners(name)
    protocol.removeAllListeners(name)
    if (!SAID_TO_CLIENTS.includes(String(name))) continue
    protocol.on(name, (said) => {
      try {
        for (const one of heed) one(said)
      } catch {
        giveUp()
      }
    })
  }
}

function guardFirewall({ _firewall: firewall }: RelayedServer, giveUp: () => void): void {
  const heed = firewall._onIncoming
  firewall._onIncoming = (said) => heed(said).catch(giveUp)
}

/** What Hyperswarm expects of a connection and the package's do not have, and messages of a bounded size. */
function fitted(stream: RelayStream): RelayStream {
  const writeAll = stream._writev
  return Object.assign(stream, {
    rawBytesRead: 0,
    rawBytesWritten: 0,
    sendKeepAlive: () => {},
    _writev: (chunks: readonly Uint8Array[], done: (error: null) => void) => {
      for (const batch of batchesOf(chunks)) writeAll.call(stream, batch, () => {})
      done(null)
    },
  })
}

/** All that was written in one turn would be one message, however large. */
function batchesOf(chunks: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > MAX_FRAME_BYTES) {
      batches.push([])
      bytes = chunk.length
    }
    batches.at(-1)?.push(chunk)
  }
  return batches
}
