/** A home link: one socket to one home node, from the dial over the greeting to the loss. */

import { toHex } from '../bytes.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { NodeId } from '../identity.ts'
import { keepAlive } from '../keepalive.ts'
import { EDGE_PROOF_MS } from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeBye, encodeBye, FRAME, type HelloTopic } from '../messages.ts'
import { createRpc, type Rpc } from '../rpc.ts'
import type { Loss } from './dialling.ts'
import { type Greeting, greet } from './greeting.ts'
import type { OwnRecords, OwnRecordsOptions } from './records.ts'

export interface HomeLinkOptions extends OwnRecordsOptions {
  readonly records: OwnRecords
  onSignal(frame: Uint8Array): void
  onPush(frame: Uint8Array): void
}

export interface HomeLinkEvents {
  /** The proof has gone out. Until the home has answered it, only what is sealed may follow. */
  onGreeted(topics: readonly HelloTopic[]): void
  /** The home has taken the edge on, and names other homes. */
  onOpen(otherHomes: readonly string[]): void
  onLost(loss: Loss): void
}

export interface HomeLink {
  readonly isOpen: boolean
  /** Whether it has been sent the proof, so that signals may go out behind it. */
  readonly isGreeted: boolean
  /** Both empty until the home has said who it is. */
  readonly homeKey: Uint8Array
  readonly nodeId: NodeId
  readonly rpc: Rpc
  send(frame: Uint8Array): void
  /** Ends it for this reason; the first one counts. */
  fail(error: unknown): void
  /** Says goodbye and ends it. */
  leave(): void
}

export function attendHome(
  link: Link,
  url: string,
  options: HomeLinkOptions,
  events: HomeLinkEvents,
): HomeLink {
  const { clock } = options
  const rpc = createRpc({ clock, send: (frame) => link.send(frame) })
  const alive = keepAlive(link, clock)
  let greeting: Greeting | undefined
  let openedAtMs: number | undefined
  let error: SignalMeshError | undefined

  const fail = (cause: unknown): void => {
    error ??= asMeshError(cause)
    link.close(error.code)
  }
  const cancelProof = clock.after(EDGE_PROOF_MS, () => {
    if (openedAtMs === undefined) {
      fail(new SignalMeshError('TIMEOUT', `It took nobody on within ${EDGE_PROOF_MS} ms`))
    }
  })

  const receive = (frame: Uint8Array): void => {
    const isOpen = openedAtMs !== undefined
    if (frame[0] === FRAME.bye) fail(decodeBye(frame))
    else if (frame[0] === FRAME.hello && !greeting) {
      greeting = greet({ ...options, url }, frame)
      link.send(greeting.proof)
      events.onGreeted(greeting.topics)
    } else if (frame[0] === FRAME.welcome && greeting && !isOpen) {
      const { otherHomes } = greeting.readWelcome(frame)
      openedAtMs = clock.nowMs()
      events.onOpen(otherHomes)
    } else if (!isOpen) throw new SignalMeshError('BAD_FRAME', 'It spoke out of turn')
    else if (frame[0] === FRAME.signal) options.onSignal(frame)
    else if (frame[0] === FRAME.push) options.onPush(frame)
    else if (frame[0] === FRAME.rpc) rpc.receive(frame)
  }

  link.subscribe((frame) => {
    if (error) return
    try {
      if (!alive.heard(frame)) receive(frame)
    } catch (cause) {
      fail(cause)
    }
  })
  void link.closed.then((reason) => {
    cancelProof()
    alive.stop()
    rpc.close()
    const openMs = openedAtMs === undefined ? 0 : clock.nowMs() - openedAtMs
    events.onLost({ url, error: error ?? new SignalMeshError('NO_HOME', reason), openMs })
  })

  return {
    get isOpen() {
      return openedAtMs !== undefined && error === undefined
    },
    get isGreeted() {
      return greeting !== undefined && error === undefined
    },
    get homeKey() {
      return greeting?.homeKey ?? new Uint8Array(0)
    },
    get nodeId() {
      return greeting ? toHex(greeting.homeKey) : ''
    },
    rpc,
    send: link.send,
    fail,
    leave: () => {
      link.send(encodeBye(new SignalMeshError('CLOSED', 'The edge has closed')))
      link.close('CLOSED')
    },
  }
}
