/** Cases of what edges and homes say to each other: lists and texts of frames, calls, and asking again. */

import { concat, reader, utf8, writer } from '../../src/bytes.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { boxKeyPair, randomBytes } from '../../src/crypto.ts'
import { createAsking } from '../../src/edge/asking.ts'
import { createCall } from '../../src/edge/call.ts'
import type { Call } from '../../src/edge/calltypes.ts'
import type { HomeLink } from '../../src/edge/homelink.ts'
import { decodePlain, encodePlain, type Item } from '../../src/edge/items.ts'
import { checkConnect } from '../../src/edge/options.ts'
import type { Rtc } from '../../src/edge/rtc.ts'
import { createSealed } from '../../src/edge/sealed.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { NEW_HOMES_BURST } from '../../src/limits.ts'
import { decodeHello, encodeError, encodeHello, readError } from '../../src/messages.ts'
import { createPace } from '../../src/pace.ts'
import { decodePresence } from '../../src/records.ts'
import { identityOf, presenceOf, sampleParts, samples, tagOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { NETWORK } from '../support/rawedge.ts'
import { manyCalls } from './calls-ground.ts'
import { type Cases, caps, FORGOT, forgets, KEPT, outcomeOf, refuses, TAKEN } from './case.ts'

export const said: Cases = {
  MAX_VERSIONS: refuses('BAD_FRAME', (count) => greeted({ versions: Array(count).fill(1) })),
  MAX_NETWORKS: refuses('BAD_FRAME', (count) => greeted({ networks: Array(count).fill(NETWORK) })),
  MAX_ERROR_TEXT_BYTES: refuses('BAD_FRAME', (bytes) => {
    // What is sent is cut, whatever its letters are.
    const long = encodeError(new SignalMeshError('REFUSED', '语'.repeat(bytes)))
    assert.is(readError(reader(long)).code, 'REFUSED')
    const error = writer().u16(1).u32(0).text('x'.repeat(bytes)).block(new Uint8Array(0)).done()
    return outcomeOf(() => readError(reader(error)))
  }),
  MAX_HOMES_NAMED: refuses('BAD_FRAME', (homes) => {
    const { bytes } = sampleParts.presence
    const before = bytes.subarray(0, 1 + 32)
    const home = bytes.subarray(34, 34 + 32)
    const named = concat(Uint8Array.of(homes), ...Array.from({ length: homes }, () => home))
    return outcomeOf(() => decodePresence(concat(before, named, bytes.subarray(34 + 32))))
  }),
  MAX_METADATA_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const metadata = new Uint8Array(bytes)
    const outcome = await outcomeOf(() => checkConnect('ab'.repeat(32), { metadata } as never, ''))
    // The other side would not have taken more either.
    const plain = encodePlain({ ack: 0, items: [{ kind: 'metadata', data: metadata }] })
    const code = outcome === TAKEN ? TAKEN : 'BAD_FRAME'
    assert.is(await outcomeOf(() => decodePlain(plain)), code)
    return outcome
  }),
  MAX_RELAY_BYTES: refuses('BAD_FRAME', (bytes) => {
    const data = new Uint8Array(bytes)
    return outcomeOf(() => decodePlain(encodePlain({ ack: 0, items: [{ kind: 'relay', data }] })))
  }),
  MAX_TEXT_BYTES: refuses('BAD_FRAME', (bytes) => {
    const bye = encodePlain({ ack: 0, items: [{ kind: 'bye', reason: '𝄞'.repeat(bytes) }] })
    const [item] = decodePlain(bye).items
    // Cut between letters, at four bytes each.
    assert.is(item?.kind === 'bye' && utf8(item.reason).length, bytes - (bytes % 4))
    return outcomeOf(() => decodePlain(encodePlain({ ack: 0, items: [candidate(bytes)] })))
  }),
  MAX_REMEMBERED: forgets((count) => {
    const pace = createPace(manualClock())
    const useUp = (by: string): void => {
      for (let i = 0; i < NEW_HOMES_BURST; i++) assert.ok(pace.takesHome(by))
    }
    useUp('first')
    for (let i = 1; i < count; i++) pace.takesHome(`${i}`)
    return pace.takesHome('first') ? FORGOT : KEPT
  }),
  MAX_REQUEST_TRIES: refuses('CLOSED', async (count) => {
    let tries = 0
    const request = async (): Promise<Uint8Array> => {
      tries += 1
      if (tries < count) throw new SignalMeshError('CLOSED', 'The home has gone')
      return new Uint8Array(0)
    }
    const asking = createAsking({
      clock: manualClock(),
      open: () => ({ rpc: { request } }) as unknown as HomeLink,
      isClosed: () => false,
      lastError: () => undefined,
    })
    const outcome = await outcomeOf(() => asking.ask(1, () => new Uint8Array(0)))
    await asking.ask(1, () => new Uint8Array(0))
    return outcome
  }),
  MAX_EARLY_ITEMS: caps(async (count) => `${await earlyItems(count)}`),
  MAX_CALLS: refuses('TOO_MANY', async (count) => {
    const calls = manyCalls()
    for (let i = 1; i < count; i++) await calls.ring()
    const outcome = await calls.ring()
    const sent = calls.sent()
    await calls.replay()
    assert.is(calls.sent(), sent, 'it is said once')
    // When one of them has ended, the next caller is heard.
    if (outcome !== TAKEN) await calls.endOne()
    if (outcome !== TAKEN) assert.is(await calls.ring(), TAKEN)
    calls.close()
    return outcome
  }),
}

function greeted(lists: Partial<Parameters<typeof encodeHello>[0]>): Promise<string> {
  const hello = decodeHello(samples.hello)
  return outcomeOf(() => decodeHello(encodeHello({ ...hello, ...lists })))
}

const candidate = (midBytes: number): Item => ({
  kind: 'candidate',
  generation: 0,
  candidate: 'c',
  sdpMid: 'm'.repeat(midBytes),
  sdpMLineIndex: 0,
})

/** How many items a call takes up that a caller said before the application has decided. */
async function earlyItems(count: number): Promise<number> {
  const clock = manualClock()
  const [caller, called] = [identityOf(1), identityOf(2)]
  const [callerKeys, calledKeys] = [boxKeyPair(), boxKeyPair()]
  const presence = { ...presenceOf(caller, called.id), boxKey: callerKeys.publicKey }
  const connection = randomBytes(16)
  let taken = 0
  const take = (): void => {
    taken += 1
  }
  const rtc = { take, close: () => undefined } as unknown as Rtc
  const call = createCall(
    {
      networkId: NETWORK,
      identity: called,
      boxKeys: calledKeys,
      clock,
      makeRtc: () => rtc,
      config: {},
      presence: () => undefined,
      send: () => undefined,
      topicKey: () => tagOf(2),
    } as unknown as Parameters<typeof createCall>[0],
    { connection, initiator: false, presence },
    {
      onOffer: (call: Call) => call.start('room', []),
      onOpen: noop,
      onEnd: noop,
      onGlare: noop,
    } as never,
  )
  const sealed = createSealed({
    networkId: NETWORK,
    clock,
    initiator: true,
    connection,
    self: { key: caller.keys.publicKey, boxKeys: callerKeys },
    remote: { key: called.keys.publicKey, boxKey: calledKeys.publicKey },
    tag: tagOf(1),
    topicKey: () => tagOf(2),
    send: (frame) => call.sealed.receive(frame),
    onItems: noop,
  })
  sealed.open(
    presence.bytes,
    Array.from({ length: count }, () => candidate(1)),
  )
  await settle()
  call.drop()
  sealed.close()
  return taken
}

const noop = (): void => undefined
