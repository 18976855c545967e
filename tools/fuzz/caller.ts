/** A hostile peer that knows its keys: good handshakes around whatever is meant to stand in them. */

import { concat, equal, utf8, writer } from '../../src/bytes.ts'
import { boxKeyPair, hash } from '../../src/crypto.ts'
import { decodePlain, encodePlain } from '../../src/edge/items.ts'
import { createSealing, type Sealing } from '../../src/edge/sealing.ts'
import { cipherKey, type Handshake, prologue, sealAt, startHandshake } from '../../src/noise.ts'
import { CLASS, encodeSignal, PHASE } from '../../src/signal.ts'
import { PROTOCOL_VERSION } from '../../src/topic.ts'
import { identityOf, NETWORK, samples, tagOf } from '../../test/fixtures/samples.ts'
import { decoderTarget } from './decoder.ts'
import { must, type Target } from './target.ts'

const CONNECTION = tagOf(1).slice(0, 16)
const [TAG, TOPIC_KEY] = [tagOf(2), tagOf(3)]
const NO_HEADER = new Uint8Array(0)
const PLAIN = encodePlain({
  ack: 0,
  items: [{ kind: 'description', generation: 0, type: 'offer', sdp: 'v=0' }],
})
/** Bits of the first byte: who is hostile, and whether it knows the topic, or writes as it likes. */
const HOW = { called: 1, sealed: 2, unknownTopic: 4 } as const

const self = { key: identityOf(1).keys.publicKey, boxKeys: boxKeyPair() }
const evil = { key: identityOf(2).keys.publicKey, boxKeys: boxKeyPair() }
const remoteOf = ({ key, boxKeys }: typeof self): { key: Uint8Array; boxKey: Uint8Array } => ({
  key,
  boxKey: boxKeys.publicKey,
})

function sealingOf(initiator: boolean, knowsTopic: boolean): Sealing {
  return createSealing({
    networkId: NETWORK,
    initiator,
    connection: CONNECTION,
    self,
    remote: remoteOf(evil),
    tag: initiator ? TAG : undefined,
    topicKey: () => (knowsTopic ? TOPIC_KEY : undefined),
  })
}

/** What both sides hash of a connection. */
function aboutOf(evilCalls: boolean): Uint8Array {
  const [caller, called] = evilCalls ? [evil, self] : [self, evil]
  const ends = [caller, called].flatMap(({ key, boxKeys }) => [key, boxKeys.publicKey])
  return concat(writer(2).u16(PROTOCOL_VERSION).done(), NETWORK, ...ends, CONNECTION)
}

function payloadOf(how: number, bytes: Uint8Array, evilCalls: boolean): Uint8Array {
  if (!(how & HOW.sealed)) return bytes
  const label = utf8(`signal-mesh/topic-${evilCalls ? 'open' : 'answer'}`)
  const key = cipherKey(hash([label, aboutOf(evilCalls)], TOPIC_KEY))
  const sealed = sealAt(key, 0, NO_HEADER, bytes)
  return evilCalls ? concat(TAG, sealed) : sealed
}

function handshakeOf(evilCalls: boolean): Handshake {
  return startHandshake({
    pattern: 'IK',
    initiator: evilCalls,
    keys: evil.boxKeys,
    ...(evilCalls ? { remoteStatic: self.boxKeys.publicKey } : {}),
    prologue: prologue('signal', [aboutOf(evilCalls)]),
  })
}

function frameOf(cls: number, payload: Uint8Array): Uint8Array {
  return encodeSignal(NETWORK, {
    class: cls,
    phase: PHASE.handshake,
    from: evil.key,
    to: self.key,
    connection: CONNECTION,
    counter: 0,
    payload,
  })
}

/** What is read is what was sealed; whoever has not the topic's key can say nothing. */
function checkRead(how: number, sealing: Sealing, frame: Uint8Array, bytes: Uint8Array): void {
  const plain = sealing.unseal(frame)
  if (sealing.declined) return
  must((how & HOW.sealed) !== 0 && equal(plain, bytes), 'What was read is not what was sealed')
  must(!(how & HOW.unknownTopic), 'Something was read without the key of its topic')
  decodePlain(plain)
}

function call(how: number, bytes: Uint8Array): void {
  const sealing = sealingOf(false, !(how & HOW.unknownTopic))
  const handshake = handshakeOf(true)
  try {
    const message = handshake.write(payloadOf(how, bytes, true))
    const payload = writer().block(samples.presence).bytes(message).done()
    checkRead(how, sealing, frameOf(CLASS.open, payload), bytes)
    sealing.sealAnswer(PLAIN)
  } finally {
    if (sealing.declined) sealing.sealDecline()
    sealing.destroy()
    handshake.destroy()
  }
}

function answer(how: number, bytes: Uint8Array): void {
  const sealing = sealingOf(true, true)
  const handshake = handshakeOf(false)
  try {
    const opening = sealing.sealOpening(samples.presence, PLAIN)
    handshake.read(opening.subarray(144 + 2 + samples.presence.length))
    const message = handshake.write(payloadOf(how, bytes, false))
    checkRead(how & ~HOW.unknownTopic, sealing, frameOf(CLASS.within, message), bytes)
  } finally {
    sealing.destroy()
    handshake.destroy()
  }
}

const seed = (how: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  concat(Uint8Array.of(how), ...parts)

export const callerTarget: Target = {
  ...decoderTarget('caller', {
    seeds: [
      seed(HOW.sealed, PLAIN),
      seed(HOW.sealed | HOW.called, PLAIN),
      seed(HOW.sealed | HOW.unknownTopic, PLAIN),
      seed(0, TAG, PLAIN),
      seed(HOW.called, PLAIN),
      seed(HOW.called),
      seed(0, TAG),
    ],
    codes: ['BAD_FRAME', 'BAD_SIGNATURE', 'BAD_HANDSHAKE', 'NOT_ADVERTISED', 'TOO_LARGE'],
    decode: (bytes) => {
      const how = bytes[0] ?? 0
      const rest = bytes.subarray(1, 30_000)
      if (how & HOW.called) answer(how, rest)
      else call(how, rest)
    },
  }),
  batch: 16,
}
