/** The requests that an edge makes of its home. */

import { reader, toHex } from './bytes.ts'
import { HASH_BYTES, KEY_BYTES } from './crypto.ts'
import { MAX_RECORD_BYTES } from './limits.ts'
import { decodeAdvert, decodePresence } from './records.ts'
import { EDGE_METHOD, noSuchMethod, type Serve } from './rpc.ts'
import type { Session, SessionHost } from './session.ts'

const NOTHING = new Uint8Array(0)

/** Answers the requests of one session. */
export function serveEdge(session: Session, host: SessionHost): Serve {
  return (method: number, body: Uint8Array): Uint8Array => {
    const r = reader(body)
    switch (method) {
      case EDGE_METHOD.advertise:
        host.advertise(session, decodeAdvert(r.block(MAX_RECORD_BYTES)))
        return NOTHING
      case EDGE_METHOD.unadvertise:
        host.unadvertise(session, toHex(r.bytes(HASH_BYTES)))
        return NOTHING
      case EDGE_METHOD.discover:
        return host.discover(toHex(r.bytes(HASH_BYTES)), r.u8())
      case EDGE_METHOD.lookup:
        return host.lookup(toHex(r.bytes(KEY_BYTES)))
      case EDGE_METHOD.watch: {
        const tag = toHex(r.bytes(HASH_BYTES))
        host.watch(session, tag)
        return host.discover(tag, r.u8())
      }
      case EDGE_METHOD.unwatch:
        host.unwatch(session, toHex(r.bytes(HASH_BYTES)))
        return NOTHING
      case EDGE_METHOD.renew:
        host.renew(session, decodePresence(r.block(MAX_RECORD_BYTES)))
        return NOTHING
      default:
        throw noSuchMethod()
    }
  }
}
