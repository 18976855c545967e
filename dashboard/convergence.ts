/** Convergence: whether all nodes see the same directory, and who is how far behind which home. */

import type { Mesh } from './model.ts'
import { h, type VNode } from './preact.ts'
import { countOf, nameOf, number } from './words.ts'

/** Homes and nodes up to which all pairs are shown. */
const MATRIX_NODES = 12
const SHOWN_LAGS = 50

interface Lag {
  readonly node: string
  readonly home: string
  readonly batches: number
}

export function Convergence({ mesh }: { readonly mesh: Mesh }): VNode {
  const lags = lagsOf(mesh)
  const few = mesh.nodes.size <= MATRIX_NODES
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'convergence-title', 'data-lags': lags.length },
    h('h2', { id: 'convergence-title' }, 'Directory'),
    h('ul', { class: 'sights' }, ...sights(mesh)),
    few ? matrix(mesh, lags) : lagTable(mesh, lags),
  )
}

/** What each node says that it lacks, the most first. */
export function lagsOf({ nodes }: Mesh): Lag[] {
  return [...nodes.values()]
    .flatMap(({ id, report }) =>
      (report?.behind ?? []).map(({ node, batches }) => ({ node: id, home: node, batches })),
    )
    .sort((a, b) => b.batches - a.batches)
}

/** Nodes that see the same counted together: where all agree there is one line. */
function sights({ nodes }: Mesh): VNode[] {
  const counts = new Map<string, number>()
  for (const { report } of nodes.values()) {
    if (!report) continue
    const { homes, edges, records } = report.sees
    const said = `${countOf(homes, 'node', 'nodes')}, ${countOf(edges, 'edge', 'edges')}, ${countOf(records, 'record', 'records')}`
    counts.set(said, (counts.get(said) ?? 0) + 1)
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a)
  const most = sorted.slice(0, 3).map(([said, count], i) => {
    const who = `${number(count)} of ${countOf(nodes.size, 'node', 'nodes')}`
    return h(
      'li',
      { 'data-tone': i === 0 ? 'ok' : 'busy' },
      `${who} ${count === 1 ? 'sees' : 'see'} ${said}`,
    )
  })
  const rest = sorted.slice(3).reduce((sum, [, count]) => sum + count, 0)
  return rest > 0
    ? [
        ...most,
        h(
          'li',
          { 'data-tone': 'busy' },
          `${countOf(rest, 'other sees', 'others see')} something else`,
        ),
      ]
    : most
}

function matrix({ nodes }: Mesh, lags: readonly Lag[]): VNode {
  const all = [...nodes.values()]
  const of = new Map(lags.map(({ node, home, batches }) => [`${node} ${home}`, batches]))
  const cell = (node: string, home: string): VNode => {
    if (node === home)
      return h('td', { class: 'own' }, h('span', { class: 'unseen' }, 'itself'), '·')
    const report = nodes.get(node)?.report
    const batches = of.get(`${node} ${home}`) ?? 0
    return h('td', { 'data-tone': batches > 0 ? 'busy' : 'ok' }, report ? number(batches) : '–')
  }
  return h(
    'div',
    {
      class: 'scroll',
      tabIndex: 0,
      role: 'region',
      'aria-label': 'Batches behind, by node and home',
    },
    h(
      'table',
      { class: 'matrix' },
      h('caption', null, 'Batches that a node (row) lacks of a home (column)'),
      h(
        'thead',
        null,
        h('tr', null, h('td', null), ...all.map((node) => h('th', { scope: 'col' }, nameOf(node)))),
      ),
      h(
        'tbody',
        null,
        ...all.map((row) =>
          h(
            'tr',
            null,
            h('th', { scope: 'row' }, nameOf(row)),
            ...all.map(({ id }) => cell(row.id, id)),
          ),
        ),
      ),
    ),
  )
}

function lagTable({ nodes }: Mesh, lags: readonly Lag[]): VNode {
  if (lags.length === 0) return h('p', { class: 'empty' }, 'No node says that it lacks anything.')
  const name = (id: string): string => nameOf(nodes.get(id), id)
  const hidden = lags.length - SHOWN_LAGS
  return h(
    'div',
    {
      class: 'scroll short',
      tabIndex: 0,
      role: 'region',
      'aria-label': 'Nodes that lack something',
    },
    h(
      'table',
      null,
      h('caption', { class: 'unseen' }, 'Nodes that lack batches of a home, the most first'),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          ...['Node', 'lacks of', 'Batches'].map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h(
        'tbody',
        null,
        ...lags
          .slice(0, SHOWN_LAGS)
          .map(({ node, home, batches }) =>
            h(
              'tr',
              null,
              h('th', { scope: 'row' }, name(node)),
              h('td', null, name(home)),
              h('td', null, number(batches)),
            ),
          ),
      ),
    ),
    hidden > 0 && h('p', { class: 'hint' }, `and ${countOf(hidden, 'other', 'others')}`),
  )
}
