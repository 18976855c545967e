/** Where a URL leads: the addresses of its host, none of them local unless that is allowed. */

import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { reachOf } from '../src/authority.ts'
import { systemClock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { DialOptions } from '../src/runtime.ts'
import { fewAtOnce, type LookUp } from './names.ts'
import { whyOf } from './why.ts'

/** How names are looked up that the operator has given, and how those of others. */
export interface LookUps {
  readonly own: LookUp
  readonly others: LookUp
}

const own: LookUp = (host) => lookup(host, { all: true })
const LOOK_UPS: LookUps = { own, others: fewAtOnce(own, systemClock) }

/**
 * Looks the host up. One local address among others is refused too: who answers for the name could
 * otherwise make a node knock at its own network.
 * @throws SignalMeshError `REFUSED` or `HOME_UNREACHABLE`
 */
export async function addressesOf(
  url: string,
  { allowPrivate, isNamed }: DialOptions,
  lookUps: LookUps = LOOK_UPS,
): Promise<[LookupAddress, ...LookupAddress[]]> {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const found = await find(host, isNamed ? lookUps.own : lookUps.others)
  const local = found.find(({ address }) => reachOf(address) !== 'public')
  if (!local || allowPrivate) return found
  throw new SignalMeshError(
    'REFUSED',
    `Not dialled: ${url} leads to the local address ${local.address}; allow that with --allow-private`,
  )
}

async function find(host: string, lookUp: LookUp): Promise<[LookupAddress, ...LookupAddress[]]> {
  const family = isIP(host)
  if (family !== 0) return [{ address: host, family }]
  try {
    const [first, ...more] = await lookUp(host)
    if (first) return [first, ...more]
  } catch (cause) {
    throw new SignalMeshError('HOME_UNREACHABLE', `Cannot look ${host} up: ${whyOf(cause)}`, {
      cause,
    })
  }
  throw new SignalMeshError('HOME_UNREACHABLE', `There is no address of ${host}`)
}
