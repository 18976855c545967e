/** Cases of the times of an edge: when it gives up, tries again, signs again. */

import { type ManualClock, manualClock } from '../../src/clock.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import { createDialling } from '../../src/edge/dialling.ts'
import { joinOn } from '../../src/edge/join.ts'
import { createOwnRecords } from '../../src/edge/records.ts'
import { createRestart, type Restart } from '../../src/edge/restart.ts'
import { createRinging, type Ringing } from '../../src/edge/ringing.ts'
import type { MakeRtc } from '../../src/edge/rtc.ts'
import { gatherFacts } from '../../src/edge/whygather.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { NO_ICE } from '../../src/ice.ts'
import { FACTS_AFTER_MS, RING_KNOCK_MS, RTC_AWAY_MS } from '../../src/limits.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { FRAME } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { runSession, type SessionHost } from '../../src/session.ts'
import { networkId } from '../../src/topic.ts'
import { identityOf, tagOf } from '../fixtures/samples.ts'
import { during, type TestMesh, testMesh } from '../support/mesh.ts'
import { NETWORK } from '../support/rawedge.ts'
import { rtcWorld } from '../support/rtc.ts'
import { type Cases, changesAfter, changesAt, outcomeOf } from './case.ts'

export const edgeTimes: Cases = {
  JOIN_TIMEOUT_MS: changesAt('joining', 'NO_HOME', async (ms) => {
    const clock = manualClock()
    const stop = new AbortController()
    const ground = { clock, makeRtc: rtcWorld(clock), dial: () => linkPair()[0] }
    const options = { urls: ['http://127.0.0.1:1'], network: 'test', signal: stop.signal }
    return passed(
      clock,
      ms,
      'joining',
      outcomeOf(() => joinOn(ground, options)),
      () => stop.abort(),
    )
  }),
  CONNECT_TIMEOUT_MS: changesAt('calling', 'TIMEOUT', async (ms) => {
    const mesh = await testMesh(1)
    const node = mesh.nodes[0] as MeshNode
    const called = await mesh.edge(node)
    const caller = await mesh.edge(node)
    await during(called.advertise('room'), mesh.clock)
    // It hears nothing of the call.
    mesh.tap = (frame, way) => (way === 'down' && frame[0] === FRAME.signal ? [] : [frame])
    const calling = outcomeOf(() => caller.connect(called.id, { topic: 'room' }))
    return passed(mesh.clock, ms, 'calling', calling, mesh.close)
  }),
  RING_TIMEOUT_MS: changesAt('ringing', 'TIMEOUT', async (ms) => {
    const mesh = await testMesh(1)
    const node = mesh.nodes[0] as MeshNode
    // It neither takes the call nor refuses it.
    const called = await mesh.edge(node, { onIncoming: () => undefined })
    const caller = await mesh.edge(node)
    await during(called.advertise('room'), mesh.clock)
    const calling = outcomeOf(() => caller.connect(called.id, { topic: 'room' }))
    // An offer takes 1 ms here; that it was heard is said 100 ms later, for there is nothing else to say.
    await mesh.clock.advance(101)
    return passed(mesh.clock, ms, 'ringing', calling, mesh.close)
  }),
  RING_KNOCK_MS: changesAt('ringing', 'asked', (ms) =>
    ringing(async (_, clock) => clock.advance(ms)),
  ),
  RING_SILENT_MS: changesAt('asked', 'PEER_LEFT', (ms) =>
    ringing(async (_, clock) => clock.advance(RING_KNOCK_MS + ms)),
  ),
  RING_GONE_MS: changesAt('ringing', 'PEER_UNKNOWN', (ms) =>
    ringing(async (called, clock) => {
      called.missed(new SignalMeshError('PEER_UNKNOWN', 'no node knows of it'))
      await clock.advance(ms)
    }),
  ),
  RTC_AWAY_MS: changesAt('open', 'closed', async (ms) => {
    const mesh = await testMesh(1)
    const node = mesh.nodes[0] as MeshNode
    const [called, caller] = [await mesh.edge(node), await mesh.edge(node, {}, spiedRtc(mesh))]
    await during(called.advertise('room'), mesh.clock)
    const connection = await during(caller.connect(called.id, { topic: 'room' }), mesh.clock)
    // Else the peer would be heard of by its home.
    mesh.tap = (frame) => (frame[0] === FRAME.signal ? [] : [frame])
    setAway?.(true)
    await mesh.clock.advance(ms)
    const { state } = connection
    await mesh.close()
    return state
  }),
  RECOVERY_MS: changesAt('restart', 'RTC_FAILED', (ms) =>
    restarting(async (restart, clock) => {
      // The peer is heard of all the time.
      for (let passedMs = 0; passedMs < ms; passedMs += RTC_AWAY_MS / 2) {
        restart.heard()
        await clock.advance(Math.min(RTC_AWAY_MS / 2, ms - passedMs))
      }
    }).then(({ last }) => last),
  ),
  RESTART_AGAIN_MS: changesAt('one restart', 'two restarts', async (ms) => {
    const { count } = await restarting(async (_, clock) => clock.advance(ms))
    return count === 1 ? 'one restart' : 'two restarts'
  }),
  ICE_SILENT_MS: changesAfter('open', 'blocked', (ms) => seen(ms, true)),
  ICE_OVER_MS: changesAfter('unknown', 'blocked', (ms) => seen(ms, false)),
  FACTS_AFTER_MS: changesAt('nothing told', 'facts told', async (ms) => {
    const mesh = await testMesh(1)
    const node = mesh.nodes[0] as MeshNode
    const { makeRtc } = mesh
    // It never opens, for the candidates of one side lead nowhere.
    const deaf: MakeRtc = (options) => {
      const rtc = makeRtc(options)
      return { ...rtc, take: (item) => item.kind !== 'candidate' && rtc.take(item) }
    }
    const alone = { meshRelay: false }
    const [called, caller] = [
      await mesh.edge(node),
      await mesh.edge(node, alone, { makeRtc: deaf }),
    ]
    await during(called.advertise('room'), mesh.clock)
    let sent = 0
    mesh.tap = (frame) => {
      if (frame[0] === FRAME.signal) sent += 1
      return [frame]
    }
    const connecting = caller.connect(called.id, { topic: 'room', timeoutMs: 2 * FACTS_AFTER_MS })
    connecting.catch(() => undefined)
    await mesh.clock.advance(FACTS_AFTER_MS - SETTLED_MS)
    const before = sent
    await mesh.clock.advance(ms - FACTS_AFTER_MS + SETTLED_MS)
    const outcome = sent > before ? 'facts told' : 'nothing told'
    await mesh.close()
    return outcome
  }),
  RECORD_RENEW_MS: changesAt('signed once', 'signed again', async (ms) => {
    const { random } = Math
    // In the middle of where chance may put it.
    Math.random = () => 0.5
    try {
      const clock = manualClock()
      const renewals: unknown[] = []
      const dial = (): Link => homeOf(clock, () => renewals.push(clock.nowMs()))
      const ground = { clock, makeRtc: rtcWorld(clock), dial }
      const startMs = clock.nowMs()
      const options = { urls: ['http://127.0.0.1:1'], network: 'test' }
      const edge = await during(joinOn(ground, options), clock)
      await clock.advance(startMs + ms - clock.nowMs())
      await edge.close()
      return renewals.length ? 'signed again' : 'signed once'
    } finally {
      Math.random = random
    }
  }),
  ADVERT_RENEW_MS: changesAt('as it is', 'signed again', async (ms) => {
    const { random } = Math
    Math.random = () => 0.5
    try {
      const clock = manualClock()
      const about = { networkId: networkId('test'), identity: identityOf(1), clock }
      const records = createOwnRecords({ ...about, boxKeys: boxKeyPair() })
      records.add(tagOf(1), () => new Uint8Array(0))
      records.draft(new Uint8Array(32)).sign().adverts
      await clock.advance(ms)
      return records.renewAdverts().length ? 'signed again' : 'as it is'
    } finally {
      Math.random = random
    }
  }),
  BACKOFF_FIRST_MS: changesAt('waiting', 'dialling', (ms) => backoff(1, ms)),
  BACKOFF_MAX_MS: changesAt('waiting', 'dialling', (ms) => backoff(30, ms)),
}

