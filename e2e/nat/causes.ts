/** Causes: each that `why()` can name, provoked by rules of routers on three pairs of sites. */

import type { Sites } from './blocks.ts'
import type { Kind } from './kinds.ts'
import type { Lab } from './lab.ts'
import {
  type LabMesh,
  type MeshNode,
  STRANGE_TURN_ADDRESSES,
  startTurn,
  TURN_ADDRESSES,
} from './mesh.ts'
import { type Called, call, type Target } from './page.ts'
import { openBrowser, type Seat, type SiteBrowser } from './seats.ts'
import type { Site } from './sites.ts'

export interface Cause {
  readonly title: string
  /** What was done. */
  readonly by: string
  readonly pair: string
  /** The cause and the phase that theory has, and those that `why()` has. */
  readonly want: string
  readonly said: string
  readonly ms: number
  readonly passed: boolean
}

type Pairs = readonly (readonly [from: Kind, to: Kind])[]

/** What rules do to one trio leaves the others alone, so that all are tried at once. */
const DIRECT: Pairs = [
  ['port', 'address'],
  ['carrier', 'port'],
  ['full', 'firewall'],
]
const CUT: Pairs = [
  ['public', 'public'],
  ['address', 'full'],
  ['firewall', 'carrier'],
]
const SYMMETRIC: Pairs = [
  ['symmetric', 'symmetric'],
  ['carrier-symmetric', 'carrier-symmetric'],
  ['symmetric', 'carrier-symmetric'],
]
const SIX: Pairs = [
  ['ipv6', 'ipv6'],
  ['dual', 'dual'],
  ['dual', 'ipv6'],
]

const SHORT_MS = 8_000
/** Browsers give the path up after about 15 s. */
const PATH_MS = 20_000
/** A path that is lost is looked for so long, and a silent edge is known at its home so long. */
const LONG_MS = 140_000

export function causesSites(): Sites {
  const pairs = [...DIRECT, ...CUT, ...SYMMETRIC, ...SIX]
  const named = pairs.flatMap(([a, b]) => [[`a-${a}`, a] as const, [`b-${b}`, b] as const])
  return [...new Map(named).entries()]
}

interface Ground {
  readonly lab: Lab
  readonly browsers: ReadonlyMap<string, SiteBrowser>
  /** Tries it on all pairs at once. */
  each(about: Omit<Try, 'pair'>, pairs: readonly Pair[]): Promise<void>
}

interface Pair {
  readonly from: Seat
  readonly to: Seat
}

interface Said {
  readonly said: string
  readonly ms: number
}

interface Try {
  readonly title: string
  readonly by: string
  readonly want: string
  run(pair: Pair): Promise<Said>
}

export async function runCauses(
  lab: Lab,
  stun: LabMesh,
  turn: LabMesh | undefined,
  tell: (cause: Cause) => void,
): Promise<void> {
  const browsers = new Map<string, SiteBrowser>()
  const each: Ground['each'] = async ({ title, by, want, run }, pairs) => {
    const all = pairs.map(async (pair) => {
      const { said, ms } = await run(pair).catch((error) => ({ said: String(error), ms: 0 }))
      const name = `${pair.from.site.name} → ${pair.to.site.name}`
      tell({ title, by, pair: name, want, said, ms, passed: said === want })
    })
    await Promise.all(all)
  }
  const opening = causesSites().map(async ([name]) => {
    browsers.set(name, await openBrowser(lab.sites.get(name) as Site))
  })
  await Promise.all(opening)
  const ground = { lab, browsers, each }
  try {
    await Promise.all([
      blocked(ground, stun),
      gone(ground, stun),
      mapped(ground, stun, turn),
      ringing(ground, stun),
      lost(ground, stun),
    ])
  } finally {
    await Promise.all([...browsers.values()].map((browser) => browser.close()))
  }
}

/** Callers are at the first node, the called at the second. */
async function seat({ browsers }: Ground, mesh: LabMesh, pairs: Pairs): Promise<Pair[]> {
  const seats = new Map<string, Promise<Seat>>()
  const at = (name: string, home: number): Promise<Seat> => {
    const sitting = seats.get(name) ?? sit(browsers, mesh, name, home)
    seats.set(name, sitting)
    return sitting
  }
  const all = pairs.map(async ([a, b]) => ({
    from: await at(`a-${a}`, 0),
    to: await at(`b-${b}`, 1),
  }))
  return Promise.all(all)
}

function sit(
  browsers: Ground['browsers'],
  mesh: LabMesh,
  name: string,
  home: number,
): Promise<Seat> {
  return (browsers.get(name) as SiteBrowser).sit(mesh, mesh.nodes[home] as MeshNode, { odd: true })
}

const reached = async ({ from, to }: Pair, how: Partial<Target> = {}): Promise<Said> =>
  saidOf(await from.run(call, { name: to.site.name, id: to.id, ...how }))

