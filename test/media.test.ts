/** Streams and ringing: what a call carries from the beginning or later on, and whose time runs meanwhile. */

import { settle } from '../src/clock.ts'
import { createMedia } from '../src/edge/media.ts'
import type { Connection, Incoming } from '../src/edge/mod.ts'
import type { MakeRtc, RtcOptions } from '../src/edge/rtc.ts'
import { whyOf } from '../src/edge/whyof.ts'
import { SignalMeshError } from '../src/errors.ts'
import { CONNECT_TIMEOUT_MS, RING_TIMEOUT_MS, RTC_AWAY_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import { assert, suite } from './harness/suite.ts'
import {
  assertConnected,
  doorbell,
  failure,
  type Met,
  meet,
  mute,
  ROOM,
} from './support/meeting.ts'
import { during } from './support/mesh.ts'
import { codeOf } from './support/rawedge.ts'
import { pretendStream } from './support/rtc.ts'

const test = suite('media')
const [camera, screen, theirs] = ['camera', 'screen', 'theirs'].map(pretendStream) as [
  MediaStream,
  MediaStream,
  MediaStream,
]

/** The two ends of an open connection, and the names of the streams that each hears of. */
async function open(met: Met, stream?: MediaStream): Promise<Ends> {
  const request = stream ? { ...ROOM, stream } : ROOM
  const a = await during(met.a.connect(met.b.id, request), met.mesh.clock)
  await met.mesh.clock.advance(500)
  const b = met.told.b[0]!
  return { a, b, atA: heardBy(a), atB: heardBy(b) }
}

interface Ends {
  readonly a: Connection
  readonly b: Connection
  readonly atA: string[]
  readonly atB: string[]
}

function heardBy(connection: Connection): string[] {
  const names: string[] = []
  connection.on('stream', ({ id }) => names.push(id))
  return names
}

interface Section {
  direction: string
  readonly receiver: { readonly track: { readonly kind: string } }
  readonly sender: { track: MediaStreamTrack | null }
}

function videoStream(): MediaStream {
  const tracks = [{ kind: 'video' }]
  return { getTracks: () => tracks } as unknown as MediaStream
}

/** An RTC connection as far as its media go: `addTrack` takes up no section that was in use before. */
function pretendConnection(): { connection: RTCPeerConnection; sections: Section[] } {
  const sections: Section[] = []
  const connection = {
    ontrack: null,
    getTransceivers: () => sections,
    addTrack: (track: MediaStreamTrack) => {
      const sender = {
        track: track as MediaStreamTrack | null,
        setStreams: () => undefined,
        replaceTrack: async (next: MediaStreamTrack | null) => {
          await undefined
          sender.track = next
        },
      }
      sections.push({ direction: 'sendrecv', receiver: { track: { kind: track.kind } }, sender })
      return sender
    },
    removeTrack: (sender: Section['sender']) => {
      sender.track = null
    },
  }
  return { connection: connection as unknown as RTCPeerConnection, sections }
}

/** Makes the RTC of one side known to the test. */
function spied(): { makes: (shared: MakeRtc) => MakeRtc; options: RtcOptions[] } {
  const options: RtcOptions[] = []
  const makes = (shared: MakeRtc): MakeRtc => {
    return (given) => {
      options.push(given)
      return shared(given)
    }
  }
  return { makes, options }
}

// --- streams ---

test('a stream given at connect is there, for whoever listens first, when the connection opens', async () => {
  const met = await meet()
  const { atA, atB } = await open(met, camera)
  await met.mesh.clock.advance(10)
  assert.equal([atA, atB], [[], ['camera']])
  await met.mesh.close()
})

test('a stream given at accept comes with the connection that accept gives', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = met.a.connect(met.b.id, { ...ROOM, stream: camera })
  await met.mesh.clock.advance(500)
  const accepting = bell.calls[0]!.accept({ stream: theirs })
  const [a, b] = await during(Promise.all([calling, accepting]), met.mesh.clock)
  assert.is(b, met.told.b[0])
  const [atA, atB] = [heardBy(a), heardBy(b)]
  await met.mesh.clock.advance(100)
  assert.equal([atA, atB], [['theirs'], ['camera']])
  await met.mesh.close()
})

