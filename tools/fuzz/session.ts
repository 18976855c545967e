/** A hostile edge at a node: any frames in any order, before and after a good proof. */

import { toHex, utf8 } from '../../src/bytes.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import { FRAME } from '../../src/messages.ts'
import { topicTag } from '../../src/topic.ts'
import { identityOf, tagOf } from '../../test/fixtures/samples.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { type Do, type Play, proof, request, type Socket, signal } from './session-frames.ts'
import { must, type Target } from './target.ts'
import { checkSent, inWorld, TOPIC, type World } from './world.ts'

/** After this, time-outs of proofs, dials and requests have all run out. */
const QUIET_MS = 25_000
const MAX_SOCKETS = 4

const STEPS: readonly Do[] = [
  (play, socket, step) => sendFrame(socket, proof(play, socket, step), step),
  (play, socket, step) => sendFrame(socket, request(play, socket, step), step),
  (play, socket, step) => sendFrame(socket, signal(play, socket, step), step),
  (_play, socket, step) => sendFrame(socket, Uint8Array.of(step.arg), step),
  (_play, socket, step) => sendFrame(socket, socket.last ?? utf8(TOPIC), step),
  (_play, socket, step) => {
    for (let i = 0; i < step.arg * 3; i++) if (socket.last) socket.link.send(socket.last)
  },
  ({ world }, _socket, step) => world.mesh.clock.advance(step.arg * 60),
  (play, _socket, step) => {
    if (play.sockets.length < MAX_SOCKETS) open(play, step.arg)
  },
  (_play, socket) => socket.link.close('left'),
]

const KIND = {
  proof: 0,
  request: 1,
  signal: 2,
  byte: 3,
  again: 4,
  flood: 5,
  wait: 6,
  open: 7,
  close: 8,
}

async function play(world: World, input: Uint8Array): Promise<void> {
  const play: Play = { world, sockets: [], boxKeys: boxKeyPair(), signed: 0 }
  open(play, 0)
  await world.mesh.clock.advance(0)
  for (const step of readProgram(input)) {
    const socket = play.sockets.at(-1) as Socket
    await (STEPS[step.kind % STEPS.length] as Do)(play, socket, step)
    await world.mesh.clock.advance(0)
  }
  for (const { link } of play.sockets) link.close('over')
  await world.check(QUIET_MS)
  for (const socket of play.sockets) checkSocket(socket)
}

function open(play: Play, arg: number): void {
  const link = play.world.dial(queryOf(play.world, arg))
  const socket: Socket = {
    link,
    identity: identityOf(700 + (arg % 3)),
    frames: [],
    closed: false,
    last: undefined,
    requests: 0,
  }
  link.subscribe((frame) => void socket.frames.push(frame))
  void link.closed.then(() => {
    socket.closed = true
  })
  play.sockets.push(socket)
}

/** Asks for samples: of topics with and without edges, and of an edge with and without a home. */
function queryOf({ here }: World, arg: number): string {
  const tags = [topicTag('main', TOPIC), tagOf(arg)].map(toHex).slice(0, (arg >> 2) % 3)
  const edges = [here.id, toHex(tagOf(arg))].slice(0, (arg >> 4) % 2)
  return `?${[...tags.map((tag) => `t=${tag}`), ...edges.map((edge) => `p=${edge}`)].join('&')}`
}

function checkSocket(socket: Socket): void {
  must(socket.closed, 'A socket is open after it was closed')
  must(socket.frames[0]?.[0] === FRAME.hello, 'A node does not begin with its hello')
  for (const frame of socket.frames) checkSent(frame)
  const byes = socket.frames.findIndex((frame) => frame[0] === FRAME.bye)
  must(byes < 0 || byes === socket.frames.length - 1, 'A frame comes after the goodbye')
}

function sendFrame(socket: Socket, frame: Uint8Array, step: Step): void {
  socket.last = editIf(step, false, frame)
  socket.link.send(socket.last)
}

/** Signs a body anew, after it was edited. */
function seeds(): Uint8Array[] {
  const { proof, request, signal, flood, wait, open, close, again } = KIND
  const all = Array.from({ length: 8 }, (_, method) => plainStep(request, method + 8))
  const signals = Array.from({ length: 16 }, (_, i) => plainStep(signal, i))
  return [
    [plainStep(proof), ...all, ...signals],
    [plainStep(proof, 0xc0), plainStep(request, 3), plainStep(flood, 0xff), plainStep(wait, 0xff)],
    [plainStep(proof), plainStep(open), plainStep(proof), plainStep(close), plainStep(request, 7)],
    [plainStep(wait, 0xff), plainStep(proof)],
    [plainStep(open, 0x18), plainStep(open, 0x14), plainStep(proof), plainStep(open, 8)],
    [plainStep(request, 3), plainStep(proof)],
    [plainStep(proof), plainStep(signal, 1), plainStep(flood, 0xff), plainStep(again)],
    [plainStep(proof), plainStep(request, 13), plainStep(close), plainStep(open), plainStep(proof)],
  ].map(writeProgram)
}

export const sessionTarget: Target = {
  name: 'session',
  weight: 14,
  batch: 1,
  seeds: seeds(),
  mutate: mutateProgram(STEPS.length),
  ...inWorld(400, play),
}