function saidOf({ outcome, cause, phase, ms }: Called): Said {
  return { said: outcome === 'open' ? 'open' : `${cause}, ${phase}`, ms }
}

/** All that the site sends and gets. */
function of({ site }: Seat, proto = ''): string[] {
  return site.addresses.flatMap((address) => {
    const family = address.includes(':') ? 'ip6' : 'ip'
    return ['saddr', 'daddr'].map((end) => `${family} ${end} ${address} ${proto}`)
  })
}

/** What one site sends the other by UDP, and back. */
function between(one: readonly string[], other: readonly string[], proto: string): string[] {
  const ways = one.flatMap((a) => other.flatMap((b) => [[a, b] as const, [b, a] as const]))
  return ways
    .filter(([a, b]) => a.includes(':') === b.includes(':'))
    .map(([a, b]) => {
      const family = a.includes(':') ? 'ip6' : 'ip'
      return `${family} saddr ${a} ${family} daddr ${b} ${proto}`
    })
}

function drops(lab: Lab, rules: readonly string[], verdict?: string): () => void {
  const heals = rules.map((rule) => lab.drop(rule, verdict))
  return () => {
    for (const heal of heals) heal()
  }
}

async function during<T>(heal: () => void, promise: Promise<T>): Promise<T> {
  return promise.finally(heal)
}

const UDP = 'meta l4proto udp'
const TCP = 'meta l4proto tcp'

/** What a firewall in between does to a call, and to the caller's own way to the mesh. */
async function blocked(ground: Ground, mesh: LabMesh): Promise<void> {
  const { lab, each } = ground
  const pairs = await seat(ground, mesh, DIRECT)
  await each(
    {
      title: 'the application of the peer refuses',
      by: 'nothing',
      want: 'refused, ring',
      run: (pair) => reached(pair, { topic: 'refuse' }),
    },
    pairs,
  )
  const udp: readonly [string, string, (pair: Pair) => string[]][] = [
    [
      'no-path, path',
      'UDP between the two',
      ({ from, to }) => between(from.site.addresses, to.site.addresses, UDP),
    ],
    ['udp-blocked own, path', 'UDP of the caller', ({ from }) => of(from, UDP)],
    ['udp-blocked peer, path', 'UDP of the called', ({ to }) => of(to, UDP)],
    ['udp-blocked both, path', 'UDP of both', ({ from, to }) => [...of(from, UDP), ...of(to, UDP)]],
  ]
  for (const [want, what, rules] of udp) {
    const run = (pair: Pair): Promise<Said> =>
      during(drops(lab, rules(pair)), reached(pair, { timeoutMs: PATH_MS }))
    await each({ title: `${what} does not pass`, by: `the core drops ${what}`, want, run }, pairs)
  }
  await each(
    {
      title: 'the caller’s home is silent: time is up asking the mesh',
      by: 'the core drops TCP of the caller',
      want: 'timeout, lookup',
      run: async (pair) => {
        // Nobody it has heard of.
        const nobody = { ...pair, to: { ...pair.to, id: 'ab'.repeat(32) } }
        const heal = drops(lab, of(pair.from, TCP))
        return during(heal, reached(nobody, { blind: true, timeoutMs: SHORT_MS }))
      },
    },
    pairs,
  )
  await each(
    {
      title: 'the caller loses its home, and finds no other',
      by: 'the core resets TCP of the caller',
      want: 'no-home, lookup',
      run: async (pair) => {
        const nobody = { ...pair, to: { ...pair.to, id: 'cd'.repeat(32) } }
        const heal = drops(lab, of(pair.from, TCP), 'reject with tcp reset')
        return during(heal, reached(nobody, { blind: true, timeoutMs: PATH_MS }))
      },
    },
    pairs,
  )
}

/** The called is cut off: first nobody knows, then its peers, then its home. */
async function gone(ground: Ground, mesh: LabMesh): Promise<void> {
  const { lab, each } = ground
  const pairs = await seat(ground, mesh, CUT)
  const strangers = await seat(ground, mesh, CUT)
  const others = strangers.map(({ from }, i) => ({ from, to: (pairs[i] as Pair).to }))
  // The strangers hear of the called and of nobody else.
  for (const { from, to } of others) await from.run(hear, `site-${to.site.name}`)
  for (const pair of pairs) await reached(pair)
  const heals = pairs.map(({ to }) => drops(lab, of(to)))
  const by = 'the core drops all of the called'
  await Promise.all([
    each(
      {
        title: 'the peer of an open connection goes silent',
        by,
        want: 'peer-gone silence, open',
        run: async ({ from, to }) => from.run(ending, { id: to.id, withinMs: LONG_MS }),
      },
      pairs,
    ),
    (async () => {
      await each(
        {
          title: 'the called is not reached: time is up',
          by,
          want: 'timeout, reach',
          run: (pair) => reached(pair, { blind: true, timeoutMs: SHORT_MS }),
        },
        others,
      )
      await each(
        {
          title: 'what the caller knows of the called is old',
          by: `${by}, until its home gives it up`,
          want: 'stale-record, reach',
          run: (pair) => outlasting(pair, 'timeout, reach'),
        },
        others,
      )
      const { browsers } = ground
      const fresh = others.map(async ({ from, to }) => ({
        from: await sit(browsers, mesh, from.site.name, 0),
        to,
      }))
      await each(
        {
          title: 'the called has gone, as the mesh knows',
          by: `${by}, until its home gives it up`,
          want: 'peer-gone, lookup',
          run: (pair) => reached(pair, { blind: true, timeoutMs: SHORT_MS }),
        },
        await Promise.all(fresh),
      )
    })(),
  ])
  for (const heal of heals) heal()
}

