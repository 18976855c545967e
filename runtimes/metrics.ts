/** Metrics: what the nodes of a process have counted, as Prometheus reads it. */

import process from 'node:process'
import { Counter, Gauge, Registry } from 'prom-client'
import { MAX_EDGES, MAX_NEIGHBOURS, MAX_RECORDS } from '../src/limits.ts'
import type { MeshNode, Stats } from '../src/node.ts'
import { PROTOCOL_VERSION } from '../src/topic.ts'

type Counted = Pick<MeshNode, 'id' | 'health' | 'stats'>
type Labels = Readonly<Record<string, string>>
type Sample = readonly [value: number, labels?: Labels]

/** One metric: what it says of one node. Labels are of few values each, and never a peer, an address or a topic. */
interface Metric {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  samples(stats: Stats): readonly Sample[]
}

const GAUGES: readonly Metric[] = [
  gauge('ready', 'Whether the node is of use: linked or alone by intention, its clock sane', (s) =>
    Number(s.ready),
  ),
  gauge('edges', 'Edges at home with the node', ({ report }) => report.edges),
  gauge('standbys', 'Sockets of edges at home elsewhere that are ready here', (s) => s.standbys),
  gauge('neighbours', 'Links to other nodes', ({ report }) => report.links.length),
  gauge('home_records', 'Records of edges at home with the node', ({ report }) => report.records),
  gauge(
    'directory_homes',
    'Homes that the node knows, itself among them',
    (s) => s.report.sees.homes,
  ),
  gauge(
    'directory_edges',
    'Edges of the whole mesh that the node knows',
    (s) => s.report.sees.edges,
  ),
  gauge('directory_topics', 'Topics that these are in', ({ report }) => report.sees.topics),
  gauge(
    'directory_records',
    'Records of the whole mesh that it holds',
    (s) => s.report.sees.records,
  ),
  gauge('directory_bytes', 'Bytes of these records', (s) => s.directoryBytes),
  gauge('homes_behind', 'Homes of whose log the node lacks something', (s) => s.report.homesBehind),
  gauge(
    'batches_behind',
    'Batches that it lacks, of the sixteen homes that it is furthest behind',
    (s) => s.report.behind.reduce((sum, { batches }) => sum + batches, 0),
  ),
  gauge('carried_pairs', 'Pairs of edges between which the node carries', (s) => s.carriedPairs),
  gauge('watchers', 'Pages and programs that watch the mesh here', (s) => s.watchers),
  {
    name: 'signal_mesh_clock_offset_seconds',
    help: 'How far the clock is ahead of that of the middle one of the neighbours',
    samples: ({ report: { clockOffsetMs } }) =>
      clockOffsetMs === undefined ? [] : [[clockOffsetMs / 1000]],
  },
  {
    name: 'signal_mesh_link_rtt_seconds',
    help: 'How long the links take there and back: the quickest, the middle and the slowest one',
    labels: ['stat'],
    samples: ({ report: { links } }) => {
      const rtts = links.flatMap(({ rttMs }) => rttMs ?? []).sort((a, b) => a - b)
      const [min, median, max] = [rtts[0], rtts[rtts.length >> 1], rtts.at(-1)]
      const all = Object.entries({ min, median, max })
      return all.flatMap(([stat, ms]) => (ms === undefined ? [] : [[ms / 1000, { stat }] as const]))
    },
  },
  {
    name: 'signal_mesh_limit',
    help: 'Bounds of the node: of its edges, its neighbours and the records that it holds',
    labels: ['of'],
    samples: () => [
      [MAX_EDGES, { of: 'edges' }],
      [MAX_NEIGHBOURS, { of: 'neighbours' }],
      [MAX_RECORDS, { of: 'directory_records' }],
    ],
  },
]

