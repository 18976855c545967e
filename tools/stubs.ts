/** Stubs: takes each named package's one file away in turn, and looks whether the test named for it turns red. */

import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Outcome } from '../test/harness/outcome.ts'

interface Case {
  readonly package: string
  /** The one file that imports it. */
  readonly file: string
  readonly test: string
  readonly title: string
  /** Whether the test looks at what the build made. */
  readonly built?: boolean
}

/** What only pages can show: the bundle's parts, and the browser itself. */
const IN_PAGES = {
  test: 'e2e/readme.e2e.ts',
  title: 'its browser example makes two pages at two nodes greet each other',
  built: true,
}

const CASES: readonly Case[] = [
  {
    package: 'hyperswarm',
    file: 'runtimes/swarming.ts',
    test: 'test/swarm.test.ts',
    title: 'two processes on one topic get one link, dialled by one of them',
  },
  {
    package: '@hyperswarm/dht-relay',
    file: 'runtimes/dhtrelay.ts',
    test: 'test/relaying.test.ts',
    title:
      'two nodes meet through the relay of a third, and its link carries frames of any size in order',
  },
  {
    package: 'noise-protocol',
    file: 'src/noise.ts',
    test: 'test/noise.test.ts',
    title:
      'derives early keys that are equal on both ends, one for each label, and change with time',
  },
  {
    package: '@dxos/broadcast',
    file: 'src/gossip.ts',
    test: 'test/gossip.test.ts',
    title: 'brings what is published to every node once, over any links, and back to nobody',
  },
  {
    package: 'nanomessage',
    file: 'src/rpc.ts',
    test: 'test/rpc.test.ts',
    title: 'answers each request with its own answer, in whatever order they are ready',
  },
  { package: 'simple-peer', file: 'src/edge/rtc.ts', ...IN_PAGES },
  { package: 'simple-websocket', file: 'src/edge/socket.ts', ...IN_PAGES },
  {
    package: 'esbuild',
    file: 'build.ts',
    test: 'test/bundle.test.ts',
    title: 'exchanges an IK handshake with fresh keys',
  },
  { package: 'playwright', file: 'e2e/browser.ts', ...IN_PAGES },
  {
    package: 'uvu',
    file: 'test/harness/suite.ts',
    test: 'test/topic.test.ts',
    title: 'gives every network and version a place of its own to meet',
  },
]

const ROOT = join(import.meta.dirname, '..')
/** What a test needs of the tree, besides the packages. */
const COPIED = [
  ...['src', 'runtimes', 'test', 'e2e', 'tools', 'dashboard', 'demo', 'dist'],
  ...['mod.ts', 'build.ts', 'package.json', 'README.md'],
]
const WORKERS = 2
/** A file whose tests all fail by their time-outs is ended then; the slowest takes 27 s when green. */
const WATCHDOG_MS = 45_000

interface Result {
  readonly color: 'green' | 'red'
  readonly why: string
  readonly ms: number
}

async function main(): Promise<void> {
  const startMs = performance.now()
  let started = 0
  let wrong = 0
  const tell = (name: string, expected: string, { color, why, ms }: Result): void => {
    const mark = color === expected ? '✓' : '✘'
    if (mark === '✘') wrong += 1
    console.log(`${mark} ${name.padEnd(44)} ${color.padEnd(6)}${String(ms).padStart(6)} ms  ${why}`)
  }
  const inTurn = async <T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> => {
    const queue = [...list]
    const worker = async (): Promise<void> => {
      for (let one = queue.shift(); one; one = queue.shift()) await work(one)
    }
    await Promise.all(Array.from({ length: WORKERS }, worker))
  }

  console.log('As they are, the named tests must be green:')
  const tests = [...new Map(CASES.map((one) => [one.test + one.title, one])).values()]
  await inTurn(tests, async (one) => tell(one.test, 'green', await tryTest(one, undefined)))
  if (wrong === 0) {
    console.log('Without its package, each must be red:')
    await inTurn(CASES, async (one) => {
      started += 1
      tell(`${one.package} (${one.file})`, 'red', await tryTest(one, await stubOf(one)))
    })
  }
  console.log(`${Math.round((performance.now() - startMs) / 1000)} s`)
  console.log(`${Math.max(started - wrong, 0)} passed, ${wrong} failed, 0 skipped`)
  process.exit(wrong > 0 ? 1 : 0)
}

/** The same exports, where every function throws; constants stay what they are. */
async function stubOf({ package: name, file }: Case): Promise<string> {
  const text = readFileSync(join(ROOT, file), 'utf8')
  if (!text.includes(`from '${name}`)) throw new Error(`${file} does not import ${name}`)
  const exported = Object.entries(await import(pathToFileURL(join(ROOT, file)).href))
  return [
    `/** Stands in for what does its work with ${name}. */`,
    `const stub = (): never => { throw new Error('Without ${name}') }`,
    ...exported.map(([key, value]) => `export const ${key} = ${sourceOf(value)}`),
  ].join('\n')
}

function sourceOf(value: unknown): string {
  if (typeof value === 'function') return 'stub as any'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, member]) => `${key}: ${sourceOf(member)}`)
  return `{ ${members.join(', ')} }`
}

/** Runs the test in a copy of the tree, with the stub in place of the file if there is one. */
async function tryTest(one: Case, stub: string | undefined): Promise<Result> {
  const tree = mkdtempSync(join(tmpdir(), 'signal-mesh-stubs-'))
  const startMs = performance.now()
  const result = (color: Result['color'], why: string): Result => ({
    color,
    why,
    ms: Math.round(performance.now() - startMs),
  })
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(tree, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
    if (stub !== undefined) writeFileSync(join(tree, one.file), stub)
    if (one.built) await run(tree, ['build.ts', '--quiet'])
    await run(tree, [
      'test/harness/run.ts',
      one.test,
      '--watchdog-ms',
      String(WATCHDOG_MS),
      '--json',
      'it.json',
    ])
    return judge(one, JSON.parse(readFileSync(join(tree, 'it.json'), 'utf8')), result)
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

/** Green if the named test passed; red only if the run was told to have failed, too. */
function judge(
  { test, title }: Case,
  { runs }: { runs: { failed: number; files: Outcome[] }[] },
  result: (color: Result['color'], why: string) => Result,
): Result {
  const [run] = runs
  const named = run?.files[0]?.tests.find(({ name }) => name.endsWith(`: ${title}`))
  if (named?.passed) return result('green', title)
  if (!run?.failed) throw new Error(`${test} has no test "${title}"`)
  const trouble = run.files[0]?.troubles[0] ?? 'it did not run'
  return result('red', named ? `it failed: ${title}` : trouble)
}

/** Runs a program of the tree with this runtime to its end, whatever that is. */
function run(tree: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { cwd: tree, stdio: 'ignore' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
}

await main()