test('either side adds and removes streams later, by signals through the homes', async () => {
  const met = await meet()
  const ends = await open(met)
  let signals = 0
  met.mesh.tap = (frame, way) => {
    if (way === 'up' && frame[0] === FRAME.signal) signals += 1
    return [frame]
  }
  ends.a.addStream(camera)
  ends.a.addStream(camera)
  await met.mesh.clock.advance(300)
  ends.b.addStream(theirs)
  await met.mesh.clock.advance(300)
  assert.equal([ends.atA, ends.atB], [['theirs'], ['camera']])
  ends.a.removeStream(camera)
  ends.b.removeStream(theirs)
  await met.mesh.clock.advance(300)
  ends.a.addStream(camera)
  await met.mesh.clock.advance(300)
  assert.equal([ends.atA, ends.atB], [['theirs'], ['camera', 'camera']])
  assert.ok(signals >= 10, `${signals} signals`)
  await assertConnected(met)
  await met.mesh.close()
})

test('both sides change their streams at once, and each hears of the other’s', async () => {
  const met = await meet()
  const ends = await open(met)
  for (const laterMs of [0, 1, 2, 3, 5, 8]) {
    const [mine, yours] = [pretendStream(`a${laterMs}`), pretendStream(`b${laterMs}`)]
    ends.a.addStream(mine)
    await met.mesh.clock.advance(laterMs)
    ends.b.addStream(yours)
    await met.mesh.clock.advance(1000)
    assert.is(ends.atA.at(-1), `b${laterMs}`)
    assert.is(ends.atB.at(-1), `a${laterMs}`)
  }
  await met.mesh.close()
})

test('a change of streams is not lost with its signals, however long nothing gets through', async () => {
  const met = await meet()
  const ends = await open(met)
  for (const node of [0, 1]) {
    mute(met.mesh, node)
    ends.a.addStream(pretendStream(`of a ${node}`))
    ends.b.addStream(pretendStream(`of b ${node}`))
    await met.mesh.clock.advance(10 * 60_000)
    met.mesh.tap = undefined
    await met.mesh.clock.advance(2 * 60_000)
  }
  assert.equal(ends.atA, ['of b 0', 'of b 1'])
  assert.equal(ends.atB, ['of a 0', 'of a 1'])
  assert.is(ends.a.state, 'open')
  await met.mesh.close()
})

test('a change of streams goes through the new home of an edge that has moved meanwhile', async () => {
  const met = await meet({ nodes: 3 })
  const { mesh } = met
  const ends = await open(met)
  await mesh.clock.advance(1000)
  mesh.kill(mesh.nodes[0]!)
  ends.a.addStream(camera)
  ends.b.addStream(theirs)
  await mesh.clock.advance(30_000)
  assert.is(met.a.home.state, 'open')
  assert.is.not(met.a.home.url, mesh.urlOf(mesh.nodes[0]!))
  assert.equal([ends.atA, ends.atB], [['theirs'], ['camera']])
  await mesh.close()
})

test('a second connect adds its stream to the connection that there is or will be', async () => {
  const met = await meet()
  const both = [camera, screen].map((stream) => met.a.connect(met.b.id, { ...ROOM, stream }))
  const [one, two] = await during(Promise.all(both), met.mesh.clock)
  assert.is(one, two)
  await met.mesh.clock.advance(500)
  const atB = heardBy(met.told.b[0]!)
  await met.mesh.clock.advance(10)
  assert.equal(atB.sort(), ['camera', 'screen'])
  const third = pretendStream('third')
  assert.is(await met.a.connect(met.b.id, { ...ROOM, stream: third }), one)
  await met.mesh.clock.advance(500)
  assert.equal(atB.sort(), ['camera', 'screen', 'third'])
  await met.mesh.close()
})

