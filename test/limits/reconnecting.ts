/** Cases of how an edge comes home again: standbys, probes, awakenings, the move from a node that stops. */

import { manualClock } from '../../src/clock.ts'
import { drainEdges } from '../../src/draining.ts'
import { createDialling } from '../../src/edge/dialling.ts'
import { joinOn } from '../../src/edge/join.ts'
import { createProbing } from '../../src/edge/probing.ts'
import { createStandby } from '../../src/edge/standby.ts'
import { watchWakes } from '../../src/edge/waking.ts'
import { createEdges } from '../../src/edges.ts'
import { SignalMeshError } from '../../src/errors.ts'
import type { HomeLog } from '../../src/homelog.ts'
import { NO_ICE } from '../../src/ice.ts'
import { PING_AFTER_MS } from '../../src/limits.ts'
import { linkPair } from '../../src/link.ts'
import { FRAME, PONG } from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { runSession, type Session, type SessionHost } from '../../src/session.ts'
import { identityOf, NETWORK, testHome } from '../fixtures/samples.ts'
import { testMesh } from '../support/mesh.ts'
import { provenEdge } from '../support/rawedge.ts'
import { rtcWorld } from '../support/rtc.ts'
import { type Cases, caps, changesAt, holds, outcomeOf, refuses } from './case.ts'

const HOUR_MS = 3_600_000

export const reconnecting: Cases = {
  MAX_STANDBYS: refuses('MESH_FULL', (count) => {
    const { identity, clock, directory } = testHome(1)
    const { host } = createEdges({
      identity,
      networkId: NETWORK,
      clock,
      directory,
      log: {} as unknown as HomeLog,
      acceptsAuthority: () => true,
      otherHomes: () => [],
      onSignal: () => undefined,
    })
    const admit = (i: number, isStandby: boolean): (() => void) =>
      host.admit(
        { remoteAddress: `10.${i >> 16}.${(i >> 8) % 256}.${i % 256}` } as Session,
        isStandby,
      )
    const releases = Array.from({ length: count - 1 }, (_, i) => admit(i, true))
    const outcome = outcomeOf(() => admit(count, true))
    // Edges still find room, and a standby that goes leaves some.
    admit(count, false)
    releases[0]?.()
    releases[1]?.()
    admit(0, true)
    return outcome
  }),
  STANDBY_MS: changesAt('open', 'closed', async (ms) => {
    const clock = manualClock()
    const [near, far] = linkPair()
    const host = {
      identity: identityOf(1),
      networkId: NETWORK,
      clock,
      admit: () => () => undefined,
      sample: () => ({ topics: [], held: undefined }),
      stun: () => NO_ICE,
      turn: () => NO_ICE,
    }
    const named = { tags: [], peer: undefined, isStandby: true }
    runSession(far, '192.0.2.1', host as unknown as SessionHost, named)
    near.subscribe((frame) => frame[0] === FRAME.ping && near.send(PONG))
    let outcome = 'open'
    void near.closed.then(() => (outcome = 'closed'))
    for (let left = ms; left > 0; left -= PING_AFTER_MS) {
      await clock.advance(Math.min(left, PING_AFTER_MS))
    }
    const then = outcome
    near.close()
    return then
  }),
  STANDBY_AFTER_MS: changesAt('waiting', 'dialling', async (ms) => {
    const { clock, dialledMs, standby } = standbyGround()
    await clock.advance(ms)
    standby.stop()
    return dialledMs.length ? 'dialling' : 'waiting'
  }),
  STANDBY_MAX_MS: changesAt('waiting', 'dialling', async (ms) => {
    const { clock, dialledMs, standby } = standbyGround()
    await clock.advance(HOUR_MS)
    standby.stop()
    const [before, last] = dialledMs.slice(-2) as [number, number]
    return last - before <= ms ? 'dialling' : 'waiting'
  }),
  PROBE_AFTER_MS: changesAt('quiet', 'asked', async (ms) => {
    const clock = manualClock()
    let outcome = 'quiet'
    const probing = createProbing({ clock, ask: () => (outcome = 'asked'), onDead: () => {} })
    probing.sent()
    await clock.advance(ms)
    return outcome
  }),
  PROBE_TIMEOUT_MS: changesAt('asked', 'dead', async (ms) => {
    const clock = manualClock()
    let outcome = 'asked'
    createProbing({ clock, ask: () => {}, onDead: () => (outcome = 'dead') }).probe()
    await clock.advance(ms)
    return outcome
  }),
  WAKE_CHECK_MS: changesAt('asleep', 'awake', async (ms) => {
    const clock = manualClock()
    let outcome = 'asleep'
    const signs = () => () => undefined
    const stop = watchWakes(clock, signs, () => (outcome = 'awake'))
    clock.skew(HOUR_MS)
    await clock.advance(ms)
    stop()
    return outcome
  }),
  WAKE_AGAIN_MS: changesAt('waiting', 'dialling', async (ms) => {
    const clock = manualClock()
    const stop = new AbortController()
    let dials = 0
    let wake = (): void => {}
    const dial = () => {
      dials += 1
      const [near] = linkPair()
      near.close('refused')
      return near
    }
    const wakes = (onWake: () => void) => {
      wake = onWake
      return () => undefined
    }
    const options = { urls: ['http://127.0.0.1:1'], network: 'test', signal: stop.signal }
    const ground = { clock, makeRtc: rtcWorld(clock), dial, wakes }
    const joining = outcomeOf(() => joinOn(ground, options))
    // By then its waits are longer than that.
    while (dials < 7) await clock.advance(1)
    wake()
    await clock.advance(ms)
    const outcome = dials > 7 ? 'dialling' : 'waiting'
    stop.abort()
    await joining
    return outcome
  }),
  MOVES_PER_SECOND: holds(
    'is what a node that stops counts its edges by',
    'its time',
    async (n) => {
      const mesh = await testMesh(1)
      const [node] = mesh.nodes as [MeshNode]
      const edges = [await provenEdge(mesh, node)]
      while (edges.length < 11) edges.push(await provenEdge(mesh, node))
      await mesh.close()
      return edges[0]?.bye?.retryAfterMs === 10_000 / n ? 'its time' : 'another'
    },
  ),
  DRAIN_TICK_MS: changesAt('one was told', 'two were', async (ms) => {
    const clock = manualClock()
    const told: string[] = []
    const tell = (peer: string): void => void told.push(peer)
    const options = { clock, peers: ['a', 'b', 'c'], perSecond: 1, tell, hasMoved: () => false }
    void drainEdges(options, HOUR_MS)
    await clock.advance(ms)
    return told.length === 1 ? 'one was told' : 'two were'
  }),
  MOVE_WITHIN_MS: caps((retryAfterMs) => {
    const error = new SignalMeshError('GOING_AWAY', '', { retryAfterMs })
    const dialling = createDialling(['http://127.0.0.1:1'], () => 1)
    return `${dialling.lost({ url: dialling.url, error, openMs: HOUR_MS }, true)}`
  }),
}

/** A standby for which every dial fails, and which waits as long as it may. */
function standbyGround() {
  const clock = manualClock()
  const dialledMs: number[] = []
  const standby = createStandby({
    clock,
    others: () => [['http://127.0.0.1:1']],
    home: () => 'home',
    attend: () => {
      dialledMs.push(clock.nowMs())
      throw new SignalMeshError('NO_HOME', 'offline')
    },
    random: () => 1,
  })
  standby.keep()
  return { clock, dialledMs, standby }
}
