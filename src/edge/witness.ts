/** Witnesses: other nodes that are asked whether they know of this edge, since its home could hide it. */

import { equal, toHex } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { HASH_BYTES, randomBytes } from '../crypto.ts'
import type { NodeId } from '../identity.ts'
import {
  MAX_NAMED_TOPICS,
  WITNESS_AFTER_MS,
  WITNESS_AGAIN_MS,
  WITNESS_EVERY_MS,
  WITNESS_TIMEOUT_MS,
} from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeHello, type Hello } from '../messages.ts'
import { isAuthentic, type Presence } from '../records.ts'
import { socketUrl } from './dialling.ts'

/** What other nodes have to hold of this edge. */
export interface Expected {
  readonly presence: Presence
  readonly tags: readonly Uint8Array[]
}

export interface WitnessOptions {
  readonly networkId: Uint8Array
  readonly clock: Clock
  dial(url: string): Link
  /** What this edge's home has taken from it; `undefined` while there is none. */
  expected(): Expected | undefined
  /** URLs of other nodes, those to be trusted most first. */
  others(): readonly string[]
  /** Two other nodes said twice that they do not hold it. */
  onWithheld(): void
}

export interface Witness {
  /** The home was handed a record: others should soon hold it. */
  changed(): void
  /** There is no home to ask about. */
  stop(): void
}

type Verdict = 'held' | 'missing' | 'silent'

export function createWitness(options: WitnessOptions): Witness {
  const { clock, networkId } = options
  let cancelTimer = (): void => {}
  let dueMs = Number.POSITIVE_INFINITY
  let changedAtMs = 0
  /** Counts the homes: what was begun for one is of no use for the next. */
  let era = 0

  const schedule = (inMs: number, run: () => Promise<void>): void => {
    cancelTimer()
    dueMs = clock.nowMs() + inMs
    cancelTimer = clock.after(inMs, () => {
      dueMs = Number.POSITIVE_INFINITY
      void run()
    })
  }

  const nextTime = (): void => {
    // A change meanwhile has been given an earlier one.
    if (dueMs !== Number.POSITIVE_INFINITY) return
    schedule(Math.round(WITNESS_EVERY_MS * (0.75 + Math.random() / 2)), routine)
  }

  /** One is asked now and then; only if it does not hold the records, others are too. */
  const routine = async (): Promise<void> => {
    const begun = era
    const isMissing = await areTwoWithout()
    if (begun !== era) return
    if (isMissing) schedule(WITNESS_AGAIN_MS, again)
    else nextTime()
  }

  const again = async (): Promise<void> => {
    // The newest change needs its time, or an honest home would be blamed for it.
    if (clock.nowMs() - changedAtMs < WITNESS_AFTER_MS) {
      schedule(WITNESS_AFTER_MS, again)
      return
    }
    const begun = era
    const isMissing = await areTwoWithout()
    if (begun !== era) return
    if (isMissing) options.onWithheld()
    else nextTime()
  }

  /** Whether two different nodes say that they do not hold the records, before any says it does. */
  const areTwoWithout = async (): Promise<boolean> => {
    const begun = era
    const without = new Set<NodeId>()
    for (const url of options.others()) {
      const { verdict, node } = await askOne(url)
      if (begun !== era || verdict === 'held') return false
      if (verdict === 'missing') without.add(node)
      if (without.size === 2) return true
    }
    return false
  }

  const askOne = async (url: string): Promise<{ verdict: Verdict; node: NodeId }> => {
    const expected = options.expected()
    const silent = { verdict: 'silent', node: '' } as const
    if (!expected) return silent
    const { presence, tags } = expected
    // Without a topic it would look the same whether nothing is held or nothing is told.
    const named = tags.length ? sampleOf(tags, MAX_NAMED_TOPICS) : [randomBytes(HASH_BYTES)]
    const hello = await firstFrame(socketUrl(url, { networkId, tags: named, peer: presence.peer }))
    const now = options.expected()
    if (!hello || !now || hello.topics.length !== named.length) return silent
    const node = toHex(hello.nodeKey)
    if (node === presence.home) return silent
    return { verdict: verdictOf(hello, presence, now.tags), node }
  }

  const verdictOf = (hello: Hello, own: Presence, tags: readonly Uint8Array[]): Verdict => {
    const { held } = hello
    const isHeld =
      held !== undefined &&
      held.peer === own.peer &&
      held.seq >= own.seq &&
      isAuthentic(networkId, held)
    if (!isHeld) return 'missing'
    // Another session, or a later home: that is for those two to settle.
    if (held.home !== own.home || !equal(held.boxKey, own.boxKey)) return 'silent'
    // What was given up while it was asked need not be there.
    const wanted = hello.topics.filter(({ tag }) => tags.some((other) => equal(other, tag)))
    return wanted.every(({ hasPeer }) => hasPeer) ? 'held' : 'missing'
  }

  const firstFrame = (url: string): Promise<Hello | undefined> =>
    new Promise((resolve) => {
      try {
        const link = options.dial(url)
        const cancel = clock.after(WITNESS_TIMEOUT_MS, () => done(undefined))
        const done = (hello: Hello | undefined): void => {
          cancel()
          link.close('asked')
          resolve(hello)
        }
        link.subscribe((frame) => done(helloOf(frame)))
        void link.closed.then(() => done(undefined))
      } catch {
        // A page may not dial everything; the next URL may do.
        resolve(undefined)
      }
    })

  return {
    changed: () => {
      changedAtMs = clock.nowMs()
      if (dueMs > clock.nowMs() + WITNESS_AFTER_MS) schedule(WITNESS_AFTER_MS, routine)
    },
    stop: () => {
      era += 1
      cancelTimer()
      dueMs = Number.POSITIVE_INFINITY
    },
  }
}

function helloOf(frame: Uint8Array): Hello | undefined {
  try {
    return decodeHello(frame)
  } catch {
    return undefined
  }
}

function sampleOf<T>(all: readonly T[], count: number): T[] {
  const left = [...all]
  const out: T[] = []
  while (left.length && out.length < count) {
    out.push(...left.splice(Math.floor(Math.random() * left.length), 1))
  }
  return out
}
