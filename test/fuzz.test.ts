/** The fuzzer: what it once found, a bounded run with a fixed seed, and whether it would notice. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { equal, utf8 } from '../src/bytes.ts'
import { SignalMeshError } from '../src/errors.ts'
import { readCorpus, writeFinding, writeKept } from '../tools/fuzz/corpus.ts'
import { applyEdits, mutateBytes } from '../tools/fuzz/edits.ts'
import { fuzz } from '../tools/fuzz/loop.ts'
import { plainStep, readProgram, writeProgram } from '../tools/fuzz/program.ts'
import { shrunk } from '../tools/fuzz/shrink.ts'
import { checkError, must, type Target } from '../tools/fuzz/target.ts'
import { targets } from '../tools/fuzz/targets.ts'
import { broken, watchProcess } from '../tools/fuzz/watch.ts'
import { seededRandom } from './fixtures/random.ts'
import { readSources, type SourceFile } from './harness/source.ts'
import { assert, suite } from './harness/suite.ts'

/** The same inputs in every run; another number is one edit away. */
const SEED = 20_261_122
const EXECS = { stateless: 400, stateful: 6 }
/** Of a kept corpus, so many that the whole file stays within seconds. */
const REPLAYED = { stateless: 200, stateful: 6 }

const isStateless = ({ weight }: Target): boolean => weight === 1

const test = suite('fuzz', { timeoutMs: 30_000 })

for (const target of targets) {
  test(`${target.name} keeps the rules for what was found before, and for ${SEED}`, async () => {
    const kind = isStateless(target) ? 'stateless' : 'stateful'
    // Findings come first, and all of them.
    const corpus = readCorpus(target.name)
    const { found } = await fuzz({
      target,
      seed: SEED,
      corpus: corpus.slice(0, REPLAYED[kind]),
      goesOn: (execs) => execs < EXECS[kind] + REPLAYED[kind],
    })
    assert.equal(
      found.map(({ rule }) => rule),
      [],
    )
  })
}

/** Functions that read what comes from outside, or from a file, by their names. */
const READS = /^export (?:async )?(?:function|const) ((?:decode|parse|peek|read|load)\w*)/gm
/** Others that do so under another name. */
const ALSO_READ = [
  'src/bytes.ts fromHex',
  'src/bytes.ts fromUtf8',
  'src/edge/sealing.ts presenceOfOpening',
  'src/http.ts addressOf',
  'src/signal.ts checkSignal',
  'runtimes/http.ts requestOf',
  'runtimes/reason.ts reasonText',
]
const IMPORT = /^import \{([^}]*)\} from [']([^']+)'/gm

/** `file name` of everything that one of these files imports and uses. */
function usedIn(files: readonly SourceFile[]): Set<string> {
  const used = new Set<string>()
  for (const { path, text } of files) {
    const code = text.replace(IMPORT, '')
    for (const [, names = '', from = ''] of text.matchAll(IMPORT)) {
      const file = posix.join(posix.dirname(path), from)
      for (const one of names.split(',').map((name) => name.trim())) {
        const [name = '', alias = name] = one.split(' as ')
        if (name && new RegExp(`\\b${alias}\\b`).test(code)) used.add(`${file} ${name}`)
      }
    }
  }
  return used
}

const tried = usedIn([
  ...readSources('tools/fuzz/*.ts'),
  ...readSources('test/*.test.ts').filter(({ imports }) => imports.includes('fast-check')),
])
const readers = readSources('src/**/*.ts', 'runtimes/**/*.ts').flatMap(({ path, text }) =>
  [...text.matchAll(READS)].map(([, name]) => `${path} ${name}`),
)

for (const name of [...readers, ...ALSO_READ]) {
  // One test each, so that a new decoder without a target fails by its name.
  test(`${name} is fed by a fuzz target or a property`, () => {
    assert.ok(tried.has(name), `add a target for ${name} to tools/fuzz/`)
  })
}

test('finds the decoders by themselves', () => {
  assert.ok(readers.includes('src/equivocation.ts decodeProof'))
  assert.ok(readers.includes('src/anchors.ts decodeAnchors'))
  assert.ok(readers.length > 20, `${readers.length}`)
})

/** A decoder that believes a length, and one that throws whatever it meets. */
function planted(run: (input: Uint8Array) => void): Target {
  const seeds = [Uint8Array.of(4, 1, 2, 3, 4), Uint8Array.of(0)]
  return { name: 'planted', weight: 1, batch: 16, seeds, mutate: mutateBytes, run }
}

