/** Asking: requests to whichever home the edge has, or has next. */

import type { Clock } from '../clock.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import { MAX_REQUEST_TRIES, REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { HomeLink } from './homelink.ts'

export interface AskingOptions {
  readonly clock: Clock
  /** The home that the edge has now. */
  open(): HomeLink | undefined
  /** Whether it will have none any more. */
  isClosed(): boolean
  /** Why it has none. */
  lastError(): SignalMeshError | undefined
}

export interface Asking {
  /**
   * Puts a request to the home, and to the next one if that is lost meanwhile: every request may be
   * made twice. `makeBody` gives `undefined` when there is nothing to ask any more.
   * @throws SignalMeshError `NO_HOME`, `TIMEOUT`, `CLOSED`, or what the home refused with
   */
  ask(method: number, makeBody: () => Uint8Array | undefined): Promise<Uint8Array>
  /** There is a home again, or there will be none. */
  wake(): void
}

export function createAsking(options: AskingOptions): Asking {
  const waiters = new Set<() => void>()

  const whenOpen = (): Promise<HomeLink> => {
    const now = options.open()
    if (now) return Promise.resolve(now)
    if (options.isClosed()) return Promise.reject(closedError())
    return new Promise((resolve, reject) => {
      const cancelTimer = options.clock.after(REQUEST_TIMEOUT_MS, () => {
        waiters.delete(waiter)
        reject(noHomeError(options.lastError()))
      })
      const waiter = (): void => {
        cancelTimer()
        waiters.delete(waiter)
        const home = options.open()
        if (home) resolve(home)
        else reject(closedError())
      }
      waiters.add(waiter)
    })
  }

  return {
    ask: async (method, makeBody) => {
      for (let left = MAX_REQUEST_TRIES; ; left--) {
        const { rpc } = await whenOpen()
        const body = makeBody()
        if (!body) return new Uint8Array(0)
        try {
          return await rpc.request(method, body)
        } catch (error) {
          if (options.isClosed()) throw closedError()
          if (asMeshError(error).code !== 'CLOSED' || left === 1) throw error
        }
      }
    },
    wake: () => {
      for (const waiter of [...waiters]) waiter()
    },
  }
}

function closedError(): SignalMeshError {
  return new SignalMeshError('CLOSED', 'The edge is closed')
}

/** What an edge says that finds no home. */
export function noHomeError(cause: SignalMeshError | undefined): SignalMeshError {
  const why = cause ? `: ${cause.message}` : ''
  return new SignalMeshError(
    'NO_HOME',
    `No home node answered; check its URL and that it runs${why}`,
    { cause },
  )
}
