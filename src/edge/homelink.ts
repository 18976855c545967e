/** A home link: one socket to one home node, from the dial over the greeting to the loss. */

import { toHex } from '../bytes.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import { type IceOffer, NO_ICE } from '../ice.ts'
import type { NodeId } from '../identity.ts'
import { keepAlive } from '../keepalive.ts'
import { EDGE_PROOF_MS } from '../limits.ts'
import type { Link } from '../link.ts'
import { decodeBye, encodeBye, FRAME, PING } from '../messages.ts'
import { createRpc, type Rpc } from '../rpc.ts'
import type { Loss } from './dialling.ts'
import { draftGreeting, type Greeting, type Heard, readHello, type Told } from './greeting.ts'
import { afterwards, createInTurn } from './inturn.ts'
import { prepare } from './native.ts'
import { createProbing } from './probing.ts'
import type { OwnRecords, OwnRecordsOptions } from './records.ts'
import { believing, believingFound, taking } from './wants.ts'

export interface HomeLinkOptions extends OwnRecordsOptions {
  readonly records: OwnRecords
  onSignal(frame: Uint8Array): void
  onPush(frame: Uint8Array): void
  /** A frame that homes have carried, or the home's word that it carries no more. */
  onCarried?(frame: Uint8Array): void
  /** A node that the edge answers tells of STUN, before it has proved itself. */
  onStun(offer: IceOffer, url: string): void
  /** The home tells of TURN. */
  onTurn(offer: IceOffer, url: string): void
}

export interface HomeLinkEvents {
  /** It has said hello. Its answer waits for `greet`; without this one it goes out at once. */
  onReady?(): void
  /** The proof has gone out. Until the home has answered it, only what is sealed may follow. */
  onGreeted(told: Told): void
  /** The home has taken the edge on, and names other homes. */
  onOpen(otherHomes: readonly string[]): void
  onLost(loss: Loss): void
}

export interface HomeLink {
  readonly url: string
  /** Whether it waits for `greet`. */
  readonly isReady: boolean
  readonly isOpen: boolean
  /** Whether it has been sent the proof, so that signals may go out behind it. */
  readonly isGreeted: boolean
  /** Both empty until the home has said who it is. */
  readonly homeKey: Uint8Array
  readonly nodeId: NodeId
  readonly rpc: Rpc
  /** What was sent and has not left yet. */
  readonly bufferedBytes: number
  /** Answers the hello of one that is ready. */
  greet(): void
  /** Asks for a sign of life, and ends it when none comes soon. */
  probe(): void
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
  let heard: Heard | undefined
  let isAnswering = false
  let greeting: Greeting | undefined
  let openedAtMs: number | undefined
  let error: SignalMeshError | undefined

  const fail = (cause: unknown): void => {
    error ??= asMeshError(cause)
    link.close(error.code)
  }
  const probing = createProbing({
    clock,
    ask: () => link.send(PING),
    onDead: () => fail(new SignalMeshError('TIMEOUT', 'It gives no sign of life')),
  })
  const send = (frame: Uint8Array): void => {
    link.send(frame)
    probing.sent()
  }
  const rpc = createRpc({ clock, send })
  const alive = keepAlive(
    {
      send: (frame) => {
        if (frame[0] === FRAME.ping) probing.probe()
        else link.send(frame)
      },
      close: link.close,
      get bufferedBytes() {
        return link.bufferedBytes
      },
    },
    clock,
  )
  const withinProofTime = (): (() => void) =>
    clock.after(EDGE_PROOF_MS, () => {
      if (openedAtMs !== undefined) return
      fail(new SignalMeshError('TIMEOUT', `It took nobody on within ${EDGE_PROOF_MS} ms`))
    })
  let cancelProof = withinProofTime()

  const answer = (to: Heard): void => {
    isAnswering = true
    const { hello } = to
    options.onStun(hello.ice ?? NO_ICE, url)
    const draft = draftGreeting({ ...options, url }, to)
    const { held } = hello
    // The peer that is to be called is to be believed as soon as the proof is out; the others, some time.
    const ready = prepare(() => [
      ...draft.wants(),
      ...believing(options.networkId, held ? [held] : []),
    ])
    void prepare(() =>
      hello.topics.flatMap(({ found }) => believingFound(options.networkId, found)),
    )
    afterwards(ready, () => {
      if (error) return
      try {
        greeting = draft.finish()
        send(greeting.proof)
        events.onGreeted(greeting.told)
      } catch (cause) {
        fail(cause)
      }
    })
  }

  /** What it takes to take a frame. */
  const readyFor = (frame: Uint8Array): Promise<void> | undefined =>
    prepare((native) => {
      if (error) return []
      if (frame[0] !== FRAME.welcome) return taking(native, options, frame)
      return greeting?.takingWelcome(frame) ?? []
    })

  const receive = (frame: Uint8Array): void => {
    const isOpen = openedAtMs !== undefined
    if (frame[0] === FRAME.bye) fail(decodeBye(frame))
    else if (frame[0] === FRAME.hello && !heard) {
      heard = readHello(options.networkId, frame, clock.monotonicMs())
      if (!events.onReady) answer(heard)
      else {
        cancelProof()
        events.onReady()
      }
    } else if (frame[0] === FRAME.welcome && greeting && !isOpen) {
      const { otherHomes, ice = NO_ICE } = greeting.readWelcome(frame)
      options.onTurn(ice, url)
      openedAtMs = clock.nowMs()
      events.onOpen(otherHomes)
    } else if (!isOpen) throw new SignalMeshError('BAD_FRAME', 'It spoke out of turn')
    else if (frame[0] === FRAME.signal) options.onSignal(frame)
    else if (frame[0] === FRAME.push) options.onPush(frame)
    else if (frame[0] === FRAME.rpc) rpc.receive(frame)
    else if (frame[0] === FRAME.carry || frame[0] === FRAME.carryEnd) options.onCarried?.(frame)
  }

  const inTurn = createInTurn()
  const take = (frame: Uint8Array): void => {
    if (error) return
    try {
      if (!alive.heard(frame)) receive(frame)
    } catch (cause) {
      fail(cause)
    }
  }
  link.subscribe((frame) => {
    if (error) return
    probing.heard()
    inTurn.add(
      () => readyFor(frame),
      () => take(frame),
    )
  })
  void link.closed.then((reason) => {
    // What came before the end counts, such as why it ends.
    inTurn.flush()
    cancelProof()
    alive.stop()
    probing.stop()
    rpc.close()
    const openMs = openedAtMs === undefined ? 0 : clock.nowMs() - openedAtMs
    events.onLost({ url, error: error ?? new SignalMeshError('NO_HOME', reason), openMs })
  })

  return {
    url,
    get isReady() {
      return heard !== undefined && !isAnswering && error === undefined
    },
    get isOpen() {
      return openedAtMs !== undefined && error === undefined
    },
    get isGreeted() {
      return greeting !== undefined && error === undefined
    },
    get homeKey() {
      return heard?.hello.nodeKey ?? new Uint8Array(0)
    },
    get nodeId() {
      return heard ? toHex(heard.hello.nodeKey) : ''
    },
    rpc,
    get bufferedBytes() {
      return link.bufferedBytes
    },
    greet: () => {
      cancelProof = withinProofTime()
      try {
        answer(heard as Heard)
      } catch (cause) {
        fail(cause)
      }
    },
    probe: probing.probe,
    send,
    fail,
    leave: () => {
      // Who has proved nothing has nothing to say.
      if (greeting) link.send(encodeBye(new SignalMeshError('CLOSED', 'The edge has closed')))
      link.close('CLOSED')
    },
  }
}
