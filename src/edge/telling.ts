/** Telling: says to the peer what this side sees of its network, where there is no straight path yet. */

import type { Clock } from '../clock.ts'
import { FACTS_AFTER_MS } from '../limits.ts'
import type { Item } from './items.ts'
import type { NetFacts } from './why.ts'
import { NO_FACTS } from './whyfacts.ts'

/**
 * When what is seen of the network is looked at, in times of FACTS_AFTER_MS. The third comes behind the end of what
 * browsers wait for servers, 12 s, and before that of what they look for a path, 15 s: who fails then has heard why.
 */
const FACTS_ROUNDS: readonly number[] = [1, 2, 2.6, 4]

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
  const look = (): void => {
    const now = path()
    if (now === undefined || isRelayed(now)) tell()
  }

  const begin = (): void => {
    const cancels = FACTS_ROUNDS.map((times) => clock.after(times * FACTS_AFTER_MS, look))
    cancel = () => {
      for (const each of cancels) each()
    }
  }

  return { item, tell, begin, stop: () => cancel() }
}
