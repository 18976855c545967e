/** Renewing: an edge signs its presence again for its home every hour, and its adverts when they are old. */

import { writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { RECORD_RENEW_MS } from '../limits.ts'
import type { EdgeRecord } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import type { HomeLink } from './homelink.ts'
import type { OwnRecords } from './records.ts'

export interface Renewing {
  /** There is a home. */
  begin(link: HomeLink): void
  /** There is none. */
  stop(): void
}

export function createRenewing(options: {
  readonly clock: Clock
  readonly records: OwnRecords
  onRenewed(): void
}): Renewing {
  const { clock, records } = options
  let cancelRenew = (): void => {}
  let current: HomeLink | undefined

  const begin = (link: HomeLink): void => {
    current = link
    const inMs = Math.round(RECORD_RENEW_MS * (0.9 + Math.random() * 0.2))
    cancelRenew = clock.after(inMs, () => {
      renew(link).then(() => {
        if (current !== link) return
        begin(link)
        options.onRenewed()
      }, link.fail)
    })
  }

  const renew = async ({ rpc, homeKey }: HomeLink): Promise<void> => {
    await rpc.request(EDGE_METHOD.renew, block(records.signPresence(homeKey)))
    for (const advert of records.renewAdverts()) {
      await rpc.request(EDGE_METHOD.advertise, block(advert))
    }
  }

  return {
    begin,
    stop: () => {
      current = undefined
      cancelRenew()
    },
  }
}

/** A record as the body of a request. */
export function block(record: EdgeRecord): Uint8Array {
  return writer().block(record.bytes).done()
}
