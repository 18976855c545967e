/** Missing packets: what neighbours say they have and this node has not, and which of them to ask for it. */

import type { Clock } from './clock.ts'
import type { NodeId } from './identity.ts'
import { DOUBT_MS, GRAFT_AFTER_MS, MAX_MISSING_PER_NEIGHBOUR } from './limits.ts'

export interface Missing {
  readonly size: number
  /** A neighbour says that it has a packet. */
  hear(id: string, from: NodeId): void
  /** The packet is here, or of no use. */
  settle(id: string): void
  /** A neighbour is gone. */
  forget(neighbour: NodeId): void
  /** Asks for all that is due. */
  askDue(): void
  clear(): void
}

interface Entry {
  /** Who has it, and whether it was asked. */
  readonly holders: Map<NodeId, boolean>
  asked: NodeId | undefined
  dueMs: number
}

export function createMissing(
  clock: Clock,
  ask: (holder: NodeId, ids: readonly string[]) => void,
): Missing {
  const entries = new Map<string, Entry>()
  /** How many packets each neighbour has named. */
  const named = new Map<NodeId, number>()
  /** Until when others are asked before a neighbour, which did not send what it said it had. */
  const doubted = new Map<NodeId, number>()

  const isDoubted = (id: NodeId): boolean => (doubted.get(id) ?? 0) > clock.monotonicMs()

  const settle = (id: string): void => {
    const entry = entries.get(id)
    if (!entry) return
    entries.delete(id)
    for (const holder of entry.holders.keys()) named.set(holder, (named.get(holder) ?? 1) - 1)
  }

  /** Of those who have it and were not asked, the first that has kept its word, or else the first. */
  const nextHolder = ({ holders }: Entry): NodeId | undefined => {
    const left = [...holders].flatMap(([holder, wasAsked]) => (wasAsked ? [] : [holder]))
    return left.find((holder) => !isDoubted(holder)) ?? left[0]
  }

  const askFor = (due: readonly (readonly [string, Entry])[]): void => {
    const asks = new Map<NodeId, string[]>()
    for (const [id, entry] of due) {
      if (entry.asked !== undefined && entry.holders.has(entry.asked)) {
        doubted.set(entry.asked, clock.monotonicMs() + DOUBT_MS)
      }
      const holder = nextHolder(entry)
      if (holder === undefined) {
        settle(id)
        continue
      }
      entry.holders.set(holder, true)
      entry.asked = holder
      entry.dueMs = clock.monotonicMs() + GRAFT_AFTER_MS
      const ids = asks.get(holder)
      if (ids) ids.push(id)
      else asks.set(holder, [id])
    }
    for (const [holder, ids] of asks) ask(holder, ids)
  }

  return {
    get size() {
      return entries.size
    },
    hear: (id, from) => {
      const known = entries.get(id)
      const count = named.get(from) ?? 0
      if (known?.holders.has(from) || count >= MAX_MISSING_PER_NEIGHBOUR) return
      named.set(from, count + 1)
      if (!known) {
        const dueMs = clock.monotonicMs() + GRAFT_AFTER_MS
        entries.set(id, { holders: new Map([[from, false]]), asked: undefined, dueMs })
        return
      }
      known.holders.set(from, false)
      // Who broke its word is waited for only while nobody else has the packet.
      if (known.asked !== undefined && isDoubted(known.asked) && !isDoubted(from)) {
        askFor([[id, known]])
      }
    },
    settle,
    forget: (neighbour) => {
      named.delete(neighbour)
      doubted.delete(neighbour)
      for (const [id, { holders }] of [...entries]) {
        holders.delete(neighbour)
        if (holders.size === 0) entries.delete(id)
      }
    },
    askDue: () => askFor([...entries].filter(([, { dueMs }]) => dueMs <= clock.monotonicMs())),
    clear: () => {
      entries.clear()
      named.clear()
    },
  }
}
