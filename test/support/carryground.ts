/** One node's carrying by itself: edges that only count what comes to them, neighbours that only take. */

import { fromHex } from '../../src/bytes.ts'
import { type Carry, type CarrySettings, createCarry } from '../../src/carry.ts'
import { type CarryEnd, carryHeader, decodeCarryEnd } from '../../src/carryframes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import type { SignalMeshError } from '../../src/errors.ts'
import { FRAME } from '../../src/messages.ts'
import type { Session } from '../../src/session.ts'

export interface CarryEdge {
  readonly peer: string
  readonly session: Session
  readonly got: Uint8Array[]
  readonly ends: CarryEnd[]
  /** What its socket says that it holds; what is sent adds to it while `isStuck`. */
  waitingBytes: number
  isStuck: boolean
}

export interface CarryGround {
  readonly clock: ManualClock
  readonly carry: Carry
  /** Frames that went to the other home. */
  readonly sent: Uint8Array[]
  /** What waits on the link to it; undefined: there is none. */
  linkBytes: number | undefined
  readonly reached: string[]
  edge(number: number, address?: string): CarryEdge
  /** A frame of one edge for another. */
  frame(from: string, to: string, counter: number, bytes?: number): Uint8Array
}

export const CONNECTION: string = 'c0'.repeat(16)
export const HERE: string = '0a'.repeat(32)
export const THERE: string = '0b'.repeat(32)

/** PeerIds of edges that are at home with the other node. */
export const farPeer = (number: number): string => `ff${number.toString(16).padStart(62, '0')}`

export function carryGround(settings: CarrySettings = {}): CarryGround {
  const clock = manualClock()
  const ground: CarryGround = {
    clock,
    sent: [],
    linkBytes: 0,
    reached: [],
    carry: createCarry({
      ...settings,
      self: HERE,
      clock,
      homeOf: (peer) => (peer.startsWith('ff') ? THERE : HERE),
      reach: (home) => void ground.reached.push(home),
      waitingBytes: () => ground.linkBytes,
      send: (_node, frame) => ground.sent.push(frame) > 0,
    }),
    edge: (number, address = '192.0.2.1') => {
      const peer = number.toString(16).padStart(64, '0')
      const edge: CarryEdge = {
        peer,
        got: [],
        ends: [],
        waitingBytes: 0,
        isStuck: false,
        session: {
          peer,
          peerKey: fromHex(peer),
          remoteAddress: address,
          link: {
            get bufferedBytes() {
              return edge.waitingBytes
            },
          },
          send: (frame: Uint8Array) => {
            if (frame[0] === FRAME.carryEnd) edge.ends.push(decodeCarryEnd(frame))
            else edge.got.push(frame)
            if (edge.isStuck) edge.waitingBytes += frame.length
            return true
          },
        } as unknown as Session,
      }
      return edge
    },
    frame: (from, to, counter, bytes = 100) => {
      const out = new Uint8Array(92 + bytes)
      const header = { from: fromHex(from), to: fromHex(to), connection: fromHex(CONNECTION) }
      out.set(carryHeader({ ...header, isWord: false, counter }))
      return out
    },
  }
  return ground
}

/** The code that beginning is refused with. */
export function codeOfBegin(ground: CarryGround, edge: CarryEdge, peer: string): string {
  try {
    ground.carry.begin(edge.session, { peer, connection: CONNECTION })
    return ''
  } catch (error) {
    return (error as SignalMeshError).code
  }
}
