/** What runs in the pages of the laboratory: an edge that can be found by its site's name, called and asked. */

import type { Connection, Edge, Incoming, SignalMeshError } from '../../src/edge/mod.ts'

export interface Called {
  readonly outcome: 'open' | 'failed'
  readonly code?: string
  /** The cause that the error names, with the side that it is about. */
  readonly cause?: string
  /** How far it came, as the cause says. */
  readonly phase?: string
  readonly message?: string
  /** From asking who is there to the open connection. */
  readonly ms: number
}

export interface End {
  readonly type: string
  readonly protocol: string
  readonly relayProtocol: string
  readonly address: string
}

export interface Way {
  readonly path: string
  /** What `why()` says of it, with the side that it is about. */
  readonly why?: string
  readonly local?: End
  readonly remote?: End
}

interface Kit {
  readonly edge: Edge
  /** The newest connection with each peer. */
  readonly connections: Map<string, Connection>
  /** How many connections there have been with each. */
  readonly counts: Map<string, number>
  /** What the other sides acknowledged. */
  readonly got: Map<string, number>
}

declare global {
  var nat: Kit
}

/** Joins and is found; gives the PeerId. */
export async function join(about: {
  network: string
  name: string
  meshRelay: boolean
  /** In more topics: in one it refuses each call, in another it lets it ring. */
  odd?: boolean
}): Promise<string> {
  const { joinMesh } = await import('/edge.min.js' as string)
  const edge: Edge = await joinMesh({
    network: about.network,
    meshRelay: about.meshRelay,
    onIncoming: ({ topic, accept, refuse }: Incoming) => {
      if (topic.startsWith('refuse-')) refuse('not today')
      else if (!topic.startsWith('ring-')) return accept()
    },
  })
  const kit: Kit = { edge, connections: new Map(), counts: new Map(), got: new Map() }
  edge.on('connection', (connection) => {
    kit.connections.set(connection.id, connection)
    kit.counts.set(connection.id, 1 + (kit.counts.get(connection.id) ?? 0))
    connection.on('message', (message) => {
      if (typeof message === 'string') kit.got.set(connection.id, Number(message))
      else void connection.send(String(message.length))
    })
  })
  globalThis.nat = kit
  await edge.advertise(`site-${about.name}`)
  for (const kind of about.odd ? ['refuse', 'ring'] : [])
    await edge.advertise(`${kind}-${about.name}`)
  return edge.id
}

export interface Target {
  readonly name: string
  readonly id: string
  readonly timeoutMs?: number
  /** The topic that is called in. */
  readonly topic?: 'site' | 'refuse' | 'ring'
  /** Without asking who is there. */
  readonly blind?: boolean
}

/** Finds a site's edge and connects. */
export async function call(to: Target): Promise<Called> {
  const { edge } = nat
  const topic = `${to.topic ?? 'site'}-${to.name}`
  const startMs = performance.now()
  const sinceMs = (): number => Math.round(performance.now() - startMs)
  const limit = to.timeoutMs === undefined ? {} : { timeoutMs: to.timeoutMs }
  try {
    for (let found = to.blind ?? false; !found; ) {
      found = (await edge.discover(topic)).peers.some(({ id }) => id === to.id)
      if (!found) await new Promise((resolve) => setTimeout(resolve, 100))
      if (sinceMs() > 10_000) throw Object.assign(new Error('not found'), { code: 'NOT_FOUND' })
    }
    await edge.connect(to.id, { topic, ...limit })
    return { outcome: 'open', ms: sinceMs() }
  } catch (caught) {
    const { code, message, cause } = caught as SignalMeshError
    const { code: why = '', side = '', phase = '' } = (cause ?? {}) as Record<string, string>
    return {
      outcome: 'failed',
      code,
      message,
      ms: sinceMs(),
      cause: `${why} ${side}`.trim(),
      phase,
    }
  }
}

/** Where data to this peer goes: as the connection says, and as the browser does. */
export async function way(peer: string): Promise<Way> {
  const connection = nat.connections.get(peer)
  if (!connection) return { path: 'none' }
  const { path } = connection
  const { code, side = '' } = connection.why() as { code: string; side?: string }
  const why = `${code} ${side}`.trim()
  const stats = new Map<string, Record<string, unknown>>()
  const reports = await connection.rtc?.getStats().catch(() => undefined)
  reports?.forEach((report: { id: string }) => {
    stats.set(report.id, report as unknown as Record<string, unknown>)
  })
  const all = [...stats.values()]
  const selected = all.find(({ type }) => type === 'transport')?.['selectedCandidatePairId']
  const pair =
    stats.get(String(selected)) ??
    all.find((one) => one['type'] === 'candidate-pair' && one['selected'] === true)
  const end = (key: string): End => {
    const one = stats.get(String(pair?.[key])) ?? {}
    const text = (name: string): string => String(one[name] ?? '')
    return {
      type: text('candidateType'),
      protocol: text('protocol'),
      relayProtocol: text('relayProtocol'),
      address: text('address'),
    }
  }
  if (!pair) return { path, why }
  return { path, why, local: end('localCandidateId'), remote: end('remoteCandidateId') }
}

/** Sends so many bytes; resolves when the other side has them, with the time in ms. */
export async function pump(what: { peer: string; bytes: number }): Promise<number> {
  const connection = nat.connections.get(what.peer)
  if (!connection) throw new Error(`No connection to ${what.peer}`)
  const startMs = performance.now()
  nat.got.delete(what.peer)
  await connection.send(new Uint8Array(what.bytes))
  while (nat.got.get(what.peer) !== what.bytes) {
    if (performance.now() - startMs > 15_000) throw new Error(`No word of ${what.bytes} bytes`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return Math.round(performance.now() - startMs)
}

/** The state of the connection with a peer, and how many there have been. */
export function state(peer: string): string {
  return `${nat.connections.get(peer)?.state} ${nat.counts.get(peer) ?? 0}`
}

export async function hangUp(peer: string): Promise<void> {
  await nat.connections.get(peer)?.close()
  nat.connections.delete(peer)
}
