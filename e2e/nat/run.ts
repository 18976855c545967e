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
import {
  added,
  type Check,
  type Proof,
  type Ratio,
  type Results,
  readResults,
  textOf,
  writeReport,
  wrongs,
} from './report.ts'
import { roomSites, runRoom } from './rooms.ts'

const HELP = `npm run e2e:nat -- [options]
  --small         a few cells of each outcome, as in the e2e suite
  --modes LIST    of stun, turn, mesh (default: all)
  --parts LIST    of matrix, twins, firefox, ratio, room, causes, faults (default: all)
  --json FILE     where everything is written
  --md FILE       where the tables are written
  --add           keeps what the JSON file has of what is not run now`

const PARTS = 'matrix,twins,firefox,ratio,room,causes,faults'

const { values } = parseArgs({
  options: {
    small: { type: 'boolean', default: false },
    modes: { type: 'string', default: MODES.join() },
    parts: { type: 'string', default: PARTS },
    json: { type: 'string' },
    md: { type: 'string' },
    add: { type: 'boolean', default: false },
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
  const checks: Check[] = []
  const causes: Cause[] = []
  const ratios: Ratio[] = []
  const note = (check: Check): void => {
    checks.push(check)
    tell(`${check.passed ? '' : '✘ '}${check.name}: ${check.text}`)
  }
  /** What fails as a whole fails alone, and what there is so far is kept. */
  const part = async (name: string, isOn: boolean, run: () => Promise<unknown>): Promise<void> => {
    if (!isOn) return
    await run().catch((error) => note({ name, passed: false, text: error.message }))
    writeReport(results(), values.json, values.md)
  }
  const earlier = values.add && values.json ? readResults(values.json) : undefined
  const results = (): Results => {
    const seconds = performance.now() / 1000
    return added(earlier, { seconds, runs: 1, modes, proofs, cells, causes, checks, ratios })
  }
  const meshOf = (mode: Mode): LabMesh => meshes.find((one) => one.mode === mode) as LabMesh
  const mesh = meshOf('stun')
  for (const [i, block] of blocks.entries())
    await part(`block ${i + 1}`, true, () => runBlock(lab, meshes, block, take))
  await part('Firefox', isOn('firefox'), () => runFoxes(lab, mesh, take))
  await part('ratio', isOn('ratio'), async () => {
    ratios.push(...(await measureRatios(lab, mesh, ratioBlock())))
    for (const ratio of ratios) tell(`beside a minimal server: ${JSON.stringify(ratio)}`)
  })
  await part('room', isOn('room', 'mesh'), async () =>
    (await runRoom(lab, meshOf('mesh'))).forEach(note),
  )
  await part('causes', isOn('causes'), async () => {
    const tellCause = (cause: Cause): void => {
      const { title, pair, said, passed } = cause
      causes.push(cause)
      tell(`${passed ? '' : '✘ '}${title}, ${pair}: ${said}`)
    }
    await runCauses(lab, mesh, modes.includes('turn') ? meshOf('turn') : undefined, tellCause)
  })
  await part('faults', isOn('faults'), async () =>
    (await runFaults(lab, mesh, faultsBlock())).forEach(note),
  )
  return conclude(results())
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
