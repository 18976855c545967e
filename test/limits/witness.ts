/** Cases of what an edge asks other nodes about itself, and of which neighbours a node remembers. */

import { readMembers } from '../../runtimes/members.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { createWitness } from '../../src/edge/witness.ts'
import { WITNESS_AFTER_MS } from '../../src/limits.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { silentLog } from '../../src/log.ts'
import { encodeHello } from '../../src/messages.ts'
import { createNode, type MeshNode } from '../../src/node.ts'
import type { Store, Swarm } from '../../src/runtime.ts'
import { identityOf, NETWORK, START_MS, sampleParts, tagOf } from '../fixtures/samples.ts'
import { memoryStore } from '../support/mesh.ts'
import { type Cases, changesAt, outcomeOf, refuses } from './case.ts'

const TAG = tagOf(1)

export const witness: Cases = {
  WITNESS_AFTER_MS: changesAt('waiting', 'asking', async (ms) => {
    const ground = witnessOf(closedLink)
    await ground.clock.advance(ms)
    ground.witness.stop()
    return ground.dialled.length ? 'asking' : 'waiting'
  }),
  WITNESS_AGAIN_MS: changesAt('waiting', 'asking again', async (ms) => {
    const ground = witnessOf(ignorant)
    await ground.clock.advance(WITNESS_AFTER_MS)
    const before = ground.dialled.length
    await ground.clock.advance(ms)
    ground.witness.stop()
    return ground.dialled.length > before ? 'asking again' : 'waiting'
  }),
  WITNESS_EVERY_MS: changesAt('waiting', 'asking again', async (ms) => {
    const { random } = Math
    // In the middle of where chance may put it.
    Math.random = () => 0.5
    try {
      const ground = witnessOf(closedLink)
      await ground.clock.advance(WITNESS_AFTER_MS)
      const before = ground.dialled.length
      await ground.clock.advance(ms)
      ground.witness.stop()
      return ground.dialled.length > before ? 'asking again' : 'waiting'
    } finally {
      Math.random = random
    }
  }),
  WITNESS_TIMEOUT_MS: changesAt('waiting', 'given up', async (ms) => {
    const ground = witnessOf(() => linkPair()[0])
    let outcome = 'waiting'
    await ground.clock.advance(WITNESS_AFTER_MS)
    void ground.dialled[0]?.closed.then(() => (outcome = 'given up'))
    await ground.clock.advance(ms)
    ground.witness.stop()
    return outcome
  }),
  ANCHOR_AFTER_MS: changesAt('new', 'an anchor', async (ms) => {
    const clock = manualClock()
    const stores = [memoryStore(), memoryStore()] as const
    const start = (store: Store): Promise<MeshNode> => {
      const runtime = { name: 'node', version: 'test' } as const
      return createNode({ network: 'test', runtime, store, log: silentLog, clock })
    }
    const [one, two] = [await start(stores[0]), await start(stores[1])]
    two.useSwarm({ dhtKey: new Uint8Array(32) } as Swarm)
    // Looked at with each heartbeat, so the link comes up so long before one.
    await clock.advance(70_000 - ms)
    const [left, right] = linkPair()
    one.addLink(left, { initiator: true, remoteAddress: '127.0.0.1' })
    two.addLink(right, { initiator: false, remoteAddress: '127.0.0.1' })
    await settle()
    await clock.advance(ms)
    const kept = await stores[0].read('anchors')
    await one.close()
    await two.close()
    return kept ? 'an anchor' : 'new'
  }),
  MAX_MEMBERS: refuses('BAD_CONFIG', (count) => {
    const lines = Array.from({ length: count }, (_, i) => i.toString(16).padStart(64, '0'))
    const host = { readText: async () => lines.join('\n') }
    return outcomeOf(() => readMembers({ members: 'members.txt', membersOnly: false }, host))
  }),
}

type Dial = (number: number) => Link

/** An edge with a home and a topic, and two other nodes that it asks. */
function witnessOf(dial: Dial) {
  const clock = manualClock(START_MS)
  const dialled: Link[] = []
  const witness = createWitness({
    networkId: NETWORK,
    clock,
    dial: () => {
      const link = dial(dialled.length)
      dialled.push(link)
      return link
    },
    expected: () => ({ presence: sampleParts.presence, tags: [TAG] }),
    others: () => ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
    onWithheld: () => undefined,
  })
  witness.changed()
  return { clock, witness, dialled }
}

const closedLink: Dial = () => {
  const [near] = linkPair()
  near.close('refused')
  return near
}

/** A node that knows of nobody. */
const ignorant: Dial = (number) => {
  const [near, far] = linkPair()
  const hello = encodeHello({
    versions: [1],
    features: new Uint8Array(8),
    nodeKey: identityOf(50 + number).keys.publicKey,
    networks: [NETWORK],
    challenge: new Uint8Array(32),
    nowMs: START_MS,
    topics: [{ tag: TAG, hasPeer: false, total: 0, found: [] }],
    held: undefined,
  })
  far.send(hello)
  return near
}
