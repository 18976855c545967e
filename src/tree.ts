/** The tree: which neighbours are sent every packet, and which are only told that there is one. */

import { badFrame, concat, fromHex, reader, toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { HASH_BYTES } from './crypto.ts'
import type { NodeId } from './identity.ts'
import {
  DOUBT_MS,
  GRAFT_AFTER_MS,
  HAVE_AFTER_MS,
  MAX_HASHES_PER_WORD,
  MAX_MISSING_PER_NEIGHBOUR,
  MAX_REMEMBERED,
  TREE_WORDS_BURST,
  TREE_WORDS_PER_SECOND,
} from './limits.ts'
import { FRAME } from './messages.ts'
import { bucketsByKey, take } from './rate.ts'

/**
 * Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast Trees, 2007). A link on which a copy comes
 * becomes lazy at both ends, so that the eager ones soon are a tree; over lazy ones go the packets'
 * hashes, and who misses one of them makes the link eager again.
 */
export interface Tree {
  /** Says which neighbours there are; new ones are eager. */
  setNeighbours(ids: Iterable<NodeId>): void
  /** Something new is here, brought by `from` or this node's own. */
  news(id: string, from: NodeId | undefined, origin: NodeId): void
  /** A packet is here and need not be asked for, whatever became of it. */
  settle(id: string): void
  /** A neighbour has brought what another brought before. */
  repeated(from: NodeId): void
  /** Takes a neighbour's word. */
  receive(frame: Uint8Array, from: NodeId): void
  close(): void
}

export interface TreeOptions {
  readonly clock: Clock
  send(neighbour: NodeId, frame: Uint8Array): void
  /** Whether a packet was here. */
  has(id: string): boolean
  /** Sends a packet that the neighbour asks for, if it is at hand. */
  give(neighbour: NodeId, id: string): void
  /** Says to whom packets go from now on. */
  setEager(ids: readonly NodeId[]): void
}

/** What is known of one neighbour. */
interface Side {
  eager: boolean
  /** Whether anything new came over this link. */
  brought: boolean
  /** Hashes that it has yet to be told. */
  untold: string[]
  /** How many missing packets it was the first to name. */
  named: number
  /** Until then others are asked before it, for it did not send what it said it had. */
  doubtedUntilMs: number
  prunedAtMs: number
}

/** A packet that somebody has and this node has not. */
interface Missing {
  readonly first: Side
  /** Who has it, and whether it was asked. */
  readonly holders: Map<NodeId, boolean>
  asked: NodeId | undefined
  dueMs: number
}

export function createTree(options: TreeOptions): Tree {
  const { clock } = options
  const words = bucketsByKey(TREE_WORDS_PER_SECOND, TREE_WORDS_BURST, MAX_REMEMBERED)
  const sides = new Map<NodeId, Side>()
  const missing = new Map<string, Missing>()
  let cancelTick: (() => void) | undefined

  const say = (to: NodeId, word: Word, ids: readonly string[] = []): void =>
    options.send(to, encodeWord(word, ids))

  const isDoubted = (id: NodeId): boolean =>
    (sides.get(id)?.doubtedUntilMs ?? 0) > clock.monotonicMs()

  const show = (): void =>
    options.setEager([...sides].flatMap(([id, side]) => (side.eager ? [id] : [])))

  const setEager = (side: Side, eager: boolean): void => {
    if (side.eager === eager) return
    side.eager = eager
    show()
  }

  const tellAll = (id: NodeId, side: Side): void => {
    const ids = side.untold.splice(0)
    if (ids.length > 0) say(id, 'have', ids)
  }

  const wake = (): void => {
    cancelTick ??= clock.after(HAVE_AFTER_MS, () => {
      cancelTick = undefined
      for (const [id, side] of sides) tellAll(id, side)
      const due = [...missing].filter(([, { dueMs }]) => dueMs <= clock.monotonicMs())
      askFor(due)
      if (missing.size > 0) wake()
    })
  }

  const settle = (id: string): void => {
    const entry = missing.get(id)
    if (!entry) return
    entry.first.named -= 1
    missing.delete(id)
  }

  /** Asks the next who has each, those first who kept their word. */
  const askFor = (due: readonly [string, Missing][]): void => {
    const asks = new Map<NodeId, string[]>()
    for (const [id, entry] of due) {
      const broke = entry.asked && sides.get(entry.asked)
      if (broke) broke.doubtedUntilMs = clock.monotonicMs() + DOUBT_MS
      const left = [...entry.holders].flatMap(([holder, asked]) =>
        !asked && sides.has(holder) ? [holder] : [],
      )
      const next = left.find((holder) => !isDoubted(holder)) ?? left[0]
      if (next === undefined) {
        settle(id)
        continue
      }
      entry.holders.set(next, true)
      entry.asked = next
      entry.dueMs = clock.monotonicMs() + GRAFT_AFTER_MS
      asks.set(next, [...(asks.get(next) ?? []), id])
    }
    for (const [holder, ids] of asks) graft(holder, ids)
  }

  const graft = (holder: NodeId, ids: readonly string[]): void => {
    const side = sides.get(holder)
    if (side) setEager(side, true)
    for (let at = 0; at === 0 || at < ids.length; at += MAX_HASHES_PER_WORD) {
      say(holder, 'graft', ids.slice(at, at + MAX_HASHES_PER_WORD))
    }
  }

  const hear = (id: string, from: NodeId, side: Side): void => {
    if (options.has(id)) return
    const entry = missing.get(id)
    if (!entry) {
      if (side.named >= MAX_MISSING_PER_NEIGHBOUR) return
      side.named += 1
      const dueMs = clock.monotonicMs() + GRAFT_AFTER_MS
      missing.set(id, { first: side, holders: new Map([[from, false]]), asked: undefined, dueMs })
      wake()
      return
    }
    if (entry.holders.has(from)) return
    entry.holders.set(from, false)
    // Who did not keep its word once is waited for only while nobody else has the packet.
    if (entry.asked && isDoubted(entry.asked) && !isDoubted(from)) askFor([[id, entry]])
  }

  return {
    settle,
    setNeighbours: (ids) => {
      const now = new Set(ids)
      let isCut = false
      for (const [id, side] of sides) {
        if (now.has(id)) continue
        sides.delete(id)
        isCut ||= side.eager && side.brought
      }
      // What came by the lost link now comes by others, without waiting for the first to be missed.
      const lazy = [...sides].flatMap(([id, side]) => (isCut && !side.eager ? [id] : []))
      for (const id of now) if (!sides.has(id)) sides.set(id, newSide())
      for (const id of lazy) graft(id, [])
      show()
    },
    news: (id, from, origin) => {
      const bringer = from === undefined ? undefined : sides.get(from)
      if (bringer) {
        bringer.brought = true
        setEager(bringer, true)
      }
      for (const [neighbour, side] of sides) {
        if (side.eager || neighbour === from || neighbour === origin) continue
        side.untold.push(id)
        if (side.untold.length >= MAX_HASHES_PER_WORD) tellAll(neighbour, side)
        wake()
      }
    },
    repeated: (from) => {
      const side = sides.get(from)
      if (!side) return
      // Said again, should the first have been lost, but not for each copy that is under way.
      const isSaid = !side.eager && clock.monotonicMs() - side.prunedAtMs < GRAFT_AFTER_MS
      setEager(side, false)
      if (isSaid) return
      side.prunedAtMs = clock.monotonicMs()
      say(from, 'prune')
    },
    receive: (frame, from) => {
      const side = sides.get(from)
      if (!side || take(words(from), clock.monotonicMs()) > 0) return
      const { word, ids } = readWord(frame)
      if (word !== 'have') setEager(side, word === 'graft')
      for (const id of ids) {
        if (word === 'graft') options.give(from, id)
        else hear(id, from, side)
      }
    },
    close: () => {
      cancelTick?.()
      cancelTick = undefined
      sides.clear()
      missing.clear()
    },
  }
}

function newSide(): Side {
  const [doubtedUntilMs, prunedAtMs] = [0, Number.NEGATIVE_INFINITY]
  return { eager: true, brought: false, untold: [], named: 0, doubtedUntilMs, prunedAtMs }
}

const WORDS = ['have', 'graft', 'prune'] as const

export type Word = (typeof WORDS)[number]

export function encodeWord(word: Word, ids: readonly string[]): Uint8Array {
  return concat(Uint8Array.of(FRAME.tree, WORDS.indexOf(word) + 1), ...ids.map(fromHex))
}

export function readWord(frame: Uint8Array): { word: Word; ids: string[] } {
  const r = reader(frame.subarray(1))
  const word = WORDS[r.u8() - 1]
  if (word === undefined) throw badFrame('a word of the tree that nobody knows')
  const count = r.left / HASH_BYTES
  if (count > (word === 'prune' ? 0 : MAX_HASHES_PER_WORD) || (word === 'have' && count === 0)) {
    throw badFrame(`a word of the tree with ${count} hashes`)
  }
  const ids: string[] = []
  while (r.left > 0) ids.push(toHex(r.bytes(HASH_BYTES)))
  return { word, ids }
}
