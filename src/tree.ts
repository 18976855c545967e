/** The tree: which neighbours are sent every packet, and which are only told that there is one. */

import { badFrame, concat, fromHex, reader, toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { HASH_BYTES } from './crypto.ts'
import type { NodeId } from './identity.ts'
import {
  GRAFT_AFTER_MS,
  HAVE_AFTER_MS,
  HOME_EXPIRES_MS,
  MAX_HASHES_PER_WORD,
  MAX_REMEMBERED,
  TREE_WORDS_BURST,
  TREE_WORDS_PER_SECOND,
} from './limits.ts'
import { FRAME } from './messages.ts'
import { createMissing } from './missing.ts'
import { bucketsByKey, take } from './rate.ts'

/**
 * Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast Trees, 2007). A link on which a copy comes
 * becomes lazy at both ends, so that the eager ones soon are a tree; over lazy ones go the packets'
 * hashes, and who misses one of them makes the link eager again. All nodes send here, and copies of
 * packets with different origins would cut the tree of each other; so only those of one origin count,
 * the root: the lowest NodeId heard of lately.
 */
export interface Tree {
  /** Says which neighbours there are; new ones are eager. */
  setNeighbours(ids: Iterable<NodeId>): void
  /** Something new is here, brought by `from` or this node's own. */
  news(id: string, from: NodeId | undefined, origin: NodeId): void
  /** A packet is here and need not be asked for, whatever becomes of it. */
  settle(id: string): void
  /** A neighbour has brought what another brought before. */
  repeated(from: NodeId, origin: NodeId): void
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
  readonly untold: string[]
  prunedAtMs: number
}

export function createTree(options: TreeOptions): Tree {
  const { clock } = options
  const words = bucketsByKey(TREE_WORDS_PER_SECOND, TREE_WORDS_BURST, MAX_REMEMBERED)
  const sides = new Map<NodeId, Side>()
  let root: { readonly id: NodeId; readonly heardAtMs: number } | undefined
  let cancelTick: (() => void) | undefined

  const show = (): void =>
    options.setEager([...sides].flatMap(([id, side]) => (side.eager ? [id] : [])))

  const setEager = (side: Side, eager: boolean): void => {
    if (side.eager === eager) return
    side.eager = eager
    show()
  }

  /** Makes the link eager at both ends and asks for these packets. */
  const graft = (id: NodeId, packets: readonly string[]): void => {
    const side = sides.get(id)
    if (!side) return
    setEager(side, true)
    for (let at = 0; at === 0 || at < packets.length; at += MAX_HASHES_PER_WORD) {
      options.send(id, encodeWord('graft', packets.slice(at, at + MAX_HASHES_PER_WORD)))
    }
  }

  const graftAll = (): void => {
    for (const [id, side] of sides) if (!side.eager) graft(id, [])
  }

  /** The first packet of a new root goes everywhere, and its copies make the new tree. */
  const heardOf = (origin: NodeId): void => {
    const isRoot = root?.id === origin
    const heardAtMs = clock.monotonicMs()
    if (root && !isRoot && root.id < origin && heardAtMs - root.heardAtMs <= HOME_EXPIRES_MS) return
    root = { id: origin, heardAtMs }
    if (!isRoot) graftAll()
  }

  const missing = createMissing(clock, graft)

  const tell = (id: NodeId, { untold }: Side): void => {
    if (untold.length > 0) options.send(id, encodeWord('have', untold.splice(0)))
  }

  const wake = (): void => {
    cancelTick ??= clock.after(HAVE_AFTER_MS, () => {
      cancelTick = undefined
      for (const [id, side] of sides) tell(id, side)
      missing.askDue()
      if (missing.size > 0) wake()
    })
  }

  return {
    settle: missing.settle,
    setNeighbours: (ids) => {
      const now = new Set(ids)
      let isCut = false
      for (const [id, side] of sides) {
        if (now.has(id)) continue
        sides.delete(id)
        missing.forget(id)
        isCut ||= side.eager && side.brought
      }
      for (const id of now) if (!sides.has(id)) sides.set(id, newSide())
      show()
      // What came by the lost link comes by others now, without waiting for the first to be missed.
      if (isCut) graftAll()
    },
    news: (id, from, origin) => {
      heardOf(origin)
      const bringer = from === undefined ? undefined : sides.get(from)
      if (bringer) bringer.brought = true
      // It was quicker than the word that made the link lazy.
      if (from !== undefined && bringer?.eager === false) graft(from, [])
      for (const [neighbour, side] of sides) {
        if (side.eager || neighbour === origin) continue
        side.untold.push(id)
        if (side.untold.length >= MAX_HASHES_PER_WORD) tell(neighbour, side)
        wake()
      }
    },
    repeated: (from, origin) => {
      const side = sides.get(from)
      if (!side || origin !== root?.id) return
      // Said again, should the first have been lost, but not for each copy that is under way.
      const isSaid = !side.eager && clock.monotonicMs() - side.prunedAtMs < GRAFT_AFTER_MS
      setEager(side, false)
      if (isSaid) return
      side.prunedAtMs = clock.monotonicMs()
      options.send(from, encodeWord('prune'))
    },
    receive: (frame, from) => {
      const side = sides.get(from)
      if (!side || take(words(from), clock.monotonicMs()) > 0) return
      const { word, ids } = readWord(frame)
      if (word !== 'have') setEager(side, word === 'graft')
      for (const id of ids) {
        if (word === 'graft') options.give(from, id)
        else if (!options.has(id)) missing.hear(id, from)
      }
      if (missing.size > 0) wake()
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
  return { eager: true, brought: false, untold: [], prunedAtMs: Number.NEGATIVE_INFINITY }
}

const WORDS = ['have', 'graft', 'prune'] as const

export type Word = (typeof WORDS)[number]

export function encodeWord(word: Word, ids: readonly string[] = []): Uint8Array {
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
