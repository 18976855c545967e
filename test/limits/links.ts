/** Cases of links between nodes: how many, from where, and what each may ask. */

import { writer } from '../../src/bytes.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { FRAME } from '../../src/messages.ts'
import { createRpc, NODE_METHOD } from '../../src/rpc.ts'
import { checkSlot, type Slot } from '../../src/slots.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, outcomeOf, refuses, TAKEN } from './case.ts'
import { beside, stranger } from './ground.ts'

export const links: Cases = {
  MAX_NEIGHBOURS: refuses('MESH_FULL', (count) => {
    const taken = Array.from({ length: count - 1 }, (_, i) => slot(i, '127.0.0.1', true))
    return outcomeOf(() =>
      checkSlot(slot(count, '127.0.0.1', true), taken, { isListed: () => true, reserves: false }),
    )
  }),
  MAX_INCOMING: refuses('MESH_FULL', (count) =>
    beside(async ({ mesh, node }) => {
      for (let i = 1; i < count; i++) {
        assert.is((await stranger(mesh, node, { address: `198.51.${i}.1` })).refusal, '')
      }
      return (await stranger(mesh, node, { address: '203.0.113.9' })).refusal || TAKEN
    }),
  ),
  MAX_LINKS_PER_GROUP: refuses('MESH_FULL', (count) =>
    beside(async ({ mesh, node }) => {
      for (let i = 1; i < count; i++) {
        assert.is((await stranger(mesh, node, { address: `198.51.100.${i}` })).refusal, '')
      }
      assert.is((await stranger(mesh, node, { address: '203.0.113.9' })).refusal, '')
      return (await stranger(mesh, node, { address: `198.51.100.${count}` })).refusal || TAKEN
    }),
  ),
  MAX_LINK_HANDSHAKES: refuses('TOO_MANY', (count) => handshakes(count, true)),
  MAX_INCOMING_HANDSHAKES: refuses('TOO_MANY', (count) => handshakes(count, false)),
  MAX_REQUESTS_IN_FLIGHT: refuses('RATE_LIMITED', async (count) => {
    const answers: (() => void)[] = []
    const rpc = createRpc({
      clock: manualClock(),
      send: () => undefined,
      serve: () => new Promise((resolve) => answers.push(() => resolve(new Uint8Array(0)))),
    })
    const ask = (id: number): void => rpc.receive(requestFrame(id))
    for (let i = 1; i < count; i++) ask(i)
    const outcome = await outcomeOf(() => ask(count))
    await settle()
    answers[0]?.()
    await settle()
    if (outcome !== TAKEN) ask(count + 1)
    rpc.close()
    return outcome
  }),
}

function slot(number: number, remoteAddress: string, initiator: boolean): Slot {
  return { remote: `node ${number}`, remoteAddress, initiator }
}

/** So many links at their handshake, and what becomes of the last. */
function handshakes(count: number, initiator: boolean): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const ends: Link[] = []
    for (let i = 0; i < count; i++) {
      const [near, far] = linkPair()
      ends.push(near)
      node.addLink(far, { initiator, remoteAddress: '127.0.0.1' })
    }
    let outcome: string = TAKEN
    void ends.at(-1)?.closed.then((reason) => (outcome = reason))
    await mesh.clock.advance(0)
    for (const end of ends) end.close('over')
    await mesh.clock.advance(0)
    const after = await stranger(mesh, node)
    assert.is(after.refusal, '', 'and there is room again')
    return outcome === 'over' ? TAKEN : outcome
  })
}

function requestFrame(id: number): Uint8Array {
  return writer()
    .u8(FRAME.rpc)
    .u32(id * 2)
    .u8(NODE_METHOD.pull)
    .done()
}
