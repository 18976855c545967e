/** Blocks of the matrix: so many sites as the machine has room for browsers, and the pairs among them. */

import { beginCell, type Cell } from './cells.ts'
import { isDirect, KINDS, type Kind, type Mode, TWINS, type Twins } from './kinds.ts'
import type { Lab } from './lab.ts'
import type { LabMesh, MeshNode } from './mesh.ts'
import { openBrowser, type Seat, type SiteBrowser } from './seats.ts'
import type { Site } from './sites.ts'

/** Sites on each side of a block; each has a browser process of its own. */
const SIDE = 6

export interface Plan {
  readonly from: string
  readonly to: string
  readonly direct: boolean
}

export type Sites = readonly (readonly [name: string, kind: Kind | Twins])[]

export interface Block {
  readonly sites: Sites
  readonly plans: readonly Plan[]
}

/** Each of the callers with each of the called. */
export function square(callers: readonly Kind[], called: readonly Kind[]): Block {
  const sites = [
    ...callers.map((kind) => [`a-${kind}`, kind] as const),
    ...called.map((kind) => [`b-${kind}`, kind] as const),
  ]
  const plans = callers.flatMap((a) =>
    called.map((b) => ({ from: `a-${a}`, to: `b-${b}`, direct: isDirect(a, b) })),
  )
  return { sites, plans }
}

/** All kinds with all, in blocks. */
export function allKinds(): Block[] {
  const groups: Kind[][] = []
  for (let i = 0; i < KINDS.length; i += SIDE) groups.push(KINDS.slice(i, i + SIDE))
  return groups.flatMap((callers) => groups.map((called) => square(callers, called)))
}

/** Two behind one NAT, who call each other. */
export function allTwins(): Block {
  const sites = Object.keys(TWINS).map((kind) => [`t-${kind}-`, kind as Twins] as const)
  const plans = sites.flatMap(([name, kind]) => {
    const { direct } = TWINS[kind]
    const [one, other] = [`${name}1`, `${name}2`]
    return [
      { from: one, to: other, direct },
      { from: other, to: one, direct },
    ]
  })
  return { sites, plans }
}

/** Runs a block in each of the meshes, and tells of each cell. */
export async function runBlock(
  lab: Lab,
  meshes: readonly LabMesh[],
  { plans }: Block,
  tell: (cell: Cell) => void,
): Promise<void> {
  const names = [...new Set(plans.flatMap(({ from, to }) => [from, to]))]
  const browsers = await Promise.all(names.map((name) => openBrowser(lab.sites.get(name) as Site)))
  try {
    const slow: Promise<unknown>[] = []
    for (const [i, mesh] of meshes.entries()) {
      const seats = await seatAll(mesh, i, browsers, plans)
      slow.push(...(await runPlans(lab, mesh.mode, seats, plans, tell)))
    }
    await Promise.all(slow)
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
}

/** Callers are at one node, the called at the two others, in each mode at another. */
async function seatAll(
  mesh: LabMesh,
  turn: number,
  browsers: readonly SiteBrowser[],
  plans: readonly Plan[],
): Promise<ReadonlyMap<string, Seat>> {
  const callers = new Set(plans.map(({ from }) => from))
  const isCaller = (name: string): boolean => callers.has(name) && !name.endsWith('2')
  const seats = browsers.map((browser, i) => {
    const at = isCaller(browser.site.name) ? turn : turn + 1 + (i % 2)
    return browser.sit(mesh, mesh.nodes[at % mesh.nodes.length] as MeshNode)
  })
  return new Map((await Promise.all(seats)).map((seat) => [seat.site.name, seat]))
}

/**
 * Those that must open in turn, for their times; those that cannot all at once, for they take long. Gives
 * what goes on: failing, and waiting for the cause.
 */
async function runPlans(
  lab: Lab,
  mode: Mode,
  seats: ReadonlyMap<string, Seat>,
  plans: readonly Plan[],
  tell: (cell: Cell) => void,
): Promise<Promise<unknown>[]> {
  const slow: Promise<unknown>[] = []
  const run = async ({ from, to, direct }: Plan): Promise<void> => {
    const pair = { from: seats.get(from) as Seat, to: seats.get(to) as Seat, direct }
    const { isSlow, told } = await beginCell(lab, mode, pair)
    const done = told().then(tell)
    if (isSlow) slow.push(done)
    else await done
  }
  const open = plans.filter(({ direct }) => direct || mode !== 'stun')
  const [first = [], second = []] = turns(plans.filter((plan) => !open.includes(plan)))
  for (const together of rounds(open)) await Promise.all(together.map(run))
  slow.push(Promise.all(first.map(run)).then(() => Promise.all(second.map(run))))
  return slow
}

/** Two who call each other have one call: they take turns. */
function turns(plans: readonly Plan[]): Plan[][] {
  const isSecond = (plan: Plan, i: number): boolean =>
    plans.slice(0, i).some(({ from, to }) => from === plan.to && to === plan.from)
  return [plans.filter((plan, i) => !isSecond(plan, i)), plans.filter(isSecond)]
}

/** In each round a site calls at most once, is called at most once, and never by whom it calls. */
export function rounds(plans: readonly Plan[]): Plan[][] {
  const all: Plan[][] = []
  for (const plan of plans) {
    const fits = (round: Plan[]): boolean =>
      !round.some(
        ({ from, to }) =>
          from === plan.from || to === plan.to || (from === plan.to && to === plan.from),
      )
    const round = all.find(fits)
    if (round) round.push(plan)
    else all.push([plan])
  }
  return all
}
