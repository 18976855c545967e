/** The tab's end of a shared worker: a way to dial over the one socket of all tabs, or over an own one at need. */

import type { Clock } from '../clock.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import { PROBE_TIMEOUT_MS, SHARED_AHEAD_BYTES } from '../limits.ts'
import { type Link, type LinkSource, makeLink } from '../link.ts'
import { report } from './events.ts'
import { awaitLock, holdLock } from './sharedlocks.ts'
import { listen, type Port, type PortMessage, post } from './sharedmessages.ts'

/** The URL of the worker's script, or a function that starts it where a bundler has to see how. */
export type SharedWorkerSource = string | URL | (() => SharedWorker)

export interface SharedGround {
  readonly clock: Clock
  /** Opens a socket of this tab's own. */
  dial(url: string): Link
  /** Absent where the page is not secure. */
  readonly locks?: LockManager | undefined
}

/** Makes an edge's links go over the worker; `sharedWorker` of joinMesh takes it. */
export type SharedSocket = (ground: SharedGround) => (url: string) => Link

/** What is needed of a SharedWorker. */
export interface WorkerHandle {
  readonly port: Port
  onerror: ((event: never) => unknown) | null
}

/** Gives the `dial` of an edge whose links go over the worker for as long as one can be had. */
export function sharedDial(
  source: SharedWorkerSource | (() => WorkerHandle),
  ground: SharedGround,
): (url: string) => Link {
  let tab: Tab | undefined
  let wasEverHeard = false
  /** It is not there, or not any more: the node that served its script may be the home that was lost. */
  let isUnusable = typeof source !== 'function' && typeof SharedWorker !== 'function'

  return (url) => {
    if (isUnusable) return ground.dial(url)
    try {
      tab ??= openTab(startWorker(source), ground, (end) => {
        tab = undefined
        isUnusable ||= end === 'unheard' || end === 'failed'
        // Once it has run, that it cannot be started again is no mistake of the page.
        if (end === 'failed' && !wasEverHeard) reportUnusable(undefined)
        wasEverHeard ||= end === 'heard'
      })
      return tab.open(url)
    } catch (cause) {
      isUnusable = true
      // Not every browser has shared workers; that is nobody's mistake.
      if (typeof SharedWorker === 'function') reportUnusable(cause)
      return ground.dial(url)
    }
  }
}

/** Another number for other messages: a worker of before lives on as long as its tabs do. */
const WORKER_NAME = 'signal-mesh/1'

function startWorker(source: SharedWorkerSource | (() => WorkerHandle)): WorkerHandle {
  if (typeof source === 'function') return source()
  return new SharedWorker(source, { type: 'module', name: WORKER_NAME })
}

function reportUnusable(cause: unknown): void {
  const why = cause === undefined ? 'its script did not load' : asMeshError(cause).message
  const text = `The shared worker cannot be had, so this tab uses a socket of its own: ${why}`
  report(new SignalMeshError('BAD_ARGUMENT', text, { cause }))
}

interface Tab {
  open(url: string): Link
}

interface TabLink extends LinkSource {
  /** Frames taken, of which the worker was not told yet. */
  unsaidBytes: number
  cancelTimer(): void
}

/** What is known of the worker when a tab leaves it; `failed`: it could not be started. */
type TabEnd = 'heard' | 'unheard' | 'failed' | 'left early'

/** Connects with the worker. It ends with its last link. */
function openTab(
  worker: WorkerHandle,
  { clock, locks }: SharedGround,
  onEnd: (end: TabEnd) => void,
): Tab {
  const { port } = worker
  const links = new Map<number, TabLink>()
  let lastId = 0
  let wasHeard = false
  let isOver = false
  let stopAwaiting = (): void => {}

  const end = (reason: string, unheard: TabEnd = 'unheard'): void => {
    if (isOver) return
    isOver = true
    stopAwaiting()
    release()
    globalThis.removeEventListener?.('pagehide', onPageHide)
    port.onmessage = null
    port.close()
    onEnd(wasHeard ? 'heard' : unheard)
    for (const id of [...links.keys()]) remove(id, reason)
  }

  const remove = (id: number, reason: string): void => {
    const link = links.get(id)
    link?.cancelTimer()
    links.delete(id)
    link?.end(reason)
    if (links.size === 0) end(reason, 'left early')
  }

  /** A tab that is closed says so; of one that crashes its lock tells, or its silence. */
  const onPageHide = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) return
    for (const [id, { link }] of links) {
      link.close('GONE')
      remove(id, 'GONE')
    }
  }

  const open = (url: string): Link => {
    const id = ++lastId
    const source = makeLink({
      send: (frame) => post(port, ['frame', id, frame]),
      bufferedBytes: () => 0,
      close: (reason) => {
        post(port, ['close', id, reason])
        remove(id, reason)
      },
    })
    const cancelTimer = clock.after(PROBE_TIMEOUT_MS, () => end('The shared worker is silent'))
    links.set(id, { ...source, unsaidBytes: 0, cancelTimer })
    post(port, ['open', id, url])
    return source.link
  }

  const take = (id: number, entry: TabLink, frame: Uint8Array): void => {
    entry.unsaidBytes += frame.length
    if (entry.unsaidBytes >= SHARED_AHEAD_BYTES) {
      post(port, ['read', id, entry.unsaidBytes])
      entry.unsaidBytes = 0
    }
    entry.receive(frame)
  }

  const receive = ([kind, id, value]: PortMessage): void => {
    wasHeard = true
    const entry = links.get(id)
    if (kind === 'lock') {
      stopAwaiting = awaitLock(locks, value, () => end('The shared worker has ended'))
    } else if (kind === 'opened') entry?.cancelTimer()
    else if (kind === 'frame' && entry) take(id, entry, value)
    else if (kind === 'close') remove(id, value)
  }

  worker.onerror = () => end('The shared worker could not be started', 'failed')
  listen(port, receive)
  const release = holdLock(locks, (name) => {
    if (!isOver) post(port, ['lock', 0, name])
  })
  globalThis.addEventListener?.('pagehide', onPageHide)
  return { open }
}
