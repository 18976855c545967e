/** Tabs of one origin in memory: ports that copy as browsers do, locks that end with who holds them, one worker. */

import { type Clock, settle } from '../../src/clock.ts'
import { sharedDial, type WorkerHandle } from '../../src/edge/shared.ts'
import type { Port } from '../../src/edge/sharedmessages.ts'
import { createSharedTabs } from '../../src/edge/sharedtabs.ts'
import { type Link, linkPair } from '../../src/link.ts'

export interface Tab {
  readonly dial: (url: string) => Link
  /** Ends the tab without a word, as a crash does. */
  crash(): void
  /** How often it has opened a socket of its own. */
  readonly ownDials: readonly string[]
}

export interface Origin {
  tab(options?: { readonly isSecure?: boolean }): Tab
  /** Ends the worker without a word; the next tab that asks gets a new one. */
  killWorker(): void
  /** While set, a worker that is started does not run. */
  isBroken: boolean
  /** How many workers were started. */
  readonly workers: number
}

interface Realm {
  isDead: boolean
  readonly locks: LockManager
  release(): void
}

interface Worker {
  readonly realm: Realm
  readonly connect: (port: Port) => void
}

export function makeOrigin(clock: Clock, dial: (url: string) => Link): Origin {
  const held = new Map<string, (() => void)[]>()
  let worker: Worker | undefined

  const startWorker = (isSecure: boolean): Worker => {
    const realm = makeRealm(held)
    origin.workers += 1
    const locks = isSecure ? realm.locks : undefined
    const links = new Set<Link>()
    const ownDial = (url: string): Link => {
      const link = dial(url)
      links.add(link)
      return link
    }
    const release = realm.release
    realm.release = () => {
      release()
      for (const link of links) link.close('killed')
    }
    return { realm, connect: createSharedTabs({ clock, dial: ownDial, locks }) }
  }

  const origin = {
    isBroken: false,
    workers: 0,
    tab: ({ isSecure = true } = {}): Tab => {
      const realm = makeRealm(held)
      const ownDials: string[] = []
      const start = (): WorkerHandle => {
        if (worker?.realm.isDead) worker = undefined
        const [near, far] = portPair(
          () => realm.isDead,
          () => origin.isBroken || (worker?.realm.isDead ?? true),
        )
        if (!origin.isBroken) {
          worker ??= startWorker(isSecure)
          worker.connect(far)
        }
        return { port: near, onerror: null }
      }
      const own = (url: string): Link => {
        ownDials.push(url)
        return realm.isDead ? linkPair()[0] : dial(url)
      }
      const locks = isSecure ? realm.locks : undefined
      return {
        dial: sharedDial(start, { clock, dial: own, locks }),
        ownDials,
        crash: () => end(realm),
      }
    },
    killWorker: () => {
      if (worker) end(worker.realm)
    },
  }
  return origin
}

function end(realm: Realm): void {
  realm.isDead = true
  realm.release()
}

/** Two ends of a message channel; what is posted arrives as a copy, if the other side still lives. */
function portPair(isNearDead: () => boolean, isFarDead: () => boolean): readonly [Port, Port] {
  const make = (other: () => Port, isDead: () => boolean, isOtherDead: () => boolean): Port => ({
    onmessage: null,
    close: () => {},
    postMessage: ((message: unknown, transfer: Transferable[] = []) => {
      const data = structuredClone(message, { transfer })
      if (isDead()) return
      queueMicrotask(() => {
        if (!isOtherDead()) other().onmessage?.call(null as never, { data } as MessageEvent)
      })
    }) as Port['postMessage'],
  })
  const near: Port = make(() => far, isNearDead, isFarDead)
  const far: Port = make(() => near, isFarDead, isNearDead)
  return [near, far]
}

/** Locks of one page or worker: what it holds is free once it has ended. */
function makeRealm(held: Map<string, (() => void)[]>): Realm {
  const own = new Set<string>()
  const free = (name: string): void => {
    own.delete(name)
    const [next, ...rest] = held.get(name) ?? []
    if (next) {
      held.set(name, rest)
      next()
    } else held.delete(name)
  }
  const request = async (
    name: string,
    ...[first, second]: readonly [
      LockOptions | LockGrantedCallback<void>,
      LockGrantedCallback<void>?,
    ]
  ): Promise<void> => {
    const options = typeof first === 'function' ? {} : first
    const granted = (typeof first === 'function' ? first : second) as LockGrantedCallback<void>
    if (held.has(name)) {
      const turn = Promise.withResolvers<void>()
      held.get(name)?.push(turn.resolve)
      options.signal?.addEventListener('abort', () => turn.reject(new Error('aborted')))
      await turn.promise
    } else held.set(name, [])
    own.add(name)
    await granted({ name, mode: 'exclusive' })
    if (own.has(name)) free(name)
  }
  return {
    isDead: false,
    locks: { request } as unknown as LockManager,
    release: () => {
      for (const name of [...own]) free(name)
    },
  }
}

/** Lets what tabs and worker say to each other arrive. */
export async function heard(): Promise<void> {
  for (let i = 0; i < 4; i++) await settle()
}
