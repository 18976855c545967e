/** What the page knows: plain data, changed by the parts that talk, read by the parts that draw. */

import type { NodeId, Path, PeerId, Why } from '../src/edge/mod.ts'

export type PeerState = 'found' | 'connecting' | 'connected' | 'lost' | 'failed'

export interface PeerView {
  readonly id: PeerId
  /** Empty until the mesh has told it. */
  home: NodeId
  /** Whether the mesh says that it is in the room. */
  present: boolean
  state: PeerState
  path: Path
  /** Why the last attempt failed. */
  error: string
  /** What keeps it from a direct path. */
  why: () => Why | undefined
  sent: number
  received: number
}

export interface HomeView {
  url: string
  /** Also while it is lost: the one that the page had last. */
  nodeId: NodeId
  state: 'connecting' | 'open' | 'withheld' | 'closed'
  /** When the home was lost; undefined while there is one. */
  lostAtMs: number | undefined
  /** The last change of homes. */
  move: { readonly from: NodeId; readonly ms: number; readonly kept: number } | undefined
}

export interface ChatLine {
  readonly kind: 'own' | 'peer' | 'note'
  readonly from: PeerId
  readonly text: string
  readonly timeMs: number
  /** To how many pages an own message went. */
  readonly reached?: number
}

/** What the demo's launcher says about its nodes. */
export interface DemoNews {
  /** A link for other devices on the network. */
  readonly phone?: string
  readonly running: readonly NodeId[]
}

export interface PageState {
  readonly room: string
  readonly startedAtMs: number
  self: PeerId
  readonly home: HomeView
  readonly peers: Map<PeerId, PeerView>
  /** What homes run on, as the page's node told it at the start. */
  runtimes: Readonly<Record<NodeId, string>>
  readonly lines: ChatLine[]
  /** What keeps the page from working at all. */
  failure: string
  demo: DemoNews | undefined
  stopping: boolean
}

/** What a page shows of a chat; older lines are dropped. */
const MAX_LINES = 200
/** What is shown of one message of a stranger. */
const MAX_TEXT_CHARS = 2_000

export function newState(room: string, nowMs: number): PageState {
  return {
    room,
    startedAtMs: nowMs,
    self: '',
    home: { url: '', nodeId: '', state: 'connecting', lostAtMs: undefined, move: undefined },
    peers: new Map(),
    runtimes: {},
    lines: [],
    failure: '',
    demo: undefined,
    stopping: false,
  }
}

/** The peer's entry, made if there is none. */
export function peerOf(state: PageState, id: PeerId): PeerView {
  const known = state.peers.get(id)
  if (known) return known
  const peer: PeerView = {
    id,
    home: '',
    present: false,
    state: 'found',
    path: 'unknown',
    error: '',
    why: () => undefined,
    sent: 0,
    received: 0,
  }
  state.peers.set(id, peer)
  return peer
}

export function isRelayed({ peers }: PageState): boolean {
  return [...peers.values()].some(({ state, path }) => state === 'connected' && path === 'mesh')
}

export function connectedCount(state: PageState): number {
  return [...state.peers.values()].filter((peer) => peer.state === 'connected').length
}

export function addLine(state: PageState, line: Omit<ChatLine, 'timeMs'>, nowMs: number): void {
  const text =
    line.text.length > MAX_TEXT_CHARS ? `${line.text.slice(0, MAX_TEXT_CHARS)}…` : line.text
  state.lines.push({ ...line, text, timeMs: nowMs })
  if (state.lines.length > MAX_LINES) state.lines.shift()
}

/** A home's short id, with what it runs on, if that is known. */
export function homeName(id: NodeId, runtimes: PageState['runtimes']): string {
  const runtime = runtimes[id]
  return runtime ? `${shortId(id)} ${runtime}` : shortId(id)
}

/** As much of a key as people compare at a glance. */
export function shortId(id: string): string {
  return id.slice(0, 6)
}
