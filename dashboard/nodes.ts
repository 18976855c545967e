/** The table of nodes: every one of them, to be sorted, searched and chosen by keyboard. */

import type { NodeView } from '../src/management.ts'
import { SHOWN_ROWS } from './bounds.ts'
import { chip } from './card.ts'
import type { Mesh } from './model.ts'
import { middle } from './model.ts'
import { h, useMemo, useState, type VNode } from './preact.ts'
import {
  countOf,
  duration,
  nameOf,
  number,
  offset,
  percent,
  rtt,
  shortId,
  stateOf,
} from './words.ts'

export interface NodesProps {
  readonly mesh: Mesh
  readonly chosen: string
  onChoose(id: string): void
}

interface Column {
  readonly name: string
  /** Left out where there is no room for it. */
  readonly isMinor?: boolean
  value(node: NodeView): number | string
  shown(node: NodeView): string | VNode
}

const TONES = { bad: 0, busy: 1, ok: 2 } as const

const rateOf = ({ report }: NodeView): number =>
  report?.perSecond ? report.perSecond.delivered + report.perSecond.forwarded : -1
const rttOf = ({ report }: NodeView): number =>
  middle((report?.links ?? []).flatMap(({ rttMs }) => rttMs ?? [])) ?? -1
const known = (value: number, shown: (value: number) => string): string =>
  value < 0 ? '–' : shown(value)

const COLUMNS: readonly Column[] = [
  { name: 'Node', value: (node) => nameOf(node), shown: (node) => nameOf(node) },
  {
    name: 'State',
    value: (node) => TONES[stateOf(node).tone],
    shown: (node) => chip(stateOf(node).word, stateOf(node).tone),
  },
  { name: 'Edges', value: ({ edges }) => edges, shown: ({ edges }) => number(edges) },
  {
    name: 'Links',
    value: ({ report }) => report?.links.length ?? -1,
    shown: ({ report }) => (report ? number(report.links.length) : '–'),
  },
  { name: 'RTT', value: rttOf, shown: (node) => known(rttOf(node), rtt) },
  { name: 'Signals/s', value: rateOf, shown: (node) => known(rateOf(node), number) },
  {
    name: 'Behind',
    value: ({ report }) => report?.homesBehind ?? -1,
    shown: ({ report }) => (report ? number(report.homesBehind) : '–'),
  },
  {
    name: 'Load',
    isMinor: true,
    value: ({ report }) => report?.load ?? -1,
    shown: ({ report }) => percent(report?.load ?? null),
  },
  {
    name: 'Clock',
    isMinor: true,
    value: ({ report }) => Math.abs(report?.clockOffsetMs ?? -1),
    shown: ({ report }) => offset(report?.clockOffsetMs ?? null),
  },
  {
    name: 'Up',
    isMinor: true,
    value: ({ report }) => report?.uptimeSeconds ?? -1,
    shown: ({ report }) => (report ? duration(report.uptimeSeconds) : '–'),
  },
  {
    name: 'Runs on',
    isMinor: true,
    value: ({ report, runtime }) => report?.runtime || runtime || '',
    shown: ({ report, runtime }) => report?.runtime || runtime || '–',
  },
]

export function Nodes({ mesh, chosen, onChoose }: NodesProps): VNode {
  const [by, setBy] = useState({ column: 1, isDown: false })
  const [wanted, setWanted] = useState('')
  const found = useMemo(() => search(mesh.nodes, wanted), [mesh.nodes, wanted])
  const sorted = useMemo(() => sort(found, by.column, by.isDown), [found, by])
  const rows = sorted.slice(0, SHOWN_ROWS)
  const said =
    rows.length < mesh.nodes.size
      ? `${number(rows.length)} of ${countOf(mesh.nodes.size, 'node', 'nodes')}`
      : countOf(rows.length, 'node', 'nodes')
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'nodes-title' },
    h(
      'div',
      { class: 'head-row' },
      h('h2', { id: 'nodes-title' }, 'Nodes'),
      h('label', { for: 'search', class: 'unseen' }, 'Find a node by name, id or runtime'),
      h('input', {
        id: 'search',
        type: 'search',
        placeholder: 'Name, id or runtime',
        value: wanted,
        onInput: (event: Event) => setWanted((event.target as HTMLInputElement).value),
      }),
      h('p', { class: 'hint', role: 'status' }, said),
    ),
    h(
      'div',
      { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Table of nodes' },
      h(
        'table',
        { class: 'nodes' },
        h('caption', { class: 'unseen' }, 'Nodes of the mesh. A button in each head sorts by it.'),
        h('thead', null, h('tr', null, ...COLUMNS.map((column, i) => head(column, i, by, setBy)))),
        h(
          'tbody',
          null,
          ...rows.map((node) =>
            h(Row, { key: node.id, node, isChosen: node.id === chosen, onChoose }),
          ),
        ),
      ),
    ),
  )
}

interface Order {
  readonly column: number
  readonly isDown: boolean
}

function head(column: Column, i: number, by: Order, setBy: (by: Order) => void): VNode {
  const isOn = by.column === i
  const sort = isOn ? { 'aria-sort': by.isDown ? 'descending' : 'ascending' } : {}
  const onClick = (): void => setBy({ column: i, isDown: isOn ? !by.isDown : i > 1 })
  return h(
    'th',
    { scope: 'col', class: column.isMinor ? 'minor' : '', ...(sort as object) },
    h('button', { type: 'button', onClick }, column.name, isOn && (by.isDown ? ' ↓' : ' ↑')),
  )
}

interface RowProps {
  readonly node: NodeView
  readonly isChosen: boolean
  onChoose(id: string): void
}

/** The same as long as its node is: most rows of a large mesh are not drawn anew. */
function Row({ node, isChosen, onChoose }: RowProps): VNode {
  return useMemo(() => {
    const choose = { type: 'button', 'aria-pressed': isChosen, onClick: () => onChoose(node.id) }
    return h(
      'tr',
      { 'data-row': node.id, class: isChosen ? 'chosen' : '' },
      h(
        'th',
        { scope: 'row' },
        h('button', { ...(choose as object), title: node.id }, nameOf(node)),
      ),
      ...COLUMNS.slice(1).map((column) =>
        h('td', { class: column.isMinor ? 'minor' : '' }, column.shown(node)),
      ),
    )
  }, [node, isChosen])
}

function search(nodes: ReadonlyMap<string, NodeView>, wanted: string): NodeView[] {
  const word = wanted.trim().toLowerCase()
  const all = [...nodes.values()]
  if (word === '') return all
  return all.filter(({ id, report, runtime }) =>
    [id, report?.name, report?.runtime ?? runtime].some((text) =>
      text?.toLowerCase().includes(word),
    ),
  )
}

function sort(nodes: readonly NodeView[], column: number, isDown: boolean): NodeView[] {
  const { value } = COLUMNS[column] as Column
  const sign = isDown ? -1 : 1
  const compared = (a: NodeView, b: NodeView): number => {
    const [x, y] = [value(a), value(b)]
    const order = typeof x === 'string' ? x.localeCompare(String(y)) : x - Number(y)
    return order === 0 ? shortId(a.id).localeCompare(shortId(b.id)) : sign * order
  }
  return [...nodes].sort(compared)
}
