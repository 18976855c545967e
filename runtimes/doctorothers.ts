/** The doctor's looks at other nodes: those that flags name, relays of the DHT, and their clocks. */

import type { Config } from './config.ts'
import { type Finding, ok, skipped, wrong } from './doctorchecks.ts'
import { type Asked, httpOf, type Views } from './doctorviews.ts'

/** Clocks may be minutes apart; one that is further off than this is not kept by anything. */
const CLOCK_OFF_MS = 30_000

export function checkPeers({ peer }: Config, { others }: Views): Finding {
  if (peer.length === 0)
    return skipped('peer', 'No node is named', 'name one by --peer to have it asked')
  const silent = namedBy(peer, others).flatMap(({ error }) => error ?? [])
  if (silent.length === 0) return ok('peer', 'The nodes that --peer names answer')
  return wrong('peer', silent.join('; '), 'see that they run, and that the URL is theirs')
}

export function checkRelays({ relay }: Config, { others }: Views): Finding {
  if (relay.length === 0)
    return skipped(
      'relay',
      'No DHT relay is used',
      'name one by --relay where UDP or Node.js is missing',
    )
  const asked = namedBy(relay, others)
  const lends = asked.filter(({ lendsDht }) => lendsDht)
  const bad = asked.filter(({ lendsDht }) => !lendsDht)
  const why = bad.map(({ url, error }) => error ?? `${url} lends no DHT`).join('; ')
  if (lends.length === 0)
    return wrong('relay', why, 'name nodes that run with --dht-relay, several are better')
  return ok('relay', `${lends.length} of ${asked.length} relays lend their DHT${why && `; ${why}`}`)
}

export function checkClock({ others }: Views): Finding {
  const offsets = others.flatMap(({ aheadMs }) => aheadMs ?? []).sort((a, b) => a - b)
  const middle = offsets[offsets.length >> 1]
  if (middle === undefined)
    return skipped('clock', 'No other node tells its time', 'name one by --peer')
  const seconds = Math.round(Math.abs(middle) / 100) / 10
  const side = middle > 0 ? 'behind' : 'ahead of'
  if (Math.abs(middle) < CLOCK_OFF_MS)
    return ok('clock', `The clock goes with those of ${offsets.length} others (${seconds} s)`)
  return wrong(
    'clock',
    `The clock is ${seconds} s ${side} those of others`,
    'set it by NTP, such as systemd-timesyncd or chrony',
  )
}

function namedBy(urls: readonly string[], others: readonly Asked[]): readonly Asked[] {
  const named = new Set(urls.map(httpOf))
  return others.filter(({ url }) => named.has(url))
}
