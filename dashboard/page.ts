/** The dashboard: the whole mesh in a page, as the node that serves it hears of it. */

import { Admin } from './admin.ts'
import { DRAW_EVERY_MS, SHOWN_CARDS } from './bounds.ts'
import { Card } from './card.ts'
import { Convergence } from './convergence.ts'
import { Events, Troubles } from './events.ts'
import { type FeedState, openFeed } from './feed.ts'
import { Graph } from './graph.ts'
import { apply, type Mesh, NOTHING } from './model.ts'
import { Nodes } from './nodes.ts'
import { h, render, useState, type VNode } from './preact.ts'
import { Rates, Totals } from './totals.ts'
import { nameOf } from './words.ts'

const STATE_WORDS: Readonly<Record<FeedState, readonly [tone: string, text: string]>> = {
  connecting: ['busy', 'Connecting to the node…'],
  live: ['ok', 'Live: the node says what is new within a second.'],
  asked: ['busy', 'No push from the node; the page asks it again and again.'],
  lost: ['bad', 'The node does not answer; what is shown is the last that it said.'],
  recorded: ['busy', 'A recording, not a live mesh.'],
  unreadable: ['bad', 'This recording cannot be read.'],
}

interface Shown {
  readonly mesh: Mesh
  readonly state: FeedState
}

function Dashboard({ mesh, state }: Shown): VNode {
  const [picked, setPicked] = useState('')
  const chosen = mesh.nodes.has(picked) ? picked : ''
  const choose = (id: string): void => {
    setPicked(id)
    const behaviour = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'
    setTimeout(() => {
      const card = document.querySelector(`[data-node="${CSS.escape(id)}"]`)
      card?.scrollIntoView({ block: 'nearest', behavior: behaviour })
    })
  }
  const [tone, said] = STATE_WORDS[state]
  const all = [...mesh.nodes.values()]
  const one = mesh.nodes.get(chosen) ?? mesh.nodes.get(mesh.self) ?? all[0]
  const isFew = all.length <= SHOWN_CARDS
  const cards = h(
    'section',
    { class: 'cards', 'aria-label': 'Cards of nodes' },
    ...(isFew ? all : one ? [one] : []).map((node) =>
      h(Card, { key: node.id, mesh, node, isChosen: node.id === chosen }),
    ),
  )
  const [events, rates] = [h(Events, { mesh }), h(Rates, { mesh })]
  const admin = h(Admin, { network: mesh.network })
  const isRecorded = state === 'recorded' || state === 'unreadable'
  return h(
    'div',
    { class: 'board' },
    h(
      'header',
      null,
      h(
        'h1',
        null,
        h('img', { src: '/icon.svg', alt: '', width: 28, height: 28 }),
        'Mesh ',
        h('strong', { id: 'network' }, mesh.network || '…'),
      ),
      h(
        'p',
        null,
        'as node ',
        h('strong', { id: 'self' }, nameOf(mesh.nodes.get(mesh.self), mesh.self) || '…'),
        ' sees it',
      ),
    ),
    h('p', { id: 'status', role: 'status', 'data-tone': tone, 'data-state': state }, said),
    h(
      'main',
      null,
      h(Troubles, { mesh, onChoose: choose }),
      h(Totals, { mesh }),
      h(
        'section',
        { class: 'panel topology', 'aria-labelledby': 'topology-title' },
        h('h2', { id: 'topology-title' }, 'Links'),
        h(Graph, { mesh, chosen, onChoose: choose }),
        legend(),
      ),
      h('div', { class: 'beside' }, ...(isFew ? [events, rates] : [cards])),
      isFew ? cards : rates,
      h(Nodes, { mesh, chosen, onChoose: choose }),
      h('div', { class: 'half' }, h(Convergence, { mesh })),
      h('div', { class: 'half' }, isFew ? null : events, isRecorded ? null : admin),
    ),
    h(
      'footer',
      null,
      h('p', { class: 'hint' }, 'What a node says of itself is its own claim, signed by it.'),
      h('a', { href: '/mesh.json' }, 'As JSON'),
      h('a', { href: '/source' }, 'Source and licences'),
    ),
  )
}

const MARKS = [
  ['circle', 'well'],
  ['diamond', 'needs a look'],
  ['square', 'silent'],
  ['line slow', 'slow link'],
  ['line relayed', 'relayed link'],
  ['line doubted', 'named by one end'],
] as const

function legend(): VNode {
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Signs in the drawing' },
    ...MARKS.map(([mark, text]) =>
      h('li', null, h('span', { class: `mark ${mark}`, 'aria-hidden': 'true' }), text),
    ),
    h('li', { class: 'hint' }, 'Drag to move; Ctrl and wheel, or two fingers, to zoom'),
  )
}

const root = document.getElementById('page') as HTMLElement
let shown: Shown = { mesh: NOTHING, state: 'connecting' }
let isDue = false

/** News of one moment come in several messages, and are drawn as one. */
function draw(next: Partial<Shown>): void {
  shown = { ...shown, ...next }
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    render(h(Dashboard, shown), root)
  }, DRAW_EVERY_MS)
}

render(h(Dashboard, shown), root)
openFeed(new URLSearchParams(location.search), {
  onMessages: (messages) => draw({ mesh: messages.reduce(apply, shown.mesh) }),
  onState: (state) => {
    if (state !== shown.state) draw({ state })
  },
})
