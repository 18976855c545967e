/** Faults to order in the laboratory: what open connections make of lost addresses, lost UDP and lost nodes. */

import { poll } from '../support/poll.ts'
import { type Block, square } from './blocks.ts'
import type { Lab } from './lab.ts'
import type { LabMesh, MeshNode } from './mesh.ts'
import { call, pump, state } from './page.ts'
import type { Check } from './report.ts'
import { openBrowser, type Seat } from './seats.ts'
import type { Site } from './sites.ts'

const BYTES = 20_000
/** Long enough for both browsers to say that the path is lost. */
const CUT_MS = 12_000
/** `disconnected` shows after 5 s, and a restart of ICE takes a few more. */
const MENDED_WITHIN_MS = 45_000

export function faultsBlock(): Block {
  const { sites } = square(['port'], ['address'])
  return { sites, plans: [] }
}

/** The last of all: it kills the mesh. */
export async function runFaults(lab: Lab, mesh: LabMesh, { sites }: Block): Promise<Check[]> {
  const [a, b] = sites.map(([name]) => lab.sites.get(name) as Site) as [Site, Site]
  const browsers = await Promise.all([a, b].map((site) => openBrowser(site)))
  try {
    const seats = browsers.map((browser, i) => browser.sit(mesh, mesh.nodes[i] as MeshNode))
    const [from, to] = (await Promise.all(seats)) as [Seat, Seat]
    const called = await from.run(call, { name: to.site.name, id: to.id })
    if (called.outcome !== 'open')
      throw new Error(`No connection to try faults on: ${called.message}`)
    return [
      await check('UDP is cut off and comes back', from, to, async () => {
        const heal = lab.drop('meta l4proto udp')
        await new Promise((resolve) => setTimeout(resolve, CUT_MS))
        heal()
      }),
      await check('a site gets another public address', from, to, async () => lab.renumber(a)),
      await check('every node dies', from, to, async () => {
        await Promise.all(mesh.nodes.map((node) => node.kill()))
      }),
    ]
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
}

/** Does it, and sees whether the one connection carries both ways again. */
async function check(
  name: string,
  from: Seat,
  to: Seat,
  fault: () => Promise<void>,
): Promise<Check> {
  await fault()
  const startMs = performance.now()
  try {
    await poll('bytes pass both ways', MENDED_WITHIN_MS, async () => {
      const sent = [
        from.run(pump, { peer: to.id, bytes: BYTES }),
        to.run(pump, { peer: from.id, bytes: BYTES }),
      ]
      return (await Promise.allSettled(sent)).every(({ status }) => status === 'fulfilled')
    })
    const states = await Promise.all([from.run(state, to.id), to.run(state, from.id)])
    const afterMs = Math.round(performance.now() - startMs)
    const passed = states.every((one) => one === 'open 1')
    const text = passed ? 'the same connection carries' : `connections are ${states.join(', ')}`
    return { name, passed, text: `${text}, after ${afterMs} ms` }
  } catch (error) {
    return { name, passed: false, text: (error as Error).message }
  }
}