const COUNTERS: readonly Metric[] = [
  {
    name: 'signal_mesh_signals_total',
    help: 'Signals: delivered among edges here, forwarded to other nodes, received from them for edges here',
    labels: ['way'],
    samples: ({ report: { signals } }) => [
      [signals.delivered, { way: 'delivered' }],
      [signals.forwarded, { way: 'forwarded' }],
      [signals.received, { way: 'received' }],
    ],
  },
  {
    name: 'signal_mesh_signals_refused_total',
    help: 'Signals that went no further, by the code that their sender was told',
    labels: ['code'],
    samples: ({ refusals }) => [...refusals].map(([code, count]) => [count, { code }]),
  },
  {
    name: 'signal_mesh_signals_failed_total',
    help: 'Signals that were refused for want of a target or of a way to it',
    samples: ({ report }) => [[report.signals.failed]],
  },
  {
    name: 'signal_mesh_carried_bytes_total',
    help: 'Bytes carried between edges that have no path of their own',
    samples: ({ report }) => [[report.carriedBytes]],
  },
]

function gauge(name: string, help: string, of: (stats: Stats) => number): Metric {
  return { name: `signal_mesh_${name}`, help, samples: (stats) => [[of(stats)]] }
}

/** Answers in the OpenMetrics text format, or in the older one of Prometheus to who takes plain text alone. */
export async function metricsResponse(
  request: Request,
  nodes: readonly Counted[],
  version: string,
): Promise<Response> {
  const accepted = request.headers.get('accept') ?? '*/*'
  const isPlain = /text\/plain/.test(accepted) && !/openmetrics/.test(accepted)
  const { OPENMETRICS_CONTENT_TYPE, PROMETHEUS_CONTENT_TYPE } = Registry
  const type = isPlain ? PROMETHEUS_CONTENT_TYPE : OPENMETRICS_CONTENT_TYPE
  const text = await metricsText(nodes, version, type)
  return new Response(text, { headers: { 'content-type': type, 'cache-control': 'no-store' } })
}

type ContentType =
  | typeof Registry.OPENMETRICS_CONTENT_TYPE
  | typeof Registry.PROMETHEUS_CONTENT_TYPE

/** Made anew each time: the numbers are kept by the nodes, and two registries would count twice. */
async function metricsText(
  nodes: readonly Counted[],
  version: string,
  type: ContentType,
): Promise<string> {
  const registry: Registry<ContentType> = new Registry()
  registry.setContentType(type)
  const of = nodes.map((node) => ({ network: node.health().network, stats: node.stats() }))
  const settings = ({ name, help, labels = [] }: Omit<Metric, 'samples'>) => ({
    name,
    help,
    labelNames: ['network', ...labels],
    registers: [registry as Registry],
  })
  for (const metric of GAUGES) {
    const made = new Gauge(settings(metric))
    for (const { network, stats } of of)
      for (const [value, labels] of metric.samples(stats)) made.set({ network, ...labels }, value)
  }
  for (const metric of COUNTERS) {
    const made = new Counter(settings(metric))
    for (const { network, stats } of of)
      for (const [value, labels] of metric.samples(stats)) made.inc({ network, ...labels }, value)
  }
  const about = new Gauge(
    settings({
      name: 'signal_mesh_build_info',
      help: 'Always 1: what the node is, in its labels',
      labels: ['node', 'version', 'runtime', 'protocol'],
    }),
  )
  for (const node of nodes) {
    const { network, runtime } = node.health()
    about.set({ network, node: node.id, version, runtime, protocol: String(PROTOCOL_VERSION) }, 1)
  }
  addProcess(registry as Registry)
  return registry.metrics()
}

/** The usual ones of a process, by their usual names. */
function addProcess(registry: Registry): void {
  const registers = [registry]
  const { user, system } = process.cpuUsage()
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time that the process has taken',
    registers,
  }).inc((user + system) / 1_000_000)
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory that the process takes',
    registers,
  }).set(process.memoryUsage().rss)
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process began, in Unix time',
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()))
}
