/** One play of a hostile node: its raw links, and their handshakes up to the end or the break. */

import { concat, reader, writer } from '../../src/bytes.ts'
import { settle } from '../../src/clock.ts'
import { boxKeyPair, type KeyPair, sign } from '../../src/crypto.ts'
import type { Identity } from '../../src/identity.ts'
import type { Link } from '../../src/link.ts'
import { FRAME } from '../../src/messages.ts'
import { type Handshake, openNext, prologue, startHandshake } from '../../src/noise.ts'
import { NETWORK, type TestHome } from '../../test/fixtures/samples.ts'
import { editIf, plainStep, type Step } from './program.ts'
import { checkSent, type World } from './world.ts'

export interface Play {
  readonly world: World
  readonly identity: Identity
  /** The hostile node's own log, which it keeps well so that its lies are good ones. */
  readonly home: TestHome
  /** Another home, of which it tells. */
  readonly other: TestHome
  line: Line
  edges: number
  requests: number
  beats: number
}

/** One raw link with its handshake. */
export interface Line {
  readonly raw: Link
  readonly initiator: boolean
  readonly handshake: Handshake
  readonly boxKeys: KeyPair
  /** Frames of the handshake that came and were not read yet. */
  readonly inbox: Uint8Array[]
  /** Requests of the node that wait for an answer. */
  readonly asked: Uint8Array[]
  written: boolean
  last: Uint8Array | undefined
  closed: boolean
}

export type Do = (play: Play, step: Step) => void | Promise<void>
export const EPOCH = 1_900_000_000_000

export function open(play: Play, initiator: boolean): void {
  const boxKeys = boxKeyPair()
  const raw = play.world.link(!initiator)
  const line: Line = {
    raw,
    initiator,
    boxKeys,
    handshake: startHandshake({
      pattern: 'XX',
      initiator,
      prologue: prologue('link', [writer(2).u16(1).done(), NETWORK]),
      keys: boxKeys,
    }),
    inbox: [],
    asked: [],
    written: false,
    last: undefined,
    closed: false,
  }
  raw.subscribe((frame) => take(line, frame))
  void raw.closed.then(() => {
    line.closed = true
  })
  play.line = line
}

export function take(line: Line, frame: Uint8Array): void {
  const { split } = line.handshake
  if (!split) {
    line.inbox.push(frame)
    return
  }
  const plain = openNext(split.rx, frame)
  checkSent(plain)
  if (plain[0] === FRAME.rpc && reader(plain.subarray(1)).u32() % 2 === 0) line.asked.push(plain)
}

/** The next message that is due of this side, or, where none is, what came is read. */
export function advance(play: Play, step: Step): void {
  const { line } = play
  const { handshake, initiator } = line
  if (handshake.split) return
  const message = line.inbox.shift()
  // A node that was shown a bad message may answer with what cannot be read.
  if (message) {
    try {
      handshake.read(message)
    } catch {
      line.raw.close('unreadable')
      return
    }
  } else if (!initiator || line.written) return
  const payload = message || !initiator ? card(play, step) : new Uint8Array(0)
  line.written = true
  if (!handshake.split) sendRaw(line, handshake.write(payload), step)
  // The node's first sealed frames may have come right behind its last message.
  if (handshake.split) for (const frame of line.inbox.splice(0)) take(line, frame)
}

export function card({ identity, line }: Play, step: Step): Uint8Array {
  const body = concat(identity.keys.publicKey, line.boxKeys.publicKey)
  const signature = sign('link', NETWORK, body, identity.keys)
  return editIf(step, true, concat(identity.keys.publicKey, signature, new Uint8Array(8))).slice(
    0,
    60_000,
  )
}

export function sendRaw(line: Line, frame: Uint8Array, step: Step): void {
  line.last = editIf(step, false, frame)
  line.raw.send(line.last)
}

export async function link(play: Play): Promise<void> {
  for (let i = 0; i < 3 && !play.line.handshake.split; i++) {
    advance(play, plainStep(0))
    await settle()
  }
}
