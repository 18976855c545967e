/** Telling: says to the peer what this side sees of its network, where there is no straight path yet. */

import type { Clock } from '../clock.ts'
import { FACTS_AFTER_MS } from '../limits.ts'
import type { Item } from './items.ts'
import type { NetFacts } from './why.ts'
import { NO_FACTS } from './whyfacts.ts'

/** So often what is seen of the network is looked at; by then browsers have given up all servers. */
const FACTS_ROUNDS = 4

export interface TellingOptions {
  readonly clock: Clock
  /** What is seen of the network, once there is an RTC connection. */
  facts(): NetFacts | undefined
  /** The path of the connection, once there is one. */
  path(): string | undefined
  /** Whether there is somebody to hear it. */
  isHeard(): boolean
  say(item: Item): void
}

export interface Telling {
  /** The facts as they are now, with a word on whether this side has given up. */
  item(gaveUp: boolean): Item
  /** Says what is new. */
  tell(): void
  /** A browser waits long for a server that is silent, so there may be news for a while. */
  begin(): void
  stop(): void
}

/** Whether others carry what takes this path. */
export const isRelayed = (path: string): boolean => path === 'turn' || path === 'mesh'

export function createTelling(options: TellingOptions): Telling {
  const { clock, facts, path } = options
  let told = ''
  let cancel = (): void => {}

  const item = (gaveUp: boolean): Item => ({ kind: 'facts', facts: facts() ?? NO_FACTS, gaveUp })

  const tell = (): void => {
    if (!options.isHeard()) return
    const now = item(false)
    const text = JSON.stringify(now)
    if (text !== told) options.say(now)
    told = text
  }

  /** Who finds a straight path at once has nothing to explain. */
  const tellInTime = (rounds: number): void => {
    cancel = clock.after(FACTS_AFTER_MS, () => {
      const now = path()
      if (now === undefined || isRelayed(now)) tell()
      if (rounds > 1) tellInTime(rounds - 1)
    })
  }

  return { item, tell, begin: () => tellInTime(FACTS_ROUNDS), stop: () => cancel() }
}
