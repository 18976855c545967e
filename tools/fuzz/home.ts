/** A hostile home: any frames to an edge that also knows a good home, and whatever its application does meanwhile. */

import { utf8 } from '../../src/bytes.ts'
import { joinOn } from '../../src/edge/join.ts'
import type { Edge } from '../../src/edge/mod.ts'
import { encodeBye } from '../../src/messages.ts'
import { identityOf, tagOf } from '../../test/fixtures/samples.ts'
import { rtcWorld } from '../../test/support/rtc.ts'
import { act } from './home-acts.ts'
import { answerCall, controlSignal, openingSignal, withinSignal } from './home-calls.ts'
import { answer, hello, push, refusal, welcome } from './home-frames.ts'
import { type Do, dial, EVIL_URL, type Play, say } from './home-play.ts'
import { mutateProgram, plainStep, readProgram, writeProgram } from './program.ts'
import { checkError, Finding, must, type Target } from './target.ts'
import { inWorld, TOPIC, type World } from './world.ts'

/** A back-off of 15 s for each of ten homes, and twice around. */
const SETTLED_WITHIN_MS = 400_000

const STEPS: readonly Do[] = [
  hello,
  welcome,
  answer,
  push,
  openingSignal,
  withinSignal,
  answerCall,
  controlSignal,
  act,
  (play, step) => say(play, encodeBye(refusal(play, step.arg)), step),
  (play, step) => say(play, Uint8Array.of(step.arg), step),
  (play, step) => say(play, utf8('hello'), step),
  ({ world }, step) => world.mesh.clock.advance(step.arg * 60),
  ({ link }) => link?.close('left'),
  (play, step) => {
    for (let i = 0; play.last && i <= step.arg % 100; i++) play.link?.send(play.last)
  },
]

async function play(world: World, input: Uint8Array): Promise<void> {
  const { clock } = world.mesh
  const play: Play = {
    world,
    evil: identityOf(960),
    link: undefined,
    challenge: tagOf(0),
    proof: undefined,
    asked: [],
    signals: [],
    calls: [],
    last: undefined,
    edge: undefined,
    doings: new Set(),
    troubles: [],
    over: false,
  }
  let refused: unknown
  const ground = { clock, makeRtc: rtcWorld(clock), dial: (url: string) => dial(play, url) }
  const urls = [EVIL_URL, world.mesh.urlOf(world.node)]
  joinOn(ground, { network: 'main', urls }).then(
    (edge) => {
      play.edge = edge
      edge.on('error', (error) => play.troubles.push(new Finding(`It ended: ${error.message}`)))
    },
    (error: unknown) => {
      refused = error
    },
  )
  await clock.advance(0)
  for (const step of readProgram(input)) {
    await (STEPS[step.kind % STEPS.length] as Do)(play, step)
    await clock.advance(1)
  }
  play.over = true
  play.link?.close('over')
  await recover(play, () => refused)
  for (const error of play.troubles) checkError(error)
  for (const { sealing } of play.calls) sealing.destroy()
  await world.check(5_000)
}

/** With a good home left, the edge is there before long, and everything that it was doing is over. */
async function recover(play: Play, refused: () => unknown): Promise<void> {
  const { clock, urlOf } = play.world.mesh
  const isWell = (): boolean =>
    play.edge?.home.state === 'open' && play.edge.home.url === urlOf(play.world.node)
  for (let ms = 0; ms < SETTLED_WITHIN_MS && !(isWell() || refused()); ms += 500) {
    await clock.advance(500)
  }
  if (refused()) {
    checkError(refused(), ['NO_HOME'])
    return
  }
  must(isWell(), `The edge has not found the good home, but is ${play.edge?.home.state}`)
  const { edge } = play as { edge: Edge }
  await clock.advance(62_000)
  const { size } = play.doings
  const found = edge.discover(TOPIC)
  await clock.advance(0)
  const ids = (await found).peers.map(({ id }) => id)
  must(ids.includes(play.world.here.id), 'The edge does not find its peers at the good home')
  await edge.close()
  await clock.advance(0)
  must(size === 0 || play.doings.size === 0, `${play.doings.size} of ${size} doings never end`)
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const JOIN = [[0], [1]] as const
const TAKEN = [...JOIN, [8, 0], [2]] as const

export const homeTarget: Target = {
  name: 'home',
  weight: 14,
  batch: 1,
  seeds: [
    steps(...TAKEN, [8, 1], [2], [8, 6], [2], [3], [3, 1], [3, 4]),
    steps(...TAKEN, [4], [5, 0x20], [5, 0x21], [5, 0x22], [5, 0x70]),
    steps(...TAKEN, [8, 2], [2], [12, 1], [6, 2], [5, 0x20], [5, 0x20]),
    steps(...TAKEN, [8, 2], [2], [12, 1], [7, 61], [7, 42], [7, 60]),
    steps(...TAKEN, [8, 1], [2, 7], [8, 2], [2, 15], [8, 6], [2, 23], [12, 0xff]),
    steps(...JOIN, [9, 0], [0], [1], [9, 1], [0], [1], [9, 2], [0], [1]),
    steps([0, 0x82], [1, 2], [13], [12, 40], [0, 0x84], [12, 0xff]),
    steps([1], [0], [0], [10, 7], [12, 0xff], [12, 0xff]),
    steps([0], [1, 3], [8, 2], [4, 1], [2], [12, 1], [5, 0x64], [14, 80], [13]),
  ],
  mutate: mutateProgram(STEPS.length),
  ...inWorld(250, play),
}
