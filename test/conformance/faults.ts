/** Faults of sockets, and the code that each comes to on whatever runtime: no name of one stands here. */

import { MAX_FRAME_BYTES } from '../../src/limits.ts'
import { samples } from '../fixtures/samples.ts'
import { OP, type RawSocket, upgradeHead } from './raw-socket.ts'

export interface SocketFault {
  readonly fault: string
  /** What the node's end of the link says. */
  readonly code: string
  commit(raw: RawSocket): void
}

const bytes = (length: number): Uint8Array => new Uint8Array(length)

/** The close of a socket: number and reason. */
function closing(number: number, reason: string): Uint8Array {
  return Uint8Array.of(number >> 8, number & 0xff, ...new TextEncoder().encode(reason))
}

export const SOCKET_FAULTS: readonly SocketFault[] = [
  {
    fault: 'a text frame',
    code: 'TEXT_FRAME',
    commit: (raw) => raw.send(OP.text, bytes(1)),
  },
  {
    fault: 'a frame over the bound',
    code: 'TOO_LARGE',
    commit: (raw) => raw.send(OP.binary, bytes(MAX_FRAME_BYTES + 1)),
  },
  {
    fault: 'fragments that are over the bound together',
    code: 'TOO_LARGE',
    commit: (raw) => {
      raw.send(OP.binary, bytes(MAX_FRAME_BYTES), { fin: false })
      raw.send(OP.more, bytes(1))
    },
  },
  {
    fault: 'a frame without a mask',
    code: 'BAD_FRAME',
    commit: (raw) => raw.send(OP.binary, bytes(1), { mask: false }),
  },
  {
    fault: 'a frame of a kind that is not known',
    code: 'BAD_FRAME',
    commit: (raw) => raw.send(3, bytes(1)),
  },
  {
    fault: 'a frame with bits that nobody agreed on',
    code: 'BAD_FRAME',
    commit: (raw) => raw.send(OP.binary, bytes(1), { reserved: 0x40 }),
  },
  {
    fault: 'a ping in fragments',
    code: 'BAD_FRAME',
    commit: (raw) => raw.send(OP.ping, bytes(1), { fin: false }),
  },
  {
    fault: 'the end of the connection without a close',
    code: 'lost',
    commit: (raw) => void raw.socket.end(),
  },
  {
    fault: 'the end of the connection within a frame',
    code: 'lost',
    commit: (raw) => void raw.socket.end(Uint8Array.of(0x82, 0xfe)),
  },
  {
    fault: 'a reset connection',
    code: 'lost',
    commit: (raw) => void raw.socket.resetAndDestroy(),
  },
  {
    fault: 'a close with a reason',
    code: 'GOING_AWAY',
    commit: (raw) => raw.send(OP.close, closing(1000, 'GOING_AWAY')),
  },
  {
    fault: 'a close without a reason',
    code: 'closed',
    commit: (raw) => raw.send(OP.close, closing(1000, '')),
  },
]

export interface NodeFault {
  readonly fault: string
  readonly path: string
  /** The status that refuses the socket, or the word with which it ends. */
  readonly outcome: number | string
  /** What is sent first. */
  readonly first?: Uint8Array
}

/** A proof for a version of the protocol that nobody speaks. */
const PROOF_99 = samples.proof.slice()
PROOF_99[2] = 99

/** What a node says to who comes with it, whatever it runs on. */
export const NODE_FAULTS: readonly NodeFault[] = [
  { fault: 'another path', path: '/nothing', outcome: 404 },
  { fault: 'a path below one of its own', path: '/edge/x', outcome: 404 },
  { fault: 'a query that names no topic', path: '/edge?t=zz', outcome: 400 },
  { fault: 'another version', path: '/edge', outcome: 'VERSION_MISMATCH', first: PROOF_99 },
  { fault: 'no proof at all', path: '/edge', outcome: 'BAD_FRAME', first: bytes(100) },
  { fault: 'no handshake at all', path: '/mesh', outcome: 'BAD_HANDSHAKE', first: bytes(100) },
]

export interface RequestFault {
  readonly fault: string
  readonly status: readonly number[]
  readonly head: readonly string[]
}

const without = (name: string): string[] => upgradeHead().filter((line) => !line.startsWith(name))

/** Requests that nothing of ours sees. */
export const REQUEST_FAULTS: readonly RequestFault[] = [
  { fault: 'no HTTP at all', status: [400], head: ['nonsense'] },
  { fault: 'no Host', status: [400], head: ['GET /ok HTTP/1.1'] },
  { fault: 'a Host that is none', status: [400], head: ['GET /ok HTTP/1.1', 'Host: a/b@c'] },
  { fault: 'TRACE', status: [400], head: ['TRACE /ok HTTP/1.1', 'Host: localhost'] },
  {
    fault: 'headers over their bound',
    status: [431],
    head: ['GET /ok HTTP/1.1', 'Host: localhost', `X: ${'x'.repeat(40_000)}`],
  },
  { fault: 'an upgrade without a key', status: [400], head: without('Sec-WebSocket-Key') },
  {
    fault: 'an upgrade to another version of WebSocket',
    status: [400, 426],
    head: [...without('Sec-WebSocket-Version'), 'Sec-WebSocket-Version: 12'],
  },
  {
    fault: 'an upgrade to something else',
    status: [400],
    head: [...without('Upgrade'), 'Upgrade: h2c'],
  },
]
