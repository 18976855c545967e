/** The list of peers: a card for each, with its state and its drawing. */

import type { PeerId } from '../src/edge/mod.ts'
import { badge } from './badge.ts'
import { byId, make, set, setText } from './element.ts'
import type { Travel } from './room.ts'
import { type PageState, type PeerView, shortId } from './state.ts'
import { makeStrip, type Strip } from './strip.ts'
import { makeWhyLine } from './why.ts'

const STATE_WORDS = {
  found: 'found',
  connecting: 'connecting',
  connected: 'connected',
  lost: 'lost',
  failed: 'failed, trying again',
} as const

const TONES = {
  found: 'busy',
  connecting: 'busy',
  connected: 'ok',
  lost: 'bad',
  failed: 'bad',
} as const

interface Card {
  readonly element: HTMLLIElement
  readonly strip: Strip
  update(peer: PeerView): void
}

export interface Peers {
  render(state: PageState): void
  travel(peer: PeerId, what: Travel): void
}

export function makePeers(): Peers {
  const list = byId('peers')
  const none = byId('no-peers')
  const cards = new Map<PeerId, Card>()
  return {
    render: (state) => {
      for (const [id, { element }] of cards) {
        if (state.peers.has(id)) continue
        element.remove()
        cards.delete(id)
      }
      for (const peer of state.peers.values()) {
        const card = cards.get(peer.id) ?? makeCard(peer.id)
        if (!cards.has(peer.id)) list.append(card.element)
        cards.set(peer.id, card)
        card.update(peer)
        card.strip.update(state.home, peer, state.runtimes)
      }
      none.hidden = cards.size > 0 || state.self === ''
    },
    travel: (peer, what) => cards.get(peer)?.strip.travel(what),
  }
}

function makeCard(id: PeerId): Card {
  const state = make('span', { class: 'chip' })
  const arrows = make('span', { class: 'counts', 'aria-hidden': 'true' })
  const counts = make('span', { class: 'unseen' })
  const error = make('p', { class: 'error' })
  const strip = makeStrip()
  const why = makeWhyLine()
  const name = make('h3', { title: id }, badge(id), 'Page ', make('code', {}, shortId(id)))
  const head = make('div', { class: 'card-head' }, name, arrows, counts, state)
  const element = make(
    'li',
    { class: 'card', 'data-peer': id },
    head,
    strip.element,
    error,
    why.element,
  )
  return {
    element,
    strip,
    update: (peer) => {
      set(element, { 'data-state': peer.state, 'data-path': peer.path, 'data-home': peer.home })
      const path = peer.path === 'unknown' ? '' : ` · ${peer.path}`
      set(state, { 'data-tone': TONES[peer.state] })
      setText(state, peer.state === 'connected' ? `connected${path}` : STATE_WORDS[peer.state])
      setText(arrows, `↑ ${peer.sent}  ↓ ${peer.received}`)
      setText(counts, `${peer.sent} sent, ${peer.received} received`)
      setText(error, peer.state === 'failed' ? peer.error : '')
      error.hidden = peer.state !== 'failed'
      why.update(peer.state === 'connecting' || peer.state === 'found' ? undefined : peer.why())
    },
  }
}
