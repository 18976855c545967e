/** Space: how much of the directory each home may fill; those who are there stay, newcomers wait. */

import type { Clock } from './clock.ts'
import type { Directory } from './directory.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import {
  FIRST_RECORDS_PER_HOME,
  HOME_FORGOTTEN_MS,
  MAX_BYTES_PER_HOME,
  MAX_DIRECTORY_BYTES,
  MAX_HOMES,
  MAX_RECORDS,
  MAX_RECORDS_PER_HOME,
  MAX_TOPICS,
  RESERVED_SHARE,
  ROOM_DOUBLES_MS,
  START_GRACE_MS,
} from './limits.ts'
import type { Size } from './size.ts'

export interface Space {
  /** @throws SignalMeshError `MESH_FULL` or `REFUSED` if there is no place for one home more */
  checkHome(directory: Directory, home: NodeId): void
  /**
   * Looks whether a home may grow to `after`, before anything is changed.
   * @throws SignalMeshError `MESH_FULL` over what all may fill, `TOO_MANY` over what this home may
   */
  checkGrowth(directory: Directory, home: NodeId, after: Size): void
  /** Records that the home may have now. */
  recordsFor(directory: Directory, home: NodeId): number
  /** Notes which homes are there, and forgets those that have been away for long. */
  sweep(directory: Directory): void
}

export interface SpaceOptions {
  readonly clock: Clock
  isListed(home: NodeId): boolean
  /** Whether a part of each total is kept for listed homes. */
  readonly reserves: boolean
}

/** When a home came, and when it was last there. */
interface Stay {
  readonly sinceMs: number
  lastMs: number
}

export function createSpace({ clock, isListed, reserves }: SpaceOptions): Space {
  const startMs = clock.monotonicMs()
  const stays = new Map<NodeId, Stay>()

  /** The part of the totals up to which this home may fill them. */
  const partFor = (home: NodeId): number => (reserves && !isListed(home) ? 1 - RESERVED_SHARE : 1)

  /**
   * The part of the most for one home that this home may have. Where less than half is filled there
   * is enough for all; after that, a swarm of new names gets little, and who stays gets more.
   */
  const shareOf = (directory: Directory, home: NodeId): number => {
    const half = partFor(home) / 2
    const isRoomy =
      directory.records < half * MAX_RECORDS && directory.bytes < half * MAX_DIRECTORY_BYTES
    if (isRoomy || isListed(home)) return 1
    const nowMs = clock.monotonicMs()
    const sinceMs = stays.get(home)?.sinceMs ?? nowMs
    if (sinceMs - startMs < START_GRACE_MS) return 1
    const doublings = Math.floor((nowMs - sinceMs) / ROOM_DOUBLES_MS)
    return Math.min(1, (FIRST_RECORDS_PER_HOME / MAX_RECORDS_PER_HOME) * 2 ** doublings)
  }

  /** Only what grows is measured: a home over its share keeps what it has. */
  const check = (home: NodeId, what: keyof Size, grows: number, sums: Sums): void => {
    if (grows <= 0) return
    if (sums.own > sums.mostOwn) {
      throw new SignalMeshError('TOO_MANY', `Home ${home} has more ${what} than it may have yet`)
    }
    if (sums.all > sums.mostOfAll * partFor(home)) {
      throw new SignalMeshError('MESH_FULL', `No room for more ${what} of home ${home}`)
    }
  }

  return {
    checkHome: (directory, home) => {
      if (directory.homes.size >= MAX_HOMES * partFor(home)) {
        throw new SignalMeshError(
          'MESH_FULL',
          `No room for home ${home}: ${directory.homes.size} are known`,
        )
      }
    },
    checkGrowth: (directory, home, after) => {
      const held = directory.homes.get(home)
      const records = after.records - (held?.digest.size ?? 0)
      const bytes = after.bytes - (held?.bytes ?? 0)
      const share = shareOf(directory, home)
      check(home, 'records', records, {
        own: after.records,
        mostOwn: share * MAX_RECORDS_PER_HOME,
        all: directory.records + records,
        mostOfAll: MAX_RECORDS,
      })
      check(home, 'bytes', bytes, {
        own: after.bytes,
        mostOwn: share * MAX_BYTES_PER_HOME,
        all: directory.bytes + bytes,
        mostOfAll: MAX_DIRECTORY_BYTES,
      })
      check(home, 'topics', after.topics, {
        own: after.topics,
        mostOwn: MAX_TOPICS,
        all: directory.topics + after.topics,
        mostOfAll: MAX_TOPICS,
      })
    },
    recordsFor: (directory, home) => {
      const held = directory.homes.get(home)?.digest.size ?? 0
      return Math.max(held, Math.floor(shareOf(directory, home) * MAX_RECORDS_PER_HOME))
    },
    sweep: (directory) => {
      const nowMs = clock.monotonicMs()
      for (const home of directory.homes.keys()) {
        const stay = stays.get(home) ?? { sinceMs: nowMs, lastMs: nowMs }
        stay.lastMs = nowMs
        stays.set(home, stay)
      }
      for (const [home, { lastMs }] of stays) {
        if (nowMs - lastMs > HOME_FORGOTTEN_MS) stays.delete(home)
      }
      // Strangers that come and go must not fill this either.
      for (const home of stays.keys()) {
        if (stays.size <= 2 * MAX_HOMES) return
        if (!directory.homes.has(home)) stays.delete(home)
      }
    },
  }
}

interface Sums {
  readonly own: number
  readonly mostOwn: number
  readonly all: number
  readonly mostOfAll: number
}

/** As much as there is, whoever it is. */
export const spaceForAll: Space = createSpace({
  clock: { nowMs: () => 0, monotonicMs: () => 0, after: () => () => undefined },
  isListed: () => true,
  reserves: false,
})
