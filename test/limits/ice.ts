/** Cases of servers for ICE: what a home names and tries, what an edge asks for, and when. */

import { parseConfig } from '../../runtimes/config.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { createIce, type Ice } from '../../src/edge/ice.ts'
import { encodeIce, type IceOffer } from '../../src/ice.ts'
import * as limits from '../../src/limits.ts'
import { createTurn } from '../../src/turn.ts'
import { assert } from '../harness/suite.ts'
import { type StunGround, stunGround } from '../support/stuns.ts'
import {
  type Cases,
  caps,
  changesAfter,
  changesAt,
  DROPPED,
  drops,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

const URL = 'https://home.example'
const TWO = [{ url: 'stun:a.example' }, { url: 'stun:b.example' }]
const GROUP = '198.51.100.1'

export const ice: Cases = {
  MAX_STUN_OFFERED: caps((count) => {
    const ground = neighbours(count - 1)
    ground.stuns.sweep()
    return `${ground.urls().length}`
  }),
  MAX_STUN_PROBES: caps((count) => {
    const ground = neighbours(count)
    ground.stuns.sweep()
    return `${ground.sent.length}`
  }),
  STUN_ANSWER_MS: changesAt('alive', 'gone', async (ms) => {
    const ground = neighbours(1)
    ground.stuns.sweep()
    await ground.clock.advance(limits.STUN_PROBE_MS)
    ground.answering.clear()
    ground.stuns.sweep()
    await ground.clock.advance(ms)
    return ground.urls().length === 2 ? 'alive' : 'gone'
  }),
  STUN_RESEND_MS: changesAt('said once', 'said again', async (ms) => {
    const ground = neighbours(1)
    ground.answering.clear()
    ground.stuns.sweep()
    await ground.clock.advance(ms)
    return ground.sent.length === 1 ? 'said once' : 'said again'
  }),
  STUN_LINKED_MS: changesAt('not asked', 'asked', async (ms) => {
    const ground = neighbours(1)
    ground.stuns.linked()
    await ground.clock.advance(ms)
    return ground.sent.length === 0 ? 'not asked' : 'asked'
  }),
  STUN_PROBE_MS: changesAt('not asked', 'asked', async (ms) => {
    const ground = neighbours(1)
    ground.stuns.sweep()
    return askedAfter(ground, ms)
  }),
  STUN_PROBE_MAX_MS: changesAt('not asked', 'asked', async (ms) => {
    const ground = neighbours(1)
    ground.answering.clear()
    // Until it is waited for as long as may be.
    for (let i = 0; i < 6; i++) {
      ground.stuns.sweep()
      await ground.clock.advance(limits.STUN_ANSWER_MS)
      if (i < 5) await ground.clock.advance(limits.STUN_PROBE_MAX_MS)
    }
    return askedAfter(ground, ms)
  }),
  ICE_REFRESH_MS: changesAt('not asked', 'asked', async (ms) => {
    const { clock, asked } = edge({ servers: TWO, ttlMs: 2 * limits.ICE_REFRESH_MS })
    await clock.advance(ms)
    return asked() ? 'asked' : 'not asked'
  }),
  ICE_AGAIN_MS: changesAt('not asked', 'asked', async (ms) => {
    const { clock, asked } = edge({ servers: TWO, ttlMs: 1 })
    await clock.advance(ms)
    return asked() ? 'asked' : 'not asked'
  }),
  ICE_FEW_MS: changesAt('not asked', 'asked', async (ms) => {
    const { clock, asked } = edge({ servers: TWO.slice(1), ttlMs: limits.ICE_REFRESH_MS })
    await clock.advance(ms)
    return asked() ? 'asked' : 'not asked'
  }),
  TURN_TTL_MS: changesAfter('good', 'over', (ms) => {
    const clock = manualClock()
    const [server] = createTurn(
      { urls: ['turn:a.example'], mac: () => 'mac' },
      clock,
    )(GROUP).servers
    const startMs = clock.nowMs()
    // What coturn compares with its own clock.
    const expirySeconds = Number.parseInt(server?.username ?? '', 10)
    return startMs + ms <= expirySeconds * 1000 ? 'good' : 'over'
  }),
  TURN_BURST: drops((count) => {
    const turn = createTurn({ urls: ['turn:a.example'], mac: () => 'mac' }, manualClock())
    const outcome = minted(turn, count)
    assert.is(turn('203.0.113.200').servers.length, 1, 'another address has its own')
    return outcome
  }),
  TURN_PER_SECOND: drops(async (count) => {
    const clock = manualClock()
    const turn = createTurn({ urls: ['turn:a.example'], mac: () => 'mac' }, clock)
    assert.is(minted(turn, limits.TURN_BURST), TAKEN)
    await clock.advance(1000)
    return minted(turn, count)
  }),
  MAX_TURN_URLS: refuses('BAD_CONFIG', (count) =>
    outcomeOf(() => {
      const urls = Array.from({ length: count }, (_, i) => `turn:t${i}.example`).join(',')
      return parseConfig(['--turn-url', urls, '--turn-secret-file', 'f'], {})
    }),
  ),
}

function minted(turn: (address: string) => IceOffer, count: number): string {
  let servers = 0
  for (let i = 0; i < count; i++) servers = turn(GROUP).servers.length
  return servers ? TAKEN : DROPPED
}

/** So many neighbours with STUN that answers. */
function neighbours(count: number): StunGround {
  const ground = stunGround()
  for (let i = 1; i <= count; i++) {
    ground.add(`${i}`, `203.0.113.${i}`, `n${i}.example:3478`)
    ground.answering.add(`203.0.113.${i}:3478`)
  }
  return ground
}

async function askedAfter(ground: StunGround, ms: number): Promise<string> {
  const before = ground.sent.length
  await ground.clock.advance(ms)
  ground.stuns.sweep()
  return ground.sent.length > before ? 'asked' : 'not asked'
}

/** An edge whose home has just named these. */
function edge(offer: IceOffer): { clock: ManualClock; asked: () => boolean; ice: Ice } {
  const clock = manualClock()
  let requests = 0
  const ice = createIce({
    clock,
    wanted: undefined,
    request: async () => {
      requests += 1
      return encodeIce({ servers: [], ttlMs: 0 })
    },
    url: () => URL,
  })
  ice.greeted(offer, URL)
  ice.welcomed({ servers: [], ttlMs: 0 }, URL)
  return { clock, asked: () => requests > 0, ice }
}
