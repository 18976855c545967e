/** A node's card: what the answering node knows of it, and what it says of itself. */

import type { NodeView, ReportView } from '../src/management.ts'
import { LISTED } from './bounds.ts'
import { rttTone } from './links.ts'
import type { Mesh } from './model.ts'
import { type ComponentChildren, h, type VNode } from './preact.ts'
import { evenly, spark } from './spark.ts'
import {
  bytes,
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

export interface CardProps {
  readonly mesh: Mesh
  readonly node: NodeView
  readonly isChosen: boolean
}

export function Card({ mesh, node, isChosen }: CardProps): VNode {
  const { id, report } = node
  const state = stateOf(node)
  const rates = mesh.rates.get(id) ?? []
  const links = report?.links ?? []
  return h(
    'article',
    {
      class: isChosen ? 'card chosen' : 'card',
      'data-node': id,
      'data-state': state.word,
      'aria-labelledby': `card-${id}`,
    },
    h(
      'div',
      { class: 'card-head' },
      h(
        'h3',
        { id: `card-${id}` },
        report?.name || 'Node',
        ' ',
        h('code', { title: id }, shortId(id)),
      ),
      chip(state.word, state.tone),
    ),
    h('p', { class: 'hint' }, whoIs(node)),
    h(
      'dl',
      { class: 'facts' },
      fact('Edges', number(node.edges), 'edges'),
      fact('Neighbours', report ? number(links.length) : '–', 'neighbours'),
      fact('Signals/s', report?.perSecond ? number(rates.at(-1) ?? 0) : '–', 'rate'),
      fact('Load', percent(report?.load ?? null)),
      fact('Clock', offset(report?.clockOffsetMs ?? null)),
      fact('Up', report ? duration(report.uptimeSeconds) : '–'),
      fact('Records', number(report?.records ?? 0), 'records'),
      fact('Behind', report ? countOf(report.homesBehind, 'home', 'homes') : '–'),
      fact(
        'Log',
        `${number(node.index)}${node.behind ? ` (${number(node.behind)} missing here)` : ''}`,
      ),
    ),
    rates.length > 1 && spark(evenly(rates)),
    report && links.length > 0 && linkList(mesh, report),
    h('details', null, h('summary', null, 'More of it'), more(node)),
  )
}

function whoIs({ isSelf, isLinked, report, runtime }: NodeView): string {
  const place = isSelf ? 'The node that tells this' : isLinked ? 'Its neighbour' : 'Known by others'
  const parts = [report?.version && `version ${report.version}`, report?.runtime || runtime]
  return [place, ...parts.filter(Boolean)].join(' · ')
}

function linkList({ nodes }: Mesh, { links }: ReportView): VNode {
  return h(
    'ul',
    { class: 'links', 'aria-label': 'Its links' },
    ...links
      .slice(0, LISTED)
      .map(({ node, rttMs, relayed }) =>
        h(
          'li',
          { 'data-tone': rttTone(rttMs) },
          h('span', null, nameOf(nodes.get(node), node)),
          h(
            'span',
            null,
            `${rtt(rttMs)}${relayed ? ', relayed' : ''}${TONE_WORDS[rttTone(rttMs)]}`,
          ),
        ),
      ),
  )
}

const TONE_WORDS = { ok: '', busy: ', slow', bad: ', very slow' } as const

function more({ id, urls, stunAt, vias, report }: NodeView): VNode {
  const signals = report?.signals
  return h(
    'dl',
    { class: 'more' },
    wide('NodeId', h('code', null, id)),
    wide('Addresses', urls.join(', ') || 'none: others lead to it'),
    stunAt !== undefined && wide('STUN', stunAt),
    report && report.turnUrls.length > 0 && wide('TURN', report.turnUrls.join(', ')),
    vias.length > 0 && wide('Led to by', vias.map(shortId).join(', ')),
    report && wide('Offers', offers(report)),
    report && wide('Protocol', report.protocolVersions.join(', ')),
    signals &&
      wide(
        'Signals in all',
        `${number(signals.delivered)} delivered, ${number(signals.forwarded)} forwarded, ${number(
          signals.received,
        )} received, ${number(signals.refused)} refused, ${number(signals.failed)} failed`,
      ),
    report && wide('Carried', bytes(report.carriedBytes)),
    report &&
      wide(
        'It sees',
        `${countOf(report.sees.homes, 'node', 'nodes')}, ${countOf(report.sees.edges, 'edge', 'edges')}, ${countOf(report.sees.topics, 'topic', 'topics')}, ${countOf(report.sees.records, 'record', 'records')}`,
      ),
  )
}

function offers({ carries, lendsDht, private: listed, inside }: ReportView): string {
  const said = [
    carries && 'carries for edges without a path',
    lendsDht && 'lends its DHT',
    listed && 'listed nodes alone',
    inside && 'lives in a page',
  ].filter(Boolean)
  return said.join(', ') || 'nothing more'
}

export function chip(word: string, tone: string): VNode {
  return h('span', { class: 'chip', 'data-tone': tone }, word)
}

function fact(name: string, value: string, key?: string): VNode {
  return h('div', { 'data-fact': key }, h('dt', null, name), h('dd', null, value))
}

function wide(name: string, value: ComponentChildren): VNode {
  return h('div', null, h('dt', null, name), h('dd', null, value))
}
