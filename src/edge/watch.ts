/** Watches: the joins and leaves of topics, as the home pushes them. */

import { equal, toHex, writer } from '../bytes.ts'
import { SignalMeshError } from '../errors.ts'
import type { NodeId, PeerId } from '../identity.ts'
import { MAX_DISCOVER, MAX_SAMPLE } from '../limits.ts'
import {
  decodeFound,
  decodePush,
  type Found,
  type FoundList,
  type HelloTopic,
  type Push,
} from '../messages.ts'
import type { Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { openInfo } from './info.ts'

export type Change =
  | {
      readonly kind: 'join'
      readonly id: PeerId
      readonly home: NodeId
      /** What the peer says of itself in this topic; empty if it says nothing. */
      readonly info: Uint8Array
    }
  | { readonly kind: 'leave'; readonly id: PeerId }

export interface WatchesOptions {
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Told of a list before it is checked; settles when that is quick. */
  ready?(list: readonly Found[]): Promise<void> | undefined
  /** Of those told, the ones that are what they say. */
  found(tag: string, list: readonly Found[]): Found[]
  /** Whether this edge is in the topic itself. */
  isIn(tag: string): boolean
}

/** A topic to watch: its tag for the home, its key for what the peers say of themselves. */
export interface WatchTopic {
  readonly tag: Uint8Array
  readonly key: Uint8Array
}

/** A watch that tells at once. */
export interface Following {
  /** Settles when the first list was told. */
  readonly started: Promise<void>
  /** How many others are in the topic and were not told of, for there were too many. */
  unseen(): number
  stop(): void
}

export interface Watches {
  watch(topic: WatchTopic, signal: AbortSignal | undefined): AsyncIterable<Change>
  /** The same by a call for each change. */
  follow(topic: WatchTopic, take: (change: Change) => void): Following
  receive(frame: Uint8Array): void
  /** The topics that are watched. */
  readonly tags: readonly Uint8Array[]
  /** Asks a new home to watch, and tells what changed meanwhile, as far as its first frame told it. */
  resume(topics: readonly HelloTopic[]): void
  close(): void
}

interface Watch extends WatchTopic {
  readonly present: Map<PeerId, Present>
  readonly followers: Set<Follower>
  /** How many others are there that no list or push has named. */
  unseen: number
  /** Settles with the first list. */
  started: Promise<void>
  /** Lists that are asked for and not there yet. */
  asked: number
  /** Pushes that came meanwhile: a list may be overtaken by news of later changes. */
  held: Push[]
}

interface Present {
  readonly presence: Presence
  readonly info: Uint8Array
}

interface Follower {
  take(change: Change): void
  /** The edge is closed. */
  end(): void
}

export function createWatches(options: WatchesOptions): Watches {
  const watches = new Map<string, Watch>()
  let closed = false

  const tell = (watch: Watch, change: Change): void => {
    for (const follower of [...watch.followers]) follower.take(change)
  }

  const joined = (watch: Watch, { presence, advert }: Found): void => {
    const { peer: id, home } = presence
    const known = watch.present.get(id)?.presence
    if (known && known.seq >= presence.seq) return
    // Another session: what anybody had with the one before it is gone.
    if (known && !equal(known.boxKey, presence.boxKey)) left(watch, id)
    const isNews = watch.present.get(id)?.presence.home !== home
    const present = { presence, info: openInfo(watch.key, advert) }
    watch.present.set(id, present)
    if (isNews) tell(watch, joinOf(id, present))
  }

  const left = (watch: Watch, id: PeerId): void => {
    if (watch.present.delete(id)) tell(watch, { kind: 'leave', id })
    else watch.unseen = Math.max(0, watch.unseen - 1)
  }

  const takePush = (watch: Watch, push: Push): void => {
    if (push.kind === 'join') {
      for (const one of options.found(push.tag, [push.found])) joined(watch, one)
    } else left(watch, push.peer)
  }

  const takeList = (watch: Watch, list: FoundList, limit: number): void => {
    const found = options.found(toHex(watch.tag), list.found)
    // A whole list tells who has left; a sample of many does not.
    const isWhole = list.total <= limit
    const still = new Set(found.map(({ presence }) => presence.peer))
    for (const id of [...watch.present.keys()]) {
      if (isWhole && !still.has(id)) left(watch, id)
    }
    // Before anybody is told, for they may ask.
    const known = new Set([...watch.present.keys(), ...still])
    const others = list.total - (options.isIn(toHex(watch.tag)) ? 1 : 0)
    watch.unseen = Math.max(0, others - known.size)
    for (const one of found) joined(watch, one)
  }

  const ask = async (watch: Watch): Promise<void> => {
    watch.asked += 1
    try {
      const body = writer(33).bytes(watch.tag).u8(MAX_DISCOVER).done()
      const list = decodeFound(await options.request(EDGE_METHOD.watch, body))
      const ready = options.ready?.(list.found)
      if (ready) await ready
      takeList(watch, list, MAX_DISCOVER)
    } finally {
      watch.asked -= 1
      if (watch.asked === 0) for (const push of watch.held.splice(0)) takePush(watch, push)
    }
  }

  const watchOf = ({ tag, key }: WatchTopic): Watch => {
    const known = watches.get(toHex(tag))
    if (known) return known
    const watch: Watch = {
      tag,
      key,
      present: new Map(),
      followers: new Set(),
      unseen: 0,
      started: Promise.resolve(),
      asked: 0,
      held: [],
    }
    watches.set(toHex(tag), watch)
    watch.started = ask(watch)
    return watch
  }

  const follow = (topic: WatchTopic, take: Follower['take'], end = (): void => {}): Following => {
    const watch = watchOf(topic)
    const follower: Follower = { take, end }
    watch.followers.add(follower)
    for (const [id, present] of watch.present) take(joinOf(id, present))
    return {
      started: watch.started,
      unseen: () => watch.unseen,
      stop: () => {
        if (!watch.followers.delete(follower) || watch.followers.size > 0) return
        watches.delete(toHex(watch.tag))
        // A home that has gone forgets the watch by itself.
        if (!closed) options.request(EDGE_METHOD.unwatch, watch.tag).catch(() => undefined)
      },
    }
  }

  /** Watches from the first time that it is asked for a change until it is returned. */
  const changes = async function* (
    topic: WatchTopic,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Change> {
    if (closed || signal?.aborted) return
    const queue: Change[] = []
    let wake = (): void => {}
    const onAbort = (): void => wake()
    const take = (change: Change): void => {
      queue.push(change)
      wake()
    }
    const following = follow(topic, take, onAbort)
    let failure: { error: unknown } | undefined
    signal?.addEventListener('abort', onAbort)
    following.started.catch((error: unknown) => {
      failure = { error }
      wake()
    })
    try {
      while (!closed && !signal?.aborted) {
        if (failure) throw failure.error
        const change = queue.shift()
        if (change) yield change
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      following.stop()
    }
  }

  return {
    watch: (topic, signal) => {
      if (closed) throw new SignalMeshError('CLOSED', 'Cannot watch: the edge is closed')
      return changes(topic, signal)
    },
    follow,
    receive: (frame) => {
      const push = decodePush(frame)
      const watch = watches.get(push.tag)
      if (!watch) return
      if (watch.asked > 0) watch.held.push(push)
      else takePush(watch, push)
    },
    get tags() {
      return [...watches.values()].map(({ tag }) => tag)
    },
    resume: (topics) => {
      for (const topic of topics) {
        const watch = watches.get(toHex(topic.tag))
        if (watch) takeList(watch, topic, Math.floor(MAX_SAMPLE / topics.length))
      }
      // What fails here is asked again of the next home.
      for (const watch of watches.values()) ask(watch).catch(() => undefined)
    },
    close: () => {
      closed = true
      for (const watch of watches.values()) {
        for (const follower of watch.followers) follower.end()
      }
    },
  }
}

function joinOf(id: PeerId, { presence, info }: Present): Change {
  return { kind: 'join', id, home: presence.home, info }
}
