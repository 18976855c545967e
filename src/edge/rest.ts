/** The rest of the client: all that is not needed to begin the first socket, fetched while that opens. */

import { systemClock } from '../clock.ts'
import type { Identity } from '../identity.ts'
import type { Link } from '../link.ts'
import { joinOn } from './join.ts'
import type { Edge } from './mod.ts'
import { type Opening, takeOnce } from './opening.ts'
import type { JoinOptions } from './options.ts'
import { hasRtc, makeRtc } from './rtc.ts'
import { dialSocket, linkOver } from './socket.ts'
import { runtimeWakes } from './waking.ts'
import { startWarming } from './warming.ts'

/** Joins over the socket that is opening already. */
export async function joinOver(
  options: JoinOptions,
  opening: Opening | undefined,
  identity: Identity,
): Promise<Edge> {
  const dial = dialOf(options, opening)
  const joining = joinOn(
    { clock: systemClock, identity, makeRtc, hasRtc, dial, wakes: runtimeWakes },
    options,
  )
  const warming = startWarming(systemClock)
  // The hello wants its answer first, and so does whoever is called then.
  if (!opening || opening.early.length > 0) warming.pause()
  else opening.webSocket.addEventListener('message', warming.pause, { once: true })
  const edge = await joining
  // What is called with the joining warms what it needs, and goes before the rest.
  if (!options.connect) warming.resume()
  return edge
}

/** How homes are dialled: over a socket of this page's own, unless one of all tabs was asked for. */
function dialOf(options: JoinOptions, opening: Opening | undefined): (url: string) => Link {
  const take = takeOnce(opening)
  const { sharedWorker } = options
  if (!sharedWorker) return (url) => linkOver(take(url))
  const locks = globalThis.navigator?.locks
  return sharedWorker({ clock: systemClock, dial: dialSocket, locks })
}