test('the stream of one who gave up is not sent to the peer that another has reached', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const giveUp = new AbortController()
  const gone = codeOf(() =>
    met.a.connect(met.b.id, { ...ROOM, stream: camera, signal: giveUp.signal }),
  )
  const staying = met.a.connect(met.b.id, { ...ROOM, stream: screen })
  await met.mesh.clock.advance(500)
  giveUp.abort()
  assert.is(await gone, 'ABORTED')
  void bell.calls[0]!.accept()
  await during(staying, met.mesh.clock)
  const atB = heardBy(met.told.b[0]!)
  await met.mesh.clock.advance(500)
  assert.equal(atB, ['screen'])
  await met.mesh.close()
})

test('of two who call at once each sends its stream, whichever call wins', async () => {
  for (const laterMs of [0, 3, 6]) {
    const met = await meet({ delayMs: 5 })
    const first = met.a.connect(met.b.id, { ...ROOM, stream: camera })
    await met.mesh.clock.advance(laterMs)
    const second = met.b.connect(met.a.id, { ...ROOM, stream: theirs })
    const [a, b] = await during(Promise.all([first, second]), met.mesh.clock)
    const [atA, atB] = [heardBy(a), heardBy(b)]
    await met.mesh.clock.advance(500)
    assert.equal([atA, atB], [['theirs'], ['camera']])
    await met.mesh.close()
  }
})

test('a room sends its stream to everybody in it', async () => {
  const met = await meet()
  const joining = [met.a.join('hall', { stream: camera }), met.b.join('hall', { stream: theirs })]
  const [a, b] = await during(Promise.all(joining), met.mesh.clock)
  await met.mesh.clock.advance(5000)
  const [atA, atB] = [a!, b!].map((room) => heardBy([...room.peers.values()][0]!))
  await met.mesh.clock.advance(10)
  assert.equal([atA, atB], [['theirs'], ['camera']])
  await met.mesh.close()
})

test('what the called has to say before it answers waits for its answer', async () => {
  const hasty = (shared: MakeRtc): MakeRtc => {
    return (options) => {
      const rtc = shared(options)
      options.onItem({ kind: 'renegotiate' })
      return rtc
    }
  }
  const met = await meet({ rtcOfB: hasty })
  await open(met, camera)
  await assertConnected(met)
  await met.mesh.close()
})

test('a connection that has ended takes no stream', async () => {
  const met = await meet()
  const { a } = await open(met)
  void a.close()
  assert.is(await codeOf(() => a.addStream(camera)), 'CLOSED')
  a.removeStream(camera)
  await met.mesh.close()
})

// --- sections ---

test('a stream that comes and goes takes up the section that it had, if that is free', async () => {
  const { connection, sections } = pretendConnection()
  let negotiations = 0
  const negotiate = (): void => void negotiations++
  const media = createMedia({ connection, negotiate, onStream: () => undefined })
  const [one, two] = [videoStream(), videoStream()]
  for (let times = 0; times < 3; times++) {
    assert.ok(media.add(one))
    assert.not(media.add(one), 'nothing of it is new')
    media.remove(one)
    media.remove(one)
    await settle()
  }
  assert.is(negotiations, 3)
  assert.is(sections.length, 1)
  assert.is(sections[0]?.sender.track, null)
  media.add(one)
  media.add(two)
  assert.is(sections.length, 2)
  await settle()
  assert.equal(
    sections.map(({ sender }) => sender.track),
    [one.getTracks()[0], two.getTracks()[0]],
  )
})

test('a track that is sent in one stream is refused in another', async () => {
  const { connection, sections } = pretendConnection()
  const media = createMedia({ connection, negotiate: () => {}, onStream: () => undefined })
  const stream = videoStream()
  media.add(stream)
  const other = { getTracks: stream.getTracks } as MediaStream
  assert.is(await codeOf(() => media.add(other)), 'BAD_ARGUMENT')
  assert.is(sections.length, 1)
})

