/** What a hostile node asks and answers, and the signals that it brings. */

import { concat, fromHex, reader, writer } from '../../src/bytes.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { encodeError, FRAME } from '../../src/messages.ts'
import { NODE_METHOD } from '../../src/rpc.ts'
import { CLASS, encodeSignal, PHASE, stamp } from '../../src/signal.ts'
import { identityOf, NETWORK, presenceOf, tagOf } from '../../test/fixtures/samples.ts'
import { headOf, homeOf, say } from './link-log.ts'
import type { Play } from './link-play.ts'
import { editIf, type Step } from './program.ts'
import { codeOfArg } from './world.ts'

export function request(play: Play, step: Step): void {
  const method = (step.arg % 4) + 1
  const key = step.arg & 4 ? fromHex(play.world.node.id) : play.identity.keys.publicKey
  const body =
    method === NODE_METHOD.heads
      ? new Uint8Array(step.arg >> 3).subarray(0, 32)
      : writer()
          .bytes(key)
          .u64(0)
          .u64(0)
          .u32(step.arg >> 5)
          .done()
  const frame = writer()
    .u8(FRAME.rpc)
    .u32(2 * ++play.requests)
    .u8(method)
  say(play, frame.bytes(editIf(step, true, body)).done(), step)
}

/** Answers what the node has asked: as it should, or with something that only looks so. */
export function answer(play: Play, step: Step): void {
  const asked = play.line.asked.shift()
  if (!asked) return
  const id = reader(asked.subarray(1)).u32()
  const isHeads = asked[5] === NODE_METHOD.heads
  const body = step.arg % 8 === 7 ? failure(step) : isHeads ? heads(play, step) : pulled(play, step)
  const frame = writer()
    .u8(FRAME.rpc)
    .u32(id + 1)
  say(play, frame.bytes(editIf(step, true, body)).done(), step)
}

export function failure({ arg }: Step): Uint8Array {
  const error = new SignalMeshError(codeOfArg(arg), 'Not from me', { retryAfterMs: arg * 1000 })
  return concat(Uint8Array.of(1), encodeError(error))
}

export function heads(play: Play, { arg }: Step): Uint8Array {
  const w = writer()
    .u8(0)
    .u8(arg >> 7)
  const all = [play.home, play.other].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const home of all) {
    const { epoch, index } = home.log.state.position
    w.bytes(fromHex(home.id)).u64(epoch).u64(index)
    w.block(arg & 1 ? headOf(play, home) : new Uint8Array(0))
  }
  return w.done()
}

export function pulled(play: Play, { arg }: Step): Uint8Array {
  const home = homeOf(play, arg)
  const last = home.batches.at(-1)
  if (!last || arg % 3 === 0) return Uint8Array.of(0, 0)
  const w = writer().u8(0)
  if (arg % 3 === 1) {
    w.u8(1).u8(arg >> 7)
    for (const batch of home.batches.slice(arg & 8 ? 1 : 0)) w.block(batch.bytes)
    return w.done()
  }
  w.u8(2)
    .u8(arg >> 7)
    .block(last.bytes)
  for (const { presence, adverts } of home.log.state.claims.values()) {
    if (presence) w.u8(1).block(presence.bytes)
    for (const advert of adverts.values()) w.u8(2).block(advert.bytes)
  }
  return w.done()
}

export function signal(play: Play, step: Step): void {
  const { arg } = step
  const edge = identityOf(900 + (arg >> 4))
  const seq = play.world.mesh.clock.nowMs() + ++play.edges
  const presence = presenceOf(edge, play.identity.id, { seq })
  const payload = writer().block(presence.bytes).bytes(tagOf(1)).bytes(tagOf(2)).done()
  const cls = [CLASS.open, CLASS.within, CLASS.control, arg][arg % 4] as number
  const { here, there } = play.world
  const frame = encodeSignal(NETWORK, {
    class: cls,
    phase: PHASE.handshake,
    from: edge.keys.publicKey,
    to: [fromHex(here.id), fromHex(there.id), tagOf(3)][(arg >> 2) % 3] as Uint8Array,
    connection: tagOf(arg % 5).subarray(0, 16),
    counter: arg,
    payload: editIf(step, true, payload).subarray(0, 32_768),
  })
  stamp(frame, play.identity.keys.publicKey, 2)
  say(play, frame, step)
}
