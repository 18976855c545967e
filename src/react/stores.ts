/** The stores of the hooks: an edge that joins and closes, and the rooms of an edge. */

import {
  type Connection,
  type Edge,
  type HomeStatus,
  type JoinOptions,
  joinMesh,
  type PeerId,
  type Room,
  type RoomOptions,
  SignalMeshError,
  type Topic,
} from '../edge/mod.ts'
import { keyOf } from './key.ts'
import { createStore, type Store } from './store.ts'

/** The edge as a component sees it. */
export interface Mesh {
  /** `failed`: see `error`; nothing is tried again before `retry()`. A home that is lost is another matter: see `home`. */
  readonly state: 'connecting' | 'open' | 'failed'
  /** While `open`. */
  readonly edge: Edge | undefined
  /** Where the edge is at home: anew at each change. */
  readonly home: HomeStatus | undefined
  readonly error: SignalMeshError | undefined
  /** Joins anew, with another edge. */
  readonly retry: () => void
}

export interface MeshOptions extends JoinOptions {
  /**
   * Called with each connection, whoever opened it. A listener that is added in an effect misses those
   * of the moments before React has rendered.
   */
  readonly onConnection?: (connection: Connection) => void
}

/** A room as a component sees it. */
export interface RoomView {
  readonly state: 'connecting' | 'open' | 'failed'
  /** While `open`: to send. */
  readonly room: Room | undefined
  /** Those connected: a new Map at each change. */
  readonly peers: ReadonlyMap<PeerId, Connection>
  readonly error: SignalMeshError | undefined
  readonly retry: () => void
}

/** The edge of one component; `latest` gives the options as they were last rendered. */
export function meshStore(latest: () => MeshOptions): Store<Mesh> {
  const retry = (): void => store.restart()
  const idle = { state: 'connecting', edge: undefined, home: undefined, error: undefined } as const
  const store = createStore<Mesh>({ ...idle, retry }, async (set, signal) => {
    const fail = (error: unknown): void =>
      set({ ...idle, state: 'failed', error: meshError(error), retry })
    try {
      const edge = await joinMesh(joinOptions(latest, signal))
      let isOver = false
      const open = (home: HomeStatus): void => set({ ...idle, state: 'open', edge, home, retry })
      const over = (error: SignalMeshError): void => {
        if (!isOver) fail(error)
        isOver = true
      }
      edge.on('connection', (connection) => latest().onConnection?.(connection))
      edge.on('error', over)
      edge.on('home', (home) => {
        if (home.state === 'closed') over(new SignalMeshError('CLOSED', 'The edge was closed'))
        else open(home)
      })
      open(edge.home)
    } catch (error) {
      fail(error)
    }
  })
  return store
}

function joinOptions(latest: () => MeshOptions, own: AbortSignal): JoinOptions {
  const { onConnection, ...options } = latest()
  return {
    ...options,
    ...(typeof options.onIncoming === 'function' && {
      onIncoming: (call) => latest().onIncoming?.(call),
    }),
    signal: bothOf(options.signal, own),
  }
}

const NOBODY: RoomView['peers'] = new Map()
const NOWHERE = roomStoreOf(() => new Promise<never>(() => {}))
const rooms = new WeakMap<Edge, Map<string, Store<RoomView>>>()

/** The room of this topic: one for all components of the edge that ask for it with equal options. */
export function roomStore(
  edge: Edge | undefined,
  topic: Topic,
  options: RoomOptions,
): Store<RoomView> {
  if (!edge) return NOWHERE
  const key = keyOf([topic, options])
  const ofEdge = rooms.get(edge) ?? new Map<string, Store<RoomView>>()
  rooms.set(edge, ofEdge)
  const store =
    ofEdge.get(key) ??
    roomStoreOf((own) => edge.join(topic, { ...options, signal: bothOf(options.signal, own) }))
  ofEdge.set(key, store)
  return store
}

function roomStoreOf(join: (signal: AbortSignal) => Promise<Room>): Store<RoomView> {
  const retry = (): void => store.restart()
  const idle = { state: 'connecting', room: undefined, peers: NOBODY, error: undefined } as const
  const store = createStore<RoomView>({ ...idle, retry }, async (set, signal) => {
    try {
      const room = await join(signal)
      const show = (): void => set({ ...idle, state: 'open', room, peers: room.peers, retry })
      room.on('change', show)
      show()
    } catch (error) {
      set({ ...idle, state: 'failed', error: meshError(error), retry })
    }
  })
  return store
}

/** What is no signal is passed on, to be refused by name. */
function bothOf(given: AbortSignal | undefined, own: AbortSignal): AbortSignal {
  return given instanceof AbortSignal ? AbortSignal.any([given, own]) : (given ?? own)
}

function meshError(error: unknown): SignalMeshError {
  if (error instanceof SignalMeshError) return error
  return new SignalMeshError('INTERNAL', `Joining went wrong: ${error}`, { cause: error })
}
