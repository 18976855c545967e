/** Calls without a mesh: one side calls, the other refuses, and frames go by hand. */

import { toHex } from '../../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import { boxKeyPair, randomBytes } from '../../src/crypto.ts'
import { type Calls, createCalls } from '../../src/edge/calls.ts'
import { createSealed, type Sealed } from '../../src/edge/sealed.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { makeIdentity } from '../../src/identity.ts'
import { type Presence, signPresence } from '../../src/records.ts'
import { toOf } from '../../src/signal.ts'
import { topicKey, topicTag } from '../../src/topic.ts'
import { NETWORK } from '../support/rawedge.ts'
import { rtcWorld } from '../support/rtc.ts'

const TAG = topicTag('test', 'room')
const KEY = topicKey('test', 'room')

interface Side {
  readonly presence: Presence
  readonly keys: ReturnType<typeof boxKeyPair>
  readonly identity: ReturnType<typeof makeIdentity>
}

function side(): Side {
  const [identity, keys] = [makeIdentity(), boxKeyPair()]
  const about = { homeKey: randomBytes(32), boxKey: keys.publicKey, seq: 1, ttlMs: 1000 }
  return { identity, keys, presence: signPresence(NETWORK, identity.keys, about) }
}

export interface CallPair {
  readonly clock: ManualClock
  /** One call comes in and is refused. */
  refuse(): Promise<void>
  /** Frames that the called has sent. */
  sent(): number
  /** The opening signal of the refused call comes again. */
  replay(): Promise<void>
  close(): void
}

export async function callPair(): Promise<CallPair> {
  const clock = manualClock()
  const makeRtc = rtcWorld(clock)
  const [caller, called] = [side(), side()]
  const count = { sent: 0 }
  let opening: Uint8Array | undefined
  const callsOf = (own: Side, other: Side, send: (frame: Uint8Array) => void): Calls =>
    createCalls({
      networkId: NETWORK,
      identity: own.identity,
      boxKeys: own.keys,
      clock,
      makeRtc,
      config: {},
      presence: () => own.presence,
      send,
      topicKey: () => KEY,
      known: () => undefined,
      isAuthentic: () => true,
      lookup: async () => other.presence,
      topicOf: () => 'room',
      ask: async () => {
        throw new SignalMeshError('REFUSED', 'not now')
      },
      onConnection: () => undefined,
    })
  const one = callsOf(caller, called, (frame) => {
    opening ??= frame.slice()
  })
  const two = callsOf(called, caller, () => {
    count.sent += 1
  })
  const request = (peer: string, tag: Uint8Array, signal?: AbortSignal) => ({
    peer,
    tag,
    topicKey: KEY,
    topic: 'room',
    metadata: new Uint8Array(0),
    timeoutMs: 1e9,
    signal,
  })
  const replay = async (): Promise<void> => {
    if (opening) two.receive(opening)
    await settle()
  }
  return {
    clock,
    refuse: async () => {
      one.connect(request(called.identity.id, TAG)).catch(() => undefined)
      await clock.advance(10)
      await replay()
    },
    sent: () => count.sent,
    replay,
    close: () => {
      one.close()
      two.close()
    },
  }
}

export interface ManyCalls {
  /** Somebody calls, in a topic of its own: `taken` when that rings, or the code of the refusal. */
  ring(): Promise<string>
  /** The last caller's opening signal comes again. */
  replay(): Promise<void>
  /** The first caller gives up. */
  endOne(): Promise<void>
  /** Frames that the called has sent. */
  sent(): number
  close(): void
}

