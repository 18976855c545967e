/** What a hostile home says: greetings, answers, refusals and pushes. */

import { concat, reader, toHex, writer } from '../../src/bytes.ts'
import { sign } from '../../src/crypto.ts'
import { SignalMeshError } from '../../src/errors.ts'
import {
  decodeProof,
  encodeError,
  encodeFound,
  encodeHello,
  encodePush,
  type FoundList,
  FRAME,
} from '../../src/messages.ts'
import type { Presence } from '../../src/records.ts'
import { EDGE_METHOD } from '../../src/rpc.ts'
import { NETWORK, tagOf } from '../../test/fixtures/samples.ts'
import { advertOf, PEERS, type Play, peerOf, presenceOf, say, TAG } from './home-play.ts'
import { editIf, type Step } from './program.ts'
import { codeOfArg } from './world.ts'

export const CLOCKS: readonly number[] = [0, 1, 2 ** 48, 2 ** 48 + 1, 2 ** 53 - 1, 1e12, 1.9e12]

/** What it says that it holds of the edge: nothing, the edge's own presence, or another's. */
const HELD: readonly ((play: Play) => Presence | undefined)[] = [
  () => undefined,
  (play) => play.proof && decodeProof(play.proof).presence,
  (play) => presenceOf(play, peerOf(0)),
]

export function hello(play: Play, step: Step): void {
  const { arg } = step
  const nowMs = arg < 0x80 ? play.world.mesh.clock.nowMs() : (CLOCKS[arg % CLOCKS.length] as number)
  play.challenge = tagOf(arg)
  const frame = encodeHello({
    versions: [1],
    features: new Uint8Array(8),
    nodeKey: play.evil.keys.publicKey,
    networks: [NETWORK],
    challenge: play.challenge,
    nowMs,
    topics: arg & 1 ? [{ tag: TAG, hasPeer: false, ...listOf(play, arg) }] : [],
    held: HELD[(arg >> 1) % HELD.length]?.(play),
  })
  say(play, editIf(step, true, frame), step)
}

export function welcome(play: Play, step: Step): void {
  const nonce = play.proof ? decodeProof(play.proof).nonce : new Uint8Array(32)
  const signature = sign('node-proof', NETWORK, concat(nonce, play.challenge), play.evil.keys)
  const urls = [
    [],
    [play.world.mesh.urlOf(play.world.node)],
    ['http://10.0.0.1:1', 'ws://127.0.0.1:4999/x', 'nonsense', 'http://127.0.0.1:7'],
    Array.from({ length: 8 }, (_, i) => `http://127.0.0.1:${4100 + i}`),
  ][step.arg % 4] as string[]
  const w = writer().u8(urls.length)
  for (const url of urls) w.text(url)
  say(play, concat(Uint8Array.of(FRAME.welcome), signature, editIf(step, true, w.done())), step)
}

export function answer(play: Play, step: Step): void {
  const asked = play.asked.shift()
  if (!asked) return
  const id = reader(asked.subarray(1)).u32()
  const body = editIf(step, true, answerBody(play, asked, step.arg))
  say(
    play,
    writer()
      .u8(FRAME.rpc)
      .u32(id + 1)
      .bytes(body)
      .done(),
    step,
  )
}

export function answerBody(play: Play, asked: Uint8Array, arg: number): Uint8Array {
  if (arg % 8 === 7) return concat(Uint8Array.of(1), encodeError(refusal(play, arg >> 3)))
  const method = asked[5]
  const ok = Uint8Array.of(0)
  if (method === EDGE_METHOD.lookup) {
    const wanted = asked.subarray(6)
    const peer = PEERS.find(({ id }) => id === toHex(wanted)) ?? peerOf(arg)
    return concat(ok, presenceOf(play, peer).bytes)
  }
  if (method !== EDGE_METHOD.discover && method !== EDGE_METHOD.watch) return ok
  return concat(ok, encodeFound(listOf(play, arg)))
}

function listOf(play: Play, arg: number): FoundList {
  const found = PEERS.slice(arg % 4).map((peer) => ({
    presence: presenceOf(play, peer),
    advert: advertOf(play, arg & 0x40 ? peerOf(arg) : peer),
  }))
  return { total: arg & 0x80 ? 0xffff_ffff : found.length, found }
}

export function refusal(play: Play, arg: number): SignalMeshError {
  const own = play.proof && decodeProof(play.proof).presence.bytes
  const evidence =
    arg % 3 === 0 ? own : arg % 3 === 1 ? presenceOf(play, peerOf(0)).bytes : undefined
  const retryAfterMs = arg % 2 ? 0xffff_ffff : 0
  const extra = evidence ? { evidence } : {}
  return new SignalMeshError(codeOfArg(arg * 3 + 20), 'Not from me', { retryAfterMs, ...extra })
}

export function push(play: Play, step: Step): void {
  const peer = peerOf(step.arg)
  const tag = step.arg & 0x40 ? tagOf(1) : TAG
  const frame =
    step.arg & 4
      ? encodePush({ tag, peer: peer.keys.publicKey })
      : encodePush({
          tag,
          found: { presence: presenceOf(play, peer), advert: advertOf(play, peer) },
        })
  say(play, editIf(step, true, frame), step)
}
