/** Troubles: what of the mesh is not as it should be, in sentences, the worst first. */

import type { NodeView } from '../src/management.ts'
import { CLOCK_OFF_MS } from './bounds.ts'
import type { Tone } from './links.ts'
import type { Mesh } from './model.ts'
import { countOf } from './words.ts'

export interface Trouble {
  readonly tone: Exclude<Tone, 'ok'>
  readonly text: string
  /** Those that it is about; the page shows the first few. */
  readonly nodes: readonly string[]
}

export function troublesOf({ nodes, links, history }: Mesh): Trouble[] {
  const all = [...nodes.values()]
  const about = (
    tone: Trouble['tone'],
    one: string,
    many: string,
    is: (node: NodeView) => boolean,
  ): Trouble[] => {
    const found = all.filter(is).map(({ id }) => id)
    return found.length > 0 ? [{ tone, text: countOf(found.length, one, many), nodes: found }] : []
  }
  const isClockOff = ({ report }: NodeView): boolean =>
    Math.abs(report?.clockOffsetMs ?? 0) > CLOCK_OFF_MS
  const isAlone = ({ report, isSuspected }: NodeView): boolean =>
    all.length > 1 && !isSuspected && report?.links.length === 0
  const versions = new Set(all.flatMap(({ report }) => report?.protocolVersions.at(-1) ?? []))
  const slow = links.filter(({ tone, rttMs }) => tone === 'bad' && rttMs !== null).length
  const { failed = 0, delivered = 0, forwarded = 0 } = history.at(-1) ?? {}
  const failures = failed > 0.05 * (delivered + forwarded + failed)
  return [
    ...about('bad', 'node is silent', 'nodes are silent', ({ isSuspected }) => isSuspected),
    ...about('bad', 'node has no link', 'nodes have no link', isAlone),
    ...about('bad', 'node’s clock is off', 'nodes’ clocks are off', isClockOff),
    ...(failures
      ? [{ tone: 'bad' as const, text: 'More than 5 % of all signals find no way', nodes: [] }]
      : []),
    ...about(
      'busy',
      'node lacks something of others',
      'nodes lack something of others',
      ({ report }) => (report?.homesBehind ?? 0) > 0,
    ),
    ...about('busy', 'node is stopping', 'nodes are stopping', ({ report }) => !!report?.draining),
    ...about(
      'busy',
      'node says nothing of itself',
      'nodes say nothing of themselves',
      ({ report }) => !report,
    ),
    ...(slow > 0
      ? [{ tone: 'busy' as const, text: countOf(slow, 'slow link', 'slow links'), nodes: [] }]
      : []),
    ...(versions.size > 1
      ? [
          {
            tone: 'busy' as const,
            text: `${versions.size} versions of the protocol are spoken`,
            nodes: [],
          },
        ]
      : []),
  ]
}
