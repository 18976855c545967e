/** Totals and rates: the numbers of the whole mesh, each with how it went in the last minutes. */

import type { Mesh, Sample } from './model.ts'
import { h, type VNode } from './preact.ts'
import { spark } from './spark.ts'
import { number, rtt } from './words.ts'

interface Figure {
  readonly name: string
  readonly key: Exclude<keyof Sample, 'atMs'>
  /** Said to who points at it. */
  readonly about: string
}

const TOTALS: readonly Figure[] = [
  { name: 'Nodes', key: 'nodes', about: 'Nodes that the answering node knows' },
  { name: 'Edges', key: 'edges', about: 'Browsers and programs at home with them' },
  { name: 'Topics', key: 'topics', about: 'Topics that these are in' },
  { name: 'Records', key: 'records', about: 'Records of the whole directory' },
  { name: 'Behind', key: 'behind', about: 'How often a node lacks something of a home' },
  { name: 'Middle RTT', key: 'rttMs', about: 'There and back on the middle link' },
]

const RATES: readonly Figure[] = [
  { name: 'Delivered', key: 'delivered', about: 'Between edges of one node' },
  { name: 'Forwarded', key: 'forwarded', about: 'Gone on to other nodes' },
  { name: 'Received', key: 'received', about: 'Come from other nodes' },
  { name: 'Refused', key: 'refused', about: 'Gone no further, for whatever reason' },
  { name: 'Failed', key: 'failed', about: 'Of these, those without a way' },
]

export function Totals({ mesh }: { readonly mesh: Mesh }): VNode {
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'totals-title' },
    h('h2', { id: 'totals-title' }, 'The whole mesh'),
    h('dl', { class: 'figures' }, ...TOTALS.map((figure) => drawn(mesh.history, figure))),
  )
}

export function Rates({ mesh }: { readonly mesh: Mesh }): VNode {
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'rates-title' },
    h('h2', { id: 'rates-title' }, 'Signals each second'),
    h('dl', { class: 'figures' }, ...RATES.map((figure) => drawn(mesh.history, figure))),
    h('p', { class: 'hint' }, 'Sums of what the nodes report, with each heartbeat of ten seconds.'),
  )
}

function drawn(history: readonly Sample[], { name, key, about }: Figure): VNode {
  const value = history.at(-1)?.[key]
  const shown = key === 'rttMs' ? rtt(value) : number(value ?? Number.NaN)
  const points = history.map((sample) => ({ at: sample.atMs, value: sample[key] }))
  return h(
    'div',
    { class: 'figure', 'data-figure': key, title: about },
    h('dt', null, name),
    h('dd', null, shown, spark(points)),
  )
}
