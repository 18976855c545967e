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

/** Leaves such calls out, with the text that they would print. */
const withoutDebugging: Plugin = {
  name: 'without-debugging',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/simple-(peer|websocket)\/index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(DEBUG_CALL, 'void 0'),
    }))
  },
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

export const standIns: readonly Plugin[] = [insteadOf(STAND_INS), withoutDebugging]
/** The same for a page that has a node too. */
export const nodeStandIns: readonly Plugin[] = [
  insteadOf([...STAND_INS_OF_NODES, ...STAND_INS]),
  withoutDebugging,
  withoutMapsOfBroadcast,
]
