/** The report of a run: tables for people, and everything for programs. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import type { Cause } from './causes.ts'
import type { Cell } from './cells.ts'
import { KINDS, type Kind, MODES, type Mode, TWINS } from './kinds.ts'

export interface Proof {
  readonly site: string
  readonly kind: Kind
  readonly expected: string
  readonly found: string
}

/** A check that is no cell of the matrix. */
export interface Check {
  readonly name: string
  readonly passed: boolean
  readonly text: string
}

export interface Ratio {
  /** Whether all went by TLS, as for users; a page of plain HTTP lacks the browser's own cryptography. */
  readonly secure: boolean
  readonly pairs: number
  readonly samples: number
  readonly meshMedianMs: number
  readonly plainMedianMs: number
  readonly ratio: number
}

export interface Results {
  readonly seconds: number
  /** How many runs it comes of: parts may be run in turn. */
  readonly runs: number
  readonly modes: readonly Mode[]
  readonly proofs: readonly Proof[]
  readonly cells: readonly Cell[]
  /** Causes that were provoked by rules of routers. */
  readonly causes: readonly Cause[]
  readonly checks: readonly Check[]
  readonly ratios: readonly Ratio[]
}

const TITLES: Readonly<Record<Mode, string>> = {
  stun: 'STUN of the nodes alone',
  turn: 'STUN, and coturn to which the nodes let in',
  mesh: 'STUN, and the relay inside the mesh',
}

export function writeReport(results: Results, jsonFile?: string, mdFile?: string): void {
  const machine = { cores: cpus().length, kernel: release(), node: process.version }
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ machine, ...results }, null, 1)}\n`)
  if (mdFile) writeFileSync(mdFile, markdown(results))
}

export function readResults(jsonFile: string): Results | undefined {
  return existsSync(jsonFile) ? JSON.parse(readFileSync(jsonFile, 'utf8')) : undefined
}

/** What an earlier run has of what was not run now, and all of now. */
export function added(earlier: Results | undefined, now: Results): Results {
  if (!earlier) return now
  const keep = <T>(of: (results: Results) => readonly T[], key: (one: T) => string): T[] => {
    const keys = new Set(of(now).map(key))
    return [...of(earlier).filter((one) => !keys.has(key(one))), ...of(now)]
  }
  return {
    seconds: earlier.seconds + now.seconds,
    runs: earlier.runs + now.runs,
    modes: MODES.filter((mode) => [...earlier.modes, ...now.modes].includes(mode)),
    proofs: keep(
      ({ proofs }) => proofs,
      ({ site }) => site,
    ),
    cells: keep(
      ({ cells }) => cells,
      ({ mode, from, to }) => [mode, from, to].join(),
    ),
    causes: keep(
      ({ causes }) => causes,
      ({ title, pair }) => [title, pair].join(),
    ),
    checks: keep(
      ({ checks }) => checks,
      ({ name }) => name,
    ),
    ratios: keep(
      ({ ratios }) => ratios,
      ({ secure }) => String(secure),
    ),
  }
}

/** Times the minimal server’s that the mesh may take. */
const MOST_RATIO = 1.15

export function wrongs({ proofs, cells, causes, checks, ratios }: Results): string[] {
  return [
    ...ratios
      .filter(({ secure, ratio }) => secure && ratio > MOST_RATIO)
      .map(({ ratio }) => `the mesh takes ${ratio} times as long`),
    ...proofs
      .filter(({ expected, found }) => expected !== found)
      .map(({ site, expected, found }) => `${site} is no ${expected}, but ${found}`),
    ...cells.flatMap(({ mode, from, to, wrong }) =>
      wrong.map((text) => `${mode}: ${from} → ${to}: ${text}`),
    ),
    ...causes
      .filter(({ passed }) => !passed)
      .map(({ title, pair, want, said }) => `${title}, ${pair}: "${said}", not "${want}"`),
    ...checks.filter(({ passed }) => !passed).map(({ name, text }) => `${name}: ${text}`),
  ]
}

function markdown(results: Results): string {
  const { cells, proofs, causes, checks, ratios, seconds } = results
  const wrong = wrongs(results)
  const parts = [
    '# The NAT matrix',
    'Written by `npm run e2e:nat`. Rows call columns: two Chromium browsers, each behind a NAT of its own, at home on',
    'nodes of different runtimes. A cell has the way of the data in the end, as both browsers say and the core router’s counters',
    'agree, and the time from `discover()` to the open connection; or `–` and the cause that the error names. **!!**: not as theory says.',
    `${cells.length} cells and ${proofs.length} NATs in ${Math.round(seconds)} s (runs: ${results.runs}); ${wrong.length} not as theory says.`,
    ...MODES.filter((mode) => results.modes.includes(mode)).map((mode) => table(mode, cells)),
    ...(ratios.length ? [ratioText(ratios)] : []),
    ...(causes.length ? [causesText(causes)] : []),
    ...(checks.length ? ['## More', checks.map(checkLine).join('\n')] : []),
    ...(wrong.length ? ['## Not as theory says', wrong.map((text) => `- ${text}`).join('\n')] : []),
    '## What each NAT proved to be',
    proofs.map(({ site, found }) => `- ${site}: ${found}`).join('\n'),
  ]
  return `${parts
    .join('\n\n')
    .replace(/\n\n(nodes of|agree,)/g, '\n$1')
    .replace(/(counters)\n\n/, '$1\n')}\n`
}

function table(mode: Mode, all: readonly Cell[]): string {
  const cells = all.filter((cell) => cell.mode === mode)
  const grid = cells.filter(({ from }) => from.startsWith('a-'))
  const rest = cells.filter((cell) => !grid.includes(cell))
  const named = (side: 'a' | 'b', end: 'from' | 'to'): string[] =>
    KINDS.map((kind) => `${side}-${kind}`).filter((name) => grid.some((one) => one[end] === name))
  const columns = named('b', 'to')
  const rows = named('a', 'from').map((from) => {
    const texts = columns.map((to) =>
      textOf(grid.find((one) => one.from === from && one.to === to)),
    )
    return `| ${from.slice(2)} | ${texts.join(' | ')} |`
  })
  const times = cells
    .filter(({ called }) => called.outcome === 'open')
    .map(({ called }) => called.ms)
  return [
    `## ${TITLES[mode]}`,
    `${times.length} of ${cells.length} open; median ${median(times)} ms, longest ${Math.max(0, ...times)} ms.\n`,
    `| | ${columns.map((name) => name.slice(2)).join(' | ')} |`,
    `|---|${columns.map(() => '---|').join('')}`,
    ...rows,
    ...(rest.length ? ['', ...rest.map((cell) => `- ${nameOf(cell)}: ${textOf(cell)}`)] : []),
  ].join('\n')
}

