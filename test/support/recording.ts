/** Recordings of made-up meshes, for the dashboard: what its socket would have said, a message on each line. */

import type { MeshMessage, MeshTotals, NodeView, ReportView } from '../../src/management.ts'

const START_MS = Date.UTC(2026, 0, 5, 12)
const REGIONS = ['fra', 'iad', 'nrt', 'gru', 'syd', 'ams'] as const
const RUNTIMES = ['node 24.21.0', 'deno 2.9.6', 'bun 1.4.5'] as const
const LINKS_EACH = 6
const STEPS = 60
const CHANGED_EACH = 12

/** The same for the same count: a few nodes are silent, behind, off or without a report, as in a large mesh. */
export function recordMesh(count: number): string {
  const random = seeded(count)
  const nodes = madeUpNodes(count, random)
  const messages: MeshMessage[] = [
    { type: 'begin', network: 'recorded', protocolVersion: 1, self: idOf(0), nodes: count },
    { type: 'nodes', nodes },
    { type: 'events', events: madeUpEvents(count) },
  ]
  for (let step = 0; step < STEPS; step++) {
    const changed = Array.from({ length: Math.min(count, CHANGED_EACH) }, () => {
      const i = Math.floor(random() * count)
      const next = laterReport(nodes[i] as NodeView, random)
      nodes[i] = next
      return next
    })
    const atMs = START_MS + 1_000 * step
    messages.push(
      { type: 'nodes', nodes: changed },
      { type: 'totals', atMs, totals: totalsOf(nodes) },
    )
  }
  return messages.map((message) => JSON.stringify(message)).join('\n')
}

function madeUpNodes(count: number, random: () => number): NodeView[] {
  const links = madeUpLinks(count, random)
  return Array.from({ length: count }, (_, i) => {
    const region = REGIONS[i % REGIONS.length] as string
    const edges = Math.floor(random() ** 3 * 400)
    const isSilent = count > 20 && i % 97 === 41
    const isQuiet = count > 20 && i % 113 === 7
    const report: ReportView = {
      number: 1,
      receivedAtMs: START_MS,
      name: `${region}-${1 + Math.floor(i / REGIONS.length)}`,
      version: '0.1.0',
      runtime: RUNTIMES[i % 7 === 3 ? 1 : i % 11 === 5 ? 2 : 0] as string,
      protocolVersions: [1],
      draining: i % 150 === 60,
      carries: i % 4 === 0,
      lendsDht: i % 9 === 0,
      private: false,
      inside: false,
      turnUrls: i % 5 === 0 ? [`turn:${region}${i}.mesh.example:3478`] : [],
      uptimeSeconds: Math.floor(random() * 2_000_000),
      load: Math.round(random() ** 2 * 900) / 1000,
      clockOffsetMs: i % 140 === 99 ? 5_400 : Math.round((random() - 0.5) * 40),
      clockSeenMs: 3,
      edges,
      records: 3 * edges,
      sees: {
        homes: count,
        edges: 20_000 - (i % 60 === 13 ? 40 : 0),
        topics: 812,
        records: 61_000,
      },
      signals: { delivered: 900, forwarded: 4_100, received: 4_080, refused: 12, failed: 3 },
      perSecond: { delivered: 1, forwarded: 4, received: 4, refused: 0, failed: 0 },
      carriedBytes: Math.floor(random() * 1e9),
      links: links[i] ?? [],
      homesBehind: i % 60 === 13 ? 1 : 0,
      behind: i % 60 === 13 ? [{ node: idOf((i + 5) % count), batches: 1 + (i % 7) }] : [],
    }
    return {
      id: idOf(i),
      isSelf: i === 0,
      isLinked: (links[0] ?? []).some(({ node }) => node === idOf(i)),
      heardAtMs: START_MS,
      isSuspected: isSilent,
      epoch: START_MS,
      index: 10 + i,
      behind: 0,
      edges,
      urls: [`https://${region}${i}.mesh.example`],
      stunAt: `${region}${i}.mesh.example:3478`,
      vias: [],
      ...(!isQuiet && { report }),
    }
  })
}

