/** Hostile homes: what they carry and drop, play again, reorder, alter, make up or flood gains them nothing. */

import { concat, utf8 } from '../../src/bytes.ts'
import { carriedFrom, carriedTo, carryHeader } from '../../src/carryframes.ts'
import { manualClock } from '../../src/clock.ts'
import type { Carrier, Lane } from '../../src/edge/carrier.ts'
import { createCarrying } from '../../src/edge/carrying.ts'
import type { Connection } from '../../src/edge/mod.ts'
import { asMeshError } from '../../src/errors.ts'
import { CARRY_DEAD_MS, MAX_BAD_CARRIED } from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { cipherKey, sealAt } from '../../src/noise.ts'
import { assert, suite } from '../harness/suite.ts'
import { type Walled, walled } from '../support/carried.ts'
import { during } from '../support/mesh.ts'

const test = suite('hostile homes that carry', { timeoutMs: 20_000 })

interface Attacked extends Walled {
  readonly own: Connection
  readonly other: Connection
  /** What `other` was handed, in its order. */
  readonly heard: unknown[]
  /** What `b` gets of what its home should hand it, from now on. */
  home(as: (frame: Uint8Array) => readonly Uint8Array[]): void
}

async function attacked(): Promise<Attacked> {
  const all = await walled()
  const [own, other] = await all.connect()
  const heard: unknown[] = []
  other.on('message', (data) => heard.push(data))
  const url = all.mesh.urlOf(all.mesh.nodes[1]!)
  return {
    ...all,
    own,
    other,
    heard,
    home: (as) => {
      all.mesh.tap = (frame, way, at) =>
        way === 'down' && at === url && frame[0] === FRAME.carry ? as(frame) : [frame]
    },
  }
}

const TEXTS = Array.from({ length: 60 }, (_, i) => `message ${i}`)

/** Sends the texts and gives the others their time. */
async function sendAll({ mesh, own }: Attacked, forMs = 60_000): Promise<void> {
  const sending = (async () => {
    for (const text of TEXTS) await own.send(text)
  })()
  sending.catch(() => undefined)
  for (let ms = 0; ms < forMs; ms += 250) await mesh.clock.advance(250)
}

/** Whatever was heard is a beginning of what was sent, each once. */
function assertBeginning(heard: readonly unknown[]): void {
  assert.equal(heard, TEXTS.slice(0, heard.length))
}

test('a home that carries sees nothing but sealed bytes', async () => {
  const attack = await attacked()
  const seen: string[] = []
  attack.home((frame) => {
    seen.push(String.fromCharCode(...frame))
    return [frame]
  })
  await sendAll(attack, 2000)
  assert.equal(attack.heard, TEXTS)
  assert.ok(seen.length > 0)
  for (const text of seen) assert.not.match(text, /message/)
  for (const frame of attack.mesh.wire) {
    assert.not.match(String.fromCharCode(...frame), /message \d/)
  }
  await attack.mesh.close()
})

test('a home that drops one frame in three only slows it down', async () => {
  const attack = await attacked()
  let count = 0
  attack.home((frame) => (count++ % 3 === 0 ? [] : [frame]))
  await sendAll(attack)
  assert.equal(attack.heard, TEXTS)
  await attack.mesh.close()
})

test('a home that drops all is noticed within the bound, and the connection ends by TIMEOUT', async () => {
  const attack = await attacked()
  attack.home(() => [])
  await sendAll(attack, CARRY_DEAD_MS + 20_000)
  assert.is(attack.other.state, 'closed')
  assert.is(attack.own.state, 'closed')
  assertBeginning(attack.heard)
  await attack.mesh.close()
})

test('a home that lets words through and drops the messages is noticed, too', async () => {
  const attack = await attacked()
  attack.home((frame) => (frame[1] === 1 ? [frame] : []))
  await sendAll(attack, CARRY_DEAD_MS + 20_000)
  assert.is(attack.own.state, 'closed')
  assert.match(attack.own.signal.reason.message, /Nothing was carried/)
  assert.equal(attack.heard, [])
  await attack.mesh.close()
})

test('a home that plays frames again hands over each message once', async () => {
  const attack = await attacked()
  const old: Uint8Array[] = []
  attack.home((frame) => {
    old.push(frame.slice())
    return [frame, frame, ...old.slice(-20)]
  })
  await sendAll(attack, 5000)
  assert.equal(attack.heard, TEXTS)
  await attack.mesh.close()
})

