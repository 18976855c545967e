/** A DHT that a hostile relay makes up: in memory, its connections open to whoever made it. */

import { EventEmitter } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import type { LentDht } from '../../runtimes/dhtrelay.ts'
import { toHex } from '../../src/bytes.ts'

/** What one chunk of a connection becomes; `number` counts those of its direction, from 0. */
export type Tap = (
  bytes: Uint8Array,
  number: number,
  isFromDialler: boolean,
) => readonly Uint8Array[]

export interface MadeUpDht {
  readonly dht: LentDht
  tap: Tap
  /** Whom a dial of this key really reaches; the key itself, if nothing is said. */
  readonly swapped: Map<string, string>
  /** Keys that every look finds besides those announced. */
  readonly ghosts: Uint8Array[]
  readonly dials: string[]
}

interface Server extends EventEmitter {
  firewall(key: Uint8Array, payload: object): boolean | Promise<boolean>
}

const PAYLOAD = {
  version: 1,
  error: 0,
  firewall: 0,
  holepunch: null,
  addresses4: [],
  addresses6: [],
  udx: null,
  secretStream: null,
}
const NODE = { id: null, host: '192.0.2.1', port: 1 }

export function madeUpDht(): MadeUpDht {
  const servers = new Map<string, Server>()
  /** By their topics. */
  const announced = new Map<string, Map<string, Uint8Array>>()

  const look = (topic: Uint8Array): Readable => {
    const known = announced.get(toHex(topic))?.values() ?? []
    const peers = [...known, ...self.ghosts].map((publicKey) => ({
      publicKey,
      relayAddresses: [],
    }))
    return Readable.from([{ token: new Uint8Array(32), from: NODE, to: NODE, peers }])
  }

  const connect: LentDht['connect'] = (remoteKey, { keyPair }) => {
    const key = toHex(remoteKey)
    self.dials.push(key)
    const [near, far] = streamPair((bytes, number, isNear) => self.tap(bytes, number, isNear))
    const server = servers.get(self.swapped.get(key) ?? key)
    void (async () => {
      if (!server || (await server.firewall(keyPair.publicKey, PAYLOAD))) {
        near.destroy(new Error('PEER_NOT_FOUND'))
        return
      }
      const handshakeHash = new Uint8Array(64)
      Object.assign(near, { handshakeHash })
      Object.assign(far, { handshakeHash, remotePublicKey: keyPair.publicKey })
      server.emit('connection', far)
      near.emit('open')
    })()
    return near
  }

  const createServer = ({ firewall }: { firewall?: Server['firewall'] }): unknown => {
    let at = ''
    const server = Object.assign(new EventEmitter(), {
      firewall,
      listen: async ({ publicKey }: { publicKey: Uint8Array }) => {
        at = toHex(publicKey)
        servers.set(at, server as unknown as Server)
        server.emit('listening')
      },
      close: async () => {
        servers.delete(at)
        server.emit('close')
      },
      address: () => ({ host: '192.0.2.1', port: 1 }),
    })
    return server
  }

  const self: MadeUpDht = {
    dht: {
      connect,
      createServer,
      lookup: look,
      announce: (topic: Uint8Array, { publicKey }: { publicKey: Uint8Array }) => {
        const keys = announced.get(toHex(topic)) ?? new Map<string, Uint8Array>()
        announced.set(toHex(topic), keys.set(toHex(publicKey), publicKey))
        return look(topic)
      },
      lookupAndUnannounce: look,
    } as unknown as LentDht,
    tap: (bytes) => [bytes],
    swapped: new Map(),
    ghosts: [],
    dials: [],
  }
  return self
}

/** Two ends of a stream; chunks stay what they are. */
function streamPair(tap: Tap): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [0, 1].map((index) => {
    let number = 0
    return new Duplex({
      objectMode: true,
      read: () => {},
      write: (bytes: Uint8Array, _, done) => {
        for (const one of tap(bytes, number++, index === 0)) ends[1 - index]?.push(Buffer.from(one))
        done()
      },
      final: (done) => {
        ends[1 - index]?.push(null)
        done()
      },
      destroy: (error, done) => {
        const other = ends[1 - index] as Duplex
        setImmediate(() => other.destroy())
        done(error)
      },
    })
  })
  for (const end of ends) end.on('error', () => {})
  return ends as unknown as readonly [Duplex, Duplex]
}
