/** Cases of the relay of last resort: for whom a node carries, how much, and how long an edge waits for it. */

import { fromHex } from '../../src/bytes.ts'
import { CARRY_COST_BYTES } from '../../src/carry.ts'
import { createCarryCaps } from '../../src/carrycaps.ts'
import { checkCarried } from '../../src/carryframes.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { createCarried } from '../../src/edge/carried.ts'
import { createCarrier } from '../../src/edge/carrier.ts'
import { createCarrying } from '../../src/edge/carrying.ts'
import { SignalMeshError } from '../../src/errors.ts'
import * as limits from '../../src/limits.ts'
import { cipherKey } from '../../src/noise.ts'
import { assert } from '../harness/suite.ts'
import {
  type CarryGround,
  CONNECTION,
  carryGround,
  codeOfBegin,
  farPeer,
  THERE,
} from '../support/carryground.ts'
import { type Case, type Cases, changesAt, holds, outcomeOf, refuses, TAKEN } from './case.ts'

const FAR = farPeer(1)

export const carry: Cases = {
  MAX_CARRIED_BYTES: refuses('BAD_FRAME', (bytes) =>
    outcomeOf(() => checkCarried(new Uint8Array(bytes))),
  ),
  MAX_CARRIES: refuses('TOO_MANY', (count) =>
    lastOf(count, (i) => ({ edge: i, address: `10.${i >> 8}.${i & 255}.1`, peer: farPeer(i) })),
  ),
  MAX_CARRIES_PER_ADDRESS: refuses('TOO_MANY', (count) =>
    lastOf(count, (i) => ({ edge: i, address: '192.0.2.1', peer: farPeer(i) })),
  ),
  MAX_CARRIES_PER_EDGE: refuses('TOO_MANY', (count) =>
    lastOf(count, (i) => ({ edge: 1, address: '192.0.2.1', peer: farPeer(i) })),
  ),
  MAX_BAD_CARRIED: holds('is given up at so many, not before', 'so', (count) => {
    const { carried, failures } = lane()
    for (let i = 1; i < count; i++) carried.receive(badFrame(i))
    assert.equal(failures, [])
    carried.receive(badFrame(count))
    carried.close()
    return failures.join() === 'BAD_FRAME' ? 'so' : failures.join()
  }),
  CARRY_BYTES_PER_SECOND: rate(3, (limit) => limit),
  CARRY_ADDRESS_BYTES_PER_SECOND: rate(2, (limit) => limit),
  CARRY_PAIR_BYTES_PER_SECOND: rate(1, (limit) => limit),
  CARRY_DAY_BYTES: day('bytes', 2),
  CARRY_ADDRESS_DAY_BYTES: day('bytes', 1),
  CARRY_PAIR_DAY_BYTES: day('bytes', 0),
  CARRY_DAY_MINUTES: day('minutes', 2),
  CARRY_ADDRESS_DAY_MINUTES: day('minutes', 1),
  CARRY_PAIR_DAY_MINUTES: day('minutes', 0),
  CARRY_WINDOW_BYTES: holds(
    'is sent ahead, and no more than a piece above',
    'so',
    async (bytes) => {
      const { carried } = lane()
      let taken = 0
      for (let i = 0; i < 40; i++) {
        carried.send(new Uint8Array(16_000)).then(
          () => {
            taken += 16_000 + 116 + CARRY_COST_BYTES
          },
          () => undefined,
        )
      }
      await Promise.resolve()
      await Promise.resolve()
      carried.close()
      return taken >= bytes && taken < bytes + 17_000 ? 'so' : `${taken}`
    },
  ),
  CARRY_AHEAD_BYTES: holds(
    'waits for a socket with so much, and goes below',
    'so',
    async (bytes) => {
      const ground = carryGround()
      const edge = ground.edge(1)
      assert.is(codeOfBegin(ground, edge, FAR), '')
      edge.waitingBytes = bytes
      ground.carry.fromNode(ground.frame(FAR, edge.peer, 0), THERE)
      const before = edge.got.length
      edge.waitingBytes = bytes - 1
      ground.carry.fromNode(ground.frame(FAR, edge.peer, 1), THERE)
      await ground.clock.advance(limits.CARRY_TURN_MS)
      ground.carry.close()
      return before === 0 && edge.got.length === 2 ? 'so' : `${before} and ${edge.got.length}`
    },
  ),
  CARRY_TURN_MS: changesAt('waiting', 'sent', async (ms) => {
    const ground = carryGround()
    const edge = ground.edge(1)
    assert.is(codeOfBegin(ground, edge, FAR), '')
    edge.waitingBytes = limits.CARRY_AHEAD_BYTES
    ground.carry.fromNode(ground.frame(FAR, edge.peer, 0), THERE)
    edge.waitingBytes = 0
    await ground.clock.advance(ms)
    ground.carry.close()
    return edge.got.length ? 'sent' : 'waiting'
  }),
  CARRY_AFTER_MS: changesAt('ICE alone', 'asked', async (ms) => {
    const { clock, carrying, said } = agreement()
    carrying.answered()
    await clock.advance(ms)
    carrying.stop()
    return said.length ? 'asked' : 'ICE alone'
  }),
  CARRY_SILENT_MS: changesAt('silent', 'asks', async (ms) => {
    const { clock, carried, asked } = lane()
    await clock.advance(ms)
    const state = asked() ? 'asks' : 'silent'
    carried.close()
    return state
  }),
  CARRY_DEAD_MS: changesAt('open', 'TIMEOUT', async (ms) => {
    const { clock, carried, failures } = lane()
    await clock.advance(ms)
    carried.close()
    return failures[0] ?? 'open'
  }),
  CARRY_UNHEARD_MS: changesAt('kept', 'TIMEOUT', async (ms) => {
    const { carry, clock, edge } = carryGround()
    const own = edge(1)
    carry.begin(own.session, { peer: FAR, connection: CONNECTION })
    await clock.advance(ms)
    carry.sweep()
    return own.ends[0]?.error.code ?? 'kept'
  }),
  RTC_STUCK_MS: changesAt('trying', 'anew', async (ms) => {
    const made = await renewed([limits.RTC_ANEW_MS, ms], false)
    return made === 2 ? 'anew' : 'trying'
  }),
  RTC_ANEW_MS: changesAt('failed', 'anew', async (ms) => {
    const made = await renewed([ms])
    return made ? 'anew' : 'failed'
  }),
  RTC_ANEW_MAX_MS: changesAt('failed', 'anew', async (ms) => {
    // Twice as long each time, and then no longer.
    const before = [10_000, 20_000, 40_000, 80_000, 160_000]
    const made = await renewed([...before, limits.RTC_ANEW_MAX_MS, ms])
    return made === before.length + 2 ? 'anew' : 'failed'
  }),
}

