/** Mutants: breaks the code in one small place at a time, and looks whether the test named for it turns red. */

import { spawn } from 'node:child_process'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** One way to break the code: in `file`, `find` (which stands there once) becomes `replace`. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The test file, and the test in it, that must turn red. */
  readonly test: string
  readonly title: string
}

const ROOT = join(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'test/mutants')
/** What a test needs of the tree. */
const COPIED = [
  ...['src', 'test', 'runtimes', 'dashboard', 'tools'],
  ...['mod.ts', 'build.ts', 'package.json'],
]
/** A mutant may make a test hang; the suite's own time-outs end it well before this. */
const LIMIT_MS = 60_000
const WORKERS = 2

/** All mutants, in the order of their files. */
export function readMutants(folder: string = FOLDER): Mutant[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return files
    .sort()
    .flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Mutant[])
}

/** The mutated text; throws unless `find` stands there exactly once. */
export function mutate(text: string, { name, file, find, replace }: Mutant): string {
  const parts = text.split(find)
  if (parts.length !== 2) {
    throw new Error(
      `Mutant "${name}": its text stands ${parts.length - 1} times in ${file}, not once`,
    )
  }
  return parts.join(replace)
}

/** `killed`: the named test turned red. `survived`: it did not, whatever else happened. */
async function tryMutant(tree: string, mutant: Mutant): Promise<'killed' | 'survived'> {
  const path = join(tree, mutant.file)
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, mutate(original, mutant))
  try {
    const failed = await failedTests(tree, mutant.test)
    return failed.some((name) => name.endsWith(`: ${mutant.title}`)) ? 'killed' : 'survived'
  } finally {
    writeFileSync(path, original)
  }
}

/** Runs a test file; gives the names of the tests that failed. */
function failedTests(tree: string, file: string): Promise<string[]> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], {
      cwd: tree,
      env: { ...process.env, SIGNAL_MESH_RUNNER: '1' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    let output = ''
    child.stdout.on('data', (chunk: Uint8Array) => {
      output += new TextDecoder().decode(chunk)
    })
    child.once('close', () => {
      clearTimeout(timer)
      const facts = [...output.matchAll(/^::test (.*)$/gm)].map(
        ([, json]) => JSON.parse(json as string) as { name: string; passed: boolean },
      )
      resolve(facts.filter(({ passed }) => !passed).map(({ name }) => name))
    })
  })
}

function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'signal-mesh-mutants-'))
  for (const name of COPIED) cpSync(join(ROOT, name), join(tree, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

/** Draws `count` of the mutants by a seed, so that a run can be repeated. */
export function drawMutants(all: readonly Mutant[], count: number, seed: number): Mutant[] {
  let state = seed >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const left = [...all]
  const drawn: Mutant[] = []
  while (left.length && drawn.length < count) {
    drawn.push(...left.splice(Math.floor(random() * left.length), 1))
  }
  return drawn
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { random: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
  })
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const named = readMutants().filter(({ name }) => !values.only || name.includes(values.only))
  const mutants = values.random ? drawMutants(named, Number(values.random), seed) : named
  if (values.random) console.log(`${mutants.length} of ${named.length} mutants, --seed ${seed}`)
  const queue = [...mutants]
  const survivors: Mutant[] = []
  let done = 0
  const work = async (): Promise<void> => {
    const tree = copyTree()
    try {
      for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
        const outcome = await tryMutant(tree, mutant)
        done += 1
        console.log(`[${done}/${mutants.length}] ${outcome.padEnd(8)} ${mutant.name}`)
        if (outcome === 'survived') survivors.push(mutant)
      }
    } finally {
      rmSync(tree, { recursive: true, force: true })
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  for (const { name, file, test, title } of survivors) {
    console.log(`survived: ${name} (${file}); ${test} stayed green: "${title}"`)
  }
  console.log(`${mutants.length - survivors.length} passed, ${survivors.length} failed, 0 skipped`)
  process.exitCode = survivors.length > 0 || mutants.length === 0 ? 1 : 0
}

if (import.meta.main) await main()
