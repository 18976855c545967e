/** The operator's token: who shows it at `/admin.json` sees what is no business of the public. */

import { addressGroup } from './authority.ts'
import { equal, utf8 } from './bytes.ts'
import type { Clock } from './clock.ts'
import { hash, randomBytes } from './crypto.ts'
import { ADMIN_TRIES_BURST, ADMIN_TRIES_PER_SECOND, MAX_REMEMBERED } from './limits.ts'
import { bucketsByKey, fill, take } from './rate.ts'

export type Admitted = 'yes' | 'no' | { readonly retryAfterMs: number }

/** Makes what looks at a request of somebody at this address. Without a token nobody is let in. */
export function createAdmin(
  token: string | undefined,
  clock: Clock,
): (request: Request, remoteAddress: string) => Admitted {
  const tries = bucketsByKey(ADMIN_TRIES_PER_SECOND, ADMIN_TRIES_BURST, MAX_REMEMBERED)
  // Under a key of this process, so that how long two hashes are alike tells nothing of the token.
  const key = randomBytes(32)
  const digest = (text: string): Uint8Array => hash([utf8(text)], key)
  const wanted = token === undefined || token === '' ? undefined : digest(token)
  return (request, remoteAddress) => {
    if (!wanted) return 'no'
    const bucket = tries(addressGroup(remoteAddress))
    const waitMs = fill(bucket, clock.monotonicMs())
    // Also with the right one: or it could be told from the wrong ones by going on.
    if (waitMs > 0) return { retryAfterMs: waitMs }
    const shown = /^Bearer (\S{1,512})$/.exec(request.headers.get('authorization') ?? '')?.[1]
    if (shown !== undefined && equal(digest(shown), wanted)) return 'yes'
    take(bucket, clock.monotonicMs())
    return 'no'
  }
}
