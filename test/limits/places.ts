/** Cases of the places that a home has for edges. */

import { fromHex } from '../../src/bytes.ts'
import { createEdges } from '../../src/edges.ts'
import type { HomeLog } from '../../src/homelog.ts'
import type { Session } from '../../src/session.ts'
import { identityOf, NETWORK as MAIN, presenceOf, testHome } from '../fixtures/samples.ts'
import { rawEdge } from '../support/rawedge.ts'
import { type Cases, outcomeOf, refuses, TAKEN } from './case.ts'
import { beside } from './ground.ts'

export const places: Cases = {
  MAX_EDGES: refuses('MESH_FULL', async (count) => {
    const { edges, join } = fullHome
    while (edges.count < count - 1) join(edges.count)
    const outcome = await outcomeOf(() => join(count - 1))
    // Who is here may come again, and who leaves makes room.
    fullHome.again(0)
    return outcome
  }),
  MAX_EDGES_PER_ADDRESS: refuses('TOO_MANY', (count) =>
    beside(async ({ mesh, node }) => {
      const url = `${mesh.urlOf(node)}/edge`
      for (let i = 1; i < count; i++) mesh.dial(url, '192.0.2.1')
      const raw = await rawEdge(mesh, node, { remoteAddress: '192.0.2.1' })
      return raw.bye?.code ?? TAKEN
    }),
  ),
}

/** One home and the sessions that it has so far, over both trials: 25,000 signatures take a while. */
const fullHome = (() => {
  const { identity, clock, directory } = testHome(1)
  // The log has bounds of its own.
  const log = {
    state: { claims: new Map() },
    add: () => undefined,
    checkRoom: () => undefined,
  } as unknown as HomeLog
  const edges = createEdges({
    identity,
    networkId: MAIN,
    clock,
    directory,
    log,
    acceptsAuthority: () => true,
    otherHomes: () => [],
    onSignal: () => undefined,
  })
  const presence = presenceOf(identityOf(2), identity.id, { seq: clock.nowMs() })
  const sessions: Session[] = []
  const sessionOf = (number: number): Session => {
    const peer = ((number % 256) * 2 ** 24 + number).toString(16).padStart(64, '0')
    const peerKey = fromHex(peer)
    return { peer, peerKey, end: () => undefined, send: () => true } as unknown as Session
  }
  // Each has the one signature that is good, under a name of its own.
  const join = (number: number, seq = presence.seq): void => {
    const session = sessionOf(number)
    edges.host.join(session, { ...presence, peer: session.peer, seq }, [])
    sessions[number] = session
  }
  return { edges, join, again: (number: number) => join(number, presence.seq + ++turn) }
})()
let turn = 0