const plantedRun = (run: (input: Uint8Array) => void) =>
  fuzz({ target: planted(run), seed: SEED, corpus: [], goesOn: (execs) => execs < 2_000 })

test('notices an exception that is no typed error, and makes its input small', async () => {
  const target = planted((input) => {
    if ((input[0] as number) > 200) throw new TypeError('length of undefined')
  })
  const { found } = await plantedRun(target.run as (input: Uint8Array) => void)
  assert.is(found.length, 1)
  assert.match(found[0]?.rule ?? '', 'TypeError: length of undefined')
  const small = await shrunk(target, found[0] as (typeof found)[0])
  assert.is(small.length, 1)
})

test('notices a code that is not expected, and an exception inside of a typed error', () => {
  const refused = new SignalMeshError('REFUSED', 'No')
  assert.not.throws(() => checkError(refused, ['REFUSED']))
  assert.throws(() => checkError(refused, ['BAD_FRAME']), /REFUSED is not expected/)
  const wrapped = new SignalMeshError('INTERNAL', 'x is not a function', { cause: new TypeError() })
  assert.throws(() => checkError(wrapped), /INTERNAL for TypeError/)
})

test('notices a rejection that nobody handles', async () => {
  const { found } = await plantedRun((input) => {
    if (input.length > 8) void Promise.reject(new Error('lost'))
  })
  assert.match(found[0]?.rule ?? '', 'Nobody caught Error: lost')
})

test('notices memory that is kept', async () => {
  // What the targets before have left would otherwise be collected while it is measured.
  collectGarbage()
  const kept: number[][] = []
  const { found } = await fuzz({
    // Plain numbers: not every runtime counts the bytes of buffers.
    target: planted(() => void kept.push(Array.from({ length: 4_000 }, Math.random))),
    seed: SEED,
    corpus: [],
    goesOn: (execs) => execs < 6_100,
  })
  kept.length = 0
  assert.match(found[0]?.rule ?? '', 'The heap has grown')
})

test('draws the same inputs from the same seed', async () => {
  const runs = await Promise.all(
    [1, 1, 2].map(async (seed) => {
      const inputs: string[] = []
      const target = planted((input) => void inputs.push(input.join()))
      await fuzz({ target, seed, corpus: [], goesOn: (execs) => execs < 500 })
      return inputs.join('\n')
    }),
  )
  assert.is(runs[0], runs[1])
  assert.is.not(runs[0], runs[2])
})

test('edits any bytes, none at all too, and leaves what they were made from as it was', () => {
  const random = seededRandom(SEED)
  for (let op = 0; op < 0x100; op++) {
    for (const bytes of [new Uint8Array(0), Uint8Array.of(7), utf8('a text of some length')]) {
      const before = bytes.slice()
      const edit = { op, at: Math.floor(random() * 65_536), arg: op ^ 0x5a, value: op * 9_999 }
      assert.ok(applyEdits(bytes, [edit]).length <= 70_000)
      assert.ok(equal(bytes, before))
    }
  }
})

test('reads a program from any bytes, and writes it as it was', () => {
  const steps = [
    plainStep(3, 9),
    { kind: 1, arg: 2, inside: true, edits: [{ op: 1, at: 700, arg: 3, value: 2 ** 31 }] },
  ]
  assert.equal(readProgram(writeProgram(steps)), steps)
  const random = seededRandom(SEED)
  for (let i = 0; i < 500; i++) {
    const bytes = Uint8Array.from({ length: i }, () => random() * 256)
    const program = readProgram(bytes)
    assert.equal(readProgram(writeProgram(program)), program)
  }
})

test('keeps findings, and reads them before what a run has grown', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signal-mesh-corpus-'))
  try {
    writeKept('planted', [Uint8Array.of(1), Uint8Array.of(2, 3)], folder)
    writeFinding('planted', Uint8Array.of(9), 'A rule\nsomewhere', folder)
    const inputs = readCorpus('planted', folder).map((input) => [...input])
    assert.equal(inputs, [[9], [1], [2, 3]])
    const troubles = watchProcess()
    const target = planted((input) => must(input[0] !== 9, 'Not nine'))
    assert.match((await broken(target, Uint8Array.of(9), troubles)) ?? '', 'Not nine')
    troubles.stop()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()

/** V8 has it behind a flag, Bun in its own place. */
function collectGarbage(): void {
  const { Bun } = globalThis as { Bun?: { gc(waits: boolean): void } }
  if (Bun) {
    Bun.gc(true)
    return
  }
  v8.setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}
