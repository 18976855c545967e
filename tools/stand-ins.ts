/** What stands in for a package, or for a part of one that is never reached, in a browser. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'esbuild'

const ROOT: string = join(import.meta.dirname, '..')

interface StandIn {
  readonly name: RegExp
  readonly contents: string
}

const STAND_INS: readonly StandIn[] = [
  {
    name: /^sodium-universal(\/|$)/,
    contents: `import * as sodium from './src/edge/sodium.ts'
      export * from './src/edge/sodium.ts'
      export default sodium`,
  },
  { name: /^debug$/, contents: 'module.exports = () => () => {}' },
  { name: /^(safe-)?buffer$/, contents: 'module.exports = { Buffer }' },
  { name: /^(node:)?events$/, contents: `export * from './tools/shims/events.ts'` },
  { name: /^readable-stream$/, contents: `export * from './tools/shims/stream.ts'` },
  // The codec of nanomessage is ours.
  { name: /^\.\/codec\.js$/, contents: 'export default () => {}' },
  // nanoerror knows no other placeholder than these.
  {
    name: /^quick-format-unescaped$/,
    contents: `module.exports = (text, args) => args.reduce((all, one) => all.replace('%s', () => one), text)`,
  },
  // simple-peer and simple-websocket make names of a few bytes with it.
  {
    name: /^randombytes$/,
    contents: 'module.exports = (n) => Buffer.from(crypto.getRandomValues(new Uint8Array(n)))',
  },
  // noise-protocol clones nothing but nested lists of symbols.
  {
    name: /^clone$/,
    contents: `module.exports = function clone(x) { return Array.isArray(x) ? x.map(clone) : x }`,
  },
]

/** Of what @dxos/broadcast brings, it uses this in a node; its own code is as it came. */
const STAND_INS_OF_NODES: readonly StandIn[] = [
  {
    name: /^sodium-universal(\/|$)/,
    contents: `import * as sodium from './runtimes/tabsodium.ts'
      export * from './runtimes/tabsodium.ts'
      export default sodium`,
  },
  {
    name: /^@dxos\/codec-protobuf$/,
    contents: `export * from './tools/shims/codec-protobuf.ts'`,
  },
  // Its events have no listeners, and its ids and numbers are ours.
  { name: /^@dxos\/async$/, contents: 'export class Event { emit() {} }' },
  {
    name: /^@dxos\/crypto$/,
    contents: 'exports.randomBytes = (n) => Buffer.from(crypto.getRandomValues(new Uint8Array(n)))',
  },
  {
    name: /^assert$/,
    contents: 'module.exports = (good, text) => { if (!good) throw new Error(text) }',
  },
  { name: /^debug$/, contents: 'module.exports = () => () => {}; module.exports.formatters = {}' },
  { name: /^b4a$/, contents: 'export default { from: (bytes) => Buffer.from(bytes) }' },
]

function insteadOf(all: readonly StandIn[]): Plugin {
  return {
    name: 'stand-ins',
    setup({ onResolve, onLoad }) {
      for (const { name, contents } of all) {
        const namespace = `stand-in for ${name.source}`
        onResolve({ filter: name }, () => ({ path: 'it', namespace }))
        onLoad({ filter: /^/, namespace }, () => ({ contents, resolveDir: ROOT }))
      }
    },
  }
}

/** Calls, over one line or more, of the method that only prints for who looks for a mistake. */
const DEBUG_CALL = /this\._debug\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/g

/** Of simple-peer: streams go another way (src/edge/media.ts), and nobody asks where the other side is. */
const UNUSED_METHODS = [
  'address',
  'addStream',
  'addTrack',
  'replaceTrack',
  'removeTrack',
  'removeStream',
  'getStats',
] as const
/** Looks up the addresses that `address` would tell. */
const READ_ADDRESSES =
  /(const setSelectedCandidatePair = selected\w+ => \{\n.*\n)[\s\S]*?(?=^ {8}\}\n)/m
/** Patterns of Noise that nobody plays: N is in the vectors. */
const UNUSED_PATTERNS = /^ {2}(?!N:|IK:|XX:)[A-Z]{1,2}: \{\n[\s\S]*?^ {2}\},?\n/gm

/** Leaves such calls out, with the text that they would print, and what is never called. */
const withoutUnused: Plugin = {
  name: 'without-unused',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/simple-websocket\/index\.js$/ }, ({ path }) => ({
      contents: without(path, DEBUG_CALL, 'void 0'),
    }))
    onLoad({ filter: /\/node_modules\/simple-peer\/index\.js$/ }, ({ path }) => ({
      contents: UNUSED_METHODS.reduce(
        (text, name) =>
          cut(text, new RegExp(`^ {2}${name} \\(.*\\) \\{\\n[\\s\\S]*?^ {2}\\}\\n`, 'm')),
        cut(without(path, DEBUG_CALL, 'void 0'), READ_ADDRESSES, '$1'),
      ),
    }))
    onLoad({ filter: /\/noise-protocol\/handshake-state\.js$/ }, ({ path }) => ({
      contents: without(path, UNUSED_PATTERNS),
    }))
  },
}

function without(path: string, what: RegExp, instead?: string): string {
  return cut(readFileSync(path, 'utf8'), what, instead)
}

/** The text without what is named; another version of the package may not have it, and is to be looked at. */
function cut(text: string, what: RegExp, instead = ''): string {
  const left = text.replace(what, instead)
  if (left === text) throw new Error(`Nothing fits ${what}`)
  return left
}

/** Its maps name sources that it does not bring along. */
const withoutMapsOfBroadcast: Plugin = {
  name: 'without-maps-of-broadcast',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/@dxos\/broadcast\/.*\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, ''),
    }))
  },
}

export const standIns: readonly Plugin[] = [insteadOf(STAND_INS), withoutUnused]
/** The same for a page that has a node too. */
export const nodeStandIns: readonly Plugin[] = [
  insteadOf([...STAND_INS_OF_NODES, ...STAND_INS]),
  withoutUnused,
  withoutMapsOfBroadcast,
]
