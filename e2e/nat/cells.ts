/** Cells of the matrix: one site calls another in one mode, and what comes of it is held against theory. */

import { type Carried, carriedBy, discords, isNear, PATHS, PAYLOAD_BYTES, wayOf } from './accord.ts'
import { causeOf, type Expected, expected, type Kind, type Mode } from './kinds.ts'
import type { Lab } from './lab.ts'
import { type Called, call, hangUp, pump, type Way, way } from './page.ts'
import type { Seat } from './seats.ts'

/** A connection may open by a relay and leave it for a better path; `PATH_AFTER_MS` looks so long too. */
const SETTLES_WITHIN_MS = 14_000
const LOOK_EVERY_MS = 300
/** The answer of the called may still be under way when the caller's connection is open. */
const BOTH_OPEN_WITHIN_MS = 5_000

export interface Pair {
  readonly from: Seat
  readonly to: Seat
  readonly direct: boolean
}

export interface Cell {
  readonly mode: Mode
  readonly from: string
  readonly to: string
  readonly kinds: readonly [Kind, Kind]
  readonly homes: readonly [string, string]
  readonly expected: Expected
  readonly called: Called
  /** Where the data went at first and in the end, as both ends say. */
  readonly first?: Way
  readonly last?: readonly [Way, Way]
  /** What the core carried of the payload both ways, by each way. */
  readonly carried?: Carried
  /** All that is not as theory says; empty where all is. */
  readonly wrong: readonly string[]
}

/** What comes of a call; `told` gives the cell once the cause is known too, and hangs up. */
export interface Begun {
  /** Whether the cause may take as long as browsers take to give silent servers up. */
  readonly isSlow: boolean
  told(): Promise<Cell>
}

export async function beginCell(lab: Lab, mode: Mode, pair: Pair): Promise<Begun> {
  const { from, to, direct } = pair
  const want = expected(direct, mode)
  const called = await from.run(call, { name: to.site.name, id: to.id })
  const about = {
    mode,
    from: from.site.name,
    to: to.site.name,
    kinds: [from.site.kind, to.site.kind] as const,
    homes: [from.home.runtime, to.home.runtime] as const,
    expected: want,
    called,
  }
  if (called.outcome !== 'open') {
    const wrong = [
      ...(want.opens ? [`failed with ${called.code}: ${called.message}`] : []),
      ...wrongCause(called.cause, causeBetween(pair), from),
    ]
    return { isSlow: false, told: async () => ({ ...about, wrong }) }
  }
  try {
    const first = await from.run(way, to.id)
    const last = await settled(pair, (ways) =>
      ways.every((one) => wayOf(one) === want.way && PATHS[want.way].includes(one.path)),
    )
    const before = await lab.flows()
    await from.run(pump, { peer: to.id, bytes: PAYLOAD_BYTES })
    await to.run(pump, { peer: from.id, bytes: PAYLOAD_BYTES })
    const after = await lab.flows()
    const sum = (kind: 'direct' | 'turn' | 'mesh'): number =>
      carriedBy(after, from, to)[kind] - carriedBy(before, from, to)[kind]
    const carried = { direct: sum('direct'), turn: sum('turn'), mesh: sum('mesh') }
    const wrong = discords(want, last, carried, isNear(from, to))
    const isSlow = causeBetween(pair).startsWith('udp-blocked')
    return {
      isSlow,
      told: async () => {
        const causes = await wrongCauses(pair).catch((error) => [String(error)])
        await closeBoth(pair)
        return { ...about, first, last, carried, wrong: [...wrong, ...causes] }
      },
    }
  } catch (error) {
    await closeBoth(pair)
    return { isSlow: false, told: async () => ({ ...about, wrong: [(error as Error).message] }) }
  }
}

async function closeBoth({ from, to }: Pair): Promise<void> {
  await from.run(hangUp, to.id).catch(() => undefined)
  await to.run(hangUp, from.id).catch(() => undefined)
}

/** Both ends' ways, once they are as wanted, or after all the time that there is. */
async function settled(
  { from, to }: Pair,
  wanted: (ways: readonly [Way, Way]) => boolean,
): Promise<readonly [Way, Way]> {
  const startMs = performance.now()
  for (;;) {
    const ways = await Promise.all([from.run(way, to.id), to.run(way, from.id)])
    const afterMs = performance.now() - startMs
    const isOpen = ways.every(({ path }) => path !== 'none' && path !== 'unknown')
    if (isOpen && wanted(ways)) return ways
    if (afterMs > (isOpen ? SETTLES_WITHIN_MS : BOTH_OPEN_WITHIN_MS)) return ways
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** The cause as the caller has to name it; `none` where nothing stands between the two. */
function causeBetween({ from, to, direct }: Pair): string {
  return direct ? 'none' : causeOf(from.site.kind, to.site.kind)
}

async function wrongCauses(pair: Pair): Promise<string[]> {
  const { from, to } = pair
  const wants = [causeBetween(pair), causeBetween({ ...pair, from: to, to: from })]
  const ways = await settled(pair, (both) => both.every(({ why }, i) => why === wants[i]))
  return ways.flatMap(({ why }, i) => wrongCause(why, wants[i] as string, i ? to : from))
}

function wrongCause(said: string | undefined, want: string, { site }: Seat): string[] {
  return said === want ? [] : [`${site.name} says the cause is "${said}", not "${want}"`]
}
