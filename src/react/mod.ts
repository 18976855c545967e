/**
 * The edge client for React: an edge and its rooms, alive while a component shows them.
 *
 * @module
 */

'use client'

import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Edge, RoomEvents, RoomOptions, Topic } from '../edge/mod.ts'
import { keyOf } from './key.ts'
import type { Store } from './store.ts'
import { type Mesh, type MeshOptions, meshStore, type RoomView, roomStore } from './stores.ts'

export type { Mesh, MeshOptions, RoomView } from './stores.ts'

export interface UseRoomOptions extends RoomOptions {
  /** Called with each message; what came before waits for it. */
  readonly onMessage?: (message: RoomEvents['message']) => void
}

/**
 * An edge of this component: joins when it is mounted, closes when it is not, and joins anew where the
 * options say something else. Functions may change at any time: the latest is called. Each call of the
 * hook is an edge of its own; hand it down, or put it in a context. On a server: `connecting`.
 * @example
 * const { state, edge, error } = useMesh({ urls: ['https://mesh.example.org'] })
 */
export function useMesh(options: MeshOptions = {}): Mesh {
  const latest = useLatest(options)
  const key = keyOf(options)
  const [kept, keep] = useState(() => ({ key, store: meshStore(() => latest.current) }))
  let { store } = kept
  if (kept.key !== key) {
    store = meshStore(() => latest.current)
    keep({ key, store })
  }
  return useStore(store)
}

/**
 * The topic's room: joined while a component shows it, left after, and joined anew where topic or options
 * say something else. Components that ask for the same share it. Without an edge, or on a server: `connecting`.
 * @example
 * const { edge } = useMesh()
 * const { peers, room } = useRoom(edge, 'my-room', { onMessage: ({ from, data }) => console.log(from, data) })
 */
export function useRoom(
  edge: Edge | undefined,
  topic: Topic,
  { onMessage, ...options }: UseRoomOptions = {},
): RoomView {
  const view = useStore(roomStore(edge, topic, options))
  const latest = useLatest(onMessage)
  const { room } = view
  const isHeard = onMessage !== undefined
  useEffect(
    () => (isHeard ? room?.on('message', (message) => latest.current?.(message)) : undefined),
    [room, isHeard, latest],
  )
  return view
}

function useStore<Snapshot>({ subscribe, get, idle }: Store<Snapshot>): Snapshot {
  return useSyncExternalStore(subscribe, get, () => idle)
}

/** What was last rendered, for those who are called between renderings. */
function useLatest<T>(value: T): { readonly current: T } {
  const latest = useRef(value)
  useEffect(() => {
    latest.current = value
  })
  return latest
}
