/** The fuzzer: hostile bytes for every decoder and every state machine, for as long as is asked for. */

import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { toHex } from '../src/bytes.ts'
import { readInputs, writeFinding } from './fuzz/corpus.ts'
import type { Target } from './fuzz/target.ts'
import { targets } from './fuzz/targets.ts'
import type { Told } from './fuzz/work.ts'

const HELP = `node tools/fuzz.ts [options]
  --minutes N | --seconds N   how long in all (default: 1 minute)
  --target NAME               only this one, or those whose names begin so with *
  --seed N                    draws the same inputs again as far as time allows (default: new)
  --replay FILE               runs the inputs of a finding's file, with --target
  --keep                      writes the smallest inputs that reach as much to test/corpus
  --list                      names the targets`

const WORKER = join(import.meta.dirname, 'fuzz/worker.ts')
/** A worker that says nothing for this long hangs in an input. */
const SILENT_MS = 60_000
const SHOWN_EVERY_MS = 10_000

interface Outcome {
  readonly execs: number
  readonly found: number
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seconds: { type: 'string' },
    target: { type: 'string' },
    seed: { type: 'string' },
    replay: { type: 'string' },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const children = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill('SIGKILL')
    process.exit(130)
  })
}
process.exitCode = await main()

async function main(): Promise<number> {
  if (values.help || values.list) {
    console.log(values.help ? HELP : targets.map(({ name }) => name).join('\n'))
    return 0
  }
  const chosen = targets.filter(({ name }) => matches(name, values.target))
  if (chosen.length === 0) {
    console.error(`No target ${values.target}; --list names them`)
    return 2
  }
  return values.replay ? replayFile(values.replay, chosen) : fuzzAll(chosen)
}

function matches(name: string, wanted: string | undefined): boolean {
  if (wanted === undefined) return true
  return wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted
}

async function fuzzAll(chosen: readonly Target[]): Promise<number> {
  const seconds = Number(values.seconds ?? Number(values.minutes ?? 1) * 60)
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const weight = chosen.reduce((sum, target) => sum + target.weight, 0)
  console.log(`${chosen.length} targets, ${seconds} s, --seed ${seed}`)
  let passed = 0
  for (const target of chosen) {
    const outcome = await fuzzOne(target, (seconds * target.weight) / weight, seed)
    if (outcome.found === 0) passed += 1
  }
  console.log(`${passed} passed, ${chosen.length - passed} failed, 0 skipped`)
  return passed === chosen.length ? 0 : 1
}

async function fuzzOne(target: Target, seconds: number, seed: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-fuzz-'))
  const note = join(folder, 'inputs.hex')
  const startMs = performance.now()
  let shownMs = startMs
  let execs = 0
  let found = 0
  const show = (told: Told & { kind: 'progress' }): void => {
    const s = (performance.now() - startMs) / 1_000
    const rate = Math.round(told.execs / Math.max(s, 0.001))
    const numbers = `${told.execs} execs  ${rate}/s  ${told.lines} lines reached  corpus ${told.corpus}`
    console.log(`${target.name.padEnd(10)} ${s.toFixed(0).padStart(4)} s  ${numbers}`)
  }
  let last: (Told & { kind: 'progress' }) | undefined
  const onTold = (told: Told): void => {
    if (told.kind === 'found') {
      found += 1
      printFinding(target, told.file, told.rule)
    }
    if (told.kind !== 'progress') return
    execs = told.execs
    last = told
    if (performance.now() - shownMs < SHOWN_EVERY_MS) return
    shownMs = performance.now()
    show(told)
    last = undefined
  }
  const keep = values.keep ? ['--keep'] : []
  const args = ['--seconds', String(seconds), '--seed', String(seed), '--note', note, ...keep]
  const death = await work(target, args, onTold)
  if (last) show(last)
  if (death) found += await autopsy(target, note, death)
  rmSync(folder, { recursive: true, force: true })
  return { execs, found }
}

/** Runs a worker to its end; gives what it died of, if it did not end by itself. */
function work(
  target: Target,
  args: readonly string[],
  onTold: (told: Told) => void,
): Promise<string | undefined> {
  const execArgv = ['--disable-warning=ExperimentalWarning']
  const child = fork(WORKER, ['--target', target.name, ...args], { execArgv })
  children.add(child)
  let silent = false
  let isDone = false
  const kill = (): void => {
    silent = true
    child.kill('SIGKILL')
  }
  let timer = setTimeout(kill, SILENT_MS)
  child.on('message', (told: Told) => {
    clearTimeout(timer)
    timer = setTimeout(kill, SILENT_MS)
    isDone ||= told.kind === 'done'
    onTold(told)
  })
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      children.delete(child)
      if (silent) resolve(`It did not come back within ${SILENT_MS} ms`)
      else resolve(isDone && code === 0 ? undefined : `The process died: ${signal ?? code}`)
    })
  })
}

/** Looks which of the inputs at hand the worker died of, and keeps that. */
async function autopsy(target: Target, note: string, death: string): Promise<number> {
  const inputs = existsSync(note) ? readInputs(note) : []
  for (const input of inputs) {
    const again = await work(target, ['--replay', toHex(input)], () => undefined)
    if (!again) continue
    printFinding(target, writeFinding(target.name, input, again), again)
    return 1
  }
  console.log(
    `✘ ${target.name}: ${death}, and none of its last ${inputs.length} inputs does it alone`,
  )
  return 1
}

function printFinding(target: Target, file: string, rule: string): void {
  console.log(`✘ ${target.name}: ${rule}`)
  if (file) console.log(`  again: node tools/fuzz.ts --target ${target.name} --replay ${file}`)
}

async function replayFile(file: string, chosen: readonly Target[]): Promise<number> {
  let failed = 0
  let passed = 0
  for (const target of chosen) {
    for (const input of readInputs(file)) {
      let found = false
      const death = await work(target, ['--replay', toHex(input)], (told) => {
        if (told.kind !== 'found') return
        found = true
        printFinding(target, '', told.rule)
      })
      if (death) console.log(`✘ ${target.name}: ${death}`)
      if (found || death) failed += 1
      else passed += 1
    }
  }
  console.log(`${passed} passed, ${failed} failed, 0 skipped`)
  return failed ? 1 : 0
}