/** One edge that never answers, and as many callers as are wanted. */
export function manyCalls(): ManyCalls {
  const clock = manualClock()
  const called = side()
  const makeRtc = rtcWorld(clock)
  const callers = new Map<string, Calls>()
  const stops: AbortController[] = []
  let rings = 0
  let sent = 0
  let opening: Uint8Array | undefined
  const callsOf = (own: Side, send: (frame: Uint8Array) => void, ask: () => Promise<void>): Calls =>
    createCalls({
      networkId: NETWORK,
      identity: own.identity,
      boxKeys: own.keys,
      clock,
      makeRtc,
      config: {},
      presence: () => own.presence,
      send,
      topicKey: () => KEY,
      known: () => undefined,
      isAuthentic: () => true,
      lookup: async () => called.presence,
      topicOf: () => 'room',
      ask,
      onConnection: () => undefined,
    } as unknown as Parameters<typeof createCalls>[0])
  const two = callsOf(
    called,
    (frame) => {
      sent += 1
      callers.get(toOf(frame))?.receive(frame.slice())
    },
    async () => {
      rings += 1
      await new Promise(() => undefined)
    },
  )
  const turn = async (): Promise<void> => {
    await clock.advance(1)
  }
  return {
    ring: async () => {
      const [caller, stop] = [side(), new AbortController()]
      const calls = callsOf(
        caller,
        (frame) => {
          opening = frame.slice()
          two.receive(frame.slice())
        },
        async () => undefined,
      )
      callers.set(caller.identity.id, calls)
      stops.push(stop)
      const before = rings
      let code = ''
      const about = { tag: TAG, topicKey: KEY, topic: 'room', metadata: new Uint8Array(0) }
      const patience = { timeoutMs: 1e9, signal: stop.signal }
      calls.connect({ peer: called.identity.id, ...about, ...patience }).catch((error) => {
        code = error.code
      })
      for (let i = 0; i < 20 && rings === before && code === ''; i++) await turn()
      return rings > before ? 'taken' : code
    },
    replay: async () => {
      if (opening) two.receive(opening.slice())
      await settle()
    },
    endOne: async () => {
      stops[0]?.abort()
      await turn()
    },
    sent: () => sent,
    close: () => {
      for (const calls of callers.values()) calls.close()
      two.close()
    },
  }
}

export interface SealedPair {
  readonly clock: ManualClock
  readonly initiator: Sealed
  readonly responder: Sealed
  readonly sent: { readonly initiator: Uint8Array[]; readonly responder: Uint8Array[] }
  readonly heard: { readonly initiator: unknown[]; readonly responder: unknown[] }
  /** The responder takes the opening signal and answers it: its frame. */
  answer(): Uint8Array
  /** The initiator sends again until nothing is missing. */
  resend(): Promise<void>
  close(): void
}

/** Two ends of a sealed channel, the opening signal sent and nothing of it delivered. */
export function sealedPair(): SealedPair {
  const clock = manualClock()
  const [one, two] = [side(), side()]
  const connection = randomBytes(16)
  const sent = { initiator: [] as Uint8Array[], responder: [] as Uint8Array[] }
  const heard = { initiator: [] as unknown[], responder: [] as unknown[] }
  const sealedOf = (name: 'initiator' | 'responder', own: Side, other: Side): Sealed =>
    createSealed({
      networkId: NETWORK,
      clock,
      connection,
      initiator: name === 'initiator',
      self: { key: own.identity.keys.publicKey, boxKeys: own.keys },
      remote: { key: other.identity.keys.publicKey, boxKey: other.keys.publicKey },
      tag: name === 'initiator' ? TAG : undefined,
      topicKey: (tag) => (tag === toHex(TAG) ? KEY : undefined),
      send: (frame) => void sent[name].push(frame),
      onItems: (items) => void heard[name].push(...items),
    })
  const initiator = sealedOf('initiator', one, two)
  const responder = sealedOf('responder', two, one)
  initiator.open(one.presence.bytes, [{ kind: 'bye', reason: '0' }])
  return {
    clock,
    initiator,
    responder,
    sent,
    heard,
    answer: () => {
      responder.receive(sent.initiator[0] as Uint8Array)
      responder.answer([])
      return sent.responder.at(-1) as Uint8Array
    },
    resend: async () => {
      const before = sent.initiator.length
      await clock.advance(2_000)
      for (const frame of sent.initiator.slice(before)) responder.receive(frame)
    },
    close: () => {
      initiator.close()
      responder.close()
    },
  }
}
