/** Firefox in the laboratory: stock, behind NATs, with itself and with Chromium. */

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type Block, square } from './blocks.ts'
import { beginCell, type Cell } from './cells.ts'
import type { Outcome, Wish } from './foxseat.ts'
import { isDirect } from './kinds.ts'
import type { Lab } from './lab.ts'
import type { LabMesh, MeshNode } from './mesh.ts'
import { join } from './page.ts'
import { openBrowser, originFor, type Seat, within } from './seats.ts'
import type { Site } from './sites.ts'
import { into } from './world.ts'

/** Firefox at both, and a Chromium at the third. */
const FOXES = ['a-port', 'b-address'] as const
const CHROMIUM = 'b-port'

export function foxesBlock(): Block {
  const { sites } = square(['port'], ['address', 'port'])
  return { sites, plans: [] }
}

/** Firefox calls Firefox, and Firefox and Chromium call each other. */
export async function runFoxes(lab: Lab, mesh: LabMesh, tell: (cell: Cell) => void): Promise<void> {
  const siteOf = (name: string): Site => lab.sites.get(name) as Site
  const homeOf = (i: number): MeshNode => mesh.nodes[i] as MeshNode
  const chromium = await openBrowser(siteOf(CHROMIUM))
  const foxes = await Promise.all(FOXES.map((name, i) => sitFox(siteOf(name), mesh, homeOf(i))))
  try {
    const [one, other] = foxes.map(({ seat }) => seat) as [Seat, Seat]
    const chrome = await chromium.sit(mesh, homeOf(2))
    const pairs = [
      [one, other],
      [one, chrome],
      [chrome, one],
    ] as const
    for (const [from, to] of pairs) {
      const direct = isDirect(from.site.kind, to.site.kind)
      const { told } = await beginCell(lab, mesh.mode, { from, to, direct })
      const cell = await told()
      const name = (seat: Seat): string =>
        `${seat === chrome ? 'Chromium' : 'Firefox'} ${seat.site.kind}`
      tell({ ...cell, from: name(from), to: name(to) })
    }
  } finally {
    for (const { close } of foxes) close()
    await chromium.close()
  }
}

async function sitFox(
  site: Site,
  mesh: LabMesh,
  home: MeshNode,
): Promise<{ seat: Seat; close(): void }> {
  const program = `${import.meta.dirname}/foxseat.ts`
  const [first = '', ...rest] = [...into(site.host), process.execPath, program]
  const child = spawn(first, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = new Map<number, (outcome: Outcome) => void>()
  const started = new Promise<Outcome>((resolve) => waiting.set(0, resolve))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const outcome = JSON.parse(line) as Outcome
    waiting.get(outcome.id)?.(outcome)
  })
  let count = 0
  const wish = async (what: Omit<Wish, 'id'>): Promise<unknown> => {
    const id = ++count
    const answered = new Promise<Outcome>((resolve) => waiting.set(id, resolve))
    child.stdin.write(`${JSON.stringify({ id, ...what })}\n`)
    const { value, error } = await within(`Firefox at ${site.name}`, answered)
    if (error) throw new Error(error)
    return value
  }
  await within('Firefox starts', started)
  await wish({ url: `${originFor(site, home)}/health` })
  const run: Seat['run'] = (fn, argument) => wish({ fn: String(fn), argument }) as Promise<never>
  const about = { network: mesh.mode, name: site.name, meshRelay: false }
  const id = await run(join, about)
  return { seat: { site, id, home, run }, close: () => child.stdin.end() }
}
