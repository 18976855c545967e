/** TURN: mints credentials for a server of the operator's, good for a short time (TURN REST scheme). */

import { addressGroup } from './authority.ts'
import { toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { randomBytes } from './crypto.ts'
import { type IceOffer, NO_ICE } from './ice.ts'
import { MAX_REMEMBERED, TURN_BURST, TURN_PER_SECOND, TURN_TTL_MS } from './limits.ts'
import { bucketsByKey, take } from './rate.ts'

export interface TurnOptions {
  readonly urls: readonly string[]
  /** HMAC-SHA1 of a name under the secret that the server has too, in Base64. */
  mac(name: string): string
}

/** Gives an edge at this address its servers; none to those of a group that asked too often. */
export function createTurn(
  { urls, mac }: TurnOptions,
  clock: Clock,
): (remoteAddress: string) => IceOffer {
  const ofGroup = bucketsByKey(TURN_PER_SECOND, TURN_BURST, MAX_REMEMBERED)
  return (remoteAddress) => {
    if (take(ofGroup(addressGroup(remoteAddress)), clock.monotonicMs()) > 0) return NO_ICE
    const expirySeconds = Math.floor((clock.nowMs() + TURN_TTL_MS) / 1000)
    // The server's log shows the name: it must not say which edge it was.
    const username = `${expirySeconds}:${toHex(randomBytes(8))}`
    const credential = mac(username)
    return { servers: urls.map((url) => ({ url, username, credential })), ttlMs: TURN_TTL_MS }
  }
}
