/** What a hostile node says of homes: batches and heads, true, twisted and contradicting. */

import { signBatch, signHead } from '../../src/batch.ts'
import { concat, fromHex, writer } from '../../src/bytes.ts'
import { hash, SIGNATURE_BYTES, type SignedType, sign } from '../../src/crypto.ts'
import { encodeContradiction, encodeForgery } from '../../src/equivocation.ts'
import type { Identity } from '../../src/identity.ts'
import { FRAME } from '../../src/messages.ts'
import { sealNext } from '../../src/noise.ts'
import {
  advertOf,
  forgedPresence,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  type TestHome,
  tagOf,
} from '../../test/fixtures/samples.ts'
import { type Play, sendRaw } from './link-play.ts'
import { editIf, plainStep, type Step } from './program.ts'

export function say(play: Play, frame: Uint8Array, step: Step): void {
  const { split } = play.line.handshake
  const plain = editIf(step, false, frame)
  if (!split) {
    sendRaw(play.line, plain, plainStep(0))
    return
  }
  play.line.last = plain
  // More than a frame holds is the sender's own business; nobody could seal it here either.
  play.line.raw.send(sealNext(split.tx, plain))
}

/** A structure signed anew after it was edited. */
export function signedAnew(
  type: SignedType,
  bytes: Uint8Array,
  step: Step,
  by: Identity,
): Uint8Array {
  const body = editIf(step, true, bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
  return concat(body, sign(type, NETWORK, body, by.keys))
}

export const homeOf = (play: Play, arg: number): TestHome =>
  arg % 4 === 3 ? play.other : play.home

/** Makes a change in a home's log; now and then one that its edges never made. */
export function change(play: Play, arg: number): Uint8Array {
  const home = homeOf(play, arg)
  const edge = identityOf(900 + (arg >> 4))
  const seq = play.world.mesh.clock.nowMs() + ++play.edges
  const victim = { ...identityOf(1), id: play.world.here.id }
  const victimKeys = { publicKey: fromHex(victim.id), secretKey: edge.keys.secretKey }
  const ops = [
    [put(presenceOf(edge, home.id, { seq })), put(advertOf(edge, tagOf(arg), { seq }))],
    [put(presenceOf({ ...victim, keys: victimKeys }, home.id, { seq }))],
    [put(forgedPresence(edge, home.id, { seq }))],
    [{ kind: 'remove-peer', peer: arg & 1 ? edge.id : victim.id, seq } as const],
    [put(presenceOf(edge, play.world.node.id, { seq }))],
  ]
  return home.change(...(ops[(arg >> 2) % ops.length] as (typeof ops)[0])).bytes
}

export function gossip(
  play: Play,
  home: TestHome,
  kind: number,
  data: Uint8Array,
  step: Step,
): void {
  const whole = concat(Uint8Array.of(kind), data)
  const fields = [hash([whole]), home.identity.keys.publicKey, play.identity.keys.publicKey, whole]
  const w = writer().u8(FRAME.gossip)
  for (const [i, field] of fields.entries()) {
    w.u8((i + 1) * 8 + 2)
    let length = field.length
    for (; length >= 0x80; length >>>= 7) w.u8((length & 0x7f) | 0x80)
    w.u8(length).bytes(field)
  }
  say(play, w.done(), step)
}

export function gossipBatch(play: Play, step: Step): void {
  const home = homeOf(play, step.arg)
  const bytes = signedAnew('batch', change(play, step.arg), step, home.identity)
  // One left out now and then, so that the node has to pull.
  if (step.arg % 8 !== 7) gossip(play, home, 1, bytes, step)
}

export function gossipHead(play: Play, step: Step): void {
  const home = homeOf(play, step.arg)
  const bytes = signedAnew('head', headOf(play, home), step, home.identity)
  gossip(play, home, 2, bytes, step)
}

export function headOf(play: Play, home: TestHome): Uint8Array {
  const { state } = home.log
  return signHead(NETWORK, home.identity.keys, {
    ...state.position,
    beat: ++play.beats,
    headHash: state.headHash,
    stateHash: state.digest.hash(),
    edges: state.claims.size,
    contact: { dhtKey: undefined, urls: ['http://127.0.0.1:4999'], vias: [] },
  }).bytes
}

/** Proves that a home lies, or seems to: by two different batches, or by what no edge has signed. */
export function accuse(play: Play, step: Step): void {
  const home = homeOf(play, step.arg)
  const last = home.batches.at(-1)
  if (!last) return
  const twin = signBatch(NETWORK, home.identity.keys, {
    ...last,
    stateHash: hash([Uint8Array.of(step.arg)]),
  })
  const proof = step.arg & 4 ? encodeForgery(last, step.arg >> 5) : encodeContradiction(last, twin)
  gossip(play, play.home, 3, editIf(step, true, proof), step)
}

/** Signs two different batches for one place in its log. */
export function equivocate(play: Play, step: Step): void {
  const { state } = play.home.log
  const batch = signBatch(NETWORK, play.home.identity.keys, {
    epoch: state.position.epoch + (step.arg >> 7),
    index: state.position.index + (step.arg % 3),
    previous: state.headHash,
    stateHash: hash([Uint8Array.of(step.arg)]),
    ops: [],
  })
  gossip(play, play.home, 1, signedAnew('batch', batch.bytes, step, play.identity), step)
}
