/** The launcher's control: a socket over which the demo's own pages may stop a node. */

import type { NodeId } from '../src/edge/mod.ts'
import type { DemoNews } from './state.ts'

/** What the launcher says. */
export type ControlNews =
  | ({ readonly kind: 'nodes' } & DemoNews)
  | { readonly kind: 'refused'; readonly reason: string }

/** What a page asks for. */
export interface ControlRequest {
  readonly kind: 'stop'
  readonly nodeId: NodeId
}

export interface Control {
  stop(nodeId: NodeId): void
}

export interface ControlEvents {
  onNews(news: DemoNews): void
  onRefused(reason: string): void
  /** The launcher has gone, or was never there. */
  onGone(): void
}

/** A socket and not a request: a page's policy lets it open sockets to other ports alone. */
export function openControl(at: string, events: ControlEvents): Control {
  const socket = new WebSocket(`ws://${at}`)
  socket.binaryType = 'arraybuffer'
  socket.addEventListener('message', ({ data }) => {
    const news = JSON.parse(new TextDecoder().decode(data)) as ControlNews
    if (news.kind === 'nodes') events.onNews(news)
    else events.onRefused(news.reason)
  })
  socket.addEventListener('close', () => events.onGone())
  return {
    stop: (nodeId) => {
      const request: ControlRequest = { kind: 'stop', nodeId }
      socket.send(new TextEncoder().encode(JSON.stringify(request)))
    },
  }
}
