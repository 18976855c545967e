/** Cases of the room in a directory: homes, records, bytes and topics, and who may have how much. */

import { createDirectory, type Directory } from '../../src/directory.ts'
import {
  FIRST_RECORDS_PER_HOME,
  MAX_RECORDS,
  MAX_RECORDS_PER_HOME,
  START_GRACE_MS,
} from '../../src/limits.ts'
import { applyHead } from '../../src/replica.ts'
import type { Size } from '../../src/size.ts'
import { createSpace, type Space } from '../../src/space.ts'
import { NETWORK, testHome } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, changesAfter, changesAt, holds, outcomeOf, refuses } from './case.ts'

export const space: Cases = {
  MAX_RECORDS_PER_HOME: refuses('TOO_MANY', (records) => grow({ records }, {})),
  MAX_BYTES_PER_HOME: refuses('TOO_MANY', (bytes) => grow({ bytes }, {})),
  MAX_RECORDS: refuses('MESH_FULL', (count) => grow({ records: 1 }, { records: count - 1 })),
  MAX_DIRECTORY_BYTES: refuses('MESH_FULL', (count) => grow({ bytes: 1 }, { bytes: count - 1 })),
  MAX_TOPICS: refuses('MESH_FULL', (count) => grow({ topics: 1 }, { topics: count - 1 })),
  FIRST_RECORDS_PER_HOME: refuses('TOO_MANY', (records) => {
    return grow({ records }, { records: MAX_RECORDS / 2 }, roomFor({ isNew: true }).room)
  }),
  RESERVED_SHARE: holds(
    'keeps that part of all records for listed homes',
    'taken, MESH_FULL',
    async (share) => {
      const { room } = roomFor({ reserves: true })
      const most = (1 - share) * MAX_RECORDS
      const outcomes = [most - 1, most].map((records) => grow({ records: 1 }, { records }, room))
      const listed = await grow({ records: 1 }, { records: most }, roomFor({ isListed: true }).room)
      assert.is(listed, 'taken')
      return (await Promise.all(outcomes)).join(', ')
    },
  ),
  MAX_HOMES: refuses('MESH_FULL', async (count) => {
    const directory = createDirectory(NETWORK)
    for (let i = 1; i < count; i++) directory.open(`home ${i}`, 1, 0)
    const head = (number: number) =>
      testHome(number).log.head({ dhtKey: undefined, urls: [], vias: [] })
    return outcomeOf(() => applyHead(directory, head(1), 0))
  }),
  START_GRACE_MS: changesAt('old', 'new', (ms) => {
    const { room, at } = roomFor({})
    at.ms = ms
    room.sweep(directoryOf({}))
    return share(room) === MAX_RECORDS_PER_HOME ? 'old' : 'new'
  }),
  ROOM_DOUBLES_MS: changesAt('single', 'double', (ms) => {
    const { room, at } = roomFor({ isNew: true })
    at.ms += ms
    return share(room) === 2 * FIRST_RECORDS_PER_HOME ? 'double' : 'single'
  }),
  HOME_FORGOTTEN_MS: changesAfter('known', 'forgotten', (ms) => {
    const { room, at } = roomFor({})
    room.sweep(directoryOf({}))
    at.ms = ms
    room.sweep({ homes: new Map() } as unknown as Directory)
    return share(room) === MAX_RECORDS_PER_HOME ? 'known' : 'forgotten'
  }),
}

/** A room just after its start, or, where `home` is new in it, after the time of grace. */
function roomFor(how: { isNew?: boolean; reserves?: boolean; isListed?: boolean }): {
  room: Space
  at: { ms: number }
} {
  const at = { ms: 0 }
  const clock = { nowMs: () => at.ms, monotonicMs: () => at.ms, after: () => () => undefined }
  const { isListed = false, reserves = isListed } = how
  const room = createSpace({ clock, isListed: () => isListed, reserves })
  if (how.isNew) {
    at.ms = START_GRACE_MS
    room.sweep(directoryOf({}))
  }
  return { room, at }
}

/** What a home comes to that would have all this, in a directory of so much of others. */
function grow(
  after: Partial<Size>,
  held: Partial<Size>,
  room: Space = roomFor({}).room,
): Promise<string> {
  const size = { records: 0, bytes: 0, topics: 0, ...after }
  return outcomeOf(() => room.checkGrowth(directoryOf(held), 'newcomer', size))
}

/** What the home may have where room is scarce. */
function share(room: Space): number {
  return room.recordsFor(directoryOf({ records: MAX_RECORDS / 2 }), 'home')
}

/** A directory that holds one empty home, and so much of others. */
function directoryOf(held: Partial<Size>): Directory {
  const homes = new Map([['home', { digest: { size: 0 }, bytes: 0 }]])
  return { homes, records: 0, bytes: 0, topics: 0, ...held } as unknown as Directory
}
