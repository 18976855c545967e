/** An RTC connection over simple-peer: what of ICE is told to the other side, and taken from it. */

import type { Item } from '../src/edge/items.ts'
import { makeRtc, type Rtc } from '../src/edge/rtc.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('rtc')
const made: Rtc[] = []
test.afterEach(() => {
  for (const rtc of made.splice(0)) rtc.close()
})

test('tells once that all candidates were named, and again after more were gathered', async () => {
  const { told, pc } = await offered()
  pc.gather('gathering')
  pc.oniceconnectionstatechange()
  assert.is(endsIn(told), 0)
  pc.gather('complete')
  // Any change of the other state comes the same way.
  pc.oniceconnectionstatechange()
  assert.is(endsIn(told), 1)
  pc.gather('gathering')
  pc.gather('complete')
  assert.is(endsIn(told), 2)
})

test('hands the end of the candidates on behind those that wait for the description', async () => {
  const { rtc, pc } = await offered()
  rtc.take(candidate(0, 'candidate:1'))
  rtc.take({ kind: 'end-of-candidates', generation: 0 })
  assert.equal(pc.added, [])
  rtc.take(answer(0))
  await turn()
  assert.equal(pc.added, ['candidate:1', ''])
})

test('leaves out what was gathered for another generation than the description’s', async () => {
  const { rtc, pc } = await offered()
  rtc.take(answer(1))
  await turn()
  rtc.take(candidate(0, 'candidate:0'))
  rtc.take({ kind: 'end-of-candidates', generation: 0 })
  rtc.take(candidate(1, 'candidate:1'))
  rtc.take(candidate(2, 'candidate:2'))
  rtc.take({ kind: 'end-of-candidates', generation: 1 })
  await turn()
  assert.equal(pc.added, ['candidate:1', ''])
})

test('what it has no use for changes nothing', async () => {
  const { rtc, pc, told, ended } = await offered()
  const before = told.length
  rtc.take({ kind: 'ice-restart', generation: 0 })
  rtc.take({ kind: 'ice-restart', generation: 1 })
  rtc.take({ kind: 'relay', data: Uint8Array.of(1) })
  await turn()
  assert.equal([told.length, pc.added, ended.length], [before, [], 0])
})

test('a lost path ends nothing, and is told once it is lost and when it is back', async () => {
  const { pc, ended, away } = await opened()
  for (const state of ['disconnected', 'failed', 'connected']) {
    pc.iceConnectionState = state
    pc.connectionState = state
    pc.oniceconnectionstatechange()
    pc.onconnectionstatechange()
  }
  await turn()
  assert.equal([away, ended], [[true, true, false], []])
})

test('another path of an open connection is told as the browser says so', async () => {
  const { pc, paths } = await opened({ isBrowser: true })
  const { iceTransport } = pc.sctp.transport
  iceTransport.dispatchEvent(new Event('selectedcandidatepairchange'))
  assert.is(paths(), 1)
  const server = await opened()
  server.pc.sctp.transport.iceTransport.dispatchEvent(new Event('selectedcandidatepairchange'))
  assert.is(server.paths(), 0, 'that of a server is not asked')
})

test('a path that was never found ends it, and so does a handshake that fails', async () => {
  const early = await offered()
  early.pc.iceConnectionState = 'failed'
  early.pc.oniceconnectionstatechange()
  await turn()
  assert.is(early.ended.length, 1)
  const { pc, ended } = await opened()
  pc.connectionState = 'failed'
  pc.onconnectionstatechange()
  await turn()
  assert.is(ended.length, 1)
})

test('a restart makes an offer of the next generation, and its candidates come behind it', async () => {
  const { rtc, pc, told } = await opened()
  rtc.take(answer(0))
  await turn()
  const before = told.length
  const description = pc.holdsDescription()
  rtc.restart()
  await turn()
  assert.is(pc.configuration?.iceTransportPolicy, 'relay', 'with the servers of now')
  pc.onicecandidate({ candidate: { candidate: 'candidate:9', sdpMid: '0', sdpMLineIndex: 0 } })
  pc.gather('complete')
  assert.equal(told.slice(before), [])
  description.release()
  await turn()
  assert.equal(
    told.slice(before).map((item) => `${item.kind} ${'generation' in item && item.generation}`),
    ['description 1', 'candidate 1', 'end-of-candidates 1'],
  )
  assert.is(rtc.generation, 1)
})

test('an offer without a restart keeps its generation', async () => {
  const { rtc, pc, told } = await opened()
  rtc.take(answer(0))
  await turn()
  pc.change('stable')
  rtc.take({ kind: 'renegotiate' })
  await turn()
  const offers = told.filter(({ kind }) => kind === 'description')
  assert.equal(
    offers.map((item) => 'generation' in item && item.generation),
    [0, 0],
  )
})

test('sets no timer that would keep a server’s process after its connections', async () => {
  const { setTimeout: real } = globalThis
  const delaysMs: number[] = []
  globalThis.setTimeout = ((fn: () => void, delayMs = 0) => {
    delaysMs.push(delayMs)
    return real(fn, delayMs)
  }) as typeof setTimeout
  try {
    const { pc } = await offered()
    pc.onicecandidate({ candidate: { candidate: 'candidate:1', sdpMid: '0', sdpMLineIndex: 0 } })
    assert.ok(delaysMs.length)
    assert.ok(Math.max(...delaysMs) < 100, `${delaysMs} ms`)
  } finally {
    globalThis.setTimeout = real
  }
})

