/** The NAT matrix as a program: builds the laboratory, runs cells, writes what came of them. */

import { parseArgs } from 'node:util'
import { ensureBrowser } from '../browser.ts'
import { allKinds, allTwins, type Block, runBlock, type Sites, square } from './blocks.ts'
import type { Cell } from './cells.ts'
import { ABOUT, MODES } from './kinds.ts'
import { buildLab, type Lab } from './lab.ts'
import { type LabMesh, SERVERS, startMesh, startTurn } from './mesh.ts'
import { endWithParent, ensurePrograms, isInside, runInside, whyNoLab } from './private.ts'
import { measureRatio, ratioBlock } from './ratio.ts'
import { type Proof, type Results, textOf, writeReport, wrongs } from './report.ts'

const HELP = `npm run e2e:nat -- [options]
  --small         a few cells of each outcome, as in the e2e suite
  --modes LIST    of stun, turn, mesh (default: all)
  --parts LIST    of matrix, twins, ratio (default: all)
  --json FILE     where everything is written
  --md FILE       where the tables are written`

const { values } = parseArgs({
  options: {
    small: { type: 'boolean', default: false },
    modes: { type: 'string', default: MODES.join() },
    parts: { type: 'string', default: 'matrix,twins,ratio' },
    json: { type: 'string' },
    md: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(HELP)
else process.exit(isInside ? await main() : await outside())

async function outside(): Promise<number> {
  const reason = whyNoLab()
  if (reason) {
    console.error(`No NAT laboratory here: ${reason}`)
    return 2
  }
  ensurePrograms()
  ensureBrowser()
  return runInside(import.meta.filename, process.argv.slice(2))
}

async function main(): Promise<number> {
  endWithParent()
  const startMs = performance.now()
  const modes = MODES.filter((mode) => values.modes.split(',').includes(mode))
  const parts = values.parts.split(',')
  const blocks = values.small
    ? [square(['port', 'symmetric', 'tcp443'], ['public', 'address', 'symmetric'])]
    : [
        ...(parts.includes('matrix') ? allKinds() : []),
        ...(parts.includes('twins') ? [allTwins()] : []),
      ]
  const compared = parts.includes('ratio') && !values.small && modes.includes('stun')
  const lab = await buildLab(sitesOf(compared ? [...blocks, ratioBlock()] : blocks), SERVERS)
  const [proofs, meshes] = await Promise.all([
    prove(lab),
    Promise.all(modes.map((mode) => startMesh(mode))),
    modes.includes('turn') && startTurn(),
  ])
  tell(`${proofs.length} NATs proved, ${meshes.length} meshes of three runtimes`, startMs)
  const cells: Cell[] = []
  const count = modes.length * blocks.reduce((sum, { plans }) => sum + plans.length, 0)
  for (const block of blocks) {
    await runBlock(lab, meshes, block, (cell) => {
      cells.push(cell)
      const { mode, from, to, wrong } = cell
      tell(
        `${cells.length}/${count} ${mode}: ${from} → ${to}: ${textOf(cell)} ${wrong.join('; ')}`,
        startMs,
      )
    })
  }
  const ratio = compared && (await measureRatio(lab, meshes[0] as LabMesh, ratioBlock()))
  if (ratio) tell(`discover to open, beside a minimal server: ${JSON.stringify(ratio)}`, startMs)
  const seconds = (performance.now() - startMs) / 1000
  const results: Results = { seconds, modes, proofs, cells, checks: [], ...(ratio && { ratio }) }
  writeReport(results, values.json, values.md)
  for (const text of wrongs(results)) console.log(`✘ ${text}`)
  console.log(
    `${cells.length} cells in ${Math.round(seconds)} s, ${wrongs(results).length} not as theory says`,
  )
  return wrongs(results).length ? 1 : 0
}

function sitesOf(blocks: readonly Block[]): Sites {
  return [...new Map(blocks.flatMap(({ sites }) => sites)).entries()]
}

async function prove(lab: Lab): Promise<Proof[]> {
  const all = [...lab.sites.values()].map(async (site) => {
    const found = await lab.prove(site)
    const texts = found.map(({ text }) => text).filter((text) => !text.startsWith('no UDP'))
    const { name, kind } = site
    return { site: name, kind, expected: ABOUT[kind].proof, found: texts.join('; ') || 'no UDP' }
  })
  return Promise.all(all)
}

function tell(text: string, sinceMs: number): void {
  console.log(`${((performance.now() - sinceMs) / 1000).toFixed(1).padStart(6)} s  ${text}`)
}