interface Place {
  readonly edge: number
  readonly address: string
  readonly peer: string
}

/** What comes of the last of so many wishes to be carried. */
function lastOf(count: number, of: (index: number) => Place): string {
  const ground = carryGround()
  const sessions = new Map<number, ReturnType<CarryGround['edge']>>()
  let code = ''
  for (let i = 1; i <= count; i++) {
    const { edge: number, address, peer } = of(i)
    const edge = sessions.get(number) ?? ground.edge(number, address)
    sessions.set(number, edge)
    assert.is(code, '', `the ${i - 1}th of ${count}`)
    code = codeOfBegin(ground, edge, peer)
  }
  return code || TAKEN
}

/** Of pairs that have one thing less in common each time: with it all, the address, and the node alone. */
function rate(kind: 1 | 2 | 3, bound: (limit: number) => number): Case {
  return holds('goes at once, and as much in each second after that', 'so', (limit) => {
    const caps = createCarryCaps(limits.CARRY_BYTES_PER_SECOND)
    const one = [caps.pair('a', 'b'), caps.address('x'), caps.node].slice(kind - 1, kind)
    caps.count(one, 0, bound(limit) - 1)
    const first = caps.mayNow(one, 0)
    caps.count(one, 0, 1 + bound(limit))
    const [late, due] = [caps.mayNow(one, 1000), caps.mayNow(one, 1002)]
    return first && !late && due ? 'so' : `${first} ${late} ${due}`
  })
}

