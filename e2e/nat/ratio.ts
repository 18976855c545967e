/** How long the mesh takes to open a connection, beside a minimal server with the same pages in the same run. */

import { join } from 'node:path'
import { type Block, square } from './blocks.ts'
import type { Lab } from './lab.ts'
import { frontOf, type LabMesh, type MeshNode, PLAIN_HOST, startFront } from './mesh.ts'
import { call, hangUp } from './page.ts'
import { callPlain, dropPlain, joinPlain } from './plain.ts'
import { median, type Ratio } from './report.ts'
import { openBrowser, type Seat } from './seats.ts'
import type { Site } from './sites.ts'
import { NET, start } from './world.ts'

/** Of each pair and each way; the first call of a pair also loads what the browser needs for it. */
const TIMES = 5
const WARM_UPS = 1
const SERVER = join(import.meta.dirname, '../../bench/signalling.ts')

/** Pairs that open with STUN alone. */
export function ratioBlock(): Block {
  const { sites, plans } = square(['address', 'port', 'carrier'], ['full', 'port', 'symmetric'])
  return { sites, plans: plans.filter(({ direct }) => direct) }
}

export async function measureRatios(lab: Lab, mesh: LabMesh, block: Block): Promise<Ratio[]> {
  await start(`srv-${PLAIN_HOST}`, [process.execPath, SERVER, '0.0.0.0', '443'], 'listening')
  await Promise.all([PLAIN_HOST, ...mesh.nodes.map(({ host }) => host)].map(startFront))
  return [await measure(lab, mesh, block, true), await measure(lab, mesh, block, false)]
}

async function measure(lab: Lab, mesh: LabMesh, block: Block, secure: boolean): Promise<Ratio> {
  const url = secure ? frontOf(PLAIN_HOST).replace('https', 'wss') : `ws://${NET}.${PLAIN_HOST}:443`
  const servers = mesh.nodes.map(({ host }) => ({ urls: `stun:${NET}.${host}:3478` }))
  const names = [...new Set(block.plans.flatMap(({ from, to }) => [from, to]))]
  const browsers = await Promise.all(names.map((name) => openBrowser(lab.sites.get(name) as Site)))
  const seats = new Map<string, Seat>()
  for (const [i, browser] of browsers.entries()) {
    const isCaller = browser.site.name.startsWith('a-')
    const home = mesh.nodes[isCaller ? 0 : 1 + (i % 2)] as MeshNode
    const seat = await browser.sit(mesh, home, { secure })
    await seat.run(joinPlain, { url, name: browser.site.name, servers })
    seats.set(browser.site.name, seat)
  }
  const times: { readonly mesh: number[]; readonly plain: number[] } = { mesh: [], plain: [] }
  try {
    for (let i = 0; i < TIMES + WARM_UPS; i++) {
      for (const plan of block.plans) {
        const [from, to] = [seats.get(plan.from) as Seat, seats.get(plan.to) as Seat]
        const took = await both(from, to, servers)
        if (i < WARM_UPS) continue
        times.mesh.push(took.meshMs)
        times.plain.push(took.plainMs)
      }
    }
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()))
  }
  const [meshMedianMs, plainMedianMs] = [median(times.mesh), median(times.plain)]
  return {
    secure,
    pairs: block.plans.length,
    samples: TIMES,
    meshMedianMs: Math.round(meshMedianMs),
    plainMedianMs: Math.round(plainMedianMs),
    ratio: Number((meshMedianMs / plainMedianMs).toFixed(2)),
  }
}

/** The one, then the other, with nothing else going on. */
async function both(
  from: Seat,
  to: Seat,
  servers: RTCIceServer[],
): Promise<{ meshMs: number; plainMs: number }> {
  const { outcome, ms: meshMs, message } = await from.run(call, { name: to.site.name, id: to.id })
  if (outcome !== 'open') throw new Error(`${from.site.name} → ${to.site.name}: ${message}`)
  await from.run(hangUp, to.id)
  await to.run(hangUp, from.id)
  const plainMs = await from.run(callPlain, { name: to.site.name, servers })
  await from.run(dropPlain, to.site.name)
  await to.run(dropPlain, from.site.name)
  return { meshMs, plainMs }
}
