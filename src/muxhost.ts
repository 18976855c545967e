/** A shared socket at a node: each session in it is one like any other, with its own challenge, proof and bounds. */

import type { Clock } from './clock.ts'
import type { Edges } from './edges.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import { EDGE_PROOF_MS } from './limits.ts'
import type { Link } from './link.ts'
import { encodeBye } from './messages.ts'
import { createMux } from './mux.ts'
import { type Named, readNamed } from './samples.ts'
import { runSession } from './session.ts'

export interface SharedHost {
  readonly edges: Pick<Edges, 'host' | 'admitShared'>
  readonly clock: Clock
  isStopping(): boolean
  /** Throws for who asks for another network. */
  checkNetwork(named: Named): void
}

/** Runs the sessions of an accepted shared socket until it closes. */
export function runShared(socket: Link, remoteAddress: string, host: SharedHost): void {
  const { edges, clock } = host
  try {
    const release = edges.admitShared(remoteAddress)
    void socket.closed.then(release)
  } catch (error) {
    socket.close(asMeshError(error).code)
    return
  }
  createMux({
    socket,
    clock,
    // As long as a socket of one session may stay without a proof.
    idleMs: EDGE_PROOF_MS,
    refusal: encodeBye,
    accept: (link, query) => {
      if (host.isStopping()) throw new SignalMeshError('GOING_AWAY', 'This node is stopping')
      const named = readNamed(`ws://node/edge?${query}`)
      host.checkNetwork(named)
      runSession(link, remoteAddress, edges.host, named)
    },
  })
}