test('a stream is told once however many tracks come, and again after it has lost all', async () => {
  const { connection } = pretendConnection()
  let told = 0
  createMedia({ connection, negotiate: () => {}, onStream: () => void told++ })
  const tracks: unknown[] = [{}, {}]
  const stream = Object.assign(new EventTarget(), { getTracks: () => tracks })
  const comes = (): void => {
    connection.ontrack?.({
      streams: [stream as unknown as MediaStream],
    } as unknown as RTCTrackEvent)
  }
  comes()
  comes()
  await Promise.resolve()
  assert.is(told, 1)
  for (const expected of [1, 2]) {
    tracks.pop()
    stream.dispatchEvent(new Event('removetrack'))
    comes()
    await Promise.resolve()
    assert.is(told, expected)
  }
})

// --- ringing ---

test('ringing does not eat the caller’s time, and the other side’s path does', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const calling = met.a.connect(met.b.id, { ...ROOM, timeoutMs: 2000 })
  await met.mesh.clock.advance(RING_TIMEOUT_MS - 5000)
  assert.not(bell.calls[0]!.signal.aborted)
  const accepting = bell.calls[0]!.accept()
  assert.is((await during(calling, met.mesh.clock)).state, 'open')
  assert.is((await accepting).state, 'open')
  await met.mesh.close()
})

test('a caller’s time goes on where it was once the call is taken', async () => {
  const bell = doorbell()
  const deaf = (shared: MakeRtc): MakeRtc => {
    return (options) => {
      const rtc = shared(options)
      return { ...rtc, take: (item) => item.kind === 'description' && rtc.take(item) }
    }
  }
  const alone = { meshRelay: false }
  const met = await meet({ a: alone, b: { onIncoming: bell.onIncoming }, rtcOfB: deaf })
  const calling = failure(met.mesh, met.a.connect(met.b.id, { ...ROOM, timeoutMs: 3000 }))
  await met.mesh.clock.advance(60_000)
  const accepting = codeOf(() => bell.calls[0]!.accept())
  const startMs = met.mesh.clock.nowMs()
  const error = await calling
  const tookMs = met.mesh.clock.nowMs() - startMs
  assert.is(error.code, 'TIMEOUT')
  assert.match(error.message, /answered, but no path/)
  assert.ok(tookMs > 2500 && tookMs < 3100, `${tookMs} ms`)
  await met.mesh.clock.advance(100)
  assert.is(await accepting, 'PEER_LEFT')
  await met.mesh.close()
})

test('a call that nobody takes ends by itself, and says so on both sides', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  const startMs = mesh.clock.nowMs()
  const error = await failure(mesh, a.connect(b.id, ROOM))
  assert.is(error.code, 'TIMEOUT')
  assert.match(error.message, /nobody took the call/)
  assert.ok(mesh.clock.nowMs() - startMs < RING_TIMEOUT_MS + 1000)
  await mesh.clock.advance(100)
  assert.ok(bell.calls[0]!.signal.aborted)
  assert.is(await codeOf(() => bell.calls[0]!.accept()), 'PEER_LEFT')
  await mesh.close()
})

test('a caller that goes without a word rings no longer than one that stays', async () => {
  const bell = doorbell()
  const { mesh, a, b } = await meet({ b: { onIncoming: bell.onIncoming } })
  a.connect(b.id, ROOM).catch(() => undefined)
  await mesh.clock.advance(300)
  mesh.tap = (frame, way) => (way === 'up' && frame[0] === FRAME.signal ? [] : [frame])
  await mesh.clock.advance(RING_TIMEOUT_MS + CONNECT_TIMEOUT_MS - 1000)
  assert.not(bell.calls[0]!.signal.aborted)
  await mesh.clock.advance(1000)
  assert.ok(bell.calls[0]!.signal.aborted)
  assert.is(await codeOf(() => bell.calls[0]!.accept()), 'TIMEOUT')
  await mesh.close()
})

// --- accepting ---