/** Calls again and again, as long as this is said. */
async function outlasting(pair: Pair, before: string): Promise<Said> {
  const startMs = performance.now()
  for (;;) {
    const { said, ms } = await reached(pair, { blind: true, timeoutMs: SHORT_MS })
    if (said !== before || performance.now() - startMs > LONG_MS) return { said, ms }
  }
}

/** No path without a relay, by what NATs do; and then the relay refuses, and then the mesh is in two. */
async function mapped(ground: Ground, stun: LabMesh, turn?: LabMesh): Promise<void> {
  const { lab, each } = ground
  await each(
    {
      title: 'both NATs take another port for each destination, and there is no relay',
      by: 'the NATs alone',
      want: 'nat-mapping both, path',
      run: (pair) => reached(pair, { timeoutMs: PATH_MS }),
    },
    await seat(ground, stun, SYMMETRIC),
  )
  if (!turn) return
  const pairs = await seat(ground, turn, SYMMETRIC)
  await startTurn(true)
  const [own, strange] = [TURN_ADDRESSES[0] as string, STRANGE_TURN_ADDRESSES[0] as string]
  const redirected = lab.redirect(own, strange)
  const refused = each(
    {
      title: 'the TURN server refuses the credentials',
      by: 'the core leads to a coturn with another secret',
      want: 'turn-rejected both, path',
      run: (pair) => reached(pair, { timeoutMs: PATH_MS }),
    },
    pairs,
  )
  await during(redirected, refused)
  const [one, home, other] = turn.nodes as [MeshNode, MeshNode, MeshNode]
  const apart = [one, other].flatMap((node) => between(home.addresses, node.addresses, TCP))
  const unreached = each(
    {
      title: 'the home of the called is cut off from the mesh',
      by: 'the core resets TCP between it and the other nodes',
      want: 'home-unreachable, reach',
      run: (pair) => outlasting({ ...pair }, 'timeout, reach'),
    },
    pairs,
  )
  await during(drops(lab, apart, 'reject with tcp reset'), unreached)
}

/** Nobody takes the call: the time for that is two minutes. */
async function ringing(ground: Ground, mesh: LabMesh): Promise<void> {
  await ground.each(
    {
      title: 'nobody takes the call: time is up while it rings',
      by: 'nothing',
      want: 'timeout, ring',
      run: (pair) => reached(pair, { topic: 'ring' }),
    },
    await seat(ground, mesh, SYMMETRIC),
  )
}

/** A path that is lost while both are heard of. */
async function lost(ground: Ground, mesh: LabMesh): Promise<void> {
  const pairs = await seat(ground, mesh, SIX)
  const opened = await Promise.all(pairs.map((pair) => reached(pair)))
  await ground.each(
    {
      title: 'the path of an open connection is lost, and no other found',
      by: 'the core drops UDP between the two',
      want: 'path-lost, open',
      run: async ({ from, to }) => {
        if (opened.some(({ said }) => said !== 'open')) throw new Error('no connection to lose')
        const rules = between(from.site.addresses, to.site.addresses, UDP)
        const ended = from.run(ending, { id: to.id, withinMs: LONG_MS })
        return during(drops(ground.lab, rules), ended)
      },
    },
    pairs,
  )
}

// --- in the pages ---

async function hear(topic: string): Promise<void> {
  while ((await nat.edge.discover(topic)).peers.length === 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
}

/** Waits until the connection has ended; gives the cause. */
async function ending(what: { id: string; withinMs: number }): Promise<Said> {
  const startMs = performance.now()
  const connection = nat.connections.get(what.id)
  while (connection?.state === 'open' && performance.now() - startMs < what.withinMs)
    await new Promise((resolve) => setTimeout(resolve, 50))
  const { code, phase, by = '' } = { phase: '', ...connection?.why() } as Record<string, string>
  return {
    said: `${`${code} ${by}`.trim()}, ${phase}`,
    ms: Math.round(performance.now() - startMs),
  }
}