let setAway: ((isAway: boolean) => void) | undefined

/** What has become of a call that rings, after all that. */
async function ringing(
  after: (called: Ringing, clock: ManualClock) => Promise<void>,
): Promise<string> {
  const clock = manualClock()
  let now = 'ringing'
  const called = createRinging({
    clock,
    knock: () => (now = 'asked'),
    onGone: ({ code }) => (now = code),
  })
  called.heard(true)
  await after(called, clock)
  called.stop()
  return now
}

/** What a page that hears of no failure makes of UDP, after it has gathered for so long. */
function seen(ms: number, isOver: boolean): string {
  let nowMs = 0
  const connection = Object.assign(new EventTarget(), {
    iceGatheringState: 'gathering',
    getConfiguration: () => ({ iceServers: [{ urls: 'stun:192.0.2.1' }] }),
  })
  const rtc = connection as unknown as RTCPeerConnection
  const gathered = gatherFacts(rtc, {}, () => nowMs)
  nowMs = ms
  connection.iceGatheringState = isOver ? 'complete' : 'gathering'
  connection.dispatchEvent(new Event('icegatheringstatechange'))
  return gathered.facts().udp
}

/** Long after the last candidate, and its acknowledgement. */
const SETTLED_MS = 1_000

/** What the initiator does, and at last, whose path is lost. */
async function restarting(
  act: (restart: Restart, clock: ManualClock) => Promise<void>,
): Promise<{ count: number; last: string }> {
  const clock = manualClock()
  const log: string[] = []
  let generation = 0
  const restart = createRestart({
    clock,
    initiator: true,
    generation: () => generation,
    restart: () => {
      generation += 1
      log.push('restart')
    },
    ask: () => undefined,
    isHome: () => true,
    onGone: ({ code }) => log.push(code),
  })
  restart.away(true)
  await act(restart, clock)
  restart.stop()
  return { count: log.filter((word) => word === 'restart').length, last: log.at(-1) ?? '' }
}