function day(what: 'bytes' | 'minutes', kind: number): Case {
  return {
    run: (amount) => {
      const caps = createCarryCaps(1)
      const one = [caps.pair('a', 'b'), caps.address('x'), caps.node].slice(kind, kind + 1)
      if (what === 'bytes') caps.count(one, 0, amount)
      else caps.countMinutes(one, 0, amount)
      return caps.over(one, 0)?.code ?? TAKEN
    },
    trials: (limit) => [
      { title: `carries ${limit} ${what}`, amount: limit, outcome: TAKEN },
      { title: `ends after ${limit + 1} ${what}`, amount: limit + 1, outcome: 'RATE_LIMITED' },
    ],
  }
}

const KEY = cipherKey(new Uint8Array(32))
const PLACE = {
  keys: { tx: KEY, rx: KEY },
  from: new Uint8Array(32),
  to: fromHex(FAR),
  connection: fromHex(CONNECTION),
}

function lane() {
  const clock = manualClock()
  const failures: string[] = []
  const carried = createCarried({
    ...PLACE,
    clock,
    wake: () => undefined,
    onHeard: () => undefined,
    onPiece: () => undefined,
    onFailed: ({ code }) => void failures.push(code),
  })
  return { clock, carried, failures, asked: () => carried.next() !== undefined }
}

function badFrame(counter: number): Uint8Array {
  return carryGround().frame(FAR, farPeer(2), counter)
}

/** One that calls, at a home that agrees to all. */
function agreement() {
  const clock = manualClock()
  const said: Uint8Array[] = []
  let made = 0
  let heardBy: ((frame: Uint8Array) => void) | undefined
  const carrier = createCarrier({
    clock,
    request: async () => new Uint8Array(0),
    canSend: () => true,
    send: (frame) => heardBy?.(frame),
  })
  const carrying = createCarrying({
    ...PLACE,
    clock,
    initiator: true,
    carrier,
    keys: () => PLACE.keys,
    say: (data) => void said.push(data),
    onOpen: () => undefined,
    onPiece: () => undefined,
    onFailed: () => undefined,
    renew: () => {
      made += 1
    },
  })
  const hearing = (by: (frame: Uint8Array) => void): void => {
    heardBy = by
  }
  return { clock, carrying, carrier, said, hearing, made: () => made }
}

/** How many times an RTC connection was made anew, each time after it had failed and so long. */
async function renewed(waitsMs: readonly number[], fails = true): Promise<number> {
  const { clock, carrying, carrier, hearing, made } = agreement()
  const peer = createCarried({
    ...PLACE,
    clock,
    from: PLACE.to,
    to: PLACE.from,
    wake: () => undefined,
    onHeard: () => undefined,
    onPiece: () => undefined,
    onFailed: () => undefined,
  })
  hearing(peer.receive)
  const hear = (): void => {
    peer.knock()
    carrier.receive(peer.next() as Uint8Array)
  }
  const fail = (): void => void carrying.holds(new SignalMeshError('RTC_FAILED', 'no path'))
  carrying.answered()
  fail()
  await settle()
  hear()
  for (const [i, ms] of waitsMs.entries()) {
    if (i > 0 && fails) fail()
    for (let left = ms; left > 0; left -= 5000) {
      await clock.advance(Math.min(5000, left))
      hear()
    }
  }
  carrying.stop()
  peer.close()
  return made()
}