test.run()

const answer = (generation: number): Item => ({
  kind: 'description',
  generation,
  type: 'answer',
  sdp: 'v=0',
})

const candidate = (generation: number, text: string): Item => ({
  kind: 'candidate',
  generation,
  candidate: text,
  sdpMid: '0',
  sdpMLineIndex: 0,
})

const endsIn = (items: readonly Item[]): number =>
  items.filter(({ kind }) => kind === 'end-of-candidates').length

/** An initiator that has told its offer, over an implementation of WebRTC that only keeps books. */
async function offered({ isBrowser = false } = {}): Promise<Offered> {
  const away: boolean[] = []
  let paths = 0
  const told: Item[] = []
  const ended: unknown[] = []
  const kept: Books[] = []
  const wrtc = {
    RTCPeerConnection: function makeBooks() {
      kept.push(books())
      return kept[0]
    },
    RTCSessionDescription: class {},
    RTCIceCandidate: function same(init: object) {
      return init
    },
  }
  if (isBrowser) Object.assign(globalThis, wrtc)
  const rtc = makeRtc({
    initiator: true,
    config: {},
    configNow: () => ({ iceTransportPolicy: 'relay' }),
    wrtc: isBrowser ? undefined : wrtc,
    onItem: (item) => told.push(item),
    onOpen: () => undefined,
    onData: () => undefined,
    onStream: () => undefined,
    onAway: (isAway) => away.push(isAway),
    onPath: () => {
      paths += 1
    },
    onClose: (error) => ended.push(error),
  })
  made.push(rtc)
  await turn()
  assert.equal(
    told.map(({ kind }) => kind),
    ['description'],
  )
  return { rtc, pc: kept[0] as Books, told, ended, away, paths: () => paths }
}

interface Offered {
  readonly rtc: Rtc
  readonly pc: Books
  readonly told: Item[]
  readonly ended: unknown[]
  readonly away: boolean[]
  /** How often another path was told of. */
  paths(): number
}

/** The same once it is open. */
async function opened(options = {}): Promise<Offered> {
  const all = await offered(options)
  const { pc, away } = all
  pc.iceConnectionState = 'connected'
  pc.channel.readyState = 'open'
  pc.channel.onopen()
  pc.oniceconnectionstatechange()
  await turn()
  away.length = 0
  return all
}

interface Books {
  /** Candidates that were handed to it. */
  readonly added: string[]
  /** Changes the state of its gathering. */
  gather(state: string): void
  /** Changes the state of its descriptions. */
  change(state: string): void
  /** The next description is set when it is released. */
  holdsDescription(): { release(): void }
  iceConnectionState: string
  connectionState: string
  readonly channel: { readyState: string; onopen(): void; close(): void }
  readonly sctp: { readonly transport: { readonly iceTransport: EventTarget } }
  readonly configuration: RTCConfiguration | undefined
  oniceconnectionstatechange(): void
  onconnectionstatechange(): void
  onicecandidate(event: object): void
}

function books(): Books {
  const added: string[] = []
  let ufrag = 0
  let held: Promise<void> | undefined
  const channel = { readyState: 'connecting', onopen: () => undefined, close: () => undefined }
  const pc = {
    added,
    channel,
    sctp: { transport: { iceTransport: new EventTarget() } },
    configuration: undefined as RTCConfiguration | undefined,
    setConfiguration: (configuration: RTCConfiguration) => {
      pc.configuration = configuration
    },
    restartIce: () => {
      ufrag += 1
    },
    holdsDescription: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return { release: resolve }
    },
    change: (state: string) => {
      pc.signalingState = state
      pc.onsignalingstatechange()
    },
    connectionState: 'new',
    onsignalingstatechange: () => undefined,
    onconnectionstatechange: () => undefined,
    iceGatheringState: 'new',
    iceConnectionState: 'new',
    signalingState: 'stable',
    localDescription: undefined as object | undefined,
    remoteDescription: undefined as object | undefined,
    oniceconnectionstatechange: () => undefined,
    onicecandidate: (_event: object) => undefined,
    onicegatheringstatechange: () => undefined,
    gather: (state: string) => {
      pc.iceGatheringState = state
      pc.onicegatheringstatechange()
    },
    addEventListener: () => undefined,
    createDataChannel: () => channel,
    getTransceivers: () => [],
    createOffer: async () => ({ type: 'offer', sdp: `v=0\na=ice-ufrag:${ufrag}\n` }),
    setLocalDescription: async (description: object) => {
      await held
      pc.localDescription = description
    },
    setRemoteDescription: async () => {
      pc.remoteDescription = { type: 'answer' }
      pc.change('stable')
    },
    addIceCandidate: async ({ candidate }: { candidate: string }) => {
      added.push(candidate)
    },
    close: () => undefined,
  }
  return pc
}

/** Lets promises that are due resolve, and simple-peer's timer of no time come. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve))
}
