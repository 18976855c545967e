/** Keeps what sources say: asks each in the background, again and again, and remembers the last good list. */

import { type Clock, repeat, systemClock } from '../src/clock.ts'
import { asMeshError } from '../src/errors.ts'
import { MAX_REMEMBERED_URLS } from '../src/limits.ts'
import type { Log } from '../src/log.ts'
import { decodeKept, encodeKept, type Kept, type MeshRecord } from '../src/registryrecord.ts'
import type { Store } from '../src/runtime.ts'
import type { FoundPeer } from '../src/urldials.ts'
import { REMEMBER_MS, SOURCE_RETRY_MS } from './limits.ts'
import { type Found, merged, type Source, takeFew, usable } from './source.ts'

export interface SourcesOptions {
  readonly sources: readonly Source[]
  readonly store: Store
  readonly log: Log
  readonly allowPrivate: boolean
  /** How often each is asked again. */
  readonly refreshMs: number
  /** The neighbours by their URLs, to be remembered. */
  near(): readonly FoundPeer[]
  /** Takes what all of them say together, each time that it has changed. */
  onFound(found: Found): void
  readonly clock?: Clock
  readonly random?: () => number
}

export interface Sources {
  close(): Promise<void>
}

const FILE = 'sources'
/** Under which neighbours of this and the last run are kept. */
const LAST_RUN = 'last run'

/** Begins with what was kept, and does not wait for any source. */
export async function openSources(options: SourcesOptions): Promise<Sources> {
  const { sources, store, log, allowPrivate, clock = systemClock, random = Math.random } = options
  const kept = new Map(Object.entries(await readLists(store, log)))
  // A source that is not named any more is not gone by any more either.
  const isNamed = (key: string): boolean => key === LAST_RUN || sources.some((it) => it.key === key)
  for (const key of [...kept.keys()]) if (!isNamed(key)) kept.delete(key)
  const lastRun = takeFew(usable(kept.get(LAST_RUN) ?? [], allowPrivate), [], random)
  const taken = new Map<string, readonly MeshRecord[]>()
  const cancels = new Map<string, () => void>()
  let said = ''
  let writing = Promise.resolve()
  let closed = false

  const tell = (): void => {
    for (const { key } of sources) {
      const records = usable(kept.get(key) ?? [], allowPrivate)
      taken.set(key, takeFew(records, taken.get(key) ?? [], random))
    }
    const listing = sources.filter(({ listsMembers }) => listsMembers)
    const found = merged(
      [...[...taken.values()].flat(), ...lastRun],
      listing.flatMap(({ key }) => kept.get(key) ?? []),
    )
    const text = JSON.stringify(found)
    if (text === said) return
    said = text
    options.onFound(found)
  }

  const keep = (key: string, records: readonly MeshRecord[]): void => {
    if (JSON.stringify(records) === JSON.stringify(kept.get(key))) return
    kept.set(key, records)
    const bytes = encodeKept(Object.fromEntries(kept))
    // One after the other, or an older list could be kept last.
    writing = writing
      .then(() => store.write(FILE, bytes))
      .catch((error: unknown) => {
        log.warn('Could not keep the list of nodes', { why: asMeshError(error).message })
      })
  }

  const attend = (source: Source): void => {
    const { key } = source
    let failures = 0
    const ask = async (): Promise<void> => {
      try {
        const { records, dropped } = await source.ask()
        if (closed) return
        if (records.length === 0) throw new Error(`it names no node (${dropped} records left out)`)
        if (dropped > 0) log.debug('Left records out', { source: key, dropped })
        if (failures > 0) log.info('A source of nodes answers again', { source: key })
        failures = 0
        keep(key, records)
        tell()
      } catch (error) {
        if (closed) return
        const { code, message } = asMeshError(error)
        const facts = { source: key, code, why: message, kept: kept.get(key)?.length ?? 0 }
        // Once for each time that it is away; what it said last is gone by until then.
        log[failures === 0 ? 'warn' : 'debug'](
          'A source of nodes gave no list, will ask again',
          facts,
        )
        failures += 1
      }
      const retryMs = SOURCE_RETRY_MS * 2 ** Math.min(failures - 1, 20)
      const waitMs = failures === 0 ? options.refreshMs : Math.min(options.refreshMs, retryMs)
      // Not all nodes of a mesh at once.
      cancels.set(
        key,
        clock.after(waitMs * (0.75 + random() / 2), () => void ask()),
      )
    }
    void ask()
  }

  const remember = (): void => {
    const near: readonly MeshRecord[] = options.near()
    const before = kept.get(LAST_RUN) ?? []
    const others = before.filter(({ node }) => !near.some((record) => record.node === node))
    keep(LAST_RUN, [...near, ...others].slice(0, MAX_REMEMBERED_URLS))
  }

  tell()
  for (const source of sources) attend(source)
  cancels.set(LAST_RUN, repeat(clock, REMEMBER_MS, remember))
  return {
    close: async () => {
      if (!closed) remember()
      closed = true
      for (const cancel of cancels.values()) cancel()
      await writing
    },
  }
}

/** A damaged file is as good as none: it is made anew by the next answer. */
async function readLists(store: Store, log: Log): Promise<Kept> {
  try {
    const bytes = await store.read(FILE)
    return bytes ? decodeKept(bytes) : {}
  } catch (error) {
    const { code, message } = asMeshError(error)
    log.warn('Ignored the kept list of nodes', { code, why: message })
    return {}
  }
}