/** Lets the test say that the last connection's peer is away. */
function spiedRtc({ makeRtc }: TestMesh): { makeRtc: MakeRtc } {
  return {
    makeRtc: (options) => {
      setAway = options.onAway
      return makeRtc(options)
    },
  }
}

/** A home that takes anybody on and keeps nothing; an hour of a whole node would take long. */
function homeOf(clock: ManualClock, onRenewal: () => void): Link {
  const [near, far] = linkPair()
  const host = {
    identity: identityOf(1),
    networkId: NETWORK,
    clock,
    admit: () => () => undefined,
    acceptsAuthority: () => true,
    sample: () => ({ topics: [], held: undefined }),
    stun: () => NO_ICE,
    turn: () => NO_ICE,
    otherHomes: () => [],
    join: () => undefined,
    leave: () => undefined,
    renew: onRenewal,
  }
  runSession(far, '192.0.2.1', host as unknown as SessionHost, { tags: [], peer: undefined })
  return near
}

/** What has become of it after so long; then it is stopped. */
async function passed(
  clock: ManualClock,
  ms: number,
  before: string,
  outcome: Promise<string>,
  stop: () => unknown,
): Promise<string> {
  let now = before
  void outcome.then((code) => (now = code))
  await clock.advance(ms)
  const then = now
  await stop()
  await outcome
  return then
}

/** Whether an edge that lost so many homes at once dials again after so long at the latest. */
function backoff(losses: number, ms: number): string {
  const dialling = createDialling(['http://127.0.0.1:1'], () => 1)
  const loss = { url: dialling.url, error: new SignalMeshError('TIMEOUT', 'late'), openMs: 0 }
  let waitMs = 0
  for (let i = 0; i < losses; i++) waitMs = dialling.lost(loss)
  return waitMs <= ms ? 'dialling' : 'waiting'
}
