/** What a DHT relay lends to one client: the DHT, within the client's quotas. */

import { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'
import type { Clock } from '../src/clock.ts'
import type { ErrorCode } from '../src/errors.ts'
import { createBucket, take } from '../src/rate.ts'
import type { LentDht } from './dhtrelay.ts'
import {
  MAX_RELAY_QUERIES,
  MAX_RELAY_STREAMS,
  RELAY_DIALS_BURST,
  RELAY_DIALS_PER_SECOND,
} from './limits.ts'

type LentServer = ReturnType<LentDht['createServer']>
type LentStream = ReturnType<LentDht['connect']>

/**
 * The DHT for one client. A dial above its quota fails; what no node of ours does (a second server, a
 * fifth look, keys that it keeps to itself) ends the client by `onExcess`.
 */
export function lentTo(dht: LentDht, clock: Clock, onExcess: (code: ErrorCode) => void): LentDht {
  const dials = createBucket(RELAY_DIALS_PER_SECOND, RELAY_DIALS_BURST)
  const mayDial = (): boolean => take(dials, clock.monotonicMs()) === 0
  let streams = 0
  let queries = 0
  let serves = false

  const counted = <Stream extends { once(name: string, listener: () => void): unknown }>(
    stream: Stream,
  ): Stream => {
    streams += 1
    stream.once('close', () => {
      streams -= 1
    })
    return stream
  }

  const look: LentDht['lookup'] = (topic) => beginQuery(() => dht.lookup(topic))

  const beginQuery = (
    begin: () => ReturnType<LentDht['lookup']>,
  ): ReturnType<LentDht['lookup']> => {
    if (queries >= MAX_RELAY_QUERIES || !mayDial()) {
      onExcess(queries >= MAX_RELAY_QUERIES ? 'TOO_MANY' : 'RATE_LIMITED')
      return refusedStream('TOO_MANY')
    }
    queries += 1
    const query = begin()
    query.once('close', () => {
      queries -= 1
    })
    return query
  }

  return {
    lookup: look,
    announce: (topic, keyPair, ...more) => {
      if (keyPair.secretKey !== null) return beginQuery(() => dht.announce(topic, keyPair, ...more))
      onExcess('BAD_FRAME')
      return refusedStream('BAD_FRAME')
    },
    lookupAndUnannounce: (topic, keyPair, ...more) => {
      if (keyPair.secretKey !== null) {
        return beginQuery(() => dht.lookupAndUnannounce(topic, keyPair, ...more))
      }
      onExcess('BAD_FRAME')
      return refusedStream('BAD_FRAME')
    },
    connect: (remoteKey, { keyPair }) => {
      if (keyPair.secretKey === null) {
        onExcess('BAD_FRAME')
        return refusedStream('BAD_FRAME')
      }
      if (streams >= MAX_RELAY_STREAMS) return refusedStream('TOO_MANY')
      if (!mayDial()) return refusedStream('RATE_LIMITED')
      return counted(dht.connect(remoteKey, { keyPair }))
    },
    createServer: (options) => {
      if (serves) {
        onExcess('TOO_MANY')
        return noServer()
      }
      serves = true
      const { firewall } = options
      const server = dht.createServer({
        firewall: (key, payload) =>
          streams >= MAX_RELAY_STREAMS || firewall?.(key, payload) || false,
      })
      server.on('connection', counted)
      return listening(server, onExcess)
    },
  }
}

/** What goes wrong with listening, such as a key that listens already, would end the process. */
function listening(server: LentServer, onExcess: (code: ErrorCode) => void): LentServer {
  const listen = server.listen
  server.listen = async (keyPair) => {
    if (keyPair.secretKey === null) return onExcess('BAD_FRAME')
    return listen.call(server, keyPair).catch(() => onExcess('REFUSED'))
  }
  return server
}

/** A connection that has failed before it began. */
function refusedStream(code: ErrorCode): LentStream {
  const stream = new Duplex({ read: () => {}, write: (_, __, done) => done() })
  // Whoever has asked listens only now.
  setImmediate(() => stream.destroy(new Error(code)))
  stream.on('error', () => {})
  return stream
}

/** A server that nobody finds. */
function noServer(): LentServer {
  const none = { listen: async () => {}, close: async () => {}, address: () => null }
  return Object.assign(new EventEmitter(), none)
}
