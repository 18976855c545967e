/** An external store for React: it runs while somebody is subscribed, and is idle before and after. */

export interface Store<Snapshot> {
  /** What it holds while it does not run; on a server, always. */
  readonly idle: Snapshot
  /** The same object until something changes. */
  get(): Snapshot
  /** Starts with the first who subscribes, ends with the last; gives what ends this subscription. */
  subscribe(changed: () => void): () => void
  /** Ends what runs and starts it anew, for those who are subscribed. */
  restart(): void
}

/** What runs: it sets snapshots until the signal is aborted. */
export type Start<Snapshot> = (set: (snapshot: Snapshot) => void, signal: AbortSignal) => void

/**
 * Makes a store. Starting and ending wait for the microtask: React subscribes twice in StrictMode, and
 * again at a hot reload, all within one task, and what runs lives through it.
 */
export function createStore<Snapshot>(idle: Snapshot, start: Start<Snapshot>): Store<Snapshot> {
  let snapshot = idle
  let running: AbortController | undefined
  const subscribers = new Set<() => void>()

  const begin = (): void => {
    const own = new AbortController()
    running = own
    start((next) => {
      if (own.signal.aborted) return
      snapshot = next
      tell()
    }, own.signal)
  }
  const end = (): void => {
    running?.abort()
    running = undefined
    snapshot = idle
  }
  const tell = (): void => {
    for (const changed of [...subscribers]) changed()
  }
  const settle = (): void => {
    if (subscribers.size > 0 && !running) begin()
    if (subscribers.size === 0) end()
  }

  return {
    idle,
    get: () => snapshot,
    subscribe: (changed) => {
      // A function of its own, since the same one may subscribe twice.
      const subscriber = (): void => changed()
      subscribers.add(subscriber)
      queueMicrotask(settle)
      return () => {
        subscribers.delete(subscriber)
        queueMicrotask(settle)
      }
    },
    restart: () => {
      end()
      tell()
      queueMicrotask(settle)
    },
  }
}
