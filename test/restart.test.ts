/** Recovery: a connection whose path is lost gets a new one by ICE restart, and one whose peer is gone ends in time. */

import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import type { Connection } from '../src/edge/mod.ts'
import { createRestart, type Restart } from '../src/edge/restart.ts'
import type { SignalMeshError } from '../src/errors.ts'
import { RECOVERY_MS, RESTART_AGAIN_MS, RTC_AWAY_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { isAckOf } from '../src/signal.ts'
import { assert, suite } from './harness/suite.ts'
import { type Met, meet, mute, ROOM } from './support/meeting.ts'
import { during, type TestMesh } from './support/mesh.ts'
import { pretendStream, type RtcWorld } from './support/rtc.ts'

const test = suite('restart')
const SECOND_MS = 1_000

interface Opened extends Met {
  readonly own: Connection
  readonly other: Connection
  /** What each has received. */
  readonly got: { readonly own: unknown[]; readonly other: unknown[] }
  readonly closed: string[]
  readonly rtc: RtcWorld
}

async function opened(options: Parameters<typeof meet>[0] = {}): Promise<Opened> {
  const met = await meet(options)
  const own = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(SECOND_MS)
  const other = met.told.b[0] as Connection
  const got = { own: [] as unknown[], other: [] as unknown[] }
  const closed: string[] = []
  own.on('message', (data) => got.own.push(data))
  other.on('message', (data) => got.other.push(data))
  for (const side of [own, other]) side.on('close', (reason) => closed.push(reason))
  return { ...met, own, other, got, closed, rtc: met.mesh.makeRtc as RtcWorld }
}

// --- paths that come back ---

test('a path that dies is replaced by ICE restart, unseen and without loss', async () => {
  const { mesh, own, other, got, closed, rtc } = await opened()
  rtc.cut()
  for (const side of [own, other]) void side.send('said while the path was dead')
  await mesh.clock.advance(5 * SECOND_MS)
  assert.equal([own.why().code, other.why().code], ['recovering', 'recovering'])
  rtc.heal()
  await mesh.clock.advance(RESTART_AGAIN_MS + SECOND_MS)
  assert.equal([own.state, other.state, closed], ['open', 'open', []])
  assert.equal(got.own, ['said while the path was dead'])
  assert.equal(got.other, ['said while the path was dead'])
  assert.equal([own.why().code, other.why().code], ['none', 'none'])
  await mesh.close()
})

test('both sides notice at once, and one restart mends it', async () => {
  const { mesh, own, closed, rtc } = await opened()
  rtc.cut()
  rtc.heal()
  await mesh.clock.advance(6 * SECOND_MS)
  assert.is(own.why().code, 'none')
  assert.equal([rtc.offers, closed], [[0, 1], []])
  await mesh.close()
})

for (const who of ['the caller', 'the called'] as const) {
  test(`a restart begins though only ${who} notices`, async () => {
    let setAway: ((isAway: boolean) => void) | undefined
    const { mesh, own, other, rtc } = await opened({
      rtcOfB: (shared) => (options) => {
        setAway = options.onAway
        return shared(options)
      },
    })
    if (who === 'the called') {
      setAway?.(true)
      assert.is(other.why().code, 'recovering')
    } else {
      // The called hears of it late; by then there is a path again.
      rtc.cut(5 * SECOND_MS)
      rtc.heal()
    }
    await mesh.clock.advance(6 * SECOND_MS)
    assert.equal(rtc.offers, [0, 1])
    assert.is(own.state, 'open')
    await mesh.close()
  })
}

test('a restart that finds no path is tried again, until one does', async () => {
  const { mesh, own, closed, rtc } = await opened()
  rtc.cut()
  await mesh.clock.advance(32 * SECOND_MS)
  assert.equal(rtc.offers, [0, 1, 2, 3])
  rtc.heal()
  await mesh.clock.advance(2 * RESTART_AGAIN_MS)
  assert.equal([own.why().code, closed], ['none', []])
  await mesh.close()
})

test('streams that come while the path is lost are there once it is back', async () => {
  const { mesh, own, other, closed, rtc } = await opened()
  const streams: string[] = []
  for (const side of [own, other]) side.on('stream', ({ id }) => streams.push(id))
  rtc.cut()
  await mesh.clock.advance(4_999)
  other.addStream(pretendStream('of the called'))
  await mesh.clock.advance(1)
  own.addStream(pretendStream('of the caller'))
  rtc.heal()
  await mesh.clock.advance(RESTART_AGAIN_MS + SECOND_MS)
  assert.equal(streams.sort(), ['of the called', 'of the caller'])
  assert.equal([own.why().code, other.why().code, closed], ['none', 'none', []])
  await mesh.close()
})

test('a restart whose home dies goes on through the standby', async () => {
  const { mesh, own, other, closed, rtc } = await opened({ nodes: 4 })
  await mesh.clock.advance(10 * SECOND_MS)
  rtc.cut()
  await mesh.clock.advance(4_999)
  mesh.kill(mesh.nodes[0] as MeshNode)
  rtc.heal()
  await mesh.clock.advance(20 * SECOND_MS)
  assert.equal([own.why().code, other.why().code, closed], ['none', 'none', []])
  await mesh.close()
})

test('a connection outlives the death of every node, and its path if a home is back in time', async () => {
  const { mesh, own, other, got, closed, rtc } = await opened()
  let isDown = true
  mesh.tap = (frame) => (isDown ? [] : [frame])
  await mesh.clock.advance(20 * SECOND_MS)
  void own.send('without a mesh')
  await mesh.clock.advance(SECOND_MS)
  assert.equal(got.other, ['without a mesh'])
  rtc.cut()
  await mesh.clock.advance(5 * SECOND_MS + RTC_AWAY_MS + SECOND_MS)
  assert.equal([own.state, other.state], ['open', 'open'])
  isDown = false
  rtc.heal()
  await mesh.clock.advance(RECOVERY_MS - RTC_AWAY_MS - 10 * SECOND_MS)
  assert.equal([own.why().code, other.why().code, closed], ['none', 'none', []])
  await mesh.close()
})

// --- paths that do not ---

test('a dead peer is told from a slow one: one ends at the bound, the other goes on', async () => {
  const slow = await opened()
  slow.rtc.cut(0)
  await slow.mesh.clock.advance(RTC_AWAY_MS + SECOND_MS)
  assert.equal([slow.own.state, slow.other.state], ['open', 'open'])
  await slow.mesh.close()

  const dead = await opened()
  mute(dead.mesh, 1)
  dead.rtc.cut(0)
  await dead.mesh.clock.advance(RTC_AWAY_MS + SECOND_MS)
  assert.is(dead.own.state, 'closed')
  const why = dead.own.why()
  assert.equal([why.code, why.phase, causeOf(dead.own).code], ['peer-gone', 'open', 'PEER_LEFT'])
  await dead.mesh.close()
})

test('a peer that is heard but never reached again ends at the longer bound, on both sides', async () => {
  const { mesh, own, other, rtc } = await opened()
  rtc.cut(0)
  await mesh.clock.advance(RECOVERY_MS + SECOND_MS)
  assert.equal([own.state, other.state], ['closed', 'closed'])
  assert.equal([own.why().code, other.why().code], ['path-lost', 'path-lost'])
  await mesh.close()
})

test('what a home plays again keeps no dead peer alive', async () => {
  const { mesh, other, rtc } = await opened()
  const frames: Uint8Array[] = []
  const home = mesh.urlOf(mesh.nodes[1] as MeshNode)
  mesh.tap = (frame, way, url) => {
    if (frame[0] === FRAME.signal && way === 'down' && url === home) frames.push(frame.slice())
    return [frame]
  }
  rtc.cut(0)
  await mesh.clock.advance(3 * SECOND_MS)
  assert.ok(frames.some(isAckOf))
  let isPlaying = false
  mesh.tap = (frame, way, url) => {
    if (frame[0] !== FRAME.signal) return [frame]
    return (way === 'up' && url === home) || isPlaying ? [frame] : []
  }
  const { far } = mesh.dials.find(({ url }) => url.includes(new URL(home).host)) as Dial
  for (let i = 0; i < (2 * RTC_AWAY_MS) / SECOND_MS; i++) {
    isPlaying = true
    for (const frame of frames) far.send(frame.slice())
    await settle()
    isPlaying = false
    await mesh.clock.advance(SECOND_MS)
  }
  assert.is(other.why().code, 'peer-gone')
  await mesh.close()
})

// --- the bounds of it ---

test('a peer that asks without end costs one restart in a while', async () => {
  const { clock, restart, log, made } = subject(true)
  const ask = (): void => restart.asked(made.generation + 1)
  for (let i = 0; i < 100; i++) ask()
  assert.equal(log, ['restart'])
  await clock.advance(RESTART_AGAIN_MS / 2)
  for (let i = 0; i < 100; i++) ask()
  assert.equal(log, ['restart', 'restart'])
})

test('an offer that takes its time is made once, though both sides want it', async () => {
  const { clock, restart, log, made } = subject(true)
  made.isSlow = true
  restart.away(true)
  await clock.advance(RESTART_AGAIN_MS - 1)
  restart.asked(1)
  assert.equal(log, ['restart'])
})

test('a request for a restart that there is, or that lies ahead, is none', () => {
  const { restart, log } = subject(true)
  for (const generation of [0, 2, 255]) restart.asked(generation)
  assert.equal(log, [])
})

test('the called never offers, whatever it is asked', () => {
  const { restart, log } = subject(false)
  restart.asked(1)
  restart.away(true)
  assert.equal(log, ['ask 1'])
})

test('a restart that is over sets no timer any more', async () => {
  const { clock, restart, log } = subject(true)
  restart.away(true)
  restart.away(false)
  restart.away(true)
  restart.stop()
  restart.away(true)
  restart.homeIsBack()
  const before = log.length
  await clock.advance(2 * RECOVERY_MS)
  assert.is(log.length, before)
  assert.is(clock.pending, 0)
})

test('a machine that slept is given its time anew', async () => {
  const { clock, restart, log } = subject(true)
  restart.away(true)
  // Wall time that no timer saw pass.
  clock.skew(60 * SECOND_MS)
  await clock.advance(RTC_AWAY_MS)
  assert.not(log.includes('PEER_LEFT'), `${log}`)
  await clock.advance(RTC_AWAY_MS + SECOND_MS)
  assert.ok(log.includes('PEER_LEFT'), `${log}`)
})

test('without a home a silent peer says nothing, and the end names that', async () => {
  const { clock, restart, log, home } = subject(true)
  home.isThere = false
  restart.away(true)
  await clock.advance(RECOVERY_MS - 1)
  assert.not(log.some((word) => word === 'PEER_LEFT' || word === 'NO_HOME'))
  await clock.advance(1)
  assert.ok(log.includes('NO_HOME'))
})

test('a home that is back counts the silence from there', async () => {
  const { clock, restart, log, home } = subject(false)
  home.isThere = false
  restart.away(true)
  await clock.advance(50 * SECOND_MS)
  home.isThere = true
  restart.homeIsBack()
  await clock.advance(RTC_AWAY_MS - 1)
  assert.not(log.includes('PEER_LEFT'))
  await clock.advance(1)
  assert.ok(log.includes('PEER_LEFT'))
})

test.run()

type Dial = TestMesh['dials'][number]

function causeOf({ signal }: Connection): SignalMeshError {
  return signal.reason.cause
}

interface Subject {
  readonly clock: ManualClock
  readonly restart: Restart
  readonly log: string[]
  readonly home: { isThere: boolean }
  /** What has come of restarts: the next description may take its time. */
  readonly made: { generation: number; isSlow: boolean }
}

function subject(initiator: boolean): Subject {
  const clock = manualClock()
  const log: string[] = []
  const home = { isThere: true }
  const made = { generation: 0, isSlow: false }
  const restart = createRestart({
    clock,
    initiator,
    generation: () => made.generation,
    restart: () => {
      log.push('restart')
      if (!made.isSlow) made.generation += 1
    },
    ask: (generation) => log.push(`ask ${generation}`),
    isHome: () => home.isThere,
    onGone: ({ code }) => log.push(code),
  })
  return { clock, restart, log, home, made }
}
