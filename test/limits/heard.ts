/** Cases of what a node has heard of others: packets, lives of its own key, signals to pass on. */

import { writer } from '../../src/bytes.ts'
import { manualClock } from '../../src/clock.ts'
import { createForward } from '../../src/forward.ts'
import { createGossip } from '../../src/gossip.ts'
import { VIA_SIGNALS_BURST } from '../../src/limits.ts'
import { CLASS, encodeSignal, readControl, stamp } from '../../src/signal.ts'
import { identityOf, NETWORK, presenceOf, put, START_MS, testHome } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { virtualMesh } from '../support/nodes.ts'
import { type Cases, changesAt, FORGOT, forgets, KEPT, refuses, TAKEN } from './case.ts'
import { packetOf } from './ground.ts'

export const heard: Cases = {
  MAX_SEEN_PACKETS: forgets((count) => {
    const { publish, delivered } = gossipOf()
    for (let i = 0; i < count; i++) publish(i)
    assert.is(delivered.count, count)
    publish(0)
    // One that is forgotten is judged anew by whether it is news, as at first.
    return delivered.count === count ? KEPT : FORGOT
  }),
  SEEN_PACKETS_MS: changesAt('remembered', 'forgotten', (ms) => {
    const { publish, delivered } = gossipOf()
    const startMs = Date.now()
    // The cache is the library's own, by the machine's clock.
    atTime(startMs, () => publish(1))
    atTime(startMs + ms, () => publish(1))
    return delivered.count === 1 ? 'remembered' : 'forgotten'
  }),
  MAX_RISES: refuses('DUPLICATE_NODE', async (count) => {
    const mesh = virtualMesh(1)
    const own = mesh.add(7)
    const [third] = mesh.nodes
    if (!third) throw new Error('No node')
    for (let i = 1; i <= count; i++) {
      // A life of the same key, each later than the last.
      const twin = mesh.add(7, START_MS + i * 1_000_000)
      mesh.link(twin, third)
      await mesh.clock.advance(100)
      twin.kill()
      await mesh.clock.advance(100)
      const cut = mesh.link(own, third)
      await mesh.clock.advance(1000)
      cut()
      await mesh.clock.advance(100)
    }
    const outcome = mesh.duplicated.length > 0 ? 'DUPLICATE_NODE' : TAKEN
    mesh.stop()
    return outcome
  }),
  VIA_SIGNALS_BURST: refuses('RATE_LIMITED', (count) => passedOn(count, 0)),
  VIA_SIGNALS_PER_SECOND: refuses('RATE_LIMITED', (count) => passedOn(VIA_SIGNALS_BURST, count)),
}

/** A node's gossip, which takes whatever one neighbour brings for news. */
function gossipOf() {
  const delivered = { count: 0 }
  const from = identityOf(1).id
  const gossip = createGossip({
    id: identityOf(2).id,
    clock: manualClock(),
    send: () => undefined,
    sendWord: () => undefined,
    takes: () => true,
    check: () => ({ origin: from }),
    deliver: () => {
      delivered.count += 1
    },
  })
  const publish = (number: number): void =>
    gossip.receive(packetOf(from, from, writer(4).u32(number).done()), from)
  return { publish, delivered }
}

/** Runs it at a time of the machine's clock. */
function atTime(nowMs: number, fn: () => void): void {
  const { Date: real } = globalThis
  globalThis.Date = class extends real {
    constructor() {
      super(nowMs)
    }
  } as DateConstructor
  try {
    fn()
  } finally {
    globalThis.Date = real
  }
}

/** A node passes on what another brings for a third: so many at once, so many a second later. */
async function passedOn(atOnce: number, later: number): Promise<string> {
  const clock = manualClock()
  const [self, from, by] = [identityOf(1), identityOf(2), identityOf(3)]
  const home = testHome(4, START_MS, clock)
  const target = identityOf(5)
  home.change(put(presenceOf(from, by.id)), put(presenceOf(target, home.id)))
  const { directory } = home
  directory.apply(directory.open(by.id, 1, START_MS), put(presenceOf(from, by.id)), START_MS)
  const sent: { node: string; frame: Uint8Array }[] = []
  const forward = createForward({
    identity: self,
    networkId: NETWORK,
    directory,
    clock,
    deliver: () => false,
    isLinked: () => true,
    isVia: () => false,
    admits: () => true,
    send: (node, frame) => sent.push({ node, frame: frame.slice() }) > 0,
    dial: () => false,
    giveUp: () => undefined,
  })
  const bring = (): string => {
    const frame = encodeSignal(NETWORK, {
      class: CLASS.within,
      phase: 1,
      from: from.keys.publicKey,
      to: target.keys.publicKey,
      connection: new Uint8Array(16),
      counter: 0,
      payload: new Uint8Array(1),
    })
    stamp(frame, by.keys.publicKey, 2)
    forward.fromNode(frame, by.id)
    const last = sent.at(-1)
    return last?.node === home.id ? TAKEN : readControl(last?.frame as Uint8Array).code
  }
  const outcomes = Array.from({ length: atOnce }, bring)
  await clock.advance(1000)
  outcomes.push(...Array.from({ length: later }, bring))
  assert.ok(
    outcomes.slice(0, -1).every((outcome) => outcome === TAKEN),
    outcomes.join(),
  )
  forward.close()
  return outcomes.at(-1) as string
}