test('a home that plays one frame without end is left with TOO_MANY', async () => {
  const attack = await attacked()
  let first: Uint8Array | undefined
  attack.home((frame) => {
    if (frame[1] === 0) first ??= frame.slice()
    return first ? Array.from({ length: 4000 }, () => (first as Uint8Array).slice()) : [frame]
  })
  await sendAll(attack, 3000)
  assert.is(attack.other.state, 'closed')
  assert.is(asMeshError(attack.other.signal.reason).code, 'CLOSED')
  assert.match(attack.other.signal.reason.message, /again and again/)
  await attack.mesh.close()
})

test('a home that reorders changes no order', async () => {
  const attack = await attacked()
  const held: Uint8Array[] = []
  attack.home((frame) => {
    held.push(frame.slice())
    return held.length < 5 ? [] : held.splice(0).reverse()
  })
  await sendAll(attack)
  assertBeginning(attack.heard)
  assert.is(attack.heard.length, TEXTS.length)
  await attack.mesh.close()
})

for (const [what, at] of [
  ['the sealed bytes', 110],
  ['the seal', -1],
  ['the number', 91],
  ['the flags', 1],
  ['the connection', 70],
] as const) {
  test(`a home that alters ${what} gets nothing taken, and is left`, async () => {
    const attack = await attacked()
    attack.home((frame) => {
      const altered = frame.slice()
      const place = at < 0 ? frame.length + at : Math.min(at, frame.length - 1)
      altered[place] = (altered[place] as number) ^ 1
      return [altered]
    })
    await sendAll(attack, CARRY_DEAD_MS + 30_000)
    assert.equal(attack.heard, [])
    assert.is(attack.other.state, 'closed')
    assert.is(attack.own.state, 'closed')
    await attack.mesh.close()
  })
}

test('an altered frame now and then changes nothing, and many end it by BAD_FRAME', async () => {
  const attack = await attacked()
  let altered = 0
  attack.home((frame) => {
    if (altered >= MAX_BAD_CARRIED - 1) return [frame]
    altered += 1
    const bad = frame.slice()
    bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 1
    return [bad, frame]
  })
  await sendAll(attack, 5000)
  assert.equal(attack.heard, TEXTS)
  attack.home((frame) => {
    const bad = frame.slice()
    bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 1
    return [bad, frame]
  })
  await sendAll(attack, 5000)
  assert.match(attack.other.signal.reason.message, /alters/)
  await attack.mesh.close()
})

test('frames that a home makes up, of other connections and of none, are nothing to the edge', async () => {
  const attack = await attacked()
  const [peer, self] = [attack.a.id, attack.b.id]
  attack.home((frame) => {
    assert.is(carriedFrom(frame), peer)
    assert.is(carriedTo(frame), self)
    const strange = frame.slice()
    strange.fill(9, 68, 84)
    return [strange, Uint8Array.of(FRAME.carry), utf8('\x0c made up'), frame]
  })
  await sendAll(attack, 5000)
  assert.is(attack.b.home.state, 'open')
  await attack.mesh.close()
})

test('a peer cannot make the other side make RTC connections without end', () => {
  const clock = manualClock()
  let made = 0
  const key = cipherKey(new Uint8Array(32))
  const keys = { tx: key, rx: key }
  const ids = { from: new Uint8Array(32), to: new Uint8Array(32), connection: new Uint8Array(16) }
  let lane: Lane | undefined
  const carrying = createCarrying({
    ...ids,
    clock,
    initiator: false,
    carrier: {
      begin: async (_place, own) => {
        lane = own
      },
      end: () => undefined,
      wake: () => undefined,
    } as Partial<Carrier> as Carrier,
    keys: () => keys,
    say: () => undefined,
    onOpen: () => undefined,
    onPiece: () => undefined,
    onFailed: () => undefined,
    renew: () => {
      made += 1
    },
  })
  carrying.take(Uint8Array.of(1))
  const header = carryHeader({ ...ids, isWord: true, counter: 0 })
  lane?.receive(concat(header, sealAt(key, 2 ** 52, header, new Uint8Array(9))))
  for (let i = 0; i < 1000; i++) carrying.take(Uint8Array.of(4))
  assert.is(made, 1)
  carrying.stop()
})

test('frames of one side do not open as the other side’s', async () => {
  const attack = await attacked()
  const { mesh, own, other, heard } = attack
  const up: Uint8Array[] = []
  mesh.tap = (frame, way) => {
    if (frame[0] !== FRAME.carry || way === 'down') return [frame]
    up.push(frame.slice())
    return [frame]
  }
  await during(other.send('from b'), mesh.clock)
  await mesh.clock.advance(500)
  attack.home((frame) => {
    // What b itself has sent comes back to it, as from a.
    const back = (up[0] as Uint8Array).slice()
    back.set(frame.subarray(4, 68), 4)
    return [back, frame]
  })
  await during(own.send('from a'), mesh.clock)
  await mesh.clock.advance(500)
  assert.equal(heard, ['from a'])
  await mesh.close()
})

test.run()
