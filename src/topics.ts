/** The topic index: which edges are in a topic, with joins, leaves and a fair sample at any size. */

import type { PeerId } from './identity.ts'

export interface TopicChange {
  readonly tag: string
  readonly peer: PeerId
  readonly kind: 'join' | 'leave'
}

export interface TopicIndex {
  /** Says in which topics the edge is from now on. */
  set(peer: PeerId, tags: Iterable<string>): void
  /** Says of one topic alone whether the edge is in it from now on. */
  turn(peer: PeerId, tag: string, isIn: boolean): void
  /** Says that the edge, though in the same topics, is another session now: tells its joins again. */
  renew(peer: PeerId): void
  count(tag: string): number
  /** Topics that anybody is in. */
  readonly size: number
  /** The topic's edges in uniformly random order, drawn as far as they are asked for. */
  sample(tag: string): Iterable<PeerId>
  onChange(fn: (change: TopicChange) => void): void
}

/** A set that can be indexed: members in a list, and where each stands in it. */
interface Members {
  readonly list: PeerId[]
  readonly at: Map<PeerId, number>
}

export function createTopicIndex(random: () => number = Math.random): TopicIndex {
  const topics = new Map<string, Members>()
  const tagsOf = new Map<PeerId, Set<string>>()
  const listeners: ((change: TopicChange) => void)[] = []
  const untold: TopicChange[] = []
  let telling = false

  /** A listener may change the index; what follows from that is told after what came first. */
  const tell = (changes: readonly TopicChange[]): void => {
    untold.push(...changes)
    if (telling) return
    telling = true
    try {
      for (let change = untold.shift(); change; change = untold.shift()) {
        for (const listener of listeners) listener(change)
      }
    } finally {
      telling = false
    }
  }

  const add = (tag: string, peer: PeerId): void => {
    const members: Members = topics.get(tag) ?? { list: [], at: new Map() }
    members.at.set(peer, members.list.push(peer) - 1)
    topics.set(tag, members)
  }

  const remove = (tag: string, peer: PeerId): void => {
    const members = topics.get(tag)
    const at = members?.at.get(peer)
    if (!members || at === undefined) return
    const last = members.list.pop() as PeerId
    if (last !== peer) {
      members.list[at] = last
      members.at.set(last, at)
    }
    members.at.delete(peer)
    if (members.list.length === 0) topics.delete(tag)
  }

  return {
    set: (peer, tags) => {
      const before = tagsOf.get(peer)
      const after = new Set(tags)
      if (after.size) tagsOf.set(peer, after)
      else tagsOf.delete(peer)
      const left = [...(before ?? [])].filter((tag) => !after.has(tag))
      const joined = [...after].filter((tag) => !before?.has(tag))
      for (const tag of left) remove(tag, peer)
      for (const tag of joined) add(tag, peer)
      // Told only when the index is whole again, for a listener may look into it.
      tell([
        ...left.map((tag) => ({ tag, peer, kind: 'leave' as const })),
        ...joined.map((tag) => ({ tag, peer, kind: 'join' as const })),
      ])
    },
    turn: (peer, tag, isIn) => {
      const tags = tagsOf.get(peer) ?? new Set<string>()
      if (tags.has(tag) === isIn) return
      if (isIn) tagsOf.set(peer, tags.add(tag))
      else tags.delete(tag)
      if (tags.size === 0) tagsOf.delete(peer)
      if (isIn) add(tag, peer)
      else remove(tag, peer)
      tell([{ tag, peer, kind: isIn ? 'join' : 'leave' }])
    },
    renew: (peer) => {
      tell([...(tagsOf.get(peer) ?? [])].map((tag) => ({ tag, peer, kind: 'join' as const })))
    },
    count: (tag) => topics.get(tag)?.list.length ?? 0,
    get size() {
      return topics.size
    },
    sample: (tag) => draw(topics.get(tag)?.list ?? [], random),
    onChange: (fn) => {
      listeners.push(fn)
    },
  }
}

/** Fisher and Yates's shuffle, one draw at a time, over a list that it leaves as it is. */
function* draw(list: readonly PeerId[], random: () => number): Iterable<PeerId> {
  const moved = new Map<number, number>()
  for (let left = list.length; left > 0; left--) {
    const pick = Math.floor(random() * left)
    const index = moved.get(pick) ?? pick
    moved.set(pick, moved.get(left - 1) ?? left - 1)
    yield list[index] as PeerId
  }
}
