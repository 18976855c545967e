/** Events: what has come, gone and gone wrong lately, the newest first; and what is wrong now. */

import type { MeshEvent } from '../src/management.ts'
import { chip } from './card.ts'
import type { Mesh } from './model.ts'
import { h, type VNode } from './preact.ts'
import { troublesOf } from './troubles.ts'
import { clock, nameOf } from './words.ts'

const TONES: Readonly<Record<MeshEvent['kind'], string>> = {
  joined: 'ok',
  recovered: 'ok',
  suspected: 'busy',
  left: 'busy',
  refused: 'bad',
}

const SHOWN_NAMES = 4

export function Events({ mesh }: { readonly mesh: Mesh }): VNode {
  const newest = [...mesh.events].reverse()
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'events-title' },
    h('h2', { id: 'events-title' }, 'Events'),
    newest.length === 0
      ? h('p', { class: 'empty' }, 'Nothing has happened since this node began.')
      : h(
          'ol',
          { class: 'events scroll short', tabIndex: 0, 'aria-labelledby': 'events-title' },
          ...newest.map((event) => line(mesh, event)),
        ),
  )
}

function line({ nodes }: Mesh, { atMs, kind, node, code }: MeshEvent): VNode {
  return h(
    'li',
    { 'data-kind': kind, 'data-of': node },
    h('time', { dateTime: isoOf(atMs) }, clock(atMs)),
    chip(kind, TONES[kind]),
    h('span', { class: 'who' }, nameOf(nodes.get(node), node), code !== undefined && ` (${code})`),
  )
}

function isoOf(atMs: number): string {
  return clock(atMs) === '–' ? '' : new Date(atMs).toISOString()
}

interface TroublesProps {
  readonly mesh: Mesh
  onChoose(id: string): void
}

export function Troubles({ mesh, onChoose }: TroublesProps): VNode {
  const troubles = troublesOf(mesh)
  const none = mesh.nodes.size === 0 ? 'No node is known yet.' : 'All is well.'
  return h(
    'section',
    { class: 'troubles', 'aria-labelledby': 'troubles-title', 'data-count': troubles.length },
    h('h2', { id: 'troubles-title', class: 'unseen' }, 'What is wrong'),
    troubles.length === 0
      ? h('p', { class: 'trouble', 'data-tone': mesh.nodes.size === 0 ? 'busy' : 'ok' }, none)
      : troubles.map(({ tone, text, nodes }) =>
          h(
            'div',
            { class: 'trouble', 'data-tone': tone, key: text },
            h('p', null, text, nodes.length > 0 && ':'),
            ...nodes
              .slice(0, SHOWN_NAMES)
              .map((id) =>
                h(
                  'button',
                  { type: 'button', key: id, onClick: () => onChoose(id) },
                  nameOf(mesh.nodes.get(id), id),
                ),
              ),
            nodes.length > SHOWN_NAMES && h('p', null, `and ${nodes.length - SHOWN_NAMES} more`),
          ),
        ),
  )
}
