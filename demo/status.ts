/** The status line: one sentence on how the page is doing. */

import { byId, set, setText } from './element.ts'
import { connectedCount, type PageState, shortId } from './state.ts'

export interface Status {
  readonly tone: 'busy' | 'ok' | 'bad'
  readonly text: string
}

/** After this long without a home the line says what to look at. */
const SLOW_MS = 4_000

export function statusOf(state: PageState, nowMs: number): Status {
  const { home, self } = state
  if (state.failure) return { tone: 'bad', text: state.failure }
  if (!self) {
    const isSlow = nowMs - state.startedAtMs > SLOW_MS
    const text = isSlow
      ? 'Still looking for a home node; is the node that served this page running?'
      : 'Joining the mesh…'
    return { tone: 'busy', text }
  }
  const open = connections(connectedCount(state))
  if (home.state !== 'open') {
    const isSlow = nowMs - (home.lostAtMs ?? nowMs) > SLOW_MS
    const next = isSlow
      ? 'no other answers. Start a node again: this page comes back by itself'
      : 'the page looks for another'
    return {
      tone: 'bad',
      text: `Home ${shortId(home.nodeId)} is gone, ${next}; ${open} still open.`,
    }
  }
  if (home.move) {
    const { from, ms, kept: then } = home.move
    const where =
      from === home.nodeId
        ? `Back at home ${shortId(from)}`
        : `Back through home ${shortId(home.nodeId)} after ${shortId(from)} went`
    return { tone: 'ok', text: `${where}, in ${ms} ms: same id, ${connections(then)} kept.` }
  }
  if (state.peers.size === 0) {
    return { tone: 'ok', text: 'In the mesh. Waiting for somebody to open this room.' }
  }
  return { tone: 'ok', text: `In the mesh, ${open} open.` }
}

export function renderStatus(state: PageState, nowMs: number): void {
  const { tone, text } = statusOf(state, nowMs)
  const line = byId('status')
  set(line, { 'data-tone': tone })
  setText(line, text)
  byId('again').hidden = state.failure === ''
}

function connections(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`
}