function nameOf({ from, to }: Cell): string {
  const kind = Object.keys(TWINS).find((name) => from === `t-${name}-1` || from === `t-${name}-2`)
  return kind
    ? `${TWINS[kind as keyof typeof TWINS].about}, ${from.slice(-1)} calls`
    : `${from} → ${to}`
}

export function textOf(cell: Cell | undefined): string {
  if (!cell) return ''
  const { called, last, wrong } = cell
  const flag = wrong.length ? '**!!** ' : ''
  if (called.outcome !== 'open') return `${flag}– ${called.cause ?? called.code}`
  return `${flag}${last?.[0].path ?? '?'} ${called.ms}`
}

function ratioText(ratios: readonly Ratio[]): string {
  const [{ pairs, samples } = { pairs: 0, samples: 0 }] = ratios
  const rows = ratios.map(
    ({ secure, meshMedianMs, plainMedianMs, ratio }) =>
      `| ${secure ? 'TLS, as users have it' : 'plain HTTP, where a page has no cryptography of the browser'} | ${meshMedianMs} | ${plainMedianMs} | ${ratio} |`,
  )
  return `## Beside a minimal WebSocket server

${pairs} pairs, ${samples} times each, in turn with the same pages signalling by a minimal server in the same laboratory:
median from asking who is there to the open connection.

| Pages by | mesh, ms | minimal server, ms | ratio |
|---|---|---|---|
${rows.join('\n')}`
}

function causesText(causes: readonly Cause[]): string {
  const titles = [...new Set(causes.map(({ title }) => title))]
  const rows = titles.map((title) => {
    const all = causes.filter((one) => one.title === title)
    const [{ by, want } = { by: '', want: '' }] = all
    const said = all.map(({ said, ms, passed }) => `${passed ? '' : `**!!** ${said} `}${ms}`)
    return `| ${title} | ${by} | \`${want}\` | ${said.join(', ')} |`
  })
  return `## Causes, provoked by rules of routers

Each on three pairs of sites; the time is from the call, or from the fault where a connection was open, to the cause.

| | What was done | What \`why()\` has to say, and in which phase | ms |
|---|---|---|---|
${rows.join('\n')}`
}

const CLASSES: Readonly<Record<string, readonly Kind[]>> = {
  'open or full cone': ['public', 'full'],
  'address-restricted': ['address'],
  'port-restricted, firewall, carrier': ['port', 'firewall', 'carrier'],
  symmetric: ['symmetric', 'carrier-symmetric'],
}
/** No UDP, and no version of IP that those above have. */
const UNREACHED: readonly Kind[] = ['tcp443', 'ipv6']

/** The rows of the README's table: D where each pair connected with STUN alone, R where none did. */
export function readmeRows({ cells }: Results): string[] {
  const found = cells.filter(({ mode, from }) => mode === 'stun' && from.startsWith('a-'))
  const letter = (callers: readonly Kind[], called: readonly Kind[]): string => {
    const all = found.filter(({ kinds: [a, b] }) => callers.includes(a) && called.includes(b))
    const open = all.filter((cell) => cell.called.outcome === 'open').length
    if (all.length < callers.length * called.length) return ''
    return open === all.length ? 'D' : open === 0 ? 'R' : '?'
  }
  return Object.entries(CLASSES).map(([name, kinds]) => {
    const columns = [...Object.values(CLASSES), UNREACHED].map((called) => letter(kinds, called))
    return `| ${name} | ${columns.join(' | ')} |`
  })
}

function checkLine({ name, passed, text }: Check): string {
  return `- ${passed ? '' : '**!!** '}${name}: ${text}`
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return 0
  if (sorted.length % 2) return sorted[middle] as number
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}
