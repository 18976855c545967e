/** The requests that an edge makes of its home. */

import { type Reader, reader, toHex } from './bytes.ts'
import { decodePlace } from './carryframes.ts'
import { HASH_BYTES } from './crypto.ts'
import { encodeIce } from './ice.ts'
import { MAX_RECORD_BYTES } from './limits.ts'
import { decodeAdvert, decodePresence } from './records.ts'
import { EDGE_METHOD, noSuchMethod, type Serve } from './rpc.ts'
import type { Session, SessionHost } from './session.ts'

const NOTHING = new Uint8Array(0)

/** Answers the requests of one session. A request is read to its end before anything comes of it. */
export function serveEdge(session: Session, host: SessionHost): Serve {
  return (method: number, body: Uint8Array): Uint8Array => {
    const r = reader(body)
    switch (method) {
      case EDGE_METHOD.advertise:
        host.advertise(session, decodeAdvert(whole(r, r.block(MAX_RECORD_BYTES))))
        return NOTHING
      case EDGE_METHOD.unadvertise:
        host.unadvertise(session, keyOf(r))
        return NOTHING
      case EDGE_METHOD.discover: {
        const [tag, limit] = topicOf(r)
        return host.discover(tag, limit)
      }
      case EDGE_METHOD.lookup:
        return host.lookup(keyOf(r))
      case EDGE_METHOD.watch: {
        const [tag, limit] = topicOf(r)
        host.watch(session, tag)
        return host.discover(tag, limit)
      }
      case EDGE_METHOD.unwatch:
        host.unwatch(session, keyOf(r))
        return NOTHING
      case EDGE_METHOD.renew:
        host.renew(session, decodePresence(whole(r, r.block(MAX_RECORD_BYTES))))
        return NOTHING
      case EDGE_METHOD.ice:
        r.end()
        return encodeIce(host.ice(session))
      case EDGE_METHOD.carry:
        if (!host.carry) throw noSuchMethod()
        host.carry.begin(session, decodePlace(body))
        return NOTHING
      case EDGE_METHOD.uncarry:
        host.carry?.end(session, decodePlace(body))
        return NOTHING
      default:
        throw noSuchMethod()
    }
  }
}

/** What was read, if nothing stands behind it. */
function whole<T>(r: Reader, read: T): T {
  r.end()
  return read
}

/** The tag or key, in hex digits, that is all of the request. */
function keyOf(r: Reader): string {
  return toHex(whole(r, r.bytes(HASH_BYTES)))
}

function topicOf(r: Reader): readonly [tag: string, limit: number] {
  const tag = toHex(r.bytes(HASH_BYTES))
  return [tag, whole(r, r.u8())]
}