test('accepting what was refused, has ended or cannot work is told to who accepts, and harms nothing', async () => {
  const bell = doorbell()
  const met = await meet({ b: { onIncoming: bell.onIncoming } })
  const call = async (): Promise<Incoming> => {
    failure(met.mesh, met.a.connect(met.b.id, { ...ROOM, timeoutMs: 5000 })).catch(() => undefined)
    await met.mesh.clock.advance(500)
    return bell.calls.at(-1)!
  }
  const refused = await call()
  refused.refuse('no')
  assert.is(await codeOf(() => refused.accept()), 'REFUSED')
  await met.mesh.clock.advance(10_000)
  const odd = await call()
  for (const options of [null, 5, { stream: 'camera' }, { stream: {} }, { stream: null }]) {
    const error = await odd.accept(options as unknown as undefined).catch((cause: unknown) => cause)
    assert.instance(error, SignalMeshError)
    assert.is((error as SignalMeshError).code, 'BAD_ARGUMENT')
  }
  assert.is(await codeOf(() => odd.refuse(5 as unknown as string)), 'BAD_ARGUMENT')
  const [one, two] = await during(Promise.all([odd.accept(), odd.accept()]), met.mesh.clock)
  assert.is(one, two, 'twice gives the one connection')
  odd.refuse('too late')
  await met.mesh.clock.advance(1000)
  assert.is(one.state, 'open')
  await met.mesh.close()
})

test('a call that fails after it was taken is reported to who took it alone', async () => {
  const reported: unknown[] = []
  const scope = globalThis as { reportError?: unknown }
  const before = scope.reportError
  scope.reportError = (error: unknown) => reported.push(error)
  try {
    const broken = (): MakeRtc => () => {
      throw new Error('No WebRTC support')
    }
    const codes: string[] = []
    const onIncoming = async (call: Incoming): Promise<void> => {
      const accepting = call.accept()
      codes.push(await codeOf(() => accepting))
      await accepting
    }
    const { mesh, a, b } = await meet({ b: { onIncoming }, rtcOfB: broken })
    assert.is((await failure(mesh, a.connect(b.id, ROOM))).code, 'RTC_FAILED')
    await mesh.clock.advance(10)
    assert.equal([codes, reported], [['RTC_FAILED'], []])
    await mesh.close()
  } finally {
    scope.reportError = before
  }
})

// --- failures ---

test('a connection whose ICE fails ends on both sides, with the reason', async () => {
  const spy = spied()
  const met = await meet({ rtcOfB: spy.makes })
  const { a, b } = await open(met)
  const reason = new SignalMeshError(
    'RTC_FAILED',
    'The RTC connection failed: Ice connection failed',
  )
  spy.options[0]!.onClose(reason)
  assert.is(b.signal.reason.code, 'CLOSED')
  assert.is(b.signal.reason.cause.code, 'RTC_FAILED')
  assert.is(whyOf(b.signal.reason)?.error, reason)
  await met.mesh.clock.advance(20)
  assert.is(a.state, 'closed')
  assert.match(a.signal.reason.message, /Ice connection failed/)
  await met.mesh.close()
})

test('a peer that is away for too long ends the connection, one that comes back in time does not', async () => {
  const spy = spied()
  const met = await meet({ rtcOfB: spy.makes })
  const { a, b } = await open(met)
  spy.options[0]!.onAway(true)
  await met.mesh.clock.advance(RTC_AWAY_MS - 1)
  spy.options[0]!.onAway(false)
  await met.mesh.clock.advance(RTC_AWAY_MS)
  assert.is(b.state, 'open')
  mute(met.mesh, 0)
  spy.options[0]!.onAway(true)
  await met.mesh.clock.advance(RTC_AWAY_MS + 20)
  assert.equal([a.state, b.state], ['closed', 'closed'])
  assert.is(b.signal.reason.cause.code, 'PEER_LEFT')
  assert.is(b.why().code, 'peer-gone')
  await met.mesh.close()
})

test.run()
