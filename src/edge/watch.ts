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

export type Change =
  | { readonly kind: 'join'; readonly id: PeerId; readonly home: NodeId }
  | { readonly kind: 'leave'; readonly id: PeerId }

export interface WatchesOptions {
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Of those told, the ones that are what they say. */
  found(tag: string, list: readonly Found[]): Found[]
}

export interface Watches {
  watch(tag: Uint8Array, signal: AbortSignal | undefined): AsyncIterable<Change>
  receive(frame: Uint8Array): void
  /** The topics that are watched. */
  readonly tags: readonly Uint8Array[]
  /** Asks a new home to watch, and tells what changed meanwhile, as far as its first frame told it. */
  resume(topics: readonly HelloTopic[]): void
  close(): void
}

interface Watch {
  readonly tag: Uint8Array
  readonly present: Map<PeerId, Presence>
  readonly followers: Set<Follower>
  /** Settles with the first list. */
  started: Promise<void>
  /** Lists that are asked for and not there yet. */
  asked: number
  /** Pushes that came meanwhile: a list may be overtaken by news of later changes. */
  held: Push[]
}

/** One reader of a watch, with the changes that it has not taken yet. */
interface Follower {
  readonly queue: Change[]
  wake(): void
}

export function createWatches(options: WatchesOptions): Watches {
  const watches = new Map<string, Watch>()
  let closed = false

  const tell = (watch: Watch, change: Change): void => {
    for (const follower of watch.followers) {
      follower.queue.push(change)
      follower.wake()
    }
  }

  const joined = (watch: Watch, { presence }: Found): void => {
    const { peer: id, home } = presence
    const known = watch.present.get(id)
    if (known && known.seq >= presence.seq) return
    // Another session: what anybody had with the one before it is gone.
    if (known && !equal(known.boxKey, presence.boxKey)) left(watch, id)
    const isNews = watch.present.get(id)?.home !== home
    watch.present.set(id, presence)
    if (isNews) tell(watch, { kind: 'join', id, home })
  }

  const left = (watch: Watch, id: PeerId): void => {
    if (watch.present.delete(id)) tell(watch, { kind: 'leave', id })
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
    for (const one of found) joined(watch, one)
  }

  const ask = async (watch: Watch): Promise<void> => {
    watch.asked += 1
    try {
      const body = writer(33).bytes(watch.tag).u8(MAX_DISCOVER).done()
      const list = decodeFound(await options.request(EDGE_METHOD.watch, body))
      takeList(watch, list, MAX_DISCOVER)
    } finally {
      watch.asked -= 1
      if (watch.asked === 0) for (const push of watch.held.splice(0)) takePush(watch, push)
    }
  }

  const watchOf = (tag: Uint8Array): Watch => {
    const known = watches.get(toHex(tag))
    if (known) return known
    const watch: Watch = {
      tag,
      present: new Map(),
      followers: new Set(),
      started: Promise.resolve(),
      asked: 0,
      held: [],
    }
    watches.set(toHex(tag), watch)
    watch.started = ask(watch)
    return watch
  }

  const leave = (watch: Watch, follower: Follower): void => {
    watch.followers.delete(follower)
    if (watch.followers.size > 0) return
    watches.delete(toHex(watch.tag))
    // A home that has gone forgets the watch by itself.
    if (!closed) options.request(EDGE_METHOD.unwatch, watch.tag).catch(() => undefined)
  }

  /** Watches from the first time that it is asked for a change until it is returned. */
  const follow = async function* (
    tag: Uint8Array,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Change> {
    if (closed || signal?.aborted) return
    const watch = watchOf(tag)
    const queue = [...watch.present].map(([id, { home }]): Change => ({ kind: 'join', id, home }))
    const follower: Follower = { queue, wake: () => {} }
    const stop = (): void => follower.wake()
    let failure: { error: unknown } | undefined
    watch.followers.add(follower)
    signal?.addEventListener('abort', stop)
    watch.started.catch((error: unknown) => {
      failure = { error }
      stop()
    })
    try {
      while (!closed && !signal?.aborted) {
        if (failure) throw failure.error
        const change = queue.shift()
        if (change) yield change
        else await new Promise<void>((resolve) => (follower.wake = resolve))
      }
    } finally {
      signal?.removeEventListener('abort', stop)
      leave(watch, follower)
    }
  }

  return {
    watch: (tag, signal) => {
      if (closed) throw new SignalMeshError('CLOSED', 'Cannot watch: the edge is closed')
      return follow(tag, signal)
    },
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
        for (const follower of watch.followers) follower.wake()
      }
    },
  }
}
