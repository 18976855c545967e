/** A hostile node: any frames before, during and after the handshake, then any under its keys. */

import { concat, toHex, utf8 } from '../../src/bytes.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { encodeBye, FRAME } from '../../src/messages.ts'
import { encodeWord, type Word } from '../../src/tree.ts'
import { tagOf, testHome } from '../../test/fixtures/samples.ts'
import { accuse, equivocate, gossipBatch, gossipHead, say } from './link-log.ts'
import { advance, type Do, EPOCH, type Line, link, open, type Play, sendRaw } from './link-play.ts'
import { answer, request, signal } from './link-requests.ts'
import { mutateProgram, plainStep, readProgram, writeProgram } from './program.ts'
import { must, type Target } from './target.ts'
import { codeOfArg, inWorld, type World } from './world.ts'

/** Homes are forgotten after 35 s of silence, at the next heartbeat. */
const QUIET_MS = 62_000
const ALL_WORDS: readonly Word[] = ['have', 'graft', 'prune']
const STEPS: readonly Do[] = [
  advance,
  (play, step) => sendRaw(play.line, tagOf(step.arg), step),
  ({ line }, step) => {
    if (line.last && !line.handshake.split) sendRaw(line, line.last, step)
  },
  ({ world }, step) => world.mesh.clock.advance(step.arg * 40),
  ({ line }) => line.raw.close('left'),
  (play, step) => open(play, step.arg % 2 === 0),
  (play) => link(play),
  gossipBatch,
  gossipHead,
  equivocate,
  request,
  answer,
  signal,
  (play, step) => say(play, Uint8Array.of(step.arg), step),
  (play, step) => {
    const bye = new SignalMeshError(codeOfArg(step.arg), 'Bye')
    say(play, encodeBye(bye), step)
  },
  (play, step) => {
    const { last } = play.line
    for (let i = 0; last && i < step.arg * 2; i++) say(play, last, plainStep(0))
  },
  (play, step) => say(play, concat(Uint8Array.of(FRAME.gossip), utf8('packet')), step),
  accuse,
  (play, step) => {
    const ids = step.arg % 3 === 2 ? [] : [toHex(tagOf(step.arg))]
    say(play, encodeWord(ALL_WORDS[step.arg % 3] as Word, ids), step)
  },
]

let plays = 0

async function play(world: World, input: Uint8Array, linked: boolean): Promise<void> {
  const { clock } = world.mesh
  // Homes that the node has never heard of, or their old lies would stand in the way of new ones.
  const home = testHome(500_000 + plays++, EPOCH)
  const other = testHome(500_000 + plays++, EPOCH)
  const fields = { home, other, identity: home.identity, edges: 0, requests: 0, beats: 0 }
  const play = { world, ...fields } as unknown as Play
  const lines: Line[] = []
  open(play, (input.length & 1) === 0)
  if (linked) await link(play)
  for (const step of readProgram(input)) {
    if (lines.at(-1) !== play.line) lines.push(play.line)
    await (STEPS[step.kind % STEPS.length] as Do)(play, step)
    await clock.advance(0)
  }
  if (lines.at(-1) !== play.line) lines.push(play.line)
  for (const line of lines) line.raw.close('over')
  await world.check(QUIET_MS)
  for (const line of lines) {
    must(line.closed, 'A link is open after it was closed')
    line.handshake.destroy()
  }
  for (const one of [home, other]) one.log.close()
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const mutate = mutateProgram(STEPS.length)

export const linkTarget: Target = {
  name: 'link',
  weight: 6,
  batch: 1,
  seeds: [
    steps([0], [0], [0], [13, FRAME.ping]),
    steps([1], [0], [3, 0xff]),
    steps([0], [2], [0], [2]),
    steps([5, 1], [0], [0], [4], [5], [0]),
    steps([3, 0xff], [0]),
  ],
  mutate,
  ...inWorld(300, (world, input) => play(world, input, false)),
}

const all = Array.from({ length: 16 }, (_, i) => [7, i * 4 + (i % 4)] as const)

export const neighbourTarget: Target = {
  name: 'neighbour',
  weight: 14,
  batch: 1,
  seeds: [
    steps([11, 1], [8], ...all, [8], [8, 3]),
    steps([7], [7, 4], [7, 7], [7], [11, 1], [11, 1], [11, 2], [8]),
    steps([7], [9, 1], [8], [9, 0x81]),
    steps([7], [7], [11, 1], [11, 1], [11, 4], [11, 4]),
    steps([7], [7], [11, 1], [11, 2], [11, 5], [11, 2]),
    steps(...Array.from({ length: 12 }, (_, i) => [12, i] as const)),
    steps([10, 0], [10, 1], [10, 5], [10, 2], [13, 7], [14, 68]),
    steps([12], [15, 0xff], [10], [15, 0xff], [4], [5], [6], [8]),
    steps([16], [3, 0xff], [3, 0xff]),
    steps([7], [17], [7, 8], [7, 9], [17, 4], [17, 3], [8]),
  ],
  mutate,
  ...inWorld(250, (world, input) => play(world, input, true)),
}
