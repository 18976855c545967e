/** Size: what a home would fill after a change, so that it can be refused before anything is changed. */

import type { HomeState } from './claims.ts'
import type { Directory } from './directory.ts'
import type { EdgeRecord } from './records.ts'

/** What a home fills. */
export interface Size {
  readonly records: number
  readonly bytes: number
  /** Topics that nobody else is in. */
  readonly topics: number
}

/** What a home fills at most when these records are put to what it has; removals are not counted. */
export function sizeWith(
  directory: Directory,
  held: HomeState | undefined,
  records: readonly EdgeRecord[],
): Size {
  let count = held?.digest.size ?? 0
  let bytes = held?.bytes ?? 0
  const newTags = new Set<string>()
  for (const record of records) {
    const claim = held?.claims.get(record.peer)
    const known = record.kind === 'advert' ? claim?.adverts.get(record.tag) : claim?.presence
    count += known ? 0 : 1
    bytes += record.bytes.length - (known?.bytes.length ?? 0)
    // With a presence, the topics come to count that were there before it.
    const tags =
      record.kind === 'advert' ? [record.tag] : known ? [] : (claim?.adverts.keys() ?? [])
    for (const tag of tags) if (!directory.hasTopic(tag)) newTags.add(tag)
  }
  return { records: count, bytes, topics: newTags.size }
}
