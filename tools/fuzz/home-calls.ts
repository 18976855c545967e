/** Signals that come by a hostile home: calls of other edges, their answers, and words of nodes. */

import { encodePlain, type Item } from '../../src/edge/items.ts'
import { createSealing } from '../../src/edge/sealing.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { decodeProof } from '../../src/messages.ts'
import { CLASS, classOf, connectionOf, encodeControl, toOf } from '../../src/signal.ts'
import { topicKey } from '../../src/topic.ts'
import { NETWORK, tagOf } from '../../test/fixtures/samples.ts'
import { PEERS, type Play, peerOf, presenceOf, say, TAG } from './home-play.ts'
import { editIf, type Step } from './program.ts'
import { codeOfArg, TOPIC } from './world.ts'

export function itemsOf(arg: number): Item[] {
  const items: Item[] = [
    { kind: 'description', generation: 0, type: 'offer', sdp: `v=0 secret-end-${arg % 3}` },
    {
      kind: 'description',
      generation: 0,
      type: arg & 2 ? 'answer' : 'offer',
      sdp: `v=0 secret-end-${arg % 4}`,
    },
    { kind: 'candidate', generation: 0, candidate: 'candidate:1', sdpMid: '0', sdpMLineIndex: arg },
    { kind: 'metadata', data: new Uint8Array(arg) },
    { kind: 'renegotiate' },
    { kind: 'transceiver', media: 'audio' },
    { kind: 'refused', code: arg & 4 ? 'GLARE' : codeOfArg(arg), reason: 'no' },
    { kind: 'end-of-candidates', generation: arg & 1 },
    { kind: 'ice-restart', generation: 1 },
    { kind: 'relay', data: new Uint8Array(arg) },
    { kind: 'bye', reason: 'gone' },
  ]
  const from = (arg >> 4) % items.length
  return arg < 16 ? items.slice(0, 2) : items.slice(from, from + 1 + (arg % 3))
}

export function openingSignal(play: Play, step: Step): void {
  if (!play.proof) return
  const { presence } = decodeProof(play.proof)
  const from = peerOf(step.arg)
  const sealing = createSealing({
    networkId: NETWORK,
    initiator: true,
    connection: tagOf(step.arg >> 4).slice(0, 16),
    self: { key: from.keys.publicKey, boxKeys: from.boxKeys },
    remote: { key: presence.peerKey, boxKey: presence.boxKey },
    tag: step.arg & 1 ? tagOf(3) : TAG,
    topicKey: () => (step.arg & 0x40 ? tagOf(4) : topicKey('main', TOPIC)),
  })
  const plain = editIf(step, true, encodePlain({ ack: 0, items: itemsOf(step.arg & 0x8f) }))
  play.calls.push({ sealing, from, counter: 1, acks: 0 })
  say(play, sealing.sealOpening(presenceOf(play, from).bytes, plain.subarray(0, 30_000)), step)
}

export function withinSignal(play: Play, step: Step): void {
  const call = play.calls.at(-1)
  if (!call) return
  const ack = step.arg % 8 === 1
  const plain = editIf(step, true, encodePlain({ ack: step.arg % 4, items: itemsOf(step.arg) }))
  const counter = ack ? call.acks++ : call.counter++
  say(play, call.sealing.seal(plain.subarray(0, 30_000), counter, ack), step)
}

/** Answers the edge's own call, as the peer would. */
export function answerCall(play: Play, step: Step): void {
  const opening = play.signals.findLast((frame) => classOf(frame) === CLASS.open)
  const from = opening && PEERS.find(({ id }) => id === toOf(opening))
  if (!opening || !from || !play.proof) return
  const { presence } = decodeProof(play.proof)
  const sealing = createSealing({
    networkId: NETWORK,
    initiator: false,
    connection: connectionOf(opening).slice(),
    self: { key: from.keys.publicKey, boxKeys: from.boxKeys },
    remote: { key: presence.peerKey, boxKey: presence.boxKey },
    topicKey: () => topicKey('main', TOPIC),
  })
  try {
    sealing.unseal(opening)
  } catch {
    if (sealing.declined) say(play, sealing.sealDecline(), step)
    return
  }
  const plain = editIf(step, true, encodePlain({ ack: 1, items: itemsOf(step.arg) }))
  play.calls.push({ sealing, from, counter: 1, acks: 0 })
  say(play, sealing.sealAnswer(plain.subarray(0, 30_000)), step)
}

export function controlSignal(play: Play, step: Step): void {
  const about = play.signals.at(-1)
  if (!about) return
  const error = new SignalMeshError(codeOfArg(step.arg), '', { retryAfterMs: step.arg << 20 })
  say(play, encodeControl(NETWORK, about, error, play.evil.keys.publicKey), step)
}
