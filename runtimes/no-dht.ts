/** What a runtime says whose process native UDX would end: there is no DHT on it. */

import { SignalMeshError } from '../src/errors.ts'

/** @throws SignalMeshError `BAD_CONFIG` */
export function noDht(runtime: string): never {
  throw new SignalMeshError(
    'BAD_CONFIG',
    `The DHT of --bootstrap needs Node; on ${runtime}, name nodes by their URLs with --peer, or DHT relays with --relay`,
  )
}
