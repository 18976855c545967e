/** The NAT matrix as a program: builds the laboratory, runs cells, writes what came of them. */

import { parseArgs } from 'node:util'
import { ensureBrowser } from '../browser.ts'
import { allKinds, allTwins, type Block, runBlock, type Sites, square } from './blocks.ts'
import { type Cause, causesSites, runCauses } from './causes.ts'
import type { Cell } from './cells.ts'
import { faultsBlock, runFaults } from './faults.ts'
import { foxesBlock, runFoxes } from './foxes.ts'
import { ABOUT, MODES, type Mode } from './kinds.ts'
import { buildLab, type Lab } from './lab.ts'
import { type LabMesh, SERVERS, startMesh, startTurn } from './mesh.ts'
import { endWithParent, ensurePrograms, isInside, runInside, whyNoLab } from './private.ts'
import { measureRatios, ratioBlock } from './ratio.ts'
import { type Check, type Proof, type Results, textOf, writeReport, wrongs } from './report.ts'
import { roomSites, runRoom } from './rooms.ts'

const HELP = `npm run e2e:nat -- [options]
  --small         a few cells of each outcome, as in the e2e suite
  --modes LIST    of stun, turn, mesh (default: all)
  --parts LIST    of matrix, twins, firefox, ratio, room, causes, faults (default: all)
  --json FILE     where everything is written
  --md FILE       where the tables are written`

const PARTS = 'matrix,twins,firefox,ratio,room,causes,faults'

const { values } = parseArgs({
  options: {
    small: { type: 'boolean', default: false },
    modes: { type: 'string', default: MODES.join() },
    parts: { type: 'string', default: PARTS },
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
  const modes = MODES.filter((mode) => values.modes.split(',').includes(mode))
  const blocks = blocksOf()
  // What is no part of the matrix is tried where nothing but STUN helps, or by the relay of the mesh.
  const isOn = (part: string, mode: Mode = 'stun'): boolean =>
    values.parts.split(',').includes(part) && !values.small && modes.includes(mode)
  const more = [
    ...(isOn('firefox') ? foxesBlock().sites : []),
    ...(isOn('ratio') ? ratioBlock().sites : []),
    ...(isOn('room', 'mesh') ? roomSites() : []),
    ...(isOn('causes') ? causesSites() : []),
    ...(isOn('faults') ? faultsBlock().sites : []),
  ]
  const lab = await buildLab(sitesOf([...blocks.flatMap((one) => one.sites), ...more]), SERVERS)
  const [proofs, meshes] = await Promise.all([
    prove(lab),
    Promise.all(modes.map((mode) => startMesh(mode))),
    modes.includes('turn') && startTurn(),
  ])
  tell(`${proofs.length} NATs proved, ${meshes.length} meshes of three runtimes`)
  const cells: Cell[] = []
  const count = modes.length * blocks.reduce((sum, { plans }) => sum + plans.length, 0)
  const take = (cell: Cell): void => {
    cells.push(cell)
    const { mode, from, to, wrong } = cell
    tell(`${cells.length}/${count} ${mode}: ${from} → ${to}: ${textOf(cell)} ${wrong.join('; ')}`)
  }
  for (const block of blocks) await runBlock(lab, meshes, block, take)
  const meshOf = (mode: Mode): LabMesh => meshes.find((one) => one.mode === mode) as LabMesh
  const mesh = meshOf('stun')
  if (isOn('firefox')) await runFoxes(lab, mesh, take)
  const ratios = isOn('ratio') ? await measureRatios(lab, mesh, ratioBlock()) : []
  for (const ratio of ratios)
    tell(`discover to open, beside a minimal server: ${JSON.stringify(ratio)}`)
  const checks: Check[] = []
  const note = (...more: readonly Check[]): void => {
    checks.push(...more)
    for (const { name, passed, text } of more) tell(`${passed ? '' : '✘ '}${name}: ${text}`)
  }
  if (isOn('room', 'mesh')) note(...(await runRoom(lab, meshOf('mesh'))))
  const causes = isOn('causes') ? await runCauses(lab, mesh, meshOf('turn'), tellCause) : []
  if (isOn('faults')) note(...(await runFaults(lab, mesh, faultsBlock())))
  const seconds = performance.now() / 1000
  return conclude({ seconds, modes, proofs, cells, causes, checks, ratios })
}

function blocksOf(): Block[] {
  if (values.small) {
    return [square(['port', 'symmetric', 'tcp443'], ['public', 'address', 'symmetric'])]
  }
  const parts = values.parts.split(',')
  return [
    ...(parts.includes('matrix') ? allKinds() : []),
    ...(parts.includes('twins') ? [allTwins()] : []),
  ]
}

function conclude(results: Results): number {
  const wrong = wrongs(results)
  writeReport(results, values.json, values.md)
  for (const text of wrong) console.log(`✘ ${text}`)
  const { cells, seconds } = results
  console.log(
    `${cells.length} cells in ${Math.round(seconds)} s, ${wrong.length} not as theory says`,
  )
  return wrong.length ? 1 : 0
}

function sitesOf(all: Sites): Sites {
  return [...new Map(all).entries()]
}

function tellCause({ title, pair, said, passed }: Cause): void {
  tell(`${passed ? '' : '✘ '}${title}, ${pair}: ${said}`)
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

function tell(text: string): void {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${text}`)
}