/** Each to some near it and to a few far away, both ends with nearly the same time. */
function madeUpLinks(count: number, random: () => number): ReportView['links'][] {
  const links: ReportView['links'][number][][] = Array.from({ length: count }, () => [])
  const join = (a: number, b: number): void => {
    if (a === b || links[a]?.some(({ node }) => node === idOf(b))) return
    const isNear = a % REGIONS.length === b % REGIONS.length
    const rttMs = Math.round(isNear ? 2 + random() * 25 : 60 + random() ** 4 * 420)
    const relayed = random() < 0.03
    links[a]?.push({ node: idOf(b), rttMs, initiator: true, relayed })
    links[b]?.push({ node: idOf(a), rttMs: rttMs + 1, initiator: false, relayed })
  }
  for (let i = 0; i < count; i++) {
    for (let k = 1; k <= LINKS_EACH / 2; k++) {
      const isFar = k === LINKS_EACH / 2
      const step = isFar ? Math.floor(random() * count) : k * REGIONS.length
      // Of a small mesh too, to another one each.
      join(i, (i + 1 + ((step + count - 2) % (count - 1))) % count)
    }
  }
  return links
}

function laterReport(node: NodeView, random: () => number): NodeView {
  const { report } = node
  if (!report || node.isSuspected) return node
  const forwarded = Math.round(random() ** 2 * 1_200) / 100
  const refused = random() < 0.1 ? 0.2 : 0
  return {
    ...node,
    report: {
      ...report,
      number: report.number + 1,
      perSecond: { delivered: forwarded / 4, forwarded, received: forwarded, refused, failed: 0 },
    },
  }
}

function madeUpEvents(count: number): Extract<MeshMessage, { type: 'events' }>['events'] {
  const kinds = ['joined', 'joined', 'suspected', 'recovered', 'refused', 'left'] as const
  return Array.from({ length: Math.min(40, count) }, (_, i) => {
    const kind = kinds[i % kinds.length] as (typeof kinds)[number]
    const code = kind === 'refused' ? { code: 'QUARANTINE' } : {}
    return { atMs: START_MS - 60_000 + 1_300 * i, kind, node: idOf((i * 7) % count), ...code }
  })
}

function totalsOf(nodes: readonly NodeView[]): MeshTotals {
  const reports = nodes.flatMap(({ report }) => report ?? [])
  const edges = nodes.reduce((sum, node) => sum + node.edges, 0)
  return {
    nodes: nodes.length,
    edges,
    topics: 812,
    records: 3 * edges,
    reporting: reports.length,
    signals: { delivered: 0, forwarded: 0, received: 0, refused: 0, failed: 0 },
    signalsPerSecond: 0,
    carriedBytes: 0,
    homesBehind: 0,
  }
}

/** Of 64 digits, and unlike its neighbours' from the first on. */
function idOf(i: number): string {
  return (
    (Math.imul(i + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0') +
    i.toString(16).padStart(8, '0')
  ).repeat(4)
}

/** Marsaglia's xorshift: no more is needed here. */
function seeded(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** What a node could say at worst, if those before it let it pass: markup, endless text, wrong kinds. */
export function hostileRecording(): string {
  const evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
  const name = `${evil}\u202e\u0000${'x'.repeat(10_000)}`
  const report = {
    ...{ name, version: name, runtime: name, load: 'NaN', clockOffsetMs: { a: 1 } },
    ...{ turnUrls: Array(100).fill(name), links: Array(100).fill({ node: name, rttMs: -1 }) },
    ...{ sees: null, signals: 'many', perSecond: [], behind: [{ node: evil, batches: '9' }] },
  }
  const bad = { id: 'ab'.repeat(32), urls: [`javascript:${evil}`, 7, null], runtime: evil, report }
  const messages = [
    { type: 'begin', network: name, self: bad.id, nodes: -1 },
    { type: 'nodes', nodes: [bad, { ...bad, id: evil }, null, 7, { id: '__proto__' }] },
    { type: 'events', events: [{ atMs: 1e300, kind: 'refused', node: bad.id, code: name }] },
    { type: 'totals', atMs: 'now', totals: { nodes: '<b>', edges: Number.MAX_VALUE } },
    { type: '__proto__' },
  ]
  return ['{', ...messages.map((message) => JSON.stringify(message)), 'null'].join('\n')
}
